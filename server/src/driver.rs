//! The loop of one shard's thread: the front end's phases, and what only the reactor can do between them.
//!
//! `run` is what a shard thread does; the simulator calls the phases one by one, so that those of different shards interleave.

use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use tessera_io::{CloseMode, ConnId, Env, Event, Hangup, Wait};
use tessera_shards::coordinator::Meter;

use crate::front::ahead::AHEAD;
use crate::front::{Front, Verdict};

/// Bytes that the kernel has not taken above which a client is not read any more.
const BACKLOG_BYTES_MAX: usize = 1 << 20;
/// A reply this long makes the driver look at the backlog in the next turn.
const LARGE_OUTPUT_BYTES: usize = 1 << 16;
/// A chunk this long makes it look at what clients take, where that is limited.
const LARGE_INPUT_BYTES: usize = 1 << 14;
/// Received bytes of a client whose commands have to wait above which it is not read any more.
const STALLED_BYTES_MAX: usize = 1 << 18;
/// Reply buffers at hand per turn.
const BUFFERS_AT_HAND: usize = 64;

/// A shard's front end with its reactor.
pub struct Driver<E: Env> {
    /// The front end.
    pub front: Front,
    /// The world.
    pub env: E,
    events: Vec<Event<E::Chunk>>,
    /// An empty list, for reuse.
    dirty_before: Vec<ConnId>,
    /// Clients whose commands wait until the kernel has taken more: asked about in each turn that something else begins, as it takes a little at a time and
    /// says at the end only that it has taken all.
    behind: Vec<ConnId>,
    work_began_ns: u64,
}

impl<E: Env> Driver<E> {
    /// Puts the two together.
    pub fn new(mut front: Front, env: E) -> Self {
        front.engine.meter = Meter::new(env.stopwatch());
        Driver {
            front,
            env,
            events: Vec::new(),
            dirty_before: Vec::new(),
            behind: Vec::new(),
            work_began_ns: 0,
        }
    }

    /// Serves until the node ends.
    ///
    /// # Errors
    /// When the reactor fails for good.
    pub fn run(mut self) -> io::Result<()> {
        while !self.front.shared.is_shutting_down() {
            self.poll()?;
            self.drain();
            self.serve();
            self.flush();
            self.settle();
        }
        self.env.stop_listening();
        self.env.poll(Wait::Never, &mut self.events)
    }

    /// First phase: submits, waits, reaps.
    ///
    /// # Errors
    /// When the reactor fails for good.
    pub fn poll(&mut self) -> io::Result<()> {
        let wait = self.front.wait();
        self.reap(wait)?;
        self.begin();
        Ok(())
    }

    /// The middle of `poll`: submits, waits, reaps. A simulated reactor returns from it while it sleeps, and is asked again later.
    ///
    /// # Errors
    /// When the reactor fails for good.
    pub fn reap(&mut self, wait: Wait) -> io::Result<()> {
        self.env.poll(wait, &mut self.events)
    }

    /// The end of `poll`: this shard is awake.
    pub fn begin(&mut self) {
        self.front.shared.mesh.rouse(self.front.id);
        self.work_began_ns = self.env.now();
        self.front.begin(self.work_began_ns, self.env.unix_us());
    }

    /// Second phase: the inbox.
    pub fn drain(&mut self) {
        self.front.drain();
    }

    /// Third phase: what clients sent.
    pub fn serve(&mut self) {
        while self.front.buffers.len() < BUFFERS_AT_HAND {
            let buffer = self.env.buffer();
            self.front.buffers.push(buffer);
        }
        self.look_at_held();
        let mut events = std::mem::take(&mut self.events);
        let mut coming = events.drain(..);
        let mut ahead = 0;
        while !coming.as_slice().is_empty() {
            if ahead == 0 {
                ahead = self.glance(coming.as_slice());
            }
            ahead -= 1;
            let Some(event) = coming.next() else { break };
            match event {
                Event::Received { conn, chunk } => {
                    self.front.looks_at_crowd |= chunk.len() >= LARGE_INPUT_BYTES
                        && self.front.config.client_memory_max != 0;
                    self.front.received(conn, &chunk);
                    self.pause_if_behind(conn);
                }
                Event::Accepted { conn, peer } => {
                    if let Verdict::Refused(reply) = self.front.accept(conn, peer) {
                        self.env.send(conn, reply.to_vec());
                        self.env.close(conn, CloseMode::Flush);
                    }
                }
                Event::Drained { conn } => self.front.held.push(conn),
                Event::Closed {
                    conn,
                    hangup: Hangup::Eof,
                } if self.front.clients.get(conn).is_some() => {
                    self.front.half_closed(conn);
                }
                Event::Closed { conn, .. } => self.end(conn, CloseMode::Abort),
            }
        }
        drop(coming);
        self.events = events;
    }

