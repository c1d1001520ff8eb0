//! Hashes of keys and what the table reads out of them.
//!
//! ```text
//!  bits 32..64  prefix: its top `depth` bits choose the segment
//!  bits 16..31  tag: kept in the slot, so that a wrong key is rarely dereferenced
//!  bits  0..16  home bucket, by multiplication
//! ```
//!
//! Invariant: the three ranges do not overlap, so tags and home buckets stay evenly spread however deep the directory
//! is. Called by callers of the table ([`hash_key`]) and by the table files.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::segment::HOME_COUNT;

/// Bits of a hash that may choose a segment: the bound of the directory's depth.
pub(super) const DEPTH_MAX: u32 = 32;

/// Hash of a key: XXH3, 64 bits, seeded. The seed is secret to the node, so that clients cannot aim at one bucket.
/// A few ns for keys up to 16 bytes.
#[inline]
#[must_use]
pub fn hash_key(seed: u64, key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, seed)
}

/// The home bucket, below [`HOME_COUNT`].
#[inline]
pub(super) const fn home_of(hash: u64) -> usize {
    (((hash & 0xffff) * HOME_COUNT as u64) >> 16) as usize
}

/// The 15-bit tag, never zero, so that an empty slot (all bits zero) matches no tag.
#[inline]
pub(super) const fn tag_of(hash: u64) -> u16 {
    let tag = (hash >> 16) as u16 & 0x7fff;
    if tag == 0 { 1 } else { tag }
}

/// The first prefix after the segment of depth `depth` that holds `prefix`; 2^32 after the last one.
#[inline]
pub(super) const fn prefix_after(prefix: u32, depth: u32) -> u64 {
    let width = 1u64 << (DEPTH_MAX - depth);
    (prefix as u64 & !(width - 1)) + width
}
