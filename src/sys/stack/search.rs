//! The words on a stack that does not run, or that runs this.
//!
//! They are read by the system, not by this program: some belong to frames that are borrowed, some were never written,
//! and the end of a native stack is what the system says it is.

/// Shows each word from `from` up to `to`; false if they cannot be read.
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) fn search(from: usize, to: usize, mut look_at: impl FnMut(usize)) -> bool {
    let mut words = [0_usize; 512];
    let mut next = from.next_multiple_of(size_of::<usize>());
    while next < to {
        let bytes = size_of_val(&words).min(to - next);
        let into = libc::iovec {
            iov_base: words.as_mut_ptr().cast(),
            iov_len: bytes,
        };
        let there = libc::iovec {
            iov_base: std::ptr::without_provenance_mut(next),
            iov_len: bytes,
        };
        // SAFETY: `words` has room for so much; what cannot be read there is an error.
        let read = unsafe { libc::process_vm_readv(libc::getpid(), &into, 1, &there, 1, 0) };
        let Ok(read @ 1..) = usize::try_from(read) else {
            return false;
        };
        words[..read / size_of::<usize>()]
            .iter()
            .for_each(|word| look_at(*word));
        next += read;
    }
    true
}

#[cfg(not(all(target_os = "linux", not(miri))))]
pub(crate) fn search(_from: usize, _to: usize, _look_at: impl FnMut(usize)) -> bool {
    false
}

/// The same from `from` to the end of the stack that the system has given to this thread.
pub(crate) fn search_native(from: usize, look_at: impl FnMut(usize)) -> bool {
    end_of_native().is_some_and(|end| search(from, end, look_at))
}

#[cfg(all(target_os = "linux", not(miri)))]
fn end_of_native() -> Option<usize> {
    let mut attributes = std::mem::MaybeUninit::uninit();
    let (mut lowest, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: asked of this thread; what was initialised is destroyed.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let known = libc::pthread_attr_getstack(attributes.as_ptr(), &mut lowest, &mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        (known == 0).then(|| lowest.addr() + size)
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn end_of_native() -> Option<usize> {
    None
}
