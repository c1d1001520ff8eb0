//! The append-only log: one sequence of records for the node, in Redis 7's directory.
//!
//! A folder holds a manifest, a base (an RDB file) and the records since, as commands in RESP. What Tessera appends stands in *blocks*, each with its length
//! and checksum in an annotation line that Redis skips. docs/design/log.md has the format and the protocol. [`Log`] is what the shards of a node share; the
//! [`Keeper`] is the thread that owns the files.

mod block;
mod chunk;
mod command;
mod error;
mod file;
mod folder;
mod keeper;
mod manifest;
mod reader;
mod recovery;
mod sequence;
#[cfg(test)]
mod tests;

pub use chunk::Chunk;
pub use command::put_command;
pub use error::LogError;
pub use folder::Folder;
pub use keeper::Keeper;
pub use manifest::Manifest;
pub use reader::{Command, Reader};
pub use recovery::{Cut, FileFigures, Recovered, figures, recover};
pub use sequence::{Log, LogStatus, SyncPolicy};
