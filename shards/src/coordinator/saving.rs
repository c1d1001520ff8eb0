//! Large values and a save: whoever is about to change one that the save has not written yet waits until it has.
//!
//! Without this a command would have to write the whole value before it could change it, and hold the shard meanwhile (`core`'s walks see to that for whatever does
//! not wait here). The save holds a lock on such a key, as a task does that comes back to it; commands wait in the lock's queue, in their order. Readers of a key
//! for which nobody waits pass. Called for each command while a save is under way, and by the front end once per turn.

use crate::command::spec::flag;
use crate::coordinator::engine::Engine;
use crate::coordinator::work::Job;
use crate::mesh::RequestHead;

/// How long a slice of a save is, whatever its turn is. The least is what makes a turn's own cost small.
const SLICE_NS_MIN: u64 = 20_000;
const SLICE_NS_MAX: u64 = 250_000;

/// A key that is saved before those who wait for it go on.
pub(super) struct SavedFirst {
    lock: u32,
    keys: Vec<Box<[u8]>>,
}

impl<X> Engine<X> {
    /// Whether a command waits: for a lock, or for the save.
    #[inline]
    pub(super) fn is_held_up(&mut self, head: &RequestHead, args: &[&[u8]]) -> bool {
        !self.locks.is_quiet() && self.is_blocked(head, args)
            || self.shard.is_saving() && self.is_saved_first(head, args)
    }

    /// The same for a job.
    pub(super) fn is_job_held_up(&mut self, job: &Job) -> bool {
        if !self.locks.is_quiet() && self.is_job_blocked(job) {
            return true;
        }
        // Looking through all keys of a long program would take longer than to write the large values among them.
        self.shard.is_saving() && job.plan().is_none() && {
            let keys = self.keys_of_job(job);
            self.save_first(keys.iter().map(|key| &**key))
        }
    }

    #[cold]
    #[inline(never)]
    fn is_saved_first(&mut self, head: &RequestHead, args: &[&[u8]]) -> bool {
        let spec = &self.rows[usize::from(head.command)].row.spec;
        if spec.has(flag::READONLY) {
            return false;
        }
        let keys = spec.keys_of(args);
        self.save_first(keys.iter().map(|(at, _)| args[*at]))
    }

    /// Locks those of the keys, of which none is locked, that the save has to write first. Says whether there is one.
    pub(super) fn save_first<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>) -> bool {
        let mut owed: Vec<Box<[u8]>> = keys
            .filter(|key| self.shard.is_owed(key))
            .map(Box::from)
            .collect();
        owed.sort_unstable();
        owed.dedup();
        if owed.is_empty() {
            return false;
        }
        for key in &owed {
            self.shard.hasten_save(key);
        }
        let lock = self.locks.hold(owed.clone());
        self.saved_first.push(SavedFirst { lock, keys: owed });
        true
    }

    /// Goes on with this shard's part of a save, for about `slice_ns`. Says whether it makes sense to come back at once.
    pub fn step_save(&mut self, slice_ns: u64) -> bool {
        let until_ns = self.meter.now_ns() + slice_ns.clamp(SLICE_NS_MIN, SLICE_NS_MAX);
        let meter = &self.meter;
        let goes_on = self.shard.step_save(&|| meter.now_ns() >= until_ns);
        let mut at = 0;
        while let Some(SavedFirst { keys, .. }) = self.saved_first.get(at) {
            if keys.iter().any(|key| self.shard.is_owed(key)) {
                at += 1;
                continue;
            }
            let lock = self.saved_first.swap_remove(at).lock;
            self.release(lock);
        }
        goes_on
    }

    /// Whether this shard has to do with a save.
    #[must_use]
    pub fn is_saving(&self) -> bool {
        self.shard.is_saving() || !self.saved_first.is_empty()
    }
}
