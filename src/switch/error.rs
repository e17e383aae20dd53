//! What goes wrong at a switch, and what is given back.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

/// Why [`try_switch`](crate::Greenlet::try_switch) or [`try_throw`](crate::Greenlet::try_throw) did not
/// return a value.
pub enum SwitchError<V> {
    /// The switch could not be made. Nothing happened, and the value is given back.
    Refused {
        /// Why.
        reason: Refusal,
        /// What was to be sent.
        value: V,
    },
    /// The switch was made, and this was thrown at me: by [`throw`](crate::Greenlet::throw), or by the
    /// panic of a greenlet whose first live ancestor I am.
    Thrown(Box<dyn Any + Send + 'static>),
    /// The target is in a destructor that runs while it unwinds. What was thrown waits with it, and is
    /// raised when that has ended. The thrower goes on.
    Deferred(Refusal),
}

impl<V> SwitchError<V> {
    /// The value of a refused switch.
    pub fn into_value(self) -> Option<V> {
        match self {
            SwitchError::Refused { value, .. } => Some(value),
            _ => None,
        }
    }
}

impl<V> fmt::Debug for SwitchError<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SwitchError::Refused { reason, .. } => f
                .debug_struct("Refused")
                .field("reason", reason)
                .finish_non_exhaustive(),
            SwitchError::Thrown(payload) => f
                .debug_tuple("Thrown")
                .field(&describe(&**payload))
                .finish(),
            SwitchError::Deferred(reason) => f.debug_tuple("Deferred").field(reason).finish(),
        }
    }
}

impl<V> fmt::Display for SwitchError<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SwitchError::Refused { reason, .. } | SwitchError::Deferred(reason) => reason.fmt(f),
            SwitchError::Thrown(payload) => write!(f, "thrown: {}", describe(&**payload)),
        }
    }
}

impl<V> Error for SwitchError<V> {}

/// Why a switch was refused. `Display` names the greenlets and the types.
#[derive(Debug)]
pub struct Refusal {
    kind: RefusalKind,
    message: String,
}

/// The kinds of [`Refusal`].
#[derive(Debug)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The target has no body yet: [`define`](crate::Greenlet::define) it first.
    NoBody,
    /// The target waits for a value of another type, or starts with one.
    OtherFamily,
    /// No stack could be mapped for the target, which stays pending.
    NoStack(io::Error),
    /// The target waits in the hub, parked or for its turn: the hub says when it goes on.
    InHub,
    /// The target is in a destructor that runs while it unwinds, where nothing may be raised.
    Unwinding,
    /// The thread-locals of this thread have been destroyed: it has no greenlets any more.
    ThreadExiting,
}

impl Refusal {
    #[cold]
    pub(crate) fn new(kind: RefusalKind, message: String) -> Refusal {
        Refusal { kind, message }
    }

    /// The kind of refusal.
    pub fn kind(&self) -> &RefusalKind {
        &self.kind
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Refusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            RefusalKind::NoStack(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a parent was not set; see [`Greenlet::set_parent`](crate::Greenlet::set_parent).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParentError {
    /// The new parent is the greenlet itself or one of its descendants.
    Cycle,
    /// The main greenlet of a thread has no parent.
    Main,
}

impl fmt::Display for ParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParentError::Cycle => "cyclic parent chain",
            ParentError::Main => "cannot set the parent of a main greenlet",
        })
    }
}

impl Error for ParentError {}

/// Raised in a greenlet that waits for a value when what comes is not one: a result or a forwarded value
/// of another type, or the end of a greenlet that left none. The value was dropped.
///
/// `Display` names both greenlets and both types.
#[derive(Clone, Debug)]
pub struct Undeliverable {
    message: String,
}

impl Undeliverable {
    #[cold]
    pub(crate) fn new(message: String) -> Undeliverable {
        Undeliverable { message }
    }
}

impl fmt::Display for Undeliverable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Undeliverable {}

/// A payload in words: its message if it has one.
pub(crate) fn describe(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else if let Some(error) = payload.downcast_ref::<Undeliverable>() {
        &error.message
    } else if payload.is::<crate::GreenletExit>() {
        "GreenletExit"
    } else {
        "a payload that is no text"
    }
}
