//! Active expiry: keys and fields of hashes whose time has come leave without being asked for.
//!
//! A cycle walks the tables from where it stopped and looks only at slots that carry the TTL bit (of a large hash only
//! at some buckets at a time). It works in slices of a
//! bounded number of buckets. While more than a tenth of the keys with a TTL that it sees are due, the next slice
//! follows in the next turn; otherwise the cycle rests until the next tick. So the share of time is small when little is due and
//! rises with the need, and other commands wait for one slice at most.

use tessera_core::entry::Entry;
use tessera_core::table::{Gone, Table};

use crate::shard::{Shard, event};

/// Position of the active cycle.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpiryCycle {
    db: usize,
    cursor: u64,
    /// Set when the last slice found much to do.
    busy: bool,
}

/// Chunks per slice and unit of `active-expire-effort`.
const CHUNKS_PER_EFFORT: usize = 16;
/// Buckets looked at in one go; a table without TTLs costs one chunk.
const CHUNK_BUCKETS: usize = 16;
/// Above one due key in this many, the cycle goes on.
const DUE_ONE_IN: usize = 10;

impl Shard {
    /// Whether any key or field has a TTL and the cycle should tick at all.
    #[must_use]
    pub fn wants_expiry(&self) -> bool {
        let is_timed = |table: &Table| table.ttl_len() > 0 || table.field_ttl_len() > 0;
        self.settings.active_expire
            && !self.has_paused_unit()
            && (0..self.databases()).any(|db| is_timed(self.table(db)))
    }

    /// Whether the cycle should go on in the next turn instead of waiting for its tick.
    #[must_use]
    pub fn expiry_is_busy(&self) -> bool {
        self.expiry.busy && self.wants_expiry()
    }

    /// Runs one slice.
    pub fn expire_slice(&mut self) {
        let databases = self.databases();
        let Some(due_ms) = self.now_ms.checked_sub(1) else {
            return;
        };
        let mut cycle = self.expiry;
        let (mut examined, mut expired, mut wrapped) = (0, 0, 0);
        let (mut gone, mut fewer): (Vec<Entry>, Vec<Box<[u8]>>) = Default::default();
        let (records, mut due) = (self.records(), Vec::<Box<[u8]>>::new());
        for _ in 0..CHUNKS_PER_EFFORT * self.settings.expire_effort as usize {
            let table = self.table_mut(cycle.db);
            if table.ttl_len() > 0 || table.field_ttl_len() > 0 {
                let cursor = &mut cycle.cursor;
                let mut on_gone = |what: Gone<'_>| match what {
                    Gone::Key(entry) => gone.push(entry),
                    Gone::Emptied(entry) => fewer.push(entry.key().into()),
                    Gone::Fields(key) => fewer.push(key.into()),
                    Gone::Due(key) => due.push(key.into()),
                };
                // The log is told which fields go.
                let seen = match records {
                    false => table.expire_step(cursor, due_ms, CHUNK_BUCKETS, &mut on_gone),
                    true => table.expire_keys(cursor, due_ms, CHUNK_BUCKETS, &mut on_gone),
                };
                examined += seen.examined;
                expired += seen.expired;
                self.stats.expired_fields += seen.expired_fields as u64;
                for entry in gone.drain(..) {
                    self.expired(cycle.db, entry.key());
                    self.discard(entry);
                }
                for key in due.drain(..) {
                    self.drop_due_fields(cycle.db, &key);
                }
                for key in fewer.drain(..) {
                    self.tell_expired(cycle.db, None);
                    self.for_nobody(|shard| shard.changed_by(cycle.db, &key, event::HEXPIRED));
                }
                if !seen.wrapped {
                    continue;
                }
            }
            cycle.cursor = 0;
            cycle.db = (cycle.db + 1) % databases;
            wrapped += 1;
            if wrapped == databases {
                break;
            }
        }
        cycle.busy = expired * DUE_ONE_IN > examined;
        self.stats.expired_time_cap_reached += u64::from(cycle.busy);
        self.expiry = cycle;
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::entry::StrValue;
    use tessera_core::table::ExpireChange;

    use super::*;

    fn filled(keys: usize, due: usize) -> Shard {
        let mut shard = Shard::new(0, 16, 1, 1);
        shard.now_ms = 1_000;
        for i in 0..keys {
            let at_ms = if i < due { 1_001 } else { 1_000_000 };
            shard
                .set(
                    i % 3 * 5,
                    format!("k:{i}").as_bytes(),
                    StrValue::Int(1),
                    ExpireChange::At(at_ms),
                )
                .unwrap();
        }
        shard
    }

    fn len(shard: &Shard) -> usize {
        (0..16).map(|db| shard.table(db).len()).sum()
    }

    #[test]
    fn due_keys_leave_in_bounded_slices() {
        let mut shard = filled(50_000, 20_000);
        shard.expire_slice();
        assert_eq!(
            (len(&shard), shard.expiry_is_busy()),
            (50_000, false),
            "nothing is due in the same millisecond"
        );
        shard.now_ms = 1_002;
        let mut slices = 0;
        while len(&shard) > 30_000 {
            let before = len(&shard);
            shard.expire_slice();
            slices += 1;
            assert!(before - len(&shard) < 4_000, "a slice is bounded");
        }
        assert!(slices > 10);
        assert_eq!(shard.stats.expired_keys, 20_000);
        for _ in 0..slices + 1 {
            shard.expire_slice();
        }
        assert!(!shard.expiry_is_busy() && shard.wants_expiry());
        assert_eq!(len(&shard), 30_000);
    }

    #[test]
    fn effort_makes_slices_larger_and_the_switch_stops_them() {
        let removed = |effort| {
            let mut shard = filled(50_000, 50_000);
            shard.now_ms = 2_000;
            shard.settings.expire_effort = effort;
            shard.expire_slice();
            assert!(shard.expiry_is_busy());
            shard.settings.active_expire = false;
            assert!(!shard.wants_expiry() && !shard.expiry_is_busy());
            50_000 - len(&shard)
        };
        assert!(removed(10) > 5 * removed(1));
    }

    #[test]
    fn an_empty_shard_costs_nothing() {
        let mut shard = Shard::new(0, 16, 1, 1);
        shard.expire_slice();
        shard.now_ms = 5;
        shard.expire_slice();
        assert!(!shard.wants_expiry() && !shard.expiry_is_busy());
    }
}
