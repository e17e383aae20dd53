//! The real thing: the same program on greenlets. `model.rs` has the twin of this interpreter.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use greenlet::{
    Greenlet, GreenletExit, GreenletId, ParentError, SwitchError, Undeliverable, WeakGreenlet,
    current, greenlet_local, trace,
};

use crate::program::{
    Aim, EXIT, Entry, Fam, Hook, Kind, LEVELS, MAIN, Op, SLOTS, TEXT, TRACER, UNDELIVERABLE, What,
    numbered, pick,
};

type Payload = Box<dyn Any + Send>;

/// A numbered payload.
struct Number(u64);

/// How deep the calls between two levels may be.
const CALLS: u32 = 4;

/// Runs a program on the calling thread, and returns what happened.
pub(crate) fn run(program: &[Op]) -> Vec<Entry> {
    let main = current::<u64>();
    let world = Rc::new(World {
        program: program.to_vec(),
        at: Cell::new(0),
        table: RefCell::default(),
        weak: RefCell::default(),
        numbers: RefCell::new(HashMap::from([(main.id(), MAIN)])),
        trace: RefCell::default(),
    });
    drop(main);
    set_local(&world, 0);
    world.run_main();
    LOCAL.with(|local| local.world.take());
    world.trace.take()
}

struct World {
    program: Vec<Op>,
    at: Cell<usize>,
    table: RefCell<[Option<Handle>; SLOTS]>,
    weak: RefCell<Option<Weak>>,
    numbers: RefCell<HashMap<GreenletId, usize>>,
    trace: RefCell<Vec<Entry>>,
}

#[derive(Clone)]
enum Handle {
    A(Greenlet<u64>),
    B(Greenlet<u32>),
}

enum Weak {
    A(WeakGreenlet<u64>),
    B(WeakGreenlet<u32>),
}

/// A value that travels.
trait Token: Copy + 'static {
    fn from_number(number: u64) -> Self;
    fn number(self) -> u64;
    fn handle(greenlet: Greenlet<Self>) -> Handle;
}

impl Token for u64 {
    fn from_number(number: u64) -> u64 {
        number
    }
    fn number(self) -> u64 {
        self
    }
    fn handle(greenlet: Greenlet<u64>) -> Handle {
        Handle::A(greenlet)
    }
}

impl Token for u32 {
    fn from_number(number: u64) -> u32 {
        number as u32
    }
    fn number(self) -> u64 {
        u64::from(self)
    }
    fn handle(greenlet: Greenlet<u32>) -> Handle {
        Handle::B(greenlet)
    }
}

macro_rules! either {
    ($handle:expr, $greenlet:ident => $what:expr) => {
        match $handle {
            Handle::A($greenlet) => $what,
            Handle::B($greenlet) => $what,
        }
    };
}

enum Failure {
    Refused,
    Deferred,
    Thrown(Payload),
}

impl<V> From<SwitchError<V>> for Failure {
    fn from(error: SwitchError<V>) -> Failure {
        match error {
            SwitchError::Refused { .. } => Failure::Refused,
            SwitchError::Deferred(_) => Failure::Deferred,
            SwitchError::Thrown(payload) => Failure::Thrown(payload),
        }
    }
}

/// Calls `f`, and returns what it raises.
fn caught<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}

fn code(payload: &Payload) -> u64 {
    if let Some(number) = payload.downcast_ref::<Number>() {
        numbered(number.0)
    } else if payload.is::<GreenletExit>() {
        EXIT
    } else if payload.is::<Undeliverable>() {
        UNDELIVERABLE
    } else {
        TEXT
    }
}

impl Handle {
    /// Switches; `lenient` by `try_switch`.
    fn switch(&self, token: u64, lenient: bool) -> Result<u64, Failure> {
        fn go<T: Token>(to: &Greenlet<T>, token: u64, lenient: bool) -> Result<u64, Failure> {
            let value = T::from_number(token);
            if lenient {
                Ok(to.try_switch(value)?.number())
            } else {
                let got = caught(|| to.switch(value));
                got.map(T::number).map_err(Failure::Thrown)
            }
        }
        either!(self, to => go(to, token, lenient))
    }

