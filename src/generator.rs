//! Generators and coroutines: greenlets that answer whoever asks.
//!
//! Both are one conversation between an *inside* (the body, and whatever it calls) and an *outside* (whoever
//! asks). Asking switches to where the inside waits; answering switches back to whoever asked.
//!
//! ```text
//!   outside                         inside
//!   next() / send(v) ──── ask ────▶ the body starts, or its yield_ returns v
//!                  ◀── answer ──── yield_(item), from any call depth
//!                  ◀─── ended ──── the body returns
//! ```
//!
//! While somebody asks, that greenlet stands in for the parent of the body, so a panic of the body is raised
//! where `next` or `send` was called. Which greenlets ask and answer may change from time to time: a
//! generator can be handed around, and a nested generator can yield for the outer one (a clone of its
//! [`Yielder`] is all it needs): the next request then goes straight to the nested one.
//!
//! Bodies are `'static`: a body that borrowed from its creator could be entered again, by way of a handle
//! that it stashed, after the borrow had ended.

use std::cell::Cell;
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::thread;

use crate::switch::control::{Control, ControlRef, Wait};
use crate::switch::error::{RefusalKind, SwitchError};
use crate::switch::exit::{self, GreenletExit};
use crate::switch::greenlet::{Greenlet, failed};
use crate::switch::thread::{Thread, report};
use crate::switch::transfer;
use crate::switch::waiting::Waiting;

/// What travels between inside and outside.
enum Message<In, Out> {
    Ask(In),
    Answer(Out),
    Ended(Option<Out>),
    /// It had ended before it was asked that.
    Back(In),
}

/// The two ends of a conversation, as far as they wait.
#[derive(Default)]
struct Ends {
    /// Who waits in `yield_`. If nobody does, the body has not started, has ended, or is elsewhere.
    inside: Cell<Option<ControlRef>>,
    /// Who waits in `next` or `send`.
    outside: Cell<Option<ControlRef>>,
    /// The entry by which whoever asks becomes the parent of a body that ends.
    asker: Waiting,
    /// Whoever asked last was raised in before there was an answer.
    abandoned: Cell<bool>,
    /// The body has come to its end, which waits for the next question.
    is_over: Cell<bool>,
    /// Nobody will ever ask again.
    is_gone: Cell<bool>,
    /// An answer that finds nobody waits for the next question, as its answer. If not, it is dropped.
    keeps_answers: bool,
}

/// The inside, taken while its greenlet waits. However the wait ends, it is given up (law 5).
struct Answering<'a> {
    ends: &'a Ends,
    me: &'a Control,
}

impl<'a> Answering<'a> {
    #[inline(always)]
    fn by(ends: &'a Ends, me: &'a Control) -> Answering<'a> {
        ends.inside.set(Some(NonNull::from(me)));
        me.wait.set(Wait::Yield);
        Answering { ends, me }
    }
}

impl Drop for Answering<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.ends.inside.set(None);
        self.me.wait.set(Wait::Switch);
    }
}

/// The outside, taken while its greenlet waits; an answer has given it up already.
struct Asking<'a> {
    ends: &'a Ends,
    body: &'a Control,
}

impl<'a> Asking<'a> {
    #[inline(always)]
    fn by(ends: &'a Ends, body: &'a Control, me: &Control) -> Asking<'a> {
        ends.outside.set(Some(NonNull::from(me)));
        Asking { ends, body }
    }
}

impl Drop for Asking<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let unanswered = self.ends.outside.take().is_some();
        if unanswered || self.ends.asker.is_entered() {
            self.ends.abandoned.set(unanswered);
            self.ends.asker.leave(self.body);
        }
    }
}

/// At the end of a body, by return or by panic: what it leaves goes to whoever asks.
struct Last(Rc<Ends>);

