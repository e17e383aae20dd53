//! `src/io`: pipes, and the standard streams of a child process, whatever they are.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;
use std::rc::Rc;
use std::time::Duration;

use greenlet::io::{self, pipe, stderr, stdin, stdout};
use greenlet::time::timeout;
use greenlet::{GreenletExit, hub_stats, sleep, spawn, yield_now};

use crate::support::{emulated, own, run, survived_in_child, ticker, two_more};

const MS: Duration = Duration::from_millis(1);

/// What std says of a pipe, of std's or ours.
fn is_a_pipe<R: Read, W: Write>(pipe: impl Fn() -> (R, W)) {
    let (mut reader, mut writer) = pipe();
    writer.write_all(b"0123456789").unwrap();
    let mut some = [0; 4];
    reader.read_exact(&mut some).unwrap();
    assert_eq!(&some, b"0123");
    assert_eq!(reader.read(&mut []).unwrap(), 0);
    writer.flush().unwrap();
    drop(writer);
    let mut rest = String::new();
    assert_eq!(reader.read_to_string(&mut rest).unwrap(), 6);
    assert_eq!(rest, "456789");
    assert_eq!(reader.read(&mut some).unwrap(), 0);

    let (reader, mut writer) = pipe();
    drop(reader);
    let error = writer.write(b"x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_pipe_is_what_it_is_in_std() {
    run(|| {
        is_a_pipe(|| std::io::pipe().unwrap());
        is_a_pipe(|| pipe().unwrap());
    });
}

#[test]
fn clones_of_pipe_ends_and_reads_through_references() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        let (mut second, mut other) = (reader.try_clone().unwrap(), writer.try_clone().unwrap());
        (&writer).write_all(b"ab").unwrap();
        other.write_all(b"cd").unwrap();
        let mut four = [0; 2];
        (&reader).read_exact(&mut four).unwrap();
        assert_eq!(&four, b"ab");
        second.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"cd");
        drop((writer, other));
        assert_eq!((&reader).read(&mut four).unwrap(), 0);
        assert_eq!(second.read(&mut four).unwrap(), 0);
    });
}

#[test]
fn vectored_calls_on_a_pipe() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let parts = [io::IoSlice::new(b"ab"), io::IoSlice::new(b"cde")];
        assert_eq!(writer.write_vectored(&parts).unwrap(), 5);
        let (mut a, mut b) = ([0; 3], [0; 3]);
        let mut rooms = [io::IoSliceMut::new(&mut a), io::IoSliceMut::new(&mut b)];
        assert_eq!(reader.read_vectored(&mut rooms).unwrap(), 5);
        assert_eq!((&a, &b), (b"abc", b"de\0"));
    });
}

#[test]
fn pipes_go_to_std_and_come_back() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        let mut theirs = std::io::PipeWriter::from(writer);
        theirs.write_all(b"x").unwrap();
        let number = reader.as_raw_fd();
        let fd = OwnedFd::from(reader);
        assert_eq!(fd.as_raw_fd(), number);
        // It blocks again: std's reader on another thread would wait.
        // SAFETY: asks for flags.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, 0);
        let mut reader = io::PipeReader::from(fd);
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        drop(theirs);
        assert_eq!(reader.read(&mut byte).unwrap(), 0);
    });
}

#[test]
fn ten_mebibytes_through_a_pipe() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let data: Vec<u8> = (0..10_u32 << 20).map(|n| (n % 251) as u8).collect();
        let expected = data.clone();
        let sender = spawn(move || writer.write_all(&data).unwrap());
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert!(got == expected);
        sender.join().unwrap();
    });
}

#[test]
fn a_killed_read_of_a_pipe_takes_nothing() {
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let reader = Rc::new(reader);
        let first = spawn(own!(reader => move || (&*reader).read(&mut [0; 8])));
        yield_now();
        first.kill();
        assert!(first.join().unwrap_err().is::<GreenletExit>());
        writer.write_all(b"whole").unwrap();
        let mut five = [0; 5];
        (&*reader).read_exact(&mut five).unwrap();
        assert_eq!(&five, b"whole");
    });
}

#[test]
fn a_pipe_to_another_thread() {
    run(|| {
        let (mut reader, writer) = pipe().unwrap();
        let writer = std::io::PipeWriter::from(writer);
        let sender = std::thread::spawn(move || {
            let mut writer = writer;
            for _ in 0..100 {
                writer.write_all(b"0123456789").unwrap();
                std::thread::yield_now();
            }
        });
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), 1000);
        sender.join().unwrap();
    });
}

