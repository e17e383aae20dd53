//! No memory, for a stack or for anything else of a greenlet: whoever wanted it is told and gets its value back, everybody
//! else goes on.
//!
//! Address space is limited for a whole process, so each scenario runs in a child: this program again, with
//! its own name in the environment.

#![cfg(target_os = "linux")]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use greenlet::sync::Event;
use greenlet::time::{Elapsed, timeout};
use greenlet::{Greenlet, RefusalKind, SwitchError, current};

const SCENARIO: &str = "GREENLET_EXHAUSTION";

/// Runs a test of this program in a process of its own. True in that process.
fn in_a_child(test: &str) -> bool {
    if std::env::var(SCENARIO).as_deref() == Ok(test) {
        return true;
    }
    stderr_of_a_child(test);
    false
}

/// Runs a test of this program in a process of its own, where it passes; returns what it says.
fn stderr_of_a_child(test: &str) -> String {
    let program = std::env::current_exe().expect("a path");
    let output = Command::new(program)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(SCENARIO, test)
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{test}: {}\n{text}", output.status);
    text
}

/// Leaves this process so many bytes of address space beyond what it has.
fn limit_address_space(more: u64) {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: u64 = statm
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    let limit = libc::rlimit {
        rlim_cur: pages * 4096 + more,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: sets a limit of this process, which is a child made for it.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
}

#[test]
fn a_stack_that_cannot_be_mapped_is_reported_to_the_starter() {
    if greenlet::BACKEND == "baton"
        || !in_a_child("a_stack_that_cannot_be_mapped_is_reported_to_the_starter")
    {
        return;
    }
    let main = current::<String>();
    let big = |echo: &Greenlet<String>| {
        let echo = echo.clone();
        Greenlet::builder()
            .stack_size(16 << 20)
            .build(move |first| echo.switch(first))
    };
    limit_address_space(256 << 20);
    let mut running = Vec::new();
    let refused = loop {
        let next = big(&main);
        match next.try_switch("precious".to_string()) {
            Ok(answer) => assert_eq!(answer, "precious"),
            Err(SwitchError::Refused { reason, value }) => {
                assert_eq!(value, "precious");
                assert!(
                    matches!(reason.kind(), RefusalKind::NoStack(_)),
                    "{reason:?}"
                );
                assert!(
                    reason.to_string().starts_with("no stack for greenlet #"),
                    "{reason}"
                );
                break next;
            }
            Err(other) => panic!("{other}"),
        }
        running.push(next);
    };
    assert!(running.len() > 3, "only {} fitted", running.len());
    assert!(
        !refused.is_started() && !refused.is_dead(),
        "it stays pending"
    );
    // The others go on: one ends, and its stack serves the one that had none.
    let first = running.swap_remove(0);
    assert_eq!(first.switch("done".to_string()), "done");
    assert!(first.is_dead());
    assert_eq!(refused.switch("again".to_string()), "again");
    assert!(running.iter().all(Greenlet::is_started));
}

#[test]
fn a_result_for_a_pending_parent_without_a_stack_goes_further_up() {
    if greenlet::BACKEND == "baton"
        || !in_a_child("a_result_for_a_pending_parent_without_a_stack_goes_further_up")
    {
        return;
    }
    let ran = std::rc::Rc::new(std::cell::Cell::new(false));
    let seen = ran.clone();
    let parent = Greenlet::builder()
        .stack_size(1 << 30)
        .build(move |n: u32| {
            seen.set(true);
            n
        });
    let child = Greenlet::builder().parent(&parent).build(|n| n + 1);
    // Chunks are reserved before the limit: the child still gets its stack.
    Greenlet::new(|()| ()).switch(());
    limit_address_space(64 << 20);
    let outcome = child.try_switch(1);
    let Err(SwitchError::Thrown(payload)) = outcome else {
        panic!("{outcome:?}")
    };
    let what = payload
        .downcast_ref::<greenlet::Undeliverable>()
        .expect("undeliverable");
    assert!(what.to_string().contains("no stack for"), "{what}");
    assert!(parent.is_dead() && child.is_dead() && !ran.get());
}

/// Those that begin when there is no stack left end with words that say so; everybody else goes on.
#[test]
fn a_million_spawns_without_stacks_are_a_million_errors() {
    if greenlet::BACKEND == "baton"
        || !in_a_child("a_million_spawns_without_stacks_are_a_million_errors")
    {
        return;
    }
    let spawn = || {
        let builder = greenlet::thread::Builder::new().stack_size(16 << 20);
        builder.spawn(greenlet::thread::park).expect("a size")
    };
    let told = |handle: greenlet::JoinHandle<()>| {
        let payload = handle.join().expect_err("there is no stack");
        let words = payload.downcast::<String>().expect("words");
        assert!(
            words.contains("could not be started, as there is no stack for it: "),
            "{words}"
        );
    };
    // What the hub itself needs is made before.
    let mut handles = Vec::with_capacity(1000);
    greenlet::spawn(|| ()).join().expect("a stack");
    greenlet::sleep(Duration::from_millis(1));
    limit_address_space(256 << 20);
    let mut parked = Vec::with_capacity(1000);
    let refused = loop {
        let handle = spawn();
        greenlet::yield_now();
        match handle.is_finished() {
            true => break handle,
            false => parked.push(handle),
        }
    };
    told(refused);
    assert!(parked.len() > 3, "only {} fitted", parked.len());
    for _ in 0..1000 {
        handles.extend((0..1000).map(|_| spawn()));
        handles.drain(..).for_each(told);
    }
    // One ends, and there is a stack for another one.
    let first = parked.swap_remove(0);
    first.thread().unpark();
    first.join().expect("it was parked");
    let last = spawn();
    greenlet::yield_now();
    assert!(!last.is_finished());
    parked.push(last);
    for handle in parked {
        assert!(!handle.is_finished());
        assert!(handle.kill());
    }
}

/// Small stacks fill all the address space that there is, but for what the hub needs to go on.
#[test]
fn stacks_leave_memory_for_everything_else() {
    if greenlet::BACKEND == "baton" || !in_a_child("stacks_leave_memory_for_everything_else") {
        return;
    }
    greenlet::spawn(|| ()).join().expect("a stack");
    let beats = std::rc::Rc::new(std::cell::Cell::new(0));
    let beat = greenlet::spawn({
        let beats = beats.clone();
        move || loop {
            greenlet::sleep(Duration::from_micros(100));
            beats.set(beats.get() + 1);
        }
    });
    limit_address_space(200 << 20);
    for _ in 0..2 {
        let mut parked = Vec::new();
        let refused = loop {
            let handle = greenlet::spawn(|| greenlet::sleep(Duration::from_secs(100)));
            greenlet::yield_now();
            match handle.is_finished() {
                true => break handle.join().expect_err("there is no stack"),
                false => parked.push(handle),
            }
        };
        assert!(
            refused
                .downcast::<String>()
                .expect("words")
                .contains("no stack")
        );
        assert!(parked.len() > 100, "only {} fitted", parked.len());
        let before = beats.get();
        greenlet::sleep(Duration::from_millis(20));
        assert!(beats.get() > before, "the others run on");
        drop(vec![1_u8; 8 << 20]);
        for handle in parked {
            assert!(handle.kill());
        }
    }
    assert!(beat.kill());
}

/// Who is never started costs nothing more: there is no memory for it.
#[test]
fn a_million_without_stacks_whose_handles_are_kept_are_told() {
    if greenlet::BACKEND == "baton"
        || !in_a_child("a_million_without_stacks_whose_handles_are_kept_are_told")
    {
        return;
    }
    const MILLION: usize = 1_000_000;
    let handles: Vec<_> = (0..MILLION)
        .map(|_| greenlet::spawn(greenlet::thread::park))
        .collect();
    limit_address_space(256 << 20);
    greenlet::yield_now();
    let (told, parked): (Vec<_>, Vec<_>) = handles
        .into_iter()
        .partition(greenlet::JoinHandle::is_finished);
    assert!(parked.len() > 100, "only {} fitted", parked.len());
    assert!(told.len() > MILLION / 2, "only {} were told", told.len());
    for handle in told {
        let payload = handle.join().expect_err("there is no stack");
        let words = payload.downcast::<String>().expect("words");
        assert!(words.contains(" could not be started"), "{words}");
    }
    for handle in parked {
        assert!(handle.kill());
    }
}

/// What is spawned and not refused has what it needs to be started, killed and joined.
#[test]
fn a_million_spawns_without_memory_are_errors_and_the_others_go_on() {
    if greenlet::BACKEND == "baton"
        || !in_a_child("a_million_spawns_without_memory_are_errors_and_the_others_go_on")
    {
        return;
    }
    const MILLION: usize = 1_000_000;
    let ran = Rc::new(Cell::new(0));
    let spawn = |number: usize| {
        let ran = ran.clone();
        greenlet::thread::Builder::new().spawn(move || {
            ran.set(ran.get() + 1);
            number
        })
    };
    let mut handles = Vec::with_capacity(MILLION);
    spawn(0).expect("memory").join().expect("a stack");
    limit_address_space(256 << 20);
    for number in 0..MILLION {
        match spawn(number) {
            Ok(handle) => handles.push(handle),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory),
        }
    }
    let spawned = handles.len();
    assert!(spawned > 100_000 && spawned < MILLION, "{spawned}");
    assert_eq!(Rc::strong_count(&ran), spawned + 1, "closures are dropped");
    for number in (1..spawned).rev().step_by(2) {
        assert!(handles.swap_remove(number).kill());
    }
    handles.push(spawn(0).expect("memory of those that were killed"));
    ran.set(0);
    let left = handles.len();
    for handle in handles {
        handle.join().expect("they use one stack");
    }
    assert_eq!(ran.get(), left);
    assert_eq!(spawn(7).expect("memory").join().expect("a stack"), 7);
}

