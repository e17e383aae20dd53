//! Whether the code that runs is part of an unwinding: a destructor that runs because something was raised.
//!
//! `thread::panicking()` does not tell: it counts the unwindings of the thread, whoever's they are. The stack does. Rust
//! lets nothing unwind out of what a landing pad calls, so the table of its function names, for that call, a place that
//! ends the program. It is the table that an unwinder asks when something is raised:
//!
//! ```text
//!   raise here ─▶ Drop::drop ─▶ a landing pad ─▶ … ─▶ catch_unwind
//!                  lets through   stops: abort          catches
//! ```
//!
//! So each frame is asked what it would do with a raise, as far as the last one that catches; what is below it began
//! the greenlet or the thread. One that stops in between says that this is an unwinding, or that somebody called whom
//! nothing may unwind through: nothing may be raised here either. How many there are is the [`Depth`]: a destructor may
//! catch, and unwind in turn.
//!
//! The table is that of the Itanium C++ ABI for exceptions (the LSDA), which has nothing to do with how std counts. It is read
//! only while somebody of the thread unwinds, and takes about a microsecond then. Where there is no such unwinder, whoever runs
//! meanwhile is taken for one who unwinds.

use std::thread::panicking;

/// How many unwindings something is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Depth(u8);

impl Depth {
    pub(crate) const CALM: Depth = Depth(0);
    const UNKNOWN: Depth = Depth(u8::MAX);

    /// That of the greenlet that runs.
    #[inline(always)]
    pub(crate) fn here() -> Depth {
        match panicking() {
            false => Depth::CALM,
            true => tables::depth(),
        }
    }

    /// What is raised at the one, and caught at the other, which is below it on the same stack, passes none that stops it.
    pub(crate) fn reaches(self, other: Depth) -> bool {
        self == other && self != Depth::UNKNOWN
    }
}

/// Whether the greenlet that runs is in the middle of an unwinding.
#[inline(always)]
pub(crate) fn is_here() -> bool {
    Depth::here() != Depth::CALM
}

#[cfg(any(miri, windows, target_family = "wasm", target_arch = "arm"))]
mod tables {
    use super::Depth;

    /// Nobody knows.
    pub(super) fn depth() -> Depth {
        Depth::UNKNOWN
    }
}

#[cfg(not(any(miri, windows, target_family = "wasm", target_arch = "arm")))]
pub(crate) mod tables {
    use std::ffi::{c_int, c_void};

    use super::Depth;

    pub(crate) type Visit = extern "C" fn(*mut c_void, *mut c_void) -> c_int;

    // Nothing unwinds out of these. But who calls what cannot unwind has no place in its table for that call, and would
    // seem to let nothing through.
    unsafe extern "C-unwind" {
        pub(crate) fn _Unwind_Backtrace(visit: Visit, visitor: *mut c_void) -> c_int;
        fn _Unwind_GetIPInfo(context: *mut c_void, before: *mut c_int) -> usize;
        fn _Unwind_GetRegionStart(context: *mut c_void) -> usize;
        fn _Unwind_GetLanguageSpecificData(context: *mut c_void) -> *const u8;
    }

