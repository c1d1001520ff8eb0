//! One connection as the front end knows it.
//!
//! Replies keep the order of the commands: `slots` holds one place per command that is not answered yet, or whose answer waits for
//! an earlier one; when it is empty, replies go straight to `out`. An idle client owns no buffer.

use std::collections::VecDeque;

use tessera_core::resp::{Parser, Proto};
use tessera_io::{ConnId, Peer};

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
    /// Not answered yet.
    Waiting,
    /// Not answered yet, and the answer is to be dropped.
    Muted,
    /// Answered: bytes of `Client::side`.
    Ready {
        /// Where they start.
        start: usize,
        /// How many.
        len: usize,
    },
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
    /// Not read, because it does not read its replies.
    pub(crate) paused: bool,
    /// In the list of clients with output of this turn.
    pub(crate) dirty: bool,
    /// Turn in which a command of this client last went into a batch.
    pub(crate) batched_turn: u64,
    /// Sequence number of the first slot.
    pub(crate) first_seq: u32,
    /// Replies owed.
    pub(crate) slots: VecDeque<Slot>,
    /// Replies that wait for earlier ones.
    pub(crate) side: Vec<u8>,
    /// Replies to send at the end of the turn.
    pub(crate) out: Vec<u8>,
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
            paused: false,
            dirty: false,
            batched_turn: 0,
            first_seq: 0,
            slots: VecDeque::new(),
            side: Vec::new(),
            out: Vec::new(),
            query: Vec::new(),
            parser: Parser::new(),
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
        self.out.len() + self.side.len()
    }

    /// Bytes on the heap, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.query.capacity() + self.out.capacity() + self.side.capacity()
            + self.slots.capacity() * size_of::<Slot>()
    }
}