    /// Lets the front end fetch what the next events will touch. Returns how many these are, at least one.
    fn glance(&mut self, events: &[Event<E::Chunk>]) -> usize {
        let soon = &events[..events.len().min(AHEAD)];
        if soon.len() > 1 {
            for event in soon {
                if let Event::Received { conn, chunk } = event {
                    self.front.glance(*conn, chunk);
                }
            }
            self.front.fetch_announced();
        }
        soon.len().max(1)
    }

    /// Fourth phase: this turn's batches get their position.
    pub fn flush(&mut self) {
        self.front.flush();
        self.front.background();
        self.relisten();
    }

    /// Last phase: replies leave.
    pub fn settle(&mut self) {
        self.front.settle();
        self.relisten();
        for shard in self.front.wakes.drain(..) {
            self.env.wake(shard);
        }
        self.send_replies();
        self.look_at_swollen();
        if self.front.looks_at_crowd {
            self.thin_out();
        }
        while let Some(conn) = self.front.doomed.pop() {
            self.end(conn, CloseMode::Flush);
        }
        if self.front.engine.has_batches() {
            self.settle_again();
        }
        if self.front.sleep_us > 0 {
            self.sleep();
        }
        let worked_ns = self.env.now().saturating_sub(self.work_began_ns);
        self.front.account(worked_ns);
    }

    /// Accepts where the configuration says by now, after each phase that may have changed it: before anybody hears that it is so.
    #[inline]
    fn relisten(&mut self) {
        if self.front.relistens {
            self.take_addresses();
        }
    }

    #[cold]
    fn take_addresses(&mut self) {
        self.front.relistens = false;
        let addresses = &self.front.shared.addresses;
        let changes = addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(self.front.id);
        for change in changes {
            self.env.relisten(change);
        }
    }

    /// Tells other shards of clients that ended while replies were sent: this shard may sleep after this.
    #[cold]
    fn settle_again(&mut self) {
        self.front.settle();
        self.relisten();
        for shard in self.front.wakes.drain(..) {
            self.env.wake(shard);
        }
    }

    /// DEBUG SLEEP.
    #[cold]
    fn sleep(&mut self) {
        let time = Duration::from_micros(std::mem::take(&mut self.front.sleep_us));
        let begun = self.front.engine.meter.begin(true);
        self.env.sleep(time);
        if let Some(debug) = self.front.shared.registry.find_row(b"debug") {
            self.front.engine.meter.part(debug.number, begun);
        }
    }

    fn send_replies(&mut self) {
        self.front.uncork();
        let position = self.front.must_wait();
        self.release();
        let mut dirty = std::mem::replace(
            &mut self.front.dirty,
            std::mem::take(&mut self.dirty_before),
        );
        for conn in dirty.drain(..) {
            let Some(client) = self.front.clients.get_mut(conn) else {
                continue;
            };
            client.dirty = false;
            if client.long.is_some() {
                self.send_long(conn, position);
            }
            let Some(client) = self.front.clients.get_mut(conn) else {
                continue;
            };
            if !client.out.is_empty() && self.front.holds_back(conn) {
                continue;
            }
            let Some(client) = self.front.clients.get_mut(conn) else {
                continue;
            };
            if !client.out.is_empty() {
                let bytes = std::mem::take(&mut client.out);
                client.net_out_bytes += bytes.len() as u64;
                self.front.ledger.note_buffered(bytes.len());
                self.front.counters.net_out_bytes += bytes.len() as u64;
                if bytes.len() >= LARGE_OUTPUT_BYTES {
                    self.front.looks_at_crowd |= self.front.config.client_memory_max != 0;
                    self.front.held.push(conn);
                }
                let is_finished = client.is_finished();
                match position {
                    Some(position) => self.front.withhold(position, conn, bytes, false),
                    None => self.env.send(conn, bytes),
                }
                if is_finished {
                    self.end(conn, CloseMode::Flush);
                } else {
                    self.end_if_over(conn);
                }
                continue;
            }
            if client.is_finished() {
                self.end(conn, CloseMode::Flush);
            } else {
                self.end_if_over(conn);
            }
        }
        self.dirty_before = dirty;
    }

    /// Sends the long replies of a client whose turn has come, piece by piece. (A piece that is sent is freed, so that no turn frees much.)
    #[cold]
    fn send_long(&mut self, conn: ConnId, position: Option<u64>) {
        let Some(client) = self.front.clients.get_mut(conn) else {
            return;
        };
        let long = client.take_long();
        let bytes = long.len();
        if bytes == 0 {
            return;
        }
        client.held_since_ns = None;
        client.net_out_bytes += bytes as u64;
        self.front.ledger.note_buffered(bytes);
        self.front.counters.net_out_bytes += bytes as u64;
        self.front.looks_at_crowd |= self.front.config.client_memory_max != 0;
        self.front.held.push(conn);
        match position {
            Some(position) => self.front.withhold_long(position, conn, long),
            None => long
                .into_pieces()
                .for_each(|piece| self.env.send(conn, piece)),
        }
    }

