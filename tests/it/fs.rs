//! `src/fs`: the same tests over std's file system calls and ours, and what greenlets add.

use std::cell::Cell;
use std::ffi::CString;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use greenlet::fs::{self, File};
use greenlet::time::timeout;
use greenlet::{GreenletExit, pool_stats, sleep, spawn, yield_now};

use crate::support::{own, rounds, run, survived_in_child, ticker, two_more};

const MS: Duration = Duration::from_millis(1);

/// A folder for one test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("greenlet-fs-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn fifo(&self) -> PathBuf {
        let path = self.join("fifo");
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: a path.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What holds of std's module holds of ours.
macro_rules! suite {
    ($name:ident, $fs:path) => {
        mod $name {
            use super::{Folder, run};
            use fs::{DirBuilder, File, OpenOptions};
            use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
            use std::os::unix::fs::{
                DirBuilderExt, DirEntryExt, FileExt, OpenOptionsExt, PermissionsExt,
            };
            use $fs as fs;

            #[test]
            fn write_read_and_seek() {
                run(|| {
                    let folder = Folder::new();
                    let path = folder.join("file");
                    let mut file = File::create(&path).unwrap();
                    file.write_all(b"0123456789").unwrap();
                    assert_eq!(
                        file.read(&mut [0; 4]).unwrap_err().raw_os_error(),
                        Some(libc::EBADF)
                    );
                    let mut file = File::open(&path).unwrap();
                    let mut some = [0; 4];
                    file.read_exact(&mut some).unwrap();
                    assert_eq!(&some, b"0123");
                    assert_eq!(file.stream_position().unwrap(), 4);
                    assert_eq!(file.seek(SeekFrom::End(-2)).unwrap(), 8);
                    assert_eq!((&file).read(&mut some).unwrap(), 2);
                    assert_eq!(file.read(&mut some).unwrap(), 0);
                    file.rewind().unwrap();
                    let mut text = String::from(">");
                    assert_eq!(file.read_to_string(&mut text).unwrap(), 10);
                    assert_eq!(text, ">0123456789");
                    file.seek(SeekFrom::Start(7)).unwrap();
                    let mut rest = vec![b'>'];
                    assert_eq!(file.read_to_end(&mut rest).unwrap(), 3);
                    assert_eq!(rest, b">789");
                    let error = file.seek(SeekFrom::End(-100)).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::InvalidInput);
                });
            }

            #[test]
            fn a_clone_shares_the_position() {
                run(|| {
                    let folder = Folder::new();
                    let mut file = File::create_new(folder.join("file")).unwrap();
                    file.write_all(b"abcdef").unwrap();
                    let mut clone = file.try_clone().unwrap();
                    clone.seek(SeekFrom::Start(2)).unwrap();
                    let mut byte = [0];
                    file.read_exact(&mut byte).unwrap();
                    assert_eq!(&byte, b"c");
                    assert_eq!(clone.stream_position().unwrap(), 3);
                });
            }

            #[test]
            fn at_offsets_and_in_parts() {
                run(|| {
                    let folder = Folder::new();
                    let mut file = File::create_new(folder.join("file")).unwrap();
                    file.write_all_at(b"world", 6).unwrap();
                    file.write_all_at(b"hello ", 0).unwrap();
                    let mut five = [0; 5];
                    file.read_exact_at(&mut five, 6).unwrap();
                    assert_eq!(&five, b"world");
                    assert_eq!(file.stream_position().unwrap(), 0);
                    let parts = [IoSlice::new(b"HE"), IoSlice::new(b""), IoSlice::new(b"LLO")];
                    assert_eq!(file.write_vectored(&parts).unwrap(), 5);
                    file.rewind().unwrap();
                    let (mut a, mut b) = ([0; 3], [0; 3]);
                    let mut rooms = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
                    assert_eq!(file.read_vectored(&mut rooms).unwrap(), 6);
                    assert_eq!((&a, &b), (b"HEL", b"LO "));
                });
            }

            #[test]
            fn how_files_are_opened() {
                run(|| {
                    let folder = Folder::new();
                    let path = folder.join("file");
                    let error = File::open(&path).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                    fs::write(&path, "one").unwrap();
                    let error = File::create_new(&path).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
                    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
                    file.write_all(b" two").unwrap();
                    assert_eq!(fs::read_to_string(&path).unwrap(), "one two");
                    let error = OpenOptions::new().open(&path).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::InvalidInput);
                    OpenOptions::new()
                        .write(true)
                        .truncate(true)
                        .open(&path)
                        .unwrap();
                    assert_eq!(fs::read(&path).unwrap(), b"");
                    let other = folder.join("other");
                    let mut options = OpenOptions::new();
                    options.write(true).create(true).mode(0o600);
                    let file = options.open(&other).unwrap();
                    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
                    File::create(folder.join("no/such/folder")).unwrap_err();
                });
            }

            #[test]
            fn lengths_permissions_times_and_disks() {
                run(|| {
                    let folder = Folder::new();
                    let path = folder.join("file");
                    let file = File::create(&path).unwrap();
                    file.set_len(12).unwrap();
                    assert_eq!(fs::metadata(&path).unwrap().len(), 12);
                    file.sync_all().unwrap();
                    file.sync_data().unwrap();
                    let mut permissions = file.metadata().unwrap().permissions();
                    permissions.set_readonly(true);
                    file.set_permissions(permissions.clone()).unwrap();
                    assert!(fs::metadata(&path).unwrap().permissions().readonly());
                    permissions.set_mode(0o644);
                    fs::set_permissions(&path, permissions).unwrap();
                    assert!(!fs::metadata(&path).unwrap().permissions().readonly());
                    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
                    file.set_modified(time).unwrap();
                    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), time);
                });
            }

            #[test]
            fn copies_names_and_links() {
                run(|| {
                    let folder = Folder::new();
                    let [a, b, c, link] = ["a", "b", "c", "link"].map(|name| folder.join(name));
                    fs::write(&a, b"contents").unwrap();
                    assert_eq!(fs::copy(&a, &b).unwrap(), 8);
                    fs::rename(&b, &c).unwrap();
                    assert!(!fs::exists(&b).unwrap() && fs::exists(&c).unwrap());
                    fs::hard_link(&c, &b).unwrap();
                    fs::remove_file(&c).unwrap();
                    assert_eq!(fs::read(&b).unwrap(), b"contents");
                    std::os::unix::fs::symlink("a", &link).unwrap();
                    assert_eq!(fs::read_link(&link).unwrap().to_str(), Some("a"));
                    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
                    assert!(fs::metadata(&link).unwrap().is_file());
                    let real = fs::canonicalize(&link).unwrap();
                    assert_eq!(real, fs::canonicalize(&a).unwrap());
                    assert_eq!(fs::copy(&c, &b).unwrap_err().kind(), ErrorKind::NotFound);
                    fs::remove_file(&c).unwrap_err();
                });
            }

            #[test]
            fn folders() {
                run(|| {
                    let folder = Folder::new();
                    let deep = folder.join("x/y/z");
                    assert_eq!(
                        fs::create_dir(&deep).unwrap_err().kind(),
                        ErrorKind::NotFound
                    );
                    fs::create_dir_all(&deep).unwrap();
                    fs::create_dir_all(&deep).unwrap();
                    DirBuilder::new().recursive(true).create(&deep).unwrap();
                    let secret = folder.join("secret");
                    DirBuilder::new().mode(0o700).create(&secret).unwrap();
                    let mode = fs::metadata(&secret).unwrap().permissions().mode();
                    assert_eq!(mode & 0o777, 0o700);
                    fs::create_dir(&secret).unwrap_err();
                    let error = fs::remove_dir(folder.join("x")).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
                    fs::remove_dir_all(folder.join("x")).unwrap();
                    fs::remove_dir(&secret).unwrap();
                    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
                });
            }

            #[test]
            fn what_is_in_a_folder() {
                run(|| {
                    let folder = Folder::new();
                    for n in 0..200 {
                        fs::write(folder.join(&format!("{n:03}")), vec![0; n]).unwrap();
                    }
                    fs::create_dir(folder.join("folder")).unwrap();
                    let mut found = vec![];
                    for entry in fs::read_dir(&folder.0).unwrap() {
                        let entry = entry.unwrap();
                        assert_eq!(entry.path(), folder.0.join(entry.file_name()));
                        assert!(entry.ino() > 0);
                        let name = entry.file_name().into_string().unwrap();
                        if entry.file_type().unwrap().is_file() {
                            assert_eq!(
                                entry.metadata().unwrap().len().to_string().len(),
                                name.trim_start_matches('0').len().max(1)
                            );
                        }
                        found.push(name);
                    }
                    found.sort();
                    assert_eq!(found.len(), 201);
                    assert_eq!((&*found[0], &*found[200]), ("000", "folder"));
                    assert_eq!(
                        fs::read_dir(folder.join("no")).unwrap_err().kind(),
                        ErrorKind::NotFound
                    );
                });
            }

            #[test]
            fn what_is_not_text() {
                run(|| {
                    let folder = Folder::new();
                    let path = folder.join("file");
                    fs::write(&path, b"ab\xFF").unwrap();
                    assert_eq!(
                        fs::read_to_string(&path).unwrap_err().kind(),
                        ErrorKind::InvalidData
                    );
                    let mut text = String::from("kept");
                    let error = File::open(&path)
                        .unwrap()
                        .read_to_string(&mut text)
                        .unwrap_err();
                    assert_eq!((error.kind(), &*text), (ErrorKind::InvalidData, "kept"));
                });
            }

            #[test]
            fn locks() {
                run(|| {
                    let folder = Folder::new();
                    let path = folder.join("file");
                    let (a, b) = (File::create(&path).unwrap(), File::create(&path).unwrap());
                    a.lock().unwrap();
                    assert!(matches!(b.try_lock(), Err(fs::TryLockError::WouldBlock)));
                    assert!(matches!(
                        b.try_lock_shared(),
                        Err(fs::TryLockError::WouldBlock)
                    ));
                    a.unlock().unwrap();
                    a.lock_shared().unwrap();
                    b.try_lock_shared().unwrap();
                    drop(a);
                    b.lock().unwrap();
                });
            }
        }
    };
}

