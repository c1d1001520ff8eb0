//! Hashes: fields with values, each field perhaps with a lifetime of its own.
//!
//! Small ones are a listpack of field, value, field, value; large ones, and those with a field that expires, the same segmented
//! table as the keyspace, whose entries are the fields. Never back: what was large once stays so, as in Redis.

mod fields;
#[cfg(test)]
mod tests;

pub use fields::{Hash, HashEncoding};
