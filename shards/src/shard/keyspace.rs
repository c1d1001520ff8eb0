//! The shard: its databases, and the lookups that commands use. Every lookup applies expiry, so that no command sees a key
//! whose time has come; every change goes through here, so that it is counted.
//!
//! Owned by one thread and passed as `&mut Shard`; has no clock (`now_ms` is set once per turn) and no I/O.

use tessera_core::entry::{Entry, OutOfMemory, StrValue};
use tessera_core::table::{EntryMut, ExpireChange, Spot, Table, hash_key};

use super::aging::Aging;
use super::databases::{Database, Detached};
use super::defrag::DefragPass;
use super::effects::Effects;
use super::event::{self, Event, Happened};
use super::eviction::Pool;
use super::fifo::Fifo;
use super::heat::Heat;
use super::largest::Census;
use super::saving::Saving;
use super::tracking::Tracking;
use super::waiting::Waiting;
use super::watches::Watches;
use crate::script::Scripts;
use crate::shard::{ExpiryCycle, Rng, Settings, SlowWatch, Stats, Tracks, access};

/// The data of one shard.
pub struct Shard {
    /// Number of this shard.
    pub id: usize,
    /// Whether the client of the current command leaves the access bits alone (CLIENT NO-TOUCH).
    pub no_touch: bool,
    /// Wall clock of this turn, milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Counters.
    pub stats: Stats,
    /// Configuration.
    pub settings: Settings,
    /// Random numbers.
    pub rng: Rng,
    /// Scripts.
    pub scripts: Scripts,
    /// Commands that took long.
    pub slow: SlowWatch,
    /// Which keys are hot.
    pub heat: Heat,
    /// Active expiry.
    pub(crate) expiry: ExpiryCycle,
    pub(super) hash_seed: u64,
    pub(super) dbs: Vec<Database>,
    pub(super) detached: Detached,
    pub(super) pool: Pool,
    pub(super) aging: Aging,
    pub(super) defrag: DefragPass,
    pub(super) fifo: Fifo,
    pub(super) census: Census,
    pub(super) watches: Watches,
    pub(super) waiting: Waiting,
    pub(super) tracking: Tracking,
    /// What has happened to keys since it was last asked for.
    pub(super) happened: Vec<Happened>,
    /// What the node's shards share about saving, and this shard's part of it.
    pub(super) saving: Saving,
    /// What the log hears of.
    pub(crate) effects: Effects,
    /// While the log is read: the wall clock. For the rest of the shard no time passes then, so that nothing ends that had not ended.
    pub replay_ms: u64,
    /// While keys of other shards are here: what has changed, for their owners to hear of.
    pub(crate) borrowed_changes: Option<Vec<(usize, Box<[u8]>)>>,
}

/// Whether the entry's time has come: from the millisecond after its expiry time on, as in Redis.
#[inline]
fn is_due(entry: &Entry, now_ms: u64) -> bool {
    entry.expire_at().is_some_and(|at_ms| at_ms < now_ms)
}

impl Shard {
    /// A shard without keys. All shards of a node share `hash_seed`, so that entries move between them unhashed.
    #[must_use]
    pub fn new(id: usize, databases: usize, hash_seed: u64, rng_seed: u64) -> Self {
        let mut detached = Detached::of_shard(id);
        Shard {
            id,
            no_touch: false,
            now_ms: 0,
            stats: Stats::default(),
            settings: Settings::default(),
            rng: Rng::new(rng_seed),
            scripts: Scripts::default(),
            slow: SlowWatch::default(),
            heat: Heat::new(rng_seed),
            expiry: ExpiryCycle::default(),
            hash_seed,
            dbs: (0..databases)
                .map(|_| Database::new(hash_seed, detached.next_identity()))
                .collect(),
            detached,
            pool: Pool::default(),
            aging: Aging::default(),
            defrag: DefragPass::default(),
            fifo: Fifo::default(),
            census: Census::default(),
            watches: Watches::default(),
            waiting: Waiting::default(),
            tracking: Tracking::default(),
            happened: Vec::new(),
            saving: Saving::default(),
            effects: Effects::default(),
            replay_ms: 0,
            borrowed_changes: None,
        }
    }

