//! Unix sockets: a key-value store in a file of the file system, and three clients at once.
//!
//! The store is a plain map: its greenlets run one at a time, and none of them waits while it holds the map.
//!
//! Run: `cargo run --release --example unix_socket`
//!
//! Expected output:
//! ```text
//! set apple = red
//! set banana = yellow
//! set cherry = dark red
//! get apple: red
//! get banana: yellow
//! get cherry: dark red
//! get durian: nothing
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::rc::Rc;

use greenlet::os::unix::net::{UnixListener, UnixStream};

type Store = Rc<RefCell<BTreeMap<String, String>>>;

fn main() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("greenlet-store-{}", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    let server = greenlet::spawn(move || serve(&listener));
    greenlet::scope(|scope| {
        let fruits = [
            ("apple", "red"),
            ("banana", "yellow"),
            ("cherry", "dark red"),
        ];
        let clients = fruits.map(|(key, value)| {
            let path = &path;
            scope.spawn(move || ask(path, &format!("set {key} {value}")))
        });
        // They are answered in any order.
        for client in clients {
            let answer = client.join().expect("it does not panic");
            println!("{}", answer.expect("the store answers"));
        }
    });
    for key in ["apple", "banana", "cherry", "durian"] {
        println!("get {key}: {}", ask(&path, &format!("get {key}"))?);
    }
    server.kill();
    std::fs::remove_file(&path)
}

fn serve(listener: &UnixListener) -> io::Result<()> {
    let store = Store::default();
    loop {
        let (stream, _) = listener.accept()?;
        let store = store.clone();
        greenlet::spawn(move || answer(&stream, &store));
    }
}

/// Answers requests, a line each.
fn answer(mut stream: &UnixStream, store: &Store) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let answer = match words[..] {
            ["set", key, value] => {
                store.borrow_mut().insert(key.into(), value.into());
                format!("set {key} = {value}")
            }
            ["get", key] => store.borrow().get(key).cloned().unwrap_or("nothing".into()),
            _ => "set KEY VALUE, or get KEY".into(),
        };
        writeln!(stream, "{answer}")?;
    }
    Ok(())
}

fn ask(path: &std::path::Path, request: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    writeln!(stream, "{request}")?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}
