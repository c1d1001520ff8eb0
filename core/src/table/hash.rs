//! Hashes of keys and what the table reads out of them.
//!
//! ```text
//!  bits 32..64  prefix: its top `depth` bits choose the segment
//!  bits 16..27  tag: kept in the slot, so that a wrong key is rarely dereferenced
//!  bits  0..16  home bucket, by multiplication
//! ```
//! A slot also keeps four bits of the prefix, its *window*: those in which a segment of depth 4w to 4w + 3 is split.
//! So three of four generations of splits need no key, and only the fourth, which opens the next window, reads them.
//!
//! Invariant: the three ranges do not overlap, so tags and home buckets stay evenly spread however deep the directory
//! is. Called by callers of the table ([`hash_key`]) and by the table files.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::segment::HOME_COUNT;

/// Bits of a hash that may choose a segment: the bound of the directory's depth.
pub(super) const DEPTH_MAX: u32 = 32;
/// Bits of the prefix that a slot keeps.
pub(super) const WINDOW_BITS: u32 = 4;

/// Hash of a key: XXH3, 64 bits, seeded. The seed is secret to the node, so that clients cannot aim at one bucket.
/// A few ns for keys up to 16 bytes.
#[inline]
#[must_use]
pub fn hash_key(seed: u64, key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, seed)
}

/// How a table hashes its keys.
#[derive(Clone, Copy)]
pub(super) struct KeyHash {
    pub(super) seed: u64,
    #[cfg(test)]
    pub(super) mask: u64,
}

impl KeyHash {
    /// The hash of a key.
    #[inline]
    pub(super) fn of(self, key: &[u8]) -> u64 {
        let hash = hash_key(self.seed, key);
        #[cfg(test)]
        let hash = hash & self.mask;
        hash
    }
}

/// The home bucket, below [`HOME_COUNT`].
#[inline]
pub(super) const fn home_of(hash: u64) -> usize {
    (((hash & 0xffff) * HOME_COUNT as u64) >> 16) as usize
}

/// The 11-bit tag, never zero, so that an empty slot (all bits zero) matches no tag.
#[inline]
pub(super) const fn tag_of(hash: u64) -> u16 {
    let tag = (hash >> 16) as u16 & 0x7ff;
    if tag == 0 { 1 } else { tag }
}

/// The number of the window that a segment of this depth keeps, 0 to 7. At depth 32 nothing is split any more.
#[inline]
pub(super) const fn window_at(depth: u32) -> u32 {
    if depth < DEPTH_MAX {
        depth / WINDOW_BITS
    } else {
        (DEPTH_MAX - 1) / WINDOW_BITS
    }
}

/// The bits of the prefix in window `number`.
#[inline]
pub(super) const fn window_of(hash: u64, number: u32) -> u8 {
    (hash >> (64 - WINDOW_BITS - WINDOW_BITS * number)) as u8 & ((1 << WINDOW_BITS) - 1)
}

/// Whether a split at this depth sends a slot with this window up.
#[inline]
pub(super) const fn goes_up(window: u8, depth: u32) -> bool {
    window >> (WINDOW_BITS - 1 - depth % WINDOW_BITS) & 1 != 0
}

/// The first prefix after the segment of depth `depth` that holds `prefix`; 2^32 after the last one.
#[inline]
pub(super) const fn prefix_after(prefix: u32, depth: u32) -> u64 {
    let width = 1u64 << (DEPTH_MAX - depth);
    (prefix as u64 & !(width - 1)) + width
}
