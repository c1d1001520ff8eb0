//! Finished replies on their way to whoever waits for them, here or on another shard.

use tessera_core::resp::{Chain, OUT_OF_MEMORY, try_append};

use crate::coordinator::Engine;
use crate::mesh::{Batch, Origin};

impl<X> Engine<X> {
    /// What goes to a shard in this turn.
    fn batch_to(&mut self, shard: usize) -> &mut Batch<X> {
        if shard == self.id {
            &mut self.local
        } else {
            &mut self.out[shard]
        }
    }

    /// Sends a finished reply to whoever waits for it.
    pub(super) fn answer(&mut self, origin: Origin, reply: &[u8]) {
        self.batch_to(origin.shard).reply(origin.route, |bytes| {
            if !try_append(bytes, reply) {
                bytes.extend_from_slice(OUT_OF_MEMORY);
            }
            true
        });
    }

    /// The same for a reply that may be large: it is not copied then.
    pub(super) fn answer_whole(&mut self, origin: Origin, reply: Chain) {
        let batch = self.batch_to(origin.shard);
        if !batch.reply_whole(origin.route, reply) {
            self.answer(origin, OUT_OF_MEMORY);
        }
    }

    /// Whether there are replies for this shard's own clients and gathers.
    #[must_use]
    pub fn has_local(&self) -> bool {
        !self.local.is_empty()
    }

    /// The batch of replies for this shard's own clients and gathers, emptied.
    #[must_use]
    pub fn take_local(&mut self, buffer: Vec<u8>) -> Option<Batch<X>> {
        if self.local.is_empty() {
            None
        } else {
            Some(std::mem::replace(
                &mut self.local,
                Batch::with_buffer(buffer),
            ))
        }
    }
}
