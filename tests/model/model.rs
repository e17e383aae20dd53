//! The reference: what the rules say, as a state machine without stacks.
//!
//! Every greenlet is a future that the compiler turns into a state machine. Leaving one means to say who is
//! current and to return `Pending` once; the driver then polls whoever is current. What unwinds in the real
//! thing is an `Err` here. There is no unsafe code, no stack and no pointer: only numbers of greenlets.

use std::cell::{Cell, RefCell, RefMut};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::program::{
    self, Aim, EXIT, Entry, Fam, Hook, Kind, LEVELS, MAIN, Op, SLOTS, TEXT, TRACER, UNDELIVERABLE,
    What, numbered, pick,
};

/// Errors for the canary: each must make the traces differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// A switch to a dead greenlet returns to the caller instead of reaching the live ancestor.
    DeadReturns,
    /// A killed greenlet dies into its parent, not into its killer.
    KillerIsNoParent,
    /// What is thrown into a pending greenlet is raised in the thrower.
    PendingThrowsBack,
    /// The last handle of the running greenlet may go, and it lives on.
    UnheldLives,
}

impl Planted {
    pub(crate) const ALL: [Planted; 4] = [
        Planted::DeadReturns,
        Planted::KillerIsNoParent,
        Planted::PendingThrowsBack,
        Planted::UnheldLives,
    ];
}

/// The trace that the rules predict.
pub(crate) fn predict(program: &[Op], planted: Option<Planted>) -> Vec<Entry> {
    let model = Rc::new(Model {
        program: program.to_vec(),
        planted,
        state: RefCell::default(),
        current: Cell::new(MAIN),
    });
    model.state().greenlets.push(G {
        phase: Phase::Started,
        local: Some(0),
        ..G::new(Fam::A, None)
    });
    model.drive();
    model.state.take().trace
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Pending,
    Started,
    Dead,
}

/// What a suspended greenlet waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Nothing,
    Value(Fam),
    /// The end of somebody, in a kill.
    End,
    /// The end of somebody, in a drop: what that dies of is reported, not raised.
    QuietEnd,
}