/// Whatever is made of greenlets, and however large: it can be refused, and all that was made before can go on.
#[test]
fn nothing_that_is_spawned_takes_the_last_memory() {
    if greenlet::BACKEND == "baton" || !in_a_child("nothing_that_is_spawned_takes_the_last_memory")
    {
        return;
    }
    let words = |attempt: &mut dyn FnMut()| {
        let payload = catch_unwind(AssertUnwindSafe(attempt)).expect_err("no memory");
        payload.downcast_ref::<String>().expect("words").clone()
    };
    static ELSEWHERE: AtomicBool = AtomicBool::new(false);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().expect("it is known").file();
        ELSEWHERE.store(!place.ends_with("exhaustion.rs"), Relaxed);
    }));
    greenlet::spawn(|| ()).join().expect("a stack");
    limit_address_space(200 << 20);
    let spawned = |attempt: &mut dyn FnMut() -> greenlet::JoinHandle<()>| {
        let mut handles = vec![];
        let told = words(&mut || {
            loop {
                handles.push(attempt());
            }
        });
        assert!(
            told.starts_with("no memory for another greenlet, "),
            "{told}"
        );
        assert!(told.contains("exhaustion.rs:"), "{told}");
        assert!(handles.len() > 1000, "{}", handles.len());
        assert!(handles[0].kill());
        handles
            .into_iter()
            .skip(1)
            .for_each(|handle| handle.join().expect("a stack"));
    };
    spawned(&mut || greenlet::spawn(|| ()));
    let large = [1_u8; 3000];
    spawned(&mut || greenlet::spawn(move || assert!(large.iter().all(|&byte| byte == 1))));
    let group = greenlet::group::Group::new();
    spawned(&mut || group.spawn(|| ()));
    group.join_all().expect("all have ended");
    let named = || {
        let builder = greenlet::thread::Builder::new().name("one of many".into());
        builder.spawn(|| ())
    };
    let named: Vec<_> = std::iter::repeat_with(named)
        .map_while(Result::ok)
        .collect();
    assert!(named.len() > 1000, "{}", named.len());
    named
        .into_iter()
        .for_each(|handle| handle.join().expect("a stack"));
    let lines = Cell::new(0_usize);
    let scoped = Cell::new(0);
    let told = words(&mut || {
        greenlet::scope(|scope| {
            loop {
                scope.spawn(|| lines.set(lines.get() + 1));
                scoped.set(scoped.get() + 1);
            }
        })
    });
    assert!(
        told.starts_with("no memory for another greenlet, "),
        "{told}"
    );
    assert!(scoped.get() > 1000 && lines.get() == 0, "all were killed");
    let pending = || Greenlet::<()>::builder().try_build(|()| ());
    let mut pending: Vec<_> = std::iter::repeat_with(pending)
        .map_while(Result::ok)
        .collect();
    let told = words(&mut || pending.push(Greenlet::new(|()| ())));
    assert!(told.starts_with("cannot build this greenlet: "), "{told}");
    assert!(!ELSEWHERE.load(Relaxed), "who has called is named");
    pending.iter().for_each(|greenlet| greenlet.switch(()));
    drop(pending);
    greenlet::spawn(|| ()).join().expect("all memory is back");
}

