//! Which key goes when memory is short.
//!
//! As Redis does it: a few keys are sampled, the best candidates of all samples wait in a pool of sixteen, and the best of them goes. Unlike there, a
//! sample is the next few entries of the table (their order is that of their hashes), and a candidate that was used since it was sampled goes back.
//! Invariants: the pool is sorted, the best last; it holds keys, not entries, so that nothing in it can be stale in a harmful way. Called by
//! the engine, which knows the locked keys.

use tessera_core::entry::Entry;

use crate::shard::{Settings, Shard, access};

/// A policy that evicts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Eviction {
    /// Only keys with an expiry time go.
    pub only_expiring: bool,
    /// Which of them first.
    pub rank: Rank,
}

/// In which order keys go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rank {
    /// Those longest unused first: LRU.
    Idle,
    /// Those least often used first: LFU.
    Rare,
    /// At random.
    Random,
    /// Those whose time comes soonest first.
    Soonest,
    /// By S3-FIFO, see `fifo`.
    Queues,
}

/// A database and a key of it.
pub(super) type Victim = (usize, Box<[u8]>);

/// What a shard holds, as the node's budget wants to know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    /// Bytes of all entries and tables.
    pub bytes: usize,
    /// Those among them that are being freed already.
    pub leaving: usize,
    /// Keys of all databases.
    pub keys: usize,
    /// Whether no key may be evicted.
    pub is_dry: bool,
}

/// Candidates that are kept.
const POOL_SIZE: usize = 16;

/// A key that may go.
#[derive(Debug)]
struct Candidate {
    score: u64,
    db: usize,
    key: Box<[u8]>,
}

/// The best candidates of all samples so far.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// The best one last.
    candidates: Vec<Candidate>,
    /// For which policy the scores are.
    policy: Option<Eviction>,
    /// Where the next sample of each database begins.
    cursors: Vec<u64>,
    /// The database from which the last random key came.
    last_db: usize,
}

impl Pool {
    /// Whether a candidate with this score would be kept.
    fn wants(&self, score: u64) -> bool {
        self.candidates.len() < POOL_SIZE || score > self.candidates[0].score
    }

    /// Takes the best candidate.
    pub(super) fn best(&mut self) -> Option<Victim> {
        self.candidates.pop().map(|best| (best.db, best.key))
    }

    /// Where the next sample of a database begins.
    pub(super) fn cursor(&mut self, db: usize) -> &mut u64 {
        &mut self.cursors[db]
    }

    pub(super) fn offer(&mut self, score: u64, db: usize, key: &[u8]) {
        if !self.wants(score) {
            return;
        }
        let is_same = |known: &Candidate| known.db == db && *known.key == *key;
        if let Some(known) = self.candidates.iter().position(is_same) {
            self.candidates.remove(known);
        } else if self.candidates.len() == POOL_SIZE {
            self.candidates.remove(0);
        }
        let at = self
            .candidates
            .partition_point(|known| known.score <= score);
        let key = key.into();
        self.candidates.insert(at, Candidate { score, db, key });
    }
}

/// How much an entry deserves to go.
fn score(rank: Rank, entry: &Entry, settings: &Settings, now_ms: u64) -> u64 {
    match rank {
        Rank::Idle => access::idle_ms(entry.access(), now_ms),
        Rank::Rare => 255 - u64::from(access::frequency(entry.access(), settings, now_ms)),
        Rank::Soonest => u64::MAX - entry.expire_at().unwrap_or(u64::MAX),
        Rank::Random | Rank::Queues => 0,
    }
}

