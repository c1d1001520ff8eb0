//! The thread that owns the log's files: writes blocks, syncs, goes on to another file where a rewrite begins, and puts its base in place.
//!
//! A rewrite begins at one position of the node, but the shards reach it one after the other. Records behind it are held until all have; then the file with all
//! before it is synced, and the next one begins. So there is one open file at a time, and what is on the disk is always everything up to some position.
//! What fails latches: nothing is written any more until a rewrite has begun a file that can be written, and put a base before it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tessera_io::{Disk, FsDisk};

use super::chunk::Chunk;
use super::error::LogError;
use super::file::{LogFile, begin_block, is_empty_block};
use super::folder::{Folder, remove, sync};
use super::manifest::{LogPart, Manifest};
use super::recovery::Recovered;
use super::sequence::{Log, Order, SyncPolicy, Work};

/// A block has no more chunks when it has so many bytes.
const BLOCK_BYTES: usize = 4 << 20;
/// A chunk of so many bytes is a block of its own, and is not copied into one.
const OWN_BLOCK_BYTES: usize = 32 << 10;
/// How long records gather where no reply waits for them.
const GATHER: Duration = Duration::from_millis(3);
/// Between two syncs, ms.
const SYNC_PERIOD_MS: u64 = 1000;
/// Of `errno`: an input or output error that the system has not named.
const EIO: i32 = 5;

/// See the head of this file.
pub struct Keeper<D: Disk = FsDisk> {
    log: Arc<Log>,
    disk: D,
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
    /// Files that no manifest names yet, for all that is known.
    unlisted: Vec<LogPart>,
    /// The highest number that a file was given: none is given twice, as a manifest that could not be synced may name it.
    last_file: u64,
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
    /// A base is being written.
    rewrites_now: bool,
    rewrites: u64,
    failed_rewrites: u64,
    buffer: Vec<u8>,
    /// Chunks on their way back to the shards.
    written: Vec<Chunk>,
    now_ms: Box<dyn Fn() -> u64 + Send>,
}

impl<D: Disk> Keeper<D> {
    /// One without files. `now_ms` is a clock that does not jump.
    #[must_use]
    pub fn new(
        log: Arc<Log>,
        folder: Folder,
        disk: D,
        now_ms: impl Fn() -> u64 + Send + 'static,
    ) -> Self {
        Self {
            log,
            disk,
            folder,
            manifest: Manifest::default(),
            file: None,
            generation: 0,
            held: Vec::new(),
            db: None,
            is_whole: false,
            is_broken: false,
            unlisted: Vec::new(),
            last_file: 0,
            first_kept: 0,
            taken: 0,
            is_unsynced: false,
            was_busy: false,
            synced_ms: 0,
            other_bytes: 0,
            base_bytes: 0,
            delayed_syncs: 0,
            rewrites_now: false,
            rewrites: 0,
            failed_rewrites: 0,
            buffer: Vec::new(),
            written: Vec::new(),
            now_ms: Box::new(now_ms),
        }
    }

