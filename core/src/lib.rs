//! Tessera's data: RESP, the keyspace table and the rules of one shard, without I/O, threads or clock.

pub mod bits;
mod buffer;
pub mod entry;
pub mod geo;
pub mod glob;
pub mod hash;
pub mod hyperloglog;
pub mod list;
pub mod listpack;
pub mod number;
pub mod object;
pub mod resp;
pub mod set;
pub mod slab;
pub mod slot;
pub mod stream;
pub mod table;
pub mod zset;
