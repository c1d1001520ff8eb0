//! What the shards of a node share about saving: the save under way, and how the last one went.
//!
//! All shards see the requests to save in the same order, because each is one position on all of them. So the n-th request on one shard is the n-th on every other, and
//! the decision that the first of them makes, to begin a save or not, is the others' as well.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tessera_io::{Disk, FsDisk, give_way};

use super::file::{Piece, SnapshotFile, Target};
use super::pace::Pace;
use super::packer::{Format, Packer};
use super::part::{Part, Queue};
use crate::log::Log;

/// How a save ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not.
    UnderWay,
    /// The file is in place.
    Saved,
    /// The old file, if there was one, is still there.
    Failed,
}

/// What is saved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A snapshot.
    Snapshot,
    /// A new base of the log.
    Base,
}

/// What a shard is told about a request to save.
pub enum Begun {
    /// This is its part of the save with this number.
    Part(Part, u64),
    /// Another save is under way.
    Busy(Purpose),
}

/// A save under way.
struct Job {
    purpose: Purpose,
    number: u64,
    to_file: Sender<Piece>,
    /// What the thread that writes the file takes with it.
    pieces: Option<Receiver<Piece>>,
    queue: Arc<Queue>,
    format: Format,
    compresses: bool,
    /// Seconds since the Unix epoch.
    began_s: u64,
    /// Parts that were given out, and the changes counted by then.
    parts: Vec<Part>,
    changes: u64,
}

/// A decision that some shards have still to hear.
struct Decision {
    /// What is in the way, if anything.
    busy: Option<Purpose>,
    shards_left: usize,
}

/// For INFO and the rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct SaveStatus {
    /// Whether a save is under way.
    pub is_saving: bool,
    /// Whether the log's base is being written.
    pub is_rewriting: bool,
    /// How long that takes so far, seconds.
    pub rewrite_s: Option<u64>,
    /// How long the last one took, seconds.
    pub last_rewrite_s: Option<u64>,
    /// Whether a rewrite of the log, or a save, is to begin when nothing else is under way.
    pub rewrite_scheduled: bool,
    /// See `rewrite_scheduled`.
    pub save_scheduled: bool,
    /// Keys that it has written.
    pub keys_written: u64,
    /// How long it takes so far, seconds.
    pub current_s: Option<u64>,
    /// How long the last one took, seconds.
    pub last_s: Option<u64>,
    /// Whether the last one failed.
    pub last_failed: bool,
    /// When the last successful one ended, seconds since the Unix epoch.
    pub last_save_s: u64,
    /// When the last one was tried.
    pub last_try_s: u64,
    /// Saves that succeeded.
    pub saves: u64,
    /// Changes since the moment of the last saved state.
    pub changes: u64,
}

#[derive(Default)]
struct State {
    job: Option<Job>,
    decisions: BTreeMap<u64, Decision>,
    /// Of saves, from 1.
    last_number: u64,
    outcomes: BTreeMap<u64, Outcome>,
    last_s: Option<u64>,
    last_failed: bool,
    last_save_s: u64,
    last_try_s: u64,
    saves: u64,
    target: Target,
    witness: Option<Witness>,
    last_rewrite_s: Option<u64>,
}

/// What a save says of the node, as it is when the save begins.
#[derive(Debug, Default)]
pub struct Testimony {
    /// The sources of all libraries of functions.
    pub functions: Vec<Vec<u8>>,
    /// Bytes of memory in use.
    pub used_bytes: u64,
}

/// Tells it.
pub type Witness = Box<dyn Fn() -> Testimony + Send>;

