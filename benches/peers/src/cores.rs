//! The processor's cores: who measures and who is measured do not share one.

/// The two cores of a measurement; one and the same if there is only one.
#[derive(Clone, Copy)]
pub struct Cores {
    pub measurer: usize,
    pub measured: usize,
}

impl Cores {
    /// The first and the last of the cores that the calling thread may run on.
    pub fn choose() -> Cores {
        let allowed = allowed();
        Cores {
            measurer: *allowed.first().unwrap_or(&0),
            measured: *allowed.last().unwrap_or(&0),
        }
    }
}

/// Keeps the calling thread, and what it starts, on `core`. Where the system cannot, it does not.
///
/// A forked child may call this before it becomes another program.
#[cfg(target_os = "linux")]
pub fn pin(core: usize) {
    // SAFETY: a set of cores is plain bits; `core` is one that `allowed` has found in such a set.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
    }
}

#[cfg(not(target_os = "linux"))]
pub fn pin(_core: usize) {}

#[cfg(target_os = "linux")]
fn allowed() -> Vec<usize> {
    // SAFETY: a set of cores is plain bits, and the kernel fills it in.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &mut set);
        set
    };
    let cores = 0..libc::CPU_SETSIZE as usize;
    // SAFETY: every core in the range has its bit in the set.
    cores
        .filter(|&core| unsafe { libc::CPU_ISSET(core, &set) })
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn allowed() -> Vec<usize> {
    vec![]
}
