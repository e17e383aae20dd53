//! Random programs: what greenlets do against what the rules say.
//!
//! A seed gives a program (`program.rs`), which runs twice: on a model of the rules (`model.rs`) and on
//! greenlets (`real.rs`). Every operation, value, panic, destructor and trace event is noted, and the two
//! lists must be equal. They run in a child process, so that a crash is a result like any other; a program
//! that fails is made smaller as long as it fails, and printed.
//!
//! | variable | meaning |
//! |---|---|
//! | `GREENLET_MODEL_STEPS` | how many operations to run |
//! | `GREENLET_MODEL_SEED` | the first seed; with `GREENLET_MODEL_STEPS=1` it is the only one |
//! | `GREENLET_MODEL_TRACE` | a file that a hash of all traces is written to, to compare backends by |
//!
//! A program that failed once belongs into `regressions/`; those run first.

mod model;
mod program;
mod real;
#[path = "../runner/mod.rs"]
mod runner;

use std::env;
use std::fs;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use model::Planted;
use program::{Entry, Op};

/// Says to the test binary that it is a child, and what it is to do.
const JOB: &str = "GREENLET_MODEL_JOB";
/// The child found traces that differ.
const DIFFERENT: i32 = 7;
/// A child that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_SEED: u64 = 1;

fn number_from(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(text) => text
            .replace('_', "")
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => default,
    }
}

fn default_steps() -> u64 {
    match (greenlet::BACKEND, cfg!(debug_assertions)) {
        ("baton", _) => 100_000,
        (_, true) => 200_000,
        (_, false) => 10_000_000,
    }
}

#[test]
fn random_programs_follow_the_rules() {
    for (name, program) in regressions() {
        check(&program, &format!("the regression {name}"));
    }
    let first = number_from("GREENLET_MODEL_SEED", FIRST_SEED);
    let steps = number_from("GREENLET_MODEL_STEPS", default_steps());
    let begin = Instant::now();
    match Child::run(&format!("run {first} {steps} none")) {
        Verdict::Same => println!("{steps} steps in {:.1} s", begin.elapsed().as_secs_f64()),
        Verdict::Bad { seed, why, .. } => {
            println!("seed {seed}: {why}");
            check(&program::program(seed), &format!("seed {seed}"));
            panic!("seed {seed} failed ({why}), but not when it ran alone");
        }
    }
}

#[test]
fn planted_errors_are_found() {
    for planted in Planted::ALL {
        let job = format!("run {FIRST_SEED} 20_000 {planted:?}").replace('_', "");
        match Child::run(&job) {
            Verdict::Bad { seed, .. } => println!("{planted:?} is found with seed {seed}"),
            Verdict::Same => panic!("20,000 steps do not find {planted:?}"),
        }
    }
}

#[test]
fn programs_survive_as_text() {
    let program = program::program(5);
    assert_eq!(program::from_text(&program::to_text(&program)), program);
}

/// What the other tests start; alone it does nothing.
#[test]
fn child() {
    let Ok(job) = env::var(JOB) else { return };
    std::panic::set_hook(Box::new(|panic| {
        if !panic.to_string().contains("refused") {
            println!("{panic}");
        }
    }));
    let words: Vec<&str> = job.split_whitespace().collect();
    let status = match words[..] {
        ["run", seed, steps, planted] => {
            let planted = Planted::ALL
                .into_iter()
                .find(|known| format!("{known:?}") == planted);
            run_many(seed.parse().unwrap(), steps.parse().unwrap(), planted)
        }
        ["replay", file] => {
            let program = program::from_text(&fs::read_to_string(file).unwrap());
            replay(&program)
        }
        _ => panic!("no job: {job}"),
    };
    std::process::exit(status);
}

fn run_many(first: u64, steps: u64, planted: Option<Planted>) -> i32 {
    let mut progress = fs::File::create(env::var(PROGRESS).unwrap()).unwrap();
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    let (mut seed, mut done) = (first, 0);
    while done < steps {
        progress.rewind().unwrap();
        write!(progress, "{seed:<20}").unwrap();
        let program = program::program(seed);
        let got = real::run(&program);
        if got != model::predict(&program, planted) {
            return DIFFERENT;
        }
        got.iter().for_each(|entry| hash.add(entry));
        done += program.len() as u64;
        seed += 1;
    }
    if planted.is_none()
        && let Ok(path) = env::var("GREENLET_MODEL_TRACE")
    {
        let programs = seed - first;
        let line = format!("{:016x} {programs} programs, {done} steps\n", hash.0);
        fs::write(path, line).unwrap();
    }
    0
}

