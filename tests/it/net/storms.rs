//! A storm of signals: nothing is cut short, nothing is lost, nothing comes early.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use greenlet::net::{TcpListener, TcpStream, UdpSocket};
use greenlet::{sleep, spawn};

use crate::support::{run, survived_in_child};

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// A signal each millisecond, which interrupts calls of the system: from a timer of the process, and aimed at
/// the thread that runs this.
struct Storm {
    over: Arc<AtomicBool>,
    aimed: Option<std::thread::JoinHandle<()>>,
}

impl Storm {
    fn begin() -> Storm {
        // SAFETY: the handler adds to a number; without SA_RESTART in the flags.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = count as *const () as libc::sighandler_t;
            assert_eq!(
                libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()),
                0
            );
        }
        Storm::every(1000);
        let over = Arc::new(AtomicBool::new(false));
        // SAFETY: asks for a number.
        let here = unsafe { libc::pthread_self() } as usize;
        let aimed = std::thread::spawn({
            let over = over.clone();
            move || {
                while !over.load(Ordering::Relaxed) {
                    // SAFETY: the thread waits for this one before it ends (`drop`).
                    unsafe { libc::pthread_kill(here as libc::pthread_t, libc::SIGALRM) };
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Storm {
            over,
            aimed: Some(aimed),
        }
    }

    fn every(micros: libc::suseconds_t) {
        let period = libc::timeval {
            tv_sec: 0,
            tv_usec: micros,
        };
        let timer = libc::itimerval {
            it_interval: period,
            it_value: period,
        };
        // SAFETY: sets a timer; the structure is there.
        unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        Storm::every(0);
        self.over.store(true, Ordering::Relaxed);
        let _ = self.aimed.take().map(std::thread::JoinHandle::join);
    }
}

#[test]
fn signals_cut_nothing_short() {
    if survived_in_child("net::storms::signals_cut_nothing_short") {
        return;
    }
    run(|| {
        let storm = Storm::begin();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            for _ in 0..40 {
                let mut stream = listener.accept().unwrap().0;
                spawn(move || {
                    let mut all = vec![0; 200_000];
                    stream.read_exact(&mut all).unwrap();
                    sleep(Duration::from_micros(1500));
                    stream.write_all(&all).unwrap();
                });
            }
        });
        let sleeper = spawn(|| {
            for micros in (100..5000).step_by(70) {
                let begin = Instant::now();
                sleep(Duration::from_micros(micros));
                assert!(begin.elapsed() >= Duration::from_micros(micros));
            }
        });
        let clients: Vec<_> = (0..40)
            .map(|number| {
                spawn(move || {
                    sleep(Duration::from_millis(u64::from(number)));
                    let mut stream = TcpStream::connect(address).unwrap();
                    let all = vec![number; 200_000];
                    stream.write_all(&all).unwrap();
                    let mut back = vec![];
                    stream.read_to_end(&mut back).unwrap();
                    assert!(back == all);
                })
            })
            .collect();
        let quiet = UdpSocket::bind("127.0.0.1:0").unwrap();
        let timeout = Duration::from_millis(30);
        quiet.set_read_timeout(Some(timeout)).unwrap();
        for _ in 0..10 {
            let begin = Instant::now();
            quiet.recv(&mut [0]).unwrap_err();
            assert!(begin.elapsed() >= timeout);
        }
        for client in clients {
            client.join().unwrap();
        }
        server.join().unwrap();
        sleeper.join().unwrap();
        drop(storm);
        assert!(SIGNALS.load(Ordering::Relaxed) > 100, "there was no storm");
    });
}
