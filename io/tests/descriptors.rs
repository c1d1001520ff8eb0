//! Descriptors: none is lost in storms of connections, and running out of them is survived. Apart
//! from the other tests because it counts and limits the descriptors of the whole process.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    reason = "a test may panic and asks the system"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tessera_io::{
    BackendChoice, CloseMode, Env, Event, Listen, Options, Reactor, ReactorGroup, StartError, Wait,
};

/// One test at a time, as they look at the same process.
static TURN: Mutex<()> = Mutex::new(());

const CHOICES: [BackendChoice; 3] = [
    BackendChoice::Uring,
    BackendChoice::UringPlain,
    BackendChoice::Epoll,
];

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn start(backend: BackendChoice) -> Option<(Reactor, SocketAddr)> {
    let listen = Listen {
        tcp: vec![([127, 0, 0, 1], 0).into()],
        ..Listen::default()
    };
    let options = Options {
        backend,
        ..Options::default()
    };
    match ReactorGroup::new(1, &listen, &options) {
        Ok(mut group) => Some((group.seeds.remove(0).build().unwrap(), group.addresses[0])),
        Err(StartError::Uring(reason)) => {
            eprintln!("skipped: {reason}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Connections that end in every way: by the client before or after it was answered, with a reset,
/// by the server with and without a flush.
fn storm(address: SocketAddr, connections: usize) {
    for round in 0..connections {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let kind = round % 5;
        if kind > 0 {
            let _ = stream.write_all(&[kind as u8]);
        }
        if kind == 1 {
            let now = Some(Duration::ZERO);
            socket2::SockRef::from(&stream).set_linger(now).unwrap();
        }
        if kind > 1 {
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

fn weather(reactor: &mut Reactor, over: &AtomicBool) {
    let mut events = Vec::new();
    let limit = reactor.now() + 120_000_000_000;
    while !(over.load(Ordering::SeqCst) && reactor.connections() == 0) {
        assert!(
            reactor.now() < limit,
            "{} connections are left",
            reactor.connections()
        );
        let tick = reactor.now() + 100_000_000;
        reactor.poll(Wait::Until(tick), &mut events).unwrap();
        for event in events.drain(..) {
            match event {
                Event::Received { conn, chunk } => {
                    reactor.send(conn, vec![b'x'; 5_000]);
                    match chunk[0] {
                        2 => reactor.close(conn, CloseMode::Flush),
                        3 => reactor.close(conn, CloseMode::Abort),
                        4 => {
                            reactor.pause(conn);
                            reactor.close(conn, CloseMode::Flush);
                        }
                        _ => {}
                    }
                }
                Event::Closed { conn, .. } => reactor.close(conn, CloseMode::Flush),
                Event::Accepted { .. } | Event::Drained { .. } => {}
            }
        }
    }
}

#[test]
fn storms_leave_no_descriptor_open() {
    let _turn = TURN.lock();
    for choice in CHOICES {
        let Some((mut reactor, address)) = start(choice) else {
            continue;
        };
        let over = AtomicBool::new(false);
        let before = descriptors();
        std::thread::scope(|scope| {
            let (waker, over) = (reactor.waker(), &over);
            scope.spawn(move || {
                std::thread::scope(|storms| {
                    for _ in 0..4 {
                        storms.spawn(|| storm(address, 500));
                    }
                });
                over.store(true, Ordering::SeqCst);
                waker.wake();
            });
            weather(&mut reactor, over);
        });
        // The last closes are submitted by one more turn.
        reactor.poll(Wait::Never, &mut Vec::new()).unwrap();
        assert_eq!(descriptors(), before, "{choice:?}");
    }
}

#[test]
fn dropping_a_reactor_closes_everything() {
    let _turn = TURN.lock();
    for choice in CHOICES {
        let before = descriptors();
        let Some((mut reactor, address)) = start(choice) else {
            continue;
        };
        let clients: Vec<_> = (0..50)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let mut events = Vec::new();
        while reactor.connections() < clients.len() {
            reactor.poll(Wait::Forever, &mut events).unwrap();
        }
        for event in events.drain(..).take(10) {
            if let Event::Accepted { conn, .. } = event {
                reactor.close(conn, CloseMode::Abort);
            }
        }
        drop((clients, reactor));
        assert_eq!(descriptors(), before, "{choice:?}");
    }
}

/// The limit of descriptors, set lower while this lives.
struct Scarcity(libc::rlimit);

impl Scarcity {
    fn new(limit: usize) -> Self {
        let mut old = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: `old` is a valid place for the result.
        let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut old) };
        let low = libc::rlimit {
            rlim_cur: limit as u64,
            ..old
        };
        // SAFETY: `low` is a valid limit below the hard one.
        let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const low) };
        assert_eq!((got, set), (0, 0));
        Self(old)
    }
}

impl Drop for Scarcity {
    fn drop(&mut self) {
        // SAFETY: the limit that was there before.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const self.0) };
    }
}

fn thread_cpu_ns() -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[test]
fn running_out_of_descriptors_is_survived_without_spinning() {
    let _turn = TURN.lock();
    for choice in CHOICES {
        let Some((mut reactor, address)) = start(choice) else {
            continue;
        };
        let mut events = Vec::new();
        let mut first = TcpStream::connect(address).unwrap();
        let mut second = TcpStream::connect(address).unwrap();
        // Room for one of the two: the limit is on numbers, and the lowest free one is given next.
        let next = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
        let scarcity = Scarcity::new(next as usize + 1);
        let before = thread_cpu_ns();
        let deadline = reactor.now() + 350_000_000;
        while reactor.now() < deadline {
            reactor.poll(Wait::Until(deadline), &mut events).unwrap();
        }
        let used_ns = thread_cpu_ns() - before;
        assert_eq!(reactor.connections(), 1, "{choice:?}");
        assert!(used_ns < 50_000_000, "{used_ns} ns of processor time");
        drop(scarcity);
        while reactor.connections() < 2 {
            reactor.poll(Wait::Forever, &mut events).unwrap();
        }
        for stream in [&mut first, &mut second] {
            stream.write_all(b"?").unwrap();
        }
        let received = |event: &Event<_>| matches!(event, Event::Received { .. });
        while events.iter().filter(|event| received(event)).count() < 2 {
            reactor.poll(Wait::Forever, &mut events).unwrap();
        }
    }
}
