//! What the log hears of: the records of a shard's commands, in units that happen as one.
//!
//! A command that has changed something tells its record when it has run (`end_command`), as it was sent or in a form that does the same at any time (`record`). The records of
//! a transaction or a script are one unit. Units go into the turn's chunk (`commit_unit`), and the chunk to the log before anything else leaves the shard
//! (`hand_over_records`). docs/design/log.md says why that keeps the order. With the log off, all of this is a branch.

use std::sync::Arc;

use tessera_persist::log::{Chunk, Log, put_command};

use super::{Shard, record};
use crate::command::Spec;
use crate::command::spec::flag;

/// A record of a unit.
#[derive(Clone, Copy, Debug)]
struct Place {
    db: usize,
    /// Where it ends.
    end: usize,
    /// A key whose time had come: that stays true if the command is taken back.
    is_expiry: bool,
}

/// Records that happen as one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unit {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// The command under way has told its record itself.
    is_told: bool,
    /// The shard before the command that goes on in slices.
    mark: Option<Mark>,
}

impl Unit {
    fn put(&mut self, db: usize, args: &[&[u8]], is_expiry: bool) {
        put_command(args, &mut self.bytes);
        self.places.push(Place {
            db,
            end: self.bytes.len(),
            is_expiry,
        });
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.is_told = false;
        self.mark = None;
    }
}

/// The shard before a command.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    changes: u64,
    /// When the command began, ms.
    pub(super) since_ms: u64,
}

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Effects {
    log: Option<Arc<Log>>,
    is_on: bool,
    generation: u64,
    chunk: Chunk,
    unit: Unit,
    /// That of a command that will go on in slices.
    aside: Option<Box<Unit>>,
    /// Changes that are no command's.
    silent: u64,
    /// Units of commands that go on in slices.
    paused: usize,
}

impl Shard {
    /// Gives the shard the node's log.
    pub fn set_log(&mut self, log: Arc<Log>) {
        self.effects.log = Some(log);
    }

    /// Whether changes are recorded.
    #[inline]
    #[must_use]
    pub fn records(&self) -> bool {
        self.effects.is_on
    }

    /// Begins to record changes, or ends it.
    pub fn set_recording(&mut self, records: bool) {
        self.hand_over_records();
        self.effects.is_on = records;
        self.effects.unit.clear();
    }

    /// Whether a unit is under way between two slices: its keys must not go meanwhile.
    #[inline]
    pub(super) fn has_paused_unit(&self) -> bool {
        self.effects.paused > 0
    }

    /// What follows is a unit of its own.
    #[inline]
    pub(crate) fn begin_unit(&mut self) {
        if !self.effects.unit.places.is_empty() {
            self.commit_loose();
        }
    }

    /// Before a command.
    #[inline]
    pub(crate) fn begin_command(&mut self) -> Mark {
        if !self.effects.is_on {
            return Mark::default();
        }
        self.effects.unit.is_told = false;
        Mark {
            changes: self.stats.changes - self.effects.silent,
            since_ms: self.now_ms,
        }
    }

    /// After a command: its record, if it has changed something.
    #[inline]
    pub(crate) fn end_command(&mut self, mark: Mark, spec: &Spec, db: usize, args: &[&[u8]]) {
        if self.effects.is_on && self.stats.changes - self.effects.silent != mark.changes {
            self.tell_command(mark, spec, db, args);
        }
    }

    fn tell_command(&mut self, mark: Mark, spec: &Spec, db: usize, args: &[&[u8]]) {
        if std::mem::take(&mut self.effects.unit.is_told) || !spec.resolve(args).has(flag::WRITE) {
            return;
        }
        let mut unit = std::mem::take(&mut self.effects.unit);
        let put = &mut |args: &[&[u8]]| unit.put(db, args, false);
        if !record::rewrite(self, mark, spec.name, db, args, put) {
            put(args);
        }
        self.effects.unit = unit;
    }

    /// After a command that is a unit by itself and is recorded as it was sent: `end_command` and `commit_unit` in one.
    #[inline]
    pub(crate) fn end_plain_command(&mut self, mark: Mark, db: usize, args: &[&[u8]]) {
        let has_changed = self.stats.changes - self.effects.silent != mark.changes;
        let Effects { chunk, unit, .. } = &mut self.effects;
        if unit.places.is_empty() {
            if has_changed {
                chunk.choose(db);
                chunk.command(args);
            }
            return;
        }
        if has_changed && !std::mem::take(&mut unit.is_told) {
            unit.put(db, args, false);
        }
        self.commit_unit();
    }

    /// A command about the node, and no key, tells its record.
    pub fn record_of_node(&mut self, args: &[&[u8]]) {
        self.begin_unit();
        self.tell_besides(0, args);
        self.commit_unit();
        self.hand_over_records();
    }

    /// A command tells its record itself, in place of what was sent.
    pub(crate) fn tell(&mut self, db: usize, args: &[&[u8]]) {
        self.tell_besides(db, args);
        self.effects.unit.is_told = true;
    }

    /// A command tells a record that comes before its own.
    pub(crate) fn tell_besides(&mut self, db: usize, args: &[&[u8]]) {
        if self.effects.is_on {
            self.effects.unit.put(db, args, false);
        }
    }

