//! A descriptor that becomes readable when a child has ended.
//!
//! Linux has one (a pidfd). Elsewhere a worker blocks until then, without taking the status, and closes its
//! end of a pipe: one worker for each child that is waited for, for as long as it runs.

use std::io;
use std::os::fd::OwnedFd;

use crate::offload;
use crate::sys::{child, fd};

pub(super) fn of(process: u32) -> io::Result<OwnedFd> {
    match fd::of_process(process) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => by_worker(process),
        outcome => outcome,
    }
}

fn by_worker(process: u32) -> io::Result<OwnedFd> {
    let (ending, running) = io::pipe()?;
    offload::detach(move || {
        child::block_until_ended(process);
        drop(running);
    })?;
    Ok(ending.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::io::Source;
    use std::process::Command;

    /// Where there is a pidfd, nothing else asks for this.
    #[test]
    fn a_worker_tells_the_end_and_leaves_the_status() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 0.02; exit 3"])
            .spawn()
            .unwrap();
        let ending = Source::new(by_worker(child.id()).unwrap());
        let status = ending.retry(crate::hub::io::Direction::Read, None, |_| {
            child.try_wait()?.ok_or(io::ErrorKind::WouldBlock.into())
        });
        assert_eq!(status.unwrap().code(), Some(3));
        // One that is gone already.
        let ending = Source::new(by_worker(child.id()).unwrap());
        let mut asked = 0..;
        let ended = ending.retry(crate::hub::io::Direction::Read, None, |_| {
            let first = asked.next() == Some(0);
            (!first)
                .then_some(())
                .ok_or(io::ErrorKind::WouldBlock.into())
        });
        ended.unwrap();
    }
}
