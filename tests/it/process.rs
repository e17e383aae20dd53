//! `src/process`: what std's tests say of processes, and what greenlets add.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use greenlet::os::unix::process::{CommandExt, ExitStatusExt};
use greenlet::process::{self, Child, Command, Stdio};
use greenlet::time::timeout;
use greenlet::{GreenletExit, hub_stats, io, scope, sleep, spawn, yield_now};

use crate::support::{emulated, own, run, run_within, ticker, two_more};

const MS: Duration = Duration::from_millis(1);

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_status_of_one_that_ends() {
    run(|| {
        assert!(sh("true").status().unwrap().success());
        let status = sh("exit 7").status().unwrap();
        assert_eq!(status.code(), Some(7));
        assert_eq!(hub_stats().descriptors, 0);
    });
}

#[test]
fn a_program_that_does_not_exist() {
    // An emulator starts a child of its own, and finds out too late.
    if emulated() {
        return;
    }
    run(|| {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = Command::new("/no/such/program").output().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn one_that_is_killed() {
    run(|| {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            (status.code(), status.signal()),
            (None, Some(libc::SIGKILL))
        );
        assert_eq!(child.wait().unwrap(), status);
        assert_eq!(child.try_wait().unwrap(), Some(status));
        child.kill().unwrap();
    });
}

#[test]
fn the_status_comes_again_and_again() {
    run(|| {
        let mut child = sh("exit 3").spawn().unwrap();
        let first = child.wait().unwrap();
        assert_eq!(first.code(), Some(3));
        assert_eq!(child.wait().unwrap(), first);
        assert_eq!(child.wait_with_output().unwrap().status, first);
    });
}

#[test]
fn output_captures_both_and_gives_nothing_to_read() {
    run(|| {
        let output = sh("cat; echo out; echo err >&2; exit 2").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(output.stdout), "out\n");
        assert_eq!(text(output.stderr), "err\n");
    });
}

#[test]
fn a_command_runs_more_than_once() {
    run(|| {
        let mut command = sh("echo x");
        assert_eq!(text(command.output().unwrap().stdout), "x\n");
        // What `output` needs does not stay.
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        child.wait().unwrap();
        command.stdout(Stdio::null());
        assert_eq!(command.output().unwrap().stdout, b"");
    });
}

#[test]
fn streams_that_were_set_stay_set_for_output() {
    run(|| {
        let (mut reader, writer) = io::pipe().unwrap();
        let output = sh("echo elsewhere; echo here >&2")
            .stdout(writer)
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"");
        assert_eq!(text(output.stderr), "here\n");
        let mut elsewhere = String::new();
        reader.read_to_string(&mut elsewhere).unwrap();
        assert_eq!(elsewhere, "elsewhere\n");
    });
}

#[test]
fn arguments_environment_and_folder() {
    run(|| {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .args(["echo $1 $GREENLET_A $GREENLET_B; pwd", "sh", "one"])
            .env("GREENLET_A", "a")
            .envs([("GREENLET_B", "b"), ("GREENLET_C", "c")])
            .env_remove("GREENLET_C")
            .current_dir("/");
        assert_eq!(text(command.output().unwrap().stdout), "one a b\n/\n");
        assert_eq!(command.get_program(), "sh");
        assert_eq!(command.get_args().count(), 4);
        assert_eq!(command.get_envs().count(), 3);
        assert_eq!(command.get_current_dir(), Some(std::path::Path::new("/")));
        assert!(format!("{command:?}").contains("sh"));
        let bare = Command::new("env").env_clear().output().unwrap();
        assert_eq!(text(bare.stdout), "");
    });
}

#[test]
fn what_a_unix_can_set() {
    run(|| {
        let mut command = Command::new("sh");
        command
            .arg0("renamed")
            .process_group(0)
            .args(["-c", "echo $0"]);
        assert_eq!(text(command.output().unwrap().stdout), "renamed\n");
        assert_eq!(Command::new("/no/such").exec().kind(), ErrorKind::NotFound);
        // SAFETY: asks for a number.
        let me = unsafe { libc::getuid() };
        let output = sh("id -u").uid(me).output().unwrap();
        assert_eq!(text(output.stdout), format!("{me}\n"));
    });
}

