//! `allkeys-s3fifo`: which key goes by S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023).
//!
//! A new key waits in a small queue, a tenth of all keys. Who comes to its front and was used twice meanwhile moves to the main queue, others go, and a
//! ghost of them stays: a key that comes again while its ghost is known enters the main queue at once. Who comes to the front of the main queue goes if it was not used
//! since the last time, else it queues again. So what is used once passes through without harm, and a hit costs a counter of two bits.
//!
//! ```text
//!  access bits   bits 0..2 uses since it last queued, up to 3
//!                bits 2..4 queue: 0 none yet, 1 small, 2 main
//!                bits 4..26 when it queued, in units of 64 insertions
//! ```
//! The small queue is a ring of hashes, so that it is exact; the main queue has no memory of its own, its front is looked for by sampling as for LRU. In the simulation
//! that decided for it (1 M keys, Zipf 0.99 and 0.7, scans in between, a hot set that moves) this costs at most half a point of the hit ratio against exact queues.
//!
//! Invariants: a ring may name keys that are gone or have moved on, which is noticed when they come to its front. A key whose bits say "small" and that queued before, or with,
//! the last one which left the ring is in no ring (it came from another shard, or its bits from another policy) and counts as main.

use std::collections::VecDeque;

use tessera_core::entry::Entry;
use tessera_core::table::hash_key;

use super::eviction::Victim;
use crate::shard::Shard;

const USES_MAX: u32 = 3;
const QUEUE_SHIFT: u32 = 2;
const SMALL: u32 = 1;
const MAIN: u32 = 2;
const STAMP_SHIFT: u32 = 4;
const STAMP_MASK: u32 = (1 << 22) - 1;
/// A stamp counts this many insertions.
const INSERTIONS: u64 = 64;
/// The small queue's part of all keys.
const SMALL_PART: usize = 10;
/// Uses in the small queue that move a key to the main queue.
const USES_TO_STAY: u32 = 2;
/// Keys looked at for one that goes: above it, the rest is for the next turn.
const STEPS_MAX: usize = 64;
/// Ghosts in one set.
const WAYS: usize = 8;

/// Access bits of a key that is in no queue.
pub(super) const FRESH: u32 = 0;

/// Access bits after one more use.
#[inline]
pub(super) fn used(bits: u32) -> u32 {
    bits + u32::from(bits & USES_MAX < USES_MAX)
}

fn queue(bits: u32) -> u32 {
    bits >> QUEUE_SHIFT & 3
}

fn stamp_of(bits: u32) -> u32 {
    bits >> STAMP_SHIFT
}

/// Keys that went from the small queue, as 32 bits of their hash, in sets of eight, the latest first.
#[derive(Debug, Default)]
struct Ghosts {
    sets: Vec<[u32; WAYS]>,
}

impl Ghosts {
    fn place(&self, hash: u64) -> (usize, u32) {
        (
            hash as usize & (self.sets.len() - 1),
            (hash >> 32) as u32 | 1,
        )
    }

    /// As many as keys, within a factor of two. What was known is forgotten when the number of keys doubles.
    fn fit(&mut self, keys: usize) {
        let sets = (keys / WAYS).next_power_of_two();
        if sets > self.sets.len() {
            self.sets = vec![[0; WAYS]; sets];
        }
    }

    fn add(&mut self, hash: u64) {
        if self.sets.is_empty() {
            return;
        }
        let (set, mark) = self.place(hash);
        let set = &mut self.sets[set];
        set.copy_within(..WAYS - 1, 1);
        set[0] = mark;
    }

    /// Whether a ghost is known. It is not any more after this.
    fn take(&mut self, hash: u64) -> bool {
        if self.sets.is_empty() {
            return false;
        }
        let (set, mark) = self.place(hash);
        let found = self.sets[set].iter_mut().find(|known| **known == mark);
        found.map(|known| *known = 0).is_some()
    }
}

