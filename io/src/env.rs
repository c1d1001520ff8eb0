//! `Env`: everything a shard may ask of the world, in one trait: clock, network, disk, randomness.
//!
//! The real one is the reactor (`uring`, or `epoll` where io_uring is forbidden), one per shard
//! thread; the deterministic one is `sim`, run by a seed. Code above `io` is generic over `Env` and
//! reads no clock and no random number any other way, so that everything runs under both.
//!
//! The contract is a turn: `poll` reaps completions into a list, the caller handles the list, queues
//! its sends, and polls again. Nothing is called back from inside `poll`.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use crate::disk::Disk;
use crate::listener::Relisten;

/// Names one connection of one reactor: a slab index, and a generation that tells a connection from
/// an earlier one in the same place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ConnId {
    /// Place in the reactor's slab; small and reused.
    pub index: u32,
    /// Counts the uses of that place.
    pub generation: u32,
}

/// Who is at the other end of an accepted connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peer {
    /// A TCP connection.
    Tcp {
        /// Address of the client.
        remote: SocketAddr,
        /// Our own address on this connection.
        local: SocketAddr,
    },
    /// A connection over the Unix socket at this path.
    Unix {
        /// Path of the listening socket.
        path: String,
    },
}

/// What ended a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hangup {
    /// The client closed its side.
    Eof,
    /// The network reported this OS error (errno).
    Error(i32),
}

/// One completion. A connection yields `Accepted` once, then any number of `Received` and `Drained`,
/// then at most one `Closed`; after an end of file only `Drained` may still come, since such a client can be sent to.
/// After `Env::close` it yields nothing more.
#[derive(Debug)]
pub enum Event<C> {
    /// A new connection on one of the listeners; it is being read already.
    Accepted {
        /// Its name.
        conn: ConnId,
        /// Its other end.
        peer: Peer,
    },
    /// Bytes arrived, at least one. Dropping the chunk gives its buffer back to the reactor.
    Received {
        /// On which connection.
        conn: ConnId,
        /// The bytes.
        chunk: C,
    },
    /// A connection whose `backlog` was not zero after an earlier turn has none left: it has been taken, or, after an
    /// end of file, nobody is there any more to take it.
    Drained {
        /// Which connection.
        conn: ConnId,
    },
    /// The client is gone. The caller must still `close` the connection to free its name.
    Closed {
        /// Which connection.
        conn: ConnId,
        /// Why.
        hangup: Hangup,
    },
}

/// How `Env::close` treats bytes that were given to `send` and have not left yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseMode {
    /// Send them first, then close (bounded by a few seconds for a peer that does not read).
    Flush,
    /// Drop them.
    Abort,
}

/// How long `Env::poll` may wait when nothing has completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Not at all: there is other work.
    Never,
    /// Until something completes or `wake` is called.
    Forever,
    /// As `Forever`, but no later than this moment of `Env::now`, in nanoseconds.
    Until(u64),
}

/// The world as one shard thread sees it.
pub trait Env {
    /// Received bytes, in a buffer that goes back to the reactor when dropped.
    type Chunk: Deref<Target = [u8]> + std::fmt::Debug;
    /// The file system.
    type Disk: Disk;

    /// Monotonic clock, nanoseconds since an arbitrary start.
    fn now(&self) -> u64;
    /// The clock of `now` for code that has no `Env`: for measuring, not for deciding.
    fn stopwatch(&self) -> Box<dyn Fn() -> u64>;
    /// Wall clock, microseconds since the Unix epoch.
    fn unix_us(&self) -> u64;
    /// 64 random bits, for seeds; not cryptographic.
    fn random(&mut self) -> u64;
    /// Blocks this thread (DEBUG SLEEP).
    fn sleep(&mut self, time: Duration);

    /// Submits what was queued, waits as `wait` says, appends what completed to `events`.
    ///
    /// # Errors
    /// Only when the reactor itself has failed and cannot go on; trouble of one connection is an
    /// event of that connection.
    fn poll(&mut self, wait: Wait, events: &mut Vec<Event<Self::Chunk>>) -> io::Result<()>;

    /// An empty buffer for `send`, reused from earlier sends where possible.
    fn buffer(&mut self) -> Vec<u8>;
    /// Queues bytes; they leave in order, with the next `poll`. Ignored for an unknown connection.
    fn send(&mut self, conn: ConnId, bytes: Vec<u8>);
    /// Bytes given to `send` which the kernel has not taken yet. 0 for an unknown connection.
    fn backlog(&self, conn: ConnId) -> usize;
    /// Stops reading a connection. Chunks already received may still be delivered.
    fn pause(&mut self, conn: ConnId);
    /// Reads a paused connection again.
    fn resume(&mut self, conn: ConnId);
    /// Ends a connection and frees its name.
    fn close(&mut self, conn: ConnId, mode: CloseMode);

    /// Listens elsewhere; who is connected stays.
    fn relisten(&mut self, change: Relisten);
    /// Stops accepting and closes the listeners.
    fn stop_listening(&mut self);

    /// Makes the `poll` of another shard's reactor return. Its own `poll` returns without an event.
    /// Callers avoid needless calls: only when the target said that it sleeps.
    fn wake(&mut self, shard: usize);

    /// The disk.
    fn disk(&mut self) -> &mut Self::Disk;
}