impl Shard {
    /// What this shard holds. O(databases).
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let leaving = self.detached.mem_bytes();
        let tables = self.dbs.iter().map(|database| database.table.mem_bytes());
        Holdings {
            bytes: tables.sum::<usize>() + leaving,
            leaving,
            keys: self.dbs.iter().map(|database| database.table.len()).sum(),
            is_dry: (0..self.dbs.len()).all(|db| self.evictable(db) == 0),
        }
    }

    /// Keys of a database that the policy lets go.
    fn evictable(&self, db: usize) -> usize {
        let table = &self.dbs[db].table;
        match self.settings.eviction {
            None => 0,
            Some(policy) if policy.only_expiring => table.ttl_len(),
            Some(_) => table.len(),
        }
    }

    /// Evicts keys for which `may_go` until at least so many bytes are free or so many have been looked at. Returns the bytes.
    pub(crate) fn evict(
        &mut self,
        bytes: usize,
        keys_max: usize,
        may_go: &dyn Fn(&[u8]) -> bool,
    ) -> usize {
        let Some(policy) = self.settings.eviction else {
            return 0;
        };
        let mut freed = 0;
        for _ in 0..keys_max {
            if freed >= bytes {
                break;
            }
            self.adopt(policy);
            let victim = match policy.rank {
                Rank::Queues => self.fifo_victim(may_go),
                Rank::Random => self.any_victim(policy),
                _ => self.best_victim(policy, may_go),
            };
            let Some((db, key)) = victim else { break };
            if may_go(&key) {
                freed += self.evict_key(db, &key);
            }
        }
        freed
    }

    /// What was kept for another policy is of no use.
    fn adopt(&mut self, policy: Eviction) {
        if self.pool.policy != Some(policy) {
            self.pool.candidates.clear();
            self.pool.cursors.resize(self.dbs.len(), 0);
            if self.pool.policy.replace(policy).is_some() {
                self.fifo.clear();
            }
        }
    }

    /// Removes a key to make room. Returns the bytes of its entry.
    fn evict_key(&mut self, db: usize, key: &[u8]) -> usize {
        let Some(entry) = self.take_unseen(db, key) else {
            return 0;
        };
        let bytes = entry.heap_bytes();
        let was_due = self.is_due(&entry);
        self.discard(entry);
        if was_due {
            self.expired(db, key);
        } else {
            self.evicted(db, key);
        }
        bytes
    }

    /// The next key of the next database that has one.
    fn any_victim(&mut self, policy: Eviction) -> Option<Victim> {
        for _ in 0..self.dbs.len() {
            let db = (self.pool.last_db + 1) % self.dbs.len();
            self.pool.last_db = db;
            if self.evictable(db) == 0 {
                continue;
            }
            let (table, cursor) = (&self.dbs[db].table, &mut self.pool.cursors[db]);
            let mut found = None;
            table.sample(cursor, 1, policy.only_expiring, &mut |entry| {
                found = Some((db, Box::from(entry.key())));
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The best candidate after another sample of each database, of those that may go.
    fn best_victim(&mut self, policy: Eviction, may_go: &dyn Fn(&[u8]) -> bool) -> Option<Victim> {
        self.sample_for_pool(policy);
        while let Some(best) = self.pool.candidates.pop() {
            if !may_go(&best.key) {
                continue;
            }
            let entry = self.dbs[best.db]
                .table
                .get(self.hash(&best.key), &best.key)
                .filter(|entry| !policy.only_expiring || entry.expire_at().is_some());
            let Some(entry) = entry else { continue };
            let now = score(policy.rank, entry, &self.settings, self.now_ms);
            // It was used meanwhile: it is one among others.
            if now < best.score
                && let Some(next) = self.pool.candidates.last()
                && next.score > now
            {
                self.pool.offer(now, best.db, &best.key);
                continue;
            }
            return Some((best.db, best.key));
        }
        None
    }

    fn sample_for_pool(&mut self, policy: Eviction) {
        for db in 0..self.dbs.len() {
            if self.evictable(db) == 0 {
                continue;
            }
            let Shard {
                dbs,
                pool,
                settings,
                now_ms,
                ..
            } = self;
            let mut cursor = pool.cursors[db];
            let samples = settings.eviction_samples;
            dbs[db]
                .table
                .sample(&mut cursor, samples, policy.only_expiring, &mut |entry| {
                    let score = score(policy.rank, entry, settings, *now_ms);
                    pool.offer(score, db, entry.key());
                });
            pool.cursors[db] = cursor;
        }
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::entry::StrValue;
    use tessera_core::table::ExpireChange;

    use super::*;
    use crate::shard::Tracks;

    fn shard(only_expiring: bool, rank: Rank) -> Shard {
        let mut shard = Shard::new(0, 4, 1, 1);
        shard.now_ms = 1_000_000;
        shard.settings.tracks = match rank {
            Rank::Rare => Tracks::Counts,
            Rank::Queues => Tracks::Queues,
            _ => Tracks::Times,
        };
        shard.settings.eviction = Some(Eviction {
            only_expiring,
            rank,
        });
        shard
    }

    fn set(shard: &mut Shard, db: usize, n: u64, expire: ExpireChange) {
        let key = format!("key:{n}");
        shard
            .set(db, key.as_bytes(), StrValue::Bytes(b"value"), expire)
            .unwrap();
    }

    /// Evicts one key after the other and returns the numbers of those that are left.
    fn left_after(shard: &mut Shard, evicted: usize) -> Vec<u64> {
        for _ in 0..evicted {
            assert!(shard.evict(1, 1, &|_| true) > 0);
        }
        let has = |n: &u64| shard.exists(0, format!("key:{n}").as_bytes());
        (0..1_000).filter(has).collect()
    }

    #[test]
    fn the_pool_keeps_the_best_and_each_once() {
        let mut pool = Pool::default();
        for n in 0..100u64 {
            pool.offer(n * 37 % 100, 0, &n.to_le_bytes());
            pool.offer(n * 37 % 100, 0, &n.to_le_bytes());
        }
        let scores: Vec<u64> = pool.candidates.iter().map(|known| known.score).collect();
        assert_eq!(scores, (84..100).collect::<Vec<_>>());
        pool.offer(1_000, 0, &pool.candidates[3].key.clone());
        assert_eq!(pool.candidates.len(), POOL_SIZE);
        assert_eq!(pool.candidates[15].score, 1_000);
        pool.offer(0, 0, b"worse");
        assert_eq!(pool.candidates[0].score, 84);
    }

    #[test]
    fn what_is_longest_unused_goes_first() {
        let mut shard = shard(false, Rank::Idle);
        shard.settings.eviction_samples = 10;
        for n in 0..1_000 {
            shard.now_ms += 1_000;
            set(&mut shard, 0, n, ExpireChange::Clear);
        }
        shard.now_ms += 1_000;
        for n in 0..100 {
            assert!(shard.read(0, format!("key:{n}").as_bytes()).is_some());
        }
        let left = left_after(&mut shard, 500);
        let used = left.iter().filter(|n| **n < 100).count();
        assert_eq!(used, 100, "none of those just used");
        let old = left.iter().filter(|n| (100..500).contains(*n)).count();
        assert!(old < 60, "{old} of the 400 oldest are left");
        assert_eq!(shard.stats.evicted_keys, 500);
    }

    #[test]
    fn what_is_rarely_used_goes_first() {
        let mut shard = shard(false, Rank::Rare);
        for n in 0..1_000 {
            set(&mut shard, 0, n, ExpireChange::Clear);
        }
        for _ in 0..50 {
            for n in (0..1_000).step_by(10) {
                assert!(shard.read(0, format!("key:{n}").as_bytes()).is_some());
            }
        }
        let left = left_after(&mut shard, 800);
        assert_eq!(left.iter().filter(|n| *n % 10 == 0).count(), 100);
    }

    #[test]
    fn only_expiring_keys_go_and_the_soonest_first() {
        for rank in [Rank::Soonest, Rank::Random, Rank::Idle, Rank::Rare] {
            let mut shard = shard(true, rank);
            for n in 0..1_000 {
                let at = ExpireChange::At(2_000_000 + n);
                let expire = if n % 2 == 0 { at } else { ExpireChange::Clear };
                set(&mut shard, 0, n, expire);
            }
            let left = left_after(&mut shard, 250);
            assert_eq!(left.iter().filter(|n| *n % 2 == 1).count(), 500);
            let soon = left.iter().filter(|n| *n % 2 == 0 && **n < 500).count();
            assert!(rank != Rank::Soonest || soon < 40, "{soon}");
            assert!(!shard.holdings().is_dry);
            left_after(&mut shard, 250);
            assert!(shard.holdings().is_dry);
            assert_eq!(shard.evict(1, 10, &|_| true), 0);
        }
    }

    #[test]
    fn every_database_gives_and_what_may_not_go_stays() {
        for rank in [Rank::Random, Rank::Idle] {
            let mut shard = shard(false, rank);
            for n in 0..400 {
                set(&mut shard, n as usize % 4, n, ExpireChange::Clear);
            }
            for _ in 0..2_000 {
                shard.evict(1, 1, &|key| key != b"key:0" && key != b"key:7");
            }
            let left: Vec<usize> = (0..4).map(|db| shard.table(db).len()).collect();
            assert_eq!(left, [1, 0, 0, 1]);
            assert_eq!(shard.stats.evicted_keys, 398);
            assert_eq!(
                shard.stats.changes, 400,
                "an eviction is no change to the data"
            );
        }
    }

    #[test]
    fn one_used_since_it_was_sampled_goes_back() {
        let mut shard = shard(false, Rank::Idle);
        for n in 0..10 {
            shard.now_ms += 1_000;
            set(&mut shard, 0, n, ExpireChange::Clear);
        }
        shard.settings.eviction_samples = 10;
        assert!(shard.evict(1, 1, &|_| true) > 0);
        shard.now_ms += 5_000;
        shard.settings.eviction_samples = 1;
        assert!(shard.read(0, b"key:1").is_some());
        assert_eq!(left_after(&mut shard, 1), [1, 3, 4, 5, 6, 7, 8, 9]);
    }
}
