//! `Link`: one simulated connection with its two ends.
//!
//! The client's end belongs to the test and is as simple as can be; the server's end keeps the
//! contract of `Env`: `Accepted` once, then `Received` and `Drained`, then at most one `Closed`, and
//! nothing after `close`. Bytes leave the server only inside its `poll`, as they do with a ring.
//! Called by `reactor`; the client's calls are in `client_end`.

use std::collections::VecDeque;

use super::client_end::ClientEnd;
use super::pipe::{Medium, Pipe};
use super::trace::{TraceKind, hash_bytes};
use crate::env::{CloseMode, ConnId, Hangup, Peer};

/// Size of one receive buffer.
pub(super) const CHUNK_BYTES: usize = 16 * 1024;

/// Spare buffers kept for `Env::buffer`.
const SPARE_MAX: usize = 64;

/// Where the server's end is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// On its way to the listener; can be accepted from this time.
    Arriving(u64),
    /// Accepted, named, in use.
    Open,
    /// `Closed` was delivered, `close` not yet called.
    Hung(Hangup),
    /// Closed with `Flush`: what is queued still leaves, until this time.
    Lingering(u64),
    /// No more.
    Gone,
}

/// What the server's end has for `poll`.
pub(super) enum Input {
    /// To be accepted.
    Accepted,
    /// Bytes, put in the buffer given.
    Received,
    /// The end.
    Closed(Hangup),
}

/// The server's end.
#[derive(Debug)]
struct ServerEnd {
    stage: Stage,
    conn: ConnId,
    outbox: VecDeque<Vec<u8>>,
    /// How much of the first buffer of `outbox` has left.
    offset: usize,
    backlog: usize,
    /// The backlog was not zero after some turn, so `Drained` will say when it is.
    owes_drained: bool,
    /// Not before this time does the kernel take bytes again.
    send_at: u64,
    paused: bool,
    /// Bytes that had been received when reading was paused and come all the same.
    leak: usize,
    /// Whether a reset is noticed while paused (with epoll it is, with a cancelled receive not).
    alert: bool,
}

