//! Scenarios with a hub: how programs end whose greenlets wait.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use greenlet::group::{Group, wait_any};
use greenlet::net::{TcpListener, TcpStream};
use greenlet::sync::{Mutex, Semaphore, channel};
use greenlet::{Greenlet, JoinHandle, scope, sleep, spawn, time, yield_now};

use crate::{Noisy, say};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// Runs a scenario of this module, if it has that name.
pub(crate) fn run(scenario: &str) -> bool {
    match scenario {
        "hub_join_cycle" => join_cycle(),
        "hub_nobody_switches" => nobody_switches(),
        "hub_deadlock_is_caught" => deadlock_is_caught(),
        "hub_deadlock_with_endless_timeout" => {
            let _ = time::timeout(Duration::MAX, join_cycle);
        }
        "hub_deadlock_in_scope" => deadlock_in_scope(),
        "hub_deadlock_behind_a_destructor" => deadlock_behind_a_destructor(),
        "hub_deadlock_of_thread" => {
            let panic = thread::spawn(join_cycle).join().unwrap_err();
            say(&format!("text: {}", panic.is::<String>()));
        }
        "hub_deadlock_of_two_locks" => two_locks(),
        "hub_deadlock_in_a_crowd" => {
            let locks = spawn(two_locks);
            (0..4).for_each(|_| yield_now());
            let crowd = [(); 60].map(|()| thread_named("crowd", greenlet::thread::park));
            locks.join().unwrap();
            drop(crowd);
        }
        "hub_deadlock_in_rendezvous" => {
            let (sender, _receiver) = channel::bounded(0);
            let _ = sender.send(1);
        }
        "hub_deadlock_of_full_channel" => {
            let (sender, _receiver) = channel::bounded(1);
            (0..2).for_each(|n| sender.send(n).unwrap());
        }
        "hub_deadlock_of_semaphore" => {
            let semaphore = Rc::new(Semaphore::new(1));
            semaphore.acquire().forget();
            let waits = thread_named("waits", {
                let semaphore = semaphore.clone();
                move || drop(semaphore.acquire())
            });
            waits.join().unwrap();
        }
        "hub_no_deadlock_while_another_thread_can_send" => {
            let (sender, receiver) = greenlet::sync::remote::channel::bounded(1);
            let other = thread::spawn(move || {
                thread::sleep(50 * MS);
                sender.send(1).unwrap();
            });
            let cycle = thread_named("cycle", join_cycle);
            say(&format!("received {}", receiver.recv().unwrap()));
            let dump = greenlet::inspect::dump();
            say(&format!("cycles: {}", dump.cycles().len()));
            other.join().unwrap();
            drop(cycle);
        }
        "hub_dump_on_signal" => dump_on_signal(),
        "hub_dumps_in_dumps" => dumps_in_dumps(),
        "hub_dump_of_code_that_lies" => dump_of_code_that_lies(),
        "hub_watch_prints" => {
            let watch = greenlet::monitor::watch(10 * MS).unwrap();
            let parked = thread_named("parked", greenlet::thread::park);
            yield_now();
            // There is a report a second: a busy machine may have kept this thread before.
            keeps_the_thread(Duration::from_millis(2500));
            parked.kill();
            drop(watch);
            while is_there("greenlet-watch") {
                thread::sleep(MS);
            }
        }
        "hub_waits_in_many_ways" => waits_in_many_ways(),
        "hub_return" => leave_three_kinds(),
        "hub_thread_ends" => thread::spawn(leave_three_kinds).join().unwrap(),
        "hub_return_waiting_destructor" => waiting_destructor(),
        "hub_shutdown" => {
            waiting_destructor();
            greenlet::shutdown();
            say("shut down");
        }
        "hub_shutdown_stubborn" => {
            drop(thread_named("stubborn", || {
                loop {
                    let _ = catch_unwind(|| sleep(LONG));
                }
            }));
            drop(thread_named("cleans up", || {
                let caught = catch_unwind(|| sleep(LONG)).unwrap_err();
                say("cleaned up");
                std::panic::resume_unwind(caught);
            }));
            yield_now();
            greenlet::shutdown();
            say("shut down");
        }
        "hub_exit_from_greenlet" => exit_from_greenlet(),
        "hub_nobody_joins" => nobody_joins(),
        "hub_wait_in_thread_local" => thread::spawn(wait_in_thread_local).join().unwrap(),
        "hub_io_in_thread_local" => thread::spawn(io_in_thread_local).join().unwrap(),
        "hub_spawn_in_thread_local" => thread::spawn(spawn_in_thread_local).join().unwrap(),
        "hub_join_ended_in_thread_local" => thread::spawn(join_ended_in_thread_local).join().unwrap(),
        "hub_poller_closed" => poller_closed(|| {
            let _ = catch_unwind(|| sleep(5 * MS));
            say("went on");
        }),
        "hub_poller_closed_before_a_wait" => poller_closed(|| {
            let (reader, _writer) = std::io::pipe().unwrap();
            let mut reader = greenlet::io::PipeReader::from(reader);
            let _ = std::io::Read::read(&mut reader, &mut [0]);
            say("went on");
        }),
        "hub_bell_closed" => bell_closed(),
        "hub_without_unwinding" => without_unwinding(),
        "hub_timeout_without_unwinding" => {
            let _ = time::timeout(MS, || say("it must not run"));
        }
        "hub_hook_waits_without_unwinding" => {
            std::panic::set_hook(Box::new(|_| {
                sleep(2 * MS);
                say("the hook has waited");
            }));
            drop(spawn(|| say("another one runs")));
            panic!("aborts after the hook");
        }
        _ => return false,
    }
    true
}

