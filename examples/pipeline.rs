//! Generators hooked up like shell pipes: `cat access.log | grep POST | cut -f 3 | sum`.
//!
//! Each stage is a generator over the one before it. Nothing is collected in between: a line runs through
//! the whole pipe before the next one is read.
//!
//! Run: `cargo run --release --example pipeline`. How long it took goes to standard error.
//!
//! Expected output:
//! ```text
//! read   GET /index 120
//! read   POST /form 80
//! match  POST /form 80
//! bytes  80
//! read   GET /logo 900
//! read   POST /form 41
//! match  POST /form 41
//! bytes  41
//! total  121
//! ```

use std::time::Instant;

use greenlet::Generator;

type Lines = Generator<String>;

fn cat(log: &'static str) -> Lines {
    Generator::new(move |y| {
        for line in log.lines() {
            println!("read   {line}");
            y.yield_(line.to_string());
        }
    })
}

fn grep(pattern: &'static str, lines: Lines) -> Lines {
    Generator::new(move |y| {
        for line in lines.filter(|line| line.contains(pattern)) {
            println!("match  {line}");
            y.yield_(line);
        }
    })
}

fn cut(field: usize, lines: Lines) -> Lines {
    Generator::new(move |y| {
        y.yield_from(lines.filter_map(|line| Some(line.split(' ').nth(field)?.to_string())));
    })
}

fn main() {
    let begin = Instant::now();
    let log = "GET /index 120\nPOST /form 80\nGET /logo 900\nPOST /form 41";
    let bytes = cut(2, grep("POST", cat(log)));
    let total: u32 = bytes
        .map(|bytes| {
            println!("bytes  {bytes}");
            bytes.parse::<u32>().expect("a number")
        })
        .sum();
    println!("total  {total}");
    eprintln!("{:.2?}", begin.elapsed());
}
