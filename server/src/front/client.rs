//! One connection as the front end knows it.
//!
//! Replies keep the order of the commands: `slots` holds one place per command that is not answered yet, or whose answer waits for
//! an earlier one; when it is empty, replies go straight to `out`. An idle client owns no buffer.

use std::collections::{BTreeSet, VecDeque};

use tessera_core::resp::{Chain, OUT_OF_MEMORY, Parser, Proto, try_append};
use tessera_io::{ConnId, Peer};
use tessera_shards::coordinator::Said;

use crate::front::blocked::Blocked;
use crate::front::exec::Exec;
use crate::front::long::Long;
use crate::front::share::Share;
use crate::front::transaction::Transaction;
use crate::front::{Listens, Mode};

/// Reply bytes not yet handed to the kernel above which a client's next command waits.
pub(crate) const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Unanswered commands above which a client's next command waits: at the start, and when its replies have shown to be small.
const IN_FLIGHT_START: usize = 64;
const IN_FLIGHT_MAX: usize = 1024;
/// A reply above which fewer commands may be unanswered, so that replies which are on their way together stay bounded.
const REPLY_BYTES_LARGE: usize = 16 * 1024;
/// What a client keeps of its buffers when it is idle.
const SIDE_BYTES_KEPT: usize = 4096;
const SLOTS_KEPT: usize = 64;
/// A watched key beside its name: here and with its owner, about.
const WATCHED_BYTES: usize = 160;

/// CLIENT REPLY.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReplyMode {
    /// Replies are sent.
    #[default]
    On,
    /// None is.
    Off,
    /// The reply of the next command is not sent.
    SkipNext,
}

/// The place of one reply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot {
    /// Not answered yet: the number of its command.
    Waiting(u16),
    /// Not answered yet, and the answer is to be dropped.
    Muted,
    /// Answered: bytes of `Client::side`.
    Ready {
        /// Where they start.
        start: usize,
        /// How many.
        len: usize,
    },
    /// Answered: a reply in `Client::long`.
    Long,
}

/// State of one connection.
pub struct Client {
    /// CLIENT ID: unique on the node, rising.
    pub id: u64,
    /// Name in the reactor.
    pub conn: ConnId,
    /// The other end.
    pub peer: Peer,
    /// When it was accepted, wall clock, milliseconds.
    pub created_ms: u64,
    /// When it last sent bytes, wall clock, milliseconds.
    pub last_ms: u64,
    /// SELECTed database.
    pub db: usize,
    /// HELLO.
    pub proto: Proto,
    /// Whether AUTH succeeded or is not needed.
    pub authenticated: bool,
    /// CLIENT SETNAME.
    pub name: Box<[u8]>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Box<[u8]>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_ver: Box<[u8]>,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// CLIENT NO-EVICT.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// The last command, as CLIENT LIST shows it: number in the registry, and the subcommand's index in its row.
    pub last_command: Option<(u16, Option<u16>)>,
    /// Bytes received.
    pub net_in_bytes: u64,
    /// Reply bytes sent.
    pub net_out_bytes: u64,
    /// No further command is taken; the connection ends when all replies have left.
    pub(crate) closing: bool,
    /// It sent its last byte: the connection ends when all replies have left.
    pub(crate) half_closed: bool,
    /// Not read, because it does not read its replies.
    pub(crate) paused: bool,
    /// Whole frames wait in `query` until replies have left, or for the next turn.
    pub(crate) stalled: bool,
    /// What it has had of this turn.
    pub(super) share: Share,
    /// It is in `Driver::behind`.
    pub(crate) is_behind: bool,
    /// What it listens to.
    pub(crate) listens: Option<Box<Listens>>,
    /// It sees all commands.
    pub(crate) is_monitor: bool,
    /// Its next command waits until a pause is over.
    pub(crate) is_postponed: bool,
    /// How it tracks keys, if it does.
    pub(crate) tracking: Option<Box<Mode>>,
    /// Messages that must not go before a reply, each with the sequence number of that reply.
    late: VecDeque<(u32, Vec<u8>)>,
    /// Bytes of these.
    late_bytes: usize,
    /// A key that it waits for.
    pub(crate) blocked: Option<Box<Blocked>>,
    /// Between MULTI and EXEC: what it has said.
    pub(crate) transaction: Option<Box<Transaction>>,
    /// Transactions that run, in the order of their slots.
    pub(crate) execs: VecDeque<Exec>,
    /// Its next command waits for a transaction that runs.
    pub(crate) is_waiting: bool,
    /// Its next command waits for all replies: a command is under way that may turn out to need keys which no argument names.
    pub(crate) is_open: bool,
    /// Whether some shard watches keys for it.
    pub(crate) is_watching: bool,
    /// The keys it watches, with their databases.
    watched: BTreeSet<(usize, Box<[u8]>)>,
    /// Bytes of these.
    watched_bytes: usize,
    /// Since when more output waits than the soft limit allows, on the clock of `Front::now_ns`.
    pub(crate) above_soft_since_ns: Option<u64>,
    /// Since when replies wait for later ones, on the clock of `Front::now_ns`.
    pub(crate) held_since_ns: Option<u64>,
    /// In the list of clients with output of this turn.
    pub(crate) dirty: bool,
    /// Turn in which a command of this client last went into a batch.
    pub(crate) batched_turn: u64,
    /// The target of that command.
    pub(crate) batched_target: usize,
    /// Sequence number of the first slot.
    pub(crate) first_seq: u32,
    /// Unanswered commands it may have.
    in_flight_max: usize,
    /// Replies owed.
    pub(crate) slots: VecDeque<Slot>,
    /// Replies that wait for earlier ones.
    pub(crate) side: Vec<u8>,
    /// Replies to send at the end of the turn.
    pub(crate) out: Vec<u8>,
    /// Long replies, those to send before `out` and those that wait.
    pub(crate) long: Option<Box<Long>>,
    /// Received bytes of a frame whose end has not come.
    pub(crate) query: Vec<u8>,
    /// Where the parser stands in `query`.
    pub(crate) parser: Parser,
}