#[test]
fn copying_and_the_readers_of_std_work_over_ours() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        let (mut last, mut through) = pipe().unwrap();
        let copying = spawn(move || io::copy(&mut &reader, &mut through).unwrap());
        let sender = spawn(move || {
            let mut writer = io::BufWriter::new(writer);
            for n in 0..1000 {
                writeln!(writer, "{n}").unwrap();
            }
        });
        let lines = io::BufReader::new(&mut last).lines();
        let sum: u32 = lines
            .map(|line| line.unwrap().parse::<u32>().unwrap())
            .sum();
        assert_eq!(sum, 499_500);
        sender.join().unwrap();
        assert_eq!(copying.join().unwrap(), 3890);
    });
}

/// One of the standard descriptors is `fd` meanwhile. For tests in a process of their own.
fn with_standard<R>(number: i32, fd: &impl AsFd, body: impl FnOnce() -> R) -> R {
    // SAFETY: descriptors of this process, which runs this test and no other.
    unsafe {
        let saved = libc::dup(number);
        libc::dup2(fd.as_fd().as_raw_fd(), number);
        let outcome = body();
        libc::dup2(saved, number);
        libc::close(saved);
        outcome
    }
}

fn is_blocking(fd: i32) -> bool {
    // SAFETY: asks for flags.
    unsafe { libc::fcntl(fd, libc::F_GETFL) & libc::O_NONBLOCK == 0 }
}

#[test]
fn stdin_as_a_pipe() {
    if survived_in_child("io::stdin_as_a_pipe") {
        return;
    }
    run(|| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        with_standard(0, &reader, || {
            let (ticks, ticker) = ticker();
            let late = std::thread::spawn(move || {
                writer.write_all(b"first\nsec").unwrap();
                two_more(&ticks);
                writer.write_all(b"ond\nthe rest\nof it").unwrap();
            });
            let mut line = String::new();
            assert_eq!(stdin().read_line(&mut line).unwrap(), 6);
            assert_eq!(stdin().read_line(&mut line).unwrap(), 7);
            assert_eq!(line, "first\nsecond\n");
            let mut lock = stdin().lock();
            assert_eq!(lock.fill_buf().unwrap()[0], b't');
            lock.consume(4);
            drop(lock);
            let lines: Vec<_> = stdin().lines().map(Result::unwrap).collect();
            assert_eq!(lines, ["rest", "of it"]);
            assert_eq!(stdin().read(&mut [0; 8]).unwrap(), 0);
            assert!(is_blocking(0), "the flag of a shared open file was changed");
            late.join().unwrap();
            ticker.kill();
        });
        assert_eq!(hub_stats().descriptors, 0);
    });
}

#[test]
fn a_killed_read_of_stdin_loses_nothing() {
    if survived_in_child("io::a_killed_read_of_stdin_loses_nothing") {
        return;
    }
    run(|| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        with_standard(0, &reader, || {
            for n in 0..20_u8 {
                let killed = spawn(|| stdin().read(&mut [0; 1]).unwrap());
                for _ in 0..n % 3 {
                    yield_now();
                }
                writer.write_all(&[n; 3]).unwrap();
                for _ in 0..n % 5 {
                    yield_now();
                }
                killed.kill();
                let taken = killed.join().unwrap_or(0);
                let mut bytes = vec![0; 3 - taken];
                stdin().read_exact(&mut bytes).unwrap();
                assert!(bytes.iter().all(|byte| *byte == n), "{n}: {bytes:?}");
            }
        });
    });
}

#[test]
fn greenlets_of_several_threads_share_the_buffer_of_stdin() {
    if survived_in_child("io::greenlets_of_several_threads_share_the_buffer_of_stdin") {
        return;
    }
    run(|| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        with_standard(0, &reader, || {
            let text: String = (0..3000).map(|n| format!("{n}\n")).collect();
            let sender = std::thread::spawn(move || writer.write_all(text.as_bytes()).unwrap());
            let read_some = || {
                let mut sum = 0_u64;
                let mut line = String::new();
                while stdin().read_line(&mut line).unwrap() > 0 {
                    sum += line.trim().parse::<u64>().unwrap();
                    line.clear();
                    yield_now();
                }
                sum
            };
            let other = std::thread::spawn(move || {
                let two = [spawn(read_some), spawn(read_some)];
                two.map(|one| one.join().unwrap()).iter().sum::<u64>()
            });
            let two = [spawn(read_some), spawn(read_some)];
            let sum: u64 = two.map(|one| one.join().unwrap()).iter().sum();
            assert_eq!(sum + other.join().unwrap(), 2999 * 1500);
            sender.join().unwrap();
        });
    });
}