    /// The seed of the hashes of fields or members of a collection that is made now: another one after each change. Whatever is written in the order
    /// in which a table of the same seed is walked fills its buckets very unevenly, and a copy or a union is written in that order.
    #[must_use]
    pub fn collection_seed(&self) -> u64 {
        let number = self.stats.changes.wrapping_add(1) ^ (self.id as u64) << 48;
        self.hash_seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    /// The wall clock, milliseconds since the Unix epoch, for what is noted and not decided.
    #[inline]
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        self.now_ms.max(self.replay_ms)
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
        &self.dbs[db].table
    }

    /// The table of a database, to walk it.
    pub fn table_mut(&mut self, db: usize) -> &mut Table {
        &mut self.dbs[db].table
    }

    /// Bytes of all entries and tables, those included that wait to be freed.
    #[must_use]
    pub fn mem_bytes(&self) -> usize {
        self.dbs
            .iter()
            .map(|database| database.table.mem_bytes())
            .sum::<usize>()
            + self.detached.mem_bytes()
    }

    /// Starts loading the cache lines that a lookup of this key will need.
    #[inline]
    pub fn prefetch(&self, db: usize, key: &[u8]) {
        self.dbs[db].table.prefetch(self.hash(key));
    }

    /// Finds the key, and removes it if its time has come. One probe.
    #[inline]
    fn locate(&mut self, db: usize, hash: u64, key: &[u8]) -> Option<Spot> {
        let table = &self.dbs[db].table;
        let spot = table.locate(hash, key)?;
        if table.ttl_len() > 0
            && table
                .entry_at(hash, spot)
                .is_some_and(|entry| is_due(entry, self.now_ms))
        {
            self.expire(db, hash, key);
            return None;
        }
        Some(spot)
    }

    #[cold]
    fn expire(&mut self, db: usize, hash: u64, key: &[u8]) {
        if let Some(old) = self.dbs[db].table.remove(hash, key) {
            self.discard(old);
        }
        self.expired(db, key);
    }

    /// Finds the key, and counts a hit or a miss.
    #[inline]
    fn look_up(&mut self, db: usize, hash: u64, key: &[u8]) -> Option<Spot> {
        let spot = self.locate(db, hash, key);
        match spot {
            Some(_) => self.stats.keyspace_hits += 1,
            None => {
                self.stats.keyspace_misses += 1;
                self.note(db, key, event::KEYMISS);
            }
        }
        spot
    }

    /// As `peek`, for a command that looks at the key itself (OBJECT, MEMORY USAGE): a miss is no event.
    pub fn glance(&mut self, db: usize, key: &[u8]) -> Option<&Entry> {
        let hash = self.hash(key);
        let Some(spot) = self.locate(db, hash, key) else {
            self.stats.keyspace_misses += 1;
            return None;
        };
        self.stats.keyspace_hits += 1;
        self.dbs[db].table.entry_at(hash, spot)
    }

    /// The entry, for a command that reads it: counts a hit or a miss and an access.
    #[inline]
    pub fn read(&mut self, db: usize, key: &[u8]) -> Option<&Entry> {
        let hash = self.hash(key);
        let spot = self.look_up(db, hash, key)?;
        let entry = self.dbs[db].table.entry_at(hash, spot)?;
        if !self.no_touch {
            access::touch(
                entry,
                &self.settings,
                self.now_ms.max(self.replay_ms),
                &mut self.rng,
            );
        }
        Some(entry)
    }

    /// The entry, for a command that looks without using it (TTL, TYPE, OBJECT): counts a hit or a miss, but no access.
    pub fn peek(&mut self, db: usize, key: &[u8]) -> Option<&Entry> {
        let hash = self.hash(key);
        let spot = self.look_up(db, hash, key)?;
        self.dbs[db].table.entry_at(hash, spot)
    }

    /// Whether the key is there, counting nothing: what a writing command asks.
    pub fn exists(&mut self, db: usize, key: &[u8]) -> bool {
        let hash = self.hash(key);
        self.locate(db, hash, key).is_some()
    }

