//! What all searches of a log share: arguments, the progress bar, the clock, the result.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use super::cache;
use super::report::{self, Line, digits, time};
use super::weblog::{Block, Blocks, Found, LONGEST, bare};

/// Finds the records of one user in a web log in Combined Log Format.
#[derive(Clone, Parser)]
pub(crate) struct Arguments {
    /// The log.
    pub(crate) file: PathBuf,
    /// Whose records.
    #[arg(long, default_value = "jim", value_parser = user)]
    pub(crate) user: String,
    /// Print a line of JSON.
    #[arg(long)]
    json: bool,
    /// Take the log out of the page cache first.
    #[arg(long)]
    pub(crate) cold: bool,
    /// Search only the lines that begin between these two bytes.
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], hide = true)]
    pub(crate) part: Option<Vec<u64>>,
}

/// The name of a user, as it can stand in a log.
pub(crate) fn user(name: &str) -> Result<String, String> {
    match name.is_empty() || name.contains(char::is_whitespace) {
        true => Err("no user of a log has such a name".into()),
        false => Ok(name.into()),
    }
}

/// How long a log is. Before it is opened: that would wait for a writer if it were a pipe.
pub(crate) fn size(file: &Path) -> io::Result<u64> {
    let about = file.metadata()?;
    match about.is_file() {
        true => Ok(about.len()),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// A search that is under way.
pub(crate) struct Job {
    pub(crate) arguments: Arguments,
    pub(crate) file: File,
    pub(crate) size: u64,
    pub(crate) bar: ProgressBar,
}

impl Job {
    fn open(arguments: Arguments) -> io::Result<Job> {
        let size = size(&arguments.file)?;
        let file = File::open(&arguments.file)?;
        if size == 0 && file.read_at(&mut [0], 0)? > 0 {
            return Err(io::Error::other("not a file of a known size"));
        }
        if arguments.cold {
            cache::drop_cache(&file)?;
        }
        let style = "{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
        // It shows nothing where standard error is no terminal.
        let bar = ProgressBar::new(size);
        bar.set_style(ProgressStyle::with_template(style).expect("a good template"));
        Ok(Job {
            arguments,
            file,
            size,
            bar,
        })
    }

    pub(crate) fn user(&self) -> &[u8] {
        self.arguments.user.as_bytes()
    }

    /// Cuts the log into parts of about `size` bytes.
    pub(crate) fn parts(&self, size: u64) -> impl Iterator<Item = (u64, u64)> + use<> {
        let end = self.size;
        let begins = (0..end).step_by(size.max(1) as usize);
        begins.map(move |begin| (begin, (begin + size).min(end)))
    }

    /// All lines of the log, in blocks.
    pub(crate) fn blocks(&self) -> io::Result<Blocks<Log>> {
        Ok(Blocks::new(self.log()?, 0, u64::MAX))
    }

    /// The log as it was at the begin: what is written to it meanwhile is left out.
    fn log(&self) -> io::Result<Log> {
        Ok(Reader::new(&self.file, 0, &self.bar)?.take(self.size))
    }
}

/// A log from its begin to where its end was.
pub(crate) type Log = Take<Reader>;

/// Reads from a place of its own, and moves the progress bar.
pub(crate) struct Reader {
    file: File,
    at: u64,
    bar: ProgressBar,
}

impl Reader {
    pub(crate) fn new(file: &File, at: u64, bar: &ProgressBar) -> io::Result<Reader> {
        let (file, bar) = (file.try_clone()?, bar.clone());
        Ok(Reader { file, at, bar })
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        self.bar.inc(count as u64);
        Ok(count)
    }
}

/// Searches one part, on whatever thread.
pub(crate) fn part(
    file: &File,
    (begin, end): (u64, u64),
    user: &[u8],
    bar: &ProgressBar,
) -> io::Result<Found> {
    let reader = Reader::new(file, begin.saturating_sub(1), bar)?;
    let (mut blocks, mut block) = (Blocks::new(reader, begin, end), Block::new());
    let mut found = Found::default();
    while blocks.fill(&mut block)? {
        found.scan(&block, user);
    }
    (0..blocks.too_long).for_each(|_| found.too_long());
    Ok(found)
}

/// The plain way: a line at a time, each copied out of the buffer. One that is too long comes as an empty one,
/// which is as broken.
pub(crate) fn each_line(job: &Job, mut what: impl FnMut(&[u8])) -> io::Result<()> {
    let mut log = BufReader::with_capacity(LONGEST, job.log()?);
    let mut line = Vec::new();
    loop {
        line.clear();
        match log
            .by_ref()
            .take(LONGEST as u64)
            .read_until(b'\n', &mut line)?
        {
            0 => return Ok(()),
            LONGEST if !line.ends_with(b"\n") => {
                log.skip_until(b'\n')?;
                what(b"");
            }
            _ => what(bare(&line)),
        }
    }
}

/// Parses the arguments, runs the search, and prints what it has found.
pub(crate) fn run(program: &str, search: impl FnOnce(&Job) -> io::Result<Found>) -> ExitCode {
    run_and(program, search, |_| Ok(vec![]))
}

/// The same, and something else that is measured afterwards.
pub(crate) fn run_and(
    program: &str,
    search: impl FnOnce(&Job) -> io::Result<Found>,
    afterwards: impl FnOnce(&Job) -> io::Result<Vec<(&'static str, f64)>>,
) -> ExitCode {
    let arguments = Arguments::parse();
    let name = OsString::from(&arguments.file).display().to_string();
    let outcome = Job::open(arguments).and_then(|job| {
        let begin = Instant::now();
        let found = search(&job)?;
        let took = (begin.elapsed().as_secs_f64(), cpu());
        job.bar.finish_and_clear();
        if job.file.metadata()?.len() < job.size {
            let what = "it was shortened while it was searched";
            return Err(io::Error::other(what));
        }
        let notes = afterwards(&job)?;
        Ok((job, found, took, notes))
    });
    let outcome = outcome.map_err(|error| format!("{name}: {error}"));
    let outcome = outcome.and_then(|(job, found, took, notes)| {
        let shown = show(program, &job, found, took, &notes);
        shown.map_err(|error| format!("standard output: {error}"))
    });
    report::ended(program, outcome)
}

fn show(
    program: &str,
    job: &Job,
    found: Found,
    (seconds, cpu): (f64, f64),
    notes: &[(&str, f64)],
) -> io::Result<()> {
    let Found {
        records,
        lines,
        broken,
        ..
    } = found;
    let rate = job.size as f64 / seconds / 1e9;
    if broken > 0 && job.arguments.part.is_none() {
        let what = format!("{broken} of {lines} lines are no records, and were left out");
        let _ = writeln!(io::stderr(), "{program}: {what}");
    }
    if !job.arguments.json {
        let (user, size) = (&job.arguments.user, job.size);
        writeln!(
            io::stdout(),
            "{program}: {records} records of {user} in {lines} lines ({broken} broken)"
        )?;
        let (rate, seconds, cpu) = (digits(rate), time(seconds), time(cpu));
        writeln!(
            io::stdout(),
            "{seconds} for {size} bytes, {rate} GB/s, {cpu} of CPU"
        )?;
        for (key, value) in notes {
            writeln!(io::stdout(), "{key}: {} GB/s", digits(*value))?;
        }
        return Ok(());
    }
    let line = Line::new(program, program, rate, "GB/s")
        .with("records", records)
        .with("found", found.bytes)
        .with("lines", lines)
        .with("broken", broken)
        .with("bytes", job.size)
        .with("seconds", seconds)
        .with("cpu", cpu)
        .with("memory", memory());
    let note = |line: Line, (key, value): &(&str, f64)| line.with(key, *value);
    notes.iter().fold(line, note).print()
}

/// Seconds of processor time of this process and its children, in user mode and in the kernel.
pub(crate) fn cpu() -> f64 {
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let usages = [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(usage);
    let times = usages.map(|usage| seconds(usage.ru_utime) + seconds(usage.ru_stime));
    times.iter().sum()
}

/// The most memory that this process, or a child, has had at once, in bytes. What is mapped counts.
fn memory() -> u64 {
    let unit = if cfg!(target_os = "linux") { 1024 } else { 1 };
    let usages = [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(usage);
    let most = usages.iter().map(|usage| usage.ru_maxrss).max();
    most.unwrap_or(0) as u64 * unit
}

fn usage(who: i32) -> libc::rusage {
    // SAFETY: all zeros is a usage, which the call writes to.
    unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(who, &raw mut usage);
        usage
    }
}

/// How many threads or processes search at once.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
