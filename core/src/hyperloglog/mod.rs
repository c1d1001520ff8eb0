//! HyperLogLog: how many distinct elements there were, within 0.81%, in at most 12 KiB, as a string value in the very bytes of Redis.
//!
//! ```text
//!  0  "HYLL"
//!  4  u8      0 dense, 1 sparse
//!  5  3 x 0
//!  8  u64     cached cardinality, little-endian; its highest bit says that it is out of date
//! 16  registers
//! ```
//! 16,384 registers of 6 bits. An element's hash chooses a register by its low 14 bits; the register keeps the greatest position of the lowest set bit
//! in the other 50. P. Flajolet et al., *HyperLogLog*, AofA 2007; estimator: O. Ertl, *New cardinality estimation algorithms for HyperLogLog
//! sketches*, arXiv:1702.01284. The two layouts of registers are in `dense` and `sparse`.

mod dense;
mod estimate;
mod hash;
mod sketch;
mod sparse;
#[cfg(test)]
mod tests;

pub use hash::murmur_hash_64a;
pub use sketch::{
    DENSE_BYTES, Encoding, Invalid, Registers, add, add_dense, cached, check, count, decode, empty,
    estimate_of, merge_into, place_of, raise, set_cached, to_dense,
};