    /// The entry, to change it: counts an access. The caller reports the change with `changed`.
    #[inline]
    pub fn write(&mut self, db: usize, key: &[u8]) -> Option<EntryMut<'_>> {
        let hash = self.hash(key);
        let spot = self.locate(db, hash, key)?;
        let entry = self.dbs[db].table.entry_at_mut(hash, spot)?;
        if !self.no_touch {
            access::touch(
                &entry,
                &self.settings,
                self.now_ms.max(self.replay_ms),
                &mut self.rng,
            );
        }
        Some(entry)
    }

    /// Stores a string under the key, whatever was there. Counts one change. Returns whether the key existed.
    ///
    /// # Errors
    /// [`OutOfMemory`] when memory for key or value is refused; nothing has changed then.
    #[inline]
    pub fn set(
        &mut self,
        db: usize,
        key: &[u8],
        value: StrValue<'_>,
        expire: ExpireChange,
    ) -> Result<bool, OutOfMemory> {
        self.set_as(db, key, value, expire, event::SET)
    }

    /// The same, told as another event.
    ///
    /// # Errors
    /// As `set`.
    #[inline]
    pub fn set_as(
        &mut self,
        db: usize,
        key: &[u8],
        value: StrValue<'_>,
        expire: ExpireChange,
        event: Event,
    ) -> Result<bool, OutOfMemory> {
        let hash = self.hash(key);
        let table = &mut self.dbs[db].table;
        let (mut existed, mut due) = (false, false);
        if let Some(mut entry) = table.get_mut(hash, key) {
            if entry.is_object() {
                return self.replace_object(db, key, value, expire, event);
            }
            due = is_due(&entry, self.now_ms);
            existed = !due;
            let kept = if existed { entry.expire_at() } else { None };
            entry.set(value, expire_at(expire, kept))?;
            access::touch(
                &entry,
                &self.settings,
                self.now_ms.max(self.replay_ms),
                &mut self.rng,
            );
        } else {
            let entry = Entry::try_new(key, value, expire_at(expire, None))?;
            entry.set_access(access::fresh(
                &self.settings,
                self.now_ms.max(self.replay_ms),
            ));
            table.insert(hash, entry);
            if self.settings.tracks == Tracks::Queues {
                self.queue_up(db, hash);
            }
        }
        if due {
            self.expired(db, key);
        }
        self.set_by(db, key, existed, event);
        Ok(existed)
    }

    /// `set` where a collection was: it is freed aside.
    #[cold]
    fn replace_object(
        &mut self,
        db: usize,
        key: &[u8],
        value: StrValue<'_>,
        expire: ExpireChange,
        event: Event,
    ) -> Result<bool, OutOfMemory> {
        let before = self.dbs[db].table.get(self.hash(key), key);
        let kept = before
            .filter(|entry| !is_due(entry, self.now_ms))
            .and_then(Entry::expire_at);
        let entry = Entry::try_new(key, value, expire_at(expire, kept))?;
        let old = self.take(db, key);
        let existed = old.is_some();
        entry.set_access(self.fresh_access());
        self.insert(db, entry);
        if let Some(old) = old {
            self.discard(old);
        }
        self.set_by(db, key, existed, event);
        Ok(existed)
    }

    /// Puts an entry in place of whatever was under its key. Counts nothing.
    pub fn insert(&mut self, db: usize, entry: Entry) {
        self.replace(db, entry);
    }

    /// The same, and says whether there was one.
    fn replace(&mut self, db: usize, entry: Entry) -> bool {
        let hash = self.hash(entry.key());
        let old = self.dbs[db].table.insert(hash, entry);
        let existed = old.is_some();
        if let Some(old) = old {
            self.discard(old);
        }
        existed
    }

    /// A key is about to be put in its place: fetches what of the table that will touch first.
    #[inline]
    pub fn fetch_place(&self, db: usize, key: &[u8]) {
        self.dbs[db].table.prefetch(self.hash(key));
    }

    /// The access bits of a key made now.
    pub(super) fn fresh_access(&self) -> u32 {
        access::fresh(&self.settings, self.now_ms.max(self.replay_ms))
    }

    /// Puts a newly made entry in place of whatever was under its key. Counts one change.
    pub fn add(&mut self, db: usize, entry: Entry, event: Event) {
        let hash = self.hash(entry.key());
        entry.set_access(access::fresh(
            &self.settings,
            self.now_ms.max(self.replay_ms),
        ));
        let existed = self.is_alert() && {
            let old = self.dbs[db].table.get(hash, entry.key());
            old.is_some_and(|old| !is_due(old, self.now_ms))
        };
        let key: Option<Box<[u8]>> = self.is_alert().then(|| entry.key().into());
        let old = self.dbs[db].table.insert(hash, entry);
        if self.settings.tracks == Tracks::Queues {
            self.queue_up(db, hash);
        }
        match key {
            Some(key) => self.set_by(db, &key, existed, event),
            None => self.stats.changes += 1,
        }
        if let Some(old) = old {
            self.discard(old);
        }
    }

    /// Puts an entry that came from elsewhere in place of whatever was under its key, with what is known of its use. Counts nothing, and says
    /// whether something was there.
    pub fn restore(
        &mut self,
        db: usize,
        entry: Entry,
        idle_s: Option<u64>,
        frequency: Option<u8>,
    ) -> bool {
        entry.set_access(access::restored(
            &self.settings,
            self.wall_ms(),
            idle_s,
            frequency,
        ));
        self.replace(db, entry)
    }

    /// Takes the entry out. Counts nothing; an expired one is gone, and counted as expired.
    #[inline]
    pub fn take(&mut self, db: usize, key: &[u8]) -> Option<Entry> {
        let hash = self.hash(key);
        let entry = self.dbs[db].table.remove(hash, key)?;
        if is_due(&entry, self.now_ms) {
            self.discard(entry);
            self.expired(db, key);
            return None;
        }
        Some(entry)
    }

    /// Takes the entry out, expired or not. Counts nothing: its owner gets it back.
    pub(crate) fn take_unseen(&mut self, db: usize, key: &[u8]) -> Option<Entry> {
        let hash = self.hash(key);
        self.dbs[db].table.remove(hash, key)
    }

    /// Removes the key and counts one change if it was there.
    #[inline]
    pub fn remove(&mut self, db: usize, key: &[u8]) -> bool {
        let Some(old) = self.take(db, key) else {
            return false;
        };
        self.discard(old);
        self.changed_by(db, key, event::DEL);
        true
    }

    /// Takes the key's expiry time away and counts one change if it had one.
    pub fn persist(&mut self, db: usize, key: &[u8]) -> bool {
        let Some(mut entry) = self
            .write(db, key)
            .filter(|entry| entry.expire_at().is_some())
        else {
            return false;
        };
        entry.set_expire(None);
        self.changed_by(db, key, event::PERSIST);
        true
    }

    /// Reports that a key is gone because its time had come.
    #[inline]
    pub(super) fn expired(&mut self, db: usize, key: &[u8]) {
        self.stats.expired_keys += 1;
        self.tell_expired(db, Some(&[b"DEL", key]));
        self.for_nobody(|shard| shard.changed_by(db, key, event::EXPIRED));
    }

    /// Reports that a key is gone to make room: seen by those who watch it, but no change to the data as Redis counts them.
    #[inline]
    pub(super) fn evicted(&mut self, db: usize, key: &[u8]) {
        self.stats.evicted_keys += 1;
        self.tell_evicted(db, key);
        self.for_nobody(|shard| {
            shard.changed_elsewhere(db, key);
            shard.note(db, key, event::EVICTED);
        });
    }

    /// Whether an entry found by a walk, a scan or at random is one whose time has come.
    #[inline]
    #[must_use]
    pub fn is_due(&self, entry: &Entry) -> bool {
        is_due(entry, self.now_ms)
    }

    /// OBJECT FREQ of an entry.
    #[must_use]
    pub fn frequency(&self, entry: &Entry) -> u32 {
        access::frequency(entry.access(), &self.settings, self.now_ms)
    }

    /// OBJECT IDLETIME of an entry, seconds.
    #[must_use]
    pub fn idle_s(&self, entry: &Entry) -> u64 {
        access::idle_ms(entry.access(), self.now_ms) / 1000
    }
}