#[inline(never)]
fn locks_both(first: &Mutex<()>, second: &Mutex<()>) {
    let _first = first.lock().unwrap();
    yield_now();
    let _second = second.lock().unwrap();
    std::hint::black_box(());
}

fn two_locks() {
    let (a, b) = (Rc::new(Mutex::new(())), Rc::new(Mutex::new(())));
    let first = thread_named("first", {
        let (a, b) = (a.clone(), b.clone());
        move || locks_both(&a, &b)
    });
    drop(thread_named("second", move || locks_both(&b, &a)));
    first.join().unwrap();
}

/// Whether this process has a thread with that name: it may have something to print.
fn is_there(thread: &str) -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let mut names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.any(|name| name.trim_end() == thread)
}

#[inline(never)]
fn keeps_the_thread(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Two threads. Whoever looks from outside looks when `keeps_the_thread` runs.
fn waits_in_many_ways() {
    let (there, is_there) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || {
        let sleeper = thread_named("sleeper", || sleep(LONG));
        yield_now();
        there.send(()).unwrap();
        let _ = gone.recv();
        sleeper.kill();
    });
    is_there.recv().unwrap();
    let (sender, receiver) = channel::bounded::<u8>(0);
    let parked = thread_named("parked", greenlet::thread::park);
    let receives = thread_named("receives", move || drop(receiver.recv()));
    let joins = thread_named("joins", move || drop(receives.join()));
    let group = Group::new();
    let members = [(); 2].map(|()| group.spawn(|| sleep(LONG)));
    let of_group = group.clone();
    let any = thread_named("any", move || drop(wait_any(&members)));
    let all = thread_named("all", move || drop(of_group.join_all()));
    yield_now();
    let waits_for_a_turn = spawn(|| ());
    keeps_the_thread(MS);
    drop((sender, go));
    parked.kill();
    group.kill_all();
    [joins, any, all].map(|other| other.join().unwrap());
    waits_for_a_turn.join().unwrap();
    other.join().unwrap();
}

