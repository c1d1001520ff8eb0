//! The thread that loads: which format it is, what a node does about functions and errors, and how far it is.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tessera_io::Waker;
use tessera_persist::native::{NativeError, is_native};
use tessera_persist::rdb::RdbError;
use tessera_shards::shard::Shard;

use super::batches::Batches;
use super::native::Native;
use super::status::{Cargo, Loading};
use crate::shared::Shared;
use crate::start::{wall_clock_s, wall_clock_us};

/// Between two lines about how far it is.
const PROGRESS_PERIOD_US: u64 = 1_000_000;
/// Bytes that tell the format.
const MAGIC_BYTES: u64 = 16;
/// Between two looks at the shards.
const WAIT: Duration = Duration::from_millis(1);
const RESTORE_IT: &str = "restore it from a copy, or move it away to begin without it";

/// Why a file cannot be loaded, and what can be done: what stands behind its name.
pub(super) struct Obstacle(String);

impl Obstacle {
    pub(super) fn rdb(offset: u64, error: &RdbError) -> Self {
        let remedy = match error {
            RdbError::OutOfMemory => "give it more memory",
            RdbError::Version(_) => {
                "it was written by a newer server: export it there in an older form"
            }
            _ => RESTORE_IT,
        };
        Self(format!(": at byte {offset}: {error}; {remedy}"))
    }

    pub(super) fn native(offset: u64, error: &NativeError) -> Self {
        let remedy = match error {
            NativeError::OutOfMemory => "give it more memory",
            NativeError::Version(_) => {
                "it was written by a newer server: convert it there to RDB (tessera-server convert)"
            }
            NativeError::Truncated | NativeError::Checksum(_) | NativeError::Corrupt(_) => {
                "restore it from a copy, keep what is whole of it (tessera-server check --fix), or move it away to begin without it"
            }
            _ => RESTORE_IT,
        };
        Self(format!(": at byte {offset}: {error}; {remedy}"))
    }

    pub(super) fn database(number: u64, databases: usize) -> Self {
        Self(format!(
            ": it has keys in database {number}, and there are {databases}; set databases {} or more",
            number.saturating_add(1)
        ))
    }

    pub(super) fn unreadable(error: &io::Error) -> Self {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "it is a link: bring back what it leads to, or remove it",
            io::ErrorKind::PermissionDenied => "change its rights",
            _ => "look at the disk, or restore it from a copy",
        };
        Self(format!(": {error}; {remedy}, or set dbfilename"))
    }

    pub(super) fn memory() -> Self {
        Self(": it does not fit into memory; give it more".to_owned())
    }

    /// What the shards have found wrong, if anything.
    pub(super) fn of_shards(loading: &Loading) -> Result<(), Self> {
        match loading.fault() {
            Some(fault) => Err(Self(format!(": {fault}; {RESTORE_IT}"))),
            None => Ok(()),
        }
    }
}

/// Between two looks at whether a delay still holds.
const DELAY_STEP: Duration = Duration::from_millis(20);

/// `key-load-delay`: for tests, a start that takes its time. So many keys have been read; `owed` is what is left of the times of earlier ones, us.
pub(super) fn delay(shared: &Shared, keys: u64, owed_us: &mut u64) {
    let per_key = |delay: i64| match u64::try_from(delay) {
        Ok(us) => us.saturating_mul(keys),
        Err(_) => keys / delay.unsigned_abs(),
    };
    *owed_us += per_key(shared.latest_config().key_load_delay);
    let least_us = DELAY_STEP.as_micros() as u64;
    while *owed_us >= least_us && !shared.is_shutting_down() {
        std::thread::park_timeout(DELAY_STEP);
        *owed_us -= least_us;
        if shared.latest_config().key_load_delay == 0 {
            *owed_us = 0;
        }
    }
}

/// Tells the log how far it is.
pub(super) struct Progress {
    begun_us: u64,
    told_us: u64,
}

impl Progress {
    fn new() -> Self {
        let now_us = wall_clock_us();
        Self {
            begun_us: now_us,
            told_us: now_us,
        }
    }

    /// Now and then.
    pub(super) fn tell(&mut self, loading: &Loading) {
        let now_us = wall_clock_us();
        if now_us.saturating_sub(self.told_us) < PROGRESS_PERIOD_US {
            return;
        }
        self.told_us = now_us;
        let keys = loading.keys.load(Ordering::Relaxed);
        let read = loading.bytes_read.load(Ordering::Relaxed);
        let all = loading.bytes.load(Ordering::Relaxed).max(1);
        let seconds = now_us.saturating_sub(self.begun_us).max(1000) as f64 / 1e6;
        let left = seconds * (all.saturating_sub(read)) as f64 / read.max(1) as f64;
        tracing::info!(
            "Loading: {} %, {keys} keys, {:.0} keys/s, {left:.0} s left",
            read * 100 / all,
            keys as f64 / seconds
        );
    }
}

