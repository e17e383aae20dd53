//! What the tests in `main.rs` run in processes of their own: `program SCENARIO`. It is a program and no
//! test, because `main` must be the real one; `main.rs` lets cargo build it.

mod alone;
mod circle;
mod hub;
mod knot;

use std::arch::asm;
use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::mpsc;
use std::thread;

use greenlet::{Generator, Greenlet, GreenletExit, SwitchError, current};

fn main() {
    let scenario = std::env::args().nth(1).unwrap_or_default();
    match &*scenario {
        "overflow_small_frames" => overflow(small_frames),
        "overflow_page_frames" => overflow(page_frames),
        "overflow_huge_frame" => overflow(huge_frame),
        "overflow_unprobed" => overflow(unprobed),
        "overflow_in_destructor" => overflow_in_destructor(),
        "overflow_in_generator" => overflow_in_generator(),
        "overflow_nested" => overflow_nested(),
        "overflow_unnamed" => overflow_unnamed(),
        "overflow_in_pthread" => in_pthread(|| overflow(small_frames)),
        "overflow_in_worker" => thread::spawn(|| overflow(page_frames)).join().unwrap(),
        "overflow_of_thread" => overflow_of_thread(),
        "overflow_of_main" => overflow_of_main(),
        "overflow_with_handler" => {
            install_handler();
            overflow(small_frames);
        }
        "fault_inside" => fault_inside(),
        "fault_outside" => fault_outside(),
        "fault_inside_with_handler" => {
            install_handler();
            fault_inside();
        }
        "fault_outside_with_handler" => {
            install_handler();
            fault_outside();
        }
        "exit_from_main" => {
            let _greenlets = suspended(3);
            process::exit(3);
        }
        "exit_from_greenlet" => exit_from_greenlet(),
        "return_with_one" => leave_to_the_end(suspended(1)),
        "return_with_many" => leave_to_the_end(suspended(50)),
        "return_with_nested" => return_with_nested(),
        "return_with_deep" => return_with_deep(),
        "return_with_pending" => return_with_pending(),
        "return_with_workers" => return_with_workers(),
        "worker_ends" => thread::spawn(|| leave_to_the_end(suspended(3)))
            .join()
            .unwrap(),
        "pthread_ends" => in_pthread(|| leave_to_the_end(suspended(3))),
        "atexit" => atexit(),
        "late_local_of_main" => late_local(),
        "late_local_of_thread" => thread::spawn(late_local).join().unwrap(),
        "cleanup_switches" => thread::spawn(cleanup_switches).join().unwrap(),
        "cleanup_panics" => thread::spawn(cleanup_panics).join().unwrap(),
        "stubborn" => thread::spawn(stubborn).join().unwrap(),
        "foreign_exception" => foreign_exception(),
        "panic_in_destructor" => panic_in_destructor(),
        "without_unwinding" => without_unwinding(),
        _ => {
            let of_modules = [hub::run, circle::run, knot::run, alone::run];
            let known = of_modules.iter().any(|run| run(&scenario));
            assert!(known, "no scenario: {scenario:?}");
        }
    }
    say("main returns");
}

/// Prints a line, whatever has been torn down.
fn say(line: &str) {
    let line = format!("{line}\n");
    // SAFETY: the bytes are initialised.
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
}

/// Says that it is dropped.
struct Noisy(String);

impl Drop for Noisy {
    fn drop(&mut self) {
        say(&format!("{} is gone", self.0));
    }
}

thread_local! {
    static KEPT: RefCell<Vec<Greenlet>> = const { RefCell::new(Vec::new()) };
}

/// Leaks handles, so that the end of the thread is what ends the greenlets.
fn leave_to_the_end(greenlets: Vec<Greenlet>) {
    std::mem::forget(greenlets);
}

fn suspended(count: usize) -> Vec<Greenlet> {
    let main = current::<()>();
    let make = |number| {
        let main = main.clone();
        let greenlet = Greenlet::new(move |()| {
            let _noisy = Noisy(format!("{number}"));
            main.switch(());
        });
        greenlet.switch(());
        greenlet
    };
    (0..count).map(make).collect()
}

