//! The contract of everything that waits. One text of [`rules`], and each call that parks is held to all of
//! them: it says how to make something to wait for, how to wait for it, and how to bring what is waited for.
//!
//! ```text
//!   contract!(tcp_read, Call::new(pair, |near| read one byte, |near| the far end writes one))
//!      └──▶ mod tcp_read { one test for each rule }
//! ```
//!
//! What a call cannot keep, because of what it is, it says: [`Call::lossy`], [`Call::alone`] and so on. Calls
//! that nobody ends, or that end by themselves, keep the rules of [`patience`].
//!
//! No rule needs a quiet machine: what a rule says of time is that something is not too early.

mod greenlets;
mod patience;
mod processes;
mod remote;
mod rules;
mod sockets;
mod standard;
mod sync;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use greenlet::{JoinHandle, sleep, spawn};

use crate::counting::uncounted;
use crate::support;

const MS: Duration = Duration::from_millis(1);
/// So long that a test which waits for it has failed.
const LONG: Duration = Duration::from_secs(3600);

/// What a wait has brought: one item, or none because there will be none.
type Brought = io::Result<u8>;

/// A call that waits, and what is there for it to wait for.
struct Call<T> {
    make: fn() -> T,
    wait: fn(&T) -> Brought,
    bring: fn(&T),
    leave: Option<fn(&T)>,
    at_once: bool,
    stays: bool,
    lossy: bool,
    alone: bool,
    allocates: bool,
    process: Option<&'static str>,
}

impl<T> Call<T> {
    /// `make` makes something where nothing is to be had, `bring` brings one item, `wait` takes one.
    fn new(make: fn() -> T, wait: fn(&T) -> Brought, bring: fn(&T)) -> Call<T> {
        Call {
            make,
            wait,
            bring,
            leave: None,
            at_once: false,
            stays: false,
            lossy: false,
            alone: false,
            allocates: false,
            process: None,
        }
    }

    /// What the other side does that leaves for good.
    fn leaves(mut self, leave: fn(&T)) -> Call<T> {
        self.leave = Some(leave);
        self
    }

    /// Nobody else runs if what it waits for is there already.
    fn at_once(mut self) -> Call<T> {
        self.at_once = true;
        self
    }

    /// What is there once is there for all.
    fn stays(mut self) -> Call<T> {
        self.stays = true;
        self
    }

    /// What comes for one who is gone is lost, as its documentation says.
    fn lossy(mut self) -> Call<T> {
        self.lossy = true;
        self
    }

    /// The type of what is waited for lets one wait at a time.
    fn alone(mut self) -> Call<T> {
        self.alone = true;
        self
    }

    /// It takes memory each time: for a greenlet or a list, for what it brings, asks of a worker, registers anew or
    /// raises in another.
    fn allocates(mut self) -> Call<T> {
        self.allocates = true;
        self
    }

    /// It concerns the whole process: each test, in the module of this path, has one of its own.
    fn in_a_process(mut self, path: &'static str) -> Call<T> {
        self.process = Some(path);
        self
    }
}

/// A call in a test, and what it waits for.
struct Scene<T> {
    call: Rc<Call<T>>,
    thing: Rc<T>,
}

impl<T: 'static> Scene<T> {
    fn of(call: &Rc<Call<T>>) -> Scene<T> {
        Scene {
            call: call.clone(),
            thing: Rc::new((call.make)()),
        }
    }

    /// Another view of the same.
    fn share(&self) -> Scene<T> {
        Scene {
            call: self.call.clone(),
            thing: self.thing.clone(),
        }
    }

    fn wait(&self) -> Brought {
        (self.call.wait)(&self.thing)
    }

    /// Waits, and must get an item.
    #[track_caller]
    fn get(&self) {
        assert_eq!(self.wait().unwrap(), 1);
    }

    fn bring(&self) {
        uncounted(|| (self.call.bring)(&self.thing));
    }

    /// One who waits, as soon as it runs.
    fn waiter(&self) -> JoinHandle<Brought> {
        let scene = self.share();
        spawn(move || scene.wait())
    }

    /// One who waits by now.
    fn waits(&self) -> JoinHandle<Brought> {
        let waiter = self.waiter();
        settle();
        assert!(!waiter.is_finished(), "it waits for nothing");
        waiter
    }

    /// Brings an item when others have waited for a while.
    fn bring_later(&self) -> JoinHandle<()> {
        let scene = self.share();
        spawn(move || {
            settle();
            scene.bring();
        })
    }
}

/// Lets everybody come to where they wait.
fn settle() {
    sleep(MS);
    sleep(MS);
}

/// Runs a rule on a thread of its own, or in a process of its own if the call needs that.
fn keep<T: 'static>(test: &str, call: Call<T>, rule: fn(&Rc<Call<T>>)) {
    if let Some(path) = call.process
        && support::survived_in_child(&format!("{path}::{test}"))
    {
        return;
    }
    support::run(move || rule(&Rc::new(call)));
}

/// One test for each rule.
macro_rules! contract {
    ($name:ident, $call:expr) => {
        mod $name {
            use super::*;
            crate::contract::contract! { @ $call;
                what_is_there_is_had
                what_is_there_lets_nobody_else_run
                what_comes_later_ends_the_wait
                each_item_is_for_one
                a_wake_for_nothing_does_not_end_it
                a_limit_is_not_early_and_leaves_nothing_behind
                no_time_at_all_takes_nothing_away
                all_the_time_there_is_is_enough
                an_outer_limit_passes_through_an_inner_one
                an_inner_limit_ends_at_the_inner_one
                in_time_or_too_late_and_never_both
                killed_while_it_waits_it_has_taken_nothing
                killed_when_something_has_come_it_passes_that_on
                killed_before_it_runs_it_has_not_begun
                the_other_side_leaves
                it_is_the_same_in_main_and_in_a_generator
                in_the_long_run_it_allocates_nothing
            }
        }
    };
    (@ $call:expr; $($rule:ident)*) => {
        fn call() -> crate::contract::Call<impl Sized + 'static> {
            $call
        }
        $(
            #[test]
            fn $rule() {
                crate::contract::keep(stringify!($rule), call(), crate::contract::rules::$rule);
            }
        )*
    };
}
use contract;