#[test]
fn stdin_as_a_file_as_nothing_and_closed() {
    if survived_in_child("io::stdin_as_a_file_as_nothing_and_closed") {
        return;
    }
    run(|| {
        let file = File::open("Cargo.lock").unwrap();
        let size = file.metadata().unwrap().len();
        let read_all = || {
            let mut all = Vec::new();
            stdin().read_to_end(&mut all).unwrap() as u64
        };
        assert_eq!(with_standard(0, &file, read_all), size);
        let nothing = File::open("/dev/null").unwrap();
        assert_eq!(with_standard(0, &nothing, read_all), 0);
        with_standard(0, &nothing, || {
            // SAFETY: nobody else uses it here.
            unsafe { libc::close(0) };
            assert_eq!(stdin().read(&mut [0; 8]).unwrap(), 0);
            assert_eq!(read_all(), 0);
        });
        assert_eq!(hub_stats().descriptors, 0);
    });
}

#[test]
fn stdin_and_stdout_as_a_terminal() {
    if survived_in_child("io::stdin_and_stdout_as_a_terminal") {
        return;
    }
    run(|| {
        let (mut master, mut slave) = (0, 0);
        // SAFETY: two numbers are written.
        let made = unsafe {
            libc::openpty(
                &raw mut master,
                &raw mut slave,
                null_mut(),
                null_mut(),
                null_mut(),
            )
        };
        assert_eq!(made, 0);
        // SAFETY: just made, and ours.
        let (master, slave) = unsafe { (File::from_raw_fd(master), File::from_raw_fd(slave)) };
        let (ticks, ticker) = ticker();
        let typist = std::thread::spawn({
            let mut master = master.try_clone().unwrap();
            move || {
                two_more(&ticks);
                master.write_all(b"typed\n").unwrap();
            }
        });
        with_standard(0, &slave, || {
            assert!(stdin().is_terminal());
            let mut line = String::new();
            stdin().read_line(&mut line).unwrap();
            assert_eq!(line, "typed\n");
            assert!(is_blocking(0));
        });
        with_standard(1, &slave, || writeln!(stdout(), "seen {}", 1).unwrap());
        typist.join().unwrap();
        let mut screen = [0; 64];
        let count = (&master).read(&mut screen).unwrap();
        let mut text = String::from_utf8_lossy(&screen[..count]).into_owned();
        while !text.contains("seen 1") {
            let count = (&master).read(&mut screen).unwrap();
            text += &String::from_utf8_lossy(&screen[..count]);
        }
        assert!(text.starts_with("typed"), "{text:?}");
        ticker.kill();
    });
}

#[test]
fn a_full_stdout_keeps_nobody_else_waiting() {
    if survived_in_child("io::a_full_stdout_keeps_nobody_else_waiting") {
        return;
    }
    run(|| {
        let (reader, writer) = std::io::pipe().unwrap();
        let (ticks, ticker) = ticker();
        const SIZE: usize = 1 << 20;
        let data: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
        let expected = data.clone();
        with_standard(1, &writer, || {
            let sender = spawn(move || stdout().write_all(&data).unwrap());
            yield_now();
            two_more(&ticks);
            assert!(!sender.is_finished());
            let late = std::thread::spawn(move || {
                let mut got = vec![0; SIZE];
                (&reader).read_exact(&mut got).unwrap();
                (got, reader)
            });
            sender.join().unwrap();
            let (got, _) = late.join().unwrap();
            assert!(got == expected);
            assert!(is_blocking(1));
        });
        ticker.kill();
        assert_eq!(hub_stats().descriptors, 0);
    });
}

#[test]
fn locks_keep_lines_whole_and_may_be_taken_again() {
    if survived_in_child("io::locks_keep_lines_whole_and_may_be_taken_again") {
        return;
    }
    run(|| {
        let (mut reader, writer) = std::io::pipe().unwrap();
        with_standard(1, &writer, || {
            let writers: Vec<_> = (0..10)
                .map(|n| {
                    spawn(move || {
                        let mut lock = stdout().lock();
                        write!(lock, "<{n}").unwrap();
                        yield_now();
                        write!(stdout(), "-{n}").unwrap();
                        sleep(MS);
                        writeln!(lock, "-{n}>").unwrap();
                    })
                })
                .collect();
            yield_now();
            writers[5].kill();
            for writer in writers {
                let _ = writer.join();
            }
        });
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        for n in (0..10).filter(|n| *n != 5) {
            assert!(text.contains(&format!("<{n}-{n}-{n}>\n")), "{text}");
        }
        assert_eq!(text.len(), 9 * 8, "{text}");
        assert_eq!(hub_stats().enrolled, 0);
    });
}

