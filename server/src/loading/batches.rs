//! An RDB file: one thread reads it, makes the entries and sends them to their shards.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};

use tessera_core::entry::Entry;
use tessera_core::number::parse_u64;
use tessera_io::Waker;
use tessera_persist::rdb::{FileReader, Key, Limits, Record};
use tessera_shards::shard::Shard;

use super::loader::{Obstacle, Progress, delay};
use super::status::Cargo;
use crate::shared::Shared;

/// Keys that travel together.
const KEYS_PER_BATCH: usize = 512;
/// Batches of one shard under way.
const BATCHES_QUEUED: usize = 8;
/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// Keys between two looks at the clock.
const KEYS_PER_LOOK: u64 = 4096;

/// A key on its way to its shard.
pub struct Loaded {
    db: usize,
    entry: Entry,
    idle_s: Option<u64>,
    frequency: Option<u8>,
}

impl Loaded {
    /// Puts the key in its place. Says false if it was there already.
    pub fn put(self, shard: &mut Shard) -> bool {
        !shard.restore(self.db, self.entry, self.idle_s, self.frequency)
    }

    /// That will happen soon.
    pub(super) fn announce(&self, shard: &Shard) {
        shard.fetch_place(self.db, self.entry.key());
    }
}

/// Reads the file.
pub(super) struct Batches {
    file: FileReader<BufReader<File>>,
    shared: Arc<Shared>,
    wakers: Vec<Waker>,
    to_shards: Vec<SyncSender<Vec<Loaded>>>,
    batches: Vec<Vec<Loaded>>,
    databases: usize,
    now_ms: u64,
}

impl Batches {
    /// Reads the file's header.
    pub(super) fn open(
        file: File,
        shared: &Arc<Shared>,
        wakers: &[Waker],
        limits: Limits,
        now_ms: u64,
    ) -> Result<(Self, Vec<Cargo>), Obstacle> {
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let source = BufReader::with_capacity(READ_BYTES, file);
        let file =
            FileReader::new(source, limits, now_ms).map_err(|error| Obstacle::rdb(0, &error))?;
        let file = file.with_total(bytes);
        let shards = wakers.len();
        let (to_shards, cargo): (_, Vec<_>) =
            (0..shards).map(|_| sync_channel(BATCHES_QUEUED)).unzip();
        let batches = Self {
            file,
            shared: Arc::clone(shared),
            wakers: wakers.to_vec(),
            to_shards,
            batches: (0..shards).map(|_| Vec::new()).collect(),
            databases: shared.latest_config().databases,
            now_ms,
        };
        Ok((batches, cargo.into_iter().map(Cargo::Batches).collect()))
    }

    /// Reads to the end.
    pub(super) fn run(
        mut self,
        progress: &mut Progress,
        add_library: &mut dyn FnMut(&[u8]) -> Result<(), Obstacle>,
    ) -> Result<(), Obstacle> {
        let (mut db, mut keys) = (0, 0u64);
        let (is_delayed, mut owed_us) = (self.shared.latest_config().key_load_delay != 0, 0);
        loop {
            let at = self.file.offset();
            let record = self.file.next_record();
            match record.map_err(|error| Obstacle::rdb(at, &error))? {
                None => break,
                Some(Record::Database(number)) => db = self.database(number)?,
                Some(Record::Key(key)) => {
                    self.take(db, *key)?;
                    keys += 1;
                    if is_delayed {
                        delay(&self.shared, 1, &mut owed_us);
                    }
                    if keys.is_multiple_of(KEYS_PER_LOOK) {
                        let offset = self.file.offset();
                        let loading = &self.shared.loading;
                        loading.bytes_read.store(offset, Ordering::Relaxed);
                        progress.tell(loading);
                    }
                }
                Some(Record::Function(code)) => add_library(&code)?,
                Some(Record::About(name, value)) if name == b"used-mem" => {
                    let bytes = parse_u64(&value).unwrap_or(0);
                    let loading = &self.shared.loading;
                    loading.used_bytes.store(bytes, Ordering::Relaxed);
                }
                Some(Record::Sizes(..) | Record::About(..)) => {}
            }
            if self.shared.is_shutting_down() {
                return Ok(());
            }
        }
        (0..self.batches.len()).try_for_each(|shard| self.send(shard))
    }

    fn database(&self, number: u64) -> Result<usize, Obstacle> {
        let db = usize::try_from(number).ok();
        db.filter(|db| *db < self.databases)
            .ok_or_else(|| Obstacle::database(number, self.databases))
    }

    fn take(&mut self, db: usize, key: Key) -> Result<(), Obstacle> {
        let Some(value) = key.value else {
            tracing::warn!(
                "The key '{}' has no elements and is left out",
                key.name.escape_ascii()
            );
            return Ok(());
        };
        if key.expire_at.is_some_and(|at_ms| at_ms < self.now_ms) {
            self.shared.loading.expired.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let shard = tessera_shards::coordinator::owner(&key.name, self.batches.len());
        let entry = value.into_entry(&key.name, key.expire_at);
        self.batches[shard].push(Loaded {
            db,
            entry: entry.map_err(|_| Obstacle::memory())?,
            idle_s: key.idle_s,
            frequency: key.frequency,
        });
        if self.batches[shard].len() >= KEYS_PER_BATCH {
            self.send(shard)?;
        }
        Ok(())
    }

    fn send(&mut self, shard: usize) -> Result<(), Obstacle> {
        let batch = std::mem::replace(&mut self.batches[shard], Vec::with_capacity(KEYS_PER_BATCH));
        self.wakers[shard].wake();
        // A shard that takes nothing any more is ending.
        let _ = self.to_shards[shard].send(batch);
        self.wakers[shard].wake();
        Obstacle::of_shards(&self.shared.loading)
    }
}
