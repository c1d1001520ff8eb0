//! How far loading is, and what a shard takes its keys from.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Mutex, PoisonError};

use tessera_shards::shard::Shard;

use super::batches::Loaded;
use super::native::{NativeCargo, NativeUnloading};

/// Keys whose places are fetched from memory together.
pub(super) const AHEAD: usize = 16;
/// Batches of loaded keys taken per turn.
const BATCHES_PER_TURN: usize = 2;

/// What a shard receives.
pub enum Cargo {
    /// Keys that a thread has read.
    Batches(Receiver<Vec<Loaded>>),
    /// A file whose chunks it reads itself.
    Native(NativeCargo),
}

/// The same on the shard's own thread: values that are there in part belong to it.
pub enum Unloading {
    /// See [`Cargo`].
    Batches(Receiver<Vec<Loaded>>),
    /// See [`Cargo`].
    Native(Box<NativeUnloading>),
}

/// What a shard found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    /// There may be more.
    Some,
    /// Nothing just now.
    Nothing,
    /// That was all.
    All,
}

/// How far loading is.
#[derive(Debug, Default)]
pub struct Loading {
    is_on: AtomicBool,
    /// Shards that do not have all of their keys.
    shards_left: AtomicUsize,
    /// What a shard found wrong.
    fault: Mutex<Option<String>>,
    has_fault: AtomicBool,
    /// The log has been read.
    pub(crate) replayed: AtomicBool,
    /// All has been loaded: the shards begin to record.
    pub(crate) records: AtomicBool,
    /// Shards that do.
    pub(crate) recording: AtomicUsize,
    /// Keys put in their places.
    pub keys: AtomicU64,
    /// Keys whose time had gone by.
    pub expired: AtomicU64,
    /// When it began, seconds since the Unix epoch.
    pub began_s: AtomicU64,
    /// Bytes of the file.
    pub bytes: AtomicU64,
    /// Those of them that have been read.
    pub bytes_read: AtomicU64,
    /// What the file says of the memory in use when it was written.
    pub used_bytes: AtomicU64,
}

impl Loading {
    /// Whether keys, or commands of the log, are still coming.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Keys will come to so many shards; then what the log says, if there is one.
    pub(crate) fn begin(&self, shards: usize, bytes: u64, now_s: u64) {
        self.shards_left.store(shards, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        self.bytes_read.store(0, Ordering::Relaxed);
        self.began_s.store(now_s, Ordering::Relaxed);
        self.is_on.store(true, Ordering::Release);
    }

    /// What is read from here on has so many bytes: the log, behind its base.
    pub(crate) fn go_on_with(&self, bytes: u64, now_s: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.bytes_read.store(0, Ordering::Relaxed);
        self.began_s.store(now_s, Ordering::Relaxed);
    }

    /// A shard has all of its keys.
    fn shard_done(&self) {
        self.shards_left.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether every shard has all of its keys.
    pub(super) fn has_all_keys(&self) -> bool {
        self.shards_left.load(Ordering::Acquire) == 0
    }

    /// Clients are served.
    pub(crate) fn finish(&self) {
        self.is_on.store(false, Ordering::Release);
    }

    /// A shard found something wrong with what is loaded.
    pub(crate) fn find_fault(&self, fault: String) {
        let mut known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert(fault);
        self.has_fault.store(true, Ordering::Release);
    }

    /// What a shard found wrong.
    pub(crate) fn fault(&self) -> Option<String> {
        if !self.has_fault.load(Ordering::Acquire) {
            return None;
        }
        let known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Seconds that it will still take, given how long it took so far.
    #[must_use]
    pub fn left_s(&self, now_s: u64) -> u64 {
        let spent_s = now_s.saturating_sub(self.began_s.load(Ordering::Relaxed));
        let (all, read) = (
            self.bytes.load(Ordering::Relaxed),
            self.bytes_read.load(Ordering::Relaxed),
        );
        spent_s * all.saturating_sub(read) / read.max(1)
    }
}

impl Cargo {
    /// Begins to take keys of it.
    #[must_use]
    pub fn unload(self) -> Unloading {
        match self {
            Self::Batches(batches) => Unloading::Batches(batches),
            Self::Native(cargo) => Unloading::Native(Box::new(cargo.unload())),
        }
    }
}

impl Unloading {
    /// Puts some keys in their places. After `Took::All` there is nothing to come back for.
    pub fn take_some(&mut self, shard: &mut Shard, loading: &Loading) -> Took {
        let took = match self {
            Self::Batches(batches) => take_batches(batches, shard, loading),
            Self::Native(cargo) => cargo.take_some(shard, loading),
        };
        if took == Took::All {
            loading.shard_done();
        }
        took
    }
}

fn take_batches(batches: &Receiver<Vec<Loaded>>, shard: &mut Shard, loading: &Loading) -> Took {
    for _ in 0..BATCHES_PER_TURN {
        let batch = match batches.try_recv() {
            Ok(batch) => batch,
            Err(TryRecvError::Empty) => return Took::Nothing,
            Err(TryRecvError::Disconnected) => return Took::All,
        };
        loading
            .keys
            .fetch_add(batch.len() as u64, Ordering::Relaxed);
        let mut coming = batch.into_iter();
        while !coming.as_slice().is_empty() {
            let soon = coming.as_slice().iter().take(AHEAD);
            soon.for_each(|loaded| loaded.announce(shard));
            for loaded in coming.by_ref().take(AHEAD) {
                if !loaded.put(shard) {
                    loading.find_fault("it has a key twice".to_owned());
                }
            }
        }
    }
    Took::Some
}
