//! The keys with the largest sums of a stream of amounts, in a fixed number of counters.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005) in sets of
//! [`WAYS`] counters that a key's hash chooses, as caches have them, with the randomized admission of RAP (Ben-Basat, Einziger, Friedman, Kassner:
//! "Randomized Admission Policy for Efficient Top-k and Frequency Estimation", INFOCOM 2017): a key without a counter takes the smallest of its set with
//! the probability that its amount has in the sum of both. So keys that come once hardly ever cost a copy of their name, and a stream without hot
//! keys leaves none. What a counter held when it was taken is its error; the sum shown is without it, which is never more than the key's own.

use crate::shard::Rng;
use crate::shard::largest::NAME_BYTES_MAX;

/// Counters of a set.
const WAYS: usize = 16;
/// Sets.
const SETS: usize = 16;

/// A key whose amounts are summed.
#[derive(Clone, Debug, Default)]
struct Counter {
    sum: u64,
    error: u64,
    db: usize,
    key: Box<[u8]>,
}

/// See the head of this file. Takes no memory until something is added.
#[derive(Clone, Debug, Default)]
pub(super) struct TopKeys {
    hashes: Vec<[u64; WAYS]>,
    counters: Vec<[Counter; WAYS]>,
}

/// A key of a database, by a hash of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) hash: u64,
    pub(super) db: usize,
    pub(super) key: &'a [u8],
}

impl TopKeys {
    /// Adds an amount to a key's sum.
    pub(super) fn add(&mut self, named: &Named<'_>, amount: u64, rng: &mut Rng) {
        if amount == 0 {
            return;
        }
        if self.hashes.is_empty() {
            self.hashes.resize(SETS, [0; WAYS]);
            self.counters.resize_with(SETS, Default::default);
        }
        // The keyspace uses other bits of the hash.
        let set = (named.hash >> 60) as usize % SETS;
        let (hashes, counters) = (&mut self.hashes[set], &mut self.counters[set]);
        if let Some(way) = hashes.iter().position(|hash| *hash == named.hash)
            && counters[way].sum > 0
        {
            counters[way].sum = counters[way].sum.saturating_add(amount);
            return;
        }
        let smallest = (0..WAYS).min_by_key(|way| counters[*way].sum);
        let way = smallest.expect("a set has counters");
        let before = counters[way].sum;
        if before > 0 && rng.below(before.saturating_add(amount)) >= amount {
            return;
        }
        hashes[way] = named.hash;
        counters[way] = Counter {
            sum: before.saturating_add(amount),
            error: before,
            db: named.db,
            key: named.key[..named.key.len().min(NAME_BYTES_MAX)].into(),
        };
    }

    /// All keys with a counter: database, name, and the sum that is surely theirs.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[u8], u64)> {
        let counters = self.counters.iter().flatten();
        let filled = counters.filter(|counter| counter.sum > counter.error);
        filled.map(|counter| (counter.db, &*counter.key, counter.sum - counter.error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(top: &mut TopKeys, rng: &mut Rng, number: u64, amount: u64) {
        let key = number.to_le_bytes();
        let hash = Rng::new(number).next_u64();
        let named = Named {
            hash,
            db: 0,
            key: &key,
        };
        top.add(&named, amount, rng);
    }

    /// The sums, largest first, with the numbers of their keys.
    fn sums(top: &TopKeys) -> Vec<(u64, u64)> {
        let mut sums: Vec<_> = top
            .iter()
            .map(|(_, key, sum)| (sum, u64::from_le_bytes(key.try_into().unwrap())))
            .collect();
        sums.sort_unstable_by(|a, b| b.cmp(a));
        sums
    }

    #[test]
    fn few_keys_are_counted_exactly() {
        let (mut top, mut rng) = (TopKeys::default(), Rng::new(1));
        for number in 1..=10 {
            add(&mut top, &mut rng, number, 0);
            for _ in 0..number {
                add(&mut top, &mut rng, number, 3);
            }
        }
        let expected: Vec<_> = (1..=10).rev().map(|number| (3 * number, number)).collect();
        assert_eq!(sums(&top), expected);
    }

    #[test]
    fn the_hot_keys_of_a_long_stream_stand_out() {
        let (mut top, mut rng) = (TopKeys::default(), Rng::new(2));
        let mut exact = [0u64; 8];
        for turn in 0..200_000u64 {
            // A tenth of the stream is for eight keys, the second of them half as often as the first, and so on.
            let draw = rng.below(10);
            if draw == 0 {
                let hot = rng.next_u64().trailing_ones().min(7) as usize;
                exact[hot] += 1;
                add(&mut top, &mut rng, hot as u64, 1);
            } else {
                add(&mut top, &mut rng, 1_000 + turn, 1);
            }
        }
        let found = sums(&top);
        for (at, count) in exact.iter().take(4).enumerate() {
            let (sum, key) = found[at];
            assert_eq!(key, at as u64, "{found:?}");
            assert!(sum <= *count && sum * 10 >= count * 9, "{sum} of {count}");
        }
    }

    #[test]
    fn a_stream_without_hot_keys_shows_none() {
        let (mut top, mut rng) = (TopKeys::default(), Rng::new(3));
        for number in 0..100_000 {
            add(&mut top, &mut rng, number, 1);
        }
        assert!(sums(&top)[0].0 <= 2, "{:?}", sums(&top));
    }

    #[test]
    fn long_names_are_cut() {
        let (mut top, mut rng) = (TopKeys::default(), Rng::new(4));
        let key = vec![b'k'; 2 * NAME_BYTES_MAX];
        let named = Named {
            hash: 1,
            db: 3,
            key: &key,
        };
        top.add(&named, 1, &mut rng);
        top.add(&named, u64::MAX, &mut rng);
        let all: Vec<_> = top.iter().collect();
        assert_eq!(all, [(3, &key[..NAME_BYTES_MAX], u64::MAX)]);
    }
}
