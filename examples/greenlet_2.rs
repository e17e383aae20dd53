//! Arbitrary switches: control jumps between greenlets, out of nested calls, in no stack order.
//!
//! The first half is the classic of greenlet's documentation: `gr1` prints 12 and switches to `gr2`, which
//! prints 56 and switches back; `gr1` prints 34 and ends, so main goes on, and 78 is never printed. In the
//! second half three greenlets, each of them several calls deep, switch among each other in an order that
//! no stack of calls could have: none of them returns before the others go on.
//!
//! Run: `cargo run --release --example greenlet_2`
//!
//! Expected output:
//! ```text
//! 12
//! 56
//! 34
//! main goes on; gr1 is dead: true, gr2 is dead: false
//! a: 0 calls deep
//! b: 1 calls deep
//! c: 2 calls deep
//! a: 3 calls deep
//! c: 2 calls deep
//! b: 3 calls deep
//! c: 3 calls deep
//! a: 3 calls deep
//! b: 3 calls deep
//! main: 9 hops
//! ```

use greenlet::{Greenlet, current};

fn main() {
    the_classic();
    no_stack_order();
}

fn the_classic() {
    let gr1 = Greenlet::<()>::declare();
    let gr2 = Greenlet::new({
        let gr1 = gr1.clone();
        move |()| {
            println!("56");
            gr1.switch(());
            println!("78");
        }
    });
    gr1.define({
        let gr2 = gr2.clone();
        move |()| {
            println!("12");
            gr2.switch(());
            println!("34");
        }
    });
    gr1.switch(());
    println!(
        "main goes on; gr1 is dead: {}, gr2 is dead: {}",
        gr1.is_dead(),
        gr2.is_dead()
    );
}

/// Where a hop goes, and how many calls deep the next one is made from.
type Hop = (usize, usize);

fn no_stack_order() {
    const ROUTE: [Hop; 9] = [
        (0, 0),
        (1, 1),
        (2, 2),
        (0, 3),
        (2, 2),
        (1, 3),
        (2, 3),
        (0, 3),
        (1, 3),
    ];
    let main = current::<usize>();
    let ring: [Greenlet<usize>; 3] = std::array::from_fn(|_| Greenlet::declare());
    for (me, name) in ["a", "b", "c"].into_iter().enumerate() {
        let (everybody, main) = (ring.clone(), main.clone());
        ring[me].define(move |mut hop| {
            loop {
                hop = dive(name, ROUTE[hop].1, 0, &|| match ROUTE.get(hop + 1) {
                    Some(&(next, _)) => everybody[next].switch(hop + 1),
                    None => main.switch(hop + 1),
                });
            }
        });
    }
    println!("main: {} hops", ring[0].switch(0));
}

/// Calls itself until it is deep enough, and hops from there.
fn dive(name: &str, depth: usize, at: usize, hop: &dyn Fn() -> usize) -> usize {
    if at < depth {
        return dive(name, depth, at + 1, hop);
    }
    println!("{name}: {depth} calls deep");
    hop()
}
