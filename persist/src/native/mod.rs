//! The native format of snapshots: chunks that know their slots and their checksum, so that every shard takes its keys from where they lie in the file.
//!
//! docs/design/snapshot.md gives it byte by byte. `layout` has header, chunk heads and footer; `record` what a key is inside a chunk; `filler` makes chunks of
//! keys; `file` checks a whole file; `taker` makes entries of chunks again. A file is right when its header, each chunk and its footer have their checksums, and the
//! footer has the checksum of all of these in their order: so a chunk can neither be changed nor be left out, doubled or moved.

mod error;
mod file;
mod filler;
mod layout;
mod record;
mod taker;
#[cfg(test)]
mod tests;

pub use error::NativeError;
pub(crate) use file::whole_chunk;
pub use file::{Chunk, NativeFile, Totals, chunk_at, chunks_begin, is_native};
pub use filler::{Filled, Filler, LargeFiller, is_large};
pub(crate) use filler::{LARGE_BYTES, function_chunks};
pub use layout::{ChunkHead, ChunkKind, Facts, FileSum, Footer, VERSION, header, put_chunk_head};
pub use taker::{Taken, Taker};
