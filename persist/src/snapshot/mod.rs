//! Snapshots: what is saved while everybody goes on writing, and the file that it becomes.
//!
//! A save has as many *parts* as there are shards. Each part is a set of walks, one per database, that begin at one position on all shards; their sink writes
//! the keys into chunks, which a thread of its own puts into the file. No shard touches a file. [`Saver`] is what the shards of a node share of all this.

mod file;
mod form;
mod pace;
mod packer;
mod part;
mod saver;
#[cfg(test)]
mod tests;

pub use file::{SaveError, Target};
pub use form::FileWriter;
pub use packer::{Block, Format, Large, Packer};
pub use part::{Part, PartSink, UsageOf};
pub use saver::{Begun, Outcome, Purpose, Runner, SaveStatus, SaveTask, Saver, Testimony, Witness};