impl Drop for Last {
    fn drop(&mut self) {
        // Taken: what still runs on the way out cannot answer any more.
        if let Some(outside) = self.0.outside.take() {
            // The entry leaves before it goes: whoever asks takes it out (`Asking`), and holds it.
            self.0
                .asker
                .stand_in_for_good(Thread::here().current(), outside);
        }
    }
}

/// The end of a body. If whoever asked was raised in meanwhile, it waits for the next question: nobody else is to be told.
fn end<In: 'static, Out: 'static>(
    ends: Rc<Ends>,
    outcome: thread::Result<Option<Out>>,
) -> Message<In, Out> {
    let has_exited = matches!(&outcome, Err(payload) if payload.is::<GreenletExit>());
    let nobody_asks = ends.outside.get().is_none() && ends.abandoned.get();
    let has_hub = Thread::here().upstairs().is_some();
    let (outcome, question) = match nobody_asks && has_hub && !has_exited {
        true => wait_to_end(&ends, outcome),
        false => (outcome, None),
    };
    let (keeps_answers, is_gone) = (ends.keeps_answers, ends.is_gone.get());
    let _last = Last(ends);
    match (outcome, question) {
        (Ok(_), _) if is_gone => exit::raise(Box::new(GreenletExit)),
        (Ok(_), Some(late)) if !keeps_answers => Message::Back(late),
        (Ok(last), _) => Message::Ended(last),
        (Err(payload), _) => exit::raise(payload),
    }
}

#[cold]
fn wait_to_end<In: 'static, Out: 'static>(
    ends: &Ends,
    outcome: thread::Result<Option<Out>>,
) -> (thread::Result<Option<Out>>, Option<In>) {
    ends.abandoned.set(false);
    ends.is_over.set(true);
    let me = Thread::here().current();
    let mut kept = Kept(Some(outcome));
    let question = {
        let _answering = Answering::by(ends, me);
        transfer::wait_in_hub::<Message<In, Out>>(me)
    };
    let Message::Ask(what) = question else {
        unreachable!("only an outside asks");
    };
    (kept.0.take().expect("kept"), Some(what))
}

/// How a body has ended. If nobody asks any more, a panic is reported: nothing hides (law 12).
struct Kept<Out>(Option<thread::Result<Option<Out>>>);

impl<Out> Drop for Kept<Out> {
    fn drop(&mut self) {
        if let Some(Err(payload)) = self.0.take() {
            let what = format_args!("a body panicked, and nobody asked it any more");
            report(what, payload);
        }
    }
}

struct Conversation<In: 'static, Out: 'static> {
    ends: Rc<Ends>,
    body: Greenlet<Message<In, Out>>,
}

impl<In: 'static, Out: 'static> Conversation<In, Out> {
    /// `body` gets what is asked first; what it returns is the last answer, if it is one.
    #[track_caller]
    fn new(
        keeps_answers: bool,
        body: impl FnOnce(Yielder<Out, In>, In) -> Option<Out> + 'static,
    ) -> Self {
        let ends = Rc::new(Ends {
            keeps_answers,
            ..Ends::default()
        });
        let yielder = Yielder {
            ends: Rc::clone(&ends),
            message: PhantomData,
        };
        // Its parent is main, not its maker, which it would keep alive: whoever asks stands in anyway.
        let run = move |first| match first {
            Message::Ask(first) => {
                let ends = Rc::clone(&yielder.ends);
                let outcome = catch_unwind(AssertUnwindSafe(|| body(yielder, first)));
                end(ends, outcome)
            }
            _ => unreachable!("only an outside starts a body"),
        };
        let body = Greenlet::below_main(run);
        Conversation { ends, body }
    }

