//! Tessera's on-disk formats, snapshots and recovery. Knows the types of `core`, never a shard.

mod crc;
pub mod log;
mod lzf;
pub mod native;
pub mod offline;
pub mod rdb;
pub mod snapshot;
