//! Live figures: counters that a worker writes and the progress line reads while the run goes on.
//!
//! One writer per `Live`, so a store is enough and no locked instruction is paid per request. The latency
//! buckets are coarse: the report has its own exact histogram.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::buckets::{BUCKETS, bucket, quantile};

/// The counters of one worker.
#[derive(Debug)]
pub struct Live {
    replies: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

impl Default for Live {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self {
            replies: AtomicU64::new(0),
            buckets,
        }
    }
}

impl Live {
    /// Counts `times` replies of one latency. Called by the owning worker only.
    #[inline]
    pub fn record(&self, latency_ns: u64, times: u64) {
        bump(&self.replies, times);
        bump(&self.buckets[bucket(latency_ns)], times);
    }

    /// Replies so far.
    #[must_use]
    pub fn replies(&self) -> u64 {
        self.replies.load(Ordering::Relaxed)
    }
}

/// The sum of all workers' counters at one moment.
#[derive(Clone, Debug)]
pub struct LiveSum {
    buckets: Vec<u64>,
}

impl LiveSum {
    /// Adds up.
    #[must_use]
    pub fn of(workers: &[Live]) -> Self {
        let mut buckets = vec![0; BUCKETS];
        for live in workers {
            for (sum, bucket) in buckets.iter_mut().zip(&live.buckets) {
                *sum += bucket.load(Ordering::Relaxed);
            }
        }
        Self { buckets }
    }

    /// The latency that `quantile` of the replies since `before` did not exceed; `None` without replies.
    #[must_use]
    pub fn quantile_since(&self, before: &Self, quantile: f64) -> Option<u64> {
        let pairs = self.buckets.iter().zip(&before.buckets);
        self::quantile(pairs.map(|(now, then)| now - then), quantile)
    }
}

#[inline]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_interval_only() {
        let workers = [Live::default(), Live::default()];
        workers[0].record(1_000_000, 1000);
        let before = LiveSum::of(&workers);
        assert_eq!(before.quantile_since(&before, 0.99), None);
        workers[0].record(10_000, 98);
        workers[1].record(50_000, 2);
        let after = LiveSum::of(&workers);
        let p50 = after.quantile_since(&before, 0.5).unwrap();
        let p99 = after.quantile_since(&before, 0.99).unwrap();
        assert!((10_000..12_000).contains(&p50), "{p50}");
        assert!((50_000..57_000).contains(&p99), "{p99}");
        assert_eq!(workers[0].replies() + workers[1].replies(), 1100);
    }
}
