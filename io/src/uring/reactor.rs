//! `Uring`: the reactor of one shard on io_uring, and its turn.
//!
//! A turn (`poll`) gives received buffers back, queues the sends, makes one system call which
//! submits everything and waits, copies all completions into a list, and only then translates the
//! list into events. The other files of this folder hold what the translation does per operation.
//!
//! Invariants: all submissions go through `queue`; a failure of the ring itself is kept and returned
//! by the next `poll`. A descriptor is closed by a submission behind all those that name it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use io_uring::{opcode, squeue, types};

use super::accept::ListenerState;
use super::buffers::Buffers;
use super::connection::Connection;
use super::courtesy::Courtesy;
use super::ring::{Completion, Patience, Ring};
use super::token::{Kind, Token};
use crate::clock;
use crate::env::{ConnId, Event, Wait};
use crate::lingering::Lingering;
use crate::listener::Listener;
use crate::outgoing::Spares;
use crate::pool::Chunk;
use crate::probe::Features;
use crate::slab::Slab;
use crate::wake::{Peers, Waker};

/// What a `Uring` is made from, on its own thread.
pub(crate) struct UringParts {
    pub(crate) shard: usize,
    pub(crate) peers: Arc<Peers>,
    pub(crate) waker: Waker,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) features: Features,
    pub(crate) ring_entries: u32,
    pub(crate) buffer_count: u16,
    pub(crate) buffer_bytes: u32,
}

/// The reactor. Its fields drop in this order: the ring before the memory the kernel writes to.
pub(crate) struct Uring {
    pub(super) ring: Ring,
    pub(super) buffers: Buffers,
    pub(super) conns: Slab<Connection>,
    pub(super) listeners: Vec<ListenerState>,
    pub(super) spares: Spares,
    /// Connections with bytes for the next submit.
    pub(super) to_send: Vec<ConnId>,
    /// Connections whose send of this turn says nothing when it succeeds.
    pub(super) silent: Vec<ConnId>,
    /// Connections which found no receive buffer.
    pub(super) starved: VecDeque<ConnId>,
    pub(super) lingering: Lingering,
    pub(super) features: Features,
    completions: Vec<Completion>,
    failure: Option<io::Error>,
    /// The ring has failed: nothing more is queued or submitted, since what queued entries point to
    /// may move or go from now on.
    pub(super) failed: bool,
    woken: bool,
    courtesy: Courtesy,
    shard: usize,
    peers: Arc<Peers>,
    waker: Waker,
}

impl Uring {
    /// Makes the ring on the calling thread, which becomes its only user.
    pub(crate) fn new(parts: UringParts) -> io::Result<Self> {
        let UringParts {
            shard,
            peers,
            waker,
            features,
            ..
        } = parts;
        let mut ring = Ring::new(parts.ring_entries, features.setup)?;
        if features.registered_ring {
            ring.register_fd();
        }
        let buffers = Buffers::new(&ring, parts.buffer_count, parts.buffer_bytes)?;
        let mut reactor = Self {
            ring,
            buffers,
            conns: Slab::new(),
            listeners: parts
                .listeners
                .into_iter()
                .map(ListenerState::new)
                .collect(),
            spares: Spares::new(),
            to_send: Vec::new(),
            silent: Vec::new(),
            starved: VecDeque::new(),
            lingering: Lingering::new(),
            features,
            completions: Vec::new(),
            failure: None,
            failed: false,
            woken: false,
            courtesy: Courtesy::default(),
            shard,
            peers,
            waker,
        };
        reactor.arm_waker();
        for number in 0..reactor.listeners.len() {
            reactor.arm_accept(number);
        }
        reactor.peers.set_ring(shard, Some(reactor.ring.fd()));
        Ok(reactor)
    }

    /// One turn; see `Env::poll`. Goes around again when what completed was of no interest to the
    /// caller, so that it does not run a turn for nothing.
    pub(crate) fn poll(&mut self, wait: Wait, events: &mut Vec<Event<Chunk>>) -> io::Result<()> {
        let before = events.len();
        loop {
            self.buffers.refill();
            self.feed_starved();
            self.end_overdue();
            self.retry_accepts();
            self.submit_sends();
            if self.failed {
                let gone = || io::Error::other("the ring has failed before");
                return Err(self.failure.take().unwrap_or_else(gone));
            }
            let patience = self.patience(wait);
            let mut completions = std::mem::take(&mut self.completions);
            if let Err(error) = self.ring.submit(patience, &mut completions) {
                self.failed = true;
                return Err(error);
            }
            if patience != Patience::None
                && let Err(error) = self.give_way(&mut completions)
            {
                self.failed = true;
                return Err(error);
            }
            for completion in completions.drain(..) {
                self.translate(completion, events);
            }
            self.completions = completions;
            self.settle_sends();
            let woken = std::mem::take(&mut self.woken);
            if woken || events.len() > before || Self::is_over(wait) {
                return Ok(());
            }
        }
    }

