//! The peer benchmark: one subcommand is one question, answered by one table.
//!
//! A question is a module of its own (`handoff`), which lists the peers it asks and leaves the
//! measuring order, the medians and the table to `rounds` and `table`. What a peer does for a question is one
//! function in its file under `peers`.

mod clock;
mod external;
mod handoff;
mod peers;
mod rounds;
mod table;

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
}

fn main() -> Result<()> {
    match Arguments::parse().question {
        Question::Handoff(options) => handoff::answer(&options),
    }
}
