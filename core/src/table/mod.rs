//! The keyspace table: segmented extendible hashing, after Dash (Lu et al., VLDB 2020).
//!
//! One `Table` holds the keys of one logical database of one shard. It grows one 4 KiB segment at a time, and offers,
//! besides lookup: SCAN with a stateless cursor, walks that see the table as it was when they began, expiry in steps,
//! a random key, and freeing in slices. Byte layouts, invariants and figures are in docs/design/table.md. Called by
//! the shards.

mod bucket;
mod defrag;
mod directory;
mod drop_slices;
mod entry_mut;
mod expiry;
mod grow;
mod hash;
mod keyspace;
mod overflow;
mod prefetch;
mod quiet;
mod random;
mod sample;
mod scan;
mod segment;
mod shrink;
#[cfg(test)]
mod tests;
mod walk;

pub use defrag::DefragStats;
pub use drop_slices::DropSlices;
pub use entry_mut::EntryMut;
pub use expiry::{ExpireStats, Gone};
pub use hash::hash_key;
pub use keyspace::{ExpireChange, Spot, Table};
pub(crate) use prefetch::{LINE_BYTES, prefetch_line};
pub use quiet::QuietTable;
pub use scan::CURSOR_BITS;
pub use walk::{WalkId, WalkSink};
