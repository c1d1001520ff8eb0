//! Replies that wait for the disk: with `appendfsync always` nothing leaves that shows a change which a crash could still take back.
//!
//! A reply waits until the log is on the disk up to where it had been handed over, by whomever, when the reply was ready: what it shows is before that. Positions only
//! grow, so replies leave in the order in which they came. And commands that wait, as too many records do. docs/design/log.md.

use std::collections::VecDeque;

use tessera_core::resp::Chain;
use tessera_io::{CloseMode, ConnId};

use crate::front::Front;

/// Bytes for a client.
pub(crate) struct Withheld {
    position: u64,
    pub(crate) conn: ConnId,
    pub(crate) bytes: Vec<u8>,
    /// The connection ends behind them.
    pub(crate) closes: bool,
}

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Gate {
    withheld: VecDeque<Withheld>,
    /// Clients of WAITAOF: the position, and the slot.
    waiters: VecDeque<(u64, ConnId, u32)>,
    /// Whether this shard has seen that the log cannot be written: since then it refuses what writes.
    pub(super) knows_failure: bool,
    /// Clients with commands under way when it saw that.
    lost: Vec<ConnId>,
    /// Clients whose next command waits until the disk has caught up.
    pub(super) behind: Vec<ConnId>,
}

impl Front {
    /// Up to where a reply has to wait that is ready now.
    #[inline]
    pub(crate) fn must_wait(&self) -> Option<u64> {
        let log = &self.shared.log;
        let position = log.must_wait();
        if position.is_none() && !self.gate.knows_failure && log.has_failed() && log.promises() {
            // It failed in this turn, in which commands that write were still carried out.
            return Some(log.handed());
        }
        position
    }

    /// The log has failed, or has been made good. Nobody knows what becomes of commands that were under way when it failed: their clients are told nothing.
    #[cold]
    pub(super) fn learn_of_failure(&mut self, has_failed: bool) {
        self.gate.knows_failure = has_failed;
        if !has_failed || !self.shared.log.promises() {
            return;
        }
        let unanswered = self.clients.iter().filter(|it| !it.slots.is_empty());
        self.gate.lost = unanswered.map(|client| client.conn).collect();
    }

    /// Takes up those who waited for the disk, if it has caught up.
    pub(super) fn look_at_behind(&mut self) {
        if !self.gate.behind.is_empty() && !self.is_behind {
            self.held.append(&mut self.gate.behind);
        }
    }

    /// Whether something of this client waits.
    pub(crate) fn is_withheld(&self, conn: ConnId) -> bool {
        self.gate.withheld.iter().any(|it| it.conn == conn)
    }

    /// Keeps bytes back.
    pub(crate) fn withhold(&mut self, position: u64, conn: ConnId, bytes: Vec<u8>, closes: bool) {
        self.gate.withheld.push_back(Withheld {
            position,
            conn,
            bytes,
            closes,
        });
    }

    /// Keeps the pieces of long replies back.
    pub(crate) fn withhold_long(&mut self, position: u64, conn: ConnId, long: Chain) {
        for piece in long.into_pieces() {
            self.withhold(position, conn, piece, false);
        }
    }

    /// The next bytes that may leave.
    pub(crate) fn next_released(&mut self) -> Option<Withheld> {
        let first = self.gate.withheld.front()?;
        match first.position <= self.shared.log.durable() {
            true => self.gate.withheld.pop_front(),
            false => None,
        }
    }

    /// Clients of whose commands nobody knows any more whether they will last: the log could not be written.
    pub(crate) fn next_lost(&mut self) -> Option<ConnId> {
        if let Some(conn) = self.gate.lost.pop() {
            return Some(conn);
        }
        if self.gate.withheld.is_empty() || !self.shared.log.has_failed() {
            return None;
        }
        self.gate.withheld.pop_front().map(|it| it.conn)
    }

    /// A client waits until what has been handed over is on the disk.
    pub(crate) fn wait_for_disk(&mut self, conn: ConnId, seq: u32) {
        let position = self.shared.log.handed();
        self.gate.waiters.push_back((position, conn, seq));
    }

    /// Answers those who have waited long enough.
    pub(super) fn answer_disk_waiters(&mut self) {
        while let Some(&(position, conn, seq)) = self.gate.waiters.front() {
            if position > self.shared.log.durable() {
                return;
            }
            self.gate.waiters.pop_front();
            self.end_disk_wait(conn, seq);
        }
    }

    /// Whether something waits for the disk. The shard is woken when that may have come, unless it has come already.
    pub(super) fn awaits_disk(&self) -> bool {
        let log = &self.shared.log;
        let replies = self.gate.withheld.front().map(|it| it.position);
        let waiters = self.gate.waiters.front().map(|it| it.0);
        let Some(position) = replies.into_iter().chain(waiters).min() else {
            return false;
        };
        log.ask_wake(self.id);
        log.durable() >= position || replies.is_some() && log.has_failed()
    }

    /// The driver ends a client. Says whether what it has still to get waits for the disk; then so does the end.
    pub(crate) fn withholds_end(&mut self, conn: ConnId, mode: CloseMode) -> bool {
        if mode != CloseMode::Flush {
            return false;
        }
        let position = self.must_wait();
        let position =
            position.or_else(|| self.is_withheld(conn).then(|| self.shared.log.handed()));
        let Some(position) = position else {
            return false;
        };
        let Some(client) = self.clients.get_mut(conn) else {
            return false;
        };
        let long = client.take_long();
        let bytes = std::mem::take(&mut client.out);
        self.withhold_long(position, conn, long);
        self.withhold(position, conn, bytes, true);
        true
    }
}