/// See the head of this file.
pub struct Saver {
    state: Mutex<State>,
    /// Per shard, the changes that it has counted.
    changes: Box<[AtomicU64]>,
    /// Those that are in the last file.
    saved_changes: AtomicU64,
    has_failed: AtomicBool,
    /// So much waits for the disk that nothing should be changed.
    is_behind: Arc<AtomicBool>,
    /// What is to begin when nothing else is under way.
    wants_rewrite: AtomicBool,
    wants_save: AtomicBool,
    wall_clock: fn() -> u64,
    /// The log, and where its bases are written.
    log: OnceLock<(Arc<Log>, PathBuf, PathBuf)>,
    /// Who writes the files, if not a thread of their own.
    runner: OnceLock<Runner>,
    pace: Arc<Pace>,
}

/// Takes the file of a save that has begun.
pub type Runner = Box<dyn Fn(SaveTask) -> std::io::Result<()> + Send + Sync>;

/// The file of a save, to be written by whoever takes it.
pub struct SaveTask {
    saver: Arc<Saver>,
    purpose: Purpose,
    file: SnapshotFile,
}

impl SaveTask {
    fn spawn(mut self) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name("snapshot".to_owned());
        let mut disk = FsDisk::default();
        let run = move || {
            give_way();
            while !self.step(&mut disk, true) {}
        };
        thread.spawn(run).map(drop)
    }

    /// Goes on with the file; `waits` for what is to be written, if nothing is. Says whether that is over.
    pub fn step(&mut self, disk: &mut dyn Disk, waits: bool) -> bool {
        let Some(outcome) = self.file.step(disk, waits) else {
            return false;
        };
        match &outcome {
            Ok(bytes) if self.purpose == Purpose::Base => {
                tracing::info!("AOF base written, {bytes} bytes");
            }
            Ok(bytes) => tracing::info!("DB saved on disk, {bytes} bytes"),
            Err(error) => tracing::error!("Snapshot failed, the old file is kept: {error}"),
        }
        let saver = &self.saver;
        saver.tell_log(self.purpose, outcome.is_ok());
        saver.with(|state| saver.end(state, outcome.is_ok()));
        true
    }
}

/// Outcomes that are remembered for those who ask.
const OUTCOMES_KEPT: usize = 64;

