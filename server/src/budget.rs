//! The node's memory against its limit: what each shard holds, what all else takes, and who waits for room.
//!
//! `used` is what INFO calls `used_memory`: the sum of what the shards hold, as each last published it, and everything besides (buffers, arguments,
//! tables of the server), which is what the allocator has given out beyond that, as somebody last measured it; after a peak the figure falls
//! slowly, so that there is room for the next burst. Each part is written by its
//! shard alone and has its own cache lines. Owned by [`crate::shared::Shared`]; the fronts' ledgers do the arithmetic.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tessera_shards::shard::Holdings;

/// Time between two measurements of what the allocator has given out.
const INTERVAL_NS: u64 = 5_000_000;

/// The part of a peak that a measurement forgets.
const FADING: u64 = 16;

/// What one shard says.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part {
    bytes: AtomicU64,
    leaving: AtomicU64,
    wanted: AtomicU64,
    is_dry: AtomicBool,
}

/// All shards together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Bytes in use, `used_memory`.
    pub used: u64,
    /// Those of them that are no data.
    pub overhead: u64,
    /// Those that are being freed.
    pub leaving: u64,
    /// Bytes for which commands wait.
    pub wanted: u64,
    /// Bytes held by shards that may evict something.
    pub evictable: u64,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Budget {
    parts: Box<[Part]>,
    overhead: AtomicU64,
    measured_ns: AtomicU64,
    /// Bytes that the allocator has given out.
    allocated: fn() -> u64,
}

impl Budget {
    /// Of so many shards. `allocated` tells how many bytes the allocator has given out.
    #[must_use]
    pub fn new(shards: usize, allocated: fn() -> u64) -> Self {
        Budget {
            parts: (0..shards).map(|_| Part::default()).collect(),
            overhead: AtomicU64::new(0),
            measured_ns: AtomicU64::new(0),
            allocated,
        }
    }

    /// A shard says what it holds, and for how much room its clients wait.
    pub fn publish(&self, shard: usize, holdings: &Holdings, wanted: u64) {
        let part = &self.parts[shard];
        part.bytes.store(holdings.bytes as u64, Ordering::Relaxed);
        part.leaving
            .store(holdings.leaving as u64, Ordering::Relaxed);
        part.wanted.store(wanted, Ordering::Relaxed);
        part.is_dry.store(holdings.is_dry, Ordering::Relaxed);
    }

    /// Asks the allocator. Some microseconds.
    pub fn measure(&self, now_ns: u64) {
        self.measured_ns.store(now_ns, Ordering::Relaxed);
        let parts = self.parts.iter();
        let data: u64 = parts.map(|part| part.bytes.load(Ordering::Relaxed)).sum();
        let overhead = (self.allocated)().saturating_sub(data);
        let before = self.overhead.load(Ordering::Relaxed);
        // What buffers took a moment ago they will soon take again: a peak is forgotten slowly.
        let fading = before - before.saturating_sub(overhead).div_ceil(FADING);
        self.overhead.store(overhead.max(fading), Ordering::Relaxed);
    }

    /// Asks the allocator, and forgets what it said before: what a start takes for loading is no burst that comes again.
    pub fn measure_anew(&self, now_ns: u64) {
        self.overhead.store(0, Ordering::Relaxed);
        self.measure(now_ns);
    }

    /// Asks the allocator, if nobody has for a while.
    pub fn measure_now_and_then(&self, now_ns: u64) {
        let measured_ns = self.measured_ns.load(Ordering::Relaxed);
        if now_ns.saturating_sub(measured_ns) >= INTERVAL_NS {
            self.measure(now_ns);
        }
    }

    /// How things stand. One cache line per shard.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let overhead = self.overhead.load(Ordering::Relaxed);
        let mut standing = Standing {
            used: overhead,
            overhead,
            ..Standing::default()
        };
        for part in &self.parts {
            let bytes = part.bytes.load(Ordering::Relaxed);
            standing.used += bytes;
            standing.leaving += part.leaving.load(Ordering::Relaxed);
            standing.wanted += part.wanted.load(Ordering::Relaxed);
            if !part.is_dry.load(Ordering::Relaxed) {
                standing.evictable += bytes.max(1);
            }
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_what_the_allocator_says() {
        let budget = Budget::new(3, || 10_000);
        for (shard, bytes) in [1_000, 2_000, 3_000].into_iter().enumerate() {
            let holdings = Holdings {
                bytes,
                leaving: bytes / 10,
                keys: 1,
                is_dry: shard == 2,
            };
            budget.publish(shard, &holdings, 7);
        }
        budget.measure_now_and_then(INTERVAL_NS);
        let standing = Standing {
            used: 10_000,
            overhead: 4_000,
            leaving: 600,
            wanted: 21,
            evictable: 3_000,
        };
        assert_eq!(budget.standing(), standing);
        budget.publish(0, &Holdings::default(), 0);
        budget.measure_now_and_then(INTERVAL_NS + 1);
        assert_eq!(budget.standing().used, 9_000, "not measured again so soon");
        // A peak is forgotten slowly, unless it was that of a start.
        let whole = Holdings {
            bytes: 5_000,
            ..Holdings::default()
        };
        budget.publish(0, &whole, 0);
        budget.measure(0);
        assert_eq!(budget.standing().overhead, 3_750);
        budget.measure_anew(0);
        assert_eq!(budget.standing().overhead, 0);
    }
}