#[test]
fn a_conversation() {
    run(|| {
        let mut cat = Command::new("cat");
        let mut child = cat
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        for n in 0..100_u8 {
            stdin.write_all(&[n; 10]).unwrap();
            let mut back = [0; 10];
            stdout.read_exact(&mut back).unwrap();
            assert_eq!(back, [n; 10]);
        }
        drop(stdin);
        assert!(child.wait().unwrap().success());
        assert_eq!(stdout.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn wait_closes_the_standard_input_first() {
    run(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(child.stdin.is_none());
    });
}

#[test]
fn ten_mebibytes_to_both_pipes() {
    run(|| {
        let script = "head -c 10485760 /dev/zero & head -c 10485760 /dev/zero >&2; wait";
        let output = sh(script).output().unwrap();
        assert_eq!(output.stdout.len(), 10 << 20);
        assert_eq!(output.stderr.len(), 10 << 20);
    });
}

#[test]
fn one_pipe_after_the_other() {
    run(|| {
        let script = "head -c 1048576 /dev/zero >&2; head -c 1048576 /dev/zero";
        let output = sh(script).output().unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (1 << 20, 1 << 20)
        );
    });
}

#[test]
fn others_run_while_a_child_is_waited_for() {
    run(|| {
        let mut child = sh("read word").stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let (ticks, ticker) = ticker();
        let ends = spawn(move || {
            two_more(&ticks);
            drop(stdin);
        });
        child.wait().unwrap();
        ends.join().unwrap();
        ticker.kill();
    });
}

#[test]
fn a_hundred_at_once() {
    run_within(Duration::from_secs(60), || {
        // They end together, when all of them have begun.
        let (reader, writer) = std::io::pipe().unwrap();
        let begun = Rc::new(Cell::new(0));
        let children: Vec<_> = (0..100)
            .map(|n| {
                let reader = reader.try_clone().unwrap();
                spawn(own!(begun => move || {
                    begun.set(begun.get() + 1);
                    let script = format!("read word; exit {n}");
                    sh(&script).stdin(reader).status().unwrap().code()
                }))
            })
            .collect();
        while begun.get() < 100 {
            sleep(MS);
        }
        drop(writer);
        for (n, child) in (0..100).zip(children) {
            assert_eq!(child.join().unwrap(), Some(n));
        }
    });
}

#[test]
fn a_wait_that_is_killed_and_repeated_loses_nothing() {
    run(|| {
        let mut child = sh("read word; exit 4");
        let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let child = Rc::new(std::cell::RefCell::new(child));
        let killed = spawn(own!(child => move || child.borrow_mut().wait()));
        yield_now();
        sleep(MS);
        assert!(killed.kill());
        assert!(killed.join().unwrap_err().is::<GreenletExit>());
        assert!(timeout(MS, || child.borrow_mut().wait()).is_err());
        drop(stdin);
        assert_eq!(child.borrow_mut().wait().unwrap().code(), Some(4));
    });
}

#[test]
fn a_wait_whose_child_ends_before_it_is_killed_loses_nothing() {
    run(|| {
        let child = Rc::new(std::cell::RefCell::new(
            Command::new("cat").stdin(Stdio::piped()).spawn().unwrap(),
        ));
        let stdin = child.borrow_mut().stdin.take();
        let killed = spawn(own!(child => move || child.borrow_mut().wait()));
        yield_now();
        drop(stdin);
        std::thread::sleep(20 * MS);
        killed.start_kill();
        assert!(killed.join().unwrap_err().is::<GreenletExit>());
        assert!(child.borrow_mut().wait().unwrap().success());
    });
}

#[test]
fn reading_the_output_can_be_cut_short() {
    run(|| {
        // Where the limit passes before it begins, nobody reads any more what it says.
        let child = sh("trap '' PIPE; echo begun; exec sleep 1000")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let id = child.id() as libc::pid_t;
        assert!(timeout(30 * MS, || child.wait_with_output()).is_err());
        // SAFETY: a child of ours that nobody has waited for.
        assert_eq!(unsafe { libc::kill(id, libc::SIGKILL) }, 0);
        gone(id);
    });
}

/// The next ones take care of those that nobody waits for any more.
fn gone(process: libc::pid_t) {
    // SAFETY: no signal is sent.
    while unsafe { libc::kill(process, 0) } == 0 {
        sh("true").status().unwrap();
    }
}

#[test]
fn the_status_can_be_given_up_and_leaves_nobody_behind() {
    run(|| {
        let (mut said, says) = io::pipe().unwrap();
        let (hears, hear) = io::pipe().unwrap();
        let waits = spawn(move || {
            let mut command = sh("echo $$; read word");
            command.stdin(hears).stdout(says).status()
        });
        let mut line = [0; 20];
        let count = said.read(&mut line).unwrap();
        let process = std::str::from_utf8(&line[..count]).unwrap().trim();
        let process = process.parse().unwrap();
        assert!(waits.kill());
        assert!(waits.join().unwrap_err().is::<GreenletExit>());
        // SAFETY: no signal is sent.
        assert_eq!(unsafe { libc::kill(process, 0) }, 0, "it goes on");
        drop(hear);
        gone(process);
    });
}

#[test]
fn whoever_asks_again_and_again_lets_others_run() {
    run(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let ends = spawn(move || drop(stdin));
        while child.try_wait().unwrap().is_none() {}
        ends.join().unwrap();
    });
}

#[test]
fn a_pipeline_of_children() {
    run(|| {
        let mut first = sh("printf 'b\\na\\nc\\n'")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = first.stdout.take().unwrap();
        let sorted = Command::new("sort").stdin(stdout).output().unwrap();
        assert_eq!(text(sorted.stdout), "a\nb\nc\n");
        assert!(first.wait().unwrap().success());
    });
}

#[test]
fn a_pipe_end_that_a_child_has_blocks_there() {
    run(|| {
        let (reader, mut writer) = io::pipe().unwrap();
        let child = Command::new("cat")
            .stdin(reader)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        sleep(20 * MS);
        writer.write_all(b"late").unwrap();
        drop(writer);
        assert_eq!(text(child.wait_with_output().unwrap().stdout), "late");
    });
}

#[test]
fn from_std_and_to_std() {
    run(|| {
        let mut theirs = std::process::Command::new("cat");
        theirs.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Child::from(theirs.spawn().unwrap());
        child.stdin.take().unwrap().write_all(b"hello").unwrap();
        let output = std::process::Child::from(child).wait_with_output().unwrap();
        assert_eq!(text(output.stdout), "hello");
        let mut ours = Command::from(theirs);
        ours.as_std_mut().arg("/dev/null");
        assert_eq!(ours.as_std().get_args().count(), 1);
        assert!(ours.spawn().unwrap().wait().unwrap().success());
        assert!(process::id() > 0);
    });
}

#[test]
fn two_greenlets_on_the_pipes_of_one_child() {
    run(|| {
        let mut cat = Command::new("cat");
        let mut child = cat
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let size = scope(|s| {
            s.spawn(move || stdin.write_all(&vec![b'x'; 3 << 20]).unwrap());
            let mut all = Vec::new();
            stdout.read_to_end(&mut all).unwrap()
        });
        assert_eq!(size, 3 << 20);
        assert!(child.wait().unwrap().success());
    });
}
