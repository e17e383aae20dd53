//! How many descriptors a process may have.

use std::io;

/// Lets this process have so many descriptors, if it may.
pub(crate) fn raise(count: u64) -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call writes one limit.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let count = count as libc::rlim_t;
    if limit.rlim_max < count {
        let most = limit.rlim_max;
        return Err(io::Error::other(format!(
            "{count} descriptors are needed, and the system allows {most} (ulimit -Hn)"
        )));
    }
    limit.rlim_cur = limit.rlim_cur.max(count);
    // SAFETY: the call reads one limit.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    Ok(())
}
