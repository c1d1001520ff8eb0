//! Eviction as the engine allows it: never a key that somebody has locked, or that is lent to another shard.
//!
//! Called by the front end between commands, so that nobody sees half of one.

use crate::coordinator::engine::Engine;

impl<X> Engine<X> {
    /// Evicts keys of this shard until at least so many bytes are free or so many keys have been looked at. Returns the bytes.
    pub fn evict(&mut self, bytes: usize, keys_max: usize) -> usize {
        if self.locks.closed {
            return 0;
        }
        let Engine { locks, shard, .. } = self;
        let is_quiet = locks.is_quiet();
        let freed = shard.evict(bytes, keys_max, &|key| {
            is_quiet || !locks.is_locked(std::iter::once(key))
        });
        if freed > 0 {
            self.serve_ready();
        }
        freed
    }

    /// Whether this shard's tables are with another shard for the moment.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.locks.closed
    }
}
