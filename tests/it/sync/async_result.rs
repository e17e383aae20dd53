//! Values that are set once: gevent's tests of `AsyncResult`.

use std::rc::Rc;
use std::time::Duration;

use greenlet::spawn;
use greenlet::sync::AsyncResult;
use greenlet::time::{Elapsed, timeout};

use crate::support::run;
use crate::sync::{MS, end, settle};

#[test]
fn it_is_set_once_for_all_who_wait() {
    run(|| {
        let answer = Rc::new(AsyncResult::default());
        assert!(!answer.is_ready() && answer.try_get().is_none());
        let waiting = [0, 1, 2].map(|_| {
            let answer = answer.clone();
            spawn(move || *answer.get())
        });
        settle();
        assert_eq!(answer.set(7), Ok(()));
        assert_eq!(answer.set(8), Err(8));
        assert_eq!(waiting.map(|handle| handle.join().unwrap()), [7; 3]);
        assert!(answer.is_ready());
        assert_eq!((*answer.get(), answer.try_get()), (7, Some(&7)));
        assert_eq!(format!("{answer:?}"), "AsyncResult(Some(7))");
        assert_eq!(Rc::into_inner(answer).unwrap().into_inner(), Some(7));
    });
}

#[test]
fn limits_and_kills_change_nothing() {
    run(|| {
        let answer = Rc::new(AsyncResult::new());
        assert_eq!(answer.get_timeout(MS), None);
        assert_eq!(timeout(MS, || *answer.get()), Err(Elapsed));
        let theirs = answer.clone();
        let killed = spawn(move || *theirs.get());
        settle();
        end(killed);
        answer.set(7).unwrap();
        assert_eq!(answer.get_timeout(Duration::MAX), Some(&7));
    });
}

/// The event is for select, but nothing keeps anybody from clearing it.
#[test]
fn what_is_set_stays_set() {
    run(|| {
        let answer = AsyncResult::new();
        answer.set(7).unwrap();
        answer.ready().clear();
        assert!(answer.is_ready());
        assert_eq!(
            (*answer.get(), answer.get_timeout(Duration::ZERO)),
            (7, Some(&7))
        );
    });
}
