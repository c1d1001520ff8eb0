//! `Node`: one reactor under test, served on the test's thread, with blocking clients on others.
//!
//! Nothing here waits for a time to pass: clients announce their end through the reactor's waker, and
//! every wait has a limit far above what it needs, so that a fault fails instead of hanging.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tessera_io::{
    BackendChoice, Chunk, Env, Event, Listen, Options, Reactor, ReactorGroup, StartError, Wait,
    Waker,
};

/// The longest any test may wait for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Makes one test per backend out of a function which takes the backend.
macro_rules! on_every_backend {
    ($($name:ident),* $(,)?) => {
        on_every_backend!(@ uring Uring $($name)*);
        on_every_backend!(@ plain UringPlain $($name)*);
        on_every_backend!(@ epoll Epoll $($name)*);
    };
    (@ $module:ident $choice:ident $($name:ident)*) => {
        mod $module {
            $(#[test]
            fn $name() {
                let choice = tessera_io::BackendChoice::$choice;
                if crate::harness::is_available(choice) {
                    super::$name(choice);
                }
            })*
        }
    };
}
pub(crate) use on_every_backend;

/// Whether this machine has the backend; a container may forbid io_uring.
pub(crate) fn is_available(choice: BackendChoice) -> bool {
    match group(choice, 1, &Listen::default(), |_| ()) {
        Ok(_) => true,
        Err(StartError::Uring(reason)) => {
            eprintln!("skipped: {reason}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn group(
    choice: BackendChoice,
    shards: usize,
    listen: &Listen,
    adjust: impl FnOnce(&mut Options),
) -> Result<ReactorGroup, StartError> {
    let mut options = Options {
        backend: choice,
        buffer_count: 256,
        ..Options::default()
    };
    adjust(&mut options);
    ReactorGroup::new(shards, listen, &options)
}

/// A listener on a free port of this machine.
pub(crate) fn anywhere() -> Listen {
    Listen {
        tcp: vec![([127, 0, 0, 1], 0).into()],
        ..Listen::default()
    }
}

/// A reactor and where to reach it.
pub(crate) struct Node {
    pub(crate) reactor: Reactor,
    pub(crate) address: SocketAddr,
}

/// What a client does on its thread.
pub(crate) type Client<'a, T> = Box<dyn FnOnce() -> T + Send + 'a>;

/// Tells the server that a client has ended, also when it panics.
struct Farewell<'a>(&'a AtomicUsize, Waker);

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.wake();
    }
}

impl Node {
    pub(crate) fn start(choice: BackendChoice) -> Self {
        Self::adjusted(choice, |_| ())
    }

    pub(crate) fn adjusted(choice: BackendChoice, adjust: impl FnOnce(&mut Options)) -> Self {
        let mut group = group(choice, 1, &anywhere(), adjust).unwrap();
        let reactor = group.seeds.remove(0).build().unwrap();
        Self {
            reactor,
            address: group.addresses[0],
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// Polls once; returns what completed. Fails after the limit.
    pub(crate) fn turn(&mut self) -> Vec<Event<Chunk>> {
        let mut events = Vec::new();
        let limit = self.reactor.now() + LIMIT.as_nanos() as u64;
        self.reactor.poll(Wait::Until(limit), &mut events).unwrap();
        assert!(self.reactor.now() < limit, "nothing happened for {LIMIT:?}");
        events
    }

    /// Polls until an event is of interest.
    pub(crate) fn until<T>(
        &mut self,
        mut pick: impl FnMut(&mut Reactor, Event<Chunk>) -> Option<T>,
    ) -> T {
        loop {
            let mut found = None;
            for event in self.turn() {
                found = pick(&mut self.reactor, event).or(found);
            }
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// Runs the clients on threads and serves them, event by event, until all have ended.
    pub(crate) fn serve<'a, T: Send + 'a>(
        &mut self,
        clients: Vec<Client<'a, T>>,
        mut handle: impl FnMut(&mut Reactor, Event<Chunk>),
    ) -> Vec<T> {
        self.serve_turns(clients, |reactor, events| {
            for event in events {
                handle(reactor, event);
            }
        })
    }

    /// Runs the clients on threads and serves them, turn by turn, until all have ended.
    pub(crate) fn serve_turns<'a, T: Send + 'a>(
        &mut self,
        clients: Vec<Client<'a, T>>,
        mut handle: impl FnMut(&mut Reactor, Vec<Event<Chunk>>),
    ) -> Vec<T> {
        let ended = AtomicUsize::new(0);
        let count = clients.len();
        let waker = self.reactor.waker();
        std::thread::scope(|scope| {
            let start = |client: Client<'a, T>| {
                let farewell = Farewell(&ended, waker.clone());
                scope.spawn(move || {
                    let _farewell = farewell;
                    client()
                })
            };
            let threads: Vec<_> = clients.into_iter().map(start).collect();
            while ended.load(Ordering::SeqCst) < count {
                let events = self.turn();
                handle(&mut self.reactor, events);
            }
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        })
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Bytes that differ from place to place and from seed to seed.
pub(crate) fn pattern(seed: usize, from: usize, length: usize) -> Vec<u8> {
    let byte = |place: usize| (place.wrapping_mul(31).wrapping_add(place >> 9) ^ seed) as u8;
    (from..from + length).map(byte).collect()
}

/// Sends a message and reads it back.
pub(crate) fn echo_once(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(message).unwrap();
    let mut back = vec![0; message.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(
        back == message,
        "the echo of {} bytes differs",
        message.len()
    );
}

/// The server side of an echo.
pub(crate) fn echo(reactor: &mut Reactor, event: Event<Chunk>) {
    match event {
        Event::Received { conn, chunk } => {
            let mut bytes = reactor.buffer();
            bytes.extend_from_slice(&chunk);
            reactor.send(conn, bytes);
        }
        Event::Closed { conn, .. } => reactor.close(conn, tessera_io::CloseMode::Flush),
        Event::Accepted { .. } | Event::Drained { .. } => {}
    }
}