#[test]
fn what_is_written_to_closed_streams_is_swallowed() {
    // An emulator has its own errors for what is closed.
    if emulated() || survived_in_child("io::what_is_written_to_closed_streams_is_swallowed") {
        return;
    }
    run(|| {
        let nothing = File::open("/dev/null").unwrap();
        for number in [1, 2] {
            with_standard(number, &nothing, || {
                // SAFETY: nobody else uses it here.
                unsafe { libc::close(number) };
                match number {
                    1 => writeln!(stdout(), "gone").unwrap(),
                    _ => writeln!(stderr(), "gone").unwrap(),
                }
            });
        }
    });
}

#[test]
fn stdout_as_a_file() {
    if survived_in_child("io::stdout_as_a_file") {
        return;
    }
    run(|| {
        let path = std::env::temp_dir().join(format!("greenlet-{}-stdout", std::process::id()));
        let file = File::create(&path).unwrap();
        with_standard(1, &file, || {
            for n in 0..1000 {
                writeln!(stdout(), "{n}").unwrap();
            }
            stdout().write_all(&[b'x'; 100_000]).unwrap();
            // A prompt that was printed through std waits for the end of its line, or for this.
            std::io::stdout().write_all(b"-> ").unwrap();
            stdout().flush().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.ends_with("x-> "));
        });
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(text.starts_with("0\n1\n2\n") && text.contains("\n999\nxxx"));
        assert_eq!(text.len(), 3890 + 100_000 + 3);
    });
}

#[test]
fn a_call_that_takes_all_is_made_again_at_the_next_event() {
    run(|| {
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let ours = Rc::new(io::Descriptor::new(ours).unwrap());
        let (calls, came) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let reader = spawn({
            let (ours, calls, came) = (ours.clone(), calls.clone(), came.clone());
            move || {
                for _ in 0..2 {
                    let count = ours.drain_with(|socket| {
                        calls.set(calls.get() + 1);
                        socket.recv(&mut [0; 8])
                    });
                    came.set(came.get() + count.unwrap());
                }
            }
        });
        // The first call finds nothing; each datagram comes when it waits.
        yield_now();
        for (text, so_far) in [(&b"one"[..], 3), (b"seven__", 10)] {
            theirs.send(text).unwrap();
            while came.get() < so_far {
                sleep(MS);
            }
        }
        reader.join().unwrap();
        if cfg!(all(target_os = "linux", not(greenlet_polling))) {
            assert_eq!(calls.get(), 3);
        }
        let ours = Rc::into_inner(ours).unwrap().into_thing();
        theirs.send(b"last").unwrap();
        assert_eq!(ours.recv(&mut [0; 8]).unwrap(), 4);
    });
}

/// An eventfd, and what writes to it.
#[cfg(target_os = "linux")]
fn counter() -> (Rc<io::Descriptor<OwnedFd>>, impl Fn()) {
    // SAFETY: no pointers; just opened, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_CLOEXEC)) };
    let counter = Rc::new(io::Descriptor::new(fd).unwrap());
    let writer = counter.thing().try_clone().unwrap();
    (counter, move || add(&writer, 1).unwrap())
}

/// One that somebody has waited for, in vain at first.
#[cfg(target_os = "linux")]
fn waited_for() -> (Rc<io::Descriptor<OwnedFd>>, impl Fn()) {
    let (counter, add_one) = counter();
    let reader = spawn({
        let counter = counter.clone();
        move || take(&counter)
    });
    yield_now();
    add_one();
    assert_eq!(reader.join().unwrap(), 1);
    (counter, add_one)
}