impl Waits {
    fn for_an_end(self) -> bool {
        matches!(self, Waits::End | Waits::QuietEnd)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payload {
    Number(u64),
    Exit,
    Undeliverable,
    Text,
}

impl Payload {
    fn code(self) -> u64 {
        match self {
            Payload::Number(number) => numbered(number),
            Payload::Exit => EXIT,
            Payload::Undeliverable => UNDELIVERABLE,
            Payload::Text => TEXT,
        }
    }
}

type Outcome<T> = Result<T, Payload>;

/// Two things cannot be raised at once: the first one is, and the other is reported.
fn keep_first(kept: &mut Option<Payload>, other: Outcome<()>) {
    *kept = kept.or(other.err());
}

enum Failure {
    Refused,
    Thrown(Payload),
}

impl From<Payload> for Failure {
    fn from(payload: Payload) -> Failure {
        Failure::Thrown(payload)
    }
}

#[derive(Clone, Copy)]
struct Event {
    throw: bool,
    origin: usize,
    target: usize,
}

/// What arrives with control.
#[derive(Default)]
struct Mail {
    value: Option<u64>,
    raise: Option<Payload>,
    event: Option<Event>,
    /// Who has just ended.
    ended: Option<usize>,
    /// Who has just left and has no handle any more.
    unheld: Option<usize>,
    /// Those that ended while pending, because what was raised went through them.
    passed: Vec<usize>,
}

struct G {
    phase: Phase,
    family: Fam,
    has_body: bool,
    parent: Option<usize>,
    /// Who waits for its end: the last one that came stands in for the parent.
    waiting: Vec<usize>,
    waits: Waits,
    /// Handles to it, and children of it.
    held: u32,
    /// Its last handle was dropped while it ran.
    unheld: bool,
    /// It is being ended because it has no handle, or it is gone.
    ending: bool,
    gone: bool,
    mail: Mail,
    local: Option<u64>,
    run: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl G {
    fn new(family: Fam, parent: Option<usize>) -> G {
        G {
            phase: Phase::Pending,
            family,
            has_body: true,
            parent,
            waiting: Vec::new(),
            waits: Waits::Nothing,
            held: 1,
            unheld: false,
            ending: false,
            gone: false,
            mail: Mail::default(),
            local: None,
            run: None,
        }
    }
}

#[derive(Clone, Copy)]
struct Handle {
    to: usize,
    fam: Fam,
}

#[derive(Default)]
struct State {
    greenlets: Vec<G>,
    table: [Option<Handle>; SLOTS],
    weak: Option<Handle>,
    tracer: Option<Rc<(Hook, Cell<u32>)>>,
    at: usize,
    trace: Vec<Entry>,
}

struct Model {
    program: Vec<Op>,
    planted: Option<Planted>,
    state: RefCell<State>,
    current: Cell<usize>,
}

/// Driving: whoever is current is polled.
impl Model {
    fn drive(self: &Rc<Self>) {
        let me = Rc::clone(self);
        self.g(MAIN).run = Some(Box::pin(async move { me.run_main().await }));
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let current = self.current.get();
            let mut run = self.g(current).run.take().expect("current can run");
            match run.as_mut().poll(&mut context) {
                Poll::Pending => self.g(current).run = Some(run),
                Poll::Ready(()) if current == MAIN => return,
                Poll::Ready(()) => {}
            }
        }
    }

    fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    fn g(&self, number: usize) -> RefMut<'_, G> {
        RefMut::map(self.state(), |state| &mut state.greenlets[number])
    }

    fn is_pending(&self, number: usize) -> bool {
        self.g(number).phase == Phase::Pending
    }

    fn is_planted(&self, error: Planted) -> bool {
        self.planted == Some(error)
    }

    fn note(&self, what: What, who: usize, x: u64, y: u64) {
        self.state().trace.push(Entry { what, who, x, y });
    }

    /// Leaves `me` for `to`, and returns when somebody has come back.
    async fn hop(&self, me: usize, to: usize, waits: Waits) {
        let orphan = {
            let mut g = self.g(me);
            g.waits = waits;
            std::mem::take(&mut g.unheld) && g.held == 0
        };
        if orphan && !self.is_planted(Planted::UnheldLives) {
            self.g(me).ending = true;
            self.g(to).mail.unheld = Some(me);
        }
        self.current.set(to);
        let mut left = false;
        poll_fn(|_| {
            if std::mem::replace(&mut left, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// The rules: switch, throw, kill, the end.
impl Model {
    /// The greenlet itself if it is not dead, or whoever receives for it.
    fn first_alive(&self, mut g: usize) -> usize {
        while self.g(g).phase == Phase::Dead {
            g = self.above(g);
        }
        g
    }

    fn above(&self, g: usize) -> usize {
        let g = self.g(g);
        let waiting = g.waiting.last().copied();
        let killer = waiting.filter(|_| !self.is_planted(Planted::KillerIsNoParent));
        killer.or(g.parent).expect("main does not end")
    }

    async fn switch(self: &Rc<Self>, to: usize, value: u64, fam: Fam) -> Result<u64, Failure> {
        let me = self.current.get();
        let target = self.first_alive(to);
        if target == me || (target != to && self.is_planted(Planted::DeadReturns)) {
            self.tell(false, me, me).await?;
            return Ok(value);
        }
        if self.offer(target, value, fam) {
            self.announce(false, me, target);
        } else if target == to {
            return Err(Failure::Refused);
        } else {
            return Ok(self
                .raise_and_wait(me, target, Payload::Undeliverable, fam)
                .await?);
        }
        self.hop(me, target, Waits::Value(fam)).await;
        Ok(self.arrive(me).await?.expect("a value was waited for"))
    }

    /// Hands over a value: a pending greenlet starts with it, one that waits for an end drops it.
    fn offer(self: &Rc<Self>, target: usize, value: u64, fam: Fam) -> bool {
        let value = if fam == Fam::B {
            u64::from(value as u32)
        } else {
            value
        };
        let mut g = self.g(target);
        match (g.phase, g.waits) {
            (Phase::Pending, _) if g.family == fam && g.has_body => {
                g.phase = Phase::Started;
                g.mail.value = Some(value);
                let me = Rc::clone(self);
                g.run = Some(Box::pin(async move { me.run(target).await }));
            }
            (Phase::Pending, _) => return false,
            (_, Waits::Value(wanted)) if wanted == fam => g.mail.value = Some(value),
            (_, waits) => return waits.for_an_end(),
        }
        true
    }

    /// What a greenlet does first when control has come to it.
    async fn arrive(self: &Rc<Self>, me: usize) -> Outcome<Option<u64>> {
        let mail = std::mem::take(&mut self.g(me).mail);
        let mut raise = mail.raise;
        if let Some(ended) = mail.ended {
            self.g(ended).held += 1;
        }
        if let Some(event) = mail.event
            && let Err(panic) = Box::pin(self.call_tracer(event)).await
        {
            raise = Some(panic);
        }
        for pending in mail.passed {
            keep_first(&mut raise, self.release(pending).await);
        }
        if let Some(ended) = mail.ended {
            keep_first(&mut raise, self.release(ended).await);
        }
        if let Some(unheld) = mail.unheld {
            let resurrected = {
                let mut g = self.g(unheld);
                g.ending = false;
                g.held > 0
            };
            if !resurrected {
                keep_first(&mut raise, Box::pin(self.unheld(unheld)).await);
            }
        }
        match raise {
            Some(payload) => Err(payload),
            None => Ok(mail.value),
        }
    }

    /// Raises a payload at `first` or in the first ancestor that it does not end; says who runs next, or
    /// returns the payload if that is `me`. `death`: `me` has died of it, rather than thrown it. Those that
    /// end on the way are held until it has arrived.
    async fn raise_from(
        self: &Rc<Self>,
        me: usize,
        first: usize,
        payload: Payload,
        death: bool,
    ) -> Outcome<usize> {
        let mut target = self.first_alive(first);
        let mut origin = me;
        let mut passed = Vec::new();
        while target != me {
            if !self.is_pending(target) {
                // Who drops the last handle of `me` is not to blame.
                let dropping = self.g(target).waits == Waits::QuietEnd
                    && self.g(me).waiting.last() == Some(&target);
                let reported = death && dropping;
                self.announce(!reported, origin, target);
                let mail = &mut self.g(target).mail;
                mail.raise = (!reported).then_some(payload);
                mail.passed = passed;
                return Ok(target);
            }
            self.g(target).held += 1;
            passed.push(target);
            // What a tracer raises here is reported.
            let _ = self.tell(true, origin, target).await;
            if self.is_pending(target) {
                self.end_pending(target);
                origin = target;
                if self.is_planted(Planted::PendingThrowsBack) {
                    break;
                }
            }
            // If the tracer has started it, it is raised there.
            target = self.first_alive(target);
        }
        let told = self.tell(true, origin, me).await;
        for pending in passed {
            // What is raised here is reported.
            let _ = self.release(pending).await;
        }
        Err(told.err().unwrap_or(payload))
    }

    async fn raise_and_wait(
        self: &Rc<Self>,
        me: usize,
        first: usize,
        payload: Payload,
        fam: Fam,
    ) -> Outcome<u64> {
        let target = self.raise_from(me, first, payload, false).await?;
        self.hop(me, target, Waits::Value(fam)).await;
        Ok(self.arrive(me).await?.expect("a value was waited for"))
    }

    async fn throw(self: &Rc<Self>, to: usize, payload: Payload, fam: Fam) -> Result<u64, Failure> {
        let me = self.current.get();
        let (phase, has_body) = {
            let g = self.g(to);
            (g.phase, g.has_body)
        };
        if phase == Phase::Pending && !has_body {
            return Err(Failure::Refused);
        }
        if payload != Payload::Exit {
            return Ok(self.raise_and_wait(me, to, payload, fam).await?);
        }
        if to == me {
            self.tell(true, me, me).await?;
            return Err(Failure::Thrown(payload));
        }
        if phase == Phase::Started {
            self.g(to).waiting.push(me);
            let got = self.raise_and_wait(me, to, payload, fam).await;
            self.wait_no_more(to, me);
            return Ok(got?);
        }
        self.end(to, Waits::End).await?;
        // The dead leave no value.
        Err(Failure::Thrown(Payload::Undeliverable))
    }

    /// Raises an exit, and waits: true if the target is dead then.
    async fn end(self: &Rc<Self>, target: usize, waits: Waits) -> Outcome<bool> {
        let me = self.current.get();
        let phase = self.g(target).phase;
        if phase == Phase::Dead {
            return Ok(true);
        }
        if phase == Phase::Pending {
            self.tell(true, me, target).await?;
            if !self.is_pending(target) {
                // The tracer has started it.
                return Box::pin(self.end(target, waits)).await;
            }
            self.end_pending(target);
            self.tell(false, target, me).await?;
            return Ok(true);
        }
        if target == me {
            self.tell(true, me, me).await?;
            return Err(Payload::Exit);
        }
        self.g(target).waiting.push(me);
        self.g(target).mail.raise = Some(Payload::Exit);
        self.announce(true, me, target);
        self.hop(me, target, waits).await;
        let arrived = self.arrive(me).await;
        self.wait_no_more(target, me);
        arrived?;
        Ok(self.g(target).phase == Phase::Dead)
    }

    /// The last entry of `me`: nested waits of one greenlet end in order.
    fn wait_no_more(&self, target: usize, me: usize) {
        let waiting = &mut self.g(target).waiting;
        if let Some(mine) = waiting.iter().rposition(|&waiter| waiter == me) {
            waiting.remove(mine);
        }
    }

    fn end_pending(&self, target: usize) {
        self.bury(target);
        if std::mem::take(&mut self.g(target).has_body) {
            self.note(What::BodyGone, target, 0, 0);
        }
    }

    fn bury(&self, target: usize) {
        let mut g = self.g(target);
        g.phase = Phase::Dead;
        g.waits = Waits::Nothing;
        g.waiting.clear();
    }

    /// The whole life of a greenlet.
    async fn run(self: Rc<Self>, me: usize) {
        let outcome = match self.arrive(me).await {
            Ok(first) => {
                let first = first.expect("a greenlet starts with a value");
                self.note(What::Began, me, first, 0);
                self.level(me, 0).await
            }
            Err(payload) => Err(payload),
        };
        self.g(me).has_body = false;
        self.note(What::BodyGone, me, 0, 0);
        let local = self.g(me).local.take();
        if let Some(value) = local {
            self.note(What::LocalGone, me, value, 0);
        }
        let next = self.leave(me, outcome).await;
        self.bury(me);
        self.g(next).mail.ended = Some(me);
        self.current.set(next);
    }

    /// Hands on what a greenlet leaves; says who runs next.
    async fn leave(self: &Rc<Self>, me: usize, outcome: Outcome<u64>) -> usize {
        let mut receiver = self.first_alive(self.above(me));
        let payload = match outcome {
            Ok(value) => {
                let family = self.g(me).family;
                if self.offer(receiver, value, family) {
                    self.announce(false, me, receiver);
                    return receiver;
                }
                Payload::Undeliverable
            }
            Err(Payload::Exit) => {
                if self.g(receiver).waits.for_an_end() {
                    self.announce(false, me, receiver);
                    return receiver;
                }
                Payload::Undeliverable
            }
            Err(payload) => payload,
        };
        receiver = self.first_alive(receiver);
        match self.raise_from(me, receiver, payload, true).await {
            Ok(next) => next,
            Err(_) => unreachable!("nobody is their own ancestor"),
        }
    }
}

/// The rules: handles.
impl Model {
    fn hold(&self, handle: Handle) -> Handle {
        self.g(handle.to).held += 1;
        handle
    }

    /// One handle less. An error is what is raised in the one who drops it.
    async fn release(self: &Rc<Self>, g: usize) -> Outcome<()> {
        let last = {
            let mut g = self.g(g);
            g.held -= 1;
            g.held == 0 && !g.ending
        };
        if last {
            Box::pin(self.unheld(g)).await?;
        }
        Ok(())
    }

    /// The last handle has gone: the greenlet is ended, and let go of; perhaps its parents too.
    async fn unheld(self: &Rc<Self>, first: usize) -> Outcome<()> {
        let mut thrown = None;
        let mut next = Some(first);
        while let Some(g) = next.take() {
            let phase = self.g(g).phase;
            if phase == Phase::Started && g == MAIN {
                break;
            }
            if phase == Phase::Started && g == self.current.get() {
                self.g(g).unheld = true;
                break;
            }
            keep_first(&mut thrown, self.end_unheld(g, phase).await);
            let survives = {
                let g = self.g(g);
                g.held > 0 || g.phase != Phase::Dead
            };
            if survives {
                break;
            }
            next = self.retire(g);
        }
        thrown.map_or(Ok(()), Err)
    }

    /// Ends a greenlet that has no handle; it may be resurrected meanwhile.
    async fn end_unheld(self: &Rc<Self>, g: usize, phase: Phase) -> Outcome<()> {
        self.g(g).ending = true;
        self.g(g).held += 1;
        let ended = match phase {
            Phase::Started => self.end(g, Waits::QuietEnd).await.map(drop),
            Phase::Pending => {
                self.end_pending(g);
                Ok(())
            }
            Phase::Dead => Ok(()),
        };
        let mut g = self.g(g);
        g.held -= 1;
        g.ending = false;
        ended
    }

    /// Dead and not held: it holds its parent no longer, which is returned if nobody else does.
    fn retire(&self, g: usize) -> Option<usize> {
        let parent = {
            let mut g = self.g(g);
            g.gone = true;
            g.parent.take()?
        };
        let mut g = self.g(parent);
        g.held -= 1;
        (g.held == 0 && !g.ending).then_some(parent)
    }

    fn set_parent(&self, child: usize, parent: usize) -> Result<Option<usize>, u64> {
        if child == MAIN {
            return Err(2);
        }
        let mut above = Some(parent);
        while let Some(g) = above {
            if g == child {
                return Err(1);
            }
            above = self.g(g).parent;
        }
        self.g(parent).held += 1;
        Ok(self.g(child).parent.replace(parent))
    }
}

/// The rules: tracing.
impl Model {
    /// Says what the tracer is told when control has arrived. The event holds both ends.
    fn announce(&self, throw: bool, origin: usize, target: usize) {
        if self.state().tracer.is_some() {
            self.g(origin).held += 1;
            self.g(target).held += 1;
            self.g(target).mail.event = Some(Event {
                throw,
                origin,
                target,
            });
        }
    }

    /// Tells the tracer of something that needs no switch.
    async fn tell(self: &Rc<Self>, throw: bool, origin: usize, target: usize) -> Outcome<()> {
        if self.state().tracer.is_none() {
            return Ok(());
        }
        self.g(origin).held += 1;
        self.g(target).held += 1;
        let event = Event {
            throw,
            origin,
            target,
        };
        Box::pin(self.call_tracer(event)).await
    }

    async fn call_tracer(self: &Rc<Self>, event: Event) -> Outcome<()> {
        let tracer = self.state().tracer.clone();
        let told = match tracer {
            Some(tracer) => self.hook(&tracer, event).await,
            None => Ok(()),
        };
        if told.is_err() {
            self.state().tracer = None;
        }
        let origin = self.release(event.origin).await;
        let target = self.release(event.target).await;
        told.and(origin).and(target)
    }

    /// The tracer of the program.
    async fn hook(self: &Rc<Self>, tracer: &(Hook, Cell<u32>), event: Event) -> Outcome<()> {
        let what = if event.throw {
            What::TraceThrow
        } else {
            What::TraceSwitch
        };
        self.note(what, event.target, event.origin as u64, 0);
        let (hook, left) = tracer;
        let times = left.get();
        left.set(times.saturating_sub(1));
        let token = TRACER + self.state().at as u64;
        match *hook {
            Hook::Panics if times == 1 => Err(Payload::Number(token)),
            Hook::Switches { a, raises } if times > 0 => {
                let Some(handle) = self.picked(a) else {
                    return Ok(());
                };
                let handle = self.hold(handle);
                let result = Box::pin(self.switch(handle.to, token, handle.fam)).await;
                let me = self.current_handle(Fam::A);
                let _ = self.release(me.to).await;
                let settled = self.settle(me.to, handle, result, true).await;
                if raises { settled } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}

/// The interpreter; `real.rs` has its twin.
impl Model {
    fn next(&self, me: usize) -> Option<(Op, u64)> {
        let at = self.state().at;
        let op = *self.program.get(at)?;
        self.state().at += 1;
        self.note(What::Step, me, at as u64, op.kind as u64);
        Some((op, at as u64 + 1))
    }

    async fn run_main(self: &Rc<Self>) {
        while self.state().at < self.program.len() {
            match self.level(MAIN, 0).await {
                Ok(value) => self.note(What::Left, MAIN, value, 0),
                Err(payload) => self.note(What::Caught, MAIN, payload.code(), 0),
            }
        }
        self.state().tracer = None;
        for slot in 0..SLOTS {
            let handle = self.state().table[slot].take();
            self.drop_handle(MAIN, handle).await;
        }
        self.end_all().await;
        let gone = self.state().greenlets.iter().skip(1).all(|g| g.gone);
        assert!(gone, "the model leaks");
        self.note(What::Rest, MAIN, 0, 0);
    }

    async fn end_all(self: &Rc<Self>) {
        loop {
            let newest = {
                let state = self.state();
                let alive = |g: &G| g.phase != Phase::Dead;
                state.greenlets.iter().rposition(alive)
            };
            let newest = newest.expect("main is alive");
            if newest == MAIN {
                return;
            }
            self.g(newest).held += 1;
            // One that is in the midst of a throw may live on and must be told again.
            for _ in 0..8 {
                let _ = self.end(newest, Waits::QuietEnd).await;
            }
            assert!(self.g(newest).phase == Phase::Dead, "everybody ends");
            let _ = self.release(newest).await;
        }
    }

    async fn level(self: &Rc<Self>, me: usize, depth: u32) -> Outcome<u64> {
        while let Some((op, token)) = self.next(me) {
            match op.kind {
                Kind::Return if me != MAIN || depth > 0 => return Ok(token),
                Kind::Panic => return Err(Payload::Number(token)),
                Kind::Recurse if depth < LEVELS => {
                    match Box::pin(self.level(me, depth + 1)).await {
                        Ok(value) => self.note(What::Left, me, value, 0),
                        Err(payload) if op.catches() => {
                            self.note(What::Caught, me, payload.code(), 0);
                        }
                        Err(payload) => return Err(payload),
                    }
                }
                _ => self.perform(me, op, token).await?,
            }
        }
        Ok(0)
    }

    async fn perform(self: &Rc<Self>, me: usize, op: Op, token: u64) -> Outcome<()> {
        match op.kind {
            Kind::Switch | Kind::Throw | Kind::ThrowExit | Kind::Kill => {
                return self.approach(me, op, token).await;
            }
            Kind::New | Kind::Declare => self.make(me, op).await,
            Kind::Define => self.define(me, op),
            Kind::SetParent => self.reparent(me, op).await,
            Kind::DropHandle => {
                let slot = pick(|slot| self.state().table[slot].is_some(), op.a);
                let handle = slot.and_then(|slot| self.state().table[slot].take());
                self.drop_handle(me, handle).await;
            }
            Kind::Forget => {
                let parent = self.g(me).parent;
                let current = self.current_handle(Fam::A);
                self.drop_handle(me, Some(current)).await;
                let whom = if op.catches() { Some(me) } else { parent };
                for slot in 0..SLOTS {
                    let handle = {
                        let entry = &mut self.state().table[slot];
                        entry.take_if(|handle| Some(handle.to) == whom)
                    };
                    self.drop_handle(me, handle).await;
                }
            }
            Kind::Copy => {
                if let Some(handle) = self.picked(op.a) {
                    self.keep(me, op, self.hold(handle)).await;
                }
            }
            Kind::KeepCurrent => {
                let handle = self.current_handle(Fam::of(op.b));
                self.keep(me, op, handle).await;
            }
            Kind::KeepParent => {
                if let Some(Handle { to, fam }) = self.picked(op.a) {
                    let parent = self.g(to).parent;
                    if let Some(to) = parent {
                        self.keep(me, op, self.hold(Handle { to, fam })).await;
                    }
                }
            }
            Kind::Downgrade => {
                if let Some(handle) = self.picked(op.a) {
                    self.state().weak = Some(handle);
                }
            }
            Kind::Upgrade => self.upgrade(me, op).await,
            Kind::Local => {
                let value = {
                    let mut g = self.g(me);
                    let local = g.local.get_or_insert(0);
                    if op.catches() {
                        *local = token;
                    }
                    *local
                };
                self.note(What::Local, me, value, 0);
            }
            Kind::Trace => {
                let tracer = Hook::of(op).map(|(hook, times)| Rc::new((hook, Cell::new(times))));
                self.state().tracer = tracer;
            }
            Kind::Look => self.look(),
            Kind::Return | Kind::Panic | Kind::Recurse => {}
        }
        Ok(())
    }

    /// Switch, throw, kill.
    async fn approach(self: &Rc<Self>, me: usize, op: Op, token: u64) -> Outcome<()> {
        let handle = match Aim::of(op.a) {
            Aim::Myself => Some(self.current_handle(Fam::A)),
            Aim::Parent => {
                let parent = self.g(me).parent;
                let of = |to| self.hold(Handle { to, fam: Fam::A });
                let handle = parent.map(of);
                let current = self.current_handle(Fam::A);
                self.drop_handle(me, Some(current)).await;
                handle
            }
            Aim::Pick(a) => self.picked(a).map(|handle| self.hold(handle)),
        };
        let Some(handle) = handle else { return Ok(()) };
        let Handle { to, fam } = handle;
        let result = match op.kind {
            Kind::Switch => self.switch(to, token, fam).await,
            Kind::Throw => self.throw(to, Payload::Number(token), fam).await,
            Kind::ThrowExit => self.throw(to, Payload::Exit, fam).await,
            _ => match self.end(to, Waits::End).await {
                Ok(dead) => {
                    self.note(What::Killed, me, u64::from(dead), 0);
                    self.drop_handle(me, Some(handle)).await;
                    return Ok(());
                }
                Err(payload) => Err(Failure::Thrown(payload)),
            },
        };
        let settled = self.settle(me, handle, result, op.catches()).await;
        if op.catches() { Ok(()) } else { settled }
    }

    /// Notes how it went, and drops the handle. Where an error cannot be returned, a refusal is raised.
    async fn settle(
        self: &Rc<Self>,
        me: usize,
        handle: Handle,
        result: Result<u64, Failure>,
        lenient: bool,
    ) -> Outcome<()> {
        let raised = match result {
            Ok(value) => {
                let narrow = if handle.fam == Fam::B {
                    u64::from(value as u32)
                } else {
                    value
                };
                self.note(What::Got, me, narrow, 0);
                None
            }
            Err(Failure::Refused) if lenient => {
                self.note(What::Refused, me, 0, 0);
                None
            }
            Err(Failure::Refused) => Some(Payload::Text),
            Err(Failure::Thrown(payload)) => Some(payload),
        };
        if let Some(payload) = raised {
            self.note(What::Raised, me, payload.code(), 0);
        }
        self.drop_handle(me, Some(handle)).await;
        raised.map_or(Ok(()), Err)
    }

    async fn make(self: &Rc<Self>, me: usize, op: Op) {
        let fam = Fam::of(op.b);
        let asked = self.picked(op.a).filter(|_| op.asks_for_parent());
        let parent = asked.filter(|handle| handle.fam == fam);
        let parent = parent.map_or(me, |handle| handle.to);
        self.g(parent).held += 1;
        let to = self.state().greenlets.len();
        self.state().greenlets.push(G {
            has_body: op.kind == Kind::New,
            ..G::new(fam, Some(parent))
        });
        self.note(What::Made, to, parent as u64, 0);
        self.keep(me, op, Handle { to, fam }).await;
    }

    fn define(&self, me: usize, op: Op) {
        let Some(Handle { to, fam }) = self.picked(op.a) else {
            return;
        };
        let fits = {
            let mut g = self.g(to);
            let fits = g.phase == Phase::Pending && !g.has_body && g.family == fam;
            g.has_body |= fits;
            fits
        };
        if !fits {
            self.note(What::BodyGone, to, 0, 0);
            self.note(What::Raised, me, TEXT, 0);
        }
    }

    async fn reparent(self: &Rc<Self>, me: usize, op: Op) {
        let (Some(child), Some(parent)) = (self.picked(op.a), self.picked(op.b)) else {
            return;
        };
        if child.fam != parent.fam {
            return;
        }
        match self.set_parent(child.to, parent.to) {
            Err(error) => self.note(What::Parent, me, error, 0),
            Ok(before) => {
                let (child, parent) = (self.hold(child), self.hold(parent));
                let released = match before {
                    Some(before) => self.release(before).await,
                    None => Ok(()),
                };
                match released {
                    Ok(()) => self.note(What::Parent, me, 0, 0),
                    Err(payload) => self.note(What::Raised, me, payload.code(), 0),
                }
                self.drop_handle(me, Some(child)).await;
                self.drop_handle(me, Some(parent)).await;
            }
        }
    }

    async fn upgrade(self: &Rc<Self>, me: usize, op: Op) {
        let weak = self.state().weak;
        let Some(handle) = weak else { return };
        let kept = {
            let g = self.g(handle.to);
            g.held > 0 && !g.ending
        };
        self.note(What::Upgraded, me, u64::from(kept), 0);
        if kept {
            self.keep(me, op, self.hold(handle)).await;
        }
    }

    fn look(&self) {
        let current = self.current.get();
        for slot in 0..SLOTS {
            let handle = self.state().table[slot];
            let Some(Handle { to, .. }) = handle else {
                continue;
            };
            let (phase, parent) = {
                let g = self.g(to);
                (g.phase, g.parent.map_or(0, |parent| parent as u64 + 1))
            };
            let state = u64::from(phase == Phase::Dead)
                | u64::from(phase == Phase::Started) << 1
                | u64::from(to == current) << 2;
            self.note(What::State, to, (slot as u64) << 3 | state, parent);
        }
        let alive = {
            let state = self.state();
            let others = state.greenlets.iter().skip(1);
            others.filter(|g| g.phase != Phase::Dead).count()
        };
        self.note(What::Alive, current, alive as u64, 0);
    }

    fn picked(&self, a: u32) -> Option<Handle> {
        let state = self.state();
        let slot = program::pick(|slot| state.table[slot].is_some(), a)?;
        state.table[slot]
    }

    fn current_handle(&self, fam: Fam) -> Handle {
        let to = self.current.get();
        self.g(to).unheld = false;
        self.hold(Handle { to, fam })
    }

    async fn keep(self: &Rc<Self>, me: usize, op: Op, handle: Handle) {
        let before = self.state().table[op.slot()].replace(handle);
        self.drop_handle(me, before).await;
    }

    async fn drop_handle(self: &Rc<Self>, me: usize, handle: Option<Handle>) {
        if let Some(handle) = handle
            && let Err(payload) = self.release(handle.to).await
        {
            self.note(What::RaisedInDrop, me, payload.code(), 0);
        }
    }
}
