//! The thread that owns the log's files: writes blocks, syncs, goes on to another file where a rewrite begins, and puts its base in place.
//!
//! A rewrite begins at one position of the node, but the shards reach it one after the other. Records behind it are held until all have; then the file with all
//! before it is synced, and the next one begins. So there is one open file at a time, and what is on the disk is always everything up to some position.
//! What fails latches: nothing is written any more until a rewrite has begun a file that can be written, and put a base before it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::chunk::Chunk;
use super::error::LogError;
use super::file::LogFile;
use super::folder::Folder;
use super::manifest::{LogPart, Manifest};
use super::recovery::Recovered;
use super::sequence::{Log, Order, SyncPolicy};

/// A block has no more chunks when it has so many bytes.
const BLOCK_BYTES: usize = 4 << 20;
/// How long records gather where no reply waits for them.
const GATHER: Duration = Duration::from_millis(1);
/// Between two syncs, ms.
const SYNC_PERIOD_MS: u64 = 1000;
/// Of `errno`: an input or output error that the system has not named.
const EIO: i32 = 5;

/// See the head of this file.
pub struct Keeper {
    log: Arc<Log>,
    folder: Folder,
    manifest: Manifest,
    file: Option<LogFile>,
    generation: u64,
    /// Records of the next generation.
    held: Vec<Chunk>,
    /// The database of the file's last record.
    db: Option<usize>,
    /// There is a base, and all records since are in the files of the manifest.
    is_whole: bool,
    /// The current file misses records.
    is_broken: bool,
    /// Files that no manifest names yet.
    unlisted: Vec<LogPart>,
    /// The first file behind the base that is being written.
    first_kept: u64,
    taken: u64,
    is_unsynced: bool,
    /// There were records the last time.
    was_busy: bool,
    synced_ms: u64,
    /// Bytes of all files but the current one.
    other_bytes: u64,
    base_bytes: u64,
    delayed_syncs: u64,
    rewrites: u64,
    failed_rewrites: u64,
    buffer: Vec<u8>,
    now_ms: fn() -> u64,
}

impl Keeper {
    /// One without files. `now_ms` is a clock that does not jump.
    #[must_use]
    pub fn new(log: Arc<Log>, folder: Folder, now_ms: fn() -> u64) -> Self {
        Self {
            log,
            folder,
            manifest: Manifest::default(),
            file: None,
            generation: 0,
            held: Vec::new(),
            db: None,
            is_whole: false,
            is_broken: false,
            unlisted: Vec::new(),
            first_kept: 0,
            taken: 0,
            is_unsynced: false,
            was_busy: false,
            synced_ms: 0,
            other_bytes: 0,
            base_bytes: 0,
            delayed_syncs: 0,
            rewrites: 0,
            failed_rewrites: 0,
            buffer: Vec::new(),
            now_ms,
        }
    }

