//! What the greenlets of another process are doing, live: `top` for greenlets.
//!
//! The other process has called `greenlet::inspect::serve("/some/path")`. This one asks it for a dump, twice a
//! second, and shows a line for each greenlet. Keys: `t` sorts by turns, `w` by waiting time, `s` by stack, `q` ends.
//!
//! Run: `cargo run --release --example top -- /some/path`, or with `--once` for one plain table:
//!
//! ```text
//! THREAD          GREENLET                     STATE    TURNS    WAITING   STACK  DOES
//! main            looked-at (#2)               parked       1      0.5 s   4 KiB  sleeps
//! main            #1                           running      3          -       -  -
//! ```

mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind};
use ratatui::layout::Constraint;
use ratatui::style::Stylize;
use ratatui::widgets::{Row, Table};

use table::{HEAD, Order, WIDTHS, ask, print};

/// Shows the greenlets of another process.
#[derive(Parser)]
struct Arguments {
    /// The path that the process serves.
    path: PathBuf,
    /// Prints one table, and ends.
    #[arg(long)]
    once: bool,
    /// What comes first.
    #[arg(long, value_enum, default_value = "turns")]
    sort: Order,
}

fn main() {
    let Arguments { path, once, sort } = Arguments::parse();
    let outcome = match once {
        true => ask(&path, sort).map(|lines| print(&lines)),
        false => show(&path, sort),
    };
    if let Err(error) = outcome {
        eprintln!("cannot ask {}: {error}", path.display());
        std::process::exit(1);
    }
}

fn show(path: &Path, mut order: Order) -> io::Result<()> {
    let mut lines = ask(path, order)?;
    let mut terminal = ratatui::try_init()?;
    let outcome = loop {
        let rows = lines.iter().map(|line| Row::new(line.cells.clone()));
        let widths = WIDTHS.map(|width| Constraint::Length(width as u16));
        let table = Table::new(rows, widths).header(Row::new(HEAD).bold());
        if let Err(error) = terminal.draw(|frame| frame.render_widget(&table, frame.area())) {
            break Err(error);
        }
        match next_key() {
            Ok(Some(KeyCode::Char('t'))) => order = Order::Turns,
            Ok(Some(KeyCode::Char('w'))) => order = Order::Waiting,
            Ok(Some(KeyCode::Char('s'))) => order = Order::Stack,
            Ok(Some(KeyCode::Char('q') | KeyCode::Esc)) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
        match ask(path, order) {
            Ok(fresh) => lines = fresh,
            Err(error) => break Err(error),
        }
    };
    ratatui::restore();
    outcome
}

/// A key that is pressed within half a second.
fn next_key() -> io::Result<Option<KeyCode>> {
    if !event::poll(Duration::from_millis(500))? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => Some(key.code),
        _ => None,
    })
}