    /// Sends what has waited for the disk.
    fn release(&mut self) {
        while let Some(withheld) = self.front.next_released() {
            self.env.send(withheld.conn, withheld.bytes);
            if withheld.closes {
                self.end(withheld.conn, CloseMode::Flush);
            }
        }
        while let Some(conn) = self.front.next_lost() {
            self.end(conn, CloseMode::Abort);
        }
    }

    /// Ends a client with too many replies waiting. They are dropped.
    #[inline]
    fn end_if_over(&mut self, conn: ConnId) {
        let backlog = || self.env.backlog(conn);
        if self.front.is_over_output_limit(conn, backlog) {
            self.end(conn, CloseMode::Abort);
        }
    }

    /// Clients above the soft limit: those that have been so for too long end.
    fn look_at_swollen(&mut self) {
        for conn in std::mem::take(&mut self.front.above_soft) {
            self.end_if_over(conn);
        }
    }

    /// Ends the largest clients while those of the node take more than `maxmemory-clients` together. O(clients).
    #[cold]
    fn thin_out(&mut self) {
        self.front.looks_at_crowd = false;
        let Some(limit) = self.front.config.client_limit() else {
            return;
        };
        let (shard, shared) = (self.front.id, self.front.shared.clone());
        let mut bytes = 0;
        let mut clients = Vec::new();
        for client in self.front.clients.iter() {
            let size = (client.memory_bytes() + self.env.backlog(client.conn)) as u64;
            bytes += size;
            if !client.no_evict && !client.closing {
                clients.push((size, client.conn));
            }
        }
        clients.sort_unstable_by_key(|(size, _)| *size);
        loop {
            let largest = clients.last().map_or(0, |(size, _)| *size);
            shared.crowd.publish(shard, bytes, largest);
            if !shared.crowd.must_end_one(shard, limit) {
                return;
            }
            let Some((size, conn)) = clients.pop() else {
                return;
            };
            tracing::warn!(
                "Closing a client that takes {size} bytes: maxmemory-clients is {limit}"
            );
            self.front.counters.evicted_clients += 1;
            bytes -= size;
            self.end(conn, CloseMode::Abort);
        }
    }

    /// Stops reading a client that sends faster than its commands are answered.
    fn pause_if_behind(&mut self, conn: ConnId) {
        let Some(client) = self.front.clients.get_mut(conn) else {
            return;
        };
        if client.paused || client.query_bytes() <= STALLED_BYTES_MAX {
            return;
        }
        let is_stalled = client.stalled;
        let is_short = !is_stalled && self.front.is_short_of_memory();
        if (is_stalled || is_short)
            && let Some(client) = self.front.clients.get_mut(conn)
        {
            client.paused = true;
            self.env.pause(conn);
            if is_short {
                self.front.held.push(conn);
            }
        }
    }

    /// Clients whose replies piled up: stops reading those whose backlog stays, goes on with the others.
    fn look_at_held(&mut self) {
        self.front.share_anew();
        let mut held = std::mem::take(&mut self.front.held);
        for conn in std::mem::take(&mut self.behind) {
            if let Some(client) = self.front.clients.get_mut(conn) {
                client.is_behind = false;
                held.push(conn);
            }
        }
        for conn in held {
            let backlog = self.env.backlog(conn);
            let Some(client) = self.front.clients.get_mut(conn) else {
                continue;
            };
            if backlog > BACKLOG_BYTES_MAX {
                if client.stalled && !client.is_behind {
                    client.is_behind = true;
                    self.behind.push(conn);
                }
                if !client.paused {
                    client.paused = true;
                    self.env.pause(conn);
                }
                continue;
            }
            if client.stalled && client.may_run() {
                self.front.run_query(conn);
            }
            let Some(client) = self.front.clients.get_mut(conn) else {
                continue;
            };
            // What is left without a stall is the start of one frame, whose rest must be read however long it is.
            let is_large = client.query_bytes() > STALLED_BYTES_MAX;
            let is_behind = client.stalled && is_large;
            if !client.paused || backlog > 0 || is_behind {
                continue;
            }
            if is_large && self.front.is_short_of_memory() {
                self.front.held.push(conn);
            } else if let Some(client) = self.front.clients.get_mut(conn) {
                client.paused = false;
                self.env.resume(conn);
            }
        }
    }

    fn end(&mut self, conn: ConnId, mode: CloseMode) {
        if self.front.withholds_end(conn, mode) {
            return self.front.forget(conn);
        }
        if let Some(client) = self.front.clients.get_mut(conn)
            && mode == CloseMode::Flush
        {
            let long = client.take_long();
            let bytes = std::mem::take(&mut client.out);
            let pieces = long.into_pieces().chain(std::iter::once(bytes));
            pieces.for_each(|piece| self.env.send(conn, piece));
        }
        self.env.close(conn, mode);
        self.front.forget(conn);
    }
}