    fn throw<E: Any + Send>(&self, payload: E, lenient: bool) -> Result<u64, Failure> {
        fn go<T: Token, E: Any + Send>(
            to: &Greenlet<T>,
            payload: E,
            lenient: bool,
        ) -> Result<u64, Failure> {
            if lenient {
                Ok(to.try_throw(payload)?.number())
            } else {
                let got = caught(|| to.throw(payload));
                got.map(T::number).map_err(Failure::Thrown)
            }
        }
        either!(self, to => go(to, payload, lenient))
    }

    fn parent(&self) -> Option<Handle> {
        either!(self, g => g.parent().map(Token::handle))
    }

    fn id(&self) -> GreenletId {
        either!(self, g => g.id())
    }
}

struct Local {
    world: RefCell<Option<Rc<World>>>,
    owner: Cell<usize>,
    value: Cell<u64>,
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(world) = self.world.take() {
            world.note(What::LocalGone, self.owner.get(), self.value.get(), 0);
        }
    }
}

greenlet_local! {
    static LOCAL: Local = Local {
        world: RefCell::new(None),
        owner: Cell::new(MAIN),
        value: Cell::new(0),
    };
}

fn set_local(world: &Rc<World>, value: u64) {
    LOCAL.with(|local| {
        local.world.replace(Some(Rc::clone(world)));
        local.value.set(value);
    });
}

/// Goes with a body.
struct Bye {
    world: Rc<World>,
    me: usize,
}

impl Drop for Bye {
    fn drop(&mut self) {
        self.world.note(What::BodyGone, self.me, 0, 0);
    }
}

/// What a frame holds while it waits: numbers in integer and in floating-point form, and their check.
struct Ballast {
    seed: u64,
    whole: [u64; 64],
    broken: [f64; 64],
}

impl Ballast {
    #[inline(always)]
    fn new(seed: u64) -> Ballast {
        black_box(Ballast {
            seed,
            whole: std::array::from_fn(|i| Ballast::whole(seed, i)),
            broken: std::array::from_fn(|i| Ballast::broken(seed, i)),
        })
    }

