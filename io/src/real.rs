//! The real world: `ReactorGroup` makes what can fail before the threads start, a `ReactorSeed` goes
//! to each shard's thread, and there becomes the `Reactor`, the real `Env`.
//!
//! Invariants: a reactor is made and used on one thread; the seeds of a group know each other's
//! wake-ups, so `wake` may be called as soon as there is one reactor. Called by `server`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::env::{CloseMode, ConnId, Env, Event, Wait};
use crate::epoll::{Epoll, EpollParts};
use crate::fsdisk::FsDisk;
use crate::listener::{self, Listen, ListenError, Listener, Relisten};
use crate::pool::Chunk;
use crate::probe::{self, Backend, Features, Report};
use crate::uring::{Uring, UringParts};
use crate::wake::{Peers, Waker};

/// Which backend to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BackendChoice {
    /// io_uring, or epoll where io_uring cannot be used.
    #[default]
    Auto,
    /// io_uring or an error.
    Uring,
    /// io_uring without any of its optional parts, as the oldest kernel that will do has it: for
    /// tests, and to rule out a fault in the newer parts.
    UringPlain,
    /// epoll.
    Epoll,
}

/// Sizes and choices of a group of reactors.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which backend to use.
    pub backend: BackendChoice,
    /// Places in the submission queue; the completion queue has eight times as many.
    pub ring_entries: u32,
    /// Receive buffers per reactor, at most 32,768. They take memory only once they are used.
    pub buffer_count: u16,
    /// Size of a receive buffer.
    pub buffer_bytes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backend: BackendChoice::Auto,
            ring_entries: 256,
            buffer_count: 1024,
            buffer_bytes: 16 * 1024,
        }
    }
}

/// Why a group of reactors could not be made.
#[derive(Debug)]
pub enum StartError {
    /// An address could not be listened on.
    Listen(ListenError),
    /// io_uring was asked for and cannot be used, for this reason.
    Uring(String),
    /// The system refused something else.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(error) => error.fmt(f),
            Self::Uring(reason) => write!(f, "io_uring cannot be used: {reason}"),
            Self::System(error) => write!(f, "cannot prepare the reactors: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Everything the reactors of a server need, made before their threads.
pub struct ReactorGroup {
    /// One seed per shard, in the order of their numbers.
    pub seeds: Vec<ReactorSeed>,
    /// The backend and what it lacks, for the log.
    pub report: Report,
    /// The TCP addresses that are listened on, with their real ports.
    pub addresses: Vec<SocketAddr>,
}

impl ReactorGroup {
    /// Chooses the backend and listens on all addresses.
    ///
    /// # Errors
    /// When an address is in use, or io_uring was insisted on and is not there.
    pub fn new(shards: usize, listen: &Listen, options: &Options) -> Result<Self, StartError> {
        let (report, features) = choose(options)?;
        let peers = Peers::new(shards).map_err(StartError::System)?;
        let bound = listener::bind(listen, shards).map_err(StartError::Listen)?;
        let seed = |(shard, listeners)| ReactorSeed {
            shard,
            listeners,
            peers: Arc::clone(&peers),
            features,
            options: options.clone(),
        };
        let seeds = bound.shards.into_iter().enumerate().map(seed).collect();
        Ok(Self {
            seeds,
            report,
            addresses: bound.addresses,
        })
    }
}

fn choose(options: &Options) -> Result<(Report, Option<Features>), StartError> {
    let epoll = |reason| Report {
        backend: Backend::Epoll,
        missing: Vec::new(),
        reason,
    };
    if options.backend == BackendChoice::Epoll {
        return Ok((epoll(Some("by configuration".to_owned())), None));
    }
    match probe::uring(options.ring_entries) {
        Ok(features) => {
            let plain = options.backend == BackendChoice::UringPlain;
            let features = if plain { Features::NONE } else { features };
            let report = Report {
                backend: Backend::Uring,
                missing: features.missing(),
                reason: None,
            };
            Ok((report, Some(features)))
        }
        Err(reason) if options.backend == BackendChoice::Auto => Ok((epoll(Some(reason)), None)),
        Err(reason) => Err(StartError::Uring(reason)),
    }
}

/// What becomes a reactor on the thread that will use it.
pub struct ReactorSeed {
    shard: usize,
    listeners: Vec<Listener>,
    peers: Arc<Peers>,
    /// None for epoll.
    features: Option<Features>,
    options: Options,
}

impl ReactorSeed {
    /// The number of the shard.
    #[must_use]
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// A handle with which any thread makes the coming reactor's `poll` return.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.peers
            .waker(self.shard)
            .expect("a group has a waker per seed")
            .clone()
    }

    /// Makes the reactor, on the thread that will use it.
    ///
    /// # Errors
    /// When the system lacks memory or descriptors.
    pub fn build(self) -> io::Result<Reactor> {
        let waker = self.waker();
        let backend = match self.features {
            Some(features) => {
                let parts = UringParts {
                    shard: self.shard,
                    peers: self.peers,
                    waker: waker.clone(),
                    listeners: self.listeners,
                    features,
                    ring_entries: self.options.ring_entries,
                    buffer_count: self.options.buffer_count,
                    buffer_bytes: self.options.buffer_bytes,
                };
                let told = |e: io::Error| io::Error::new(e.kind(), probe::setup_error(&e));
                Either::Uring(Box::new(Uring::new(parts).map_err(told)?))
            }
            None => {
                let parts = EpollParts {
                    peers: self.peers,
                    waker: waker.clone(),
                    listeners: self.listeners,
                    buffer_count: self.options.buffer_count,
                    buffer_bytes: self.options.buffer_bytes,
                };
                Either::Epoll(Box::new(Epoll::new(parts)?))
            }
        };
        Ok(Reactor {
            backend,
            waker,
            disk: FsDisk::default(),
        })
    }
}

enum Either {
    Uring(Box<Uring>),
    Epoll(Box<Epoll>),
}

/// Calls a method of whichever backend there is.
macro_rules! on {
    ($reactor:expr, $backend:ident => $call:expr) => {
        match &mut $reactor.backend {
            Either::Uring($backend) => $call,
            Either::Epoll($backend) => $call,
        }
    };
}

/// The real `Env`: clock, network, disk and randomness of one shard's thread.
pub struct Reactor {
    backend: Either,
    waker: Waker,
    disk: FsDisk,
}

impl Reactor {
    /// A handle with which any thread makes `poll` return.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// How many connections there are, those included that are closed and only flush.
    #[must_use]
    pub fn connections(&self) -> usize {
        match &self.backend {
            Either::Uring(backend) => backend.connections(),
            Either::Epoll(backend) => backend.connections(),
        }
    }
}

impl Env for Reactor {
    type Chunk = Chunk;
    type Disk = FsDisk;

