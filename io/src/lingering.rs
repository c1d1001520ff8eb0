//! `Lingering`: closed connections which may still send their last bytes, and until when.
//!
//! Invariant: all get the same time, so the list is in the order of the deadlines. An entry may name
//! a connection that has left already; its generation tells. Called by both backends.

use std::collections::VecDeque;
use std::os::fd::RawFd;

use crate::clock;
use crate::env::ConnId;

/// How long a peer may take to read what was flushed at it.
const FLUSH_NS_MAX: u64 = 5_000_000_000;

/// Connections in the order of their deadlines.
pub(crate) struct Lingering {
    queue: VecDeque<(u64, ConnId)>,
}

impl Lingering {
    pub(crate) const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
        }
    }

    pub(crate) fn add(&mut self, conn: ConnId) {
        self.queue
            .push_back((clock::monotonic_ns() + FLUSH_NS_MAX, conn));
    }

    /// The next deadline, or the end of time.
    #[inline]
    pub(crate) fn deadline(&self) -> u64 {
        self.queue
            .front()
            .map_or(u64::MAX, |&(deadline, _)| deadline)
    }

    /// Takes out the next connection whose time is over, or which is gone by the word of `lives`.
    pub(crate) fn pop(&mut self, lives: impl Fn(ConnId) -> bool) -> Option<ConnId> {
        let &(deadline, conn) = self.queue.front()?;
        if lives(conn) && clock::monotonic_ns() < deadline {
            return None;
        }
        self.queue.pop_front();
        Some(conn)
    }
}

/// Throws away what a client has sent and nobody will read, as far as it has arrived: a TCP socket
/// closed with unread bytes is reset, and a reset can cost the client our last reply.
pub(crate) fn discard_unread(socket: RawFd) {
    // SAFETY: with MSG_TRUNC a TCP socket counts the bytes without writing to the null address; a
    // Unix socket refuses it, and needs none of this.
    unsafe {
        libc::recv(
            socket,
            std::ptr::null_mut(),
            1 << 20,
            libc::MSG_TRUNC | libc::MSG_DONTWAIT,
        )
    };
}