enum Source {
    Rdb(Box<Batches>),
    Native(Native),
}

/// Reads the file.
pub struct Loader {
    path: PathBuf,
    source: Source,
    shared: Arc<Shared>,
    wakers: Vec<Waker>,
    /// Has the settings and runs the code of libraries.
    model: Shard,
}

impl Loader {
    /// Opens this file, if there is one, and announces to the shards that keys will come. Its first bytes tell the format.
    /// Keys whose time was over at `now_ms` are left out.
    ///
    /// # Errors
    /// A line about a file that is there and cannot be read.
    pub fn open(
        shared: &Arc<Shared>,
        wakers: &[Waker],
        hash_seed: u64,
        now_ms: u64,
        path: Option<PathBuf>,
    ) -> Result<Option<(Self, Vec<Cargo>)>, String> {
        let config = shared.latest_config();
        let Some(path) = path else { return Ok(None) };
        let named = |Obstacle(text)| format!("cannot load the snapshot {}{text}", path.display());
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                return Ok(None);
            }
            Err(error) => return Err(named(Obstacle::unreadable(&error))),
        };
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let mut magic = Vec::new();
        let read = (&mut file).take(MAGIC_BYTES).read_to_end(&mut magic);
        read.and_then(|_| file.rewind())
            .map_err(|error| named(Obstacle::unreadable(&error)))?;
        let mut model = Shard::new(0, 1, hash_seed, 0);
        model.settings = config.shard_settings(model.settings, wakers.len());
        let limits = model.limits();
        let (source, cargo) = if is_native(&magic) {
            let (native, cargo) =
                Native::open(&file, shared, wakers, limits, now_ms).map_err(named)?;
            (Source::Native(native), cargo)
        } else {
            let (batches, cargo) =
                Batches::open(file, shared, wakers, limits, now_ms).map_err(named)?;
            (Source::Rdb(Box::new(batches)), cargo)
        };
        shared.loading.begin(wakers.len(), bytes, wall_clock_s());
        let loader = Self {
            path,
            source,
            shared: Arc::clone(shared),
            wakers: wakers.to_vec(),
            model,
        };
        Ok(Some((loader, cargo)))
    }

    /// Reads to the end, and waits until the shards have everything.
    ///
    /// # Errors
    /// A line about what is wrong with the file, where, and what can be done.
    pub fn run(self) -> Result<(), String> {
        let path = self.path.clone();
        self.load()
            .map_err(|Obstacle(text)| format!("cannot load the snapshot {}{text}", path.display()))
    }

    fn load(self) -> Result<(), Obstacle> {
        let Self {
            path,
            source,
            shared,
            wakers,
            mut model,
        } = self;
        let loading = &shared.loading;
        tracing::info!(
            "Loading {}, {} bytes",
            path.display(),
            loading.bytes.load(Ordering::Relaxed)
        );
        let mut progress = Progress::new();
        let mut add_library = |code: &[u8]| add_library(&mut model, &shared, code);
        match source {
            Source::Rdb(batches) => batches.run(&mut progress, &mut add_library)?,
            Source::Native(native) => native.run(&mut progress, &mut add_library)?,
        }
        wakers.iter().for_each(Waker::wake);
        while !loading.has_all_keys() && !shared.is_shutting_down() {
            Obstacle::of_shards(loading)?;
            progress.tell(loading);
            std::thread::park_timeout(WAIT);
        }
        Obstacle::of_shards(loading)?;
        shared.saver.forget_changes();
        tracing::info!(
            "DB loaded from disk: {:.3} seconds, {} keys, {} expired",
            wall_clock_us().saturating_sub(progress.begun_us) as f64 / 1e6,
            loading.keys.load(Ordering::Relaxed),
            loading.expired.load(Ordering::Relaxed)
        );
        Ok(())
    }
}

/// Loads a library of functions, for all shards.
fn add_library(model: &mut Shard, shared: &Shared, source: &[u8]) -> Result<(), Obstacle> {
    let library = model.scripts.load_library(source);
    let added =
        library.and_then(|library| shared.scripts.add_libraries(vec![library], false, false));
    added.map_err(|text| {
        Obstacle(format!(
            ": a library of functions cannot be loaded: {}; {RESTORE_IT}",
            text.escape_ascii()
        ))
    })
}
