//! Child processes: several at once, fed, read and waited for, without keeping the thread.
//!
//! Run: `cargo run --release --example processes`
//!
//! Expected output:
//! ```text
//! sorted by a child: apple banana cherry
//! exit codes of three children that ran at once: 1 2 3
//! one that took too long: signal: 9 (SIGKILL)
//! the clock ticked meanwhile: true
//! ```

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::time::Duration;

use greenlet::process::{Child, Command, ExitStatus, Stdio};
use greenlet::time::{self, timeout};

fn main() -> io::Result<()> {
    let ticks = Cell::new(0);
    greenlet::scope(|scope| {
        let clock = scope.spawn(|| {
            let mut interval = time::interval(Duration::from_millis(2));
            loop {
                interval.tick();
                ticks.set(ticks.get() + 1);
            }
        });
        println!(
            "sorted by a child: {}",
            sort(&["cherry", "apple", "banana"])?
        );
        let codes =
            [1, 2, 3].map(|code| scope.spawn(move || shell(&format!("sleep 0.05; exit {code}"))));
        let codes: io::Result<Vec<String>> = codes
            .into_iter()
            .map(|child| Ok(code(child.join().expect("no panic")?)))
            .collect();
        println!(
            "exit codes of three children that ran at once: {}",
            codes?.join(" ")
        );
        println!(
            "one that took too long: {}",
            impatient("sleep 60", Duration::from_millis(50))?
        );
        clock.kill();
        io::Result::Ok(())
    })?;
    println!("the clock ticked meanwhile: {}", ticks.get() > 1);
    Ok(())
}

/// Writes the words to `sort`, and reads what it makes of them.
fn sort(words: &[&str]) -> io::Result<String> {
    let mut child = Command::new("sort")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(words.join("\n").as_bytes())?;
    drop(stdin);
    let mut sorted = String::new();
    child
        .stdout
        .take()
        .expect("piped")
        .read_to_string(&mut sorted)?;
    child.wait()?;
    Ok(sorted.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn shell(script: &str) -> io::Result<ExitStatus> {
    Command::new("sh").args(["-c", script]).status()
}

fn code(status: ExitStatus) -> String {
    status.code().map_or("none".into(), |code| code.to_string())
}

/// Waits for a child, but not for ever.
fn impatient(script: &str, limit: Duration) -> io::Result<ExitStatus> {
    let mut child: Child = Command::new("sh")
        .args(["-c", &format!("exec {script}")])
        .spawn()?;
    if let Ok(status) = timeout(limit, || child.wait()) {
        return status;
    }
    child.kill()?;
    child.wait()
}