/// Large closures are no blocks of a known size, and leave as much.
#[test]
fn large_closures_leave_what_others_were_promised() {
    const NAME: &str = "large_closures_leave_what_others_were_promised";
    if greenlet::BACKEND == "baton" || !in_a_child(NAME) {
        return;
    }
    // For a thread glibc's allocator reserves 64 MiB at a time, which nobody else can have then.
    #[cfg(target_env = "gnu")]
    // SAFETY: a setting of the allocator, in a process that has one thread for this.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
    // A debug build moves them more than once.
    let thread = std::thread::Builder::new().stack_size(16 << 20);
    let ended = thread.spawn(|| {
        greenlet::spawn(|| ()).join().expect("a stack");
        let small: Vec<_> = (0..140_000).map(|_| greenlet::spawn(|| ())).collect();
        let bytes = [1_u8; 600_000];
        let large = || greenlet::thread::Builder::new().spawn(move || bytes.len());
        limit_address_space(80 << 20);
        let large: Vec<_> = std::iter::repeat_with(large)
            .map_while(Result::ok)
            .collect();
        assert!(!large.is_empty() && large.len() < 40, "{}", large.len());
        assert!(small[0].kill() && large.iter().all(|handle| handle.kill()));
        for handle in small.into_iter().skip(1) {
            handle.join().expect("a stack");
        }
    });
    ended.expect("a thread").join().expect("no panic");
}

