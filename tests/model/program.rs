//! What both sides run: a program is a list of operations, consumed in the order of execution by whichever
//! greenlet runs; and what both sides leave: a list of entries.

use std::fmt;

/// How many handles a program has at a time.
pub(crate) const SLOTS: usize = 12;
/// How deep the levels of one greenlet may be nested.
pub(crate) const LEVELS: u32 = 4;
/// Tokens that a tracer sends or raises start here.
pub(crate) const TRACER: u64 = 1_000_000;
/// The number of the main greenlet. The others are counted from 1 in the order they are made.
pub(crate) const MAIN: usize = 0;

/// The two types of value that travel: `u64` and `u32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fam {
    A,
    B,
}

impl Fam {
    pub(crate) fn of(bit: u32) -> Fam {
        if bit & 1 == 0 { Fam::A } else { Fam::B }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $weight:literal)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$doc])* $name),* }
        const KINDS: &[(Kind, &str, u32)] = &[$((Kind::$name, stringify!($name), $weight)),*];
    };
}

// "aims at" and "picks" are `Aim::of` and `pick`; odd `b`: what is raised is caught at this operation.
kinds! {
    /// Aims at somebody and sends a token.
    Switch 30
    /// Aims at somebody and throws a number.
    Throw 5
    /// Aims at somebody and throws `GreenletExit`.
    ThrowExit 3
    /// Aims at somebody and kills it.
    Kill 5
    /// Makes a greenlet of family `b`; if `b >> 1 & 3 == 0` with the picked one as parent, if that is of this family.
    New 14
    /// As `New`, without a body.
    Declare 1
    /// Gives the picked one a body.
    Define 2
    /// Ends a level with a token, or the body if it is the outermost one.
    Return 5
    /// Panics with a number.
    Panic 3
    /// Goes some calls deeper; catches panics of that if `b` is odd.
    Recurse 6
    /// Makes the one picked by `b` the parent of the one picked by `a`.
    SetParent 5
    /// Drops the picked handle.
    DropHandle 9
    /// Drops all handles to the current greenlet (odd `b`) or to its parent.
    Forget 4
    /// Copies the picked handle.
    Copy 2
    /// Keeps a handle to the current greenlet.
    KeepCurrent 3
    /// Keeps a handle to the parent of the picked one.
    KeepParent 2
    /// Keeps a weak handle to the picked one.
    Downgrade 2
    /// Makes a strong handle of the weak one.
    Upgrade 2
    /// Sets (odd `b`) or reads a greenlet local.
    Local 3
    /// Sets a tracer: none, one that records, that switches, that panics.
    Trace 3
    /// Looks at all handles.
    Look 3
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) kind: Kind,
    pub(crate) a: u32,
    pub(crate) b: u32,
}

impl Op {
    /// Whether what is raised at this operation is caught there.
    pub(crate) fn catches(self) -> bool {
        self.b & 1 == 1
    }

    /// Where the handle goes that this operation makes.
    pub(crate) fn slot(self) -> usize {
        (self.b >> 3) as usize % SLOTS
    }

    /// Whether this `New` asks for a parent.
    pub(crate) fn asks_for_parent(self) -> bool {
        self.b >> 1 & 3 == 0
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {}", self.kind, self.a, self.b)
    }
}

/// Whom an operation is about.
pub(crate) enum Aim {
    Parent,
    Myself,
    Pick(u32),
}

impl Aim {
    pub(crate) fn of(a: u32) -> Aim {
        match a % 16 {
            0 => Aim::Parent,
            1 => Aim::Myself,
            _ => Aim::Pick(a / 16),
        }
    }
}

/// The slot that `a` picks of those that are taken.
pub(crate) fn pick(taken: impl Fn(usize) -> bool, a: u32) -> Option<usize> {
    let count = (0..SLOTS).filter(|&slot| taken(slot)).count();
    let nth = (a as usize).checked_rem(count)?;
    (0..SLOTS).filter(|&slot| taken(slot)).nth(nth)
}

/// What a tracer does besides recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Records,
    /// Switches to the picked one, so many times; raises what is thrown meanwhile, or swallows it.
    Switches {
        a: u32,
        raises: bool,
    },
    /// Panics when it has been called so often.
    Panics,
}