impl Saver {
    /// For a node of so many shards. `wall_clock` tells the seconds since the Unix epoch.
    #[must_use]
    pub fn new(shards: usize, wall_clock: fn() -> u64) -> Self {
        let state = State {
            last_save_s: wall_clock(),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changes: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            saved_changes: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
            is_behind: Arc::default(),
            wants_rewrite: AtomicBool::new(false),
            wants_save: AtomicBool::new(false),
            wall_clock,
            log: OnceLock::new(),
            runner: OnceLock::new(),
            pace: Arc::default(),
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where the next save goes.
    pub fn set_target(&self, target: Target) {
        self.pace.set(target.key_delay);
        self.with(|state| state.target = target);
    }

    /// Where the log's bases are written: this folder, under this name.
    pub fn set_log(&self, log: Arc<Log>, dir: PathBuf, name: PathBuf) {
        // A node has one log.
        let _ = self.log.set((log, dir, name));
    }

    /// Who writes the files, instead of a thread of their own.
    pub fn set_runner(&self, runner: Runner) {
        // Nor has it several who write.
        let _ = self.runner.set(runner);
    }

    /// Who knows what a save has to say of the node besides its keys.
    pub fn ask(&self, witness: Witness) {
        self.with(|state| state.witness = Some(witness));
    }

    /// Notes how many changes a shard has counted.
    #[inline]
    pub fn note_changes(&self, shard: usize, changes: u64) {
        self.changes[shard].store(changes, Ordering::Relaxed);
    }

    fn all_changes(&self) -> u64 {
        let counts = self.changes.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// All that has changed up to now is in a file: it was loaded from there.
    pub fn forget_changes(&self) {
        self.saved_changes
            .store(self.all_changes(), Ordering::Relaxed);
    }

    /// A shard has reached its `request`-th request to save, having counted so many changes.
    pub fn begin(self: &Arc<Self>, request: u64, changes: u64, purpose: Purpose) -> Begun {
        self.with(|state| {
            let shards = self.changes.len();
            let decision = state.decisions.entry(request).or_insert_with(|| Decision {
                busy: state.job.as_ref().map(|job| job.purpose),
                shards_left: shards,
            });
            let (busy, is_first) = (decision.busy, decision.shards_left == shards);
            decision.shards_left -= 1;
            if decision.shards_left == 0 {
                state.decisions.remove(&request);
            }
            if let Some(purpose) = busy {
                return Begun::Busy(purpose);
            }
            if is_first {
                self.prepare(state, purpose);
            }
            let begun = match &mut state.job {
                Some(job) => {
                    let queue = Arc::clone(&job.queue);
                    let number = job.parts.len();
                    let packer = Packer::new(job.format, job.compresses, number, shards);
                    let part = Part::new(job.to_file.clone(), queue, packer, number);
                    job.parts.push(part.clone());
                    job.changes += changes;
                    Begun::Part(part, job.number)
                }
                None => Begun::Busy(purpose),
            };
            // Now all shards are behind the position, and so is what has changed the node: what a log has of that before it is in the file, too.
            let is_last = |job: &Job| job.parts.len() == shards;
            if state.job.as_ref().is_some_and(is_last) {
                self.start(state, purpose);
            }
            begun
        })
    }

    /// A save begins.
    fn prepare(&self, state: &mut State, purpose: Purpose) {
        state.last_number += 1;
        // Whoever asked for it has it.
        self.wanted(purpose).store(false, Ordering::Relaxed);
        if purpose == Purpose::Snapshot {
            state.last_try_s = (self.wall_clock)();
        }
        let number = state.last_number;
        let (to_file, pieces) = channel();
        state.outcomes.insert(number, Outcome::UnderWay);
        while state.outcomes.len() > OUTCOMES_KEPT {
            state.outcomes.pop_first();
        }
        let format = match purpose {
            Purpose::Snapshot => state.target.format,
            Purpose::Base => Format::Rdb,
        };
        state.job = Some(Job {
            purpose,
            number,
            to_file,
            pieces: Some(pieces),
            queue: Arc::new(Queue::new(self.changes.len(), Arc::clone(&self.is_behind))),
            format,
            compresses: state.target.compresses,
            began_s: (self.wall_clock)(),
            parts: Vec::new(),
            changes: 0,
        });
    }

    /// Starts the thread that writes the file: every shard has its part.
    fn start(self: &Arc<Self>, state: &mut State, purpose: Purpose) {
        let target = self.target_for(purpose, state);
        let taken = state.job.as_mut().and_then(|job| {
            let pieces = job.pieces.take()?;
            Some((pieces, Arc::clone(&job.queue)))
        });
        let Some((pieces, queue)) = taken else { return };
        let abandoned = Arc::clone(&queue);
        let (parts, pace) = (self.changes.len(), Arc::clone(&self.pace));
        let mut file = SnapshotFile::new(target, parts, pieces, queue, pace);
        // The keeper may not have made the log's folder yet.
        file.makes_folder = purpose == Purpose::Base;
        let task = SaveTask {
            saver: Arc::clone(self),
            purpose,
            file,
        };
        let begun = match self.runner.get() {
            Some(run) => run(task),
            None => task.spawn(),
        };
        if let Err(error) = begun {
            tracing::error!("Snapshot failed: cannot start its thread: {error}");
            abandoned.end();
            self.tell_log(purpose, false);
            self.end(state, false);
        }
    }

    /// Where the file goes, and what it says of the node. The log's base is RDB whatever snapshots are, so that redis-server reads the folder.
    fn target_for(&self, purpose: Purpose, state: &State) -> Target {
        let mut target = state.target.clone();
        let said = state.witness.as_ref().map(|tell| tell());
        let said = said.unwrap_or_default();
        target.functions = said.functions;
        let ctime = (self.wall_clock)().to_string();
        target.about.push(("ctime", ctime));
        let used = said.used_bytes.to_string();
        target.about.push(("used-mem", used));
        if let (Purpose::Base, Some((_, dir, name))) = (purpose, self.log.get()) {
            (target.dir, target.name) = (dir.clone(), name.clone());
            target.format = Format::Rdb;
            target.about.push(("aof-base", "1".to_owned()));
        }
        target
    }

    fn tell_log(&self, purpose: Purpose, is_written: bool) {
        if let (Purpose::Base, Some((log, ..))) = (purpose, self.log.get()) {
            log.base_done(is_written);
        }
    }

    fn end(&self, state: &mut State, is_saved: bool) {
        let Some(job) = state.job.take() else {
            return;
        };
        let outcome = if is_saved {
            Outcome::Saved
        } else {
            Outcome::Failed
        };
        state.outcomes.insert(job.number, outcome);
        let took_s = (self.wall_clock)().saturating_sub(job.began_s);
        if job.purpose == Purpose::Base {
            state.last_rewrite_s = Some(took_s);
            return;
        }
        state.last_failed = !is_saved;
        self.has_failed.store(!is_saved, Ordering::Relaxed);
        state.last_s = Some(took_s);
        if is_saved {
            state.saves += 1;
            state.last_save_s = (self.wall_clock)();
            self.saved_changes.store(job.changes, Ordering::Relaxed);
        }
    }

    /// A save for this purpose is to begin as soon as nothing else is under way.
    pub fn schedule(&self, purpose: Purpose) {
        self.wanted(purpose).store(true, Ordering::Relaxed);
    }

    /// Whether one is to begin; that is forgotten.
    #[must_use]
    pub fn take_scheduled(&self, purpose: Purpose) -> bool {
        self.wanted(purpose).swap(false, Ordering::Relaxed)
    }

    fn wanted(&self, purpose: Purpose) -> &AtomicBool {
        match purpose {
            Purpose::Snapshot => &self.wants_save,
            Purpose::Base => &self.wants_rewrite,
        }
    }

    /// Whether anything is to begin.
    #[inline]
    #[must_use]
    pub fn has_scheduled(&self) -> bool {
        self.wants_rewrite.load(Ordering::Relaxed) || self.wants_save.load(Ordering::Relaxed)
    }

    /// How a save ended. One that nobody remembers has failed.
    #[must_use]
    pub fn outcome(&self, number: u64) -> Outcome {
        self.with(|state| {
            let outcome = state.outcomes.get(&number);
            outcome.copied().unwrap_or(Outcome::Failed)
        })
    }

    /// The number of the newest save; 0 before the first.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        self.with(|state| state.last_number)
    }

    /// Whether the last save failed.
    #[inline]
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Whether commands that write should wait: what they change has to be written first, and the disk is behind.
    #[inline]
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// How things stand.
    #[must_use]
    pub fn status(&self) -> SaveStatus {
        let changes = self.all_changes();
        self.with(|state| {
            let all = state.job.as_ref();
            let (job, base) = match all {
                Some(job) if job.purpose == Purpose::Base => (None, all),
                _ => (all, None),
            };
            let age = |job: &Job| (self.wall_clock)().saturating_sub(job.began_s);
            SaveStatus {
                is_rewriting: base.is_some(),
                rewrite_s: base.map(age),
                last_rewrite_s: state.last_rewrite_s,
                rewrite_scheduled: self.wants_rewrite.load(Ordering::Relaxed),
                save_scheduled: self.wants_save.load(Ordering::Relaxed),
                is_saving: job.is_some(),
                keys_written: job.map_or(0, |job| job.parts.iter().map(Part::keys).sum()),
                current_s: job.map(age),
                last_s: state.last_s,
                last_failed: state.last_failed,
                last_save_s: state.last_save_s,
                last_try_s: state.last_try_s,
                saves: state.saves,
                changes: changes.saturating_sub(self.saved_changes.load(Ordering::Relaxed)),
            }
        })
    }
}
