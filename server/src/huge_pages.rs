//! Huge pages, from the size on at which they pay.
//!
//! A look-up in a large table reads a bucket and an entry anywhere in memory, and with small pages each of the two also walks the page table.
//! Huge pages spare that. But the first page of each size class of each shard would be a huge one, 15 MB for a server that holds nothing; so
//! they begin once [`WORTH_BYTES`] are in use, and come from a thread that touches them in advance (`io/src/allocator/ready.rs`). Owned by
//! [`crate::shared::Shared`], asked by every shard once a tick.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::disable_transparent_huge_pages;
use tessera_io::allocator;
use tikv_jemalloc_ctl::{epoch, stats};

/// Memory in use from which on huge pages are asked for, bytes.
const WORTH_BYTES: usize = 16 << 20;

/// Whether the time for huge pages is still to come.
#[derive(Debug)]
pub struct HugePages {
    is_decided: AtomicBool,
}

impl HugePages {
    /// Never.
    #[must_use]
    pub fn never() -> Self {
        Self {
            is_decided: AtomicBool::new(true),
        }
    }

    /// Small pages from now on, until there is enough memory in use, or for ever. A kernel that cannot switch leaves things as they are.
    #[must_use]
    pub fn later(is_forbidden: bool) -> Self {
        let is_switched = disable_transparent_huge_pages(true).is_ok();
        Self {
            is_decided: AtomicBool::new(is_forbidden || !is_switched),
        }
    }

    /// Looks whether it is time. A few microseconds until then, nothing afterwards.
    #[inline]
    pub fn consider(&self) {
        if !self.is_decided.load(Ordering::Relaxed) {
            self.weigh();
        }
    }

    #[cold]
    fn weigh(&self) {
        // The allocator's counters stand still between epochs.
        let _ = epoch::advance();
        if stats::allocated::read().is_ok_and(|bytes| bytes >= WORTH_BYTES)
            && !self.is_decided.swap(true, Ordering::Relaxed)
        {
            let begun = disable_transparent_huge_pages(false)
                .map_err(io::Error::from)
                .and_then(|()| allocator::begin_huge_pages());
            match begun {
                Ok(()) => tracing::debug!("Huge pages from now on"),
                Err(error) => tracing::warn!("No huge pages: {error}"),
            }
        }
    }
}
