//! This shard's part of a snapshot: walks of all databases that began at one moment, and go on a slice per turn.
//!
//! A walk that a program takes along to another shard is left alone until it is back; the part is complete when its walks have all said so.

use std::sync::Arc;

use tessera_persist::snapshot::{Begun, Outcome, Part, Saver};

use super::{Shard, Walk};

/// Home buckets per slice: about 650 keys.
const BUCKETS_PER_SLICE: usize = 128;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Saving {
    saver: Option<Arc<Saver>>,
    /// Requests to save that this shard has reached.
    requests: u64,
    running: Option<Running>,
}

struct Running {
    part: Part,
    walks: Vec<Walk>,
}

/// No save has begun: one is under way, or there is nowhere to save to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveRefused;

impl Shard {
    /// Gives the shard what all shards of its node share about saving.
    pub fn set_saver(&mut self, saver: Arc<Saver>) {
        self.saving.saver = Some(saver);
    }

    /// Begins this shard's part of a save, as every shard does at the same position, with all keys at home. Returns the save's number.
    ///
    /// # Errors
    /// [`SaveRefused`], on every shard or on none.
    pub fn begin_save(&mut self) -> Result<u64, SaveRefused> {
        let saver = self.saving.saver.clone().ok_or(SaveRefused)?;
        let request = self.saving.requests;
        self.saving.requests += 1;
        let Begun::Part(part, number) = saver.begin(request, self.stats.changes) else {
            return Err(SaveRefused);
        };
        let walks = (0..self.databases())
            .filter(|db| !self.table(*db).is_empty())
            .collect::<Vec<_>>()
            .into_iter()
            .map(|db| self.begin_free_walk(db, Box::new(part.sink(db))))
            .collect();
        part.seal();
        self.saving.running = Some(Running { part, walks });
        Ok(number)
    }

    /// How a save ended.
    #[must_use]
    pub fn save_outcome(&self, number: u64) -> Outcome {
        let saver = self.saving.saver.as_ref();
        saver.map_or(Outcome::Failed, |saver| saver.outcome(number))
    }

    /// Whether this shard has a part to go on with.
    #[inline]
    #[must_use]
    pub fn is_saving(&self) -> bool {
        self.saving.running.is_some()
    }

    /// Goes on with the part. Says whether it makes sense to come back at once, and not only soon: the disk may be behind.
    pub fn step_save(&mut self) -> bool {
        let Some(running) = self.saving.running.take() else {
            return false;
        };
        // One that has failed leaves its walks to be ended as abandoned ones.
        if running.part.is_over() || running.part.is_complete() {
            return false;
        }
        let mut goes_on = false;
        if !running.part.is_ahead() {
            let mut walks = running.walks.iter();
            goes_on = walks.any(|walk| self.step_free_walk(walk, BUCKETS_PER_SLICE));
        }
        self.saving.running = Some(running);
        goes_on
    }

    /// Publishes how much has changed.
    #[inline]
    pub fn publish_changes(&self) {
        if let Some(saver) = &self.saving.saver {
            saver.note_changes(self.id, self.stats.changes);
        }
    }
}