/// Control blocks that are there are enough for those who need some.
#[test]
fn what_is_there_already_is_not_asked_for_again() {
    const NAME: &str = "what_is_there_already_is_not_asked_for_again";
    if greenlet::BACKEND == "baton" || !in_a_child(NAME) {
        return;
    }
    let many = || (0..300_000).map(|_| greenlet::spawn(|| ()));
    let ended: Vec<_> = many().collect();
    assert!(ended.iter().all(|handle| handle.kill()));
    greenlet::yield_now();
    drop(ended);
    let ready: Vec<_> = many().collect();
    limit_address_space(48 << 20);
    for handle in ready {
        handle.join().expect("one stack for all");
    }
}

/// All but a control block may be there from before.
#[test]
fn what_is_there_already_is_not_all_that_is_needed() {
    const NAME: &str = "what_is_there_already_is_not_all_that_is_needed";
    if greenlet::BACKEND == "baton" || !in_a_child(NAME) {
        return;
    }
    let spawn = || greenlet::thread::Builder::new().spawn(|| ());
    let many = || std::iter::repeat_with(spawn).take(300_000);
    let ended: Vec<_> = many().map(|handle| handle.expect("memory")).collect();
    for handle in ended {
        handle.join().expect("one stack for all");
    }
    let mut handles = Vec::with_capacity(300_000);
    limit_address_space(60 << 20);
    handles.extend(many().map_while(Result::ok));
    let spawned = handles.len();
    assert!(spawned > 10_000 && spawned < 300_000, "{spawned}");
    assert!(handles[0].kill());
    for handle in handles.drain(1..) {
        handle.join().expect("one stack for all");
    }
}

/// Nobody has had a stack before.
#[test]
fn those_who_do_not_wait_run_one_after_the_other() {
    const NAME: &str = "those_who_do_not_wait_run_one_after_the_other";
    if greenlet::BACKEND == "baton" || !in_a_child(NAME) {
        return;
    }
    let bytes = [1_u8; 3000];
    let spawn = || greenlet::thread::Builder::new().spawn(move || bytes.len());
    let mut handles = Vec::with_capacity(100_000);
    limit_address_space(70 << 20);
    handles.extend(std::iter::repeat_with(spawn).map_while(Result::ok));
    assert!(handles.len() > 1000, "{}", handles.len());
    for handle in handles {
        assert_eq!(handle.join().expect("a stack"), 3000);
    }
}

