//! Who keeps a thread is named, with what it does.

use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use greenlet::{monitor, sleep, spawn, thread, yield_now};

use crate::support::{asks, complaint, emulated, run};

const MS: Duration = Duration::from_millis(1);

/// Whether the calls of who runs are known in this build.
fn walks() -> bool {
    asks() && greenlet::BACKEND == "direct"
}

#[inline(never)]
fn computes_for(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        // Mostly here, and not in the clock: musl does not say how that returns.
        (0..1000).for_each(|_| std::hint::spin_loop());
    }
}

/// The first report about a thread with this name.
fn first_of(reports: &mpsc::Receiver<(Option<String>, String)>) -> String {
    let me = std::thread::current().name().map(str::to_owned);
    let mine = |(thread, text)| (thread == me).then_some(text);
    reports.iter().find_map(mine).unwrap()
}

fn watch(limit: Duration) -> (monitor::Watch, mpsc::Receiver<(Option<String>, String)>) {
    let (send, reports) = mpsc::channel();
    let watch = monitor::watch_with(limit, move |hog| {
        assert!(hog.kept() > limit);
        let _ = send.send((hog.thread().map(str::to_owned), hog.to_string()));
    });
    (watch.unwrap(), reports)
}

#[test]
fn who_computes_for_too_long_is_named() {
    if !asks() {
        return;
    }
    run(|| {
        let (_watch, reports) = watch(20 * MS);
        let hog = thread::Builder::new().name("keeps it".into());
        let hog = hog.spawn(|| computes_for(2000 * MS)).unwrap();
        let reported = greenlet::offload(move || {
            let report = reports.iter().find(|(_, text)| text.contains("'keeps it'"));
            report.unwrap().1
        });
        assert!(reported.contains("greenlet 'keeps it' (#"), "{reported}");
        assert!(
            reported.contains("has kept thread 'monitor::who"),
            "{reported}"
        );
        let named = reported.lines().any(|line| line.ends_with("computes_for"));
        assert_eq!(walks(), named, "{reported}");
        assert!(
            reported.contains("(spawned at tests/it/monitor.rs:"),
            "{reported}"
        );
        hog.join().unwrap();
    });
}

#[test]
fn who_blocks_in_a_system_call_is_named_with_the_call() {
    if !asks() {
        return;
    }
    run(|| {
        let parked = spawn(thread::park);
        yield_now();
        let (_watch, reports) = watch(20 * MS);
        std::thread::sleep(1500 * MS);
        let report = first_of(&reports);
        assert!(report.contains("the main greenlet (#"), "{report}");
        // Not every system tells, and an emulator has the numbers of another machine.
        if report.contains("in the system call") && !emulated() {
            assert!(
                report.contains("in the system call clock_nanosleep"),
                "{report}"
            );
        }
        let calls = report.lines().skip(1).collect::<String>();
        let named = calls.contains("who_blocks_in_a_system_call");
        // musl does not say how its system calls return, and an optimised closure has no name.
        let told = walks() && !cfg!(target_env = "musl");
        assert!(told == named || !cfg!(debug_assertions), "{report}");
        parked.kill();
    });
}

#[test]
fn a_hog_is_reported_once() {
    if !asks() {
        return;
    }
    run(|| {
        let parked = spawn(thread::park);
        yield_now();
        let (watch, reports) = watch(10 * MS);
        computes_for(1500 * MS);
        drop(watch);
        sleep(50 * MS);
        let me = std::thread::current().name().map(str::to_owned);
        let mine = reports.try_iter().filter(|(thread, _)| *thread == me);
        assert!(mine.count() <= 1);
        parked.kill();
    });
}

#[test]
fn who_waits_or_is_alone_keeps_nobody() {
    if !asks() {
        return;
    }
    run(|| {
        // A busy machine keeps a thread for a while by itself.
        let (watch, reports) = watch(1000 * MS);
        computes_for(1600 * MS);
        let waits = spawn(|| sleep(1600 * MS));
        waits.join().unwrap();
        drop(watch);
        let me = std::thread::current().name().map(str::to_owned);
        let mine: Vec<_> = reports
            .try_iter()
            .filter(|(thread, _)| *thread == me)
            .collect();
        assert!(mine.is_empty(), "{mine:?}");
    });
}

#[test]
fn a_callback_that_panics_is_survived_and_two_watches_are_two() {
    if !asks() {
        return;
    }
    run(|| {
        let parked = spawn(thread::park);
        yield_now();
        let _panics = monitor::watch_with(10 * MS, |_| panic!("out of a callback")).unwrap();
        let (_watch, reports) = watch(10 * MS);
        computes_for(1200 * MS);
        first_of(&reports);
        yield_now();
        computes_for(1200 * MS);
        parked.kill();
    });
}

#[test]
fn a_limit_of_zero_is_refused() {
    let error = monitor::watch(MS).err();
    let unsupported = error.map(|error| error.kind() == io::ErrorKind::Unsupported);
    assert_eq!(unsupported, (!asks()).then_some(true));
    let error = monitor::watch(Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn code_that_must_not_block_is_caught_when_it_does() {
    run(|| {
        assert_eq!(monitor::assert_no_blocking(1000 * MS, || 7), 7);
        monitor::assert_no_blocking(1000 * MS, || sleep(1600 * MS));
        if asks() {
            let words =
                complaint(|| monitor::assert_no_blocking(20 * MS, || computes_for(1500 * MS)));
            assert!(
                words.contains("the thread was kept for more than 20ms"),
                "{words}"
            );
            assert_eq!(walks(), words.contains("computes_for"), "{words}");
            let by_others = complaint(|| {
                monitor::assert_no_blocking(20 * MS, || {
                    spawn(|| computes_for(1500 * MS)).join().unwrap();
                });
            });
            assert!(by_others.contains("greenlet #"), "{by_others}");
        }
    });
}

#[test]
fn lateness_is_counted_while_it_is_asked_for() {
    run(|| {
        monitor::record_lateness(true);
        let late = spawn(|| sleep(MS));
        yield_now();
        computes_for(40 * MS);
        late.join().unwrap();
        let lateness = monitor::lateness();
        assert!(lateness.count() >= 1);
        assert!(lateness.quantile(1.0) >= 32 * MS, "{lateness}");
        assert!(lateness.to_string().contains("late: "), "{lateness}");
        monitor::record_lateness(false);
        let before = monitor::lateness();
        sleep(MS);
        assert_eq!(monitor::lateness(), before);
        assert!(before.quantile(0.0) <= before.quantile(0.5));
    });
}
