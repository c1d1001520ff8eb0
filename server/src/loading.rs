//! Reading a snapshot at the start: a thread of its own reads the file and hands the keys to their shards, which put them in between other work.
//!
//! Until the last key is in its place, commands that need keys are answered with LOADING. What cannot be read ends the start: a node never begins empty because its
//! file is damaged. [`Loading`] is what the shards know of it; [`Loader`] is the thread's side.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tessera_core::entry::Entry;
use tessera_io::Waker;
use tessera_persist::rdb::{FileReader, Key, RdbError, Record};
use tessera_shards::shard::Shard;

use crate::shared::Shared;
use crate::start::wall_clock_us;

/// Keys that travel together.
const KEYS_PER_BATCH: usize = 512;
/// Batches of one shard under way.
const BATCHES_QUEUED: usize = 8;
/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// Between two lines about how far it is.
const PROGRESS_PERIOD_US: u64 = 1_000_000;
/// Keys between two looks at the clock.
const KEYS_PER_LOOK: u64 = 4096;

/// A key on its way to its shard.
pub struct Loaded {
    db: usize,
    entry: Entry,
    idle_s: Option<u64>,
    frequency: Option<u8>,
}

/// What a shard receives.
pub type Cargo = Receiver<Vec<Loaded>>;

/// How far loading is.
#[derive(Debug, Default)]
pub struct Loading {
    is_on: AtomicBool,
    /// Shards that do not have all of their keys.
    shards_left: AtomicUsize,
    /// A key came twice.
    has_twice: AtomicBool,
    /// Keys put in their places.
    pub keys: AtomicU64,
    /// Keys whose time had gone by.
    pub expired: AtomicU64,
}

impl Loading {
    /// Whether keys are still coming.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// A shard has all of its keys.
    pub fn shard_done(&self) {
        if self.shards_left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.is_on.store(false, Ordering::Release);
        }
    }

    /// A key was there already.
    pub fn found_twice(&self) {
        self.has_twice.store(true, Ordering::Relaxed);
    }
}

impl Loaded {
    /// Puts the key in its place. Says false if it was there already.
    pub fn put(self, shard: &mut Shard) -> bool {
        let table = shard.table(self.db);
        let is_new = !table.contains(table.hash(self.entry.key()), self.entry.key());
        shard.restore(self.db, self.entry, self.idle_s, self.frequency);
        is_new
    }
}

/// Reads the file.
pub struct Loader {
    path: PathBuf,
    file: FileReader<BufReader<File>>,
    bytes: u64,
    shared: Arc<Shared>,
    wakers: Vec<Waker>,
    to_shards: Vec<SyncSender<Vec<Loaded>>>,
    batches: Vec<Vec<Loaded>>,
    databases: usize,
    now_ms: u64,
}