    /// Asks, and waits for the answer. None if the body has ended without one; `what` is given back if it
    /// had ended before.
    #[inline]
    fn ask(&mut self, what: In) -> Result<Option<Out>, In> {
        let target: ControlRef = match self.ends.inside.get() {
            // SAFETY: whoever waits in `yield_` is suspended there, and gives up its end when it is not.
            // Only at the end of a thread may it be dead, and leaked.
            Some(inside) if unsafe { !inside.as_ref().is_dead() } => inside,
            _ => match self.beginning() {
                Some(body) if self.is_at_work(body) => return self.ask_again(what),
                Some(body) => NonNull::from(body),
                None => return Err(what),
            },
        };
        let (body, me) = (self.body.control(), Thread::here().current());
        transfer::raise_due(me);
        let _asking = Asking::by(&self.ends, body, me);
        let got = |slot: &mut MaybeUninit<_>| {
            // SAFETY: it is initialised and ours; the one variant that it is is read once, where it lies.
            unsafe {
                match slot.assume_init_ref() {
                    Message::Answer(item) => Ok(Some(ptr::read(item))),
                    Message::Ended(last) => Ok(ptr::read(last)),
                    Message::Back(what) => Err(ptr::read(what)),
                    Message::Ask(_) => unreachable!("only an outside asks"),
                }
            }
        };
        transfer::switch(target, || Message::Ask(what), false, got, failed)
    }

    /// The body, if it has not started or still works on an earlier question; none if it has ended.
    #[cold]
    fn beginning(&self) -> Option<&Control> {
        let body = self.body.control();
        if self.body.is_started() && !self.is_at_work(body) {
            panic!("{body} waits elsewhere than in `yield_`: it cannot be asked");
        }
        (!body.is_dead()).then_some(body)
    }

    /// Whether it works on the question of somebody who was raised in meanwhile, wherever it waits: for another greenlet,
    /// say, which the hub runs.
    fn is_at_work(&self, body: &Control) -> bool {
        let thread = Thread::here();
        let may_go_on = thread.upstairs().is_some() && !body.is(thread.current());
        self.ends.abandoned.get() && self.body.is_started() && may_go_on
    }

    /// Waits for the answer to an earlier question. A coroutine's answer was for another one: it comes to
    /// nobody, and then `what` is asked.
    #[cold]
    fn ask_again(&mut self, what: In) -> Result<Option<Out>, In> {
        let body = self.body.control();
        let me = Thread::here().current();
        let answer = {
            let _asking = Asking::by(&self.ends, body, me);
            transfer::wait_in_hub::<Message<In, Out>>(me)
        };
        match answer {
            Message::Answer(item) if self.ends.keeps_answers => Ok(Some(item)),
            Message::Answer(_) => self.ask(what),
            Message::Ended(_) if !self.ends.keeps_answers => Err(what),
            Message::Ended(last) => Ok(last),
            Message::Ask(_) | Message::Back(_) => unreachable!("only an outside asks"),
        }
    }

    /// Ends the body; true if it is dead.
    fn close(&mut self) -> bool {
        self.ends.abandoned.set(false);
        if let Some(inside) = self.deputy() {
            inside.kill();
        }
        self.body.kill()
    }

    /// Somebody else who waits in `yield_` in the place of the body.
    fn deputy(&self) -> Option<Greenlet<Message<In, Out>>> {
        let inside = self.ends.inside.get()?;
        // SAFETY: as in `ask`.
        let inside = unsafe { inside.as_ref() };
        (!inside.is_dead() && !inside.is(self.body.control())).then(|| Greenlet::of(inside))
    }

    fn is_over(&self) -> bool {
        self.ends.is_over.get() || self.body.is_dead()
    }

    fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name}({:?})", self.body)
    }
}

/// A body that catches its exit and answers again is not to wait for a question that never comes.
impl<In: 'static, Out: 'static> Drop for Conversation<In, Out> {
    fn drop(&mut self) {
        self.ends.abandoned.set(false);
        self.ends.is_gone.set(true);
        // Who yields in the place of the body is asked no more either.
        if let Some(inside) = self.deputy() {
            exit::end_in_drop(inside.control());
        }
    }
}

/// What a body yields with.
///
/// It may be cloned and handed on: to a function, or to a nested generator that yields in its place.
pub struct Yielder<Out, In = ()> {
    ends: Rc<Ends>,
    message: PhantomData<fn(Out) -> In>,
}

