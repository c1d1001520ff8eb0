//! `Epoll`: the reactor of one shard on epoll, and its turn.
//!
//! A turn (`poll`) sends what was gathered, waits, and then receives one buffer from each connection
//! that has something. The semantics are those of `uring`; the same tests run on both.
//!
//! Invariant: all sockets are nonblocking; a failure of the poller itself is kept and returned by the
//! next `poll`.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;

use super::accept::ListenerState;
use super::connection::Connection;
use super::poller::{Poller, READABLE, Source};
use crate::clock;
use crate::env::{ConnId, Event, Wait};
use crate::lingering::Lingering;
use crate::listener::Listener;
use crate::outgoing::Spares;
use crate::pool::{Chunk, Pool};
use crate::slab::Slab;
use crate::wake::{Peers, Waker};

/// What an `Epoll` is made from, on its own thread.
pub(crate) struct EpollParts {
    pub(crate) peers: Arc<Peers>,
    pub(crate) waker: Waker,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) buffer_count: u16,
    pub(crate) buffer_bytes: u32,
}

/// The reactor.
pub(crate) struct Epoll {
    pub(super) poller: Poller,
    pub(super) pool: Rc<Pool>,
    pub(super) conns: Slab<Connection>,
    pub(super) listeners: Vec<ListenerState>,
    pub(super) spares: Spares,
    /// Connections with bytes to send at the end of the turn.
    pub(super) to_send: Vec<ConnId>,
    /// Connections which found no receive buffer.
    pub(super) starved: VecDeque<ConnId>,
    pub(super) lingering: Lingering,
    ready: Vec<(Source, u32)>,
    failure: Option<io::Error>,
    woken: bool,
    peers: Arc<Peers>,
    waker: Waker,
}

impl Epoll {
    pub(crate) fn new(parts: EpollParts) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.change(parts.waker.fd(), Source::Waker, 0, READABLE)?;
        let mut reactor = Self {
            poller,
            pool: Pool::new(parts.buffer_count.max(1), parts.buffer_bytes)?,
            conns: Slab::new(),
            listeners: Vec::new(),
            spares: Spares::new(),
            to_send: Vec::new(),
            starved: VecDeque::new(),
            lingering: Lingering::new(),
            ready: Vec::new(),
            failure: None,
            woken: false,
            peers: parts.peers,
            waker: parts.waker,
        };
        for listener in parts.listeners {
            reactor.add_listener(listener)?;
        }
        Ok(reactor)
    }

    /// One turn; see `Env::poll`.
    pub(crate) fn poll(&mut self, wait: Wait, events: &mut Vec<Event<Chunk>>) -> io::Result<()> {
        let before = events.len();
        loop {
            self.feed_starved();
            self.end_overdue();
            self.retry_accepts();
            self.send_queued(events);
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            let wait_now = if events.len() > before || !self.to_send.is_empty() {
                Wait::Never
            } else {
                wait
            };
            let timeout_ms = self.timeout_ms(wait_now);
            let mut ready = std::mem::take(&mut self.ready);
            self.poller.wait(timeout_ms, &mut ready)?;
            for (source, readiness) in ready.drain(..) {
                self.translate(source, readiness, events);
            }
            self.ready = ready;
            let woken = std::mem::take(&mut self.woken);
            if woken || events.len() > before || Self::is_over(wait) {
                return Ok(());
            }
        }
    }

    fn is_over(wait: Wait) -> bool {
        match wait {
            Wait::Never => true,
            Wait::Forever => false,
            Wait::Until(deadline) => clock::monotonic_ns() >= deadline,
        }
    }

    /// The wait in milliseconds, the reactor's own deadlines included; rounded up, or the last
    /// millisecond would be spent turning.
    fn timeout_ms(&self, wait: Wait) -> libc::c_int {
        let deadline = match wait {
            Wait::Never => return 0,
            Wait::Forever => u64::MAX,
            Wait::Until(deadline) => deadline,
        };
        let deadline = deadline
            .min(self.lingering.deadline())
            .min(self.accept_deadline());
        if deadline == u64::MAX {
            return -1;
        }
        let left = deadline
            .saturating_sub(clock::monotonic_ns())
            .div_ceil(1_000_000);
        libc::c_int::try_from(left).unwrap_or(libc::c_int::MAX)
    }

    fn translate(&mut self, source: Source, readiness: u32, events: &mut Vec<Event<Chunk>>) {
        match source {
            Source::Conn(id) => self.on_ready(id, readiness, events),
            Source::Listener(number) => self.on_connections(number, events),
            Source::Waker => {
                self.waker.clear();
                self.woken = true;
            }
        }
    }

    /// Tells the poller what a connection waits for now.
    pub(super) fn update_interest(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let wanted = conn.wanted_interest();
        if wanted == conn.interest {
            return;
        }
        let fd = conn.socket.as_raw_fd();
        match self
            .poller
            .change(fd, Source::Conn(id), conn.interest, wanted)
        {
            Ok(()) => conn.interest = wanted,
            Err(error) => self.fail(error),
        }
    }

    /// Keeps a failure of the poller, which is the end of the reactor.
    #[cold]
    pub(super) fn fail(&mut self, error: io::Error) {
        self.failure.get_or_insert(error);
    }

    /// See `Env::wake`.
    pub(crate) fn wake(&mut self, shard: usize) {
        if let Some(waker) = self.peers.waker(shard) {
            waker.wake();
        }
    }

    /// How many connections there are, those included that only send their last bytes.
    pub(crate) fn connections(&self) -> usize {
        self.conns.len()
    }
}
