//! What is counted during a run: replies, latencies, bytes and error texts, per command and per thread,
//! merged at the end.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::timeline::Timeline;

/// Latencies are kept in nanoseconds with three digits, up to this.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;
const LATENCY_DIGITS: u8 = 3;

/// Distinct error texts that are kept; an error may name a key or an address, so there is no end to them.
const ERROR_TEXTS_MAX: usize = 64;
const OTHER_ERRORS: &str = "(other error texts)";

/// Error replies by their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorTally {
    counts: BTreeMap<String, u64>,
}

impl ErrorTally {
    /// Counts one error.
    pub fn count(&mut self, text: &[u8]) {
        self.add(&String::from_utf8_lossy(text), 1);
    }

    fn add(&mut self, text: &str, times: u64) {
        if let Some(count) = self.counts.get_mut(text) {
            *count += times;
        } else if self.counts.len() < ERROR_TEXTS_MAX {
            self.counts.insert(text.to_owned(), times);
        } else {
            *self.counts.entry(OTHER_ERRORS.to_owned()).or_insert(0) += times;
        }
    }

    /// Adds the errors of another thread or phase.
    pub fn merge(&mut self, other: &Self) {
        for (text, count) in other.iter() {
            self.add(text, count);
        }
    }

    /// Texts and counts, in the order of the texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts
            .iter()
            .map(|(text, count)| (text.as_str(), *count))
    }

    /// All errors together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// What happened to the requests of one command.
#[derive(Clone, Debug)]
pub struct CommandTally {
    /// Latencies in nanoseconds; its length is the number of replies.
    pub latency_ns: Histogram<u64>,
    /// Replies with a value, for commands that read.
    pub hits: u64,
    /// Replies without one.
    pub misses: u64,
    /// Nulls among the replies to other commands.
    pub nulls: u64,
    /// Error replies.
    pub errors: u64,
    /// Bytes of the requests.
    pub bytes_sent: u64,
    /// Bytes of the replies.
    pub bytes_received: u64,
}

impl Default for CommandTally {
    fn default() -> Self {
        let latency_ns = Histogram::new_with_bounds(1, LATENCY_NS_MAX, LATENCY_DIGITS)
            .expect("the bounds are constants that the histogram accepts");
        Self {
            latency_ns,
            hits: 0,
            misses: 0,
            nulls: 0,
            errors: 0,
            bytes_sent: 0,
            bytes_received: 0,
        }
    }
}

impl CommandTally {
    /// Adds what another thread counted.
    pub fn merge(&mut self, other: &Self) {
        self.latency_ns += &other.latency_ns;
        self.hits += other.hits;
        self.misses += other.misses;
        self.nulls += other.nulls;
        self.errors += other.errors;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
    }

    /// Replies, errors included.
    #[must_use]
    pub fn replies(&self) -> u64 {
        self.latency_ns.len()
    }
}

/// What one thread, or all of them, counted in one phase.
#[derive(Clone, Debug, Default)]
pub struct PhaseTally {
    /// Per command, in the order of the load's commands.
    pub commands: Vec<CommandTally>,
    /// Error replies by text.
    pub errors: ErrorTally,
    /// Connections that broke.
    pub lost_connections: u64,
    /// Why the first of them broke.
    pub lost_reason: Option<String>,
    /// Requests that were sent and never answered.
    pub unanswered: u64,
    /// Open loop: requests that were due before the end and never sent, because the window was full.
    pub unsent: u64,
    /// The run over time.
    pub timeline: Timeline,
    /// The longest time in which no reply came to a worker that waited for one.
    pub longest_gap_ns: u64,
}

impl PhaseTally {
    /// Nothing yet, of so many commands, in a phase that starts at `start_ns`.
    #[must_use]
    pub fn new(commands: usize, start_ns: u64) -> Self {
        Self {
            commands: vec![CommandTally::default(); commands],
            timeline: Timeline::starting(start_ns),
            ..Self::default()
        }
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.commands.iter_mut().zip(&other.commands) {
            mine.merge(theirs);
        }
        self.errors.merge(&other.errors);
        self.lost_connections += other.lost_connections;
        self.lost_reason = self.lost_reason.take().or(other.lost_reason);
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        self.timeline.merge(&other.timeline);
        self.longest_gap_ns = self.longest_gap_ns.max(other.longest_gap_ns);
    }

    /// All commands as one.
    #[must_use]
    pub fn totals(&self) -> CommandTally {
        let mut totals = CommandTally::default();
        for command in &self.commands {
            totals.merge(command);
        }
        totals
    }

    /// Whether something is missing from the results.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.lost_connections > 0 || self.unanswered > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_histograms_hold_what_both_held() {
        let mut one = PhaseTally::new(2, 0);
        let mut two = PhaseTally::new(2, 0);
        for value in 1..=1000u64 {
            one.commands[0].latency_ns.saturating_record(value * 1000);
            two.commands[0]
                .latency_ns
                .saturating_record((value + 1000) * 1000);
        }
        two.commands[1].latency_ns.saturating_record(5);
        two.commands[1].misses = 1;
        two.lost_reason = Some("gone".to_owned());
        two.lost_connections = 1;
        one.merge(two);
        let merged = &one.commands[0].latency_ns;
        assert_eq!(merged.len(), 2000);
        assert!(merged.value_at_quantile(0.5).abs_diff(1_000_000) <= 1000);
        assert!(merged.max().abs_diff(2_000_000) <= 2000);
        let totals = one.totals();
        assert_eq!((totals.replies(), totals.misses), (2001, 1));
        assert_eq!(one.lost_reason.as_deref(), Some("gone"));
        assert!(one.is_partial());
    }

    #[test]
    fn latencies_beyond_the_bounds_are_kept_at_the_bound() {
        let mut tally = CommandTally::default();
        tally.latency_ns.saturating_record(u64::MAX);
        tally.latency_ns.saturating_record(0);
        assert_eq!(tally.replies(), 2);
        assert!(tally.latency_ns.max() >= LATENCY_NS_MAX);
    }

    #[test]
    fn error_texts_are_counted_and_bounded() {
        let mut errors = ErrorTally::default();
        for _ in 0..3 {
            errors.count(b"ERR a");
        }
        for i in 0..1000 {
            errors.count(format!("MOVED {i}").as_bytes());
        }
        assert_eq!(errors.total(), 1003);
        assert_eq!(errors.iter().next(), Some((OTHER_ERRORS, 1000 - 63)));
        assert_eq!(errors.iter().count(), ERROR_TEXTS_MAX + 1);
        let mut other = ErrorTally::default();
        other.count(b"ERR a");
        other.merge(&errors);
        assert_eq!(other.total(), 1004);
    }
}
