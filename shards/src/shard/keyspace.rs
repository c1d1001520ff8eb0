//! The shard: its databases, and the lookups that commands use. Every lookup applies expiry, so that no command sees a key
//! whose time has come; every change goes through here, so that it is counted.
//!
//! Owned by one thread and passed as `&mut Shard`; has no clock (`now_ms` is set once per turn) and no I/O.

use tessera_core::entry::{Entry, StrValue};
use tessera_core::table::{DropSlices, EntryMut, ExpireChange, Table, hash_key};

use crate::shard::{ExpiryCycle, Settings, Stats, access};

/// A small random number generator (splitmix64, Steele et al. 2014), seeded from `Env::random`.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that repeats itself for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if the bound is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }
}

/// The data of one shard.
pub struct Shard {
    /// Number of this shard.
    pub id: usize,
    /// Wall clock of this turn, milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Counters.
    pub stats: Stats,
    /// Configuration.
    pub settings: Settings,
    /// Random numbers.
    pub rng: Rng,
    /// Active expiry.
    pub(crate) expiry: ExpiryCycle,
    hash_seed: u64,
    dbs: Vec<Table>,
    /// Emptied tables that are freed a slice per turn.
    garbage: Vec<DropSlices>,
}

/// Table segments freed per slice: a few thousand entries.
const GARBAGE_SEGMENTS_PER_SLICE: usize = 8;

impl Shard {
    /// A shard without keys. All shards of a node share `hash_seed`, so that entries move between them unhashed.
    #[must_use]
    pub fn new(id: usize, databases: usize, hash_seed: u64, rng_seed: u64) -> Self {
        Shard {
            id,
            now_ms: 0,
            stats: Stats::default(),
            settings: Settings::default(),
            rng: Rng::new(rng_seed),
            expiry: ExpiryCycle::default(),
            hash_seed,
            dbs: (0..databases).map(|_| Table::new()).collect(),
            garbage: Vec::new(),
        }
    }

    /// The hash under which a key is stored.
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u64 {
        hash_key(self.hash_seed, key)
    }

    /// Number of databases.
    #[must_use]
    pub fn databases(&self) -> usize {
        self.dbs.len()
    }

    /// The table of a database, expired keys included.
    #[must_use]
    pub fn table(&self, db: usize) -> &Table {
        &self.dbs[db]
    }

    /// The table of a database, to walk it.
    pub fn table_mut(&mut self, db: usize) -> &mut Table {
        &mut self.dbs[db]
    }

    /// Bytes of all entries and tables.
    #[must_use]
    pub fn mem_bytes(&self) -> usize {
        self.dbs.iter().map(Table::mem_bytes).sum()
    }

    /// Starts loading the cache lines that a lookup of this key will need.
    #[inline]
    pub fn prefetch(&self, db: usize, key: &[u8]) {
        self.dbs[db].prefetch(self.hash(key));
    }

    /// Removes the key if its time has come. One probe, and none at all in a database without TTLs.
    #[inline]
    fn expire_if_due(&mut self, db: usize, hash: u64, key: &[u8]) {
        let table = &mut self.dbs[db];
        if table.ttl_len() == 0 {
            return;
        }
        let due = table.get(hash, key).is_some_and(|entry| entry.expire_at().is_some_and(|at| at <= self.now_ms));
        if due {
            table.remove(hash, key);
            self.stats.expired_keys += 1;
            self.stats.changes += 1;
        }
    }

    /// The entry, for a command that reads it: counts a hit or a miss and an access.
    #[inline]
    pub fn read(&mut self, db: usize, key: &[u8]) -> Option<&Entry> {
        let hash = self.hash(key);
        self.expire_if_due(db, hash, key);
        match self.dbs[db].get(hash, key) {
            Some(entry) => {
                self.stats.keyspace_hits += 1;
                let bits = access::touched(entry.access(), &self.settings, self.now_ms, &mut self.rng);
                entry.set_access(bits);
                Some(entry)
            }
            None => {
                self.stats.keyspace_misses += 1;
                None
            }
        }
    }