impl Client {
    /// A client that was accepted just now.
    #[must_use]
    pub fn new(id: u64, conn: ConnId, peer: Peer, now_ms: u64, authenticated: bool) -> Self {
        Client {
            id,
            conn,
            peer,
            created_ms: now_ms,
            last_ms: now_ms,
            db: 0,
            proto: Proto::Resp2,
            authenticated,
            name: Box::default(),
            lib_name: Box::default(),
            lib_ver: Box::default(),
            reply_mode: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            last_command: None,
            net_in_bytes: 0,
            net_out_bytes: 0,
            closing: false,
            half_closed: false,
            paused: false,
            stalled: false,
            share: Share::default(),
            is_behind: false,
            listens: None,
            is_monitor: false,
            is_postponed: false,
            tracking: None,
            late: VecDeque::new(),
            blocked: None,
            transaction: None,
            execs: VecDeque::new(),
            is_waiting: false,
            is_open: false,
            is_watching: false,
            watched: BTreeSet::new(),
            watched_bytes: 0,
            late_bytes: 0,
            above_soft_since_ns: None,
            held_since_ns: None,
            dirty: false,
            batched_turn: 0,
            batched_target: 0,
            first_seq: 0,
            in_flight_max: IN_FLIGHT_START,
            slots: VecDeque::new(),
            side: Vec::new(),
            out: Vec::new(),
            long: None,
            query: Vec::new(),
            parser: Parser::new(),
        }
    }

    /// Sequence number of the next slot.
    #[inline]
    pub(crate) fn next_seq(&self) -> u32 {
        self.first_seq.wrapping_add(self.slots.len() as u32)
    }

    /// Whether the client may have another command carried out now: its replies are not piling up.
    #[inline]
    pub(crate) fn may_run(&self) -> bool {
        self.out.len() + self.side.len() + self.long_bytes() <= OUTPUT_BYTES_MAX
            && self.slots.len() < self.in_flight_max
            && !self.is_waiting
            && !self.is_open
            && !self.is_postponed
    }

    /// Whether nothing more will come for this client, so that the connection can end once `out` has left.
    pub(crate) fn is_finished(&self) -> bool {
        (self.closing || self.half_closed && !self.stalled) && self.slots.is_empty()
    }

