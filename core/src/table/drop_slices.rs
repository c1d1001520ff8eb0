//! Freeing a whole table in slices.
//!
//! Owns [`DropSlices`]: what FLUSHALL leaves behind. Invariants: active walks of the table see every bucket before it
//! is freed, so a snapshot or KEYS that was under way still gets its moment; `mem_bytes` goes down with every slice.
//! Called by the shard between commands.

use super::keyspace::Table;
use super::segment::{CAPACITY, SEGMENT_BYTES};

/// A table that only waits to be freed. Dropping it frees the rest at once and abandons its walks.
pub struct DropSlices {
    table: Table,
}

impl DropSlices {
    /// Takes a table that is no longer used. O(1).
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// As [`Table::free_some`].
    pub fn free_some(&mut self, segments: usize) -> bool {
        self.table.free_some(segments)
    }

    /// Whether walks of the table are still waiting for their entries.
    #[must_use]
    pub fn is_walked(&self) -> bool {
        self.table.walks.any()
    }

    /// Bytes still held: entries and segments exactly, the directory not counted. O(1).
    #[must_use]
    pub fn mem_bytes(&self) -> usize {
        self.table.counts.entry_bytes + self.table.directory.segments() * SEGMENT_BYTES
    }
}

impl Table {
    /// Frees up to `segments` segments with their entries, about 300 each (10 to 20 µs; more if they have large
    /// buffers), and says whether that was all. At the end the table's walks are finished.
    pub fn free_some(&mut self, segments: usize) -> bool {
        let table = self;
        for _ in 0..segments {
            if let Some((hash, mut segment)) = table.directory.pop() {
                let keys = table.key_hash();
                table
                    .walks
                    .before_drop(&mut segment, &table.overflow, keys, hash);
                for place in segment.as_ref().places() {
                    if let Some(entry) = segment.as_ref().slot(place).entry() {
                        table.counts.subtract(entry);
                    }
                }
            } else if table.overflow.free_some(CAPACITY) {
                table.counts = super::keyspace::Counts::default();
                table.walks.finish_all();
                return true;
            }
        }
        false
    }
}
