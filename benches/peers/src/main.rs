//! The peer benchmark: one subcommand is one question, answered by one table.
//!
//! A question is a module of its own (`handoff`), which lists the peers it asks and leaves the
//! measuring order, the medians and the table to `rounds` and `table`. What a peer does for a question is one
//! function in its file under `peers`.

mod clock;
mod cores;
#[cfg(target_os = "linux")]
mod events;
mod external;
mod handoff;
#[cfg(target_os = "linux")]
mod net;
mod peers;
mod remote;
mod rounds;
mod skynet;
mod spawn;
mod table;
mod timers;
#[cfg(target_os = "linux")]
mod urls;
mod yielding;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures greenlet against its peers.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    /// What does a hand-off cost?
    Handoff(rounds::Options),
    /// What does a yield to the scheduler cost?
    Yield(rounds::Options),
    /// What does an empty task cost?
    Spawn(rounds::Options),
    /// What does it cost to wait for another thread?
    Remote(rounds::Options),
    /// What does a sleeping task cost?
    Timers(rounds::Options),
    /// What does a tree of tasks cost?
    Skynet(rounds::Options),
    /// What does a URL cost?
    #[cfg(target_os = "linux")]
    Urls(urls::Options),
    /// What does an echo request cost a server?
    #[cfg(target_os = "linux")]
    Echo(net::echo::Options),
    /// What does a request of HTTP cost a server?
    #[cfg(target_os = "linux")]
    Http(net::http::Options),
    /// What does an event cost?
    #[cfg(target_os = "linux")]
    Events(events::Options),
    /// This program as a server of its own.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    Serve { question: String, name: String },
    /// This program as a sleeper of its own.
    #[command(hide = true)]
    Sleep { name: String, count: u64 },
    /// This program as a tree of its own.
    #[command(hide = true)]
    Grow {
        name: String,
        leaves: u64,
        column: usize,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().question {
        Question::Handoff(options) => handoff::answer(&options),
        Question::Yield(options) => yielding::answer(&options),
        Question::Spawn(options) => spawn::answer(&options),
        Question::Remote(options) => remote::answer(&options),
        Question::Timers(options) => timers::answer(&options),
        Question::Skynet(options) => skynet::answer(&options),
        #[cfg(target_os = "linux")]
        Question::Urls(options) => urls::answer(&options),
        #[cfg(target_os = "linux")]
        Question::Events(options) => events::answer(&options),
        #[cfg(target_os = "linux")]
        Question::Echo(options) => net::echo::answer(&options),
        #[cfg(target_os = "linux")]
        Question::Http(options) => net::http::answer(&options),
        #[cfg(target_os = "linux")]
        Question::Serve { question, name } => net::serve(&question, &name),
        Question::Sleep { name, count } => timers::sleep(&name, count),
        Question::Grow {
            name,
            leaves,
            column,
        } => skynet::grow(&name, leaves, column),
    }
}
