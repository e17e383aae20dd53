//! A hub for each core: the same program on several threads, each with greenlets of its own.
//!
//! Nothing is shared but what the program shares. A server lets each hub listen with a socket of its own on
//! the same address ([`TcpListener::bind_reuse_port`](crate::net::TcpListener::bind_reuse_port)): the system
//! spreads the connections, and each wakes one hub.

use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::offload::on_own_thread;
use crate::switch::exit;
use crate::sys::tasks::stand_aside;

/// Runs `f(0)`, `f(1)`, … on `cores` threads, each with a hub of its own, and returns what they return, in
/// that order. Zero stands for as many as the system says it has.
///
/// ```
/// let squares = greenlet::per_core(3, |core| {
///     greenlet::spawn(move || core * core).join().unwrap()
/// });
/// assert_eq!(squares.unwrap(), [0, 1, 4]);
/// ```
///
/// # Parks
/// Until all have returned. The greenlets that they leave behind are ended first.
///
/// # Cancellation
/// The threads run on; what they return is dropped.
///
/// # Errors
/// What the system says if a thread cannot be started; those that were started run on.
///
/// # Panics
/// With the panic of `f` on the first thread that has panicked, when all have ended.
pub fn per_core<R: Send + 'static>(
    cores: usize,
    f: impl Fn(usize) -> R + Send + Sync + 'static,
) -> io::Result<Vec<R>> {
    let cores = match cores {
        0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        cores => cores,
    };
    let f = Arc::new(f);
    // Who joins them stands aside until the last of them is about to end: it can wake nobody before that.
    let aside = Arc::new(OnceLock::new());
    let start = |core| {
        let (f, aside) = (Arc::clone(&f), Arc::clone(&aside));
        let builder = thread::Builder::new().name(format!("core {core}"));
        builder.spawn(move || {
            let _until_then = aside;
            f(core)
        })
    };
    let started: Vec<_> = (0..cores).map(start).collect::<io::Result<_>>()?;
    // It may take as long as the program runs: no worker is to wait for that.
    let ended: Vec<_> = on_own_thread(move || {
        aside.get_or_init(stand_aside);
        drop(aside);
        started.into_iter().map(|thread| thread.join()).collect()
    })?;
    let outcomes: thread::Result<Vec<R>> = ended.into_iter().collect();
    outcomes.map_or_else(|panic| exit::raise(panic), Ok)
}
