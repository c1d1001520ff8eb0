//! `ClientEnd`: the client's end of a link, which a test holds by a `SimClient`.
//!
//! Invariants: bytes go to the network in the order given, as far as it has room; an end of file
//! follows the last of them; after `client_close` or `client_reset` the client takes no part any
//! more. Called by `client`; `link` calls `feed` when the server has made room by reading.

use std::collections::VecDeque;

use super::link::{Link, Stage};
use super::pipe::Medium;
use super::trace::{TraceKind, hash_bytes};
use crate::env::Hangup;

/// The client's end.
#[derive(Debug)]
pub(super) struct ClientEnd {
    /// What the network has not taken yet.
    outbox: VecDeque<u8>,
    reading: bool,
    /// An end of file follows the last byte of `outbox`.
    ending: bool,
    /// Closed or reset by the test.
    done: bool,
}

impl ClientEnd {
    /// A client that has just connected.
    pub(super) fn new() -> Self {
        Self {
            outbox: VecDeque::new(),
            reading: true,
            ending: false,
            done: false,
        }
    }

    /// Whether the test closed or reset it.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Drops what was not sent.
    pub(super) fn discard(&mut self) {
        self.outbox = VecDeque::new();
    }
}

impl Link {
    /// How the server or the network ended the connection, as far as the client has found out.
    pub(super) fn client_hangup(&self, now: u64) -> Option<Hangup> {
        self.down.hangup(now)
    }

    /// Whether the test closed the client.
    pub(super) fn is_client_done(&self) -> bool {
        self.client.done
    }

    /// Queues bytes of the client and sends what the network takes.
    pub(super) fn client_send(&mut self, bytes: &[u8], medium: &mut Medium<'_>) {
        let deaf = self.client.ending || self.client.done || self.stage() == Stage::Gone;
        if deaf || self.down.is_reset(medium.now) {
            return;
        }
        self.client.outbox.extend(bytes);
        self.feed(medium);
    }

    /// Sends what the client has queued as far as there is room.
    pub(super) fn feed(&mut self, medium: &mut Medium<'_>) {
        while !self.client.outbox.is_empty() && self.up.room(medium.now) > 0 {
            let taken = self.up.push(self.client.outbox.as_slices().0, medium);
            self.client.outbox.drain(..taken);
            if self.up.is_exhausted() {
                self.client.outbox.clear();
                self.sever(medium);
                return;
            }
        }
        // Where bytes were lost, the end of file behind them is lost as well.
        if self.client.ending && self.client.outbox.is_empty() && !self.up.is_exhausted() {
            self.up.end(medium);
        }
    }

    /// Bytes which the client has queued and the network has not taken.
    pub(super) fn unsent(&self) -> usize {
        self.client.outbox.len()
    }

    /// How many bytes the client could read now.
    pub(super) fn readable(&self, now: u64) -> usize {
        if self.client.reading && !self.client.done {
            self.down.arrived(now, usize::MAX)
        } else {
            0
        }
    }

    /// Reads what has arrived at the client.
    pub(super) fn client_receive(&mut self, out: &mut Vec<u8>, medium: &mut Medium<'_>) -> usize {
        let count = self.readable(medium.now);
        if count > 0 {
            let start = out.len();
            let full = self.down.room(medium.now) == 0;
            self.down.take(count, out);
            let hash = hash_bytes(&out[start..]);
            medium
                .trace
                .note(TraceKind::ClientRead, self.id, count as u64, hash);
            if full {
                self.open_window(medium);
            }
        }
        count
    }

    /// Stops or starts reading at the client.
    pub(super) fn set_reading(&mut self, reading: bool) {
        self.client.reading = reading;
    }

    /// The client sends no more, but reads on.
    pub(super) fn client_shutdown(&mut self, medium: &mut Medium<'_>) {
        if !self.client.done {
            self.client.ending = true;
            self.feed(medium);
        }
    }

    /// The client closes: an end of file follows what the network has taken; a reset does when
    /// replies have arrived unread, as in Linux.
    pub(super) fn client_close(&mut self, medium: &mut Medium<'_>) {
        if self.client.done {
            return;
        }
        if self.down.arrived(medium.now, 1) > 0 {
            self.client_reset(medium);
            return;
        }
        self.client.outbox = VecDeque::new();
        if !self.up.is_exhausted() {
            self.up.end(medium);
        }
        self.leave();
    }

    /// The client resets: what is on its way may be lost.
    pub(super) fn client_reset(&mut self, medium: &mut Medium<'_>) {
        if !self.client.done {
            self.client.outbox = VecDeque::new();
            self.up.reset(medium.arrival());
            self.leave();
        }
    }

    fn leave(&mut self) {
        self.client.done = true;
        // Nobody reads any more: bytes on their way must not hold up the sender.
        self.down.discard();
    }

    /// When something next arrives at the client, read or not, after `now`.
    pub(super) fn client_next_after(&self, now: u64) -> Option<u64> {
        if self.client.done {
            None
        } else {
            self.down.next_after(now)
        }
    }
}
