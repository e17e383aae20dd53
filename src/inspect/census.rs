//! How deep stacks are used, by where greenlets are spawned.

use std::fmt;
use std::panic::Location;

use crate::switch::census;

/// Begins to count how deep the stacks of greenlets are used that begin from now on, or ends that.
///
/// It costs two system calls for each greenlet while it is on, and nothing while it is off.
///
/// # Parks
/// No.
pub fn census(on: bool) {
    census::turn(on);
}

/// What was counted, of the greenlets of all threads that have ended: see [`census`].
///
/// ```
/// use greenlet::{inspect, spawn};
///
/// inspect::census(true);
/// spawn(|| println!("hello")).join().unwrap();
/// println!("{}", inspect::stacks()); // a line for each place that spawns
/// inspect::census(false);
/// ```
///
/// # Parks
/// No.
pub fn stacks() -> Stacks {
    let site = |(site, record): (Location<'static>, census::Record)| Site {
        site,
        ended: record.ended,
        size: record.size,
        deepest: record.deepest,
    };
    let mut sites: Vec<Site> = census::all().into_iter().map(site).collect();
    sites.sort_by_key(|site| std::cmp::Reverse(site.deepest));
    Stacks { sites }
}

/// How deep stacks were used; see [`stacks`].
#[derive(Clone, Debug)]
pub struct Stacks {
    sites: Vec<Site>,
}

/// One place where greenlets are spawned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Site {
    /// The place.
    pub site: Location<'static>,
    /// How many greenlets were counted.
    pub ended: u64,
    /// The size of their stacks, in bytes.
    pub size: usize,
    /// What any of them used at most, in bytes, in whole pages.
    pub deepest: usize,
}

impl Stacks {
    /// The places, the deepest first.
    pub fn iter(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter()
    }
}

impl fmt::Display for Stacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kibibytes = |bytes: usize| bytes.div_ceil(1024);
        write!(f, "   used  asked (KiB)  greenlets  spawned at")?;
        for site in &self.sites {
            let (used, asked) = (kibibytes(site.deepest), kibibytes(site.size));
            write!(f, "\n{used:7}  {asked:11}  {:9}  {}", site.ended, site.site)?;
        }
        Ok(())
    }
}