/// The expiry time after a change, given the one before.
#[inline]
fn expire_at(change: ExpireChange, current: Option<u64>) -> Option<u64> {
    match change {
        ExpireChange::Keep => current,
        ExpireChange::Clear => None,
        ExpireChange::At(at_ms) => Some(at_ms),
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::entry::ValueRef;

    use super::*;

    fn shard() -> Shard {
        let mut shard = Shard::new(0, 2, 1, 1);
        shard.now_ms = 1_000_000;
        shard
    }

    fn set(shard: &mut Shard, key: &[u8], expire: ExpireChange) -> bool {
        shard
            .set(0, key, StrValue::Bytes(b"value"), expire)
            .unwrap()
    }

    #[test]
    fn every_lookup_applies_expiry() {
        type Lookup = fn(&mut Shard) -> bool;
        let lookups: [(&str, Lookup); 7] = [
            ("read", |shard| shard.read(0, b"k").is_some()),
            ("peek", |shard| shard.peek(0, b"k").is_some()),
            ("exists", |shard| shard.exists(0, b"k")),
            ("write", |shard| shard.write(0, b"k").is_some()),
            ("take", |shard| shard.take(0, b"k").is_some()),
            ("remove", |shard| shard.remove(0, b"k")),
            ("persist", |shard| shard.persist(0, b"k")),
        ];
        for (name, lookup) in lookups {
            let mut shard = shard();
            set(&mut shard, b"k", ExpireChange::At(1_000_000));
            assert!(
                lookup(&mut shard),
                "{name}: still there in the millisecond of its end"
            );
            set(&mut shard, b"k", ExpireChange::At(1_000_000));
            shard.now_ms += 1;
            assert!(!lookup(&mut shard), "{name}");
            assert_eq!(
                (shard.table(0).len(), shard.stats.expired_keys),
                (0, 1),
                "{name}"
            );
        }
    }

    #[test]
    fn set_replaces_value_lifetime_and_what_has_expired() {
        let mut shard = shard();
        assert!(!set(&mut shard, b"k", ExpireChange::At(1_000_010)));
        assert!(set(&mut shard, b"k", ExpireChange::Keep));
        assert_eq!(
            shard.peek(0, b"k").and_then(Entry::expire_at),
            Some(1_000_010)
        );
        shard.now_ms += 11;
        assert!(
            !set(&mut shard, b"k", ExpireChange::Keep),
            "nothing is kept of an expired key"
        );
        assert_eq!(shard.peek(0, b"k").and_then(Entry::expire_at), None);
        assert_eq!((shard.stats.expired_keys, shard.stats.changes), (1, 4));
        shard
            .set(0, b"k", StrValue::Int(7), ExpireChange::Clear)
            .unwrap();
        assert_eq!(
            shard.peek(0, b"k").and_then(Entry::string),
            Some(ValueRef::Int(7))
        );
    }

    #[test]
    fn hits_misses_and_accesses() {
        let mut shard = shard();
        set(&mut shard, b"k", ExpireChange::Clear);
        shard.now_ms += 9_000;
        for (lookup, idle_s) in [(0, 9), (1, 9), (2, 0)] {
            match lookup {
                0 => _ = shard.peek(0, b"k"),
                1 => _ = shard.exists(0, b"k"),
                _ => _ = shard.read(0, b"k"),
            }
            let entry = shard.table(0).get(shard.hash(b"k"), b"k").unwrap();
            assert_eq!(shard.idle_s(entry), idle_s, "{lookup}");
        }
        shard.read(0, b"none");
        shard.exists(0, b"none");
        assert_eq!(
            (shard.stats.keyspace_hits, shard.stats.keyspace_misses),
            (2, 1)
        );
    }

    #[test]
    fn entries_come_and_go_with_their_access_bits() {
        let mut shard = shard();
        set(&mut shard, b"k", ExpireChange::Clear);
        shard.now_ms += 5_000;
        let entry = shard.take(0, b"k").unwrap();
        shard.insert(1, entry);
        let idle_s =
            |shard: &Shard| shard.idle_s(shard.table(1).get(shard.hash(b"k"), b"k").unwrap());
        assert_eq!(idle_s(&shard), 5);
        let entry = shard.take(1, b"k").unwrap();
        shard.add(1, entry, event::SET);
        assert_eq!((idle_s(&shard), shard.stats.changes), (0, 2));
    }
}
