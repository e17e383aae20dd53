//! Spans of the crate `tracing` follow their greenlets.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use greenlet::{Greenlet, current, spawn, thread, trace, yield_now};
use tracing::{info, info_span};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::run;

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

/// Runs `f` with a log of its own; returns the lines.
fn logged(f: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .with_target(false)
        .with_level(false)
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, f);
    trace::set(None);
    let bytes = lines.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_span_is_left_while_its_greenlet_waits() {
    run(|| {
        let lines = logged(|| {
            trace::follow_spans();
            let worker = |name: &'static str| {
                let builder = thread::Builder::new().name(name.into());
                let work = move || {
                    let _outer = info_span!("outer", name).entered();
                    yield_now();
                    let _inner = info_span!("inner").entered();
                    yield_now();
                    info!("works");
                    drop(_inner);
                    yield_now();
                    info!("is done");
                };
                builder.spawn(work).unwrap()
            };
            let (a, b) = (worker("a"), worker("b"));
            let ids = [a.id(), b.id()];
            let _main = info_span!("main").entered();
            a.join().unwrap();
            b.join().unwrap();
            info!("returns {}, {}", ids[0], ids[1]);
        });
        let ids: Vec<_> = lines[4].split(['#', ',']).collect();
        let (a, b) = (ids[1], ids[3]);
        let of = |id: &str, name: &str| {
            format!("greenlet{{id={id} name=\"{name}\"}}:outer{{name=\"{name}\"}}")
        };
        assert_eq!(lines[0], format!("{}:inner: works", of(a, "a")));
        assert_eq!(lines[1], format!("{}:inner: works", of(b, "b")));
        assert_eq!(lines[2], format!("{}: is done", of(a, "a")));
        assert_eq!(lines[3], format!("{}: is done", of(b, "b")));
        assert!(lines[4].starts_with("main: returns #"), "{lines:?}");
    });
}

#[test]
fn explicit_greenlets_and_those_that_are_killed_have_their_spans() {
    struct Says;
    impl Drop for Says {
        fn drop(&mut self) {
            info!("goodbye");
        }
    }
    run(|| {
        let lines = logged(|| {
            trace::follow_spans();
            let main = current::<()>();
            let g = Greenlet::new(move |()| {
                let _span = info_span!("explicit").entered();
                main.switch(());
                info!("goes on");
            });
            g.switch(());
            info!("in between");
            g.switch(());
            let parked = spawn(|| {
                let _span = info_span!("parked").entered();
                let _says = Says;
                thread::park();
            });
            yield_now();
            parked.kill();
            info!("after");
        });
        assert_eq!(lines[0], "in between");
        assert!(lines[1].starts_with("greenlet{id="), "{lines:?}");
        assert!(lines[1].ends_with("}:explicit: goes on"), "{lines:?}");
        assert!(lines[2].ends_with("}:parked: goodbye"), "{lines:?}");
        assert_eq!(lines[3], "after");
    });
}

#[test]
fn a_tracer_that_was_set_before_is_called_as_well() {
    use std::cell::Cell;
    use std::rc::Rc;
    run(|| {
        let calls = Rc::new(Cell::new(0));
        trace::set(Some(Rc::new({
            let calls = calls.clone();
            move |_: &trace::Event| calls.set(calls.get() + 1)
        })));
        trace::follow_spans();
        spawn(|| ()).join().unwrap();
        trace::set(None);
        assert!(calls.get() >= 2);
    });
}