suite!(as_in_std, std::fs);
suite!(as_here, greenlet::fs);

#[test]
fn large_files_go_through_in_pieces() {
    run(|| {
        let folder = Folder::new();
        let path = folder.join("large");
        let data: Vec<u8> = (0..5_u32 << 20).map(|n| (n % 251) as u8).collect();
        let mut file = File::create_new(&path).unwrap();
        assert_eq!(file.write(&data).unwrap(), 1 << 20);
        file.write_all(&data[1 << 20..]).unwrap();
        let mut back = vec![0; data.len()];
        let mut file = File::open(&path).unwrap();
        assert_eq!(file.read(&mut back).unwrap(), 1 << 20);
        file.read_exact(&mut back[1 << 20..]).unwrap();
        assert!(back == data && fs::read(&path).unwrap() == data);
    });
}

#[test]
fn files_may_go_to_other_threads() {
    run(|| {
        let folder = Folder::new();
        let mut file = File::create_new(folder.join("file")).unwrap();
        file.write_all(b"x").unwrap();
        let other = std::thread::spawn(move || {
            file.write_all(b"y").unwrap();
            std::fs::File::from(file)
        });
        let file = File::from(other.join().unwrap());
        assert_eq!(file.metadata().unwrap().len(), 2);
        fn both<T: Send + Sync>(_: &T) {}
        both(&file);
    });
}

