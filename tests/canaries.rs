//! Planted faults. Each is compiled in by a `--cfg` of its own, and a detector must report it: a check that
//! can stop working in silence will.
//!
//! | `--cfg greenlet_canary=` | the fault | who must report it |
//! |---|---|---|
//! | `"uaf"` | memory read after it was freed, on the stack of a greenlet | AddressSanitizer, Miri |
//! | `"race"` | two OS threads write one place without order, from greenlets | ThreadSanitizer, Miri |

#[cfg(greenlet_canary = "uaf")]
#[test]
fn a_read_after_free_in_a_greenlet_is_reported() {
    let read = greenlet::Greenlet::new(|n: u64| {
        let freed = {
            let number = Box::new(n);
            std::hint::black_box(&raw const *number)
        };
        // SAFETY: none. This is the fault.
        unsafe { std::hint::black_box(freed.read_volatile()) }
    });
    read.switch(1);
}

#[cfg(greenlet_canary = "race")]
#[test]
fn a_race_between_greenlets_of_two_threads_is_reported() {
    use std::sync::Barrier;

    static mut PLACE: u64 = 0;
    // Neither begins before the other one lives, or ends before the other one has written: a lock that both have taken
    // in between would order them, and of a thread that has ended nobody knows any more where it wrote. Two barriers:
    // the lock of one would do the same.
    static BEGIN: Barrier = Barrier::new(2);
    static END: Barrier = Barrier::new(2);
    let write = || {
        let writer = greenlet::Greenlet::new(|number: u64| {
            BEGIN.wait();
            // SAFETY: none. This is the fault.
            unsafe { (&raw mut PLACE).write_volatile(number) };
            END.wait();
            number
        });
        writer.switch(1);
    };
    let other = std::thread::spawn(write);
    write();
    other.join().expect("it only writes");
}

/// Without a planted fault this file has nothing to report.
#[cfg(not(any(greenlet_canary = "uaf", greenlet_canary = "race")))]
#[test]
fn no_fault_is_planted() {}