/// Adds to an eventfd.
#[cfg(target_os = "linux")]
fn add(fd: &OwnedFd, number: u64) -> std::io::Result<()> {
    let number = number.to_ne_bytes();
    // SAFETY: eight bytes, as an eventfd wants them.
    match unsafe { libc::write(fd.as_raw_fd(), number.as_ptr().cast(), number.len()) } {
        8 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Takes what was added.
#[cfg(target_os = "linux")]
fn take(counter: &io::Descriptor<OwnedFd>) -> u64 {
    let taken = counter.drain_with(|fd| {
        let mut value = [0; 8];
        // SAFETY: room for the eight bytes that an eventfd gives.
        match unsafe { libc::read(fd.as_raw_fd(), value.as_mut_ptr().cast(), 8) } {
            8 => Ok(u64::from_ne_bytes(value)),
            _ => Err(io::Error::last_os_error()),
        }
    });
    taken.unwrap()
}

/// How long this thread has run, user and system.
#[cfg(target_os = "linux")]
fn used() -> Duration {
    // SAFETY: a plain struct of numbers, to which the call writes.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
#[cfg(target_os = "linux")]
fn what_nobody_takes_does_not_keep_the_hub_awake() {
    run(|| {
        let (counter, add_one) = waited_for();
        // It is ready from now on, and nobody waits for it.
        add_one();
        let before = used();
        sleep(100 * MS);
        assert!(used() - before < 50 * MS, "{:?}", used() - before);
        // And it is watched as before.
        for round in 1..4 {
            assert_eq!(take(&counter), 1, "round {round}");
            let reader = spawn({
                let counter = counter.clone();
                move || take(&counter)
            });
            sleep(MS);
            assert!(!reader.is_finished());
            add_one();
            add_one();
            assert_eq!(reader.join().unwrap(), 2);
            add_one();
            sleep(MS);
        }
    });
}

/// Reads four bytes from something, when all of them are there.
#[cfg(target_os = "linux")]
fn all_four(from: &OwnedFd) -> std::io::Result<[u8; 4]> {
    let (mut there, mut four) = (0, [0; 4]);
    // SAFETY: a number is written, and then there is room for four bytes.
    unsafe {
        assert_eq!(
            libc::ioctl(from.as_raw_fd(), libc::FIONREAD, &raw mut there),
            0
        );
        if there < 4 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        assert_eq!(libc::read(from.as_raw_fd(), four.as_mut_ptr().cast(), 4), 4);
    }
    Ok(four)
}

#[test]
#[cfg(target_os = "linux")]
fn a_call_that_leaves_what_there_is_does_not_keep_the_hub_awake() {
    fn leaves(ours: impl Into<OwnedFd>, mut theirs: impl std::io::Write) {
        let ours = io::Descriptor::new(ours.into()).unwrap();
        let reader = spawn(move || ours.read_with(all_four).unwrap());
        yield_now();
        theirs.write_all(b"xx").unwrap();
        let before = used();
        sleep(100 * MS);
        assert!(used() - before < 50 * MS, "{:?}", used() - before);
        theirs.write_all(b"yy").unwrap();
        assert_eq!(&reader.join().unwrap(), b"xxyy");
    }
    run(|| {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        leaves(ours, theirs);
        let (ours, theirs) = std::io::pipe().unwrap();
        leaves(ours, theirs);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_counter_that_was_waited_for_can_be_waited_for_when_it_is_full() {
    run(|| {
        let (counter, _) = waited_for();
        add(counter.thing(), u64::MAX - 1).unwrap();
        let writer = spawn({
            let counter = counter.clone();
            move || counter.write_with(|fd| add(fd, 1)).unwrap()
        });
        sleep(MS);
        assert!(!writer.is_finished());
        assert_eq!(take(&counter), u64::MAX - 1);
        writer.join().unwrap();
        assert_eq!(take(&counter), 1);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn of_a_hundred_counters_each_is_told_however_often_it_is_written_to() {
    run(|| {
        let counters: Vec<_> = (0..100).map(|_| counter()).collect();
        let sums: Vec<_> = counters
            .iter()
            .map(|(counter, _)| {
                let counter = counter.clone();
                spawn(move || {
                    let mut sum = 0;
                    while sum < 60 {
                        sum += take(&counter);
                        // Some let others go first, so that what is written meanwhile is told in vain.
                        (0..sum % 3).for_each(|_| yield_now());
                    }
                    sum
                })
            })
            .collect();
        for round in 0..60 {
            counters.iter().for_each(|(_, add_one)| add_one());
            if round % 4 != 0 {
                yield_now();
            }
        }
        for sum in sums {
            assert_eq!(sum.join().unwrap(), 60);
        }
    });
}

#[test]
fn what_was_waited_for_to_be_read_can_be_waited_for_to_be_written() {
    run(|| {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = Rc::new(io::Descriptor::new(ours).unwrap());
        let reader = spawn({
            let ours = ours.clone();
            move || {
                ours.read_with(|mut socket| socket.read(&mut [0; 8]))
                    .unwrap()
            }
        });
        yield_now();
        let full = std::iter::from_fn(|| ours.thing().write(&[0; 4096]).ok());
        let held: usize = full.sum();
        let writer = spawn({
            let ours = ours.clone();
            move || ours.write_with(|mut socket| socket.write(b"more")).unwrap()
        });
        sleep(MS);
        assert!(!writer.is_finished() && !reader.is_finished());
        (&theirs).read_exact(&mut vec![0; held]).unwrap();
        assert_eq!(writer.join().unwrap(), 4);
        assert!(!reader.is_finished());
        (&theirs).write_all(b"text").unwrap();
        assert_eq!(reader.join().unwrap(), 4);
    });
}

#[test]
fn what_is_full_is_writable_when_it_is_read() {
    run(|| {
        let (mut reader, writer) = pipe().unwrap();
        let writer = std::io::PipeWriter::from(writer);
        let writer = io::Descriptor::new(writer).unwrap();
        let full = std::iter::from_fn(|| writer.thing().write(&[0; 4096]).ok());
        let held: usize = full.sum();
        let waiter = spawn(move || {
            io::writable(&writer).unwrap();
            writer.write_with(|mut pipe| pipe.write(b"more")).unwrap()
        });
        (0..5).for_each(|_| yield_now());
        assert!(!waiter.is_finished());
        reader.read_exact(&mut vec![0; held]).unwrap();
        assert_eq!(waiter.join().unwrap(), 4);
    });
}

#[test]
fn a_file_that_needs_no_waiting_is_readable_and_cannot_be_waited_for() {
    run(|| {
        let file = File::open("Cargo.toml").unwrap();
        io::readable(&file).unwrap();
        let file = io::Descriptor::new(file).unwrap();
        let never = || file.read_with(|_| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        let error = never().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    });
}

/// A call that never has to wait gives way after some in a row.
#[test]
fn outputs_and_what_is_always_ready_give_way() {
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"x").unwrap();
        let calls: [&dyn Fn() -> std::io::Result<()>; 4] = [
            &|| stdout().write(b"").map(drop),
            &|| stderr().write(b"").map(drop),
            &|| io::readable(&reader),
            &|| io::writable(&writer),
        ];
        for call in calls {
            let other = spawn(|| ());
            (0..200).for_each(|_| call().unwrap());
            assert!(other.is_finished());
        }
    });
}

#[test]
fn nothing_can_be_written_to_a_full_pipe() {
    run(|| {
        let (_reader, mut writer) = pipe().unwrap();
        while timeout(MS, || writer.write(&[0; 4096])).is_ok() {}
        assert_eq!(writer.write(&[]).unwrap(), 0);
        assert_eq!(writer.write_vectored(&[]).unwrap(), 0);
    });
}

/// A descriptor over a socket of ours, for a call that it has no method for, and two over one pipe.
#[test]
fn one_descriptor_may_be_waited_for_in_two_ways() {
    use greenlet::os::unix::net::UnixStream;
    let read = |thing: &std::os::fd::BorrowedFd<'_>| {
        let mut byte = 0_u8;
        // SAFETY: room for one byte.
        match unsafe { libc::read(thing.as_raw_fd(), (&raw mut byte).cast(), 1) } {
            1 => Ok(byte),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    run(move || {
        for stream_first in [true, false] {
            let (near, mut far) = UnixStream::pair().unwrap();
            let says = spawn(move || {
                for byte in [1, 2] {
                    sleep(2 * MS);
                    far.write_all(&[byte]).unwrap();
                }
            });
            let own = || {
                let mut byte = [0];
                (&near).read_exact(&mut byte).unwrap();
                byte[0]
            };
            let other = io::Descriptor::new(near.as_fd()).unwrap();
            let theirs = || other.read_with(read).unwrap();
            let told = match stream_first {
                true => [own(), theirs()],
                false => [theirs(), own()],
            };
            assert_eq!(told, [1, 2]);
            says.join().unwrap();
        }
        let (reader, mut writer) = std::io::pipe().unwrap();
        let both = [(); 2].map(|()| io::Descriptor::new(reader.as_fd()).unwrap());
        greenlet::scope(|s| {
            let reads = both
                .each_ref()
                .map(|it| s.spawn(move || it.read_with(read).unwrap()));
            sleep(2 * MS);
            writer.write_all(&[3, 3]).unwrap();
            reads
                .into_iter()
                .for_each(|it| assert_eq!(it.join().unwrap(), 3));
        });
    });
}
