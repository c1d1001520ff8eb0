//! Numbers as text: what clients may write and what Redis prints.

mod big;
mod bytes;
mod double;
mod integer;
mod long_double;
mod text;

pub use bytes::{human_bytes, parse_bytes};
pub use double::{parse_double, parse_double_loose, write_double};
pub use integer::{parse_i64, parse_u64, parse_u64_loose};
pub use long_double::LongDouble;
