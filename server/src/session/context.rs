//! What a session command works with, and what it may leave to the driver.

use std::sync::Arc;

use tessera_core::resp::Reply;
use tessera_io::{ConnId, Peer};

use crate::front::{Client, Front, Transaction};

/// A session command: `args[0]` is the name as sent; the arity has been checked.
pub type SessionFn = for<'a, 'b, 'c> fn(&'a mut Session<'b>, &'c [&'c [u8]]);

/// Runs on every shard's front, in one position, and writes what it has to say.
pub type Call = Arc<dyn Fn(&mut Front, &mut Vec<u8>) + Send + Sync>;

/// Makes one reply of what the shards said, in the order of the shards.
pub type MergeCalls = Box<dyn FnOnce(Vec<Vec<u8>>, &mut Reply<'_>)>;

/// What happens after a session command.
pub enum Then {
    /// The reply that was written goes out.
    Reply,
    /// The reply goes out even if the client wants none (CLIENT REPLY): it is news, or the answer to this very wish.
    ReplyAnyway,
    /// The reply goes out, then the connection ends.
    Close,
    /// Every shard is asked, this one included; the reply is made of their answers.
    AskAll(Call, MergeCalls),
    /// The same, and the client's next commands wait for the reply: not every shard has done all of it before it comes to them.
    AskAllFirst(Call, MergeCalls),
    /// As `Wait`, but what ends it before is that all is on the disk.
    WaitForDisk(u64, &'static [u8]),
    /// The client's transaction runs; the reply comes when it has.
    Exec(Box<Transaction>),
    /// Nothing happens for so many ms (0: for ever); then this is the reply.
    Wait(u64, &'static [u8]),
    /// The node ends, without a reply. (The reply written is sent only if it cannot.)
    Shutdown,
}

/// One session command in progress.
pub struct Session<'a> {
    /// The front end of this shard.
    pub front: &'a mut Front,
    /// The connection that asks.
    pub conn: ConnId,
    /// Where the reply goes.
    pub reply: Reply<'a>,
    /// What comes after.
    pub then: Then,
}

impl Session<'_> {
    /// The client that asks.
    pub fn client(&mut self) -> &mut Client {
        self.front
            .clients
            .get_mut(self.conn)
            .expect("a command runs for a connected client")
    }

    /// Replies with an error, its code included: `ERR syntax error`.
    pub(super) fn error(&mut self, text: impl AsRef<[u8]>) {
        self.reply.error(text);
    }

    /// Replies that the number of arguments is wrong.
    pub(super) fn wrong_arity(&mut self, name: &str) {
        self.error(format!(
            "ERR wrong number of arguments for '{name}' command"
        ));
    }

    /// Does something on every shard, then replies `OK`.
    pub(super) fn on_all_shards(&mut self, act: impl Fn(&mut Front) + Send + Sync + 'static) {
        self.then = Then::AskAll(
            Arc::new(move |front, _| act(front)),
            Box::new(|_, reply| reply.ok()),
        );
    }

    /// Whether the client is on this machine.
    pub(super) fn is_local(&mut self) -> bool {
        match &self.client().peer {
            Peer::Tcp { remote, .. } => remote.ip().to_canonical().is_loopback(),
            Peer::Unix { .. } => true,
        }
    }
}

/// Redis's word for a mistake in options.
pub(super) const SYNTAX_ERROR: &str = "ERR syntax error";

/// Pieces of an error that quotes what the client sent.
pub(super) fn quoting(before: &str, what: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), what, after.as_bytes()].concat()
}
