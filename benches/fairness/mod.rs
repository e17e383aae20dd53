//! Who gets how much: each row says how often each of several came to their turn, in percent of an even share. Figures,
//! no judgement: what is promised is in the tests.

use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::io::PipeReader;
use greenlet::sync::channel::{Receiver, Sender, bounded, unbounded};
use greenlet::sync::{Mutex, Semaphore, select};
use greenlet::{JoinHandle, spawn, yield_now};

/// How many turns are given out in each row.
const TURNS: usize = 200_000;

/// How often each has had a turn.
type Counts = Rc<[Cell<usize>]>;

pub(crate) fn table() {
    println!(
        "{:52} {:>7} {:>7}",
        "turns, in % of an even share", "least", "most"
    );
    row("select, 2 arms, both ready", &select_of_two());
    row("select, 8 arms, all ready", &select_of_eight());
    row("recv_any of 8, all ready", &any_of_eight());
    for members in [2, 8] {
        let name = format!("mutex, {members} that hold it across a yield");
        row(&name, &locks(members));
    }
    for (members, permits) in [(2, 1), (8, 1), (8, 3)] {
        let name = format!("semaphore of {permits}, {members} that hold it across a yield");
        row(&name, &permits_of(permits, members));
    }
    for room in [0, 1, 100] {
        let name = format!("channel with room for {room}, 8 receivers, messages");
        row(&name, &receivers(room));
    }
    row("8 that yield, turns", &yields(8));
    println!();
    println!(
        "{:52} {:>7} {:>7}",
        "time for an answer by a pipe, in µs", "median", "most"
    );
    for spinning in [0, 1, 8, 100] {
        let [median, most] = answers(spinning);
        let name = format!("beside {spinning} that yield again and again");
        println!("{name:52} {median:7.1} {most:7.1}");
    }
}

fn row(what: &str, counts: &[Cell<usize>]) {
    let even = counts.iter().map(Cell::get).sum::<usize>() as f64 / counts.len() as f64;
    let share = |turns: Option<usize>| 100.0 * turns.unwrap_or(0) as f64 / even;
    let turns = || counts.iter().map(Cell::get);
    println!(
        "{what:52} {:7.1} {:7.1}",
        share(turns().min()),
        share(turns().max())
    );
}

fn none(members: usize) -> Counts {
    (0..members).map(|_| Cell::new(0)).collect()
}

fn count(of: &Cell<usize>) -> usize {
    of.set(of.get() + 1);
    of.get()
}

/// Channels that never become empty.
fn full<const N: usize>() -> [(Sender<()>, Receiver<()>); N] {
    let ends = std::array::from_fn(|_| unbounded());
    ends.iter().for_each(|(sender, _)| refill(sender));
    ends
}

fn refill(sender: &Sender<()>) {
    sender.send(()).expect("a receiver");
}

fn select_of_two() -> Counts {
    let (ends, counts) = (full::<2>(), none(2));
    for _ in 0..TURNS {
        let chosen = select()
            .recv(&ends[0].1, |_| 0)
            .recv(&ends[1].1, |_| 1)
            .wait();
        count(&counts[chosen]);
        refill(&ends[chosen].0);
    }
    counts
}

fn select_of_eight() -> Counts {
    let (ends, counts) = (full::<8>(), none(8));
    let [a, b, c, d, e, f, g, h] = ends.each_ref().map(|(_, receiver)| receiver);
    for _ in 0..TURNS {
        let chosen = select()
            .recv(a, |_| 0)
            .recv(b, |_| 1)
            .recv(c, |_| 2)
            .recv(d, |_| 3)
            .recv(e, |_| 4)
            .recv(f, |_| 5)
            .recv(g, |_| 6)
            .recv(h, |_| 7)
            .wait();
        count(&counts[chosen]);
        refill(&ends[chosen].0);
    }
    counts
}

fn any_of_eight() -> Counts {
    let (ends, counts) = (full::<8>(), none(8));
    for _ in 0..TURNS {
        let all = ends.iter().map(|(_, receiver)| receiver);
        let chosen = select().recv_any(all, |chosen, _| chosen).wait();
        count(&counts[chosen]);
        refill(&ends[chosen].0);
    }
    counts
}

/// So many greenlets that take turns, until all turns are given out.
fn turns(members: usize, turn: impl Fn(&dyn Fn()) + 'static) -> Counts {
    let (counts, left, turn) = (none(members), Rc::new(Cell::new(TURNS)), Rc::new(turn));
    let member = |n: usize| {
        let (counts, left, turn) = (counts.clone(), left.clone(), turn.clone());
        spawn(move || {
            while left.get() > 0 {
                turn(&|| {
                    left.set(left.get().saturating_sub(1));
                    count(&counts[n]);
                });
            }
        })
    };
    let members: Vec<JoinHandle<()>> = (0..members).map(member).collect();
    members
        .into_iter()
        .for_each(|member| member.join().expect("no panic"));
    counts
}

fn locks(members: usize) -> Counts {
    let lock = Mutex::new(());
    turns(members, move |count| {
        let _held = lock.lock().expect("no poison");
        count();
        yield_now();
    })
}

fn permits_of(permits: usize, members: usize) -> Counts {
    let seats = Semaphore::new(permits);
    turns(members, move |count| {
        let _seat = seats.acquire();
        count();
        yield_now();
    })
}

fn yields(members: usize) -> Counts {
    turns(members, |count| {
        count();
        yield_now();
    })
}

fn receivers(room: usize) -> Counts {
    let ((sender, receiver), counts) = (bounded(room), none(8));
    let member = |n: usize| {
        let (receiver, counts) = (receiver.clone(), counts.clone());
        spawn(move || {
            receiver.iter().for_each(|()| {
                count(&counts[n]);
            });
        })
    };
    let members: Vec<JoinHandle<()>> = (0..8).map(member).collect();
    (0..TURNS).for_each(|_| refill(&sender));
    drop(sender);
    members
        .into_iter()
        .for_each(|member| member.join().expect("no panic"));
    counts
}

/// How long it takes until one who waits for a byte of another thread has it, while others are always ready: the median
/// and the longest.
fn answers(spinning: usize) -> [f64; 2] {
    let spin = |_| {
        spawn(|| {
            loop {
                yield_now();
            }
        })
    };
    let spinners: Vec<JoinHandle<()>> = (0..spinning).map(spin).collect();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut reader = PipeReader::from(reader);
    let begin = Instant::now();
    let writes = std::thread::spawn(move || write_times(writer, begin));
    let mut times: Vec<f64> = Vec::new();
    let mut sent = [0; 8];
    while reader.read_exact(&mut sent).is_ok() {
        let late = begin.elapsed().as_nanos() as u64 - u64::from_le_bytes(sent);
        times.push(late as f64 / 1e3);
    }
    writes.join().expect("no panic");
    spinners.iter().for_each(|spins| {
        spins.kill();
    });
    times.sort_by(f64::total_cmp);
    [times[times.len() / 2], times[times.len() - 1]]
}

/// Writes when it writes, a thousand times.
fn write_times(mut writer: impl Write, begin: Instant) {
    for _ in 0..1000 {
        std::thread::sleep(Duration::from_micros(500));
        let now = begin.elapsed().as_nanos() as u64;
        writer.write_all(&now.to_le_bytes()).expect("a reader");
    }
}
