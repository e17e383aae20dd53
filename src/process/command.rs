//! What is to be run: std's builder, whose children are ours.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use super::{Child, orphan};

/// Builds a process: `std::process::Command`.
///
/// ```
/// use greenlet::process::Command;
///
/// let output = Command::new("echo").arg("hello").output()?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"hello\n");
/// # std::io::Result::Ok(())
/// ```
///
/// # Differences from std
/// What is special to a system (`pre_exec` and the like) is set on [`as_std_mut`](Command::as_std_mut).
/// `output` does not see which standard streams were set there, or before the conversion from one of std, and
/// captures them.
pub struct Command {
    theirs: process::Command,
    set: Streams,
    /// Those that `output` has set for its own.
    borrowed: Streams,
}

/// Standard streams: input, output, error.
#[derive(Clone, Copy, Default)]
struct Streams([bool; 3]);

impl Command {
    /// Runs the program of this name, or at this path, without arguments and with all that this process has.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Command {
        process::Command::new(program).into()
    }

    /// One argument more.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.theirs.arg(arg);
        self
    }

    /// Some arguments more.
    pub fn args<I, S>(&mut self, args: I) -> &mut Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.theirs.args(args);
        self
    }

    /// Sets a variable of its environment.
    pub fn env<K: AsRef<OsStr>, V: AsRef<OsStr>>(&mut self, key: K, val: V) -> &mut Command {
        self.theirs.env(key, val);
        self
    }

    /// Sets some variables of its environment.
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.theirs.envs(vars);
        self
    }

    /// Keeps a variable from it.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.theirs.env_remove(key);
        self
    }

    /// Keeps all variables from it.
    pub fn env_clear(&mut self) -> &mut Command {
        self.theirs.env_clear();
        self
    }

    /// Where it runs.
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Command {
        self.theirs.current_dir(dir);
        self
    }

    /// What its standard input is.
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.set.0[0] = true;
        self.theirs.stdin(cfg);
        self
    }

    /// What its standard output is.
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.set.0[1] = true;
        self.theirs.stdout(cfg);
        self
    }

    /// What its standard error is.
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.set.0[2] = true;
        self.theirs.stderr(cfg);
        self
    }

    /// Runs it.
    ///
    /// # Parks
    /// No. This thread waits until the program has been loaded, as with std, which takes a millisecond or so.
    ///
    /// # Errors
    /// If the program cannot be run: `NotFound`, `PermissionDenied` and so on.
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.give_back();
        self.begin()
    }

    /// Runs it, and waits until it has ended.
    ///
    /// # Parks
    /// Until then.
    ///
    /// # Cancellation
    /// It goes on without us. Its status is taken when another child is begun after its end.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait`].
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.until_let_go(Child::wait)
    }

    /// Runs it, and reads what it writes until it has ended. It has nothing to read, unless that was set.
    ///
    /// # Parks
    /// Until then.
    ///
    /// # Cancellation
    /// It goes on without us, and finds that nobody reads. Its status is taken as after [`status`](Command::status).
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait_with_output`].
    pub fn output(&mut self) -> io::Result<Output> {
        if !self.set.0[0] {
            self.theirs.stdin(Stdio::null());
        }
        if !self.set.0[1] {
            self.theirs.stdout(Stdio::piped());
        }
        if !self.set.0[2] {
            self.theirs.stderr(Stdio::piped());
        }
        self.borrowed = Streams(self.set.0.map(|set| !set));
        self.begin()?.wait_with_output()
    }

    fn begin(&mut self) -> io::Result<Child> {
        orphan::reap();
        self.theirs.spawn().map(Child::from)
    }

    /// What `output` has set for its own is as it was.
    fn give_back(&mut self) {
        let [stdin, stdout, stderr] = std::mem::take(&mut self.borrowed).0;
        if stdin && !self.set.0[0] {
            self.theirs.stdin(Stdio::inherit());
        }
        if stdout && !self.set.0[1] {
            self.theirs.stdout(Stdio::inherit());
        }
        if stderr && !self.set.0[2] {
            self.theirs.stderr(Stdio::inherit());
        }
    }

    /// The program.
    pub fn get_program(&self) -> &OsStr {
        self.theirs.get_program()
    }

    /// The arguments.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.theirs.get_args()
    }

    /// The variables that are set or kept away.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.theirs.get_envs()
    }

    /// Where it runs, if that was set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.theirs.get_current_dir()
    }

    /// The builder of std, for all that can be set there.
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.theirs
    }

    /// The builder of std.
    pub fn as_std(&self) -> &process::Command {
        &self.theirs
    }
}

impl From<process::Command> for Command {
    fn from(theirs: process::Command) -> Command {
        Command {
            theirs,
            set: Streams::default(),
            borrowed: Streams::default(),
        }
    }
}

impl From<Command> for process::Command {
    fn from(mut ours: Command) -> process::Command {
        ours.give_back();
        ours.theirs
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.theirs, f)
    }
}

/// What a unix can set: `std::os::unix::process::CommandExt`, but for `pre_exec`, which is unsafe.
pub trait CommandExt: sealed::Sealed {
    /// The user it runs as.
    fn uid(&mut self, id: u32) -> &mut Command;
    /// The group it runs as.
    fn gid(&mut self, id: u32) -> &mut Command;
    /// The name it is told it has.
    fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command;
    /// The process group it is in; 0: its own.
    fn process_group(&mut self, pgroup: i32) -> &mut Command;
    /// Becomes the program. Returns only if that fails.
    ///
    /// # Errors
    /// What the system says.
    fn exec(&mut self) -> io::Error;
}

impl CommandExt for Command {
    fn uid(&mut self, id: u32) -> &mut Command {
        std::os::unix::process::CommandExt::uid(&mut self.theirs, id);
        self
    }

    fn gid(&mut self, id: u32) -> &mut Command {
        std::os::unix::process::CommandExt::gid(&mut self.theirs, id);
        self
    }

    fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        std::os::unix::process::CommandExt::arg0(&mut self.theirs, arg);
        self
    }

    fn process_group(&mut self, pgroup: i32) -> &mut Command {
        std::os::unix::process::CommandExt::process_group(&mut self.theirs, pgroup);
        self
    }

    fn exec(&mut self) -> io::Error {
        self.give_back();
        std::os::unix::process::CommandExt::exec(&mut self.theirs)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Command {}
}