// ---- overflow

#[inline(never)]
fn small_frames() {
    small_frame(1);
}

#[allow(unconditional_recursion)]
#[inline(never)]
fn small_frame(n: u64) -> u64 {
    black_box(n) + small_frame(black_box(n + 1)) + 1
}

#[allow(unconditional_recursion)]
#[inline(never)]
fn page_frames() {
    let mut frame = [1_u8; 4096];
    black_box(&mut frame);
    page_frames();
    black_box(&mut frame);
}

#[inline(never)]
fn huge_frame() {
    let mut frame = [1_u8; 1 << 20];
    black_box(&mut frame);
}

/// As C code does with `alloca` when it is compiled without stack probes: steps of less than the guard.
#[inline(never)]
fn unprobed() {
    // SAFETY: it runs into the guard, and never returns.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "2:",
            "sub rsp, 61440",
            "mov byte ptr [rsp], 1",
            "jmp 2b",
            options(noreturn)
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "2:",
            "sub sp, sp, #15, lsl #12",
            "strb wzr, [sp]",
            "b 2b",
            options(noreturn)
        );
    }
}

/// Prints what the message is to name.
fn expect(who: &str, line: u32, kib: u32) {
    let file = file!();
    say(&format!(
        "greenlet {who}spawned at {file}:{line}) overflowed its {kib} KiB stack; ask for more with Builder::stack_size"
    ));
}

fn overflow(by: fn()) {
    let builder = Greenlet::builder().name("eater").stack_size(64 * 1024);
    let (greenlet, line) = (builder.build(move |()| by()), line!());
    expect(&format!("'eater' ({}, ", greenlet.id()), line, 64);
    greenlet.switch(());
}

fn overflow_unnamed() {
    let (greenlet, line) = (Greenlet::new(|()| small_frames()), line!());
    expect(&format!("{} (", greenlet.id()), line, 256);
    greenlet.switch(());
}

fn overflow_in_destructor() {
    struct Eater;
    impl Drop for Eater {
        fn drop(&mut self) {
            page_frames();
        }
    }
    let main = current::<()>();
    let body = move |()| {
        let _eater = Eater;
        main.switch(());
    };
    let builder = Greenlet::builder().name("dying").stack_size(128 * 1024);
    let (greenlet, line) = (builder.build(body), line!());
    expect(&format!("'dying' ({}, ", greenlet.id()), line, 128);
    greenlet.switch(());
    drop(greenlet);
}

fn overflow_in_generator() {
    let body = |y: greenlet::Yielder<u32>| {
        y.yield_(1);
        small_frames();
    };
    let (mut generator, line) = (Generator::new(body), line!());
    let debug = format!("{generator:?}");
    let id = debug.split(['#', ',']).nth(1).unwrap();
    expect(&format!("#{id} ("), line, 256);
    generator.next();
    generator.next();
}

fn overflow_nested() {
    let outer = Greenlet::builder().name("outer").build(|()| {
        overflow(small_frames);
    });
    outer.switch(());
}

fn overflow_of_thread() {
    let _greenlets = suspended(1);
    let plain = thread::Builder::new().name("plain".into());
    let plain = plain.spawn(|| {
        let _greenlets = suspended(1);
        small_frames();
    });
    plain.unwrap().join().unwrap();
}

fn overflow_of_main() {
    let _greenlets = suspended(1);
    small_frames();
}

fn in_pthread(run: fn()) {
    extern "C" fn start(run: *mut c_void) -> *mut c_void {
        // SAFETY: it is the function pointer from below.
        let run: fn() = unsafe { std::mem::transmute(run) };
        run();
        std::ptr::null_mut()
    }
    let mut thread = 0;
    // SAFETY: a thread with default attributes that runs `start`, and that is waited for.
    unsafe {
        let made = libc::pthread_create(&mut thread, std::ptr::null(), start, run as *mut c_void);
        assert_eq!(made, 0);
        libc::pthread_join(thread, std::ptr::null_mut());
    }
}

// ---- other faults

fn fault() {
    let nowhere = black_box(8 as *const u8);
    // SAFETY: none; this is the fault.
    black_box(unsafe { nowhere.read_volatile() });
}