    fn whole(seed: u64, i: usize) -> u64 {
        (seed + i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn broken(seed: u64, i: usize) -> f64 {
        (seed as f64 + 0.5) * (i as f64 + 0.25)
    }

    #[inline(always)]
    fn check(&self) {
        let this = black_box(self);
        let whole = (0..64).all(|i| this.whole[i] == Ballast::whole(this.seed, i));
        let broken = (0..64).all(|i| this.broken[i] == Ballast::broken(this.seed, i));
        if !(whole && broken) {
            eprintln!("a frame was overwritten");
            std::process::abort();
        }
    }
}

impl World {
    fn note(&self, what: What, who: usize, x: u64, y: u64) {
        self.trace.borrow_mut().push(Entry { what, who, x, y });
    }

    fn next(&self, me: usize) -> Option<(Op, u64)> {
        let at = self.at.get();
        let op = *self.program.get(at)?;
        self.at.set(at + 1);
        self.note(What::Step, me, at as u64, op.kind as u64);
        Some((op, at as u64 + 1))
    }

    fn run_main(self: &Rc<Self>) {
        while self.at.get() < self.program.len() {
            match caught(|| self.level(MAIN, 0)) {
                Ok(value) => self.note(What::Left, MAIN, value, 0),
                Err(payload) => self.note(What::Caught, MAIN, code(&payload), 0),
            }
        }
        drop(trace::set(None));
        for slot in 0..SLOTS {
            let handle = self.table.borrow_mut()[slot].take();
            self.drop_handle(MAIN, handle);
        }
        drop(self.weak.take());
        greenlet::shutdown();
        let (controls, bodies) = greenlet::blocks_in_use();
        let stacks = greenlet::stack_stats().in_use;
        let blocks = ((controls as u64) << 32) | ((bodies as u64) << 16) | stacks as u64;
        self.note(What::Rest, MAIN, greenlet::alive() as u64, blocks);
    }

    fn body<T: Token>(self: &Rc<Self>, me: usize) -> impl FnOnce(T) -> T + 'static {
        let bye = Bye {
            world: Rc::clone(self),
            me,
        };
        move |first: T| {
            let bye = bye;
            bye.world.note(What::Began, me, first.number(), 0);
            T::from_number(bye.world.level(me, 0))
        }
    }

    fn level(self: &Rc<Self>, me: usize, depth: u32) -> u64 {
        let ballast = Ballast::new((me as u64) << 8 | u64::from(depth));
        while let Some((op, token)) = self.next(me) {
            match op.kind {
                Kind::Return if me != MAIN || depth > 0 => return token,
                Kind::Panic => resume_unwind(Box::new(Number(token))),
                Kind::Recurse if depth < LEVELS => {
                    let deeper = || self.dive(me, depth, op.a % CALLS);
                    let left = if op.catches() {
                        caught(deeper)
                    } else {
                        Ok(deeper())
                    };
                    match left {
                        Ok(value) => self.note(What::Left, me, value, 0),
                        Err(payload) => self.note(What::Caught, me, code(&payload), 0),
                    }
                }
                _ => {
                    if let Err(payload) = self.perform(me, op, token) {
                        ballast.check();
                        resume_unwind(payload);
                    }
                }
            }
            ballast.check();
        }
        0
    }

    /// Some calls on the way to the next level.
    #[inline(never)]
    fn dive(self: &Rc<Self>, me: usize, depth: u32, calls: u32) -> u64 {
        let ballast = Ballast::new((me as u64) << 16 | u64::from(depth) << 8 | u64::from(calls));
        let value = match calls.checked_sub(1) {
            Some(fewer) => self.dive(me, depth, fewer),
            None => self.level(me, depth + 1),
        };
        ballast.check();
        value
    }

    fn perform(self: &Rc<Self>, me: usize, op: Op, token: u64) -> Result<(), Payload> {
        match op.kind {
            Kind::Switch | Kind::Throw | Kind::ThrowExit | Kind::Kill => {
                return self.approach(me, op, token);
            }
            Kind::New | Kind::Declare => match Fam::of(op.b) {
                Fam::A => self.make::<u64>(me, op),
                Fam::B => self.make::<u32>(me, op),
            },
            Kind::Define => self.define(me, op),
            Kind::SetParent => self.reparent(me, op),
            Kind::DropHandle => {
                let slot = pick(|slot| self.table.borrow()[slot].is_some(), op.a);
                let handle = slot.and_then(|slot| self.table.borrow_mut()[slot].take());
                self.drop_handle(me, handle);
            }
            Kind::Forget => {
                let myself = Handle::A(current());
                let parent = myself.parent();
                let whom = if op.catches() {
                    Some(&myself)
                } else {
                    parent.as_ref()
                };
                let whom = whom.map(Handle::id);
                drop((myself, parent));
                for slot in 0..SLOTS {
                    let handle = {
                        let entry = &mut self.table.borrow_mut()[slot];
                        entry.take_if(|handle| Some(handle.id()) == whom)
                    };
                    self.drop_handle(me, handle);
                }
            }
            Kind::Copy => {
                if let Some(handle) = self.picked(op.a) {
                    self.keep(me, op, handle);
                }
            }
            Kind::KeepCurrent => match Fam::of(op.b) {
                Fam::A => self.keep(me, op, Handle::A(current())),
                Fam::B => self.keep(me, op, Handle::B(current())),
            },
            Kind::KeepParent => {
                let handle = self.picked(op.a);
                let parent = handle.as_ref().and_then(Handle::parent);
                self.drop_handle(me, handle);
                if let Some(parent) = parent {
                    self.keep(me, op, parent);
                }
            }
            Kind::Downgrade => {
                if let Some(handle) = self.picked(op.a) {
                    *self.weak.borrow_mut() = Some(match &handle {
                        Handle::A(g) => Weak::A(g.downgrade()),
                        Handle::B(g) => Weak::B(g.downgrade()),
                    });
                    self.drop_handle(me, Some(handle));
                }
            }
            Kind::Upgrade => self.upgrade(me, op),
            Kind::Local => {
                let value = LOCAL.with(|local| {
                    local.world.replace(Some(Rc::clone(self)));
                    local.owner.set(me);
                    if op.catches() {
                        local.value.set(token);
                    }
                    local.value.get()
                });
                self.note(What::Local, me, value, 0);
            }
            Kind::Trace => drop(trace::set(self.tracer(op))),
            Kind::Look => self.look(me),
            Kind::Return | Kind::Panic | Kind::Recurse => {}
        }
        Ok(())
    }

    /// Switch, throw, kill.
    fn approach(self: &Rc<Self>, me: usize, op: Op, token: u64) -> Result<(), Payload> {
        let handle = match Aim::of(op.a) {
            Aim::Myself => Some(Handle::A(current())),
            Aim::Parent => current::<u64>().parent().map(Handle::A),
            Aim::Pick(a) => self.picked(a),
        };
        let Some(handle) = handle else { return Ok(()) };
        let lenient = op.catches();
        let result = match op.kind {
            Kind::Switch => handle.switch(token, lenient),
            Kind::Throw => handle.throw(Number(token), lenient),
            Kind::ThrowExit => handle.throw(GreenletExit, lenient),
            _ => match caught(|| either!(&handle, g => g.kill())) {
                Ok(dead) => {
                    self.note(What::Killed, me, u64::from(dead), 0);
                    self.drop_handle(me, Some(handle));
                    return Ok(());
                }
                Err(payload) => Err(Failure::Thrown(payload)),
            },
        };
        let settled = self.settle(me, handle, result);
        if lenient { Ok(()) } else { settled }
    }

    /// Notes how it went, and drops the handle.
    fn settle(
        self: &Rc<Self>,
        me: usize,
        handle: Handle,
        result: Result<u64, Failure>,
    ) -> Result<(), Payload> {
        let settled = match result {
            Ok(value) => {
                self.note(What::Got, me, value, 0);
                Ok(())
            }
            Err(Failure::Refused) => {
                self.note(What::Refused, me, 0, 0);
                Ok(())
            }
            Err(Failure::Deferred) => {
                self.note(What::Deferred, me, 0, 0);
                Ok(())
            }
            Err(Failure::Thrown(payload)) => {
                self.note(What::Raised, me, code(&payload), 0);
                Err(payload)
            }
        };
        self.drop_handle(me, Some(handle));
        settled
    }

    fn make<T: Token>(self: &Rc<Self>, me: usize, op: Op)
    where
        Handle: TryInto<Greenlet<T>>,
    {
        let number = self.numbers.borrow().len();
        let asked = self.picked(op.a).filter(|_| op.asks_for_parent());
        let parent: Option<Greenlet<T>> = asked.and_then(|handle| handle.try_into().ok());
        let greenlet = match (&parent, op.kind) {
            (Some(parent), Kind::New) => {
                let builder = Greenlet::builder().parent(parent);
                builder.build(self.body::<T>(number))
            }
            (Some(parent), _) => {
                let builder = Greenlet::builder().parent(parent);
                builder.try_declare().expect("the default size")
            }
            (None, Kind::New) => Greenlet::new(self.body::<T>(number)),
            (None, _) => Greenlet::declare(),
        };
        let id = parent.as_ref().map(|parent| parent.id());
        drop(parent);
        let parent = id.map_or(me, |id| self.number(id));
        self.numbers.borrow_mut().insert(greenlet.id(), number);
        self.note(What::Made, number, parent as u64, 0);
        self.keep(me, op, T::handle(greenlet));
    }

    fn define(self: &Rc<Self>, me: usize, op: Op) {
        let Some(handle) = self.picked(op.a) else {
            return;
        };
        let number = self.number(handle.id());
        let defined = caught(|| match &handle {
            Handle::A(g) => g.define(self.body::<u64>(number)),
            Handle::B(g) => g.define(self.body::<u32>(number)),
        });
        if let Err(payload) = defined {
            self.note(What::Raised, me, code(&payload), 0);
        }
        self.drop_handle(me, Some(handle));
    }

    fn reparent(self: &Rc<Self>, me: usize, op: Op) {
        let (child, parent) = (self.picked(op.a), self.picked(op.b));
        let set = match (&child, &parent) {
            (Some(Handle::A(child)), Some(Handle::A(parent))) => {
                caught(|| child.set_parent(parent))
            }
            (Some(Handle::B(child)), Some(Handle::B(parent))) => {
                caught(|| child.set_parent(parent))
            }
            _ => return,
        };
        match set {
            Ok(Ok(())) => self.note(What::Parent, me, 0, 0),
            Ok(Err(ParentError::Cycle)) => self.note(What::Parent, me, 1, 0),
            Ok(Err(_)) => self.note(What::Parent, me, 2, 0),
            Err(payload) => self.note(What::Raised, me, code(&payload), 0),
        }
        self.drop_handle(me, child);
        self.drop_handle(me, parent);
    }

    fn upgrade(self: &Rc<Self>, me: usize, op: Op) {
        let upgraded = match &*self.weak.borrow() {
            Some(Weak::A(weak)) => weak.upgrade().map(Handle::A),
            Some(Weak::B(weak)) => weak.upgrade().map(Handle::B),
            None => return,
        };
        self.note(What::Upgraded, me, u64::from(upgraded.is_some()), 0);
        if let Some(handle) = upgraded {
            self.keep(me, op, handle);
        }
    }

    fn look(&self, me: usize) {
        for slot in 0..SLOTS {
            let handle = self.table.borrow()[slot].clone();
            let Some(handle) = handle else { continue };
            let (dead, started, current) =
                either!(&handle, g => (g.is_dead(), g.is_started(), g.is_current()));
            let state = u64::from(dead) | u64::from(started) << 1 | u64::from(current) << 2;
            let parent = handle.parent().map(|parent| self.number(parent.id()));
            let parent = parent.map_or(0, |parent| parent as u64 + 1);
            let who = self.number(handle.id());
            self.note(What::State, who, (slot as u64) << 3 | state, parent);
        }
        self.note(What::Alive, me, greenlet::alive() as u64, 0);
    }

    fn tracer(self: &Rc<Self>, op: Op) -> Option<Rc<trace::Tracer>> {
        let (hook, times) = Hook::of(op)?;
        let (world, left) = (Rc::clone(self), Cell::new(times));
        Some(Rc::new(move |event: &trace::Event| {
            world.hook(hook, &left, event)
        }))
    }

    /// The tracer of the program.
    fn hook(self: &Rc<Self>, hook: Hook, left: &Cell<u32>, event: &trace::Event) {
        let (origin, target) = event.ends();
        let (origin, target) = (self.number(origin.id()), self.number(target.id()));
        let what = match event {
            trace::Event::Switch { .. } => What::TraceSwitch,
            trace::Event::Throw { .. } => What::TraceThrow,
        };
        self.note(what, target, origin as u64, 0);
        let times = left.get();
        left.set(times.saturating_sub(1));
        let token = TRACER + self.at.get() as u64;
        match hook {
            Hook::Panics if times == 1 => resume_unwind(Box::new(Number(token))),
            Hook::Switches { a, raises } if times > 0 => {
                let Some(handle) = self.picked(a) else { return };
                let result = handle.switch(token, true);
                // It may be neither of the two: what a pending one is told of, it is told of elsewhere.
                let me = self.number(current::<()>().id());
                if let Err(payload) = self.settle(me, handle, result)
                    && raises
                {
                    resume_unwind(payload);
                }
            }
            _ => {}
        }
    }

    fn number(&self, id: GreenletId) -> usize {
        self.numbers.borrow()[&id]
    }

    fn picked(&self, a: u32) -> Option<Handle> {
        let table = self.table.borrow();
        let slot = pick(|slot| table[slot].is_some(), a)?;
        table[slot].clone()
    }

    fn keep(&self, me: usize, op: Op, handle: Handle) {
        let before = self.table.borrow_mut()[op.slot()].replace(handle);
        self.drop_handle(me, before);
    }

    fn drop_handle(&self, me: usize, handle: Option<Handle>) {
        if let Err(payload) = caught(|| drop(handle)) {
            self.note(What::RaisedInDrop, me, code(&payload), 0);
        }
    }
}

impl TryFrom<Handle> for Greenlet<u64> {
    type Error = ();
    fn try_from(handle: Handle) -> Result<Self, ()> {
        match handle {
            Handle::A(greenlet) => Ok(greenlet),
            Handle::B(_) => Err(()),
        }
    }
}

impl TryFrom<Handle> for Greenlet<u32> {
    type Error = ();
    fn try_from(handle: Handle) -> Result<Self, ()> {
        match handle {
            Handle::B(greenlet) => Ok(greenlet),
            Handle::A(_) => Err(()),
        }
    }
}
