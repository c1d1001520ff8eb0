//! Histograms of how long commands took: INFO latencystats.
//!
//! Those of Redis: HDR histograms of nanoseconds from 1 to a second with two significant digits, one per command that was
//! carried out. A value's place has an exponent (its highest bit) and the eight highest bits.

/// The longest time that is told apart; longer ones count as this.
const NS_MAX: u64 = 1_000_000_000;
/// Bits of a value that are kept.
const KEPT_BITS: u32 = 8;
const HALF: usize = 1 << (KEPT_BITS - 1);
/// Exponents from 0 on, and one more half for values that need none.
const PLACES: usize = (64 - NS_MAX.leading_zeros() - KEPT_BITS + 2) as usize * HALF;

/// The times of one command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: vec![0; PLACES].into_boxed_slice(),
            total: 0,
        }
    }
}

/// The place of a time in every histogram.
#[inline]
fn place(ns: u64) -> usize {
    let ns = ns.clamp(1, NS_MAX);
    let exponent = 64 - (ns | ((1 << KEPT_BITS) - 1)).leading_zeros() - KEPT_BITS;
    exponent as usize * HALF + (ns >> exponent) as usize
}

/// The longest time that has this place.
fn longest_at(place: usize) -> u64 {
    let exponent = (place / HALF).saturating_sub(1);
    let kept = (place - exponent * HALF) as u64;
    ((kept + 1) << exponent) - 1
}

impl Histogram {
    /// Adds a time.
    pub fn record(&mut self, ns: u64) {
        self.record_at(place(ns));
    }

    #[inline]
    fn record_at(&mut self, place: usize) {
        self.record_times_at(place, 1);
    }

    #[inline]
    fn record_times_at(&mut self, place: usize, times: u64) {
        self.counts[place] += times;
        self.total += times;
    }

    /// Adds another one's times.
    pub fn add(&mut self, other: &Histogram) {
        for (sum, more) in self.counts.iter_mut().zip(&other.counts) {
            *sum += more;
        }
        self.total += other.total;
    }

    /// How many times there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many times were at most 1, 2, 4, ... µs, as LATENCY HISTOGRAM shows them: only steps that add some, up to the one that has all.
    #[must_use]
    pub fn doublings(&self) -> Vec<(u64, u64)> {
        let (mut steps, mut at, mut seen) = (Vec::new(), 0, 0);
        for level in 10.. {
            let end = place(1 << level);
            let before = seen;
            seen += self.counts[at..=end].iter().sum::<u64>();
            at = end + 1;
            if seen > before {
                steps.push((longest_at(end) / 1000, seen));
            }
            if seen == self.total || 1 << level >= NS_MAX {
                break;
            }
        }
        steps
    }

    /// The time that this many percent of all did not exceed, nanoseconds.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> u64 {
        let wanted = ((percent.min(100.0) / 100.0 * self.total as f64 + 0.5) as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map_or(0, longest_at)
    }
}

/// The histograms of all commands, by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies(Vec<Option<Histogram>>);

impl Latencies {
    /// Adds a time of a command.
    pub fn record(&mut self, command: u16, ns: u64) {
        self.of_mut(command).record(ns);
    }

    /// Adds the same time to each of these.
    pub fn record_each(&mut self, commands: &[u16], ns: u64) {
        let place = place(ns);
        for command in commands {
            self.of_mut(*command).record_at(place);
        }
    }

    /// Adds the same time so many times to a command.
    pub fn record_times(&mut self, command: u16, ns: u64, times: u64) {
        if times > 0 {
            self.of_mut(command).record_times_at(place(ns), times);
        }
    }

    /// The times of a command.
    #[must_use]
    pub fn of(&self, command: u16) -> Option<&Histogram> {
        self.0.get(usize::from(command))?.as_ref()
    }

    #[inline]
    fn of_mut(&mut self, command: u16) -> &mut Histogram {
        let at = usize::from(command);
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        self.0[at].get_or_insert_default()
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &Latencies) {
        for (command, more) in other.iter() {
            self.of_mut(command).add(more);
        }
    }

    /// The commands that have times, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Histogram)> {
        let all = self.0.iter().enumerate();
        all.filter_map(|(command, times)| Some((command as u16, times.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_an_hdr_histogram() {
        // As hdr_lowest_equivalent_value and hdr_highest_equivalent_value of (1, 10^9, 2) have them.
        for (ns, longest) in [
            (0, 1),
            (1, 1),
            (255, 255),
            (256, 257),
            (257, 257),
            (1_000, 1_003),
            (1_023, 1_023),
            (1_024, 1_031),
            (100_000, 100_351),
            (NS_MAX, 1_002_438_655),
            (u64::MAX, 1_002_438_655),
        ] {
            assert_eq!(longest_at(place(ns)), longest, "{ns}");
        }
        assert!(place(NS_MAX) < PLACES);
        assert!((1..PLACES).all(|at| place(longest_at(at).min(NS_MAX)) <= at));
    }

    #[test]
    fn doublings_are_those_of_redis() {
        let mut times = Histogram::default();
        assert_eq!(times.doublings(), []);
        for ns in [1, 1_031, 1_032, 2_063, 8_256, 1_000_000_000, 5_000_000_000] {
            times.record(ns);
        }
        let steps = [(1, 2), (2, 4), (16, 5), (1_002_438, 7)];
        assert_eq!(times.doublings(), steps);
    }

    #[test]
    fn percentiles_of_several_shards() {
        let mut shards = [Latencies::default(), Latencies::default()];
        shards[0].record_each(&[3; 98], 100);
        shards[1].record(3, 5_000);
        shards[1].record(3, 7_000_000);
        shards[1].record(0, 1);
        let mut sum = Latencies::default();
        shards.iter().for_each(|shard| sum.add(shard));
        let all: Vec<(u16, [u64; 4])> = sum
            .iter()
            .map(|(command, times)| {
                (
                    command,
                    [0.0, 50.0, 99.0, 100.0].map(|p| times.percentile(p)),
                )
            })
            .collect();
        assert_eq!(all, [(0, [1; 4]), (3, [100, 100, 5_023, 7_012_351])]);
    }
}