    #[inline]
    fn now(&self) -> u64 {
        clock::monotonic_ns()
    }

    fn stopwatch(&self) -> Box<dyn Fn() -> u64> {
        Box::new(clock::monotonic_ns)
    }

    #[inline]
    fn unix_us(&self) -> u64 {
        clock::unix_us()
    }

    fn random(&mut self) -> u64 {
        clock::random()
    }

    fn sleep(&mut self, time: Duration) {
        clock::sleep(time);
    }

    #[inline]
    fn poll(&mut self, wait: Wait, events: &mut Vec<Event<Chunk>>) -> io::Result<()> {
        on!(self, backend => backend.poll(wait, events))
    }

    #[inline]
    fn buffer(&mut self) -> Vec<u8> {
        on!(self, backend => backend.buffer())
    }

    #[inline]
    fn send(&mut self, conn: ConnId, bytes: Vec<u8>) {
        on!(self, backend => backend.send(conn, bytes));
    }

    fn backlog(&self, conn: ConnId) -> usize {
        match &self.backend {
            Either::Uring(backend) => backend.backlog(conn),
            Either::Epoll(backend) => backend.backlog(conn),
        }
    }

    fn pause(&mut self, conn: ConnId) {
        on!(self, backend => backend.pause(conn));
    }

    fn resume(&mut self, conn: ConnId) {
        on!(self, backend => backend.resume(conn));
    }

    fn close(&mut self, conn: ConnId, mode: CloseMode) {
        on!(self, backend => backend.close(conn, mode));
    }

    fn relisten(&mut self, change: Relisten) {
        on!(self, backend => backend.relisten(change));
    }

    fn stop_listening(&mut self) {
        on!(self, backend => backend.stop_listening());
    }

    #[inline]
    fn wake(&mut self, shard: usize) {
        on!(self, backend => backend.wake(shard));
    }

    fn disk(&mut self) -> &mut FsDisk {
        &mut self.disk
    }
}
