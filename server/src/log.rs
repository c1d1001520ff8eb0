//! The node's append-only log at the start and at the end: what is found on the disk, who reads it, who writes it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rustix::time::{ClockId, clock_gettime};
use tessera_io::{FsDisk, Waker};
use tessera_persist::log::{Command, Folder, Keeper, LogError, Reader, Recovered, recover};
use tessera_persist::rdb::{file_footer, file_header};

use crate::config::Config;
use crate::shared::Shared;

/// Commands that travel together to the shard that replays them.
const COMMANDS_PER_BATCH: usize = 256;
/// Batches under way.
const BATCHES_QUEUED: usize = 16;

/// What the shard that replays receives.
pub(crate) type Records = Receiver<Vec<Command>>;

/// The folder of the configuration.
pub(crate) fn folder_of(config: &Config) -> Folder {
    Folder {
        path: config.dir.join(&config.log_dir),
        name: config.log_name.to_string_lossy().into_owned(),
    }
}

/// A clock that does not jump, ms.
fn monotonic_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// What a start finds.
pub(crate) struct LogStart {
    shared: Arc<Shared>,
    folder: Folder,
    keeper: Keeper,
    recovered: Option<Recovered>,
    is_wanted: bool,
}

fn told(error: &LogError) -> String {
    error.to_string()
}

impl LogStart {
    /// Looks at the log of the configuration, if it wants one, and makes it readable.
    ///
    /// # Errors
    /// A line about a log that cannot be read.
    pub(crate) fn find(shared: &Arc<Shared>) -> Result<Self, String> {
        let config = shared.latest_config();
        let folder = folder_of(&config);
        let log = Arc::clone(&shared.log);
        let keeper = Keeper::new(log, folder.clone(), FsDisk::default(), monotonic_ms);
        let recovered = match config.log_on {
            true => recover(&mut FsDisk::default(), &folder, config.log_may_be_cut)
                .map_err(|error| told(&error))?,
            false => None,
        };
        if let Some(cut) = recovered.as_ref().and_then(|found| found.cut.as_ref()) {
            tracing::warn!(
                "The log {} ended within a record: it was cut at byte {}, and the {} bytes behind are kept in {}",
                cut.path.display(),
                cut.offset,
                cut.bytes,
                cut.kept.display()
            );
        }
        Ok(Self {
            shared: Arc::clone(shared),
            folder,
            keeper,
            recovered,
            is_wanted: config.log_on,
        })
    }

    /// The file from which keys are loaded first: the log's base, or without a log the snapshot.
    pub(crate) fn base(&self) -> Option<PathBuf> {
        let config = self.shared.latest_config();
        match &self.recovered {
            Some(recovered) => recovered.base.clone(),
            None => Some(config.dir.join(&config.snapshot_name)),
        }
    }

    /// Whether there is a log that says what there is: keys whose time has gone by are part of it until it has been read.
    pub(crate) fn is_log(&self) -> bool {
        self.recovered.is_some()
    }

    /// Whether the configuration wants a log.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// The way to the shard that replays.
    pub(crate) fn channel() -> (SyncSender<Vec<Command>>, Records) {
        sync_channel(BATCHES_QUEUED)
    }

    /// Sends what the files say to the shard that replays.
    ///
    /// # Errors
    /// A line about a file that cannot be read.
    pub(crate) fn replay(
        &self,
        to_shard: SyncSender<Vec<Command>>,
        waker: &Waker,
    ) -> Result<(), String> {
        let mut batch: Vec<Command> = Vec::new();
        let send = |batch: &mut Vec<Command>| {
            // A shard that takes nothing any more is ending.
            let _ = to_shard.send(std::mem::take(batch));
            waker.wake();
        };
        for path in self
            .recovered
            .iter()
            .flat_map(|recovered| &recovered.records)
        {
            let mut reader = Reader::open(path).map_err(|error| told(&error))?;
            tracing::info!(
                "Reading the log {}, {} bytes",
                path.display(),
                reader.length()
            );
            while let Some(command) = reader.next_command().map_err(|error| told(&error))? {
                batch.push(command);
                if batch.len() >= COMMANDS_PER_BATCH {
                    send(&mut batch);
                }
                if self.shared.is_shutting_down() {
                    return Ok(());
                }
            }
            // Each file chooses its database itself.
            batch.push(vec![Box::from(&b"SELECT"[..]), Box::from(&b"0"[..])]);
        }
        send(&mut batch);
        Ok(())
    }

    /// All has been read: from now on what changes is written behind it. Starts the thread that does it.
    ///
    /// # Errors
    /// A line about a folder that cannot be written.
    pub(crate) fn begin(mut self) -> Result<LogThread, String> {
        if self.is_wanted {
            self.open().map_err(|error| told(&error))?;
        }
        let log = Arc::clone(&self.shared.log);
        let keeper = self.keeper;
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || keeper.run())
            .map_err(|error| format!("cannot start the log's thread: {error}"))?;
        Ok(LogThread {
            shared: self.shared,
            stop: Box::new(move || log.stop()),
            thread,
        })
    }

    fn open(&mut self) -> Result<(), LogError> {
        if let Some(recovered) = &self.recovered {
            return self.keeper.resume(recovered);
        }
        let disk = &mut FsDisk::default();
        self.folder.create(disk)?;
        let mut manifest = self.keeper.old_manifest()?;
        let config = self.shared.latest_config();
        let snapshot = config.dir.join(&config.snapshot_name);
        if snapshot.is_file() {
            self.folder.adopt(disk, &snapshot, &mut manifest)?;
            let bytes = std::fs::metadata(&snapshot).map_or(0, |about| about.len());
            return self.keeper.begin(manifest, bytes);
        }
        let mut empty = Vec::new();
        file_header(&[("redis-ver", crate::session::REDIS_VERSION)], &mut empty);
        file_footer(&mut empty);
        // No checksum.
        empty.extend_from_slice(&[0; 8]);
        self.folder.begin_with(disk, &empty, &mut manifest)?;
        self.keeper.begin(manifest, empty.len() as u64)
    }
}

/// The thread that writes the log.
pub(crate) struct LogThread {
    shared: Arc<Shared>,
    stop: Box<dyn FnOnce() + Send>,
    thread: JoinHandle<()>,
}

impl LogThread {
    /// Writes and syncs what there is, and ends the thread. No shard runs any more.
    pub(crate) fn end(self) {
        (self.stop)();
        // A panic has ended the process already.
        let _ = self.thread.join();
        if self.shared.log.has_failed() {
            tracing::error!("The log misses the last changes");
        }
    }
}

/// Lets the shards record before anybody is served, and waits until all do.
pub(crate) fn let_shards_record(shared: &Shared, wakers: &[Waker]) {
    let loading = &shared.loading;
    loading.records.store(true, Ordering::Release);
    while loading.recording.load(Ordering::Acquire) < wakers.len() && !shared.is_shutting_down() {
        wakers.iter().for_each(Waker::wake);
        thread::yield_now();
    }
    loading.finish();
    wakers.iter().for_each(Waker::wake);
}
