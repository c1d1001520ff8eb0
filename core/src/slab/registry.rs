//! Which thread has which heap.
//!
//! Heaps are never freed: what lies in their blocks may live longer than the thread that made it. A thread takes an idle one when it first allocates, or a new
//! one, and leaves it behind when it ends. Called by `mod.rs`.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::heap::Heap;

/// All heaps, and those without a thread.
struct Registry {
    all: Vec<&'static Heap>,
    idle: Vec<&'static Heap>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    all: Vec::new(),
    idle: Vec::new(),
});

thread_local! {
    static MINE: Cell<Option<&'static Heap>> = const { Cell::new(None) };
    static LEASE: Lease = const { Lease };
}

/// Leaves the heap behind when its thread ends.
struct Lease;

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(heap) = MINE.take() {
            lock().idle.push(heap);
        }
    }
}

fn lock() -> MutexGuard<'static, Registry> {
    // Nothing that runs under the lock leaves it half done.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The heap of this thread, if it has one.
#[inline]
pub(super) fn mine() -> Option<&'static Heap> {
    MINE.get()
}

/// Gives this thread a heap.
#[cold]
pub(super) fn adopt() -> &'static Heap {
    let mut registry = lock();
    let heap = registry.idle.pop().unwrap_or_else(|| {
        let heap: &'static Heap = Box::leak(Box::new(Heap::new()));
        registry.all.push(heap);
        heap
    });
    drop(registry);
    MINE.set(Some(heap));
    // A thread that is ending already keeps the heap: it is lost, what it holds is not.
    let _ = LEASE.try_with(|_| ());
    heap
}

/// See [`super::free_bytes`].
pub(super) fn free_bytes() -> usize {
    lock().all.iter().map(|heap| heap.free_bytes()).sum()
}

/// Puts back at most `max` regions per heap without a thread. Does nothing while somebody else holds the registry.
pub(super) fn settle_idle(max: usize) {
    let registry = match REGISTRY.try_lock() {
        Ok(registry) => registry,
        Err(TryLockError::Poisoned(registry)) => registry.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    for heap in &registry.idle {
        heap.settle(max);
    }
}