#[test]
fn several_greenlets_append_whole_records_to_one_file() {
    run(|| {
        let folder = Folder::new();
        let path = folder.join("log");
        let file = File::options().append(true).create(true).open(&path);
        let file = Rc::new(file.unwrap());
        let writers: Vec<_> = (0..20)
            .map(|n| {
                spawn(own!(file => move || {
                    for _ in 0..20 {
                        (&*file).write_all(format!("{n:08}\n").as_bytes()).unwrap();
                    }
                }))
            })
            .collect();
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 20 * 20 * 9);
        assert!(text.lines().all(|line| line.len() == 8));
    });
}

#[test]
fn others_run_while_a_fifo_is_opened_and_read() {
    run(|| {
        let folder = Folder::new();
        let path = folder.fifo();
        let (ticks, ticker) = ticker();
        let writer = std::thread::spawn({
            let path = path.clone();
            move || {
                two_more(&ticks);
                let mut fifo = std::fs::OpenOptions::new().write(true).open(path).unwrap();
                two_more(&ticks);
                fifo.write_all(b"late").unwrap();
            }
        });
        assert_eq!(fs::read_to_string(&path).unwrap(), "late");
        writer.join().unwrap();
        ticker.kill();
    });
}

/// Lets everybody go who has opened a FIFO to read.
fn release(path: &Path) -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open(path).unwrap()
}

