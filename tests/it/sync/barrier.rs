//! std's tests of `Barrier`, over whatever the module around this one has.

use super::{Barrier, Shared, mpsc, spawn, yield_now};
use crate::support::run;

#[test]
fn all_meet_and_one_leads() {
    run(|| {
        let barrier = Shared::new(Barrier::new(10));
        for _ in 0..3 {
            let (say, said) = mpsc::channel();
            for _ in 0..9 {
                let (barrier, say) = (barrier.clone(), say.clone());
                spawn(move || say.send(barrier.wait().is_leader()).unwrap());
            }
            drop(say);
            yield_now();
            assert!(said.try_recv().is_err(), "nobody goes on yet");
            let mine = barrier.wait().is_leader();
            let leaders = said.iter().filter(|leads| *leads).count();
            assert_eq!(leaders + usize::from(mine), 1);
        }
    });
}

#[test]
fn nobody_is_a_round_ahead() {
    run(|| {
        let barrier = Shared::new(Barrier::new(3));
        let (say, said) = mpsc::channel();
        let all: Vec<_> = (0..3)
            .map(|_| {
                let (barrier, say) = (barrier.clone(), say.clone());
                spawn(move || {
                    for round in 0..20 {
                        say.send(round).unwrap();
                        barrier.wait();
                    }
                })
            })
            .collect();
        drop(say);
        let rounds: Vec<u32> = said.iter().collect();
        assert!(rounds.is_sorted(), "{rounds:?}");
        all.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn with_none_or_one_nobody_waits() {
    run(|| {
        for size in [0, 1] {
            let barrier = Barrier::new(size);
            assert!(barrier.wait().is_leader() && barrier.wait().is_leader());
            assert!(format!("{barrier:?}").contains("Barrier"));
        }
    });
}
