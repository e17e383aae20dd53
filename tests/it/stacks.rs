//! Sizes, pools and figures of stacks.

use std::io::ErrorKind;

use greenlet::{Greenlet, current, stack_stats, trim_stacks};

use crate::support::{caught, complaint, doubler, own_stacks, raise, run};

#[inline(never)]
fn use_stack(bytes: usize) -> usize {
    let block = std::hint::black_box([1_u8; 4096]);
    if bytes <= 4096 {
        usize::from(block[0])
    } else {
        use_stack(bytes - 4096) + usize::from(std::hint::black_box(&block)[7])
    }
}

#[test]
fn a_stack_is_as_large_as_was_asked_for() {
    run(|| {
        for kib in [64, 256, 1024, 8192] {
            let bytes = kib * 1024;
            let g = Greenlet::builder().stack_size(bytes).build(use_stack);
            assert!(g.switch(bytes / 3) >= 1);
        }
    });
}

#[test]
fn sizes_are_rounded_up_to_pages() {
    run(|| {
        let g = Greenlet::builder().stack_size(100_001).build(|x: i32| x);
        assert_eq!(g.switch(1), 1);
    });
}

#[test]
fn sizes_out_of_range_are_refused_with_the_range() {
    run(|| {
        for bytes in [0, 1, 4096, (1 << 30) + 1, usize::MAX] {
            let error = Greenlet::builder()
                .stack_size(bytes)
                .try_build(|x: i32| x)
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("1073741824"), "{error}");
            let error = Greenlet::<()>::builder()
                .stack_size(bytes)
                .try_declare()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        let words = complaint(|| Greenlet::builder().stack_size(0).build(|x: i32| x));
        assert!(words.starts_with("cannot build this greenlet"), "{words}");
        assert_eq!(greenlet::alive(), 0);
    });
}

#[test]
fn the_smallest_stack_that_is_allowed_is_enough_for_a_switch() {
    if !own_stacks() {
        return;
    }
    run(|| {
        let smallest = (1..64)
            .map(|pages| pages * 4096)
            .find(|&bytes| {
                Greenlet::builder()
                    .stack_size(bytes)
                    .try_build(|x: i32| x)
                    .is_ok()
            })
            .unwrap();
        let main = current::<i32>();
        let g = Greenlet::builder()
            .stack_size(smallest)
            .build(move |x| main.switch(x));
        assert_eq!((g.switch(1), g.switch(2)), (1, 2));
    });
}

#[test]
fn a_pending_greenlet_has_no_stack() {
    run(|| {
        let all: Vec<_> = (0..100).map(|_| doubler()).collect();
        assert_eq!(stack_stats().in_use, 0);
        all[0].switch(1);
        assert_eq!(stack_stats().in_use, 1);
    });
}

#[test]
fn the_stack_of_a_dead_greenlet_is_free_at_once_though_a_handle_lives() {
    run(|| {
        let g = doubler();
        g.switch(1);
        let pooled = stack_stats().pooled;
        g.kill();
        assert_eq!(stack_stats().in_use, 0);
        if own_stacks() {
            assert_eq!(stack_stats().pooled, pooled + 1);
        }
        let failed = Greenlet::new(|()| raise("x"));
        caught(|| failed.switch(()));
        assert_eq!(stack_stats().in_use, 0);
        assert!(g.is_dead() && failed.is_dead());
    });
}

#[test]
fn a_stack_is_used_again_by_the_next_greenlet() {
    if !own_stacks() {
        return;
    }
    run(|| {
        fn address() -> usize {
            let local = 0_u8;
            std::ptr::from_ref(&local).addr()
        }
        let place = || Greenlet::new(|_: usize| address()).switch(0);
        let first = place();
        assert!((0..10).all(|_| place() == first));
        assert_eq!(stack_stats().pooled, 1);
    });
}

#[test]
fn stacks_of_each_size_have_a_pool_of_their_own() {
    if !own_stacks() {
        return;
    }
    run(|| {
        for kib in [64, 128, 64, 128, 256] {
            Greenlet::builder()
                .stack_size(kib * 1024)
                .build(|()| ())
                .switch(());
        }
        assert_eq!(stack_stats().pooled, 3);
    });
}

#[test]
fn address_space_is_counted_with_its_guards() {
    if !own_stacks() {
        return;
    }
    run(|| {
        doubler().switch(1);
        let stats = stack_stats();
        assert!(stats.reserved >= 256 * 1024 + 64 * 1024);
    });
}

#[test]
fn a_trim_gives_memory_back_and_stacks_stay_good() {
    if !own_stacks() {
        return;
    }
    run(|| {
        let all: Vec<_> = (0..20).map(|_| doubler()).collect();
        all.iter().for_each(|g| assert_eq!(g.switch(2), 4));
        drop(all);
        let before = stack_stats();
        trim_stacks();
        let after = stack_stats();
        assert_eq!(after.trimmed, before.trimmed + 20);
        assert_eq!(after.pooled, 20);
        let again: Vec<_> = (0..20).map(|_| doubler()).collect();
        again.iter().for_each(|g| assert_eq!(g.switch(3), 6));
        assert_eq!(stack_stats().pooled, 0);
    });
}

#[test]
fn a_large_pool_forgets_memory_by_itself() {
    if !own_stacks() {
        return;
    }
    run(|| {
        let all: Vec<_> = (0..200).map(|_| doubler()).collect();
        all.iter().for_each(|g| assert_eq!(g.switch(2), 4));
        drop(all);
        assert_eq!(stack_stats().pooled, 200);
        // Nobody needs them for one period, and then another.
        let begin = std::time::Instant::now();
        while stack_stats().trimmed == 0 {
            assert!(begin.elapsed() < std::time::Duration::from_secs(10));
            greenlet::sleep(std::time::Duration::from_millis(500));
        }
        assert_eq!(stack_stats().pooled, 200);
    });
}

