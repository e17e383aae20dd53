//! The log in the page cache: mapped, looked at, read into it, and dropped from it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use super::search::Job;
use super::weblog::{Found, LONGEST};

/// Has a part read, so that it is in memory.
pub(crate) fn read_part(file: &File, (begin, end): (u64, u64)) -> io::Result<()> {
    let (mut room, mut at) = (vec![0; LONGEST], begin);
    while at < end {
        match file.read_at(&mut room, at)? {
            0 => break,
            count => at += count as u64,
        }
    }
    Ok(())
}

/// The log as memory.
pub(crate) struct Map(pub(crate) memmap2::Mmap);

impl Map {
    pub(crate) fn new(job: &Job) -> io::Result<Map> {
        let end: extern "C" fn(libc::c_int) = page_is_gone;
        // SAFETY: the handler does what is allowed in one.
        unsafe { libc::signal(libc::SIGBUS, end as libc::sighandler_t) };
        // SAFETY: it is only read; that nobody changes it meanwhile is up to whoever has the log.
        Ok(Map(unsafe { memmap2::Mmap::map(&job.file) }?))
    }

    /// The lines that begin in a part. A part within a line has none, and does not look for the end of that.
    pub(crate) fn lines(&self, (begin, end): (u64, u64)) -> &[u8] {
        match self.line_from(begin, end) {
            None => &[],
            Some(first) => {
                let behind = self.line_from(end, self.0.len() as u64 + 1);
                &self.0[first..behind.unwrap_or(self.0.len())]
            }
        }
    }

    /// Searches a part.
    pub(crate) fn search(&self, part: (u64, u64), user: &[u8]) -> Found {
        let mut found = Found::default();
        found.scan(self.lines(part), user);
        found
    }

    /// Whether all of a part of `file`, which this is, is in the page cache, as far as the system tells.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_in_memory(&self, file: &File, (begin, end): (u64, u64)) -> bool {
        // SAFETY: no pointers.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
        if let Some(cached) = cached_pages(file, (begin, end)) {
            return cached == (end - begin).div_ceil(page);
        }
        let part = &self.0[begin as usize..end as usize];
        let mut pages = vec![0; part.len().div_ceil(page as usize)];
        let start = part.as_ptr().cast_mut().cast();
        // SAFETY: a part begins with a page of the mapping, and there is a byte for each of its pages.
        let told = unsafe { libc::mincore(start, part.len(), pages.as_mut_ptr()) };
        told == 0 && pages.iter().all(|page| page & 1 == 1)
    }

    /// The same where it cannot be known.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn is_in_memory(&self, _file: &File, _part: (u64, u64)) -> bool {
        false
    }

    /// Where the first of the lines begins that begin between two places.
    fn line_from(&self, begin: u64, end: u64) -> Option<usize> {
        let Some(before) = (begin as usize).checked_sub(1) else {
            return Some(0);
        };
        let end_of_line = memchr::memchr(b'\n', &self.0[before..end as usize - 1])?;
        Some(before + end_of_line + 1)
    }
}

/// A page of the log that cannot be had: the program cannot go on, but it can say why.
extern "C" fn page_is_gone(_: libc::c_int) {
    const WORDS: &str = "the log has become shorter while it was searched, or cannot be read\n";
    // SAFETY: both are allowed in a handler.
    unsafe {
        libc::write(libc::STDERR_FILENO, WORDS.as_ptr().cast(), WORDS.len());
        libc::_exit(1);
    }
}

/// How many pages of a part are in the page cache. Linux tells since 6.5; `mincore` looks up each page by itself, which
/// takes a tenth of the time that a search takes.
#[cfg(target_os = "linux")]
fn cached_pages(file: &File, (begin, end): (u64, u64)) -> Option<u64> {
    /// `cachestat`, which has the same number everywhere.
    const CACHESTAT: libc::c_long = 451;
    let range = [begin, end - begin];
    // Cached, dirty, being written, evicted, and evicted not long ago.
    let mut told = [0_u64; 5];
    // SAFETY: the call reads a range, and writes five numbers.
    let result = unsafe {
        libc::syscall(
            CACHESTAT,
            file.as_raw_fd(),
            range.as_ptr(),
            told.as_mut_ptr(),
            0,
        )
    };
    (result == 0).then_some(told[0])
}

/// What is written to the disk can be dropped.
pub(crate) fn drop_cache(file: &File) -> io::Result<()> {
    file.sync_data()?;
    #[cfg(target_os = "linux")]
    // SAFETY: no pointers.
    if unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } != 0 {
        return Err(io::Error::other("it cannot be dropped from the page cache"));
    }
    let _ = file.as_raw_fd();
    Ok(())
}
