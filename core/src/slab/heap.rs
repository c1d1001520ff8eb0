//! The blocks of one thread, by size class, and the inbox for what other threads free of them.
//!
//! A class has a *bin*: one block that serves, and a list of those with free regions. Full blocks are in no list; the first region that comes back puts them
//! there, in front. Called by `mod.rs` and `registry.rs`.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::block::{self, BLOCK_BYTES, Block, State};
use super::{CLASSES, class_at, index};

/// Remote regions that are taken back before a new block is asked for.
const SETTLE_MAX: usize = 64;
/// Below one free region in this many, a class is not sparse.
const FREE_ONE_IN: usize = 8;

/// The blocks of one class. The counts are written by the owner alone and read by whoever counts.
struct Bin {
    serving: Cell<*mut Block>,
    /// First of the blocks that wait.
    waiting: Cell<*mut Block>,
    blocks: AtomicUsize,
    /// Regions in use, those in the inbox included.
    used: AtomicUsize,
}

/// See the head of this file.
pub(super) struct Heap {
    bins: [Bin; CLASSES],
    /// Regions that were taken from the inbox and are still to be put back: a list through their first bytes.
    pending: Cell<*mut u8>,
    inbox: Inbox,
}

/// Written by all threads: on cache lines of its own.
#[repr(align(128))]
struct Inbox(AtomicPtr<u8>);

// SAFETY: the cells are touched by the thread alone that has the heap; it changes hands through the registry's mutex. The rest is atomic.
unsafe impl Sync for Heap {}
// SAFETY: as above.
unsafe impl Send for Heap {}

/// Adds to a count that only this thread writes.
#[inline]
fn add(count: &AtomicUsize, more: isize) {
    let now = count.load(Ordering::Relaxed);
    count.store(now.wrapping_add_signed(more), Ordering::Relaxed);
}

impl Heap {
    pub(super) const fn new() -> Self {
        Heap {
            bins: [const { Bin::new() }; CLASSES],
            pending: Cell::new(ptr::null_mut()),
            inbox: Inbox(AtomicPtr::new(ptr::null_mut())),
        }
    }

    #[inline]
    fn bin(&self, class: usize) -> &Bin {
        &self.bins[index(class)]
    }

    /// A region of this class.
    #[inline]
    pub(super) fn allocate(&'static self, class: usize) -> Option<NonNull<u8>> {
        let bin = self.bin(class);
        let block = bin.serving.get();
        // SAFETY: the serving block is live and this thread's.
        if let Some(region) = NonNull::new(block).and_then(|_| unsafe { block::take(block) }) {
            add(&bin.used, 1);
            return Some(region);
        }
        self.refill(class)
    }

    /// `allocate` when the serving block is full, or there is none.
    #[cold]
    fn refill(&'static self, class: usize) -> Option<NonNull<u8>> {
        self.settle(SETTLE_MAX);
        let bin = self.bin(class);
        let full = bin.serving.get();
        // SAFETY: serving and waiting blocks are live and this thread's; a waiting one has a free region.
        unsafe {
            let mut region = NonNull::new(full).and_then(|_| block::take(full));
            if region.is_none() {
                let next = match NonNull::new(bin.waiting.get()) {
                    Some(waiting) => {
                        bin.unlink(waiting.as_ptr());
                        (*waiting.as_ptr()).state = State::Serving;
                        waiting
                    }
                    None => {
                        let new = block::new(self, class)?;
                        add(&bin.blocks, 1);
                        new
                    }
                };
                if !full.is_null() {
                    (*full).state = State::Full;
                }
                bin.serving.set(next.as_ptr());
                region = block::take(next.as_ptr());
            }
            add(&bin.used, 1);
            region
        }
    }

    /// Puts a region of this heap back. For the thread that has the heap.
    ///
    /// # Safety
    /// It is a region in use of one of this heap's blocks, and it is not used afterwards.
    #[inline]
    pub(super) unsafe fn give(&self, region: NonNull<u8>) {
        let block = block::of(region);
        // SAFETY: the block of a region in use is live, and it is this thread's.
        unsafe {
            block::put(block, region);
            let bin = self.bin((*block).class as usize);
            add(&bin.used, -1);
            if (*block).state != State::Serving
                && ((*block).used == 0 || (*block).state == State::Full)
            {
                bin.rearrange(block);
            }
        }
    }