/// Two threads: one keeps itself busy, the other one waits. Both say what they do, several times.
fn dump_on_signal() {
    greenlet::inspect::on_signal(libc::SIGUSR1).unwrap();
    for forbidden in [libc::SIGKILL, libc::SIGSEGV, libc::SIGURG] {
        let error = greenlet::inspect::on_signal(forbidden).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    let waits = thread::Builder::new().name("waits".into());
    let waits = waits.spawn(|| {
        let sleeper = thread_named("sleeper", || sleep(LONG));
        sleep(3000 * MS);
        sleeper.kill();
    });
    let hog = thread_named("hog", || {
        // One that hangs may hang with this in its hands.
        let _locked = std::io::stderr().lock();
        for _ in 0..3 {
            // SAFETY: sends a signal to ourselves.
            unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
            keeps_the_thread(800 * MS);
        }
    });
    hog.join().unwrap();
    say("goes on");
    waits.unwrap().join().unwrap();
}

/// Signals come while dumps are made, on all threads, and in the middle of one another.
/// Lets a thread pass on what is written to standard error, and returns whether `word` was in it.
fn watch_standard_error(word: &'static str) -> Arc<AtomicBool> {
    let (reader, writer) = std::io::pipe().unwrap();
    let real = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    // SAFETY: both are open, and nobody else has this number.
    unsafe { libc::dup2(writer.as_raw_fd(), libc::STDERR_FILENO) };
    let came = Arc::new(AtomicBool::new(false));
    let tell = came.clone();
    thread::spawn(move || {
        let mut real = std::fs::File::from(real);
        for line in BufReader::new(reader).lines() {
            let line = line.unwrap();
            writeln!(real, "{line}").unwrap();
            if line.contains(word) {
                tell.store(true, Ordering::Relaxed);
            }
        }
    });
    came
}

fn dumps_in_dumps() {
    let printed = watch_standard_error("greenlet 'sleeper' (#");
    greenlet::inspect::on_signal(libc::SIGUSR1).unwrap();
    greenlet::inspect::on_signal(libc::SIGUSR2).unwrap();
    let sleepers = [(); 50].map(|()| thread_named("sleeper", || sleep(LONG)));
    let sender = thread::spawn(|| {
        for n in 0..300 {
            let signal = if n % 2 == 0 { libc::SIGUSR1 } else { libc::SIGUSR2 };
            // SAFETY: sends a signal to ourselves.
            unsafe { libc::kill(libc::getpid(), signal) };
            thread::sleep(MS);
        }
    });
    let mut seen = 0;
    while !sender.is_finished() {
        seen = greenlet::inspect::dump_all()[0].greenlets().len().max(seen);
        yield_now();
    }
    sender.join().unwrap();
    // A slow machine looks up names for longer than that.
    let begin = Instant::now();
    while !printed.load(Ordering::Relaxed) && begin.elapsed() < Duration::from_secs(40) {
        thread::sleep(MS);
    }
    sleepers.iter().for_each(|sleeper| drop(sleeper.kill()));
    say(&format!("seen: {seen}"));
}

/// Its unwind information does not know what it has pushed, as that of compilers does not at some ends of functions: it
/// goes back to address 1.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".globl code_that_lies",
    "code_that_lies:",
    ".cfi_startproc",
    "push 1",
    "2: pause",
    "cmp byte ptr [rdi], 0",
    "je 2b",
    "add rsp, 8",
    "ret",
    ".cfi_endproc",
);

#[cfg(target_arch = "x86_64")]
fn dump_of_code_that_lies() {
    unsafe extern "C" {
        fn code_that_lies(end: *const AtomicBool);
    }
    static END: AtomicBool = AtomicBool::new(false);
    let (began, begins) = std::sync::mpsc::channel();
    let other = thread::Builder::new().name("lies".into());
    let other = other.spawn(move || {
        let liar = thread_named("liar", move || {
            began.send(()).unwrap();
            // SAFETY: it returns when that is true.
            unsafe { code_that_lies(&raw const END) };
        });
        liar.join().unwrap();
    });
    begins.recv().unwrap();
    for _ in 0..20 {
        let all = greenlet::inspect::dump_all();
        let theirs = all.iter().find(|dump| dump.thread() == Some("lies"));
        assert!(theirs.unwrap().to_string().contains("'liar'"));
    }
    END.store(true, Ordering::Relaxed);
    other.unwrap().join().unwrap();
}

