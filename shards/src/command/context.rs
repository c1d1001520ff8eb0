//! What a command's function works with on the owner.

use tessera_core::entry::StrValue;
use tessera_core::resp::{Chain, Reply};
use tessera_core::table::ExpireChange;

use crate::shard::Shard;
use crate::shard::event::{self, Event};

/// Work that a command leaves behind because it would hold the shard too long; a slice runs per turn.
pub trait Task {
    /// Does a bounded piece of work. Returns true when the whole reply has been written to `reply`, which is the same each time.
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool;

    /// Whether the command's keys stay locked until the end: for a task that comes back to them.
    fn holds_keys(&self) -> bool {
        false
    }

    /// Whether everything else on the shard waits until the end.
    fn holds_gate(&self) -> bool {
        false
    }

    /// Asked after the last slice: what the command lacks. Then it has done nothing, and is to be run anew when that is there.
    fn needs(&mut self) -> Further {
        Further::default()
    }
}

/// The keys that a command asks for beyond those that its arguments name.
#[derive(Debug, Default)]
pub struct Further {
    asked: Vec<Box<[u8]>>,
    is_missing: bool,
    needs_all: bool,
}

impl Further {
    fn note(&mut self, key: &[u8], is_here: bool) {
        self.asked.push(key.into());
        self.is_missing |= !is_here;
    }

    /// These keys are missing. Those of them that were at hand have to be locked with the others, or they would be read as they are later than these.
    #[must_use]
    pub fn missing(asked: Vec<Box<[u8]>>) -> Self {
        Further {
            asked,
            is_missing: true,
            needs_all: false,
        }
    }

    /// The command needs all keys there are.
    #[must_use]
    pub fn all() -> Self {
        Further {
            needs_all: true,
            ..Self::missing(Vec::new())
        }
    }

    /// Whether something is missing.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// Whether all keys there are must come.
    #[must_use]
    pub fn needs_all(&self) -> bool {
        self.needs_all
    }

    /// All that it asked for, at hand or not.
    #[must_use]
    pub fn asked(self) -> Vec<Box<[u8]>> {
        self.asked
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
    /// Which keys that no argument names are at hand; asked by `reaches`.
    pub reach: &'a dyn Fn(&[u8]) -> bool,
    /// The keys that are borrowed for this command, in order, if it may find that it needs more of them.
    pub held: &'a [Box<[u8]>],
    /// Whether there is no other shard, and no lock.
    pub is_alone: bool,
    /// The keys that it has asked for beyond those that the arguments name.
    pub further: Further,
    /// Set by a command that goes on in slices; its reply then comes from the task, and nothing may be written to `reply`.
    pub task: Option<Box<dyn Task>>,
    /// Whether the command may wait: not in a transaction or a script, where a blocking command that finds nothing replies as if its time
    /// had run out.
    pub may_block: bool,
    /// Set by a blocking command that found nothing: the keys it waits for. Nothing may be written to `reply` then.
    pub waits_for: Option<Vec<Box<[u8]>>>,
    /// With `waits_for`: the request as it is to be run again, if that differs, such as an id in place of XREAD's `$`.
    pub waits_as: Option<Vec<Box<[u8]>>>,
}

impl Cx<'_> {
    /// Whether a key that no argument names may be looked at. If not, it is noted as missing: what the function writes is dropped, and it runs again
    /// from the start when the key is here. So it asks for all such keys before it changes anything, and then returns if one is missing.
    pub fn reaches(&mut self, key: &[u8]) -> bool {
        let is_here = (self.reach)(key);
        self.further.note(key, is_here);
        is_here
    }

    /// Replies that the key holds another type.
    #[cold]
    pub fn wrong_type(&mut self) {
        self.error("WRONGTYPE Operation against a key holding the wrong kind of value");
    }

    /// Replies with an error, its code included: `ERR syntax error`.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        self.reply.error(text);
    }

    /// Stores a string under the key. Says false when there is no memory for it; then nothing has changed, the error stands in
    /// place of what was written of the reply, and the command only returns.
    #[inline]
    #[must_use]
    pub fn store(&mut self, key: &[u8], value: StrValue<'_>, expire: ExpireChange) -> bool {
        self.store_as(key, value, expire, event::SET)
    }

    /// The same, told as another event.
    #[inline]
    #[must_use]
    pub fn store_as(
        &mut self,
        key: &[u8],
        value: StrValue<'_>,
        expire: ExpireChange,
        event: Event,
    ) -> bool {
        let stored = self
            .shard
            .set_as(self.db, key, value, expire, event)
            .is_ok();
        if !stored {
            self.reply.refuse();
        }
        stored
    }
}
