//! A web log in Combined Log Format: what a record is, whose it is, and blocks of whole lines.
//!
//! ```text
//! 10.0.0.1 - jim [10/Oct/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 2326 "http://…" "Mozilla/5.0 …"
//! host  ident user [date                    ] "request"    status bytes "referer"    "agent"
//! ```
//! A line is a record if it begins with host, ident, user and a date, with one space between them, ends with the
//! quote behind the agent, and is shorter than [`LONGEST`]. Anything else is broken, and counted.

use std::io::{self, Read};
use std::ops::{Add, Deref};

use memchr::{memchr, memchr_iter, memrchr};

/// A line and its end must fit in so many bytes: however long lines are, memory is bounded.
pub(crate) const LONGEST: usize = 256 << 10;

/// Whose record a line, without its end, is; none if it is broken.
#[inline]
pub(crate) fn user(line: &[u8]) -> Option<&[u8]> {
    let mut spaces = memchr_iter(b' ', line);
    let (host, ident, user) = (spaces.next()?, spaces.next()?, spaces.next()?);
    let whole = line.get(user + 1) == Some(&b'[') && line.last() == Some(&b'"');
    let fields = host > 0 && ident > host + 1 && user > ident + 1 && line.len() < LONGEST;
    (whole && fields).then(|| &line[ident + 1..user])
}

/// A line without what ends it.
#[inline]
pub(crate) fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What a search has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Records of the user.
    pub(crate) records: u64,
    /// Their bytes, without the ends of lines.
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) broken: u64,
}

impl Found {
    /// Counts a line, whose user is known, or that has none.
    #[inline]
    pub(crate) fn count(&mut self, line: &[u8], user: Option<&[u8]>, wanted: &[u8]) {
        self.lines += 1;
        match user {
            None => self.broken += 1,
            Some(user) if user == wanted => {
                self.records += 1;
                self.bytes += line.len() as u64;
            }
            Some(_) => {}
        }
    }

    /// Counts all lines of a block.
    pub(crate) fn scan(&mut self, lines: &[u8], wanted: &[u8]) {
        let mut begin = 0;
        let ends = memchr_iter(b'\n', lines).map(|at| at + 1);
        for end in ends.chain([lines.len()]) {
            let line = &lines[begin..end];
            match line.len() {
                0 => {}
                LONGEST if !line.ends_with(b"\n") => self.too_long(),
                1..=LONGEST => {
                    let line = bare(line);
                    self.count(line, user(line), wanted);
                }
                _ => self.too_long(),
            }
            begin = end;
        }
    }

    /// A line that was too long to be looked at.
    pub(crate) fn too_long(&mut self) {
        self.lines += 1;
        self.broken += 1;
    }
}

impl Add for Found {
    type Output = Found;

    fn add(self, other: Found) -> Found {
        Found {
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
            lines: self.lines + other.lines,
            broken: self.broken + other.broken,
        }
    }
}

/// Whole lines.
pub(crate) struct Block {
    room: Box<[u8]>,
    begin: usize,
    end: usize,
}

impl Block {
    pub(crate) fn new() -> Block {
        Block {
            room: vec![0; LONGEST].into(),
            begin: 0,
            end: 0,
        }
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[self.begin..self.end]
    }
}

/// The lines of a part of a log, in blocks. A part has the lines that begin in it.
pub(crate) struct Blocks<R> {
    from: R,
    /// What follows the last whole line that was read, and where in the log it begins.
    tail: Vec<u8>,
    at: u64,
    /// Where the part ends.
    to: u64,
    /// In a line that is not ours, or too long.
    skipping: bool,
    ended: bool,
    /// Lines that were too long.
    pub(crate) too_long: u64,
}

impl<R: Read> Blocks<R> {
    /// The part from `begin` to `to`. `from` reads on from the byte before `begin`, if there is one.
    pub(crate) fn new(from: R, begin: u64, to: u64) -> Blocks<R> {
        Blocks {
            from,
            tail: Vec::new(),
            at: begin.saturating_sub(1),
            to,
            skipping: begin > 0,
            ended: false,
            too_long: 0,
        }
    }

    /// Fills a block with the next lines; false if there are no more.
    pub(crate) fn fill(&mut self, block: &mut Block) -> io::Result<bool> {
        while !self.ended && self.at < self.to {
            let length = self.read_into(&mut block.room)?;
            let read = &block.room[..length];
            let begin = match self.skipping {
                true => memchr(b'\n', read).map_or(length, |at| at + 1),
                false => 0,
            };
            self.skipping &= begin == length && read.last() != Some(&b'\n');
            let end = match memrchr(b'\n', read) {
                _ if self.ended => length,
                Some(at) => at + 1,
                None => begin,
            };
            let end = self.cut(read, begin, end);
            let full = length == LONGEST && begin == 0 && end == 0;
            if full {
                (self.too_long, self.skipping) = (self.too_long + 1, true);
            }
            let kept = if self.skipping { length } else { end };
            self.tail.extend_from_slice(&read[kept..]);
            self.at += kept as u64;
            (block.begin, block.end) = (begin, end.max(begin));
            if begin < end {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What was left, and as much more as there is room for.
    fn read_into(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut length = self.tail.len();
        room[..length].copy_from_slice(&self.tail);
        self.tail.clear();
        while length < room.len() && !self.ended {
            match self.from.read(&mut room[length..]) {
                Ok(0) => self.ended = true,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(length)
    }

    /// Leaves out the lines that begin behind the part.
    fn cut(&mut self, read: &[u8], begin: usize, end: usize) -> usize {
        let limit = usize::try_from(self.to - self.at).unwrap_or(usize::MAX);
        if begin >= limit {
            self.ended = true;
            return begin;
        }
        if end < limit {
            return end;
        }
        // The last line is the one that has the last byte of the part.
        let last = memchr(b'\n', &read[limit - 1..end]).map(|at| limit + at);
        self.ended |= last.is_some();
        last.unwrap_or(end)
    }
}
