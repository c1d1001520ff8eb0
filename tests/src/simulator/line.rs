//! `Line`: one connection at its client's end: commands out, replies in, one for one and in order.
//!
//! Invariant: replies are matched with commands by their order alone, as a real client must do it, so a reply that is lost,
//! doubled or sent to somebody else makes all that follow wrong. What is wrong with the stream itself, the line
//! says at once; the replies are for the judges.

use std::collections::VecDeque;

use tessera_core::resp::{Skipper, parse_reply};
use tessera_io::Hangup;
use tessera_io::sim::{SimClient, World};

use super::command::{Command, Verb};
use super::history::History;
use super::reply::Reply;
use super::transaction::{Role, Transaction};

/// A connection.
pub struct Line {
    end: SimClient,
    client: usize,
    /// Its number in the history of this epoch.
    connection: usize,
    /// The database selected by what was sent.
    db: usize,
    transaction: Transaction,
    /// What the server calls it, once it is known.
    id: Option<i64>,
    /// Operations without a reply.
    waiting: VecDeque<usize>,
    /// Bytes received, and how many of them have been understood.
    bytes: Vec<u8>,
    understood: usize,
    skipper: Skipper,
    is_reading: bool,
    /// It has sent its last byte and waits for its end.
    is_leaving: bool,
    /// It left while it perhaps waited for a key: then nobody need answer.
    may_be_left: bool,
}

/// How a client leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Farewell {
    /// Sends an end of file and waits for all replies.
    Shutdown,
    /// Closes.
    Close,
    /// Resets.
    Reset,
}

impl Line {
    /// A new connection of a client to a shard.
    #[must_use]
    pub fn connect(client: usize, shard: usize, world: &World, history: &mut History) -> Self {
        Self {
            end: world.connect(shard),
            client,
            connection: history.connect(client, shard),
            db: 0,
            transaction: Transaction::default(),
            id: None,
            waiting: VecDeque::new(),
            bytes: Vec::new(),
            understood: 0,
            skipper: Skipper::new(),
            is_reading: true,
            is_leaving: false,
            may_be_left: false,
        }
    }

    /// Takes part in the history of a new epoch.
    pub fn enlist(&mut self, history: &mut History) {
        self.connection = history.connect(self.client, self.end.shard());
        history.connections[self.connection].id = self.id;
    }

    /// The shard at the other end.
    #[must_use]
    pub fn shard(&self) -> usize {
        self.end.shard()
    }

    /// Its number in the history.
    #[must_use]
    pub fn connection(&self) -> usize {
        self.connection
    }

    /// The database that the next command is for.
    #[must_use]
    pub fn db(&self) -> usize {
        self.db
    }

    /// What it has said since MULTI.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The command with which it waits for a key, if that is what keeps it.
    #[must_use]
    pub fn stuck_with(&self, history: &History) -> Option<usize> {
        let first = *self.waiting.front()?;
        let operation = &history.operations[first];
        let may_wait = operation.command.verb.blocks() && operation.role == Role::Plain;
        (may_wait && self.is_reading).then_some(first)
    }

    /// Operations without a reply.
    #[must_use]
    pub fn waiting(&self) -> &VecDeque<usize> {
        &self.waiting
    }

    /// Whether the client reads what comes.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// Whether no more can be sent.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Bytes received beyond the last whole reply.
    #[must_use]
    pub fn torn_bytes(&self) -> usize {
        self.bytes.len() - self.understood
    }

    // ---- sending ---------------------------------------------------------------------------

    /// Notes that a command is sent and writes it to `bytes`. Returns its operation.
    pub fn invoke(
        &mut self,
        command: Command,
        bytes: &mut Vec<u8>,
        history: &mut History,
    ) -> usize {
        command.encode(bytes);
        let role = self.transaction.note(&command);
        let selects = command.verb == Verb::Select && role == Role::Plain;
        let selected = selects.then(|| command.database(0));
        let operation = history.invoke(self.connection, self.db, command, role);
        self.waiting.push_back(operation);
        if let Some(db) = selected.flatten() {
            self.db = db;
        }
        operation
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.end.send(bytes);
    }

    /// Stops or starts reading.
    pub fn set_reading(&mut self, reads: bool) {
        self.is_reading = reads;
        if reads {
            self.end.start_reading();
        } else {
            self.end.stop_reading();
        }
    }

    /// Leaves. After all but a shutdown the line is to be dropped.
    pub fn leave(&mut self, how: Farewell, history: &History) {
        let may_wait = |operation: &usize| history.operations[*operation].command.verb.blocks();
        self.may_be_left = self.waiting.iter().any(may_wait);
        match how {
            Farewell::Shutdown => {
                self.is_leaving = true;
                self.end.shutdown();
            }
            Farewell::Close => self.end.close(),
            Farewell::Reset => self.end.reset(),
        }
    }

    // ---- receiving -------------------------------------------------------------------------

    /// Reads what has come. Appends the operations that were answered, and when, to `heard`.
    ///
    /// # Errors
    /// What is wrong with what has come.
    pub fn receive(
        &mut self,
        history: &mut History,
        heard: &mut Vec<(usize, u64)>,
    ) -> Result<(), String> {
        if self.end.receive_into(&mut self.bytes) == 0 {
            return Ok(());
        }
        loop {
            let rest = &self.bytes[self.understood..];
            let whole = self.skipper.end(rest);
            let Some(length) = whole.map_err(|error| self.complain(&error.to_string()))? else {
                break;
            };
            let reply = match parse_reply(&rest[..length]) {
                Ok(Some((value, used))) if used == length => Reply::of(&value),
                other => return Err(self.complain(&format!("not a reply: {other:?}"))),
            };
            self.understood += length;
            let Some(operation) = self.waiting.pop_front() else {
                return Err(self.complain(&format!("a reply to no command: {reply}")));
            };
            if history.operations[operation].command.verb == Verb::Identity
                && let Reply::Integer(id) = reply
            {
                self.id = Some(id);
                history.connections[self.connection].id = Some(id);
            }
            heard.push((operation, history.answer(operation, reply)));
        }
        if self.understood == self.bytes.len() {
            self.bytes.clear();
            self.understood = 0;
        }
        Ok(())
    }

    /// Whether the connection has come to its end.
    ///
    /// # Errors
    /// When it should not have.
    pub fn has_ended(&self) -> Result<bool, String> {
        let hangup = self.end.hangup();
        // A network that cuts a connection is a reset at both ends.
        if hangup == Some(Hangup::Eof) {
            if self.is_leaving && self.may_be_left {
                return Ok(true);
            }
            if !self.waiting.is_empty() || self.torn_bytes() > 0 {
                let count = self.waiting.len();
                let text = format!("the server closed with {count} commands unanswered");
                return Err(self.complain(&text));
            }
            if !self.is_leaving {
                return Err(self.complain("the server closed for no reason"));
            }
        }
        Ok(hangup.is_some())
    }

    fn complain(&self, text: &str) -> String {
        format!("client{} conn{}: {text}", self.client, self.connection)
    }
}
