//! The run over time: replies and latencies of each tenth of a second, for the plots. One addition per batch of
//! replies; a worker has its own, and they are merged at the end.

use serde::{Deserialize, Serialize};

use crate::buckets::{BUCKETS, bucket, quantile};
use crate::clock::SECOND_NS;

/// The length of an interval.
pub const INTERVAL_NS: u64 = SECOND_NS / 10;

/// A run longer than this goes on into its last interval.
const INTERVALS_MAX: usize = 36_000;

/// The intervals of a phase.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    start_ns: u64,
    intervals: Vec<Interval>,
}

#[derive(Clone, Debug)]
struct Interval {
    counts: Vec<u32>,
    max_ns: u64,
}

/// One interval, as the results show it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimePoint {
    /// Seconds from the start to the interval's end.
    pub at_s: f64,
    /// Replies per second.
    pub ops_per_s: f64,
    /// 99 % of its latencies; 0 without replies.
    pub p99_us: f64,
    /// Its longest latency.
    pub max_us: f64,
}

impl Timeline {
    /// A timeline that begins at `start_ns`.
    #[must_use]
    pub fn starting(start_ns: u64) -> Self {
        Self {
            start_ns,
            intervals: Vec::new(),
        }
    }

    /// Counts `times` replies that came at `now_ns`.
    #[inline]
    pub fn record(&mut self, now_ns: u64, latency_ns: u64, times: u64) {
        let index = (now_ns.saturating_sub(self.start_ns) / INTERVAL_NS) as usize;
        let index = index.min(INTERVALS_MAX - 1);
        if index >= self.intervals.len() {
            self.grow(index + 1);
        }
        let interval = &mut self.intervals[index];
        interval.max_ns = interval.max_ns.max(latency_ns);
        let count = &mut interval.counts[bucket(latency_ns)];
        *count = count.saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
    }

    #[cold]
    fn grow(&mut self, length: usize) {
        let empty = Interval {
            counts: vec![0; BUCKETS],
            max_ns: 0,
        };
        self.intervals.resize(length, empty);
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: &Self) {
        if self.intervals.len() < other.intervals.len() {
            self.grow(other.intervals.len());
        }
        for (mine, theirs) in self.intervals.iter_mut().zip(&other.intervals) {
            mine.max_ns = mine.max_ns.max(theirs.max_ns);
            for (count, more) in mine.counts.iter_mut().zip(&theirs.counts) {
                *count = count.saturating_add(*more);
            }
        }
    }

    /// The points of a phase that took `elapsed_ns`.
    #[must_use]
    pub fn points(&self, elapsed_ns: u64) -> Vec<TimePoint> {
        let mut points = Vec::new();
        for (index, interval) in (0u64..).zip(&self.intervals) {
            let begin_ns = index * INTERVAL_NS;
            let length_ns = elapsed_ns.saturating_sub(begin_ns).min(INTERVAL_NS);
            if length_ns < INTERVAL_NS / 4 && index > 0 {
                // The drain after the end: too short for a rate.
                break;
            }
            let counts = interval.counts.iter().map(|count| u64::from(*count));
            let replies: u64 = counts.clone().sum();
            let seconds = length_ns.max(1) as f64 / SECOND_NS as f64;
            points.push(TimePoint {
                at_s: (begin_ns + length_ns) as f64 / SECOND_NS as f64,
                ops_per_s: replies as f64 / seconds,
                p99_us: quantile(counts, 0.99).map_or(0.0, |ns| ns as f64 / 1e3),
                max_us: interval.max_ns as f64 / 1e3,
            });
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_told_apart_and_merged() {
        let mut one = Timeline::starting(1000);
        let mut two = Timeline::starting(1000);
        one.record(1000 + INTERVAL_NS / 2, 50_000, 10);
        two.record(1000 + 2 * INTERVAL_NS + 1, 900_000, 5);
        one.merge(&two);
        let points = one.points(3 * INTERVAL_NS);
        let rates: Vec<f64> = points.iter().map(|point| point.ops_per_s).collect();
        assert_eq!(rates, [100.0, 0.0, 50.0]);
        assert!((points[2].p99_us - 900.0).abs() < 60.0);
        assert!((points[2].max_us - 900.0).abs() < 1e-9);
        assert_eq!(points[1].p99_us, 0.0);
    }

    #[test]
    fn the_last_interval_counts_as_long_as_it_was() {
        let mut timeline = Timeline::starting(0);
        timeline.record(INTERVAL_NS + 1, 1, 10);
        let points = timeline.points(INTERVAL_NS + INTERVAL_NS / 2);
        assert!((points[1].ops_per_s - 200.0).abs() < 1e-9);
        assert_eq!(timeline.points(INTERVAL_NS + INTERVAL_NS / 8).len(), 1);
    }
}