    /// Goes on behind a log that has been read.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn resume(&mut self, recovered: &Recovered) -> Result<(), LogError> {
        self.manifest = recovered.manifest.clone();
        self.base_bytes = recovered.bytes;
        match (self.manifest.records.last(), recovered.last) {
            (Some(part), Some((length, blocks))) => {
                let path = self.folder.file(&part.name);
                self.file = Some(LogFile::resume(&path, length, blocks)?);
                self.other_bytes = recovered.bytes - length;
            }
            _ => {
                self.other_bytes = recovered.bytes;
                self.begin_file()?;
                self.list_files()?;
            }
        }
        self.go_live();
        Ok(())
    }

    /// Begins a log behind a base that the folder has taken.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn begin(&mut self, manifest: Manifest, base_bytes: u64) -> Result<(), LogError> {
        self.manifest = manifest;
        self.base_bytes = base_bytes;
        self.other_bytes = base_bytes;
        self.begin_file()?;
        self.list_files()?;
        self.go_live();
        Ok(())
    }

    /// The manifest of a log that is to be begun: none, or that of one that was left.
    ///
    /// # Errors
    /// As [`Folder::manifest`].
    pub fn old_manifest(&self) -> Result<Manifest, LogError> {
        Ok(self.folder.manifest()?.unwrap_or_default())
    }

    fn go_live(&mut self) {
        self.is_whole = true;
        self.log.turn_on();
        self.publish();
    }

    /// Writes until it is told to stop.
    pub fn run(mut self) {
        loop {
            let gathers = self.was_busy && self.log.policy() != SyncPolicy::Always;
            let work = self.log.take(self.longest_wait(gathers), gathers);
            self.was_busy = !work.chunks.is_empty();
            self.taken += work.chunks.len() as u64;
            self.write(work.chunks);
            let mut is_over = false;
            let has_ended = work
                .orders
                .iter()
                .any(|order| matches!(order, Order::Base(_)));
            for order in work.orders {
                match order {
                    Order::Switched(generation) => self.switch(generation),
                    Order::Base(is_written) => self.end_rewrite(is_written),
                    Order::Off => self.close(),
                    Order::Look => {}
                    Order::Stop => is_over = true,
                }
            }
            self.sync_if_due(is_over);
            self.publish_after(has_ended);
            if is_over {
                return;
            }
        }
    }

    /// How long it may wait for records: a moment where they gather, else until the next sync is due.
    fn longest_wait(&self, gathers: bool) -> Option<Duration> {
        if gathers {
            return Some(GATHER);
        }
        let syncs = self.is_unsynced && self.log.policy() == SyncPolicy::EverySecond;
        syncs.then(|| {
            let age_ms = (self.now_ms)().saturating_sub(self.synced_ms);
            Duration::from_millis(SYNC_PERIOD_MS.saturating_sub(age_ms).max(1))
        })
    }

    /// Writes what belongs to the current file and holds the rest.
    fn write(&mut self, chunks: Vec<Chunk>) {
        for chunk in chunks {
            if chunk.generation > self.generation {
                self.held.push(chunk);
                continue;
            }
            if self.file.is_none() || self.is_broken {
                continue;
            }
            chunk.append_to(&mut self.db, &mut self.buffer);
            if self.buffer.len() >= BLOCK_BYTES {
                self.write_block();
            }
        }
        self.write_block();
    }

    fn write_block(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        if let Some(file) = &mut self.file {
            let written = file.append(&self.buffer);
            self.is_unsynced = true;
            self.latch(written);
        }
        self.buffer.clear();
        self.buffer.shrink_to(BLOCK_BYTES);
    }

    /// Notes a failure: nothing is written until a rewrite has made it good.
    fn latch<T>(&mut self, outcome: Result<T, LogError>) -> Option<T> {
        outcome
            .inspect_err(|error| {
                if !self.log.has_failed() {
                    tracing::error!(
                        "{error}; writes are refused until a BGREWRITEAOF has succeeded"
                    );
                }
                self.is_broken = true;
                self.is_unsynced = false;
                let errno = error.errno();
                self.log.fail(if errno == 0 { EIO } else { errno });
            })
            .ok()
    }

    fn sync_if_due(&mut self, is_over: bool) {
        if !self.is_unsynced {
            return;
        }
        let began_ms = (self.now_ms)();
        let is_due = match self.log.policy() {
            SyncPolicy::Always => true,
            SyncPolicy::EverySecond => began_ms.saturating_sub(self.synced_ms) >= SYNC_PERIOD_MS,
            SyncPolicy::Never => false,
        };
        if is_due || is_over {
            self.sync();
            let took_ms = (self.now_ms)().saturating_sub(began_ms);
            self.delayed_syncs += u64::from(took_ms > SYNC_PERIOD_MS);
        }
    }

    fn sync(&mut self) {
        if self.is_broken {
            return;
        }
        if let Some(file) = &mut self.file {
            let synced = file.sync();
            self.latch(synced);
        }
        self.is_unsynced = false;
        self.synced_ms = (self.now_ms)();
    }

    /// Makes the next file of records, which no manifest names yet.
    fn begin_file(&mut self) -> Result<(), LogError> {
        self.folder.create()?;
        let listed = self.manifest.next_records();
        let unlisted = self.unlisted.last().map_or(0, |part| part.number + 1);
        let part = self.folder.records(listed.max(unlisted));
        let file = LogFile::create(&self.folder.file(&part.name))?;
        if let Some(before) = self.file.replace(file) {
            self.other_bytes += before.length();
        }
        self.db = None;
        self.first_kept = part.number;
        self.unlisted.push(part);
        Ok(())
    }

    /// Names all files in the manifest.
    fn list_files(&mut self) -> Result<(), LogError> {
        let mut manifest = self.manifest.clone();
        manifest.records.append(&mut self.unlisted.clone());
        self.folder.replace_manifest(&manifest)?;
        self.manifest = manifest;
        self.unlisted.clear();
        Ok(())
    }

    /// All shards are behind the position at which a rewrite begins.
    fn switch(&mut self, generation: u64) {
        self.sync();
        let was_broken = std::mem::take(&mut self.is_broken);
        self.generation = generation;
        let begun = self.begin_file();
        let begun = begun.and_then(|()| match self.is_whole && !was_broken {
            true => self.list_files(),
            false => Ok(()),
        });
        self.latch(begun);
        let held = std::mem::take(&mut self.held);
        self.write(held);
    }

    /// The new base is written, or it cannot be.
    fn end_rewrite(&mut self, is_written: bool) {
        let outcome = match is_written && !self.is_broken {
            true => self.put_base(),
            false => Ok(false),
        };
        match outcome {
            Ok(true) => {
                self.rewrites += 1;
                self.failed_rewrites = 0;
                self.log.make_good();
                tracing::info!("Background AOF rewrite finished successfully");
            }
            outcome => {
                self.failed_rewrites += 1;
                let temporary = self
                    .folder
                    .file(&self.folder.unfinished_base().to_string_lossy());
                // It may not be there at all.
                let _ = fs::remove_file(temporary);
                if let Err(error) = outcome {
                    tracing::error!("Background AOF rewrite failed: {error}");
                }
            }
        }
    }

    fn put_base(&mut self) -> Result<bool, LogError> {
        self.sync();
        if self.is_broken {
            return Ok(false);
        }
        let base = self.folder.base(self.manifest.last_base + 1);
        let path = self.folder.file(&base.name);
        let temporary = self
            .folder
            .file(&self.folder.unfinished_base().to_string_lossy());
        self.folder.rename(&temporary, &path)?;
        let mut manifest = self.manifest.clone();
        manifest.records.append(&mut self.unlisted.clone());
        let (kept, old) = manifest
            .records
            .into_iter()
            .partition(|part| part.number >= self.first_kept);
        manifest.records = kept;
        manifest.history.extend(manifest.base.take());
        manifest.history.extend::<Vec<LogPart>>(old);
        manifest.last_base = base.number;
        manifest.base = Some(base);
        self.folder.replace_manifest(&manifest)?;
        self.unlisted.clear();
        self.is_whole = true;
        self.folder.remove(&manifest.history);
        manifest.history.clear();
        self.manifest = manifest;
        // The old lines only name files that are gone.
        let _ = self.folder.replace_manifest(&self.manifest);
        let length = fs::metadata(&path).map_or(0, |about| about.len());
        self.other_bytes = length;
        self.base_bytes = length + self.file.as_ref().map_or(0, LogFile::length);
        Ok(true)
    }

    /// The log is turned off: what there is stays.
    fn close(&mut self) {
        self.sync();
        self.file = None;
        self.is_whole = false;
        self.is_broken = false;
        self.unlisted.clear();
        self.held.clear();
        self.log.make_good();
    }

    fn publish(&mut self) {
        self.publish_after(false);
    }

    fn publish_after(&mut self, has_ended: bool) {
        let is_settled = !self.is_unsynced && !self.is_broken && self.held.is_empty();
        let durable = is_settled.then_some(self.taken);
        let gates = self.is_whole
            && self.file.is_some()
            && !self.log.has_failed()
            && self.log.policy() == SyncPolicy::Always;
        let bytes = self.other_bytes + self.file.as_ref().map_or(0, LogFile::length);
        let queued = self.held.iter().map(|chunk| chunk.len() as u64).sum();
        self.log.publish(durable, gates, |status| {
            status.bytes = bytes;
            status.base_bytes = self.base_bytes;
            status.queued_bytes = queued;
            status.is_whole = self.is_whole;
            status.delayed_syncs = self.delayed_syncs;
            status.is_unsynced = self.is_unsynced;
            status.rewrites = self.rewrites;
            status.failed_rewrites = self.failed_rewrites;
            status.is_finishing &= !has_ended;
        });
    }
}
