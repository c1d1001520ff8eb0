//! Commands that concern a connection or the node instead of keys: they run on the shard of their connection.
//!
//! One file per family; each has its table of rows. A command writes its reply, or asks for something that only the driver
//! can do by setting `then`.

use std::sync::Arc;

use tessera_core::resp::Reply;
use tessera_io::ConnId;
use tessera_shards::command::Spec;

use crate::front::{Client, Front};

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
    /// The reply goes out, then the connection ends.
    Close,
    /// Every shard is asked, this one included; the reply is made of their answers.
    AskAll(Call, MergeCalls),
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
        self.front.clients.get_mut(self.conn).expect("a command runs for a connected client")
    }
}

/// Tables of all session families.
pub const FAMILIES: &[&[(Spec, SessionFn)]] = &[];
