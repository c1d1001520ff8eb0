//! The node's append-only log at the start and at the end: what is found on the disk, who reads it, who writes it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use tessera_io::{FsDisk, Waker};
use tessera_persist::log::{Command, Folder, Keeper, LogError, Reader, Recovered, recover};
use tessera_persist::rdb::{file_footer, file_header};

use crate::config::Config;
use crate::loading::Loading;
use crate::shared::Shared;
use crate::start::wall_clock_us;

/// Commands that travel together to the shard that replays them.
const COMMANDS_PER_BATCH: usize = 256;
/// Batches under way.
const BATCHES_QUEUED: usize = 16;

/// Between two lines about how far it is.
const PROGRESS_PERIOD_US: u64 = 1_000_000;

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

/// With what can be done.
fn told(error: &LogError) -> String {
    format!("{error}{}", error.remedy())
}

/// A rewrite makes files in a folder that there is already.
fn must_be_writable(folder: &Folder) -> Result<(), LogError> {
    let found = match folder.path.is_file() {
        true => Err(Errno::NOTDIR),
        false => access(&folder.path, Access::WRITE_OK | Access::EXEC_OK),
    };
    match found {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(LogError::Io {
            doing: "write to the folder",
            path: folder.path.clone(),
            cause: error.into(),
        }),
    }
}

/// What there is of a log that is wanted.
fn look(folder: &Folder, config: &Config) -> Result<Option<Recovered>, LogError> {
    let disk = &mut FsDisk::default();
    must_be_writable(folder)?;
    let found = recover(disk, folder, config.log_may_be_cut)?;
    if found.is_none() {
        let snapshot = std::fs::metadata(config.dir.join(&config.snapshot_name));
        folder.refuse_unlisted(disk, snapshot.ok().map(|about| about.len()))?;
    }
    Ok(found)
}

/// How far the records have been read, for INFO and a line now and then.
struct Progress<'a> {
    loading: &'a Loading,
    begun_us: u64,
    told_us: u64,
    /// Bytes of all files, and of those that have been read.
    all: u64,
    passed: u64,
    commands: u64,
}

impl<'a> Progress<'a> {
    fn new(shared: &'a Shared, files: &[&PathBuf]) -> Self {
        let length = |path: &&PathBuf| std::fs::metadata(path).map_or(0, |about| about.len());
        let all = files.iter().map(length).sum();
        let now_us = wall_clock_us();
        shared.loading.go_on_with(all, now_us / 1_000_000);
        Self {
            loading: &shared.loading,
            begun_us: now_us,
            told_us: now_us,
            all,
            passed: 0,
            commands: 0,
        }
    }

    /// So many more commands have been read, up to here in the current file.
    fn tell(&mut self, offset: u64, commands: u64) {
        self.commands += commands;
        let read = self.passed + offset;
        self.loading.bytes_read.store(read, Ordering::Relaxed);
        let now_us = wall_clock_us();
        if now_us.saturating_sub(self.told_us) < PROGRESS_PERIOD_US {
            return;
        }
        self.told_us = now_us;
        let seconds = now_us.saturating_sub(self.begun_us).max(1000) as f64 / 1e6;
        let left = seconds * self.all.saturating_sub(read) as f64 / read.max(1) as f64;
        tracing::info!(
            "Reading the log: {} %, {} commands, {:.0} commands/s, {left:.0} s left",
            read * 100 / self.all.max(1),
            self.commands,
            self.commands as f64 / seconds
        );
    }

    /// A file has been read.
    fn pass(&mut self, length: u64) {
        self.passed += length;
        self.loading
            .bytes_read
            .store(self.passed, Ordering::Relaxed);
    }
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
            true => look(&folder, &config).map_err(|error| told(&error))?,
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
        let paths = self.recovered.iter().flat_map(|found| &found.records);
        let paths: Vec<&PathBuf> = paths.collect();
        let mut progress = Progress::new(&self.shared, &paths);
        for path in paths {
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
                    progress.tell(reader.offset(), COMMANDS_PER_BATCH as u64);
                }
                if self.shared.is_shutting_down() {
                    return Ok(());
                }
            }
            progress.pass(reader.length());
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
