//! Keys that somebody waits for, and which of them have changed. Who waits is the coordinator's business.

use std::collections::HashMap;

use super::Shard;

/// A key in a database.
type Place = (usize, Box<[u8]>);

/// See the head of this file.
#[derive(Default)]
pub(super) struct Waiting {
    /// How many wait for a key.
    keys: HashMap<Place, u32>,
    /// Changed since they were last looked at, in order of change, the first at the end.
    ready: Vec<Place>,
}

impl Waiting {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Shard {
    /// One more waits for a key.
    pub(crate) fn wait(&mut self, place: &Place) {
        *self.waiting.keys.entry(place.clone()).or_default() += 1;
    }

    /// One less does.
    pub(crate) fn unwait(&mut self, place: &Place) {
        if let Some(count) = self.waiting.keys.get_mut(place) {
            *count -= 1;
            if *count == 0 {
                self.waiting.keys.remove(place);
            }
        }
    }

    /// Notes a change of a key, if somebody waits for it.
    #[cold]
    pub(crate) fn note_ready(&mut self, db: usize, key: &[u8]) {
        let place: Place = (db, key.into());
        if self.waiting.keys.contains_key(&place) && !self.waiting.ready.contains(&place) {
            self.waiting.ready.insert(0, place);
        }
    }

    /// Whether a key has changed that somebody waits for.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.waiting.ready.is_empty()
    }

    /// The next key that has changed.
    pub(crate) fn next_ready(&mut self) -> Option<Place> {
        self.waiting.ready.pop()
    }

    /// A key that has changed is of no use to those who wait.
    pub(crate) fn forget_ready(&mut self, place: &Place) {
        self.waiting.ready.retain(|other| other != place);
    }

    /// Keys that have to be looked at again.
    pub(crate) fn ready_later(&mut self, places: Vec<Place>) {
        self.waiting.ready.extend(places.into_iter().rev());
    }

    /// Every key of a database that somebody waits for counts as changed.
    pub(super) fn note_all_ready(&mut self, db: usize) {
        let places: Vec<Place> = self
            .waiting
            .keys
            .keys()
            .filter(|place| place.0 == db)
            .cloned()
            .collect();
        for (db, key) in places {
            self.note_ready(db, &key);
        }
    }
}
