//! Floor 1: explicit greenlets. Any greenlet may switch to any other of its thread, at any call depth.
//!
//! This floor knows no clock, no descriptor and no hub. From the inside out:
//!
//! | module | what lives there |
//! |---|---|
//! | [`control`] | the control block: all that is known about one greenlet |
//! | [`body`] | closures that have not run |
//! | [`thread`] | what an OS thread keeps: the current greenlet, the pools |
//! | [`transfer`] | leaving one greenlet and arriving in another |
//! | [`family`] | parents: who gets a result or a panic |
//! | [`exit`] | kill, drop, the end of the thread, reaping |
//! | [`waiting`] | who waits for such an end, and stands in for the parent |
//! | [`unwinding`] | in whom nothing may be raised |
//! | [`trace`] | observers of switches |
//! | [`census`] | how deep stacks were used |
//! | [`subject`] | what one waits for, as others may know it |
//! | [`local`] | storage for each greenlet |
//! | [`greenlet`], [`error`] | the public face |

#[allow(unsafe_code)]
pub(crate) mod body;
pub(crate) mod census;
#[allow(unsafe_code)]
pub(crate) mod control;
pub(crate) mod error;
#[allow(unsafe_code)]
pub(crate) mod exit;
#[allow(unsafe_code)]
pub(crate) mod family;
#[allow(unsafe_code)]
pub(crate) mod greenlet;
pub(crate) mod local;
#[allow(unsafe_code)]
pub(crate) mod subject;
#[allow(unsafe_code)]
pub(crate) mod thread;
pub(crate) mod trace;
#[allow(unsafe_code)]
pub(crate) mod transfer;
mod unwinding;
#[allow(unsafe_code)]
pub(crate) mod waiting;
