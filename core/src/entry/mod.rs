//! One key with its value: a single heap block ("blob") behind a pointer-sized handle.
//!
//! Called by the keyspace table, by whatever carries entries between shards, and by the command families through
//! [`crate::table::EntryMut`]. The layout is in docs/design/table.md and in `blob.rs`.

mod blob;
mod handle;
mod part;
mod size_class;
mod string;
#[cfg(test)]
mod tests;
mod value;

pub use handle::Entry;
pub(crate) use handle::PTR_BITS;
pub use part::Part;
pub use size_class::size_class;
pub use string::INLINE_MAX;
pub(crate) use string::refused;
pub use value::{OutOfMemory, StrValue, ValueRef};
