//! Streams: entries of fields and values under ascending ids, and the consumer groups that read them.
//!
//! Entries lie in blocks, which are listpacks in the very format of Redis's stream nodes, so that DUMP and RDB files copy them. A
//! stream may be empty and stays.

mod block;
mod blocks;
mod copy;
mod entries;
mod group;
mod groups;
mod id;
mod progress;
mod radix;
mod range;
#[cfg(test)]
mod tests;
mod trim;

pub use block::{Entry, Fields};
pub use entries::{AppendError, Entries, EntriesParts, NodeLimits};
pub use group::{Consumer, ConsumerParts, Group, Pending};
pub use groups::Groups;
pub use id::{NewId, StreamId};
pub use range::{Range, RangeBack};
pub use trim::{Trim, TrimTo};

/// A stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// What was added.
    pub entries: Entries,
    /// Who reads it.
    pub groups: Groups,
}

impl Stream {
    /// A stream without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry; the stream stays nevertheless.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes taken from the allocator, as counted. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.entries.heap_bytes() + self.groups.heap_bytes()
    }

    /// Entries and pending entries: what freeing it costs.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.len() + self.groups.pending_len()
    }

    /// Frees up to about `elements` entries or pending entries and says whether that was all.
    pub fn free_some(&mut self, elements: usize) -> bool {
        self.entries.free_some(elements) && self.groups.free_some(elements)
    }
}
