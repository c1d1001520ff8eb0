//! Sets: distinct byte strings. Small ones are packed, integers in an intset, anything in a listpack, both in Redis's own bytes; large ones
//! are on the segmented table, a member being the key of an entry with an empty value.

mod intset;
mod members;
#[cfg(test)]
mod tests;

pub use intset::Intset;
pub use members::{Set, SetEncoding, SetLimits};
