//! Why an event loses wake-ups, and a queue does not.
//!
//! An event is a flag. Setting it wakes those who wait *now*; a consumer that is at work just then, and clears the flag
//! before it waits again, has missed what happened meanwhile. Two settings are one. A queue keeps what nobody has
//! taken yet.
//!
//! Run: `cargo run --example missed_event`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! 10 things happen, in twos
//! told by an event: 5 were noticed, 5 missed
//! told by a queue: 10 were noticed, 0 missed
//! the same again a thousand times: <n> µs with an event, <n> µs with a queue
//! ```

use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::sync::Event;
use greenlet::sync::queue::Queue;
use greenlet::time::timeout;
use greenlet::{spawn, yield_now};

const THINGS: u32 = 10;

fn main() {
    println!("{THINGS} things happen, in twos");
    let (event, queue) = (by_event(), by_queue());
    println!(
        "told by an event: {event} were noticed, {} missed",
        THINGS - event
    );
    println!(
        "told by a queue: {queue} were noticed, {} missed",
        THINGS - queue
    );
    let [event, queue] = [by_event as fn() -> u32, by_queue].map(|program| {
        let begin = Instant::now();
        (0..1000).for_each(|_| _ = program());
        begin.elapsed().as_micros()
    });
    println!("the same again a thousand times: {event} µs with an event, {queue} µs with a queue");
}

/// Makes things happen two at a time, and lets others run after each two.
fn happen(mut tell: impl FnMut(u32)) {
    for thing in 0..THINGS {
        tell(thing);
        if thing % 2 == 1 {
            yield_now();
        }
    }
}

fn by_event() -> u32 {
    let happened = Rc::new(Event::new());
    let consumer = spawn({
        let happened = Rc::clone(&happened);
        move || {
            let mut noticed = 0;
            // Nobody tells it that there is no more: an event cannot.
            while timeout(Duration::from_micros(200), || happened.wait()).is_ok() {
                happened.clear();
                noticed += 1;
            }
            noticed
        }
    });
    yield_now();
    happen(|_| happened.set());
    consumer.join().expect("no panic")
}

fn by_queue() -> u32 {
    let happened = Rc::new(Queue::unbounded());
    let consumer = spawn({
        let happened = Rc::clone(&happened);
        move || happened.iter().count() as u32
    });
    yield_now();
    happen(|thing| happened.put(thing).expect("it is open"));
    happened.close();
    consumer.join().expect("no panic")
}