#[test]
fn what_is_on_a_stack_is_not_disturbed_by_its_neighbours() {
    run(|| {
        let main = current::<u8>();
        let count = if own_stacks() { 100 } else { 30 };
        let all: Vec<_> = (0..count)
            .map(|n| {
                let main = main.clone();
                Greenlet::builder().stack_size(64 * 1024).build(move |_| {
                    let block = std::hint::black_box([n; 16 * 1024]);
                    main.switch(n);
                    u8::from(block.iter().all(|&byte| byte == n))
                })
            })
            .collect();
        all.iter().for_each(|g| {
            g.switch(0);
        });
        assert!(all.iter().all(|g| g.switch(0) == 1));
    });
}

#[test]
fn twenty_thousand_suspended_greenlets_fit() {
    if !own_stacks() {
        return;
    }
    run(|| {
        let main = current::<u32>();
        let all: Vec<_> = (0..20_000_u32)
            .map(|n| {
                let main = main.clone();
                let g = Greenlet::builder()
                    .stack_size(32 * 1024)
                    .build(move |x| main.switch(x) + n);
                g.switch(n);
                g
            })
            .collect();
        assert_eq!(stack_stats().in_use, 20_000);
        assert!(
            all.iter()
                .enumerate()
                .all(|(n, g)| g.switch(1) == n as u32 + 1)
        );
    });
}

/// Below the frame that calls this, so much of the stack is looked at.
const PAINTED: usize = 16 * 1024;
const PAINT: u8 = 0xA5;
/// So much of it is left alone: the frames that paint and look. It counts as used.
const OURS: usize = if cfg!(debug_assertions) { 512 } else { 192 };

/// Paints the stack below the caller, as far as nobody stands there.
#[inline(never)]
fn paint() {
    let here = std::hint::black_box(0_u8);
    let top = std::ptr::from_ref(&here).cast_mut().wrapping_sub(OURS);
    for down in 0..PAINTED {
        // SAFETY: below every frame, and above the end of a stack that is 256 KiB large and was just begun.
        unsafe { top.wrapping_sub(down).write_volatile(PAINT) };
    }
}

/// How far below the caller the paint has gone.
#[inline(never)]
fn depth_of_use() -> usize {
    let here = std::hint::black_box(0_u8);
    let top = std::ptr::from_ref(&here).cast_mut().wrapping_sub(OURS);
    // SAFETY: as in `paint`.
    let is_painted = |down: &usize| unsafe { top.wrapping_sub(*down).read_volatile() } == PAINT;
    let untouched = (0..PAINTED).rev().take_while(is_painted).count();
    PAINTED - untouched + OURS
}

/// Keeps the frame of `call` out of the caller's.
#[inline(never)]
fn below(call: &mut dyn FnMut()) {
    call();
}

/// How much stack `call` takes, in a greenlet of its own, when what it needs once has been made.
fn stack_use(mut call: impl FnMut() + 'static) -> usize {
    let greenlet = greenlet::spawn(move || {
        below(&mut call);
        (0..5)
            .map(|_| {
                paint();
                below(&mut call);
                depth_of_use()
            })
            .min()
            .unwrap()
    });
    greenlet.join().unwrap()
}

/// What stays on the stack of one who waits decides how many of them fit into memory.
#[cfg(target_arch = "x86_64")]
#[test]
fn waiting_takes_a_kibibyte_of_stack_at_most() {
    use greenlet::os::unix::net::UnixStream;
    use greenlet::{sleep, spawn, time, yield_now};
    use std::io::{Read, Write};
    use std::time::Duration;

    // Nothing is inlined without optimisation, and every value has a place of its own.
    let most = if cfg!(debug_assertions) {
        8 * 1024
    } else {
        1024
    };
    if !own_stacks() {
        return;
    }
    run(move || {
        let canary = stack_use(|| {
            std::hint::black_box([1_u8; 3000]);
        });
        assert!((3000..8000).contains(&canary), "{canary} bytes");
        // Somebody else is ready whenever one waits, who polls on its own stack and not there.
        let other = spawn(|| {
            loop {
                yield_now();
            }
        });
        let echoing = || {
            let (near, mut far) = UnixStream::pair().unwrap();
            let echo = spawn(move || {
                let mut byte = [0];
                while far.read(&mut byte).unwrap() > 0 {
                    far.write_all(&byte).unwrap();
                }
            });
            drop(echo);
            near
        };
        let mut near = echoing();
        let read = stack_use(move || {
            near.write_all(&[1]).unwrap();
            near.read_exact(&mut [0]).unwrap();
        });
        let mut near = echoing();
        let limited = stack_use(move || {
            near.write_all(&[1]).unwrap();
            let limit = Duration::from_secs(60);
            time::timeout(limit, || near.read_exact(&mut [0]))
                .unwrap()
                .unwrap();
        });
        let figures = [
            ("yield", stack_use(yield_now)),
            ("sleep", stack_use(|| sleep(Duration::from_micros(1)))),
            ("join", stack_use(|| spawn(|| ()).join().unwrap())),
            ("read", read),
            ("read under a limit", limited),
        ];
        eprintln!("stack below the caller, in bytes: {figures:?}");
        for (what, used) in figures {
            assert!(used <= most, "{what}: {used} bytes");
        }
        other.kill();
        // The echoes end.
        while greenlet::alive() > 0 {
            sleep(Duration::from_millis(1));
        }
    });
}
