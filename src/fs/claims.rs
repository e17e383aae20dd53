//! Who has the lock of an open file, or waits for it.
//!
//! To the system a lock belongs to what was opened, not to a handle or to whoever asked. A thread that waits for one for a
//! greenlet that does not want it any more gets it in the end, and must give it back: unless somebody else has asked through the
//! same file meanwhile, and was told that it has it.

use std::fs::{File, TryLockError};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::open::Open;
use crate::sys::fork::{Own, inherited};
use crate::sys::lock::lock;

/// Those of all handles to what was opened once.
#[derive(Clone)]
pub(super) struct Claims(Arc<Own<Mutex<State>>>);

#[derive(Clone, Default)]
struct State {
    /// Somebody was told that it is locked.
    held: bool,
    /// So many wait for it, and still want it.
    waiting: usize,
}

/// Somebody waits for the lock of a file. If that is given up, the lock is given back, as soon as it comes.
pub(super) struct Claim<'a>(&'a Open);

/// A lock that the thread has got that waited for it.
pub(super) struct Taken(pub(super) Arc<Open>);

impl Default for Claims {
    fn default() -> Claims {
        Claims(Arc::new(Own::new()))
    }
}

impl Claims {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(self.0.or_make(|parents| {
            let state = inherited(parents);
            // The threads that wait are the parent's.
            lock(&state).waiting = 0;
            state
        }))
    }

    /// Locks it, if that can be had at once.
    pub(super) fn try_lock(
        &self,
        try_lock: impl FnOnce() -> Result<(), TryLockError>,
    ) -> Result<(), TryLockError> {
        let mut state = self.state();
        try_lock()?;
        state.held = true;
        Ok(())
    }

    pub(super) fn unlock(&self, file: &File) -> io::Result<()> {
        let mut state = self.state();
        file.unlock()?;
        state.held = false;
        Ok(())
    }

    /// Somebody does not want it.
    fn give_back(&self, state: &State, file: &File) {
        if !state.held && state.waiting == 0 {
            let _ = file.unlock();
        }
    }
}

impl<'a> Claim<'a> {
    pub(super) fn to(file: &'a Open) -> Claim<'a> {
        file.claims.state().waiting += 1;
        Claim(file)
    }

    /// It is locked.
    pub(super) fn holds(self) {
        self.0.claims.state().held = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let claims = &self.0.claims;
        let mut state = claims.state();
        state.waiting -= 1;
        claims.give_back(&state, self.0);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let claims = &self.0.claims;
        claims.give_back(&claims.state(), &self.0);
    }
}
