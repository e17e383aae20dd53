//! The harness: every test body runs on a fresh OS thread, watched and balanced.
//!
//! - A watchdog: a test that takes longer than [`PATIENCE`] is named on standard error, and the process aborts.
//! - A balance: greenlets, control blocks, closures and stacks in use are the same before and after.
//! - A panic of the body is the panic of the test.
//!
//! Each detector has a canary in this file: a planted fault that it must report.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::process::Output;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use greenlet::{Greenlet, JoinHandle, Undeliverable};

/// How long a test may take. An interpreter needs longer.
const PATIENCE: Duration = Duration::from_secs(match () {
    () if cfg!(miri) => 900,
    // That is where the race detector runs, and it takes long to look up the names of functions.
    () if cfg!(greenlet_baton) => 60,
    () => 20,
});
/// Names, in a child process, the test that runs there.
const CHILD: &str = "GREENLET_IT_CHILD";

/// Runs the body of a test.
#[track_caller]
pub(crate) fn run(body: impl FnOnce() + Send + 'static) {
    run_within(PATIENCE, body);
}

/// As [`run`], with a patience of its own.
#[track_caller]
pub(crate) fn run_within(patience: Duration, body: impl FnOnce() + Send + 'static) {
    let patience = if emulated() { 5 * patience } else { patience };
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let site = Location::caller();
    let (finished, watch) = mpsc::channel::<()>();
    let watchdog = thread::spawn({
        let name = name.clone();
        move || {
            if watch.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                // Not `eprintln!`: what that says is captured, and goes down with the process.
                let _ = writeln!(
                    std::io::stderr(),
                    "watchdog: {name} ({site}, backend {}) has not ended within {patience:?}; aborting",
                    greenlet::BACKEND
                );
                std::process::abort();
            }
        }
    });
    let worker = thread::Builder::new().name(name);
    let worker = worker.spawn(move || balanced(body)).expect("a thread");
    let outcome = worker.join();
    drop(finished);
    watchdog.join().expect("the watchdog aborts or returns");
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// What a test must leave as it found it.
#[derive(Debug, PartialEq, Eq)]
struct Balance {
    greenlets: usize,
    controls: usize,
    closures: usize,
    stacks: usize,
    hub: greenlet::HubStats,
}

impl Balance {
    fn here() -> Balance {
        let (controls, closures) = greenlet::blocks_in_use();
        Balance {
            greenlets: greenlet::alive(),
            controls,
            closures,
            stacks: greenlet::stack_stats().in_use,
            hub: greenlet::hub_stats(),
        }
    }
}

/// Runs `body` and compares what is in use before and after.
#[track_caller]
pub(crate) fn balanced(body: impl FnOnce()) {
    let before = Balance::here();
    body();
    assert_eq!(Balance::here(), before, "the test has leaked");
}

/// Whether greenlets run on stacks of ours, on one OS thread. If not (`baton`), tests about users'
/// thread-locals, `std::thread::current`, pooled stacks, or very many greenlets return early.
pub(crate) fn own_stacks() -> bool {
    greenlet::BACKEND != "baton"
}

/// Whether an emulator of another machine runs this, which answers some odd calls in its own way.
pub(crate) fn emulated() -> bool {
    std::env::var_os("GREENLET_TEST_RUNNER").is_some()
}

/// Runs the named test of this binary in a process of its own. None: this is that process.
pub(crate) fn child(test: &str) -> Option<Output> {
    // An interpreter has no child processes: it runs the body itself, and reports a fault as well.
    if cfg!(miri) {
        return None;
    }
    if std::env::var(CHILD).is_ok_and(|running| running == test) {
        return None;
    }
    let program = std::env::current_exe().expect("our own path");
    let output = crate::runner::command(&program)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .output()
        .expect("this binary runs");
    Some(output)
}

/// As [`child`], for a test that might bring down the whole process: true if this is the parent, which has
/// then seen the child succeed.
#[track_caller]
pub(crate) fn survived_in_child(test: &str) -> bool {
    let Some(output) = child(test) else {
        return false;
    };
    assert!(
        output.status.success(),
        "{}\n{}",
        output.status,
        stderr(&output)
    );
    true
}

/// How many descriptors this process has open. Tests that run at the same time have theirs: ask in a child.
pub(crate) fn open_descriptors() -> usize {
    let folder = ["/proc/self/fd", "/dev/fd"]
        .into_iter()
        .find_map(|path| std::fs::read_dir(path).ok());
    folder.expect("a list of descriptors").count()
}

/// What a child has printed on standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a call raises. Fails if it raises nothing.
#[track_caller]
pub(crate) fn caught<R>(body: impl FnOnce() -> R) -> Box<dyn Any + Send> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(_) => panic!("nothing was raised"),
        Err(payload) => payload,
    }
}

/// What a call raises, which must be an `E`.
#[track_caller]
pub(crate) fn caught_as<E: 'static, R>(body: impl FnOnce() -> R) -> E {
    let payload = caught(body);
    match payload.downcast::<E>() {
        Ok(expected) => *expected,
        Err(other) => panic!("something else was raised: {}", text(&*other)),
    }
}

/// The words of a panic.
pub(crate) fn text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else if let Some(error) = payload.downcast_ref::<Undeliverable>() {
        error.to_string()
    } else {
        format!("a payload of type {:?}", payload.type_id())
    }
}

/// The words that a call panics with.
#[track_caller]
pub(crate) fn complaint<R>(body: impl FnOnce() -> R) -> String {
    text(&*caught(body))
}

