//! The end of a node that saves first: clients are not served any more, then all is saved, then the shards end.
//!
//! A shard that has gone quiet has given its batches their position, and a save that begins when all are quiet has a later one. So the file holds every change that anybody
//! was told of. If it cannot be written, the node goes on.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tessera_io::ConnId;

/// Nobody has asked.
const NONE: u8 = 0;
/// The shards go quiet.
const ASKED: u8 = 1;
/// The save is under way.
const SAVING: u8 = 2;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Ending {
    stage: AtomicU8,
    quiet: AtomicUsize,
    /// Saves that had begun before.
    before: AtomicU64,
    asker: Mutex<Asker>,
}

/// Who wants to end the node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker {
    /// Its shard and connection; a signal has none.
    pub conn: Option<(usize, ConnId)>,
    /// Whether a save that fails is no obstacle.
    pub forces: bool,
}

impl Ending {
    /// Asks for the end. Says false if somebody has done so before.
    pub fn ask(&self, asker: Asker) -> bool {
        let mut known = self.asker.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_on() {
            return false;
        }
        *known = asker;
        self.quiet.store(0, Ordering::Relaxed);
        self.stage.store(ASKED, Ordering::Release);
        true
    }

    /// Whether the node is about to end: no client is served.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.stage.load(Ordering::Acquire) != NONE
    }

    /// A shard has gone quiet.
    pub fn go_quiet(&self) {
        self.quiet.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether all of these shards are quiet and nobody saves yet.
    #[must_use]
    pub fn may_save(&self, shards: usize) -> bool {
        self.stage.load(Ordering::Acquire) == ASKED && self.quiet.load(Ordering::Acquire) == shards
    }

    /// The save is asked for; so many have begun before.
    pub fn save_after(&self, before: u64) {
        self.before.store(before, Ordering::Relaxed);
        self.stage.store(SAVING, Ordering::Release);
    }

    /// While the save is under way: how many have begun before it.
    #[must_use]
    pub fn saving_after(&self) -> Option<u64> {
        let is_saving = self.stage.load(Ordering::Acquire) == SAVING;
        is_saving.then(|| self.before.load(Ordering::Relaxed))
    }

    /// Who asked.
    #[must_use]
    pub fn asker(&self) -> Asker {
        *self.asker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node goes on.
    pub fn call_off(&self) {
        self.stage.store(NONE, Ordering::Release);
    }
}