fn fault_inside() {
    Greenlet::new(|()| fault()).switch(());
}

fn fault_outside() {
    let _greenlets = suspended(1);
    fault();
}

/// A handler for SIGSEGV that ends the process with 42, as a program may have it before it uses greenlets.
fn install_handler() {
    extern "C" fn handler(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
        // SAFETY: the kernel hands a valid record to it.
        let address = unsafe { (*info).si_addr() } as usize;
        say(&format!("handler: {address}"));
        // SAFETY: ends the process.
        unsafe { libc::_exit(42) };
    }
    // SAFETY: all-zero is a valid sigaction, completed here.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(
            libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()),
            0
        );
    }
}

// ---- the end of the process

fn exit_from_greenlet() {
    let greenlets = suspended(3);
    Greenlet::new(move |()| {
        let _noisy = Noisy("the one that exits".into());
        let _greenlets = greenlets;
        process::exit(4);
    })
    .switch(());
}

fn return_with_nested() {
    fn nest(depth: u32, main: Greenlet) {
        let _noisy = Noisy(format!("{depth}"));
        if depth == 0 {
            main.switch(());
            return;
        }
        let inner = Greenlet::new(move |()| nest(depth - 1, main));
        KEPT.with_borrow_mut(|kept| kept.push(inner.clone()));
        inner.switch(());
    }
    let main = current::<()>();
    let outer = Greenlet::new(move |()| nest(5, main));
    outer.switch(());
    leave_to_the_end(vec![outer]);
}

fn return_with_deep() {
    fn dive(depth: u32, main: &Greenlet) {
        let noisy = depth.is_multiple_of(100);
        let _noisy = noisy.then(|| Noisy(format!("{depth}")));
        if depth == 0 {
            main.switch(());
        } else {
            dive(depth - 1, main);
        }
    }
    let main = current::<()>();
    let builder = Greenlet::builder().stack_size(8 << 20);
    let greenlet = builder.build(move |()| dive(1000, &main));
    greenlet.switch(());
    leave_to_the_end(vec![greenlet]);
}

fn return_with_pending() {
    let noisy = Noisy("the body".into());
    let greenlet = Greenlet::new(move |()| drop(noisy));
    leave_to_the_end(vec![greenlet]);
}

/// The threads are still there, with suspended greenlets, when the process ends.
fn return_with_workers() {
    let (ready, wait) = mpsc::channel();
    for _ in 0..4 {
        let ready = ready.clone();
        thread::spawn(move || {
            let _greenlets = suspended(10);
            ready.send(()).unwrap();
            loop {
                thread::park();
            }
        });
    }
    (0..4).for_each(|_| wait.recv().unwrap());
}

fn atexit() {
    extern "C" fn handler() {
        use_what_is_gone(None);
    }
    // SAFETY: the handler does not unwind.
    assert_eq!(unsafe { libc::atexit(handler) }, 0);
    leave_to_the_end(suspended(1));
}

/// Uses greenlets where there are none any more.
fn use_what_is_gone(greenlet: Option<&Greenlet>) {
    std::panic::set_hook(Box::new(|_| {}));
    let panicked = |what: &str, f: &dyn Fn()| {
        let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it must panic");
        let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let text = text.unwrap();
        // Where it was called is not the same everywhere.
        let message = text.split(" (called at").next().unwrap();
        say(&format!("{what}: {message}"));
    };
    panicked("current", &|| drop(current::<()>()));
    panicked("new", &|| drop(Greenlet::new(|()| ())));
    if let Some(greenlet) = greenlet {
        panicked("switch", &|| greenlet.switch(()));
        match greenlet.try_switch(()) {
            Err(SwitchError::Refused { reason, .. }) => say(&format!("try_switch: {reason}")),
            _ => say("try_switch went through"),
        }
        say(&format!("is_dead: {}", greenlet.is_dead()));
    }
}