    /// Drops all replies, those to come too.
    pub(crate) fn forget_replies(&mut self) {
        self.first_seq = self.next_seq();
        self.is_open = false;
        self.slots.clear();
        self.side.clear();
        self.late.clear();
        self.late_bytes = 0;
        self.out.clear();
        self.long = None;
    }

    /// Whether a transaction of its is under way that will end its watching, where its keys are.
    pub(crate) fn asks_for_watched(&self) -> bool {
        self.execs.iter().any(Exec::asks_for_watched)
    }

    /// Notes a key that it watches. Says no if it did already.
    pub(crate) fn remember_watched(&mut self, db: usize, key: &[u8]) -> bool {
        let is_new = self.watched.insert((db, key.into()));
        if is_new {
            self.watched_bytes += key.len() + WATCHED_BYTES;
        }
        is_new
    }

    /// The keys that it watched; it is to watch none.
    pub(crate) fn forget_watched(&mut self) -> BTreeSet<(usize, Box<[u8]>)> {
        self.watched_bytes = 0;
        std::mem::take(&mut self.watched)
    }

    /// A reply that is known now but may have to wait for earlier ones. Empty bytes are no reply.
    pub(crate) fn reply_now(&mut self, bytes: &[u8]) {
        let is_first = self.slots.is_empty();
        if bytes.is_empty() {
            return;
        }
        let start = self.side.len();
        let buffer = if is_first {
            &mut self.out
        } else {
            &mut self.side
        };
        if !put(buffer, bytes) {
            self.give_up();
        } else if !is_first {
            let len = self.side.len() - start;
            self.slots.push_back(Slot::Ready { start, len });
        }
    }

    /// A reply is lost, and with it the order of all that follow: the connection cannot go on.
    #[cold]
    fn give_up(&mut self) {
        tracing::warn!("Closing client id={}: no memory for its replies", self.id);
        self.closing = true;
        self.forget_replies();
    }