#[cfg(not(target_arch = "x86_64"))]
fn dump_of_code_that_lies() {}

fn join_cycle() {
    let place: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
    let first = thread_named("first", {
        let place = place.clone();
        move || {
            let second = place.borrow_mut().take().unwrap();
            second.wait();
        }
    });
    let first = Rc::new(first);
    *place.borrow_mut() = Some(thread_named("second", {
        let first = first.clone();
        move || first.wait()
    }));
    first.wait();
}

pub(crate) fn thread_named(name: &str, f: impl FnOnce() + 'static) -> JoinHandle<()> {
    let builder = greenlet::thread::Builder::new().name(name.into());
    builder.spawn(f).unwrap()
}

fn nobody_switches() {
    let handle = thread_named("waits", || {
        let never = Greenlet::<u32>::new(|n| n);
        let me = greenlet::current::<u32>();
        let asks = Greenlet::new(move |n| {
            let main = greenlet::current::<u32>();
            drop(main);
            // Its switcher waits for a value, and this one for its own end.
            spawn(|| ()).join().unwrap();
            yield_now();
            me.switch(n)
        });
        let _ = (never, asks.switch(1));
        // Now it waits for a value that nobody sends.
        let mine = Greenlet::<u32>::declare();
        let waits = Greenlet::new(move |n| n + mine.is_dead() as u32);
        say(&format!("got {}", waits.switch(1)));
        let cycle: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let empty = cycle.clone();
        let other = spawn(move || {
            let me = empty.borrow_mut().take().unwrap();
            me.wait();
        });
        *cycle.borrow_mut() = Some(spawn(move || other.wait()));
        sleep(MS);
    });
    handle.join().unwrap();
    // Two greenlets that join each other hinder nobody else.
    say("main goes on");
    greenlet::shutdown();
}

fn deadlock_is_caught() {
    let caught = catch_unwind(join_cycle).unwrap_err();
    let text = caught.downcast::<String>().unwrap();
    say(text.lines().next().unwrap());
    assert_eq!(spawn(|| 1).join().unwrap(), 1);
    greenlet::shutdown();
}

fn deadlock_in_scope() {
    scope(|s| {
        s.spawn(join_cycle);
    });
}

/// One never comes back from a destructor; another one is killed meanwhile, and waited for.
fn deadlock_behind_a_destructor() {
    struct Stuck;
    impl Drop for Stuck {
        fn drop(&mut self) {
            greenlet::thread::park();
        }
    }
    let stuck = thread_named("stuck", || {
        let _stuck = Stuck;
        sleep(LONG);
    });
    let _parks = thread_named("parks", greenlet::thread::park);
    yield_now();
    (0..2).for_each(|_| {
        stuck.start_kill();
        yield_now();
    });
    let _stuck = Stuck;
    std::panic::resume_unwind(Box::new("planted"));
}

fn leave_three_kinds() {
    let noisy = |name: &str| Noisy(name.into());
    let parked = noisy("parked");
    drop(spawn(move || {
        let _parked = parked;
        sleep(LONG);
    }));
    let ready = noisy("ready");
    drop(spawn(move || {
        let _ready = ready;
        loop {
            yield_now();
        }
    }));
    yield_now();
    let pending = noisy("pending");
    drop(spawn(move || drop(pending)));
    say("leaves");
}

/// Says goodbye, and waits for it.
struct Polite;

impl Drop for Polite {
    fn drop(&mut self) {
        say("goodbye?");
        sleep(2 * MS);
        say("goodbye!");
    }
}

fn waiting_destructor() {
    drop(thread_named("polite", || {
        let _polite = Polite;
        sleep(LONG);
    }));
    yield_now();
}

fn exit_from_greenlet() {
    drop(spawn(|| {
        let _noisy = Noisy("the one that exits".into());
        process::exit(7);
    }));
    sleep(LONG);
}

fn nobody_joins() {
    drop(thread_named("unlucky", || panic!("out of luck")));
    yield_now();
    let late = thread_named("late", || panic!("too late"));
    yield_now();
    drop(late);
    spawn(|| panic!("joined")).join().unwrap_err();
}

