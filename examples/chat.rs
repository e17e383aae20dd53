//! A chat server: every line that somebody says goes to everybody else.
//!
//! Two greenlets for each guest, one that listens and one that talks, and an inbox between them, in plain `Rc`
//! and `RefCell`: greenlets never change threads. A guest who does not read is not waited for: when the inbox is
//! full, the guest has to leave.
//!
//! Run: `cargo run --release --example chat -- --listen 127.0.0.1:7778`, and join it with `nc 127.0.0.1 7778`
//! from several terminals. The first line that a guest says is the name. Prints `listening on ADDR:PORT`.

mod listen;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Write};
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use greenlet::net::{TcpListener, TcpStream};
use greenlet::thread::{self, Thread};

/// Lets guests talk to each other.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 for any.
    #[arg(long, default_value = "127.0.0.1:7778")]
    listen: String,
}

// So many lines may wait for a guest.
const PATIENCE: usize = 1000;

/// Where lines wait for a guest, and who carries them.
struct Inbox {
    lines: VecDeque<Rc<str>>,
    carrier: Thread,
}

#[derive(Default)]
struct Room(RefCell<BTreeMap<u64, Inbox>>);

impl Room {
    /// Puts a line into every inbox but that of `from`.
    fn tell(&self, from: u64, line: &str) {
        let line: Rc<str> = line.into();
        self.0.borrow_mut().retain(|guest, inbox| {
            if *guest != from {
                inbox.lines.push_back(line.clone());
                inbox.carrier.unpark();
            }
            inbox.lines.len() <= PATIENCE
        });
    }

    /// The next line for a guest; none if the guest has left.
    fn next(&self, guest: u64) -> Option<Rc<str>> {
        loop {
            let mut guests = self.0.borrow_mut();
            if let Some(line) = guests.get_mut(&guest)?.lines.pop_front() {
                return Some(line);
            }
            drop(guests);
            thread::park();
        }
    }

    fn leave(&self, guest: u64) {
        if let Some(inbox) = self.0.borrow_mut().remove(&guest) {
            inbox.carrier.unpark();
        }
    }
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let listener = listen::or_exit(&arguments.listen, TcpListener::bind(&arguments.listen));
    println!("listening on {}", listener.local_addr()?);
    let room = Rc::<Room>::default();
    for guest in 0.. {
        match listener.accept() {
            Ok((stream, _)) => {
                let room = room.clone();
                greenlet::spawn(move || {
                    let _ = welcome(&room, guest, &stream);
                    room.leave(guest);
                });
            }
            // No descriptors, say: a little later there may be some.
            Err(_) => greenlet::sleep(Duration::from_millis(10)),
        }
    }
    Ok(())
}

/// Listens to a guest until the last word.
fn welcome(room: &Rc<Room>, guest: u64, stream: &TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let name = lines.next().transpose()?.unwrap_or_default();
    let carrier = greenlet::spawn({
        let (room, mut stream) = (room.clone(), stream.try_clone()?);
        move || {
            while let Some(line) = room.next(guest) {
                if stream.write_all(line.as_bytes()).is_err() {
                    break;
                }
            }
            let _ = stream.shutdown(greenlet::net::Shutdown::Both);
        }
    });
    let inbox = Inbox {
        lines: VecDeque::new(),
        carrier: carrier.thread().clone(),
    };
    room.0.borrow_mut().insert(guest, inbox);
    room.tell(guest, &format!("* {name} has come\n"));
    for line in lines {
        room.tell(guest, &format!("{name}: {}\n", line?));
    }
    room.tell(guest, &format!("* {name} has gone\n"));
    Ok(())
}