    /// What a frame does with something that is raised above it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Frame {
        /// Lets it through; destructors may run.
        Through,
        Catches,
        /// Ends the program.
        Stops,
    }

    #[derive(Default)]
    struct Seen {
        /// How many stop a raise.
        stops: u8,
        /// How many did above the last one that catches, if one does.
        within: Option<u8>,
    }

    /// How many frames would stop something that is raised here, and thrown on by each one that catches it.
    #[cold]
    #[inline(never)]
    pub(super) fn depth() -> Depth {
        let mut seen = Seen::default();
        // SAFETY: the visitor is what `visit` expects, and outlives the call.
        unsafe { _Unwind_Backtrace(visit, (&raw mut seen).cast()) };
        seen.within.map_or(Depth::UNKNOWN, Depth)
    }

    extern "C" fn visit(context: *mut c_void, seen: *mut c_void) -> c_int {
        // SAFETY: `depth` gives what it has alone.
        let seen = unsafe { &mut *seen.cast::<Seen>() };
        // SAFETY: called by the unwinder, with its context.
        match unsafe { frame(context) } {
            Frame::Through => {}
            Frame::Stops => seen.stops = (seen.stops + 1).min(u8::MAX - 1),
            Frame::Catches => seen.within = Some(seen.stops),
        }
        0
    }

    /// # Safety
    /// `context` is one of the unwinder, which calls this.
    unsafe fn frame(context: *mut c_void) -> Frame {
        let mut before = 0;
        // SAFETY: the caller's promise, for all of them.
        let (at, begin, table) = unsafe {
            (
                _Unwind_GetIPInfo(context, &raw mut before),
                _Unwind_GetRegionStart(context),
                _Unwind_GetLanguageSpecificData(context),
            )
        };
        if table.is_null() {
            return Frame::Through;
        }
        let call = at - usize::from(before == 0);
        let mut table = Reader(table);
        // SAFETY: the table of this function, whole and as compilers write it.
        let found = unsafe { table.find(call.wrapping_sub(begin)) };
        // What cannot be read is not trusted.
        found.unwrap_or(Frame::Stops)
    }

    /// Reads a table from here on.
    struct Reader(*const u8);

    /// Encodings of numbers (DW_EH_PE); how they are applied, in the upper half of the byte, does not matter here.
    const OMITTED: u8 = 0xff;
    const FORMAT: u8 = 0x0f;
    const POINTER: u8 = 0x00;
    const ULEB128: u8 = 0x01;
    const UDATA2: u8 = 0x02;
    const UDATA4: u8 = 0x03;
    const UDATA8: u8 = 0x04;
    const SDATA4: u8 = 0x0b;
    const SDATA8: u8 = 0x0c;

    impl Reader {
        /// What the function does with a raise so far from its begin. None: the table is of no known form.
        ///
        /// # Safety
        /// This is at the begin of a table.
        unsafe fn find(&mut self, call: usize) -> Option<Frame> {
            // SAFETY: all of it is in the table, which says itself where its parts end.
            unsafe {
                let landing_base = self.byte();
                if landing_base != OMITTED {
                    self.number(landing_base)?;
                }
                if self.byte() != OMITTED {
                    self.uleb128(); // where the types are
                }
                let encoding = self.byte();
                let length = self.uleb128();
                let actions = self.0.wrapping_add(length);
                while self.0 < actions {
                    let (begin, length) = (self.number(encoding)?, self.number(encoding)?);
                    let (landing, action) = (self.number(encoding)?, self.uleb128());
                    if call < begin {
                        break; // they are in order
                    }
                    if call - begin < length {
                        return Some(match (landing, action) {
                            (0, _) | (_, 0) => Frame::Through,
                            _ => Reader(actions.wrapping_add(action - 1)).action(),
                        });
                    }
                }
            }
            // A call that cannot unwind has no place there.
            Some(Frame::Stops)
        }

        /// # Safety
        /// This is at an action.
        unsafe fn action(&mut self) -> Frame {
            // SAFETY: the caller's promise.
            match unsafe { self.sleb128() } {
                0 => Frame::Through,
                1.. => Frame::Catches,
                _ => Frame::Stops, // a filter, which lets nothing through
            }
        }

        /// # Safety
        /// There is a number of this encoding.
        unsafe fn number(&mut self, encoding: u8) -> Option<usize> {
            // SAFETY: the caller's promise.
            unsafe {
                Some(match encoding & FORMAT {
                    POINTER => self.fixed::<{ size_of::<usize>() }>(),
                    ULEB128 => self.uleb128(),
                    UDATA2 => self.fixed::<2>(),
                    UDATA4 | SDATA4 => self.fixed::<4>(),
                    UDATA8 | SDATA8 => self.fixed::<8>(),
                    _ => return None,
                })
            }
        }

        /// # Safety
        /// There are so many bytes.
        unsafe fn fixed<const BYTES: usize>(&mut self) -> usize {
            let mut all = [0; 8];
            for byte in &mut all[..BYTES] {
                // SAFETY: the caller's promise.
                *byte = unsafe { self.byte() };
            }
            match cfg!(target_endian = "big") {
                true => (u64::from_be_bytes(all) >> (64 - 8 * BYTES)) as usize,
                false => u64::from_le_bytes(all) as usize,
            }
        }

        /// # Safety
        /// There is a byte.
        unsafe fn byte(&mut self) -> u8 {
            // SAFETY: the caller's promise.
            let byte = unsafe { self.0.read() };
            self.0 = self.0.wrapping_add(1);
            byte
        }

        /// # Safety
        /// There is a number in LEB128.
        unsafe fn uleb128(&mut self) -> usize {
            // SAFETY: the caller's promise.
            unsafe { self.leb128() }.0
        }

        /// # Safety
        /// There is a number in LEB128.
        unsafe fn sleb128(&mut self) -> isize {
            // SAFETY: the caller's promise.
            let (bits, shift, last) = unsafe { self.leb128() };
            let sign = match last & 0x40 != 0 && shift < usize::BITS {
                true => usize::MAX << shift,
                false => 0,
            };
            (bits | sign).cast_signed()
        }

        /// The bits, how many there are, and the last byte.
        ///
        /// # Safety
        /// There is a number in LEB128.
        unsafe fn leb128(&mut self) -> (usize, u32, u8) {
            let (mut bits, mut shift) = (0, 0);
            loop {
                // SAFETY: the caller's promise.
                let byte = unsafe { self.byte() };
                if shift < usize::BITS {
                    bits |= usize::from(byte & 0x7f) << shift;
                }
                shift += 7;
                if byte & 0x80 == 0 {
                    return (bits, shift, byte);
                }
            }
        }
    }
}

