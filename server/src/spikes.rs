//! LATENCY: how long the node's stalls were, by kind of event, one sample per second and the worst of it.
//!
//! Shared by all shards behind a lock: only an event of at least `latency-monitor-threshold` ms, and who reads, takes it. `front::slow` adds
//! samples.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Samples of an event that are kept.
const SAMPLES_MAX: usize = 160;

/// A command that is not FAST.
pub const COMMAND: &str = "command";
/// A command that is FAST.
pub const FAST_COMMAND: &str = "fast-command";
/// A slice of the search for keys whose time has come.
pub const EXPIRE_CYCLE: &str = "expire-cycle";

/// A slice of eviction.
pub const EVICTION_CYCLE: &str = "eviction-cycle";

/// The worst of one second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Seconds since the Unix epoch.
    pub unix_s: u64,
    /// How long it took.
    pub ms: u64,
}

/// The samples of one event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Series {
    /// Oldest first, at least one.
    pub samples: VecDeque<Sample>,
    /// The worst there ever was.
    pub worst_ms: u64,
}

/// Figures about a series.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Samples.
    pub count: u64,
    /// The lowest.
    pub low_ms: u64,
    /// The highest.
    pub high_ms: u64,
    /// Their mean.
    pub mean_ms: u64,
    /// How far they are from it on average.
    pub deviation_ms: u64,
    /// Seconds since the first.
    pub period_s: u64,
}

impl Series {
    fn add(&mut self, sample: Sample) {
        self.worst_ms = self.worst_ms.max(sample.ms);
        match self.samples.back_mut() {
            Some(last) if last.unix_s == sample.unix_s => last.ms = last.ms.max(sample.ms),
            _ => {
                if self.samples.len() == SAMPLES_MAX {
                    self.samples.pop_front();
                }
                self.samples.push_back(sample);
            }
        }
    }

    /// The last sample.
    #[must_use]
    pub fn latest(&self) -> Option<Sample> {
        self.samples.back().copied()
    }

    /// Figures about it as of now.
    #[must_use]
    pub fn summary(&self, now_s: u64) -> Summary {
        let each = || self.samples.iter().map(|sample| sample.ms);
        let count = self.samples.len() as u64;
        let (Some(first), Some(low_ms), Some(high_ms)) =
            (self.samples.front(), each().min(), each().max())
        else {
            return Summary::default();
        };
        let mean_ms = each().sum::<u64>() / count;
        Summary {
            count,
            low_ms,
            high_ms,
            mean_ms,
            deviation_ms: each().map(|ms| ms.abs_diff(mean_ms)).sum::<u64>() / count,
            period_s: now_s.saturating_sub(first.unix_s).max(1),
        }
    }
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Spikes(Mutex<BTreeMap<&'static str, Series>>);

impl Spikes {
    /// Something took long.
    pub fn add(&self, event: &'static str, sample: Sample) {
        self.kept().entry(event).or_default().add(sample);
    }

    /// All events that have samples.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, Series> {
        self.kept().clone()
    }

    /// The samples of an event.
    #[must_use]
    pub fn of(&self, event: &[u8]) -> Option<Series> {
        let name = std::str::from_utf8(event).ok()?;
        self.kept().get(name).cloned()
    }

    /// Forgets these events, all if none is named. Says how many there were.
    pub fn forget(&self, events: &[&[u8]]) -> usize {
        let mut kept = self.kept();
        let before = kept.len();
        kept.retain(|event, _| !events.is_empty() && !events.contains(&event.as_bytes()));
        before - kept.len()
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<&'static str, Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_keeps_its_worst() {
        let spikes = Spikes::default();
        for (unix_s, ms) in [(10, 5), (10, 9), (10, 2), (12, 3), (13, 6)] {
            spikes.add(COMMAND, Sample { unix_s, ms });
        }
        let series = spikes.of(b"command").unwrap();
        let kept: Vec<_> = series.samples.iter().map(|it| (it.unix_s, it.ms)).collect();
        assert_eq!(kept, [(10, 9), (12, 3), (13, 6)]);
        let summary = Summary {
            count: 3,
            low_ms: 3,
            high_ms: 9,
            mean_ms: 6,
            deviation_ms: 2,
            period_s: 4,
        };
        assert_eq!((series.worst_ms, series.summary(14)), (9, summary));
        assert_eq!(series.summary(9).period_s, 1);
        assert_eq!(Series::default().summary(9), Summary::default());
    }

    #[test]
    fn old_samples_go_but_not_the_worst() {
        let spikes = Spikes::default();
        for unix_s in 0..SAMPLES_MAX as u64 + 3 {
            let ms = if unix_s == 0 { 50 } else { 1 };
            spikes.add(EXPIRE_CYCLE, Sample { unix_s, ms });
        }
        let series = spikes.of(b"expire-cycle").unwrap();
        assert_eq!((series.samples.len(), series.worst_ms), (SAMPLES_MAX, 50));
        assert_eq!(series.samples[0].unix_s, 3);
        assert_eq!(series.latest().unwrap().unix_s, SAMPLES_MAX as u64 + 2);
    }

    #[test]
    fn events_are_forgotten() {
        let spikes = Spikes::default();
        let sample = Sample { unix_s: 1, ms: 1 };
        for event in [COMMAND, FAST_COMMAND, EXPIRE_CYCLE] {
            spikes.add(event, sample);
        }
        assert_eq!(spikes.forget(&[b"command", b"nothing"]), 1);
        assert_eq!(spikes.all().len(), 2);
        assert_eq!((spikes.forget(&[]), spikes.forget(&[])), (2, 0));
    }
}
