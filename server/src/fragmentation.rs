//! Whether the node's memory is so fragmented that its shards should move entries together, and the rounds in which they do.
//!
//! Fragmented is what lies in pages that are in use but is not in use itself. A round is one pass over all tables of all shards; if it did not help
//! much, the next one waits. Owned by [`crate::shared::Shared`]; the shards weigh in turn.

use std::sync::atomic::{AtomicU64, Ordering};

use tikv_jemalloc_ctl::{epoch, stats};

use crate::config::Config;
use crate::info::given_out;

/// Time between two looks at the allocator.
const PERIOD_NS: u64 = 1_000_000_000;
/// Shortest time from the beginning of one round to that of the next.
const ROUND_NS: u64 = 10_000_000_000;
/// Time after a round that did not help.
const REST_NS: u64 = 120_000_000_000;
/// A round helps if less than this many of a hundred bytes are wasted that were at its beginning.
const STILL_PERCENT: u64 = 80;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Fragmentation {
    weighed_ns: AtomicU64,
    round: AtomicU64,
    began_ns: AtomicU64,
    /// Bytes wasted when the round began.
    wasted: AtomicU64,
}

/// What the allocator says, bytes.
#[derive(Clone, Copy, Debug)]
struct Heap {
    allocated: u64,
    active: u64,
}

impl Heap {
    fn look() -> Option<Self> {
        epoch::advance().ok()?;
        Some(Heap {
            allocated: given_out()?,
            active: stats::active::read().ok()? as u64,
        })
    }

    fn wasted(self) -> u64 {
        self.active.saturating_sub(self.allocated)
    }
}

impl Fragmentation {
    /// The number of the round that is wanted; a shard that has made this many passes has nothing to do.
    #[inline]
    #[must_use]
    pub fn round(&self) -> u64 {
        self.round.load(Ordering::Relaxed)
    }

    /// Looks whether a round is called for, unless somebody has a moment ago. Says whether one begins. Some ten microseconds, once a second.
    pub fn weigh(&self, config: &Config, now_ns: u64) -> bool {
        let weighed_ns = self.weighed_ns.load(Ordering::Relaxed);
        let is_early = now_ns.saturating_sub(weighed_ns) < PERIOD_NS;
        let is_ours = || {
            let swap = self.weighed_ns.compare_exchange(
                weighed_ns,
                now_ns,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            swap.is_ok()
        };
        if !config.defrag || is_early || !is_ours() {
            return false;
        }
        Heap::look().is_some_and(|heap| self.judge(config, heap, now_ns))
    }

    fn judge(&self, config: &Config, heap: Heap, now_ns: u64) -> bool {
        let wasted = heap.wasted();
        let is_much = wasted > config.defrag_ignore_bytes
            && wasted.saturating_mul(100) > heap.allocated.saturating_mul(config.defrag_percent);
        let began_ns = self.began_ns.load(Ordering::Relaxed);
        let helped = wasted.saturating_mul(100)
            < self
                .wasted
                .load(Ordering::Relaxed)
                .saturating_mul(STILL_PERCENT);
        let pause_ns = if helped { ROUND_NS } else { REST_NS };
        let is_first = self.round() == 0;
        if !is_much || !is_first && now_ns.saturating_sub(began_ns) < pause_ns {
            return false;
        }
        self.began_ns.store(now_ns, Ordering::Relaxed);
        self.wasted.store(wasted, Ordering::Relaxed);
        self.round.fetch_add(1, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn rounds_begin_when_much_is_wasted_and_rest_when_they_do_not_help() {
        let config = Config {
            defrag_ignore_bytes: 8 * MIB,
            defrag_percent: 10,
            ..Config::default()
        };
        let fragmentation = Fragmentation::default();
        let judge = |allocated, active, now_s: u64| {
            let heap = Heap {
                allocated: allocated * MIB,
                active: active * MIB,
            };
            fragmentation.judge(&config, heap, now_s * SECOND_NS)
        };
        assert!(!judge(10, 18, 1), "too little");
        assert!(!judge(100, 109, 1), "too small a part");
        assert!(judge(100, 200, 1));
        assert!(!judge(100, 150, 5), "the round goes on");
        assert!(judge(100, 150, 12), "it helped");
        assert!(!judge(100, 149, 30), "it did not help");
        assert!(judge(100, 149, 140));
        assert_eq!(fragmentation.round(), 3);
    }

    #[test]
    fn one_shard_looks_once_a_second() {
        let config = Config::default();
        let fragmentation = Fragmentation::default();
        fragmentation.weigh(&config, SECOND_NS);
        assert_eq!(fragmentation.weighed_ns.load(Ordering::Relaxed), SECOND_NS);
        fragmentation.weigh(&config, SECOND_NS + 5);
        assert_eq!(fragmentation.weighed_ns.load(Ordering::Relaxed), SECOND_NS);
    }
}