impl<Out: 'static, In: 'static> Yielder<Out, In> {
    /// Answers with `item`, and waits until it is asked again; returns what was sent then.
    ///
    /// The next request comes to the greenlet that called this.
    ///
    /// # Panics
    /// If nobody waits for an item: the generator has ended, or its body was entered by another way.
    /// With [`GreenletExit`](crate::GreenletExit) if the generator is dropped or closed meanwhile.
    #[track_caller]
    #[inline]
    pub fn yield_(&self, item: Out) -> In {
        let Some(outside) = self.ends.outside.get() else {
            return self.answer_nobody(item);
        };
        let me = Thread::here().current();
        let _answering = Answering::by(&self.ends, me);
        // Before whoever asks has got its answer.
        transfer::raise_due(me);
        self.ends.outside.set(None);
        let got = |slot: &mut MaybeUninit<_>| {
            // SAFETY: as in `ask`.
            unsafe {
                match slot.assume_init_ref() {
                    Message::Ask(what) => ptr::read(what),
                    _ => unreachable!("only an inside answers"),
                }
            }
        };
        let answer = || Message::<In, Out>::Answer(item);
        let failed = |error| self.not_taken(error);
        transfer::switch(outside, answer, false, got, failed)
    }

    /// Whoever asks is to be raised in, and waits for its turn: as good as gone.
    #[cold]
    #[track_caller]
    fn not_taken(&self, error: SwitchError<Message<In, Out>>) -> In {
        match error {
            SwitchError::Refused {
                reason,
                value: Message::Answer(item),
            } if matches!(reason.kind(), RefusalKind::InHub) => {
                self.ends.abandoned.set(true);
                self.answer_nobody(item)
            }
            error => failed(error),
        }
    }

    /// Whoever asked was raised in meanwhile, and the hub has run this greenlet to its answer: waits there for
    /// the next question.
    #[cold]
    #[track_caller]
    fn answer_nobody(&self, item: Out) -> In {
        let me = Thread::here().current();
        if !self.ends.abandoned.take() {
            // It may have been dropped where nothing could be raised.
            transfer::raise_due(me);
            panic!("`yield_` while nobody asks this generator");
        }
        let question = {
            let _answering = Answering::by(&self.ends, me);
            transfer::wait_in_hub::<Message<In, Out>>(me)
        };
        let Message::Ask(what) = question else {
            unreachable!("only an inside answers");
        };
        if self.ends.keeps_answers {
            return self.yield_(item);
        }
        what
    }
}

impl<Out: 'static> Yielder<Out> {
    /// Yields all items of `items`.
    ///
    /// With a generator in `items` this is recursion: each item passes through every level on its way. A
    /// nested generator that yields with a clone of the outer one's `Yielder` saves that.
    pub fn yield_from(&self, items: impl IntoIterator<Item = Out>) {
        items.into_iter().for_each(|item| self.yield_(item));
    }
}

impl<Out, In> Clone for Yielder<Out, In> {
    fn clone(&self) -> Self {
        Yielder {
            ends: Rc::clone(&self.ends),
            message: PhantomData,
        }
    }
}

impl<Out, In> fmt::Debug for Yielder<Out, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}

/// An iterator over what a function yields, from any depth of calls.
///
/// The body starts with the first `next`. A panic of it is raised in `next`, and ends the generator. A
/// generator that is dropped before its end unwinds its body. It is fused.
///
/// # Examples
/// ```
/// use greenlet::{Generator, Yielder};
///
/// fn countdown(n: u32) -> Generator<u32> {
///     fn down(n: u32, y: &Yielder<u32>) {
///         if n > 0 {
///             y.yield_(n);
///             down(n - 1, y); // out of a nested call: no `async`, no state machine
///         }
///     }
///     Generator::new(move |y| down(n, &y))
/// }
/// assert_eq!(countdown(3).collect::<Vec<_>>(), [3, 2, 1]);
/// ```
pub struct Generator<Y: 'static> {
    conversation: Conversation<(), Y>,
}

