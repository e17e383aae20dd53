//! Sockets. What std tests of its own, in our words, as one text that is compiled twice: over std with its
//! threads ([`stds`]) and over greenlets ([`ours`]). Then what can go wrong ([`faults`], [`waiting`]).

mod descriptors;
mod faults;
mod lookup;
mod ours;
mod short_reads;
mod stds;
mod storms;
mod waiting;

use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A free port of each family that this machine has, to bind to.
fn locals() -> Vec<SocketAddr> {
    let mut all = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        all.push((Ipv6Addr::LOCALHOST, 0).into());
    }
    all
}

/// An address of this machine on which nobody listens.
fn nobody() -> SocketAddr {
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    socket.local_addr().unwrap()
}

/// A folder for sockets, which goes with its contents.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("greenlet-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.0).join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