/// The queues of one shard.
#[derive(Debug)]
pub(super) struct Fifo {
    /// Hashes of the keys in the small queue, a ring per database, the oldest first.
    small: Vec<VecDeque<u64>>,
    ghosts: Ghosts,
    /// Keys that have queued.
    queued: u64,
    /// When the last one queued that left a ring.
    left: u32,
}

impl Default for Fifo {
    fn default() -> Self {
        Fifo {
            small: Vec::new(),
            ghosts: Ghosts::default(),
            queued: 0,
            left: STAMP_MASK,
        }
    }
}

impl Fifo {
    fn stamp(&self) -> u32 {
        (self.queued / INSERTIONS) as u32 & STAMP_MASK
    }

    /// How long ago it queued, in units of the stamp.
    fn age(&self, bits: u32) -> u32 {
        self.stamp().wrapping_sub(stamp_of(bits)) & STAMP_MASK
    }

    fn join(&mut self, entry: &Entry, queue: u32, uses: u32) {
        self.queued += 1;
        entry.set_access(self.stamp() << STAMP_SHIFT | queue << QUEUE_SHIFT | uses);
    }

    /// A key enters a queue for the first time.
    fn enter(&mut self, db: usize, hash: u64, entry: &Entry) {
        let uses = entry.access() & USES_MAX;
        if self.ghosts.take(hash) {
            return self.join(entry, MAIN, uses);
        }
        self.join(entry, SMALL, uses);
        if db >= self.small.len() {
            self.small.resize_with(db + 1, VecDeque::new);
        }
        self.small[db].push_back(hash);
    }

    /// Whether a key is in the main queue, or in none.
    fn is_main(&self, bits: u32) -> bool {
        let age_of_last = self.stamp().wrapping_sub(self.left) & STAMP_MASK;
        queue(bits) >= MAIN || queue(bits) == SMALL && self.age(bits) >= age_of_last
    }

    fn small_len(&self) -> usize {
        self.small.iter().map(VecDeque::len).sum()
    }

    /// The policy is another: what waits in the small queues counts as main.
    pub(super) fn clear(&mut self) {
        (self.small, self.ghosts) = Default::default();
        self.left = self.stamp();
    }
}

impl Shard {
    /// A key was made, and the policy is this one. While there is room, the front of a small queue that has grown too long moves
    /// to the main queue unseen.
    #[cold]
    pub(super) fn queue_up(&mut self, db: usize, hash: u64) {
        let keys = self.dbs[db].table.len();
        self.look_by_hash(db, hash, |fifo, entry| fifo.enter(db, hash, entry));
        let ring = self.fifo.small.get_mut(db);
        if let Some(ring) = ring.filter(|ring| ring.len() > keys / (SMALL_PART / 2) + 1024)
            && let Some(front) = ring.pop_front()
        {
            self.look_by_hash(db, front, |fifo, entry| {
                if queue(entry.access()) == SMALL {
                    fifo.left = stamp_of(entry.access());
                    fifo.join(entry, MAIN, entry.access() & USES_MAX);
                }
            });
        }
    }

    /// Shows the entry with this hash, if there is one.
    fn look_by_hash(&mut self, db: usize, wanted: u64, see: impl FnOnce(&mut Fifo, &Entry)) {
        let mut see = Some(see);
        let (fifo, hash_seed) = (&mut self.fifo, self.hash_seed);
        self.dbs[db].table.each_near(wanted, &mut |entry| {
            if hash_key(hash_seed, entry.key()) == wanted
                && let Some(see) = see.take()
            {
                see(fifo, entry);
            }
        });
    }

