//! Snapshots: what is saved while everybody goes on writing, and the file that it becomes.
//!
//! A save has as many *parts* as there are shards. Each part is a set of walks, one per database, that begin at one position on all shards; their sink writes
//! the keys into chunks, which a thread of its own puts into the file. No shard touches a file. [`Saver`] is what the shards of a node share of all this.

mod file;
mod part;
mod saver;
#[cfg(test)]
mod tests;

pub use file::{SaveError, Target};
pub use part::{Part, PartSink};
pub use saver::{Begun, Outcome, SaveStatus, Saver};