    /// Lets others run first if there is next to nothing to do, and adds what has come meanwhile.
    #[inline]
    fn give_way(&mut self, completions: &mut Vec<Completion>) -> io::Result<()> {
        if !self.courtesy.is_due(completions.len(), clock::monotonic_ns) {
            return Ok(());
        }
        let (few, from_ns) = (completions.len(), clock::monotonic_ns());
        std::thread::yield_now();
        let to_ns = clock::monotonic_ns();
        let more = self.ring.submit(Patience::None, completions);
        self.courtesy.note(from_ns, to_ns, completions.len() - few);
        more
    }

    fn is_over(wait: Wait) -> bool {
        match wait {
            Wait::Never => true,
            Wait::Forever => false,
            Wait::Until(deadline) => clock::monotonic_ns() >= deadline,
        }
    }

    /// How long the coming submit may wait, the reactor's own deadlines included.
    fn patience(&self, wait: Wait) -> Patience {
        let deadline = match wait {
            Wait::Never => return Patience::None,
            Wait::Forever => u64::MAX,
            Wait::Until(deadline) => deadline,
        };
        let deadline = deadline
            .min(self.lingering.deadline())
            .min(self.accept_deadline());
        if deadline == u64::MAX {
            return Patience::Endless;
        }
        match deadline.saturating_sub(clock::monotonic_ns()) {
            0 => Patience::None,
            left => Patience::Nanoseconds(left),
        }
    }

    fn translate(&mut self, completion: Completion, events: &mut Vec<Event<Chunk>>) {
        let token = Token(completion.user_data);
        match token.kind() {
            Kind::Receive => self.on_receive(token.conn(), &completion, events),
            Kind::Send => self.on_send(token.conn(), completion.result, events),
            Kind::Writable => self.on_writable(token.conn()),
            Kind::Accept => self.on_accept(token.number(), &completion, events),
            Kind::Woken => self.woken = true,
            Kind::Waker => self.on_waker(&completion),
            Kind::Wake => self.wake_by_eventfd(token.number()),
            Kind::Ignored => {}
        }
    }

    /// Queues an operation whose pointers, if it has any, stay valid until it has completed: they
    /// are those of a connection's bytes, which do not move before the turn is over.
    #[inline]
    pub(super) fn queue(&mut self, entry: &squeue::Entry) {
        if self.failed {
            return;
        }
        // SAFETY: as said above; all other operations carry no pointers.
        if let Err(error) = unsafe { self.ring.push(entry) } {
            self.failed = true;
            self.failure = Some(error);
        }
    }

    /// Queues the cancel of an operation. It completes silently if there is something to cancel, and
    /// otherwise its error is of no interest: whatever happened to the operation, its own last
    /// completion tells.
    pub(super) fn cancel(&mut self, target: Token) {
        let entry = opcode::AsyncCancel::new(target.0)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(Token::numbered(Kind::Ignored, 0).0);
        self.queue(&entry);
    }

    fn arm_waker(&mut self) {
        let entry = opcode::PollAdd::new(types::Fd(self.waker.fd()), libc::POLLIN as u32)
            .multi(true)
            .build()
            .user_data(Token::numbered(Kind::Waker, 0).0);
        self.queue(&entry);
    }

    fn on_waker(&mut self, completion: &Completion) {
        self.waker.clear();
        self.woken = true;
        if !super::ring::goes_on(completion) {
            self.arm_waker();
        }
    }

    /// See `Env::wake`. The message goes out with the next submit, before its sends: the peer then
    /// starts while we still talk to our clients.
    pub(crate) fn wake(&mut self, shard: usize) {
        let ring_fd = self.peers.ring_fd(shard).filter(|_| self.features.msg_ring);
        match ring_fd {
            Some(fd) if shard != self.shard => {
                let message = Token::numbered(Kind::Woken, 0).0;
                let entry = opcode::MsgRingData::new(types::Fd(fd), 0, message, None)
                    .build()
                    .flags(squeue::Flags::SKIP_SUCCESS)
                    .user_data(Token::numbered(Kind::Wake, shard).0);
                self.queue(&entry);
            }
            _ => self.wake_by_eventfd(shard),
        }
    }

    fn wake_by_eventfd(&self, shard: usize) {
        if let Some(waker) = self.peers.waker(shard) {
            waker.wake();
        }
    }

    /// How many connections there are, those included that only send their last bytes.
    pub(crate) fn connections(&self) -> usize {
        self.conns.len()
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        self.peers.set_ring(self.shard, None);
        // Closing a ring cancels what is under way some time later, and until then ports stay in use
        // and buffers may be written to. So everything is cancelled here and now; an error leaves
        // things to the kernel.
        if !self.failed {
            let _ = self.ring.flush();
        }
        let all = types::CancelBuilder::any();
        let limit = types::Timespec::from(Duration::from_secs(1));
        let _ = self.ring.submitter().register_sync_cancel(Some(limit), all);
        if !self.failed {
            let _ = self.ring.submit(Patience::None, &mut Vec::new());
        }
    }
}