    /// The entry, for a command that looks without using it (TTL, TYPE, OBJECT): counts a hit or a miss, but no access.
    pub fn peek(&mut self, db: usize, key: &[u8]) -> Option<&Entry> {
        let hash = self.hash(key);
        self.expire_if_due(db, hash, key);
        let found = self.dbs[db].get(hash, key);
        match found {
            Some(_) => self.stats.keyspace_hits += 1,
            None => self.stats.keyspace_misses += 1,
        }
        found
    }

    /// Whether the key is there, counting nothing: what a writing command asks.
    pub fn exists(&mut self, db: usize, key: &[u8]) -> bool {
        let hash = self.hash(key);
        self.expire_if_due(db, hash, key);
        self.dbs[db].get(hash, key).is_some()
    }

    /// The entry, to change it: counts an access. The caller reports the change with `changed`.
    #[inline]
    pub fn write(&mut self, db: usize, key: &[u8]) -> Option<EntryMut<'_>> {
        let hash = self.hash(key);
        self.expire_if_due(db, hash, key);
        let entry = self.dbs[db].get_mut(hash, key)?;
        let bits = access::touched(entry.entry().access(), &self.settings, self.now_ms, &mut self.rng);
        entry.entry().set_access(bits);
        Some(entry)
    }

    /// Stores a string under the key, whatever was there. Counts one change. Returns whether the key existed.
    #[inline]
    pub fn set(&mut self, db: usize, key: &[u8], value: StrValue<'_>, expire: ExpireChange) -> bool {
        let hash = self.hash(key);
        if matches!(expire, ExpireChange::Keep) {
            self.expire_if_due(db, hash, key);
        }
        self.stats.changes += 1;
        let bits = access::fresh(&self.settings, self.now_ms);
        self.dbs[db].set(hash, key, value, expire, bits)
    }

    /// Puts an entry in place of whatever was under its key. Counts nothing.
    pub fn insert(&mut self, db: usize, entry: Entry) {
        let hash = self.hash(entry.key());
        self.dbs[db].insert(hash, entry);
    }

    /// Takes the entry out. Counts nothing; an expired one is gone, and counted as expired.
    pub fn take(&mut self, db: usize, key: &[u8]) -> Option<Entry> {
        let hash = self.hash(key);
        self.expire_if_due(db, hash, key);
        self.dbs[db].remove(hash, key)
    }

    /// Removes the key and counts one change if it was there.
    pub fn remove(&mut self, db: usize, key: &[u8]) -> bool {
        let found = self.take(db, key).is_some();
        self.stats.changes += u64::from(found);
        found
    }

    /// Reports a change made through `write`: one place for whoever must know of changes.
    #[inline]
    pub fn changed(&mut self, _db: usize, _key: &[u8]) {
        self.stats.changes += 1;
    }

    /// Empties a database in O(1); the memory is given back in slices. Returns how many keys it had.
    pub fn flush(&mut self, db: usize) -> usize {
        let table = self.dbs[db].detach();
        let keys = table.len();
        self.stats.changes += keys as u64;
        self.garbage.push(DropSlices::new(table));
        keys
    }

    /// Exchanges two databases in O(1).
    pub fn swap(&mut self, a: usize, b: usize) {
        self.dbs.swap(a, b);
        self.stats.changes += 1;
    }

    /// Frees a slice of what FLUSHALL detached. Returns whether there is more.
    pub fn collect_garbage(&mut self) -> bool {
        if let Some(first) = self.garbage.last_mut()
            && !first.free_some(GARBAGE_SEGMENTS_PER_SLICE)
        {
            self.garbage.pop();
        }
        !self.garbage.is_empty()
    }

    /// OBJECT FREQ of an entry.
    #[must_use]
    pub fn frequency(&self, entry: &Entry) -> u32 {
        access::frequency(entry.access(), &self.settings, self.now_ms)
    }

    /// OBJECT IDLETIME of an entry, seconds.
    #[must_use]
    pub fn idle_s(&self, entry: &Entry) -> u32 {
        access::idle_s(entry.access(), self.now_ms)
    }
}