    /// The key that goes next, of those that may.
    pub(super) fn fifo_victim(&mut self, may_go: &dyn Fn(&[u8]) -> bool) -> Option<Victim> {
        let keys: usize = self.dbs.iter().map(|database| database.table.len()).sum();
        self.fifo.ghosts.fit(keys);
        for _ in 0..STEPS_MAX {
            let is_small_full = self.fifo.small_len() >= (keys / SMALL_PART).max(1);
            let found = if is_small_full {
                self.front_of_small(may_go)
            } else {
                self.front_of_main(may_go)
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Takes the front off the longest small queue; it goes, or moves to the main queue.
    fn front_of_small(&mut self, may_go: &dyn Fn(&[u8]) -> bool) -> Option<Victim> {
        let db = (0..self.fifo.small.len()).max_by_key(|&db| self.fifo.small[db].len())?;
        let hash = self.fifo.small[db].pop_front()?;
        let mut victim = None;
        self.look_by_hash(db, hash, |fifo, entry| {
            let bits = entry.access();
            if queue(bits) != SMALL {
                return;
            }
            fifo.left = stamp_of(bits);
            if bits & USES_MAX >= USES_TO_STAY {
                fifo.join(entry, MAIN, 0);
            } else if may_go(entry.key()) {
                fifo.ghosts.add(hash);
                victim = Some((db, Box::from(entry.key())));
            } else {
                fifo.join(entry, MAIN, 0);
            }
        });
        victim
    }

    /// The oldest of a sample of the main queue; it goes, or queues again.
    fn front_of_main(&mut self, may_go: &dyn Fn(&[u8]) -> bool) -> Option<Victim> {
        for db in 0..self.dbs.len() {
            self.sample_main(db);
        }
        while let Some((db, key)) = self.pool.best() {
            let hash = self.hash(&key);
            let Some(entry) = self.dbs[db].table.get(hash, &key) else {
                continue;
            };
            let uses = entry.access() & USES_MAX;
            if !self.fifo.is_main(entry.access()) {
                continue;
            }
            if uses > 0 {
                self.fifo.join(entry, MAIN, uses - 1);
                return None;
            }
            if may_go(&key) {
                return Some((db, key));
            }
        }
        None
    }

    fn sample_main(&mut self, db: usize) {
        if self.dbs[db].table.is_empty() {
            return;
        }
        let mut cursor = *self.pool.cursor(db);
        let (fifo, pool, hash_seed) = (&mut self.fifo, &mut self.pool, self.hash_seed);
        let samples = self.settings.eviction_samples;
        let table = &self.dbs[db].table;
        table.sample(&mut cursor, samples, false, &mut |entry| {
            let bits = entry.access();
            if fifo.is_main(bits) {
                pool.offer(fifo.age(bits).into(), db, entry.key());
            } else if queue(bits) == 0 {
                let hash = hash_key(hash_seed, entry.key());
                fifo.enter(db, hash, entry);
            }
        });
        *self.pool.cursor(db) = cursor;
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::entry::StrValue;
    use tessera_core::table::ExpireChange;

    use super::*;
    use crate::shard::{Eviction, Rank, Rng, Tracks};

    const KEYS: usize = 100_000;
    const CACHE: usize = 1_000;

    /// Draws from Zipf's law with exponent 0.99.
    struct Zipf(Vec<f64>);

    impl Zipf {
        fn new() -> Self {
            let weight = |rank: usize| (rank as f64).powf(-0.99);
            let sums = (1..=KEYS).scan(0.0, |sum, rank| {
                *sum += weight(rank);
                Some(*sum)
            });
            Zipf(sums.collect())
        }

        fn draw(&self, rng: &mut Rng) -> usize {
            let all = self.0[KEYS - 1];
            let at = rng.below(1 << 40) as f64 / (1u64 << 40) as f64 * all;
            self.0.partition_point(|sum| *sum < at)
        }
    }

    fn shard(rank: Rank) -> Shard {
        let mut shard = Shard::new(0, 2, 1, 1);
        shard.now_ms = 1_700_000_000_000;
        shard.settings.eviction_samples = 10;
        shard.settings.tracks = if rank == Rank::Queues {
            Tracks::Queues
        } else {
            Tracks::Times
        };
        shard.settings.eviction = Some(Eviction {
            only_expiring: false,
            rank,
        });
        shard
    }

    fn set(shard: &mut Shard, db: usize, key: &str) {
        shard
            .set(db, key.as_bytes(), StrValue::Int(1), ExpireChange::Clear)
            .unwrap();
    }

    /// Looks a key up, stores it if it is not there, and evicts what is too much.
    fn use_key(shard: &mut Shard, number: usize) -> bool {
        let (db, key) = (number % 2, format!("key:{number}"));
        if shard.read(db, key.as_bytes()).is_some() {
            return true;
        }
        set(shard, db, &key);
        while shard.table(0).len() + shard.table(1).len() > CACHE {
            shard.evict(1, 1, &|_| true);
        }
        false
    }

    /// Hits in percent. Each access is a millisecond.
    fn hit_ratio(rank: Rank, scans: bool) -> f64 {
        let (mut shard, zipf, mut rng) = (shard(rank), Zipf::new(), Rng::new(7));
        let (rounds, mut hits, mut next) = (200_000, 0, KEYS);
        for round in 0..rounds {
            shard.now_ms += 1;
            if scans && round % 10_000 == 0 {
                for _ in 0..2 * CACHE {
                    next += 1;
                    use_key(&mut shard, next);
                }
            }
            hits += usize::from(use_key(&mut shard, zipf.draw(&mut rng)));
        }
        100.0 * hits as f64 / f64::from(rounds)
    }

    #[test]
    fn it_hits_more_often_than_lru() {
        for scans in [false, true] {
            let (ours, lru) = (hit_ratio(Rank::Queues, scans), hit_ratio(Rank::Idle, scans));
            assert!(ours > lru + 5.0, "{ours} and {lru}, scans: {scans}");
        }
    }

    #[test]
    fn who_is_used_in_the_small_queue_stays() {
        let mut shard = shard(Rank::Queues);
        for number in 0..100 {
            set(&mut shard, 0, &format!("key:{number}"));
        }
        for number in (0..100).step_by(10) {
            let key = format!("key:{number}");
            (0..2).for_each(|_| assert!(shard.read(0, key.as_bytes()).is_some()));
        }
        while shard.table(0).len() > 15 {
            shard.evict(1, 1, &|_| true);
        }
        let stays = (0..100).step_by(10).all(|number| {
            let key = format!("key:{number}");
            shard.exists(0, key.as_bytes())
        });
        assert!(stays);
    }

    #[test]
    fn a_ghost_comes_back_to_the_main_queue() {
        let mut shard = shard(Rank::Queues);
        for number in 0..200 {
            set(&mut shard, 0, &format!("key:{number}"));
        }
        assert!(shard.evict(1, 1, &|_| true) > 0);
        assert!(!shard.exists(0, b"key:0"), "the oldest goes first");
        let queue_of = |shard: &Shard, key: &[u8]| {
            let entry = shard.table(0).get(shard.hash(key), key);
            queue(entry.unwrap().access())
        };
        set(&mut shard, 0, "key:0");
        set(&mut shard, 0, "key:new");
        assert_eq!(queue_of(&shard, b"key:0"), MAIN);
        assert_eq!(queue_of(&shard, b"key:new"), SMALL);
    }

    #[test]
    fn all_keys_can_go_whatever_their_bits_were() {
        let mut shard = shard(Rank::Idle);
        let mut rng = Rng::new(3);
        for number in 0..5_000 {
            shard.now_ms += rng.below(100_000);
            set(&mut shard, number % 2, &format!("key:{number}"));
        }
        shard.settings.tracks = Tracks::Queues;
        shard.settings.eviction = Some(Eviction {
            only_expiring: false,
            rank: Rank::Queues,
        });
        for number in 5_000..6_000 {
            set(&mut shard, 0, &format!("key:{number}"));
        }
        let spared = |key: &[u8]| key != b"key:17";
        for _ in 0..8_000 {
            shard.evict(1, 1, &spared);
        }
        assert_eq!(shard.table(0).len() + shard.table(1).len(), 1);
        assert_eq!(shard.stats.evicted_keys, 5_999);
    }

    #[test]
    fn the_small_queue_is_short_while_there_is_room() {
        let mut shard = shard(Rank::Queues);
        (0..50_000).for_each(|number| set(&mut shard, 0, &format!("key:{number}")));
        assert!(shard.fifo.small_len() < 12_000);
    }
}
