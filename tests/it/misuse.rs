//! Bad input, and good input at bad times: an error that says what is wrong, and nothing else happens.

use greenlet::trace::{self, Event};
use greenlet::{Greenlet, GreenletExit, RefusalKind, SwitchError, current};

use crate::support::{
    Drops, OnDrop, Place, caught, caught_as, complaint, doubler, own, raise, run, survived_in_child,
};

#[test]
fn a_body_cannot_be_given_twice() {
    run(|| {
        let drops = Drops::new();
        let g = Greenlet::<i32>::declare();
        g.define(|x| x + 1);
        let token = drops.token();
        let words = complaint(|| {
            g.define(move |x| {
                let _token = &token;
                x
            })
        });
        assert!(words.contains("has a body already"), "{words}");
        assert_eq!(drops.count(), 1, "the second closure is dropped");
        assert_eq!(g.switch(1), 2, "the first one stands");
    });
}

#[test]
fn a_greenlet_made_with_a_body_cannot_be_defined() {
    run(|| {
        let g = Greenlet::new(|()| ());
        assert!(complaint(|| g.define(|()| ())).contains("has a body already"));
    });
}

#[test]
fn a_started_greenlet_cannot_be_defined() {
    run(|| {
        let g = doubler();
        g.switch(1);
        assert!(complaint(|| g.define(|x| x)).contains("has started"));
        assert!(complaint(|| current::<()>().define(|()| ())).contains("has started"));
        assert_eq!(g.switch(2), 4);
    });
}

#[test]
fn a_parent_cannot_be_defined_as_another_family() {
    run(|| {
        let parent = Greenlet::<i32>::declare();
        let child = Greenlet::builder().parent(&parent).build(|x: i32| x);
        // The only handles of another type are those of the current greenlet.
        let strange = child.parent().unwrap();
        strange.define(|x| x * 2);
        assert_eq!(child.switch(4), 8);
    });
}

#[test]
fn main_refuses_a_value_of_another_type() {
    run(|| {
        let place = Place::new();
        let g = Greenlet::new(own!(place => move |x: i32| {
            let main = current::<String>().parent().unwrap();
            let refused = main.try_switch("text".into()).unwrap_err();
            let SwitchError::Refused { reason, value } = refused else { panic!() };
            assert!(matches!(reason.kind(), RefusalKind::OtherFamily));
            place.put((reason.to_string(), value));
            x + 1
        }));
        assert_eq!(g.switch(1), 2);
        let (words, value) = place.take().unwrap();
        assert!(
            words.contains("the main greenlet") && words.contains("i32"),
            "{words}"
        );
        assert_eq!(value, "text");
    });
}

#[test]
fn a_refused_switch_panics_in_the_caller_with_both_types() {
    run(|| {
        let g = Greenlet::new(|x: i32| {
            let main = current::<u64>().parent().unwrap();
            let words = complaint(|| main.switch(5));
            assert!(words.contains("switch refused"), "{words}");
            assert!(words.contains("i32") && words.contains("u64"), "{words}");
            x
        });
        assert_eq!(g.switch(1), 1);
    });
}

#[test]
fn a_name_may_be_strange() {
    run(|| {
        for name in ["", "ünïcödé", "a\nb", "' #7"] {
            let g = Greenlet::builder().name(name).build(|()| ());
            assert_eq!(g.name(), Some(name));
            assert!(format!("{g:?}").contains(name));
        }
    });
}

#[test]
fn an_exit_thrown_at_oneself_unwinds_only_that_far() {
    run(|| {
        caught_as::<GreenletExit, _>(|| current::<()>().throw(GreenletExit));
        let g = Greenlet::new(|x: i32| {
            caught_as::<GreenletExit, _>(|| current::<i32>().throw(GreenletExit));
            caught_as::<GreenletExit, _>(|| current::<i32>().kill());
            x
        });
        assert_eq!(g.switch(1), 1);
    });
}

#[test]
fn a_closure_that_is_dropped_unrun_may_panic() {
    run(|| {
        let bomb = || {
            let bomb = OnDrop(|| panic!("in the destructor of a closure"));
            Greenlet::new(move |x: i32| {
                let _ = &bomb;
                x
            })
        };
        drop(bomb());
        assert!(bomb().kill());
        assert_eq!(greenlet::blocks_in_use(), (0, 0));
    });
}

#[test]
fn a_closure_that_is_dropped_unrun_may_switch() {
    run(|| {
        let chatty = OnDrop(|| assert_eq!(doubler().switch(4), 8));
        drop(Greenlet::new(move |x: i32| {
            let _ = &chatty;
            x
        }));
    });
}

#[test]
fn a_body_that_panics_first_thing_is_as_any_other() {
    run(|| {
        let g = Greenlet::new(|_: i32| panic!("at once"));
        assert_eq!(complaint(|| g.switch(1)), "at once");
        assert_eq!(g.switch(2), 2);
    });
}

#[test]
fn a_payload_may_panic_when_it_is_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("payload");
            }
        }
    }
    run(|| {
        let g = Greenlet::new(|()| raise(Bomb));
        let payload = caught(|| g.switch(()));
        assert_eq!(complaint(move || drop(payload)), "payload");
        assert!(g.is_dead());
    });
}

#[test]
fn a_value_may_panic_when_nobody_takes_it() {
    run(|| {
        type Value = Option<OnDrop<fn()>>;
        let main = current::<Value>();
        let g = Greenlet::new(own!(main => move |_| {
            caught(|| main.switch(None));
            Some(OnDrop((|| panic!("nobody took it")) as fn()))
        }));
        g.switch(None);
        assert!(g.kill());
    });
}

