//! What a command's function works with on the owner.

use tessera_core::resp::Reply;

use crate::shard::Shard;

/// Work that a command leaves behind because it would hold the shard too long; a slice runs per turn.
pub trait Task {
    /// Does a bounded piece of work. Returns true when the whole reply has been written to `reply`, which is the same buffer each time.
    fn step(&mut self, shard: &mut Shard, reply: &mut Vec<u8>) -> bool;

    /// Whether the command's keys stay locked until the end: for a task that comes back to them.
    fn holds_keys(&self) -> bool {
        false
    }
}

/// The context of one command on its owner.
pub struct Cx<'a> {
    /// The keys, counters, clock and random numbers of the owner.
    pub shard: &'a mut Shard,
    /// The connection's database.
    pub db: usize,
    /// Where the reply goes, in the protocol of the connection.
    pub reply: Reply<'a>,
    /// Set by a command that goes on in slices; its reply then comes from the task, and nothing may be written to `reply`.
    pub task: Option<Box<dyn Task>>,
    /// Whether the command may wait: not in a transaction or a script, where a blocking command that finds nothing replies as if its time
    /// had run out.
    pub may_block: bool,
    /// Set by a blocking command that found nothing: the keys it waits for. Nothing may be written to `reply` then.
    pub waits_for: Option<Vec<Box<[u8]>>>,
}

impl Cx<'_> {
    /// Replies that the key holds another type.
    #[cold]
    pub fn wrong_type(&mut self) {
        self.error("WRONGTYPE Operation against a key holding the wrong kind of value");
    }

    /// Replies with an error, its code included: `ERR syntax error`.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        self.reply.error(text);
    }
}
