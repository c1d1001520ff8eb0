//! This shard's part of a snapshot: walks of all databases that began at one moment, and go on a slice per turn.
//!
//! A walk that a program takes along to another shard is left alone until it is back; the part is complete when its walks have all said so.

use std::sync::Arc;

use tessera_persist::rdb::Usage;
use tessera_persist::snapshot::{Begun, Outcome, Part, Purpose, Saver, UsageOf};

use super::eviction::Rank;
use super::{Shard, Walk, access};

/// Home buckets between two looks at the clock: about 20 keys.
const BUCKETS_PER_LOOK: usize = 4;
/// The most looks of a slice.
const LOOKS_PER_SLICE: usize = 32;

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
    /// Each with the database that it began in.
    walks: Vec<(usize, Walk)>,
}

/// No save has begun: one for this purpose is under way, or there is nowhere to save to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveRefused(pub Option<Purpose>);

impl Shard {
    /// Gives the shard what all shards of its node share about saving.
    pub fn set_saver(&mut self, saver: Arc<Saver>) {
        self.saving.saver = Some(saver);
    }

    /// Begins this shard's part of a save, as every shard does at the same position, with all keys at home. Returns the save's number.
    ///
    /// # Errors
    /// [`SaveRefused`], on every shard or on none.
    pub fn begin_save(&mut self, purpose: Purpose) -> Result<u64, SaveRefused> {
        let saver = self.saving.saver.clone().ok_or(SaveRefused(None))?;
        let request = self.saving.requests;
        self.saving.requests += 1;
        let (part, number) = match saver.begin(request, self.stats.changes, purpose) {
            Begun::Part(part, number) => (part, number),
            Begun::Busy(other) => return Err(SaveRefused(Some(other))),
        };
        // With the log off there is a base, and no file behind it.
        if purpose == Purpose::Base && self.settings.logs {
            self.switch_log();
        }
        let walks = (0..self.databases())
            .filter(|db| !self.table(*db).is_empty())
            .collect::<Vec<_>>()
            .into_iter()
            .map(|db| {
                let sink = part.sink(db, self.usage_of());
                (db, self.begin_free_walk(db, Box::new(sink)))
            })
            .collect();
        part.seal();
        self.saving.running = Some(Running { part, walks });
        Ok(number)
    }

    /// A save for this purpose is to begin as soon as nothing else is under way.
    pub fn schedule_save(&self, purpose: Purpose) {
        if let Some(saver) = &self.saving.saver {
            saver.schedule(purpose);
        }
    }

    /// What the file says about the use of a key: what the policy goes by, as in Redis.
    fn usage_of(&self) -> UsageOf {
        let (settings, now_ms) = (self.settings, self.now_ms);
        match settings.eviction.map(|eviction| eviction.rank) {
            Some(Rank::Idle) => Box::new(move |entry| {
                let idle_s = access::idle_ms(entry.access(), now_ms) / 1000;
                Usage::Idle(u32::try_from(idle_s).unwrap_or(u32::MAX))
            }),
            Some(Rank::Rare) => Box::new(move |entry| {
                let frequency = access::frequency(entry.access(), &settings, now_ms);
                Usage::Frequency(frequency as u8)
            }),
            _ => Box::new(|_| Usage::Unknown),
        }
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

    /// Goes on with the part until it `must_pause`. Says whether it makes sense to come back at once, and not only soon: the disk may be behind.
    pub fn step_save(&mut self, must_pause: &dyn Fn() -> bool) -> bool {
        let Some(running) = self.saving.running.take() else {
            return false;
        };
        // One that has failed leaves its walks to be ended as abandoned ones.
        if running.part.is_over() || running.part.is_complete() {
            return false;
        }
        let goes_on = match running.part.in_hand() {
            Some(_) if running.part.is_large_ahead() => false,
            Some(db) => {
                let mut walks = running.walks.iter();
                walks.any(|(of, walk)| *of == db && self.step_free_walk(walk, 1))
            }
            None => self.walk_on(&running, must_pause),
        };
        self.saving.running = Some(running);
        goes_on
    }

    fn walk_on(&mut self, running: &Running, must_pause: &dyn Fn() -> bool) -> bool {
        for _ in 0..LOOKS_PER_SLICE {
            let mut walks = running.walks.iter();
            if running.part.is_ahead()
                || !walks.any(|(_, walk)| self.step_free_walk(walk, BUCKETS_PER_LOOK))
            {
                return false;
            }
            if must_pause() || running.part.in_hand().is_some() {
                break;
            }
        }
        true
    }

    /// Whether the save has still to write a large value under this key, in any database.
    #[must_use]
    pub(crate) fn is_owed(&self, key: &[u8]) -> bool {
        let Some(running) = &self.saving.running else {
            return false;
        };
        let hash = self.hash(key);
        let mut walks = running.walks.iter();
        walks.any(|(_, walk)| self.is_walk_owed(walk, hash, key))
    }

    /// Writes this key before all others, as soon as the one in hand is whole.
    pub(crate) fn hasten_save(&mut self, key: &[u8]) {
        let Some(running) = self.saving.running.take() else {
            return;
        };
        let hash = self.hash(key);
        for (_, walk) in &running.walks {
            self.hasten_walk(walk, hash, key);
        }
        self.saving.running = Some(running);
    }

    /// Publishes how much has changed.
    #[inline]
    pub fn publish_changes(&self) {
        if let Some(saver) = &self.saving.saver {
            saver.note_changes(self.id, self.stats.changes);
        }
    }
}