impl Loader {
    /// Opens the file of the configuration, if there is one, and announces to the shards that keys will come.
    ///
    /// # Errors
    /// A line about a file that is there and cannot be read.
    pub fn open(
        shared: &Arc<Shared>,
        wakers: &[Waker],
        hash_seed: u64,
        now_ms: u64,
    ) -> Result<Option<(Self, Vec<Cargo>)>, String> {
        let config = shared.latest_config();
        let path = config.dir.join(&config.snapshot_name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(format!(
                    "cannot open the snapshot {}: {error}; change its rights, or set dbfilename",
                    path.display()
                ));
            }
        };
        let mut model = Shard::new(0, 1, hash_seed, 0);
        model.settings = config.shard_settings(model.settings, wakers.len());
        let limits = model.limits();
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let source = BufReader::with_capacity(READ_BYTES, file);
        let file =
            FileReader::new(source, limits, now_ms).map_err(|error| damaged(&path, 0, &error))?;
        let shards = wakers.len();
        let (to_shards, cargo) = (0..shards).map(|_| sync_channel(BATCHES_QUEUED)).unzip();
        shared.loading.shards_left.store(shards, Ordering::Relaxed);
        shared.loading.is_on.store(true, Ordering::Release);
        let loader = Self {
            path,
            file,
            bytes,
            shared: Arc::clone(shared),
            wakers: wakers.to_vec(),
            to_shards,
            batches: (0..shards).map(|_| Vec::new()).collect(),
            databases: config.databases,
            now_ms,
        };
        Ok(Some((loader, cargo)))
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// A line about what is wrong with the file, where, and what can be done.
    pub fn run(mut self) -> Result<(), String> {
        tracing::info!("Loading {}, {} bytes", self.path.display(), self.bytes);
        let begun_us = wall_clock_us();
        let (mut db, mut keys, mut told) = (0, 0u64, begun_us);
        let mut functions = Vec::new();
        loop {
            let at = self.file.offset();
            let record = self.file.next_record();
            match record.map_err(|error| damaged(&self.path, at, &error))? {
                None => break,
                Some(Record::Database(number)) => db = self.database(number)?,
                Some(Record::Key(key)) => {
                    self.take(db, *key)?;
                    keys += 1;
                    if keys.is_multiple_of(KEYS_PER_LOOK) {
                        let now_us = wall_clock_us();
                        if now_us.saturating_sub(told) >= PROGRESS_PERIOD_US {
                            told = now_us;
                            self.tell(keys, now_us.saturating_sub(begun_us));
                        }
                    }
                }
                Some(Record::Function(code)) => functions.push(code),
                Some(Record::Sizes(..) | Record::About(..)) => {}
            }
            if self.shared.is_shutting_down() {
                return Ok(());
            }
        }
        for shard in 0..self.batches.len() {
            self.send(shard)?;
        }
        if !functions.is_empty() {
            tracing::warn!(
                "The snapshot has {} libraries of functions: they are kept for the next snapshot, but not run",
                functions.len()
            );
        }
        self.shared.saver.keep_functions(functions);
        self.to_shards.clear();
        self.wakers.iter().for_each(Waker::wake);
        while self.shared.loading.is_on() && !self.shared.is_shutting_down() {
            self.check_twice()?;
            std::thread::yield_now();
        }
        self.check_twice()?;
        self.shared.saver.forget_changes();
        let loading = &self.shared.loading;
        tracing::info!(
            "DB loaded from disk: {:.3} seconds, {} keys, {} expired",
            wall_clock_us().saturating_sub(begun_us) as f64 / 1e6,
            loading.keys.load(Ordering::Relaxed),
            loading.expired.load(Ordering::Relaxed)
        );
        Ok(())
    }

    fn database(&self, number: u64) -> Result<usize, String> {
        let db = usize::try_from(number)
            .ok()
            .filter(|db| *db < self.databases);
        db.ok_or_else(|| {
            format!(
                "the snapshot {} has keys in database {number}, and there are {}; set databases {} or more",
                self.path.display(),
                self.databases,
                number.saturating_add(1)
            )
        })
    }

    fn take(&mut self, db: usize, key: Key) -> Result<(), String> {
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
        let entry = value.into_entry(&key.name, key.expire_at).map_err(|_| {
            format!(
                "the snapshot {} does not fit into memory",
                self.path.display()
            )
        })?;
        self.batches[shard].push(Loaded {
            db,
            entry,
            idle_s: key.idle_s,
            frequency: key.frequency,
        });
        if self.batches[shard].len() >= KEYS_PER_BATCH {
            self.send(shard)?;
        }
        Ok(())
    }

    fn send(&mut self, shard: usize) -> Result<(), String> {
        let batch = std::mem::replace(&mut self.batches[shard], Vec::with_capacity(KEYS_PER_BATCH));
        self.wakers[shard].wake();
        // A shard that takes nothing any more is ending.
        let _ = self.to_shards[shard].send(batch);
        self.wakers[shard].wake();
        self.check_twice()
    }

    fn check_twice(&self) -> Result<(), String> {
        if self.shared.loading.has_twice.load(Ordering::Relaxed) {
            return Err(format!(
                "the snapshot {} has a key twice; restore it from a copy, or move it away to begin without it",
                self.path.display()
            ));
        }
        Ok(())
    }

    fn tell(&self, keys: u64, spent_us: u64) {
        let (read, all) = (self.file.offset(), self.bytes.max(1));
        let seconds = spent_us.max(1000) as f64 / 1e6;
        let left = seconds * (all.saturating_sub(read)) as f64 / read.max(1) as f64;
        tracing::info!(
            "Loading: {} %, {keys} keys, {:.0} keys/s, {left:.0} s left",
            read * 100 / all,
            keys as f64 / seconds
        );
    }
}

fn damaged(path: &std::path::Path, offset: u64, error: &RdbError) -> String {
    let remedy = match error {
        RdbError::OutOfMemory => "give it more memory",
        RdbError::Version(_) => {
            "it was written by a newer server: export it there in an older form"
        }
        _ => "restore it from a copy, or move it away to begin without it",
    };
    format!(
        "cannot load the snapshot {}: at byte {offset}: {error}; {remedy}",
        path.display()
    )
}