#[test]
fn a_tracer_may_panic_at_every_event() {
    run(|| {
        let bad = || trace::set(Some(std::rc::Rc::new(|_: &Event| panic!("tracer"))));
        bad();
        assert_eq!(complaint(|| current::<()>().switch(())), "tracer");
        bad();
        assert_eq!(complaint(|| current::<()>().throw("x")), "tracer");
        bad();
        let g = doubler();
        assert_eq!(complaint(|| g.switch(1)), "tracer");
        bad();
        let suspended = {
            trace::set(None);
            let g = doubler();
            g.switch(1);
            bad();
            g
        };
        assert_eq!(
            complaint(|| suspended.kill()),
            "tracer",
            "it died of that instead"
        );
        assert!(suspended.is_dead());
        bad();
        drop(doubler());
        trace::set(None);
    });
}

#[test]
fn shutdown_is_for_main() {
    run(|| {
        let g = Greenlet::new(|()| {
            assert!(complaint(greenlet::shutdown).contains("shutdown is for the main greenlet"));
        });
        g.switch(());
    });
}

#[test]
fn the_thread_locals_may_be_gone_for_everything_one_calls() {
    let name = "misuse::the_thread_locals_may_be_gone_for_everything_one_calls";
    if !crate::support::own_stacks() || survived_in_child(name) {
        return;
    }
    use std::cell::RefCell;
    struct Late(Option<Greenlet<i32>>, std::sync::mpsc::Sender<String>);
    impl Drop for Late {
        fn drop(&mut self) {
            let g = self.0.take().unwrap();
            let say = |words: String| self.1.send(words).unwrap();
            match g.try_switch(5) {
                Err(SwitchError::Refused { reason, value: 5 }) => {
                    say(format!("{:?}", reason.kind()));
                }
                other => say(format!("{other:?}")),
            }
            say(complaint(|| g.switch(1)));
            say(complaint(|| g.throw("x")));
            say(complaint(greenlet::alive));
            say(complaint(|| Greenlet::<i32>::builder().build(|x| x)));
            say(complaint(|| greenlet::Generator::<i32>::new(|_| ())));
            say(complaint(trace::get));
            say(format!("{:?}", g.is_dead()));
            drop(g.clone());
            drop(g.downgrade());
        }
    }
    thread_local!(static LATE: RefCell<Option<Late>> = const { RefCell::new(None) });
    run(|| {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            LATE.with(|_| ());
            LATE.set(Some(Late(Some(doubler()), tell)));
        })
        .join()
        .unwrap();
        let told: Vec<String> = told.try_iter().collect();
        assert_eq!(told[0], "ThreadExiting");
        for words in &told[1..7] {
            assert!(words.contains("have been destroyed"), "{told:?}");
        }
        assert_eq!(told[7], "true");
    });
}

/// A thread-local that is older than the first greenlet goes after the hub: calls that need not wait are made.
#[test]
fn sockets_and_streams_work_until_the_very_end_of_a_thread() {
    use std::cell::RefCell;
    use std::io::{Read, Write};
    use std::time::Duration;

    use greenlet::net::TcpStream;
    use greenlet::os::unix::net::UnixStream;

    let name = "misuse::sockets_and_streams_work_until_the_very_end_of_a_thread";
    if !crate::support::own_stacks() || survived_in_child(name) {
        return;
    }
    type Pair = (UnixStream, UnixStream);
    struct Late(Option<Pair>, std::sync::mpsc::Sender<String>);
    impl Drop for Late {
        fn drop(&mut self) {
            let (mut near, mut far) = self.0.take().unwrap();
            let mut text = [0; 4];
            far.write_all(b"late").unwrap();
            near.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"late");
            let waits = near.read(&mut text).unwrap_err();
            writeln!(greenlet::io::stdout(), "still there").unwrap();
            let refused = TcpStream::connect("127.0.0.1:1").unwrap_err();
            drop((near, far));
            self.1.send(format!("{waits}; {refused}")).unwrap();
        }
    }
    thread_local!(static LATE: RefCell<Option<Late>> = const { RefCell::new(None) });
    run(|| {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            LATE.with(|_| ());
            let pair = UnixStream::pair().unwrap();
            // It is registered.
            let waits =
                greenlet::time::timeout(Duration::from_millis(1), || (&pair.0).read(&mut [0]));
            assert!(waits.is_err());
            LATE.set(Some(Late(Some(pair), tell)));
        });
        thread.join().unwrap();
        let told = told.recv().unwrap();
        assert!(told.starts_with("the thread is ending"), "{told}");
    });
}

#[test]
fn a_dead_greenlet_may_be_killed_when_the_thread_locals_are_gone() {
    let name = "misuse::a_dead_greenlet_may_be_killed_when_the_thread_locals_are_gone";
    if !crate::support::own_stacks() || survived_in_child(name) {
        return;
    }
    use std::cell::RefCell;
    struct Late(Greenlet<i32>, std::sync::mpsc::Sender<bool>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.1.send(self.0.kill()).unwrap();
        }
    }
    thread_local!(static LATE: RefCell<Option<Late>> = const { RefCell::new(None) });
    run(|| {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            LATE.with(|_| ());
            LATE.set(Some(Late(doubler(), tell)));
        })
        .join()
        .unwrap();
        assert_eq!(told.recv(), Ok(true));
    });
}

#[test]
fn what_was_thrown_first_may_be_refused_a_receiver_of_the_right_type() {
    run(|| {
        // A dead child of a declared parent: neither can take the value.
        let parent = Greenlet::<i32>::declare();
        let child = Greenlet::builder().parent(&parent).build(|x: i32| x);
        child.kill();
        let words = complaint(|| child.switch(1));
        assert!(
            words.contains("is dead") && words.contains("no body"),
            "{words}"
        );
        assert!(parent.is_dead(), "it ended of what could not be delivered");
    });
}
