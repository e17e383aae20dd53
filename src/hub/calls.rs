//! The calls of a stack, in words: what a greenlet was doing, without how greenlets are switched and started.

use std::fmt;

use crate::sys::frames::{Symbols, symbols};

/// A call on the stack of a greenlet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The function.
    pub name: Box<str>,
    /// `file:line:column`, if there is debug information.
    pub place: Option<Box<str>>,
}

/// The calls on the stack of a greenlet, the innermost first.
///
/// Names are looked up when they are asked for, and remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls(Vec<Call>);

/// Modules that switch, park and start greenlets: the path of their names, and the folders of their sources.
const MACHINERY: &[&str] = &["hub", "switch", "sys"];
/// What stands below what the program does: how greenlets begin …
const SPAWNING: &str = "spawn";
/// … and how threads and programs do.
const ENTRIES: &[&str] = &[
    "__rust_try",
    "_start",
    "main",
    "start_thread",
    "clone",
    "clone3",
    "__clone",
    "<unknown>",
];
/// What else stands between these and what the program does.
const PADDING: &[&str] = &[
    "core::",
    "std::",
    "alloc::",
    "greenlet_",
    "_Unwind_",
    "__libc_",
];
/// Where the sources of std are, however it was built.
const STD: &[&str] = &[
    "/library/core/src/",
    "/library/std/src/",
    "/library/alloc/src/",
];

impl Calls {
    pub(crate) fn of(frames: &[usize]) -> Calls {
        let symbols: Vec<Symbols> = frames.iter().map(|frame| symbols(*frame)).collect();
        let all = symbols.iter().flat_map(|symbols| symbols.iter());
        let mut calls: Vec<Call> = all
            .map(|symbol| Call {
                name: symbol.name.clone(),
                place: symbol.place.clone(),
            })
            .collect();
        trim(&mut calls);
        Calls(calls)
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.0.iter()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As text, indented by so many spaces.
    pub(crate) fn write(&self, f: &mut dyn fmt::Write, indent: usize) -> fmt::Result {
        for (number, call) in self.0.iter().enumerate() {
            write!(f, "\n{:indent$}{number}: {}", "", call.name)?;
            if let Some(place) = &call.place {
                write!(f, "\n{:indent$}   at {place}", "")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// Takes off what is above and below what the program does, unless that is everything.
fn trim(calls: &mut Vec<Call>) {
    let above = |call: &Call| match call.module() {
        Some(module) => MACHINERY.contains(&module),
        None => call.is_padding(),
    };
    let below = |call: &Call| above(call) || call.module() == Some(SPAWNING) || call.is_entry();
    let parked = calls
        .iter()
        .rposition(Call::parks)
        .map_or(0, |last| last + 1);
    let Some(first) = calls[parked..].iter().position(|call| !above(call)) else {
        return;
    };
    let first = parked + first;
    if let Some(last) = calls.iter().rposition(|call| !below(call)) {
        calls.truncate(last.max(first) + 1);
    }
    calls.drain(..first);
}

impl Call {
    /// Where in this crate it is, if it is there: `hub::park::…` or `hub/park.rs…`. Calls that were inlined may have a name without a
    /// path; then their place tells.
    fn path(&self) -> Option<&str> {
        bare(&self.name).strip_prefix("greenlet::").or_else(|| {
            let place = self.place.as_deref()?;
            let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
            // std prints places below the current directory as `./…`.
            match place.strip_prefix("./") {
                Some(below) => {
                    let here = std::env::current_dir().ok()?;
                    let sources = std::path::Path::new(sources).strip_prefix(here).ok()?;
                    below.strip_prefix(sources.to_str()?)?.strip_prefix('/')
                }
                None => place.strip_prefix(sources),
            }
        })
    }

    /// The module of this crate that it is in.
    fn module(&self) -> Option<&str> {
        self.path()?.split([':', '/', '.']).next()
    }

    /// Whether it waits in the hub. What is above that looks for who runs next.
    fn parks(&self) -> bool {
        let parks = |path: &str| path.starts_with("hub::park") || path.starts_with("hub/park.");
        self.path().is_some_and(parks)
    }

    /// The `main` of a program has a place; the one that calls it has none.
    fn is_entry(&self) -> bool {
        let known = ENTRIES.contains(&&*self.name);
        known && (self.place.is_none() || &*self.name != "main")
    }

    fn is_padding(&self) -> bool {
        let name = bare(&self.name);
        let place = self.place.as_deref().unwrap_or("");
        PADDING.iter().any(|start| name.starts_with(start))
            || STD.iter().any(|folder| place.contains(folder))
    }
}

/// A name without what tells that it implements something for a type.
fn bare(name: &str) -> &str {
    name.trim_start_matches(['<', '&'])
        .trim_start_matches("dyn ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(names: &[&str]) -> Vec<String> {
        let call = |name: &&str| Call {
            name: (*name).into(),
            place: None,
        };
        let mut calls = names.iter().map(call).collect();
        trim(&mut calls);
        calls.iter().map(|call| call.name.to_string()).collect()
    }

    #[test]
    fn what_the_program_does_is_left() {
        let names = [
            "greenlet::switch::transfer::give_way",
            "<greenlet::hub::Hub>::park",
            "core::ops::function::FnOnce::call_once",
            "greenlet::sync::mutex::Mutex<T>::lock",
            "core::iter::for_each",
            "program::work",
            "greenlet::spawn::Job<F,R>::run",
            "std::panicking::catch_unwind",
            "<greenlet::hub::launch::Start<D> as greenlet::switch::body::Enter<F>>::enter",
            "greenlet_first_frame_0.1.0",
        ];
        let left = [
            "greenlet::sync::mutex::Mutex<T>::lock",
            "core::iter::for_each",
            "program::work",
        ];
        assert_eq!(trimmed(&names), left);
    }

    #[test]
    fn the_entries_of_programs_and_threads_are_below() {
        let names = [
            "std::sync::lock",
            "main_loop",
            "program::main",
            "std::rt::lang_start",
            "main",
            "__libc_start_call_main",
            "_start",
        ];
        assert_eq!(trimmed(&names), ["main_loop", "program::main"]);
    }

    #[test]
    fn the_one_that_polls_shows_what_it_waits_for() {
        let names = [
            "epoll_wait",
            "greenlet::hub::park::<impl greenlet::hub::Hub>::rest",
            "greenlet::time::sleep",
            "program::work",
        ];
        assert_eq!(trimmed(&names), names[2..]);
    }

    #[test]
    fn what_is_machinery_only_is_left_as_it_is() {
        let names = ["greenlet::hub::park", "std::rt::lang_start"];
        assert_eq!(trimmed(&names), names);
        assert_eq!(trimmed(&[]), Vec::<String>::new());
    }
}