    /// A message that answers no command. In RESP3 it may go before replies that are owed; in RESP2 a client could not tell it from them.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.proto == Proto::Resp3 {
            if !put(&mut self.out, bytes) {
                self.give_up();
            }
        } else {
            self.reply_now(bytes);
        }
    }

    /// A message that answers no command, behind all replies that are owed now: what it says is news only to who has them. A client that waits for a key
    /// gets it at once, behind what came before. RESP3 only.
    pub(crate) fn push_behind(&mut self, bytes: Vec<u8>) {
        let owed = self.slots.len() - usize::from(self.blocked.is_some() && !self.slots.is_empty());
        if owed > 0 {
            let last = self.first_seq.wrapping_add(owed as u32 - 1);
            self.late_bytes += bytes.len();
            self.late.push_back((last, bytes));
        } else if !put(&mut self.out, &bytes) {
            self.give_up();
        }
    }

    /// The reply to the command with this sequence number has come. Moves all replies whose turn it is to `out`. Returns the
    /// command's number, unless nobody waits for this reply.
    pub(crate) fn fill(&mut self, seq: u32, bytes: &[u8]) -> Option<u16> {
        let place = seq.wrapping_sub(self.first_seq) as usize;
        let slot = self.slots.get_mut(place)?;
        let command = match slot {
            Slot::Waiting(command) => Some(*command),
            Slot::Muted | Slot::Ready { .. } | Slot::Long => None,
        };
        let is_muted = matches!(slot, Slot::Muted);
        self.bound_in_flight(bytes.len());
        if place > 0 {
            let start = self.side.len();
            if !is_muted && !put(&mut self.side, bytes) {
                self.give_up();
                return command;
            }
            let len = self.side.len() - start;
            self.slots[place] = Slot::Ready { start, len };
            return command;
        }
        if !is_muted && !put(&mut self.out, bytes) {
            self.give_up();
            return command;
        }
        self.pop_slot();
        loop {
            let is_put = match self.slots.front().copied() {
                Some(Slot::Ready { start, len }) => {
                    put(&mut self.out, &self.side[start..start + len])
                }
                Some(Slot::Long) => self.release_long(),
                _ => break,
            };
            if !is_put {
                self.give_up();
                return command;
            }
            self.pop_slot();
        }
        if self.slots.is_empty() {
            self.is_open = false;
            self.side.clear();
            if self.side.capacity() > SIDE_BYTES_KEPT {
                self.side = Vec::new();
            }
            if self.slots.capacity() > SLOTS_KEPT {
                self.slots = VecDeque::new();
            }
            if bytes.len() <= REPLY_BYTES_LARGE {
                self.in_flight_max = (self.in_flight_max * 2).min(IN_FLIGHT_MAX);
            }
        }
        command
    }

    /// The same of any reply.
    pub(crate) fn fill_said(&mut self, seq: u32, reply: Said<'_>) -> Option<u16> {
        match reply {
            Said::Short(bytes) => self.fill(seq, bytes),
            Said::Long(chain) => self.fill_long(seq, chain),
        }
    }

    /// The same of a reply in pieces, which are not copied.
    #[cold]
    fn fill_long(&mut self, seq: u32, reply: Chain) -> Option<u16> {
        let place = seq.wrapping_sub(self.first_seq) as usize;
        let slot = self.slots.get_mut(place)?;
        let Slot::Waiting(command) = *slot else {
            return self.fill(seq, b"");
        };
        self.bound_in_flight(reply.len());
        if place > 0 {
            self.slots[place] = Slot::Long;
            self.long.get_or_insert_default().keep(seq, reply);
            return Some(command);
        }
        if !self.put_long(reply) {
            self.give_up();
            return Some(command);
        }
        self.fill(seq, b"")
    }

    /// The turn of the first slot's long reply has come.
    #[cold]
    fn release_long(&mut self) -> bool {
        let seq = self.first_seq;
        let long = self.long.get_or_insert_default();
        let reply = long.release(seq);
        self.put_long(reply)
    }

    /// Puts a long reply behind what has to be sent.
    fn put_long(&mut self, reply: Chain) -> bool {
        let before = std::mem::take(&mut self.out);
        self.long.get_or_insert_default().put(before, reply)
    }

    /// The long replies that have to be sent before `out`.
    #[cold]
    pub(crate) fn take_long(&mut self) -> Chain {
        let Some(long) = &mut self.long else {
            return Chain::default();
        };
        let (ready, is_all) = long.take();
        if is_all {
            self.long = None;
        }
        ready
    }

    #[inline]
    fn long_bytes(&self) -> usize {
        self.long.as_ref().map_or(0, |long| long.bytes())
    }

    /// Large replies on their way together stay bounded.
    fn bound_in_flight(&mut self, bytes: usize) {
        if bytes > REPLY_BYTES_LARGE {
            let most = (OUTPUT_BYTES_MAX / bytes).max(1);
            self.in_flight_max = self.in_flight_max.min(most);
        }
    }

    fn pop_slot(&mut self) {
        self.slots.pop_front();
        let popped = self.first_seq;
        self.first_seq = popped.wrapping_add(1);
        while self.late.front().is_some_and(|(seq, _)| *seq == popped) {
            let Some((_, bytes)) = self.late.pop_front() else {
                return;
            };
            self.late_bytes -= bytes.len();
            if !put(&mut self.out, &bytes) {
                return self.give_up();
            }
        }
    }

    /// Bytes of received input that wait for the rest of their frame.
    #[must_use]
    pub fn query_bytes(&self) -> usize {
        self.query.len()
    }

    /// Bytes of replies that have not been handed to the reactor.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        self.out.len() + self.side.len() + self.late_bytes + self.long_bytes()
    }

    /// Bytes on the heap, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.query.capacity()
            + self.out.capacity()
            + self.side.capacity()
            + self.late_bytes
            + self.late.capacity() * size_of::<(u32, Vec<u8>)>()
            + self.slots.capacity() * size_of::<Slot>()
            + self.long.as_ref().map_or(0, |long| long.memory().0)
            + self.watched_bytes
            + self.listens.as_ref().map_or(0, |listens| listens.bytes())
            + self.transaction.as_ref().map_or(0, |queued| queued.bytes)
    }
}