impl<Y: 'static> Generator<Y> {
    /// A generator of what `body` yields.
    ///
    /// # Panics
    /// If the thread-locals of this thread have been destroyed.
    #[track_caller]
    pub fn new(body: impl FnOnce(Yielder<Y>) + 'static) -> Generator<Y> {
        Generator {
            conversation: Conversation::new(true, move |yielder, ()| {
                body(yielder);
                None
            }),
        }
    }
}

impl<Y: 'static> Iterator for Generator<Y> {
    type Item = Y;

    /// The next item.
    ///
    /// # Panics
    /// With a panic of the body. If the body itself asks, or waits elsewhere than in `yield_`; but after a
    /// question that was cut short it is waited for.
    #[inline]
    fn next(&mut self) -> Option<Y> {
        self.conversation.ask(()).ok().flatten()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.conversation.is_over().then_some(0))
    }
}

impl<Y: 'static> FusedIterator for Generator<Y> {}

impl<Y: 'static> fmt::Debug for Generator<Y> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.conversation.describe("Generator", f)
    }
}

/// A function that is sent values and answers each.
///
/// It is primed from the start: the first value sent is an argument of the body, each later one is what
/// `yield_` returns.
///
/// # Examples
/// ```
/// use greenlet::Coroutine;
///
/// let mut average = Coroutine::new(|y, first: f64| {
///     let (mut sum, mut count) = (first, 1.0);
///     loop {
///         sum += y.yield_(sum / count);
///         count += 1.0;
///     }
/// });
/// assert_eq!(average.send(10.0), 10.0);
/// assert_eq!(average.send(20.0), 15.0);
/// ```
pub struct Coroutine<In: 'static, Out: 'static = ()> {
    conversation: Conversation<In, Out>,
}

impl<In: 'static, Out: 'static> Coroutine<In, Out> {
    /// A coroutine that runs `body` with the first value that is sent; what it returns is its last answer.
    ///
    /// # Panics
    /// If the thread-locals of this thread have been destroyed.
    #[track_caller]
    pub fn new(body: impl FnOnce(Yielder<Out, In>, In) -> Out + 'static) -> Coroutine<In, Out> {
        Coroutine {
            conversation: Conversation::new(false, move |yielder, first| {
                Some(body(yielder, first))
            }),
        }
    }

    /// Sends a value, and returns the answer.
    ///
    /// # Panics
    /// If the coroutine has ended; [`try_send`](Self::try_send) gives the value back. With a panic of the
    /// body. If the body itself sends, or waits elsewhere than in `yield_`; but after a
    /// question that was cut short it is waited for.
    #[track_caller]
    #[inline]
    pub fn send(&mut self, value: In) -> Out {
        match self.try_send(value) {
            Ok(answer) => answer,
            Err(_) => panic!("sent to a coroutine that has ended"),
        }
    }

    /// As [`send`](Self::send), with the value given back by a coroutine that has ended.
    ///
    /// # Errors
    /// The value, if there is nobody to send it to.
    #[inline]
    pub fn try_send(&mut self, value: In) -> Result<Out, In> {
        let answer = self.conversation.ask(value)?;
        Ok(answer.expect("a coroutine answers with what it returns"))
    }

    /// Ends the body where it waits, so that its destructors run; true if it has ended. Dropping the
    /// coroutine does the same.
    ///
    /// # Panics
    /// With what the body died of instead.
    pub fn close(&mut self) -> bool {
        self.conversation.close()
    }

    /// Whether the body has ended.
    pub fn is_ended(&self) -> bool {
        self.conversation.is_over()
    }
}

impl<In: 'static, Out: 'static> fmt::Debug for Coroutine<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.conversation.describe("Coroutine", f)
    }
}