    /// Goes on behind a log that has been read.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn resume(&mut self, recovered: &Recovered) -> Result<(), LogError> {
        // The names that were found may be known to nobody but the system's memory.
        sync(&mut self.disk, &self.folder.path)?;
        self.manifest = recovered.manifest.clone();
        self.base_bytes = recovered.bytes;
        match (self.manifest.records.last(), recovered.last) {
            (Some(part), Some(last)) => {
                let path = self.folder.file(&part.name);
                let (length, doubtful) = (last.length, last.doubtful);
                let disk = &mut self.disk;
                let file = LogFile::resume(disk, &path, length, last.blocks, doubtful)?;
                self.file = Some(file);
                self.other_bytes = recovered.bytes - length;
            }
            _ => {
                self.other_bytes = recovered.bytes;
                self.begin_file()?;
                self.list_files()?;
            }
        }
        self.forget_history()?;
        self.go_live();
        Ok(())
    }

    /// Removes what a base has replaced.
    fn forget_history(&mut self) -> Result<(), LogError> {
        if self.manifest.history.is_empty() {
            return Ok(());
        }
        let history = std::mem::take(&mut self.manifest.history);
        self.folder.remove(&mut self.disk, &history);
        let disk = &mut self.disk;
        self.folder.replace_manifest(disk, &self.manifest)
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
    pub fn old_manifest(&mut self) -> Result<Manifest, LogError> {
        let found = self.folder.manifest(&mut self.disk)?;
        Ok(found.unwrap_or_default())
    }

    fn go_live(&mut self) {
        self.is_whole = true;
        self.log.turn_on();
        self.publish();
    }

    /// The disk on which it writes.
    pub fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Writes until it is told to stop.
    pub fn run(mut self) {
        loop {
            let gathers = self.was_busy && self.log.policy() != SyncPolicy::Always;
            let work = self.log.take(self.longest_wait(gathers), gathers);
            if self.carry_out(work) {
                return;
            }
        }
    }

    /// Does what there is to do, without waiting for more. Says whether it was told to stop.
    pub fn step(&mut self) -> bool {
        let work = self.log.take_now();
        self.carry_out(work)
    }

    fn carry_out(&mut self, work: Work) -> bool {
        self.was_busy = !work.chunks.is_empty();
        self.taken += work.chunks.len() as u64;
        self.write(work.chunks);
        let mut is_over = false;
        let mut has_ended = false;
        for order in work.orders {
            match order {
                Order::Switched(generation) => self.switch(generation),
                Order::Base(is_written) => {
                    has_ended = true;
                    self.end_rewrite(is_written);
                }
                Order::Off => self.close(),
                Order::Look => {}
                Order::Stop => is_over = true,
            }
        }
        self.sync_if_due(is_over);
        self.publish_after(has_ended);
        is_over
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
        if chunks.is_empty() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        begin_block(&mut buffer);
        let mut taken = 0;
        for mut chunk in chunks {
            if chunk.generation > self.generation {
                self.held.push(chunk);
                continue;
            }
            taken += chunk.len() as u64;
            if self.file.is_some() && !self.is_broken {
                self.put(&mut chunk, &mut buffer);
                if is_empty_block(&buffer) {
                    self.log.consumed(std::mem::take(&mut taken));
                }
            }
            self.written.push(chunk);
        }
        self.write_block(&mut buffer);
        buffer.shrink_to(BLOCK_BYTES);
        self.buffer = buffer;
        self.log.consumed(taken);
        self.log.give_back(&mut self.written);
    }

    /// Puts a chunk behind others, or writes it as a block of its own.
    fn put(&mut self, chunk: &mut Chunk, buffer: &mut Vec<u8>) {
        if chunk.len() >= OWN_BLOCK_BYTES {
            self.write_block(buffer);
            if let Some(block) = chunk.as_block(&mut self.db) {
                return self.append(block);
            }
        }
        chunk.append_to(&mut self.db, buffer);
        if buffer.len() >= BLOCK_BYTES {
            self.write_block(buffer);
        }
    }

    fn write_block(&mut self, buffer: &mut Vec<u8>) {
        if !is_empty_block(buffer) {
            self.append(buffer);
            begin_block(buffer);
        }
    }

    fn append(&mut self, block: &mut [u8]) {
        // What follows a block that could not be written is not.
        if self.is_broken {
            return;
        }
        self.log.pause_before_write();
        let began_ms = (self.now_ms)();
        if let Some(file) = &mut self.file {
            let written = file.append(&mut self.disk, block);
            self.is_unsynced = true;
            self.latch(written);
        }
        self.tell_write(began_ms);
    }

    /// Tells how long a write has taken, by Redis's names.
    fn tell_write(&self, began_ms: u64) {
        let ms = (self.now_ms)().saturating_sub(began_ms);
        let kind = match self.rewrites_now {
            true => "aof-write-active-child",
            false => "aof-write-alone",
        };
        self.log.tell(kind, ms);
        self.log.tell("aof-write", ms);
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
            if self.log.policy() == SyncPolicy::Always {
                self.log.tell("aof-fsync-always", took_ms);
            }
            self.delayed_syncs += u64::from(took_ms > SYNC_PERIOD_MS);
        }
    }

    fn sync(&mut self) {
        if self.is_broken {
            return;
        }
        if let Some(file) = &mut self.file {
            let synced = file.sync(&mut self.disk);
            self.latch(synced);
        }
        self.is_unsynced = false;
        self.synced_ms = (self.now_ms)();
    }

    /// Makes the next file of records, which no manifest names yet.
    fn begin_file(&mut self) -> Result<(), LogError> {
        self.folder.create(&mut self.disk)?;
        let number = self.manifest.next_records().max(self.last_file + 1);
        self.last_file = number;
        let part = self.folder.records(number);
        let mut file = LogFile::create(&mut self.disk, &self.folder.file(&part.name))?;
        file.mark(&mut self.disk)?;
        if let Some(before) = self.file.replace(file) {
            self.other_bytes += before.length();
            before.close(&mut self.disk);
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
        let disk = &mut self.disk;
        self.folder.replace_manifest(disk, &manifest)?;
        self.manifest = manifest;
        self.unlisted.clear();
        Ok(())
    }

    /// All shards are behind the position at which a rewrite begins.
    fn switch(&mut self, generation: u64) {
        self.sync();
        // A file that no manifest names has what an earlier one misses, or follows such a one: then only a base makes it good.
        let is_good = self.is_whole && !self.is_broken && self.unlisted.is_empty();
        self.is_broken = false;
        self.generation = generation;
        self.rewrites_now = true;
        let begun = self.begin_file();
        let begun = begun.and_then(|()| match is_good {
            true => self.list_files(),
            false => Ok(()),
        });
        self.latch(begun);
        let held = std::mem::take(&mut self.held);
        self.write(held);
    }

    /// The new base is written, or it cannot be.
    fn end_rewrite(&mut self, is_written: bool) {
        self.rewrites_now = false;
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
                let temporary = self.unfinished_base();
                // The error that is told is the first one.
                let _ = remove(&mut self.disk, &temporary);
                if let Err(error) = outcome {
                    tracing::error!("Background AOF rewrite failed: {error}");
                }
            }
        }
    }

    fn unfinished_base(&self) -> PathBuf {
        let name = self.folder.unfinished_base();
        self.folder.file(&name.to_string_lossy())
    }

    fn put_base(&mut self) -> Result<bool, LogError> {
        self.sync();
        if self.is_broken {
            return Ok(false);
        }
        let base = self.folder.base(self.manifest.last_base + 1);
        // Whatever becomes of it: no number is given twice.
        self.manifest.last_base = base.number;
        let path = self.folder.file(&base.name);
        let temporary = self.unfinished_base();
        let began_ms = (self.now_ms)();
        let disk = &mut self.disk;
        self.folder.rename(disk, &temporary, &path)?;
        let took_ms = (self.now_ms)().saturating_sub(began_ms);
        self.log.tell("aof-rename", took_ms);
        let mut manifest = self.manifest.clone();
        manifest.records.append(&mut self.unlisted.clone());
        // Without a file, the log is off: the base is all there is.
        let first_kept = self.file.as_ref().map(|_| self.first_kept);
        let (kept, old) = manifest
            .records
            .into_iter()
            .partition(|part| first_kept.is_some_and(|first| part.number >= first));
        manifest.records = kept;
        manifest.history.extend(manifest.base.take());
        manifest.history.extend::<Vec<LogPart>>(old);
        manifest.base = Some(base);
        self.folder.replace_manifest(disk, &manifest)?;
        self.unlisted.clear();
        self.manifest = manifest;
        self.is_whole = self.file.is_some();
        let length = self.disk.length(&path).unwrap_or(0);
        self.other_bytes = length;
        self.base_bytes = length + self.file.as_ref().map_or(0, LogFile::length);
        if let Err(error) = self.forget_history() {
            // The old lines only name files that are gone.
            tracing::warn!("{error}");
        }
        Ok(true)
    }

    /// The log is turned off: what there is stays.
    fn close(&mut self) {
        self.sync();
        if let Some(file) = self.file.take() {
            file.close(&mut self.disk);
        }
        self.is_whole = false;
        self.is_broken = false;
        self.unlisted.clear();
        let held = std::mem::take(&mut self.held);
        let bytes = held.iter().map(|chunk| chunk.len() as u64).sum();
        self.log.consumed(bytes);
        self.log.make_good();
    }

    fn publish(&mut self) {
        self.publish_after(false);
    }

    fn publish_after(&mut self, has_ended: bool) {
        let is_settled = !self.is_unsynced && !self.is_broken && self.held.is_empty();
        // Records of files that no manifest names are not there after a crash.
        let is_listed = self.unlisted.is_empty() && !self.log.has_failed();
        let durable = (is_settled && is_listed).then_some(self.taken);
        let gates = self.is_whole
            && self.file.is_some()
            && !self.log.has_failed()
            && self.log.policy() == SyncPolicy::Always;
        let bytes = self.other_bytes + self.file.as_ref().map_or(0, LogFile::length);
        self.log.publish(durable, gates, |status| {
            status.bytes = bytes;
            status.base_bytes = self.base_bytes;
            status.is_whole = self.is_whole;
            status.delayed_syncs = self.delayed_syncs;
            status.is_unsynced = self.is_unsynced;
            status.rewrites = self.rewrites;
            status.failed_rewrites = self.failed_rewrites;
            status.is_finishing &= !has_ended;
        });
    }
}