/// Appends a reply, or the error for lack of memory in its place. Says false when there is none even for that.
#[inline]
pub(super) fn put(buffer: &mut Vec<u8>, reply: &[u8]) -> bool {
    try_append(buffer, reply) || try_append(buffer, OUT_OF_MEMORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client::new(
            1,
            ConnId {
                index: 0,
                generation: 0,
            },
            Peer::Unix {
                path: String::new(),
            },
            0,
            true,
        )
    }

    #[test]
    fn replies_keep_the_order_of_their_commands() {
        let mut client = client();
        client.reply_now(b"a");
        let second = client.next_seq();
        client.slots.push_back(Slot::Waiting(0));
        client.reply_now(b"c");
        let fourth = client.next_seq();
        client.slots.push_back(Slot::Waiting(0));
        let fifth = client.next_seq();
        client.slots.push_back(Slot::Muted);
        client.reply_now(b"f");
        assert_eq!(client.out, b"a");
        client.fill(fourth, b"d");
        client.fill(fifth, b"e");
        assert_eq!(client.out, b"a");
        client.fill(second, b"b");
        assert_eq!(client.out, b"abcdf");
        assert!(client.slots.is_empty());
        assert_eq!(client.next_seq(), 5);
    }

    #[test]
    fn news_comes_behind_what_is_owed() {
        let mut client = client();
        client.push_behind(b"a".to_vec());
        let first = client.next_seq();
        client.slots.push_back(Slot::Waiting(0));
        let second = client.next_seq();
        client.slots.push_back(Slot::Waiting(0));
        client.push_behind(b"news".to_vec());
        client.reply_now(b"d");
        client.fill(second, b"c");
        assert_eq!(client.out, b"a");
        client.fill(first, b"b");
        assert_eq!(client.out, b"abcnewsd");
    }

    #[test]
    fn long_replies_keep_their_place_and_their_pieces() {
        let mut client = client();
        let long = |byte: u8| {
            let mut chain = Chain::default();
            chain.append(&vec![byte; 300_000]);
            chain
        };
        client.reply_now(b"a");
        let first = client.next_seq();
        client.slots.push_back(Slot::Waiting(1));
        let second = client.next_seq();
        client.slots.push_back(Slot::Waiting(2));
        client.reply_now(b"d");
        let muted = client.next_seq();
        client.slots.push_back(Slot::Muted);
        let last = client.next_seq();
        client.slots.push_back(Slot::Waiting(4));
        let (b, c, f) = (long(b'b'), long(b'c'), long(b'f'));
        let addresses = |chains: [&Chain; 3]| {
            let pieces = chains.into_iter().flat_map(Chain::pieces);
            pieces.map(<[u8]>::as_ptr).collect::<Vec<_>>()
        };
        let made = addresses([&b, &c, &f]);
        assert_eq!(client.fill_said(last, Said::Long(f)), Some(4));
        assert_eq!(client.fill_said(second, Said::Long(c)), Some(2));
        assert_eq!(client.out, b"a");
        assert!(!client.may_run() || client.output_bytes() < OUTPUT_BYTES_MAX);
        assert!(client.memory_bytes() > 600_000 && client.output_bytes() == 600_002);
        assert_eq!(client.fill_said(first, Said::Long(b)), Some(1));
        assert_eq!(client.fill_said(muted, Said::Long(long(b'e'))), None);
        assert!(client.slots.is_empty());
        let sent = client.take_long();
        let kept = sent.pieces().map(<[u8]>::as_ptr);
        let kept = kept.filter(|piece| made.contains(piece)).count();
        assert_eq!(kept, made.len(), "no piece was copied");
        let mut expected = b"a".to_vec();
        for byte in *b"bc" {
            expected.extend(vec![byte; 300_000]);
        }
        expected.push(b'd');
        expected.extend(vec![b'f'; 300_000]);
        assert!(sent.into_bytes() == expected);
        assert!(client.out.is_empty() && client.long.is_none());
        assert_eq!(client.output_bytes(), 0);
    }

    #[test]
    fn a_late_reply_to_nobody_is_dropped() {
        let mut client = client();
        client.fill(3, b"x");
        assert!(client.out.is_empty());
    }
}