/// A closure that never runs is dropped, and what it drops may end others: each is told what is its own.
#[test]
fn the_words_for_one_that_cannot_begin_are_for_that_one() {
    /// Kills another one that has not begun, and says whether that is what it has died of.
    struct Ends(
        Rc<RefCell<Option<greenlet::JoinHandle<()>>>>,
        Rc<Cell<bool>>,
    );
    impl Drop for Ends {
        fn drop(&mut self) {
            if let Some(other) = self.0.take() {
                assert!(other.kill());
                let died = other.join().expect_err("it was killed");
                self.1.set(died.is::<greenlet::GreenletExit>());
            }
        }
    }
    if greenlet::BACKEND == "baton"
        || !in_a_child("the_words_for_one_that_cannot_begin_are_for_that_one")
    {
        return;
    }
    let large = || greenlet::thread::Builder::new().stack_size(512 << 20);
    greenlet::spawn(|| ()).join().expect("a stack");
    limit_address_space(256 << 20);
    let (other, killed) = (Rc::default(), Rc::new(Cell::new(false)));
    let ends = Ends(Rc::clone(&other), killed.clone());
    let first = large().spawn(move || drop(ends)).expect("a size");
    *other.borrow_mut() = Some(greenlet::spawn(|| ()));
    let outcome = first.join().expect_err("there is no stack");
    assert!(killed.get());
    let words = outcome.downcast::<String>().expect("words");
    assert!(
        words.contains("could not be started, as there is no stack"),
        "{words}"
    );
}

#[test]
fn one_that_cannot_begin_and_is_joined_by_nobody_is_reported() {
    const NAME: &str = "one_that_cannot_begin_and_is_joined_by_nobody_is_reported";
    if greenlet::BACKEND == "baton" {
        return;
    }
    if std::env::var(SCENARIO).as_deref() != Ok(NAME) {
        let text = stderr_of_a_child(NAME);
        let told = "nobody joined it: greenlet 'big' (#";
        assert_eq!(text.matches(told).count(), 2, "{text}");
        return;
    }
    let large = || {
        let builder = greenlet::thread::Builder::new().name("big".into());
        builder.stack_size(512 << 20)
    };
    greenlet::spawn(|| ()).join().expect("a stack");
    limit_address_space(256 << 20);
    drop(large().spawn(|| ()).expect("a size"));
    let kept = large().spawn(|| ()).expect("a size");
    greenlet::yield_now();
    drop(kept);
}

/// Whoever waits in the middle of an unwinding takes its share of std's panic count along, and needs a thread for that,
/// once. Without one it seems to others that they unwind as well: what is to be raised in them comes late, but it comes.
#[test]
fn without_a_thread_to_be_had_whoever_waits_in_an_unwinding_delays_kills_and_time_limits() {
    let name =
        "without_a_thread_to_be_had_whoever_waits_in_an_unwinding_delays_kills_and_time_limits";
    if greenlet::BACKEND == "baton" || !in_a_child(name) {
        return;
    }
    /// Waits for an event when it is dropped.
    struct Waits(Rc<Event>);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    let unwinds_until = |go_on: &Rc<Event>| {
        let waits = Waits(go_on.clone());
        let unwinds = greenlet::spawn(move || {
            let _waits = waits;
            std::panic::resume_unwind(Box::new("planted"))
        });
        greenlet::yield_now();
        unwinds
    };
    const LONG: Duration = Duration::from_secs(3600);
    // There are stacks for some.
    greenlet::spawn(|| ()).join().unwrap();
    limit_address_space(1 << 20);
    std::thread::Builder::new().spawn(|| ()).unwrap_err();
    for _ in 0..3 {
        let go_on = Rc::new(Event::new());
        let unwinds = unwinds_until(&go_on);
        assert!(std::thread::panicking(), "its share stays where it is");
        let parks = greenlet::spawn(|| greenlet::sleep(LONG));
        let limited =
            greenlet::spawn(|| timeout(Duration::from_millis(1), || greenlet::sleep(LONG)));
        greenlet::yield_now();
        parks.start_kill();
        greenlet::sleep(Duration::from_millis(5));
        assert!(!parks.is_finished() && !limited.is_finished());
        let again = unwinds_until(&go_on);
        go_on.set();
        assert!(unwinds.join().is_err() && again.join().is_err());
        assert!(parks.join().unwrap_err().is::<greenlet::GreenletExit>());
        assert_eq!(limited.join().unwrap(), Err(Elapsed));
        assert!(!std::thread::panicking());
    }
    // There is one again, and nobody whose share has stayed.
    limit_address_space(1 << 30);
    let go_on = Rc::new(Event::new());
    let unwinds = unwinds_until(&go_on);
    assert!(!std::thread::panicking());
    go_on.set();
    assert!(unwinds.join().is_err());
}
