//! Hashes: fields with values, each field perhaps with a lifetime of its own.
//!
//! Small ones are a listpack of field, value, field, value, and with a field that expires one of field, value, end; large ones are the same
//! segmented table as the keyspace, whose entries are the fields. Never back: what was large once stays so, as in Redis.

mod fields;
mod large;
#[cfg(test)]
mod tests;
mod timed;
mod times;

pub use fields::{FieldExpiry, Hash, HashEncoding};
pub use large::Large;
pub use timed::Timed;
