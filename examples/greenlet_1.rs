//! One switch there and back: a function that stops in the middle, and goes on where it stopped.
//!
//! Run: `cargo run --release --example greenlet_1`
//!
//! Expected output:
//! ```text
//! main: 1
//! greenlet: got "hello", stops in the middle
//! main: got "half a result"
//! greenlet: goes on with "more"
//! main: got "the rest"; dead: true
//! ```

use greenlet::{Greenlet, current};

fn main() {
    println!("main: 1");
    let main = current::<String>();
    let greenlet = Greenlet::new(move |first: String| {
        println!("greenlet: got {first:?}, stops in the middle");
        let second = main.switch("half a result".into());
        println!("greenlet: goes on with {second:?}");
        "the rest".into()
    });
    let half = greenlet.switch("hello".into());
    println!("main: got {half:?}");
    let rest = greenlet.switch("more".into());
    println!("main: got {rest:?}; dead: {}", greenlet.is_dead());
}
