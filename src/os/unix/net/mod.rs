//! Unix sockets: the names of `std::os::unix::net`.
//!
//! As in [`net`](crate::net), calls park the greenlet and not the thread, and what is said there of the
//! differences from std holds here.
//!
//! Where a Unix socket is full the system does not always say when it has room again: a listener with a full
//! queue of connections, a datagram socket with a full queue that is sent to without being connected. Then a
//! greenlet tries again, after 1 ms at first, and after up to 20 ms in the end.

mod datagram;
mod listener;
mod stream;

pub use datagram::UnixDatagram;
pub use listener::{Incoming, UnixListener};
pub use std::os::unix::net::SocketAddr;
pub use stream::UnixStream;

use std::io;
use std::time::Duration;

use crate::hub::Hub;
use crate::sys::clock::Moment;
use crate::sys::fd;
use crate::time;

/// Pauses between attempts, where no event tells when the next one is worth it.
struct Patience {
    next: Duration,
    until: Moment,
}

impl Patience {
    const FIRST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(20);

    /// For as long as `timeout`, or for ever.
    fn within(timeout: Option<Duration>) -> Patience {
        Patience {
            next: Patience::FIRST,
            until: timeout.map_or(Moment::NEVER, |timeout| Moment::now().after(timeout)),
        }
    }

    /// Waits a little.
    ///
    /// # Errors
    /// `WouldBlock` if there is no time left; what is said where nothing can wait.
    fn pause(&mut self) -> io::Result<()> {
        Hub::here_to_wait()?;
        let left = Moment::now().until(self.until);
        if left.is_zero() {
            return Err(fd::would_block());
        }
        time::sleep(self.next.min(left));
        self.next = (2 * self.next).min(Patience::LONGEST);
        Ok(())
    }
}