#[test]
fn a_killed_read_writes_into_nobodys_memory() {
    run(|| {
        let folder = Folder::new();
        let path = folder.fifo();
        let mut other = std::thread::spawn({
            let path = path.clone();
            move || release(&path)
        });
        let file = Rc::new(File::open(&path).unwrap());
        let mut writer = loop {
            match other.is_finished() {
                true => break other.join().unwrap(),
                false => other = wait(other),
            }
        };
        let killed = spawn(own!(file => move || {
            // On the stack, which is given back and used again.
            let mut here = [1_u8; 1000];
            let _ = (&*file).read(&mut here);
        }));
        yield_now();
        sleep(10 * MS);
        assert!(killed.kill());
        assert!(killed.join().unwrap_err().is::<GreenletExit>());
        let next = spawn(|| {
            let memory = std::hint::black_box([2_u8; 1000]);
            sleep(20 * MS);
            assert_eq!(memory, [2; 1000]);
        });
        yield_now();
        writer.write_all(&[3; 500]).unwrap();
        next.join().unwrap();
        // What the abandoned call has read is for the next one.
        writer.write_all(b"next").unwrap();
        let mut all = [0; 504];
        (&*file).read_exact(&mut all).unwrap();
        assert_eq!(all[..500], [3; 500]);
        assert_eq!(&all[500..], b"next");
    });
}

