//! Stacks: how large they may be, and where they come from.
//!
//! Floor 1 says `take(pages)` when a greenlet first runs and `put(stack)` when it has ended; everything
//! about mapping is below that line, in [`arena`] (or, where a greenlet runs on an OS thread of its own, in
//! [`borrowed`], which maps nothing). A stack that cannot be had is an `io::Error` for the one who asked;
//! what runs already is not touched.
//!
//! Sizes are bytes of usable stack, rounded up to whole pages. The guard region comes on top.

use std::io;
use std::sync::OnceLock;

#[cfg(not(any(greenlet_baton, miri)))]
mod arena;
#[cfg(not(any(greenlet_baton, miri)))]
mod guard;
#[cfg(not(any(greenlet_baton, miri)))]
pub(crate) use arena::{Stack, Stacks};

#[cfg(any(greenlet_baton, miri))]
mod borrowed;
#[cfg(any(greenlet_baton, miri))]
pub(crate) use borrowed::{Stack, Stacks};

mod search;
pub(crate) use search::{search, search_native};

/// The usable size of a stack whose builder names none, in bytes.
const DEFAULT_SIZE: usize = 256 * 1024;
/// The largest stack that can be asked for, in bytes.
const LARGEST: usize = 1 << 30;
/// Below what a signal frame needs, a stack must have this much, in bytes.
const SMALLEST_BESIDES_SIGNALS: usize = 8 * 1024;
/// The environment variable that replaces [`DEFAULT_SIZE`].
const VARIABLE: &str = "GREENLET_STACK_SIZE";

/// How many stacks this thread has, and how much memory stands behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackStats {
    /// Stacks that greenlets stand on now.
    pub in_use: usize,
    /// Stacks that wait in the pool for the next greenlet.
    pub pooled: usize,
    /// Address space reserved for stacks and their guards, in bytes. Not memory: that is what was touched.
    pub reserved: usize,
    /// How often memory of a pooled stack was given back to the system.
    pub trimmed: u64,
}

/// A whole number of pages: a size that has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pages(u32);

impl Pages {
    /// The size in bytes.
    pub(crate) fn bytes(self) -> usize {
        self.0 as usize * page_size()
    }

    /// Checks a size that somebody asked for.
    ///
    /// # Errors
    /// `InvalidInput` if it is below the smallest or above the largest size; the message names both.
    pub(crate) fn checked(bytes: usize) -> io::Result<Pages> {
        let smallest = smallest();
        if (smallest..=LARGEST).contains(&bytes) {
            Ok(Pages(bytes.div_ceil(page_size()) as u32))
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a stack of {bytes} bytes: it must have {smallest} to {LARGEST} bytes"),
            ))
        }
    }

    /// The default: 256 KiB, or what the environment says.
    pub(crate) fn default_size() -> Pages {
        static SIZE: OnceLock<Pages> = OnceLock::new();
        *SIZE.get_or_init(|| match std::env::var(VARIABLE) {
            Ok(text) => from_environment(&text),
            Err(_) => Pages::checked(DEFAULT_SIZE).expect("the default size is allowed"),
        })
    }
}

/// A size from the environment. One that cannot be used is reported once, and the default stands.
fn from_environment(text: &str) -> Pages {
    let default = Pages::checked(DEFAULT_SIZE).expect("the default size is allowed");
    let size = parse_size(text)
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a number of bytes, KiB (K) or MiB (M)",
            )
        })
        .and_then(Pages::checked);
    size.unwrap_or_else(|error| {
        eprintln!("greenlet: {VARIABLE}={text} is ignored: {error}");
        default
    })
}

fn parse_size(text: &str) -> Option<usize> {
    let text = text.trim();
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

/// The smallest stack: what the kernel needs for a signal frame, and a little to work with.
fn smallest() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| signal_frame_size() + SMALLEST_BESIDES_SIGNALS)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn signal_frame_size() -> usize {
    if cfg!(miri) {
        return libc::MINSIGSTKSZ;
    }
    // SAFETY: reads a value that the kernel handed to the process; 0 if it has none.
    let size = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) };
    (size as usize).max(libc::MINSIGSTKSZ)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn signal_frame_size() -> usize {
    libc::MINSIGSTKSZ
}

/// The size of a page, in bytes.
pub(crate) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    // SAFETY: asks for a constant of the system.
    *SIZE.get_or_init(|| unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize)
}

/// How many bytes below `top` there are down to the lowest page that has memory, which is how deep the stack was
/// ever used: at least that, and at most a page less. Allocates nothing. 0 where the system does not tell.
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) fn touched(limit: usize, top: usize) -> usize {
    /// So many pages are asked for at a time.
    const PAGES: usize = 256;
    let page = page_size();
    let mut resident = [0_u8; PAGES];
    let mut start = limit.next_multiple_of(page);
    while start < top {
        let pages = (top - start).div_ceil(page).min(PAGES);
        // SAFETY: the range is a part of a stack, which is mapped; the answer has room for so many pages.
        let asked = unsafe {
            libc::mincore(
                std::ptr::with_exposed_provenance_mut(start),
                pages * page,
                resident.as_mut_ptr(),
            )
        };
        if asked != 0 {
            return 0;
        }
        if let Some(lowest) = resident[..pages].iter().position(|page| page & 1 != 0) {
            return top - (start + lowest * page);
        }
        start += pages * page;
    }
    0
}

#[cfg(not(all(target_os = "linux", not(miri))))]
pub(crate) fn touched(_limit: usize, _top: usize) -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked_and_rounded_to_pages() {
        assert_eq!(
            Pages::checked(0).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        assert!(Pages::checked(LARGEST + 1).is_err());
        assert_eq!(Pages::checked(100_001).unwrap().bytes() % page_size(), 0);
        assert!(Pages::checked(smallest()).is_ok());
        assert!(Pages::checked(smallest() - 1).is_err());
    }

    #[test]
    fn the_environment_may_use_units() {
        assert_eq!(parse_size("65536"), Some(65536));
        assert_eq!(parse_size("64k"), Some(65536));
        assert_eq!(parse_size(" 2M "), Some(2 << 20));
        assert_eq!(parse_size("lots"), None);
        assert_eq!(parse_size(""), None);
        assert_eq!(
            from_environment("lots"),
            Pages::checked(DEFAULT_SIZE).unwrap()
        );
        assert_eq!(from_environment("512K").bytes(), 512 << 10);
    }
}
