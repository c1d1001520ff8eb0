//! A block: 64 KiB at a multiple of 64 KiB, a header and regions of one size.
//!
//! ```text
//!  0        64                                           65536
//!  | header | region | region | ...          | rest      |
//! ```
//!
//! Free regions that were used before are a list through their first eight bytes; those behind `fresh` have never been touched, so that their pages need not
//! exist. All functions but [`owner`] are for the thread whose heap the block belongs to. Called by `heap.rs`.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::{self, NonNull};

use super::heap::Heap;

/// Bytes and alignment of a block.
pub(super) const BLOCK_BYTES: usize = 64 << 10;
/// Bytes before the first region: a cache line.
const HEADER_BYTES: usize = 64;

const LAYOUT: Layout = match Layout::from_size_align(BLOCK_BYTES, BLOCK_BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two is an alignment"),
};

/// Where a block stands in its bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Regions are taken from it.
    Serving,
    /// It has no free region, and is in no list.
    Full,
    /// It has free regions and waits in the list of its bin.
    Waiting,
}

/// The header.
#[repr(C)]
pub(super) struct Block {
    heap: &'static Heap,
    /// Regions that were given back, or null.
    free: *mut u8,
    /// Neighbours in the list, while `Waiting`.
    pub(super) previous: *mut Block,
    pub(super) next: *mut Block,
    /// Bytes of a region.
    pub(super) class: u32,
    /// Regions in use.
    pub(super) used: u32,
    /// Where the regions that were never used begin.
    fresh: u32,
    pub(super) state: State,
}

const _: () = assert!(size_of::<Block>() <= HEADER_BYTES);

/// Bytes of the largest region of which a block has so many.
pub(super) const fn capacity_bytes(regions: usize) -> usize {
    ((BLOCK_BYTES - HEADER_BYTES) / regions) & !7
}

/// Regions of a block of this class.
pub(super) const fn capacity(class: usize) -> usize {
    (BLOCK_BYTES - HEADER_BYTES) / class
}

/// The block of a region.
#[inline]
pub(super) fn of(region: NonNull<u8>) -> *mut Block {
    region
        .as_ptr()
        .map_addr(|addr| addr & !(BLOCK_BYTES - 1))
        .cast()
}

/// The heap that a region's block belongs to. Any thread may ask.
///
/// # Safety
/// The region is live.
#[inline]
pub(super) unsafe fn owner(region: NonNull<u8>) -> &'static Heap {
    // SAFETY: a live region's block is live, and this field is never written again.
    unsafe { (*of(region)).heap }
}

/// A new block, serving. `None` if the allocator refuses.
pub(super) fn new(heap: &'static Heap, class: usize) -> Option<NonNull<Block>> {
    // SAFETY: the layout's size is not zero.
    let block = NonNull::new(unsafe { alloc(LAYOUT) })?.cast::<Block>();
    let header = Block {
        heap,
        free: ptr::null_mut(),
        previous: ptr::null_mut(),
        next: ptr::null_mut(),
        class: class as u32,
        used: 0,
        fresh: HEADER_BYTES as u32,
        state: State::Serving,
    };
    // SAFETY: the header fits the fresh allocation, which is aligned for it.
    unsafe { block.write(header) };
    Some(block)
}

/// Gives an empty block back to the allocator.
///
/// # Safety
/// The block has no region in use and is in no list; nobody looks at it again.
pub(super) unsafe fn release(block: *mut Block) {
    // SAFETY: it was allocated with this layout.
    unsafe { dealloc(block.cast(), LAYOUT) }
}

/// A region of the block, if one is free.
///
/// # Safety
/// The block is live and this thread's.
#[inline]
pub(super) unsafe fn take(block: *mut Block) -> Option<NonNull<u8>> {
    // SAFETY: a region of the list is free and holds the next one's address; one at `fresh` ends within the block.
    unsafe {
        let first = (*block).free;
        if let Some(region) = NonNull::new(first) {
            (*block).free = first.cast::<*mut u8>().read();
            (*block).used += 1;
            return Some(region);
        }
        let (at, class) = ((*block).fresh as usize, (*block).class as usize);
        if at + class > BLOCK_BYTES {
            return None;
        }
        (*block).fresh = (at + class) as u32;
        (*block).used += 1;
        Some(NonNull::new_unchecked(block.cast::<u8>().add(at)))
    }
}

/// Puts a region back.
///
/// # Safety
/// It is a region in use of this live block, which is this thread's, and it is not used afterwards.
#[inline]
pub(super) unsafe fn put(block: *mut Block, region: NonNull<u8>) {
    // SAFETY: a region has at least eight bytes, 8-aligned.
    unsafe {
        region.cast::<*mut u8>().write((*block).free);
        (*block).free = region.as_ptr();
        (*block).used -= 1;
    }
}