#[test]
fn a_killed_read_leaves_the_position_where_it_was() {
    run(|| {
        let folder = Folder::new();
        let path = folder.join("text");
        std::fs::write(&path, "0123456789abcdef").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let file = Rc::new(file);
        for round in rounds(60) {
            (&*file).seek(SeekFrom::Start(2)).unwrap();
            let reader = own!(file => move || _ = (&*file).read(&mut [0; 5]));
            let killed = spawn(reader);
            yield_now();
            killed.kill();
            if killed.join().is_ok() {
                continue;
            }
            match round % 3 {
                0 => {
                    let mut left = String::new();
                    (&*file).read_to_string(&mut left).unwrap();
                    assert_eq!(left, "23456789abcdef");
                }
                1 => {
                    let mut one = [0];
                    (&*file).read_exact(&mut one).unwrap();
                    assert_eq!(&one, b"2");
                    let at = (&*file).stream_position().unwrap();
                    assert_eq!(at, 3);
                }
                _ => {
                    // After whatever the killed one does.
                    (&*file).read_exact(&mut [0]).unwrap();
                    (&*file).write_all(b"3").unwrap();
                    let theirs = file.try_clone().unwrap();
                    assert_eq!((&theirs).stream_position().unwrap(), 4);
                }
            }
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0123456789abcdef");
    });
}

#[test]
fn what_killed_reads_have_left_comes_in_order() {
    run(|| {
        let folder = Folder::new();
        let path = folder.join("text");
        let text: Vec<u8> = (0..=255).collect();
        std::fs::write(&path, &text).unwrap();
        for round in rounds(60) {
            let file = Rc::new(File::open(&path).unwrap());
            let mut seen = vec![];
            for step in 0..8 {
                // A large piece, of which the next ones take parts.
                let size = if step % 4 == 0 { 20 } else { 3 };
                let reader = spawn(own!(file => move || {
                    let mut piece = vec![0; size];
                    let count = (&*file).read(&mut piece).unwrap();
                    piece.truncate(count);
                    piece
                }));
                yield_now();
                sleep(MS * (round as u32 % 2));
                reader.kill();
                seen.extend(reader.join().unwrap_or_default());
            }
            (&*file).read_to_end(&mut seen).unwrap();
            assert_eq!(seen, text);
        }
    });
}

fn wait<T>(thread: std::thread::JoinHandle<T>) -> std::thread::JoinHandle<T> {
    sleep(MS);
    thread
}

#[test]
fn an_open_that_comes_too_late_is_closed_again() {
    run(|| {
        let folder = Folder::new();
        let path = folder.fifo();
        // One that was too late to begin never does.
        let mut writer = loop {
            assert!(timeout(10 * MS, || File::open(&path)).is_err());
            let mut options = std::fs::OpenOptions::new();
            let options = options.write(true).custom_flags(libc::O_NONBLOCK);
            if let Ok(writer) = options.open(&path) {
                break writer;
            }
        };
        // The worker has closed the only reader, or will.
        let error = loop {
            match writer.write_all(b"x") {
                Ok(()) => sleep(MS),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_wait_for_a_lock_that_is_given_up_takes_none() {
    run(|| {
        let folder = Folder::new();
        let path = folder.join("file");
        let (a, b) = (File::create(&path).unwrap(), File::create(&path).unwrap());
        a.lock().unwrap();
        assert!(timeout(10 * MS, || b.lock()).is_err());
        let waits = spawn(move || b.lock_shared());
        yield_now();
        a.unlock().unwrap();
        waits.kill();
        a.try_lock().unwrap();
    });
}

/// To the system it is one lock, whoever asked for it through the same file, and of whatever kind.
#[test]
fn what_is_locked_after_a_wait_was_given_up_stays_locked() {
    run(|| {
        let folder = Folder::new();
        let path = folder.join("file");
        let [other, third] = [(); 2].map(|()| std::fs::File::create(&path).unwrap());
        for shared_first in [true, false] {
            other.lock().unwrap();
            let file = Rc::new(File::open(&path).unwrap());
            let wait = || match shared_first {
                true => file.lock_shared(),
                false => file.lock(),
            };
            assert!(timeout(2 * MS, wait).is_err());
            let again = spawn(own!(file => move || match shared_first {
                true => file.lock(),
                false => file.lock_shared(),
            }));
            yield_now();
            other.unlock().unwrap();
            again.join().unwrap().unwrap();
            sleep(20 * MS);
            assert!(third.try_lock().is_err(), "it is locked");
            assert_eq!(third.try_lock_shared().is_ok(), !shared_first);
            file.unlock().unwrap();
            third.unlock().unwrap();
        }
    });
}

/// Whoever has the lock needs a worker to give it back to those who wait for it.
#[test]
fn those_who_wait_for_a_lock_keep_no_worker_from_the_one_who_has_it() {
    let name = "fs::those_who_wait_for_a_lock_keep_no_worker_from_the_one_who_has_it";
    if survived_in_child(name) {
        return;
    }
    // SAFETY: this process runs one test, and nobody reads the environment yet.
    unsafe { std::env::set_var("GREENLET_WORKERS", "2") };
    run(|| {
        let folder = Folder::new();
        let path = Rc::new(folder.join("file"));
        let mut has = File::create(&*path).unwrap();
        has.lock().unwrap();
        let wait: Vec<_> = (0..8)
            .map(|_| {
                spawn(own!(path => move || {
                    let file = File::open(&*path).unwrap();
                    file.lock_shared().unwrap();
                    fs::read(&*path).unwrap()
                }))
            })
            .collect();
        sleep(20 * MS);
        has.write_all(b"written under the lock").unwrap();
        has.sync_all().unwrap();
        assert!(wait.iter().all(|handle| !handle.is_finished()));
        drop(has);
        for handle in wait {
            assert_eq!(handle.join().unwrap(), b"written under the lock");
        }
    });
}

#[test]
fn a_killed_iteration_over_a_folder_loses_no_entry() {
    run(|| {
        let folder = Folder::new();
        for n in 0..300 {
            std::fs::write(folder.join(&n.to_string()), "").unwrap();
        }
        let entries = Rc::new(std::cell::RefCell::new(fs::read_dir(&folder.0).unwrap()));
        let count = Rc::new(Cell::new(0));
        for _ in 0..20 {
            let some = spawn(own!(entries, count => move || {
                while entries.borrow_mut().next().is_some() {
                    count.set(count.get() + 1);
                }
            }));
            yield_now();
            some.kill();
        }
        count.set(count.get() + entries.borrow_mut().by_ref().count());
        assert_eq!(count.get(), 300);
    });
}

#[test]
fn the_pool_is_bounded_and_what_is_too_much_waits() {
    let name = "fs::the_pool_is_bounded_and_what_is_too_much_waits";
    if survived_in_child(name) {
        return;
    }
    // SAFETY: this process runs one test, and nobody reads the environment yet.
    unsafe { std::env::set_var("GREENLET_WORKERS", "64") };
    run(|| {
        let folder = Folder::new();
        let path = folder.fifo();
        let open: Vec<_> = (0..70)
            .map(|_| spawn(own!(path => move || File::open(path).unwrap().read(&mut [0]).unwrap())))
            .collect();
        while pool_stats().queued != 6 {
            sleep(MS);
        }
        assert_eq!(pool_stats().workers, 64);
        // Greenlets go on meanwhile, and sockets and pipes need no worker.
        sleep(MS);
        assert_eq!(
            greenlet::process::Command::new("true")
                .status()
                .unwrap()
                .code(),
            Some(0)
        );
        let held = std::thread::spawn(move || {
            let mut held = vec![];
            for _ in 0..2 {
                held.push(release(&path));
                std::thread::sleep(20 * MS);
            }
            held
        });
        while !held.is_finished() {
            sleep(MS);
        }
        drop(held.join().unwrap());
        let read: usize = open.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(read, 0);
    });
}

#[test]
fn where_nobody_could_run_calls_are_made_in_place() {
    std::thread::spawn(|| {
        let folder = Folder::new();
        thread_local! {
            static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) };
        }
        struct Late(PathBuf);
        impl Drop for Late {
            fn drop(&mut self) {
                fs::write(&self.0, "said at the end").unwrap();
            }
        }
        let path = std::env::temp_dir().join(format!("greenlet-late-{}", std::process::id()));
        LATE.set(Some(Late(path.clone())));
        fs::write(folder.join("file"), "").unwrap();
        spawn(|| ()).join().unwrap();
        path
    })
    .join()
    .map(|path| {
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "said at the end");
        std::fs::remove_file(&path).unwrap();
    })
    .unwrap();
}

#[test]
fn links_and_owners() {
    use greenlet::os::unix::fs::{MetadataExt, chown, fchown, lchown, symlink};
    run(|| {
        let folder = Folder::new();
        let (file, link) = (folder.join("file"), folder.join("link"));
        let open = greenlet::fs::File::create(&file).unwrap();
        symlink("file", &link).unwrap();
        assert_eq!(
            symlink("file", &link).unwrap_err().kind(),
            std::io::ErrorKind::AlreadyExists
        );
        assert_eq!(
            greenlet::fs::read_link(&link).unwrap().to_str(),
            Some("file")
        );
        let (uid, gid) = {
            let about = open.metadata().unwrap();
            (Some(about.uid()), Some(about.gid()))
        };
        // To whom it belongs, or nobody new: everybody may do that.
        chown(&link, uid, gid).unwrap();
        lchown(&link, None, gid).unwrap();
        fchown(&open, None, None).unwrap();
        assert_eq!(
            chown(folder.join("none"), uid, gid).unwrap_err().kind(),
            std::io::ErrorKind::NotFound
        );
    });
}

/// A read that waits for the turn of another one, and is given up, keeps no worker.
#[test]
fn reads_that_are_given_up_free_their_workers() {
    run(|| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let file = Rc::new(File::from(std::os::fd::OwnedFd::from(reader)));
        for _ in rounds(50) {
            assert!(timeout(MS, || (&*file).read(&mut [0])).is_err());
        }
        sleep(10 * MS);
        let stats = pool_stats();
        assert!(stats.workers - stats.idle < 20, "{stats:?}");
        writer.write_all(b"ab").unwrap();
        let mut both = [0; 2];
        (&*file).read_exact(&mut both).unwrap();
        assert_eq!(&both, b"ab");
        assert_eq!((&*file).read(&mut []).unwrap(), 0);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn an_eventfd_is_a_file_that_has_no_position() {
    use std::os::fd::FromRawFd;
    run(|| {
        // SAFETY: just made, and nobody else's.
        let theirs = unsafe { std::fs::File::from_raw_fd(libc::eventfd(0, 0)) };
        let file = Rc::new(File::from(theirs));
        let reads = spawn(own!(file => move || {
            let mut count = [0; 8];
            (&*file).read_exact(&mut count).unwrap();
            u64::from_ne_bytes(count)
        }));
        sleep(5 * MS);
        (&*file).write_all(&5_u64.to_ne_bytes()).unwrap();
        assert_eq!(reads.join().unwrap(), 5);
    });
}

#[test]
fn a_file_goes_to_std_at_its_position_whatever_was_killed() {
    run(|| {
        let folder = Folder::new();
        let path = folder.join("text");
        std::fs::write(&path, vec![7; 1 << 20]).unwrap();
        for round in rounds(100) {
            let file = Rc::new(File::open(&path).unwrap());
            let reads = spawn(own!(file => move || (&*file).read(&mut vec![0; 1 << 20]).unwrap()));
            yield_now();
            for _ in 0..round * 20 {
                std::hint::spin_loop();
            }
            reads.kill();
            if reads.join().is_ok() {
                continue;
            }
            let mut theirs: std::fs::File = match round % 2 {
                0 => file.try_clone().unwrap().into(),
                _ => Rc::into_inner(file).unwrap().into(),
            };
            assert_eq!(theirs.stream_position().unwrap(), 0);
            assert_eq!(theirs.read(&mut [0; 3]).unwrap(), 3);
        }
    });
}