thread_local! {
    static LAST: RefCell<Option<Box<dyn Drop2>>> = const { RefCell::new(None) };
}

/// Something that acts when it is dropped.
trait Drop2 {}

struct AtTheEnd<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtTheEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl<F: FnMut()> Drop2 for AtTheEnd<F> {}

/// Destroyed after the greenlets of the thread: made before them.
fn at_the_end(f: impl FnMut() + 'static) {
    LAST.with(|last| *last.borrow_mut() = Some(Box::new(AtTheEnd(f))));
    spawn(|| ()).join().unwrap();
}

fn wait_in_thread_local() {
    at_the_end(|| {
        let refused = catch_unwind(|| sleep(MS));
        say(&format!("refused: {}", refused.is_err()));
    });
}

fn io_in_thread_local() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    at_the_end(move || {
        let refused = catch_unwind(AssertUnwindSafe(|| listener.accept().map(|_| ())));
        match refused {
            Ok(outcome) => say(&format!("refused: {}", outcome.is_err())),
            Err(_) => say("refused: true"),
        }
    });
}

fn spawn_in_thread_local() {
    at_the_end(|| {
        let refused = catch_unwind(|| drop(spawn(|| say("it must not run"))));
        say(&format!("refused: {}", refused.is_err()));
    });
}

/// Older than the greenlets of the thread, and so destroyed after them.
fn join_ended_in_thread_local() {
    LAST.with(|_| ());
    let handles = [(); 3].map(|()| spawn(|| 5));
    yield_now();
    let mut handles = Some(handles);
    at_the_end(move || {
        let [joined, waited, killed] = handles.take().unwrap();
        say(&format!("joined: {}", joined.join().unwrap()));
        waited.wait();
        say(&format!("killed: {}", killed.kill()));
    });
}

/// Closes everything but the standard streams, as programs do that go into the background.
fn close_all_descriptors() {
    // SAFETY: none, with a view to those who own them. This is the fault.
    (3..256).for_each(|fd| _ = unsafe { libc::close(fd) });
}

/// Somebody closes the poller of a hub that has one; then `wait`.
fn poller_closed(wait: fn()) {
    wait_for_a_pipe();
    close_all_descriptors();
    wait();
}

/// Lets a greenlet wait for what never comes: a hub without descriptors would not sleep in its poller.
fn wait_for_a_pipe() {
    let (reader, writer) = greenlet::io::pipe().unwrap();
    drop(spawn(move || {
        let _ = std::io::Read::read(&mut &reader, &mut [0]);
    }));
    yield_now();
    // Nobody closes it a second time.
    std::mem::forget(writer);
}

/// Somebody closes it while its hub sleeps, and then wants to wake one who waits there.
fn bell_closed() {
    let (knocker, parked) = std::sync::mpsc::channel();
    thread::spawn(move || {
        wait_for_a_pipe();
        knocker.send(greenlet::thread::current()).unwrap();
        greenlet::thread::park();
        say("went on");
    });
    let waiter = parked.recv().unwrap();
    // Once it sleeps.
    thread::sleep(100 * MS);
    close_all_descriptors();
    waiter.unpark();
    thread::sleep(LONG);
}

fn without_unwinding() {
    let handle = thread_named("survivor", || sleep(5 * MS));
    yield_now();
    say(&format!("kill: {}", handle.kill()));
    handle.join().unwrap();
    let pending = spawn(|| say("it must not run"));
    say(&format!("kill a pending one: {}", pending.kill()));
    let mut n = 1;
    scope(|s| {
        s.spawn(|| {
            sleep(MS);
            n = 2;
        });
    });
    say(&format!("scope: {n}"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(2 * MS)).unwrap();
    let begin = Instant::now();
    let late = std::io::Read::read(&mut &stream, &mut [0]).unwrap_err();
    say(&format!(
        "read: {:?} {}",
        late.kind(),
        begin.elapsed() >= 2 * MS
    ));
}