impl Hook {
    /// What a `Trace` operation sets: the hook, and how often it switches or when it panics.
    pub(crate) fn of(op: Op) -> Option<(Hook, u32)> {
        let times = 1 + op.a % 3;
        match op.b % 4 {
            0 => None,
            1 => Some((Hook::Records, 0)),
            2 => Some((
                Hook::Switches {
                    a: op.a / 3,
                    raises: op.b & 4 != 0,
                },
                times,
            )),
            _ => Some((Hook::Panics, times)),
        }
    }
}

/// The program of a seed.
pub(crate) fn program(seed: u64) -> Vec<Op> {
    let mut random = Random::new(seed);
    let length = 20 + random.below(380);
    let total: u32 = KINDS.iter().map(|(_, _, weight)| weight).sum();
    let mut draw = || {
        let mut ticket = random.below(total);
        let (kind, ..) = KINDS
            .iter()
            .find(|(_, _, weight)| match ticket.checked_sub(*weight) {
                Some(rest) => {
                    ticket = rest;
                    false
                }
                None => true,
            })
            .expect("a ticket of the total");
        Op {
            kind: *kind,
            a: random.below(1 << 12),
            b: random.below(1 << 8),
        }
    };
    (0..length).map(|_| draw()).collect()
}

/// A program as text, an operation a line.
pub(crate) fn to_text(program: &[Op]) -> String {
    program.iter().map(|op| format!("{op}\n")).collect()
}

/// Reads what [`to_text`] wrote; lines that start with `#` are comments.
pub(crate) fn from_text(text: &str) -> Vec<Op> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| parse(line).unwrap_or_else(|| panic!("not an operation: {line}")))
        .collect()
}

fn parse(line: &str) -> Option<Op> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let (kind, ..) = KINDS.iter().find(|(_, known, _)| *known == name)?;
    Some(Op {
        kind: *kind,
        a: words.next()?.parse().ok()?,
        b: words.next()?.parse().ok()?,
    })
}

/// xorshift64*, from a seed that has been mixed well.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Random((mixed ^ (mixed >> 31)) | 1)
    }

    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32;
        ((u64::from(high) * u64::from(end)) >> 32) as u32
    }
}

/// What an entry tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// `who` begins to run an operation: its number, its kind.
    Step,
    /// `who` is made; its parent.
    Made,
    /// The body of `who` begins with a value.
    Began,
    /// The destructor of the body of `who` ran.
    BodyGone,
    /// A switch or throw of `who` returned a value.
    Got,
    /// Something was raised at an operation of `who`.
    Raised,
    /// A switch or throw of `who` was refused.
    Refused,
    /// What was thrown waits.
    Deferred,
    /// `kill` returned.
    Killed,
    /// A level returned a value.
    Left,
    /// A level was left by a panic.
    Caught,
    /// Something was raised when `who` dropped a handle.
    RaisedInDrop,
    /// How `set_parent` went.
    Parent,
    /// Whether a weak handle could be upgraded.
    Upgraded,
    /// The value of a local.
    Local,
    /// A local was dropped.
    LocalGone,
    /// A tracer was told of a switch, from `x` to `who`.
    TraceSwitch,
    /// A tracer was told of a throw, from `x` to `who`.
    TraceThrow,
    /// The handle to `who`: its slot and state, its parent plus one.
    State,
    /// Greenlets alive.
    Alive,
    /// What is left at the end: greenlets alive, blocks and stacks in use.
    Rest,
}

/// One line of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) what: What,
    pub(crate) who: usize,
    pub(crate) x: u64,
    pub(crate) y: u64,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { what, who, x, y } = self;
        match what {
            What::Step => write!(f, "#{who} runs {:?} (operation {x})", KINDS[*y as usize].0),
            _ => write!(f, "    {what:?} #{who} {x} {y}"),
        }
    }
}

/// A payload as a number of an entry: 1 is `GreenletExit`, 2 `Undeliverable`, 3 a text.
pub(crate) const EXIT: u64 = 1;
pub(crate) const UNDELIVERABLE: u64 = 2;
pub(crate) const TEXT: u64 = 3;

/// A numbered payload as a number of an entry.
pub(crate) fn numbered(number: u64) -> u64 {
    number * 4
}
