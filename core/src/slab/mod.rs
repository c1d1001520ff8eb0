//! Small regions of memory for the blobs of entries and for packed collections, in small steps.
//!
//! A general allocator rounds a blob of 86 bytes up to 96; here it takes 88: classes are 8 bytes apart up to 512, 32 up to 1,024, 128 up to 3,072, and
//! there is one of 8,184, of which eight fill a block: for the blocks of long lists. Every thread has a *heap* of its own: regions of one size class lie
//! in *blocks* of 64 KiB, which come from the global allocator and go back to it when they are empty. A blob may die on another thread than the one that
//! made it (keys move between shards): then its region is pushed to the inbox of the heap that owns the block, and that one takes it back when it needs
//! room or when [`collect`] is called.
//!
//! Invariants: a block belongs to one heap for ever, a heap to one thread at a time; only that thread touches anything of it but the inbox. When a thread
//! ends, its heap waits for the next thread. Called by `entry/blob.rs` and `listpack/buffer.rs`, and by the server for counting and collecting.
//!
//! Source: the inbox and blocks found by masking an address are those of D. Leijen, B. Zorn, L. de Moura: *Mimalloc: Free List Sharding in Action*, 2019
//! (MSR-TR-2019-18). No code was taken.
#![allow(unsafe_code)]

mod block;
mod heap;
mod registry;
#[cfg(test)]
mod tests;

use std::ptr::NonNull;

use heap::Heap;

/// Bytes up to which everything has a class.
pub(crate) const SLAB_MAX: usize = COARSE_MAX;

/// Up to here classes are 8 bytes apart.
const FINE_MAX: usize = 512;
/// Up to here they are 32 bytes apart.
const MEDIUM_MAX: usize = 1024;
/// Up to here they are 128 bytes apart.
const COARSE_MAX: usize = 3072;

const FINE_CLASSES: usize = FINE_MAX / 8;
const MEDIUM_CLASSES: usize = (MEDIUM_MAX - FINE_MAX) / 32;
/// Number of classes.
const CLASSES: usize = FINE_CLASSES + MEDIUM_CLASSES + (COARSE_MAX - MEDIUM_MAX) / 128 + 1;

/// The last class: an eighth of a block. For 8 KiB the general allocator keeps a record of 128 bytes each.
pub(crate) const EIGHTH: usize = block::capacity_bytes(8);

/// Remote regions that one [`collect`] takes back: some hundred microseconds.
const COLLECT_MAX: usize = 4_000;

/// Bytes of the region that so many bytes lie in. `1 <= bytes <= SLAB_MAX`, or `EIGHTH`.
#[inline]
pub(crate) const fn class(bytes: usize) -> usize {
    if bytes <= FINE_MAX {
        (bytes + 7) & !7
    } else if bytes <= MEDIUM_MAX {
        (bytes + 31) & !31
    } else if bytes <= COARSE_MAX {
        (bytes + 127) & !127
    } else {
        EIGHTH
    }
}

/// The number of a class, from 0 on.
#[inline]
const fn index(class: usize) -> usize {
    if class <= FINE_MAX {
        class / 8 - 1
    } else if class <= MEDIUM_MAX {
        FINE_CLASSES - 1 + (class - FINE_MAX) / 32
    } else if class <= COARSE_MAX {
        FINE_CLASSES + MEDIUM_CLASSES - 1 + (class - MEDIUM_MAX) / 128
    } else {
        CLASSES - 1
    }
}

/// The class with this number.
const fn class_at(index: usize) -> usize {
    if index < FINE_CLASSES {
        (index + 1) * 8
    } else if index < FINE_CLASSES + MEDIUM_CLASSES {
        FINE_MAX + (index + 1 - FINE_CLASSES) * 32
    } else if index + 1 < CLASSES {
        MEDIUM_MAX + (index + 1 - FINE_CLASSES - MEDIUM_CLASSES) * 128
    } else {
        EIGHTH
    }
}

/// A region of `class(bytes)` bytes, 8-aligned, not initialised. `1 <= bytes <= SLAB_MAX`, or `EIGHTH`. `None` if the allocator refuses a block. O(1).
#[inline]
pub(crate) fn allocate(bytes: usize) -> Option<NonNull<u8>> {
    match registry::mine() {
        Some(heap) => heap.allocate(class(bytes)),
        None => registry::adopt().allocate(class(bytes)),
    }
}

/// Takes a region back, on any thread. O(1).
///
/// # Safety
/// `region` came from [`allocate`] and is not used afterwards.
#[inline]
pub(crate) unsafe fn free(region: NonNull<u8>) {
    // SAFETY: the caller's promise: it lies in a block, whose owner does not change.
    let owner: &Heap = unsafe { block::owner(region) };
    // SAFETY: the region is the caller's to give, and its block is of this heap, which is this thread's in the first case.
    unsafe {
        match registry::mine() {
            Some(heap) if std::ptr::eq(heap, owner) => heap.give(region),
            _ => owner.send(region),
        }
    }
}

/// Whether the region's block is emptier than those of its class are on average, so that it could go back to the allocator if
/// what is left in it went elsewhere; or whether the block is another thread's, which alone could tell.
///
/// # Safety
/// `region` came from [`allocate`] and is live.
pub(crate) unsafe fn is_sparse(region: NonNull<u8>) -> bool {
    // SAFETY: the caller's promise.
    let owner: &Heap = unsafe { block::owner(region) };
    match registry::mine() {
        // SAFETY: a live region's block is live, and it is this thread's.
        Some(heap) if std::ptr::eq(heap, owner) => unsafe { heap.is_sparse(region) },
        _ => true,
    }
}

/// Bytes of blocks, over all threads, that no blob uses: what the global allocator counts as given out although it is free. A snapshot; O(threads).
#[must_use]
pub fn free_bytes() -> usize {
    registry::free_bytes()
}

/// Takes back some of what other threads have freed of this thread's blocks, and of blocks whose thread has ended; gives back blocks that nobody uses.
/// To be called now and then.
pub fn collect() {
    if let Some(heap) = registry::mine() {
        heap.settle(COLLECT_MAX);
        heap.trim();
    }
    registry::settle_idle(COLLECT_MAX);
}