/// A thread-local whose destructor runs after that of the crate, because it is older.
fn late_local() {
    struct Late(RefCell<Option<Greenlet>>);
    impl Drop for Late {
        fn drop(&mut self) {
            use_what_is_gone(self.0.borrow().as_ref());
        }
    }
    thread_local! {
        static LATE: Late = const { Late(RefCell::new(None)) };
    }
    LATE.with(|_| ());
    let greenlet = suspended(1).remove(0);
    LATE.with(|late| late.0.replace(Some(greenlet)));
}

/// Destructors that switch, while the thread ends.
fn cleanup_switches() {
    struct Goodbye(Greenlet);
    impl Drop for Goodbye {
        fn drop(&mut self) {
            say("asks for help");
            self.0.switch(());
            say("was helped");
        }
    }
    let main = current::<()>();
    let helper = Greenlet::<()>::declare();
    let asker = Greenlet::new({
        let (helper, main) = (helper.clone(), main.clone());
        move |()| {
            let _goodbye = Goodbye(helper);
            main.switch(());
        }
    });
    let back = asker.downgrade();
    helper.define(move |()| {
        main.switch(());
        say("helps");
        back.upgrade().expect("it waits").switch(());
    });
    helper.switch(());
    asker.switch(());
    leave_to_the_end(vec![helper, asker]);
}

/// What a greenlet dies of while its thread ends is reported, and the others go on.
fn cleanup_panics() {
    let main = current::<()>();
    let greenlets = (0..3).map(|number| {
        let main = main.clone();
        let greenlet = Greenlet::new(move |()| {
            let _noisy = Noisy(format!("{number}"));
            let exit = catch_unwind(AssertUnwindSafe(|| main.switch(())));
            assert!(exit.is_err());
            std::panic::resume_unwind(Box::new(format!("the last words of {number}")));
        });
        greenlet.switch(());
        greenlet
    });
    leave_to_the_end(greenlets.collect());
}

fn stubborn() {
    let main = current::<()>();
    let greenlet = Greenlet::builder().name("mule").build(move |()| {
        loop {
            let exit = catch_unwind(AssertUnwindSafe(|| main.switch(())));
            assert!(exit.is_err_and(|payload| payload.is::<GreenletExit>()));
            say("no");
        }
    });
    greenlet.switch(());
    let mut greenlets = suspended(1);
    greenlets.push(greenlet);
    leave_to_the_end(greenlets);
}

// ---- unwinding

fn foreign_exception() {
    #[repr(C)]
    struct Exception {
        class: u64,
        cleanup: Option<extern "C" fn(c_int, *mut Exception)>,
        private: [usize; 6],
    }
    unsafe extern "C-unwind" {
        fn _Unwind_RaiseException(exception: *mut Exception) -> c_int;
    }
    let greenlet = Greenlet::new(|()| {
        let exception = Box::new(Exception {
            class: u64::from_be_bytes(*b"OTHRLANG"),
            cleanup: None,
            private: [0; 6],
        });
        // SAFETY: a valid exception object, never freed.
        unsafe { _Unwind_RaiseException(Box::into_raw(exception)) };
    });
    greenlet.switch(());
}

fn panic_in_destructor() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let main = current::<()>();
    let greenlet = Greenlet::new(move |()| {
        let _bomb = Bomb;
        main.switch(());
    });
    greenlet.switch(());
    greenlet.kill();
}

/// For `panic = "abort"`.
fn without_unwinding() {
    let main = current::<u32>();
    let doubler = Greenlet::builder().name("doubler").build({
        let main = main.clone();
        move |mut n| {
            loop {
                n = main.switch(2 * n);
            }
        }
    });
    say(&format!(
        "switches: {} {}",
        doubler.switch(4),
        doubler.switch(21)
    ));
    say(&format!("kill: {}", doubler.kill()));
    say(&format!("still there: {}", doubler.switch(5)));
    let pending = Greenlet::new(|n: u32| n);
    say(&format!("kill a pending one: {}", pending.kill()));
    let dropped = Greenlet::builder()
        .name("dropped")
        .build(move |n| main.switch(n));
    dropped.switch(1);
    drop(dropped);
    let squares = Generator::new(|y| (1..4).for_each(|n| y.yield_(n * n)));
    say(&format!("squares: {:?}", squares.collect::<Vec<u32>>()));
}