#[cfg(all(
    test,
    not(any(miri, windows, target_family = "wasm", target_arch = "arm"))
))]
mod tests {
    use std::hint::black_box;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use super::Depth;
    use super::tables::depth;

    const AMID: Depth = Depth(1);

    /// Does something when it is dropped.
    struct Finally<F: FnMut()>(F);

    impl<F: FnMut()> Drop for Finally<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    fn unwind(at_the_end: impl FnMut()) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let _finally = Finally(at_the_end);
            resume_unwind(Box::new(1));
        }));
        assert!(outcome.is_err());
    }

    #[test]
    fn a_destructor_of_an_unwinding_is_told_from_others() {
        assert_eq!(depth(), Depth::CALM);
        let mut seen = vec![];
        drop(Finally(|| seen.push(depth())));
        unwind(|| seen.push(depth()));
        assert_eq!(seen, [Depth::CALM, AMID]);
        assert_eq!(depth(), Depth::CALM);
    }

    /// What is raised there and caught there might be thrown on.
    #[test]
    fn who_catches_within_it_changes_nothing() {
        let mut seen = vec![];
        unwind(|| {
            let inner = catch_unwind(AssertUnwindSafe(|| {
                let deep = || black_box(depth());
                let _more = Finally(|| ());
                deep()
            }));
            seen.push(inner.expect("nothing raised"));
        });
        assert_eq!(seen, [AMID]);
    }

    #[test]
    fn one_within_another_is_deeper() {
        let mut seen = vec![];
        unwind(|| {
            unwind(|| seen.push(depth()));
            seen.push(depth());
        });
        assert_eq!(seen, [Depth(2), AMID]);
        assert!(seen[1].reaches(AMID) && !seen[0].reaches(AMID));
        assert_eq!(depth(), Depth::CALM);
    }

    /// Nothing may unwind out of a function of C.
    #[test]
    fn a_call_from_c_stops_a_raise() {
        extern "C" fn compare(_: *const libc::c_void, _: *const libc::c_void) -> libc::c_int {
            // Not every C library tells who called its functions: then it is not known.
            assert!([AMID, Depth::UNKNOWN].contains(&depth()));
            0
        }
        let mut two = [1, 2];
        // SAFETY: two numbers of that size, and a function that compares any.
        unsafe {
            libc::qsort(
                two.as_mut_ptr().cast(),
                2,
                size_of_val(&two[0]),
                Some(compare),
            )
        };
        assert_eq!(depth(), Depth::CALM);
    }
}