/// Unwinds with `payload` and without the panic hook.
pub(crate) fn raise<E: Any + Send>(payload: E) -> ! {
    resume_unwind(Box::new(payload))
}

/// Clones the named things into a closure.
macro_rules! own {
    ($($name:ident),+ => $closure:expr) => {{
        $(let $name = $name.clone();)+
        $closure
    }};
}
pub(crate) use own;

/// What has happened, in order.
pub(crate) struct Log<E>(Rc<RefCell<Vec<E>>>);

impl<E> Log<E> {
    pub(crate) fn new() -> Log<E> {
        Log(Rc::default())
    }

    pub(crate) fn push(&self, entry: E) {
        self.0.borrow_mut().push(entry);
    }

    pub(crate) fn take(&self) -> Vec<E> {
        self.0.take()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

impl<E> Clone for Log<E> {
    fn clone(&self) -> Self {
        Log(Rc::clone(&self.0))
    }
}

/// Counts how many of its [`Token`]s have been dropped.
#[derive(Clone, Default)]
pub(crate) struct Drops(Rc<Cell<usize>>);

impl Drops {
    pub(crate) fn new() -> Drops {
        Drops::default()
    }

    pub(crate) fn token(&self) -> Token {
        Token(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.get()
    }
}

/// Counts when it is dropped.
pub(crate) struct Token(Drops);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() + 1);
    }
}

/// Takes what descriptors there are, so that nobody gets one; only in a process of its own.
pub(crate) fn take_all_descriptors() -> Vec<std::fs::File> {
    let limit = libc::rlimit {
        rlim_cur: 100,
        rlim_max: 100,
    };
    // SAFETY: sets a number; the structure is there.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    let open = || std::fs::File::open("/dev/null");
    std::iter::from_fn(|| open().ok()).collect()
}

/// A destructor that does something.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A destructor that is made at run time.
pub(crate) type Act = OnDrop<Box<dyn FnMut()>>;

/// Makes one of those.
pub(crate) fn act(act: impl FnMut() + 'static) -> Act {
    OnDrop(Box::new(act))
}

/// So many rounds of something that is to go well each time; on a slow machine as many as there is time for.
pub(crate) fn rounds(most: usize) -> impl Iterator<Item = usize> {
    let begin = Instant::now();
    (0..most).take_while(move |_| begin.elapsed() < Duration::from_secs(5))
}

/// Counts the milliseconds that it is left to run.
pub(crate) fn ticker() -> (Arc<AtomicU32>, JoinHandle<()>) {
    let ticks = Arc::new(AtomicU32::new(0));
    let theirs = ticks.clone();
    let handle = greenlet::spawn(move || {
        loop {
            theirs.fetch_add(1, Ordering::SeqCst);
            greenlet::sleep(Duration::from_millis(1));
        }
    });
    (ticks, handle)
}

/// Waits for two more of them, on that thread or another, however slow they come: somebody is left to run.
pub(crate) fn two_more(ticks: &AtomicU32) {
    let seen = ticks.load(Ordering::SeqCst);
    while ticks.load(Ordering::SeqCst) < seen + 2 {
        greenlet::sleep(Duration::from_millis(1));
    }
}

/// A place to put a handle in, so that others find it.
pub(crate) struct Place<T>(Rc<RefCell<Option<T>>>);

impl<T> Place<T> {
    pub(crate) fn new() -> Place<T> {
        Place(Rc::new(RefCell::new(None)))
    }

    pub(crate) fn put(&self, value: T) {
        // The old value is dropped after the borrow.
        let _before = self.0.replace(Some(value));
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.0.take()
    }
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        Place(Rc::clone(&self.0))
    }
}

/// A greenlet that answers each number with its double, for ever.
pub(crate) fn doubler() -> Greenlet<i32> {
    let main = greenlet::current();
    Greenlet::new(move |mut x| {
        loop {
            x = main.switch(2 * x);
        }
    })
}

#[test]
fn canary_a_leaked_greenlet_is_detected() {
    let leaking = || {
        balanced(|| std::mem::forget(Greenlet::new(|()| ())));
    };
    let outcome = thread::spawn(leaking).join();
    assert!(text(&*outcome.unwrap_err()).contains("the test has leaked"));
}

#[test]
fn canary_a_suspended_greenlet_left_behind_is_detected() {
    let leaking = || {
        balanced(|| {
            let g = doubler();
            g.switch(1);
            std::mem::forget(g);
        });
    };
    let outcome = thread::spawn(leaking).join();
    assert!(text(&*outcome.unwrap_err()).contains("the test has leaked"));
}

#[test]
fn canary_a_panic_of_the_body_fails_the_test() {
    let words = complaint(|| run(|| panic!("planted")));
    assert_eq!(words, "planted");
}

#[test]
fn canary_a_hanging_test_is_aborted_by_name() {
    let name = "support::canary_a_hanging_test_is_aborted_by_name";
    match child(name) {
        None => run_within(Duration::from_millis(50), || {
            thread::sleep(Duration::from_secs(60));
        }),
        Some(output) => {
            assert!(!output.status.success());
            assert!(stderr(&output).contains("watchdog: "), "{output:?}");
            assert!(stderr(&output).contains("has not ended"), "{output:?}");
        }
    }
}

/// Whether other threads can be asked who runs there in this build.
pub(crate) fn asks() -> bool {
    let known = cfg!(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_env = "gnu")
    ));
    greenlet::BACKEND != "baton" && cfg!(all(target_os = "linux", not(miri))) && known
}