impl ServerEnd {
    /// The end of a connection that can be accepted from this time.
    fn arriving(at: u64) -> Self {
        Self {
            stage: Stage::Arriving(at),
            conn: ConnId {
                index: 0,
                generation: 0,
            },
            outbox: VecDeque::new(),
            offset: 0,
            backlog: 0,
            owes_drained: false,
            send_at: 0,
            paused: false,
            leak: 0,
            alert: false,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: u64,
    peer: Peer,
    /// From the client to the server.
    pub(super) up: Pipe,
    /// From the server to the client.
    pub(super) down: Pipe,
    server: ServerEnd,
    pub(super) client: ClientEnd,
}

impl Link {
    /// A connection on its way to a shard's listener.
    pub(super) fn connect(id: u64, peer: Peer, medium: &mut Medium<'_>) -> Self {
        let mut quotas = [None; 2];
        let mut cut_at = None;
        if medium.prng.chance(medium.faults.cut_ppm) {
            medium.stats.cuts += 1;
            match medium.prng.index(3) {
                2 => cut_at = Some(medium.now + medium.prng.within(medium.faults.cut_ns)),
                side => quotas[side] = Some(medium.prng.within(medium.faults.cut_bytes)),
            }
        }
        let [mut up, mut down] = quotas.map(|quota| {
            let capacity = medium.prng.within(medium.faults.socket_bytes).max(1);
            Pipe::new(usize::try_from(capacity).unwrap_or(usize::MAX), quota)
        });
        if let Some(at) = cut_at {
            up.reset(at);
            down.reset(at + medium.prng.within(medium.faults.delay_ns));
        }
        let server = ServerEnd::arriving(medium.arrival());
        let client = ClientEnd::new();
        Self {
            id,
            peer,
            up,
            down,
            server,
            client,
        }
    }

    // ---- both ends -------------------------------------------------------------------------

    /// The network fails: both ends find a reset, and what is on its way may arrive before it.
    pub(super) fn sever(&mut self, medium: &mut Medium<'_>) {
        let last = medium.arrival().max(self.up.last_at());
        self.up
            .reset(last + medium.prng.within(medium.faults.delay_ns));
        self.down.reset(medium.arrival());
    }

    /// Whether neither end will ever see anything of this link again; gives its memory back then.
    pub(super) fn is_over(&mut self, now: u64) -> bool {
        let heard = self.client.is_done() || self.down.hangup(now).is_some();
        let over = heard && self.server.stage == Stage::Gone;
        if over {
            self.down.discard();
        }
        over
    }

    // ---- the server's end ------------------------------------------------------------------

    /// Where the server's end is in its life.
    pub(super) fn stage(&self) -> Stage {
        self.server.stage
    }

    /// The name of the connection, once it is accepted.
    pub(super) fn conn(&self) -> ConnId {
        self.server.conn
    }

    /// Who connected.
    pub(super) fn peer(&self) -> Peer {
        self.peer.clone()
    }

    /// Bytes queued by the server which the kernel has not taken.
    pub(super) fn backlog(&self) -> usize {
        self.server.backlog
    }

    /// When the server's end has an event for `poll`, perhaps in the past. While `buffers` is false
    /// no bytes can be received.
    pub(super) fn input_due(&self, buffers: bool) -> Option<u64> {
        let server = &self.server;
        match server.stage {
            Stage::Arriving(at) => return Some(at),
            Stage::Open => {}
            Stage::Hung(_) | Stage::Lingering(_) | Stage::Gone => return None,
        }
        let bytes = self
            .up
            .bytes_at()
            .filter(|_| buffers && (!server.paused || server.leak > 0));
        let end = self.up.end_at().filter(|_| !server.paused);
        let sees_reset = !server.paused || server.alert || server.backlog > 0;
        let reset = self.up.reset_at().filter(|_| sees_reset);
        [bytes, end, reset].into_iter().flatten().min()
    }

    /// When the server's end has work inside `poll` that need not lead to an event.
    pub(super) fn output_due(&self, now: u64) -> Option<u64> {
        let server = &self.server;
        let send = (server.backlog > 0 && self.down.room(now) > 0).then_some(server.send_at);
        match server.stage {
            Stage::Open | Stage::Hung(Hangup::Eof) => send,
            Stage::Lingering(_) if server.backlog == 0 => Some(now),
            Stage::Lingering(until) => {
                let until = Some(until).filter(|&at| at < u64::MAX);
                [send, until, self.up.reset_at()]
                    .into_iter()
                    .flatten()
                    .min()
            }
            Stage::Arriving(_) | Stage::Hung(Hangup::Error(_)) | Stage::Gone => None,
        }
    }

    /// The next event of the server's end, which must be due; bytes are put in `chunk`.
    pub(super) fn input(&mut self, chunk: &mut Vec<u8>, medium: &mut Medium<'_>) -> Option<Input> {
        if let Stage::Arriving(_) = self.server.stage {
            self.server.stage = Stage::Open;
            return Some(Input::Accepted);
        }
        let max = if self.server.paused {
            self.server.leak
        } else {
            CHUNK_BYTES
        };
        let mut count = self.up.arrived(medium.now, max.min(CHUNK_BYTES));
        if count > 1 && medium.prng.chance(medium.faults.short_read_ppm) {
            count = 1 + medium.prng.index(count);
        }
        if count > 0 {
            self.up.take(count, chunk);
            self.server.leak = self.server.leak.saturating_sub(count);
            self.feed(medium);
            return Some(Input::Received);
        }
        let hangup = self.up.hangup(medium.now)?;
        self.server.stage = Stage::Hung(hangup);
        if let Hangup::Error(_) = hangup {
            self.drop_outbox();
        }
        Some(Input::Closed(hangup))
    }

    /// Gives the accepted connection its name.
    pub(super) fn set_conn(&mut self, conn: ConnId) {
        self.server.conn = conn;
    }

    /// Queues bytes of the server. They leave with the next `poll`.
    pub(super) fn queue(&mut self, bytes: Vec<u8>) {
        if let Stage::Hung(Hangup::Error(_)) = self.server.stage {
            return;
        }
        self.server.backlog += bytes.len();
        self.server.outbox.push_back(bytes);
    }

    /// Lets the kernel take what it can, and says whether `Drained` is due. Emptied buffers go to
    /// `spare`.
    pub(super) fn transmit(&mut self, spare: &mut Vec<Vec<u8>>, medium: &mut Medium<'_>) -> bool {
        let sends = matches!(
            self.server.stage,
            Stage::Open | Stage::Hung(Hangup::Eof) | Stage::Lingering(_)
        );
        if !sends {
            return false;
        }
        if self.server.backlog > 0 && self.server.send_at <= medium.now {
            let room = self.down.room(medium.now);
            let mut count = self.server.backlog.min(room);
            if medium.prng.chance(medium.faults.short_send_ppm) {
                count = medium.prng.index(count + 1);
            }
            self.hand_over(count, spare, medium);
            if self.server.backlog > 0 {
                medium.stats.partial_sends += 1;
                self.server.send_at = medium.arrival();
            }
        }
        if let Stage::Lingering(until) = self.server.stage {
            if self.server.backlog == 0 {
                self.finish(medium);
            } else if until <= medium.now || self.up.is_reset(medium.now) {
                self.abort(medium);
            }
            return false;
        }
        let drained = self.server.owes_drained && self.server.backlog == 0;
        self.server.owes_drained = self.server.backlog > 0;
        drained
    }

    /// Moves `count` bytes from the outbox to the network.
    fn hand_over(&mut self, mut count: usize, spare: &mut Vec<Vec<u8>>, medium: &mut Medium<'_>) {
        while count > 0 {
            let Some(first) = self.server.outbox.front() else {
                return;
            };
            let part = &first[self.server.offset..];
            let part = &part[..part.len().min(count)];
            let taken = if self.client.is_done() {
                // A socket that is closed answers bytes with a reset.
                self.up
                    .reset(medium.arrival() + medium.prng.within(medium.faults.delay_ns));
                part.len()
            } else {
                self.down.push(part, medium)
            };
            medium.trace.note(
                TraceKind::Taken,
                self.id,
                taken as u64,
                hash_bytes(&part[..taken]),
            );
            medium.stats.taken_bytes += taken as u64;
            let short = taken < part.len();
            self.server.offset += taken;
            self.server.backlog -= taken;
            count -= taken;
            if self.server.offset == first.len() {
                self.server.offset = 0;
                let emptied = self.server.outbox.pop_front();
                spare.extend(
                    emptied
                        .filter(|_| spare.len() < SPARE_MAX)
                        .map(|mut buffer| {
                            buffer.clear();
                            buffer
                        }),
                );
            }
            if short {
                if self.down.is_exhausted() {
                    self.sever(medium);
                }
                return;
            }
        }
    }

    /// Stops reading for the server; what has been received may still come.
    pub(super) fn pause(&mut self, medium: &mut Medium<'_>) {
        if !self.server.paused {
            self.server.paused = true;
            self.server.leak = 0;
            if medium.prng.chance(medium.faults.partial_poll_ppm) {
                self.server.leak = self.up.arrived(medium.now, CHUNK_BYTES);
            }
            self.server.alert = medium.prng.chance(500_000);
        }
    }

    /// Reads again for the server.
    pub(super) fn resume(&mut self) {
        self.server.paused = false;
    }

    /// Closes the server's end; its name is free from now on.
    pub(super) fn close(&mut self, mode: CloseMode, medium: &mut Medium<'_>) {
        let alive = matches!(self.server.stage, Stage::Open | Stage::Hung(Hangup::Eof));
        if alive && mode == CloseMode::Flush {
            let linger_ns = medium.prng.within(medium.faults.linger_ns);
            let until = medium.now.saturating_add(linger_ns);
            self.server.stage = Stage::Lingering(until);
        } else if alive {
            self.abort(medium);
        } else {
            self.gone();
        }
    }

    /// Everything queued has left: the client finds the end of file behind it.
    fn finish(&mut self, medium: &mut Medium<'_>) {
        self.down.end(medium);
        self.gone();
    }

    /// Ends the server's end at once. As in Linux, bytes that came and were not read turn the end of
    /// file into a reset.
    pub(super) fn abort(&mut self, medium: &mut Medium<'_>) {
        // After a reset nothing of ours reaches the client: it has caused or will find it itself.
        if self.up.arrived(medium.now, 1) > 0 {
            self.down.reset(medium.arrival());
        } else if !self.up.is_reset(medium.now) {
            self.down.end(medium);
        }
        self.gone();
    }

    /// The machine of the server is gone, or does not listen: the client finds a reset.
    pub(super) fn refuse(&mut self, medium: &mut Medium<'_>) {
        self.down.reset(medium.arrival());
        self.gone();
    }

    fn gone(&mut self) {
        self.server.stage = Stage::Gone;
        self.drop_outbox();
        self.up.discard();
        self.client.discard();
    }

    /// The client has read when there was no room: the server's kernel hears of it one way later.
    pub(super) fn open_window(&mut self, medium: &mut Medium<'_>) {
        if self.server.backlog > 0 {
            self.server.send_at = self.server.send_at.max(medium.arrival());
        }
    }

    fn drop_outbox(&mut self) {
        self.server.outbox = VecDeque::new();
        self.server.offset = 0;
        self.server.backlog = 0;
    }
}
