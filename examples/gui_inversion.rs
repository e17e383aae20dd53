//! Inversion of control, inverted: a dialogue written in blocking style, driven by callbacks.
//!
//! A GUI toolkit owns the main loop and calls back for each event. Code that wants to ask a question and use
//! the answer must be cut into callbacks — or it runs in a greenlet: `ask` shows the question and switches
//! to the main loop; the callback switches back with the answer. The dialogue below is an ordinary function
//! with an ordinary loop; the toolkit knows nothing of greenlets.
//!
//! Run: `cargo run --release --example gui_inversion` and type (or pipe in) lines; end with `quit`.
//!
//! Input:
//! ```text
//! Ann
//! maybe
//! yes
//! ```
//! Expected output:
//! ```text
//! What is your name?
//! Ann, may I quit?
//! Please answer yes or no.
//! Ann, may I quit?
//! Goodbye, Ann
//! (the main loop saw 3 events)
//! ```

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use greenlet::{Greenlet, current};

type Callback = Box<dyn Fn(String)>;

/// A toolkit as they are: it calls back for each line, and there is no way to wait inside a callback.
#[derive(Default)]
struct Toolkit {
    on_line: RefCell<Option<Callback>>,
}

impl Toolkit {
    fn main_loop(&self, until: impl Fn() -> bool) -> usize {
        let mut events = 0;
        for line in io::stdin().lines() {
            let Ok(line) = line else { break };
            events += 1;
            if let Some(callback) = self.on_line.borrow().as_ref() {
                callback(line);
            }
            if until() {
                break;
            }
        }
        events
    }
}

/// Blocks, as far as the dialogue can tell.
fn ask(question: &str) -> String {
    println!("{question}");
    let dialogue = current::<String>();
    let main_loop = dialogue.parent().expect("a dialogue has a main loop");
    main_loop.switch(String::new())
}

fn dialogue() {
    let name = ask("What is your name?");
    loop {
        match ask(&format!("{name}, may I quit?")).as_str() {
            "yes" => break,
            "no" => {}
            _ => println!("Please answer yes or no."),
        }
    }
    println!("Goodbye, {name}");
}

fn main() {
    let toolkit = Rc::new(Toolkit::default());
    let talk = Greenlet::builder().name("dialogue").build(|_| {
        dialogue();
        String::new()
    });
    talk.switch(String::new());
    let answer = talk.clone();
    *toolkit.on_line.borrow_mut() = Some(Box::new(move |line| {
        answer.switch(line);
    }));
    let events = toolkit.main_loop(|| talk.is_dead());
    println!("(the main loop saw {events} events)");
}
