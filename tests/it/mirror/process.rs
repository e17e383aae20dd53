//! std's tests of processes, over whatever the module around this one has.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::process::Output;

use super::{Child, Command, Stdio};
use crate::support::{emulated, run};

fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

/// What it says on its standard output, when it has ended well.
fn said(command: &mut Command) -> String {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    text
}

fn environment(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn one_that_ends_well() {
    run(|| {
        let mut child = sh("true").spawn().unwrap();
        assert!(child.id() > 0);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_program_that_is_not_there() {
    // An emulator starts a child of its own, and finds out too late.
    if emulated() {
        return;
    }
    run(|| {
        let mut command = Command::new("/no-such-binary-anywhere");
        assert_eq!(command.spawn().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(command.status().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(command.output().unwrap_err().kind(), ErrorKind::NotFound);
        let folder = Command::new("/").spawn().unwrap_err();
        assert_eq!(folder.kind(), ErrorKind::PermissionDenied);
        let nowhere = sh("true").current_dir("/no-such-folder").spawn();
        assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn how_it_has_ended() {
    run(|| {
        assert_eq!(sh("exit 1").status().unwrap().code(), Some(1));
        assert!(sh("exit 0").status().unwrap().success());
        let killed = sh("kill -9 $$").spawn().unwrap().wait().unwrap();
        assert_eq!(
            (killed.code(), killed.signal()),
            (None, Some(libc::SIGKILL))
        );
    });
}

#[test]
fn what_it_says() {
    run(|| {
        assert_eq!(said(&mut sh("echo foobar")), "foobar\n");
        assert_eq!(said(&mut sh("true")), "");
    });
}

#[test]
fn where_it_runs() {
    run(|| assert_eq!(said(sh("pwd").current_dir(Path::new("/"))), "/\n"));
}

#[test]
fn what_it_is_told() {
    run(|| {
        let mut child = sh("read line; echo $line")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(b"foobar").unwrap();
        drop(child.stdin.take());
        let mut text = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        stdout.read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(text, "foobar\n");
    });
}

#[test]
fn all_that_is_left_of_it() {
    run(|| {
        let Output {
            status,
            stdout,
            stderr,
        } = sh("echo hello").output().unwrap();
        assert!(status.success());
        assert_eq!((&*stdout, &*stderr), (&b"hello\n"[..], &b""[..]));

        let error = sh("echo bad >&2; exit 1").output().unwrap();
        assert_eq!(error.status.code(), Some(1));
        assert_eq!((&*error.stdout, &*error.stderr), (&b""[..], &b"bad\n"[..]));

        let child = sh("echo hello").stdout(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"hello\n"[..], &b""[..])
        );
    });
}

#[test]
fn more_than_a_pipe_holds_on_both() {
    run(|| {
        let script = "head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2";
        let output = sh(script).output().unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (300_000, 200_000)
        );
    });
}

#[test]
fn waiting_once_and_twice() {
    run(|| {
        let mut child = sh("exit 1").spawn().unwrap();
        for _ in 0..2 {
            assert_eq!(child.wait().unwrap().code(), Some(1));
            assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(1));
        }
    });
}

#[test]
fn killing_one_that_has_ended() {
    run(|| {
        let mut child = sh("true").stdout(Stdio::null()).spawn().unwrap();
        child.wait().unwrap();
        child.kill().unwrap();
        child.kill().unwrap();
    });
}

#[test]
fn killing_one_that_runs() {
    run(|| {
        let mut child = sh("read line").stdin(Stdio::piped()).spawn().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn a_wait_closes_the_standard_input() {
    run(|| {
        let mut child = sh("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn one_s_output_is_another_s_input() {
    run(|| {
        let mut first = sh("echo one; echo two; echo three")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let middle = Stdio::from(first.stdout.take().unwrap());
        let second = sh("wc -l").stdin(middle).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&second.stdout).trim(), "3");
        assert!(first.wait().unwrap().success());
    });
}

#[test]
fn its_environment() {
    const KEY: &str = "GREENLET_TEST_OF_ITS_ENVIRONMENT";
    run(|| {
        let mut cleared = Command::new("env");
        cleared.env_clear().env(KEY, "123");
        if let Some(path) = std::env::var_os("PATH") {
            cleared.env("PATH", path);
        }
        let text = environment(&mut cleared);
        assert!(text.contains(&format!("{KEY}=123\n")), "{text}");
        assert!(text.lines().count() <= 3, "{text}");

        let text = environment(Command::new("env").env(KEY, "456"));
        assert!(text.contains(&format!("{KEY}=456\n")), "{text}");
        let text = environment(Command::new("env").env(KEY, "456").env_remove(KEY));
        assert!(!text.contains(KEY), "{text}");
        let text = environment(Command::new("env").envs([(KEY, "7"), ("OTHER_OF_THEM", "8")]));
        assert!(text.contains(&format!("{KEY}=7\n")), "{text}");
        assert!(text.contains("OTHER_OF_THEM=8\n"), "{text}");
    });
}

#[test]
fn zeros_are_invalid_input() {
    const ZEROS: &str = "has-some-\0\0s-inside";
    run(|| {
        let mut program = Command::new(ZEROS);
        let (mut arg, mut args, mut folder) = (sh("true"), sh("true"), sh("true"));
        arg.arg(ZEROS);
        args.args([ZEROS]);
        folder.current_dir(ZEROS);
        let (mut key, mut value) = (sh("true"), sh("true"));
        key.env(ZEROS, "value");
        value.env("key", ZEROS);
        for command in [
            &mut program,
            &mut arg,
            &mut args,
            &mut folder,
            &mut key,
            &mut value,
        ] {
            let error = command.spawn().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{command:?}");
        }
    });
}

#[test]
fn a_command_is_shown_as_std_shows_it() {
    let mut command = Command::new("some-boring-name");
    let mut theirs = std::process::Command::new("some-boring-name");
    assert_eq!(format!("{command:?}"), format!("{theirs:?}"));
    command
        .args(["1", "2 3"])
        .env("FOO", "bar")
        .current_dir("/");
    theirs.args(["1", "2 3"]).env("FOO", "bar").current_dir("/");
    assert_eq!(format!("{command:?}"), format!("{theirs:?}"));
    assert_eq!(format!("{command:#?}"), format!("{theirs:#?}"));
    assert_eq!(command.get_program(), "some-boring-name");
    assert_eq!(command.get_args().count(), 2);
    assert_eq!(command.get_envs().count(), 1);
    assert_eq!(command.get_current_dir(), Some(Path::new("/")));
}

#[test]
fn a_command_may_go_anywhere() {
    fn may<T: Send + Sync>(_: T) {}
    may(Command::new(""));
}

#[test]
fn a_child_may_cross_a_caught_panic() {
    fn may<T: UnwindSafe + RefUnwindSafe>() {}
    may::<Child>();
}

#[test]
fn several_buffers_go_in_one_call() {
    use std::io::{IoSlice, IoSliceMut};
    run(|| {
        let mut command = Command::new("/bin/cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let parts = [IoSlice::new(b"ab"), IoSlice::new(b"cd")];
        assert_eq!(stdin.write_vectored(&parts).unwrap(), 4);
        let (mut one, mut two) = ([0], [0; 9]);
        let mut rooms = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        let mut stdout = child.stdout.take().unwrap();
        assert_eq!(stdout.read_vectored(&mut rooms).unwrap(), 4);
        assert_eq!((&one, &two[..3]), (b"a", &b"bcd"[..]));
        drop(stdin);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn children_that_were_waited_for_keep_no_descriptor() {
    run(|| {
        let open = || std::fs::read_dir("/dev/fd").unwrap().count();
        let wait = |_| {
            let mut child = sh("exit 0").spawn().unwrap();
            assert!(child.wait().unwrap().success());
            child
        };
        let first = wait(0);
        let before = open();
        let all: Vec<Child> = (0..50).map(wait).collect();
        // Other tests open some, too.
        assert!(open() < before + 40);
        drop((first, all));
    });
}