fn replay(program: &[Op]) -> i32 {
    let wanted = model::predict(program, None);
    let got = real::run(program);
    if got == wanted {
        return 0;
    }
    let same = got.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
    for entry in &got[same.saturating_sub(40)..same] {
        println!("{entry}");
    }
    let show = |entry: Option<&Entry>| entry.map_or("nothing".into(), |entry| format!("{entry}"));
    println!("then, by the rules: {}", show(wanted.get(same)));
    println!("         but it is: {}", show(got.get(same)));
    DIFFERENT
}

/// FNV-1a over entries.
struct Hash(u64);

impl Hash {
    fn add(&mut self, entry: &Entry) {
        for word in [entry.what as u64, entry.who as u64, entry.x, entry.y] {
            self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Panics if a program fails, with a smaller one that does.
fn check(program: &[Op], name: &str) {
    let Verdict::Bad { why, .. } = replayed(program) else {
        return;
    };
    let small = shrink(program);
    let Verdict::Bad { why, output, .. } = replayed(&small) else {
        panic!("{name} failed ({why}), but not always");
    };
    let text = program::to_text(&small);
    panic!("{name} fails ({why}), and so does this:\n{text}\n{output}");
}

fn replayed(program: &[Op]) -> Verdict {
    let file = scratch("program");
    fs::write(&file, program::to_text(program)).unwrap();
    let verdict = Child::run(&format!("replay {}", file.display()));
    let _ = fs::remove_file(file);
    verdict
}

/// Leaves out operations as long as the rest still fails.
fn shrink(program: &[Op]) -> Vec<Op> {
    let fails = |program: &[Op]| !matches!(replayed(program), Verdict::Same);
    let mut small = program.to_vec();
    let mut chunk = small.len().div_ceil(2);
    loop {
        let (mut at, mut shrunk) = (0, false);
        while at < small.len() {
            let mut shorter = small.clone();
            shorter.drain(at..(at + chunk).min(small.len()));
            if fails(&shorter) {
                small = shorter;
                shrunk = true;
            } else {
                at += chunk;
            }
        }
        if chunk > 1 {
            chunk /= 2;
        } else if !shrunk {
            return small;
        }
    }
}

fn regressions() -> Vec<(String, Vec<Op>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/model/regressions");
    let Ok(files) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    paths.sort();
    let read = |path: &PathBuf| program::from_text(&fs::read_to_string(path).unwrap());
    let named = |path: PathBuf| (path.display().to_string(), read(&path));
    paths.into_iter().map(named).collect()
}

const PROGRESS: &str = "GREENLET_MODEL_PROGRESS";

enum Verdict {
    Same,
    Bad {
        seed: u64,
        why: String,
        output: String,
    },
}

/// A file name that nobody else uses.
fn scratch(what: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("model-{what}-{}-{number}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

struct Child;

impl Child {
    /// Lets a child process do a job.
    fn run(job: &str) -> Verdict {
        let progress = scratch("progress");
        let mut child = runner::command(&env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(JOB, job)
            .env(PROGRESS, &progress)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut output = String::new();
            stdout.read_to_string(&mut output).map(|_| output)
        });
        let (mut seen, mut since) = (None, Instant::now());
        let mut pause = Duration::from_micros(500);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
            let now = fs::read_to_string(&progress).ok();
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
        };
        let output = reader.join().unwrap().unwrap();
        let seed = fs::read_to_string(&progress).ok();
        let _ = fs::remove_file(progress);
        let why = match status {
            Some(status) if status.success() => return Verdict::Same,
            Some(status) if status.code() == Some(DIFFERENT) => "the traces differ".into(),
            Some(status) => format!("{status}"),
            None => "it hangs".into(),
        };
        Verdict::Bad {
            seed: seed
                .and_then(|seed| seed.trim().parse().ok())
                .unwrap_or_default(),
            why,
            output,
        }
    }
}
