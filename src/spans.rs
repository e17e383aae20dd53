//! Spans of the crate `tracing` that follow their greenlets.
//!
//! `tracing` keeps the spans that are entered in a stack for each OS thread, which greenlets have in common. So they
//! are changed with the greenlet: when control arrives in one, the spans of the one before are left, and those are
//! entered again that this one was in when it last ran.
//!
//! It is a tracer of the thread ([`trace::set`](crate::trace::set)), and costs what a tracer costs: nothing while it
//! is not set.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tracing::dispatcher::get_default;
use tracing::span::{Id, Span};

use crate::switch::greenlet::{Greenlet, GreenletId};
use crate::switch::trace::{Event, get, set};

/// What one greenlet is in.
#[derive(Default)]
struct Entered {
    /// The outermost span, which names the greenlet.
    #[allow(dead_code, reason = "it closes when this is dropped")]
    own: Option<Span>,
    /// All that are entered, the innermost first.
    ids: Vec<Id>,
}

/// Lets spans of the crate `tracing` follow the greenlets of this thread, from now on.
///
/// Without it a span that is entered while its greenlet waits is taken for one of whoever runs meanwhile. With it,
/// each greenlet but main is also in a span of its own, `greenlet{id=7 name="worker"}`: so lines of a log say who
/// wrote them. A tracer that was set before is called as well; setting another one later, or none, ends it.
///
/// ```
/// greenlet::trace::follow_spans();
/// let worker = greenlet::spawn(|| {
///     let _span = tracing::info_span!("work").entered();
///     greenlet::yield_now(); // nobody else is in `work` meanwhile
///     tracing::info!("done"); // … greenlet{id=2}:work: done
/// });
/// worker.join().unwrap();
/// ```
///
/// # Parks
/// No.
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
pub fn follow_spans() {
    let before = get();
    let entered: RefCell<HashMap<GreenletId, Entered>> = RefCell::default();
    set(Some(Rc::new(move |event: &Event| {
        if let Some(before) = &before {
            before(event);
        }
        let (origin, target) = event.ends();
        leave(&entered, origin);
        enter(&entered, target);
    })));
}

/// Leaves all spans, and remembers them.
fn leave(entered: &RefCell<HashMap<GreenletId, Entered>>, origin: &Greenlet<()>) {
    let mut ids = vec![];
    get_default(|dispatch| {
        while let Some(id) = dispatch.current_span().id().cloned() {
            dispatch.exit(&id);
            ids.push(id);
        }
    });
    // A span that closes runs code of others: not under the borrow.
    let ended = match origin.is_dead() {
        true => entered.borrow_mut().remove(&origin.id()),
        false => {
            let mut entered = entered.borrow_mut();
            entered.entry(origin.id()).or_default().ids = ids;
            None
        }
    };
    drop(ended);
}

/// Enters what the greenlet was in; at the beginning, a span of its own.
fn enter(entered: &RefCell<HashMap<GreenletId, Entered>>, target: &Greenlet<()>) {
    let known = entered
        .borrow_mut()
        .get_mut(&target.id())
        .map(|known| std::mem::take(&mut known.ids));
    let ids = known.unwrap_or_else(|| {
        let own = own(target);
        let ids = own.id().into_iter().collect();
        let new = Entered {
            own: Some(own),
            ids: vec![],
        };
        let before = entered.borrow_mut().insert(target.id(), new);
        drop(before);
        ids
    });
    get_default(|dispatch| ids.iter().rev().for_each(|id| dispatch.enter(id)));
}

fn own(target: &Greenlet<()>) -> Span {
    if target.control().is_main() {
        return Span::none();
    }
    let id = target.id().number();
    match target.name() {
        Some(name) => tracing::info_span!(parent: None, "greenlet", id, name),
        None => tracing::info_span!(parent: None, "greenlet", id),
    }
}
