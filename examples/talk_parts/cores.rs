//! On which cores a program runs, where that can be said.

/// The cores that this thread may run on; none where that cannot be known.
pub(crate) fn allowed() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    {
        let mut set = none();
        // SAFETY: the call writes one set.
        unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
        let cores = 0..libc::CPU_SETSIZE as usize;
        // SAFETY: below the size of a set.
        cores
            .filter(|&core| unsafe { libc::CPU_ISSET(core, &set) })
            .collect()
    }
    #[cfg(not(target_os = "linux"))]
    vec![]
}

/// Keeps this thread, and those and the processes that it starts, on these cores, which are some of the
/// [allowed] ones.
pub(crate) fn keep_to(cores: &[usize]) {
    #[cfg(target_os = "linux")]
    {
        let mut set = none();
        // SAFETY: one that is allowed is below the size of a set.
        cores
            .iter()
            .for_each(|&core| unsafe { libc::CPU_SET(core, &mut set) });
        // SAFETY: the call reads one set.
        unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = cores;
}

/// Does it on the core that this thread runs on: on two it would be measured how one wakes the other.
pub(crate) fn on_one<R>(f: impl FnOnce() -> R) -> R {
    let all = allowed();
    keep_to(&[here()]);
    let outcome = f();
    keep_to(&all);
    outcome
}

#[cfg(target_os = "linux")]
fn none() -> libc::cpu_set_t {
    // SAFETY: all zeros is the empty set.
    unsafe { std::mem::zeroed() }
}

#[cfg(target_os = "linux")]
fn here() -> usize {
    // SAFETY: no pointers.
    unsafe { libc::sched_getcpu() }.max(0) as usize
}

#[cfg(not(target_os = "linux"))]
fn here() -> usize {
    0
}
