//! Costs: what things take on this machine, from a register to the disk, in one table.
//!
//! That is what decides how a server is built: a switch of greenlets costs about as much as a few reads of the cache,
//! one of threads or processes goes through the kernel, and a read of the disk is as long as a hundred thousand
//! additions. Switches are one way, between two on one core; a spawn includes its end.
//!
//! Run: `cargo run --release --example costs -- --svg costs.svg`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! what                      time  to a register  to a greenlet switch
//! register                   <n>            <n>                   <n>
//! L1 cache                   <n>            <n>                   <n>
//! L2 cache                   <n>            <n>                   <n>
//! memory                     <n>            <n>                   <n>
//! system call                <n>            <n>                   <n>
//! page fault                 <n>            <n>                   <n>
//! switch of greenlets        <n>            <n>                   <n>
//! switch of threads          <n>            <n>                   <n>
//! switch of processes        <n>            <n>                   <n>
//! spawn of a greenlet        <n>            <n>                   <n>
//! spawn of a thread          <n>            <n>                   <n>
//! spawn of a process         <n>            <n>                   <n>
//! loopback round trip        <n>            <n>                   <n>
//! disk, 4 KiB anywhere       <n>            <n>                   <n>
//! ```

mod disk;
mod machine;
mod spawns;
mod switches;
mod table;
#[path = "../talk_parts/mod.rs"]
mod talk_parts;

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use talk_parts::report::{self, Line, Output, median};
use talk_parts::show;

/// Measures what things cost on this machine.
#[derive(Parser)]
struct Arguments {
    /// The folder whose disk is read; a file of 64 MiB is made there for a while.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// Measure a tenth as long.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    output: Output,
    /// What this program is when it starts itself: the other of two processes.
    #[arg(long, hide = true, value_enum)]
    child: Option<spawns::Child>,
}

/// Something that is done so often; how many seconds all of it took.
type Cost<'a> = &'a dyn Fn(u64) -> io::Result<f64>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(child) = arguments.child {
        return report::ended("costs", spawns::be(child));
    }
    report::ended("costs", run(&arguments))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let disk = disk::Disk::new(&arguments.folder)?;
    let costs: [(&str, u64, Cost<'_>); 14] = [
        ("register", 10_000_000, &machine::register),
        ("L1 cache", 5_000_000, &|count| {
            machine::chase(16 << 10, count)
        }),
        ("L2 cache", 5_000_000, &|count| {
            machine::chase(256 << 10, count)
        }),
        ("memory", 500_000, &|count| machine::chase(256 << 20, count)),
        ("system call", 500_000, &machine::system_call),
        ("page fault", 5_000, &machine::page_fault),
        ("switch of greenlets", 5_000_000, &switches::greenlets),
        ("switch of threads", 20_000, &switches::threads),
        ("switch of processes", 20_000, &switches::processes),
        ("spawn of a greenlet", 500_000, &spawns::greenlets),
        ("spawn of a thread", 2_000, &spawns::threads),
        ("spawn of a process", 100, &spawns::processes),
        ("loopback round trip", 10_000, &switches::loopback),
        ("disk, 4 KiB anywhere", 1_000, &|count| disk.read(count)),
    ];
    let mut lines = vec![];
    for (what, count, cost) in costs {
        let count = if arguments.quick {
            count.div_ceil(10)
        } else {
            count
        };
        let once = |_| Ok(1e9 * cost(count)? / count as f64);
        let each: io::Result<Vec<f64>> = (0..3).map(once).collect();
        let each = each.map_err(|error| format!("{what}: {error}"))?;
        lines.push(Line::new("costs", what, median(each), "ns"));
    }
    show::results(
        &lines,
        &arguments.output,
        ("What things take", table::HEADS),
        table::row(&lines),
    )?;
    if !disk.is_direct() {
        eprintln!(
            "costs: no O_DIRECT there: the disk was read through the page cache, dropped before"
        );
    }
    Ok(())
}