    /// A key is gone because its time had come; or the change that was counted is nobody's.
    pub(super) fn tell_expired(&mut self, db: usize, args: Option<&[&[u8]]>) {
        self.effects.silent += 1;
        if self.effects.is_on
            && let Some(args) = args
        {
            self.effects.unit.put(db, args, true);
        }
    }

    /// A key is gone to make room.
    #[inline]
    pub(super) fn tell_evicted(&mut self, db: usize, key: &[u8]) {
        if self.effects.is_on {
            self.effects.unit.put(db, &[b"DEL", key], true);
        }
    }

    /// What was told since the unit began is taken back, but for keys whose time had come.
    pub(crate) fn undo_unit(&mut self) {
        let unit = std::mem::take(&mut self.effects.unit);
        let mut start = 0;
        for place in unit.places {
            let record = &unit.bytes[start..place.end];
            start = place.end;
            if place.is_expiry {
                let kept = &mut self.effects.unit;
                kept.bytes.extend_from_slice(record);
                kept.places.push(Place {
                    end: kept.bytes.len(),
                    ..place
                });
            }
        }
    }

    /// The command goes on in slices, with its keys locked: whoever keeps it takes its unit.
    pub(crate) fn set_unit_aside(&mut self, mark: Option<Mark>) {
        self.effects.aside = self.effects.is_on.then(|| {
            let mut unit = std::mem::take(&mut self.effects.unit);
            unit.mark = mark;
            Box::new(unit)
        });
    }

    /// The unit of the command that has just begun to go on in slices.
    pub(crate) fn take_unit_aside(&mut self) -> Option<Box<Unit>> {
        let unit = self.effects.aside.take();
        self.effects.paused += usize::from(unit.is_some());
        unit
    }

    /// The shard before the command that has gone on in slices and is done.
    pub(crate) fn take_mark(&mut self) -> Option<Mark> {
        self.effects.unit.mark.take()
    }

    /// The unit goes on in another slice.
    pub(crate) fn pause_unit(&mut self) -> Option<Box<Unit>> {
        if !self.effects.is_on {
            return None;
        }
        self.effects.paused += 1;
        Some(Box::new(std::mem::take(&mut self.effects.unit)))
    }

    /// A unit goes on.
    pub(crate) fn resume_unit(&mut self, unit: Option<Box<Unit>>) {
        self.begin_unit();
        if let Some(unit) = unit {
            self.effects.paused -= 1;
            self.effects.unit = *unit;
        }
    }

    /// The unit is whole.
    #[inline]
    pub(crate) fn commit_unit(&mut self) {
        if !self.effects.unit.places.is_empty() {
            self.commit_all();
        }
    }

    fn commit_all(&mut self) {
        let Effects { chunk, unit, .. } = &mut self.effects;
        let is_several = unit.places.len() > 1;
        if is_several {
            chunk.choose(unit.places[0].db);
            chunk.command(&[b"MULTI"]);
        }
        let mut start = 0;
        for place in &unit.places {
            chunk.choose(place.db);
            chunk.raw(&unit.bytes[start..place.end]);
            start = place.end;
        }
        if is_several {
            chunk.command(&[b"EXEC"]);
        }
        unit.clear();
    }

    /// Records that belong to no command, each for itself.
    #[cold]
    fn commit_loose(&mut self) {
        let Effects { chunk, unit, .. } = &mut self.effects;
        let mut start = 0;
        for place in &unit.places {
            chunk.choose(place.db);
            chunk.raw(&unit.bytes[start..place.end]);
            start = place.end;
        }
        unit.clear();
    }

    /// Hands this turn's records over. Nothing of the turn has left the shard before.
    #[inline]
    pub fn hand_over_records(&mut self) {
        if self.effects.is_on {
            self.push_records();
        }
    }

    fn push_records(&mut self) {
        self.begin_unit();
        let Effects {
            log,
            chunk,
            generation,
            ..
        } = &mut self.effects;
        if chunk.is_empty() {
            return;
        }
        chunk.generation = *generation;
        if let Some(log) = log {
            log.push(chunk);
        }
    }

    /// This shard has reached the position at which the log goes on to another file, with all keys at home.
    pub fn switch_log(&mut self) {
        self.hand_over_records();
        self.effects.generation += 1;
        self.effects.is_on = true;
        if let Some(log) = &self.effects.log {
            log.switch(self.effects.generation);
        }
    }

    /// Before a command that writes: what its record must not depend on goes first.
    pub(crate) fn prepare_record(&mut self, spec: &Spec, db: usize, args: &[&[u8]]) {
        if spec.group == "hash"
            && spec.has(flag::WRITE)
            && let Some(key) = args.get(1)
        {
            self.drop_due_fields(db, key);
        }
    }

    /// Tells and removes the fields of a hash whose time has come, so that a command that is recorded finds none.
    pub(crate) fn drop_due_fields(&mut self, db: usize, key: &[u8]) {
        let Some(fields) = record::due_fields(self, db, key) else {
            return;
        };
        let dropped = self.change_object(db, key, |hash: &mut tessera_core::hash::Hash| {
            fields.iter().filter(|field| hash.remove(field)).count()
        });
        let dropped = dropped.ok().flatten().unwrap_or(0);
        self.stats.expired_fields += dropped as u64;
        let mut args: Vec<&[u8]> = vec![b"HDEL", key];
        args.extend(fields.iter().map(|field| &**field));
        self.tell_expired(db, Some(&args));
        self.for_nobody(|shard| shard.changed_by(db, key, super::event::HEXPIRED));
    }
}