    /// Gives a region of this heap back from another thread.
    ///
    /// # Safety
    /// As for [`Heap::give`].
    pub(super) unsafe fn send(&self, region: NonNull<u8>) {
        let mut first = self.inbox.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: the region is ours until the exchange succeeds; it has room for an address.
            unsafe { region.cast::<*mut u8>().write(first) };
            let swap = self.inbox.0.compare_exchange_weak(
                first,
                region.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            );
            match swap {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// Puts back at most `max` regions that other threads have given.
    #[inline]
    pub(super) fn settle(&self, max: usize) {
        let is_empty =
            self.pending.get().is_null() && self.inbox.0.load(Ordering::Relaxed).is_null();
        if !is_empty {
            self.settle_some(max);
        }
    }

    #[cold]
    fn settle_some(&self, max: usize) {
        for _ in 0..max {
            if self.pending.get().is_null() {
                let all = self.inbox.0.swap(ptr::null_mut(), Ordering::Acquire);
                self.pending.set(all);
            }
            let Some(region) = NonNull::new(self.pending.get()) else {
                return;
            };
            // SAFETY: whoever sent the region gave it up and wrote the next one's address into it.
            unsafe {
                self.pending.set(region.cast::<*mut u8>().read());
                self.give(region);
            }
        }
    }

    /// Gives back the serving blocks that are empty: something passed their classes while it grew. For the thread that has the heap.
    pub(super) fn trim(&self) {
        for bin in &self.bins {
            let block = bin.serving.get();
            // SAFETY: the serving block is live and this thread's; an empty one that serves no more is in no list, and nobody refers to it.
            unsafe {
                if !block.is_null() && (*block).used == 0 {
                    bin.serving.set(ptr::null_mut());
                    add(&bin.blocks, -1);
                    block::release(block);
                }
            }
        }
    }

    /// See [`super::is_sparse`].
    ///
    /// # Safety
    /// The region is live, in a block of this heap, which is this thread's.
    pub(super) unsafe fn is_sparse(&self, region: NonNull<u8>) -> bool {
        let block = block::of(region);
        // SAFETY: the block of a live region is live.
        let (class, used, state) = unsafe {
            (
                (*block).class as usize,
                (*block).used as usize,
                (*block).state,
            )
        };
        let bin = self.bin(class);
        let all = bin.blocks.load(Ordering::Relaxed) * block::capacity(class);
        let all_used = bin.used.load(Ordering::Relaxed);
        let is_class_sparse = (all - all_used) * FREE_ONE_IN > all;
        // used / capacity < all_used / all
        state != State::Serving && is_class_sparse && used * all < all_used * block::capacity(class)
    }

    /// Bytes of blocks that no blob uses. Any thread may ask.
    pub(super) fn free_bytes(&self) -> usize {
        let free = |(at, bin): (usize, &Bin)| {
            let blocks = bin.blocks.load(Ordering::Relaxed) * BLOCK_BYTES;
            blocks.saturating_sub(bin.used.load(Ordering::Relaxed) * class_at(at))
        };
        self.bins.iter().enumerate().map(free).sum()
    }
}

impl Bin {
    const fn new() -> Self {
        Bin {
            serving: Cell::new(ptr::null_mut()),
            waiting: Cell::new(ptr::null_mut()),
            blocks: AtomicUsize::new(0),
            used: AtomicUsize::new(0),
        }
    }

    /// A block that does not serve has got its first free region back, or its last.
    ///
    /// # Safety
    /// The block is live, this thread's and of this bin.
    #[cold]
    unsafe fn rearrange(&self, block: *mut Block) {
        // SAFETY: as above; an empty block is in no list once it is unlinked, and nobody refers to it.
        unsafe {
            let is_listed = (*block).state == State::Waiting;
            if (*block).used > 0 {
                self.link(block);
                return;
            }
            if is_listed {
                self.unlink(block);
            }
            add(&self.blocks, -1);
            block::release(block);
        }
    }

    /// Puts a block in front of the list.
    ///
    /// # Safety
    /// The block is live and in no list; so are those of the list.
    unsafe fn link(&self, block: *mut Block) {
        let next = self.waiting.get();
        // SAFETY: as above.
        unsafe {
            (*block).state = State::Waiting;
            (*block).previous = ptr::null_mut();
            (*block).next = next;
            if !next.is_null() {
                (*next).previous = block;
            }
        }
        self.waiting.set(block);
    }

    /// Takes a block out of the list.
    ///
    /// # Safety
    /// The block is live and in the list.
    unsafe fn unlink(&self, block: *mut Block) {
        // SAFETY: as above; neighbours in the list are live.
        unsafe {
            let (previous, next) = ((*block).previous, (*block).next);
            if previous.is_null() {
                self.waiting.set(next);
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
        }
    }
}
