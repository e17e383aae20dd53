//! Descriptors that are shared with other processes, and stay as they are.

use std::io;
use std::os::fd::BorrowedFd;

use super::{Direction, Source};
use crate::hub::Hub;
use crate::sys::fd;

/// Waits until a descriptor is ready that is not ours to change: it may block, is shared with other processes,
/// and whoever shares it may take away what was there. So nothing is remembered of it. The system is asked
/// before each wait, and one wait is one registration of a duplicate, which tells what is there already. Nobody
/// waits any more when there is no `need` to: it is asked whenever the greenlet is woken.
///
/// # Errors
/// What the system says; `PermissionDenied` for what cannot be waited for, and is always ready.
pub(crate) fn wait_for_foreign(
    fd: BorrowedFd<'_>,
    direction: Direction,
    need: impl Fn() -> bool,
) -> io::Result<()> {
    count_call();
    while need() && !is_ready_now(fd, direction)? {
        let source = Source::new(fd.try_clone_to_owned()?);
        source.exposed();
        let state = source.state();
        state.goes_by(fd);
        state.is_for_foreign.set(true);
        state.clear(direction);
        while need() && !state.is_ready(direction) {
            source.wait(Hub::here_to_wait()?, direction, None, &mut None)?;
        }
    }
    Ok(())
}

/// Before a call that may not need to wait: after many of those in a row others go first.
pub(crate) fn count_call() {
    if let Some(hub) = Hub::here_to_the_end() {
        hub.io.spend(hub);
    }
}

/// Whether a call on the descriptor would not wait, at this moment.
pub(crate) fn is_ready_now(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<bool> {
    fd::is_ready(fd, direction == Direction::Write)
}
