//! Old access times are written anew before their clock wraps.
//!
//! The fine clock of `access` goes round in 37 hours. A slow walk looks at every entry within twelve and makes the times coarse that are
//! older than nine. Called by the front end now and then; a few thousand entries at most each time.

use crate::shard::{Shard, Tracks, access};

/// Where the walk is in each database.
#[derive(Debug, Default)]
pub(super) struct Aging {
    cursors: Vec<u64>,
}

/// Keys of one shard above which the walk steps each second.
const MANY_KEYS: usize = 10_000_000;

impl Shard {
    /// Time between two steps of the walk, ms; none while there is nothing to walk.
    #[must_use]
    pub fn aging_period_ms(&self) -> Option<u64> {
        let keys: usize = (0..self.databases()).map(|db| self.table(db).len()).sum();
        match keys {
            _ if self.settings.tracks != Tracks::Times => None,
            0 => None,
            1..MANY_KEYS => Some(10_000),
            _ => Some(1_000),
        }
    }

    /// Looks at as many entries as it takes to see all of them within twelve hours, if `passed_ms` have passed since the last
    /// time. O(keys * passed_ms / twelve hours).
    pub fn age_slice(&mut self, passed_ms: u64) {
        self.aging.cursors.resize(self.dbs.len(), 0);
        let now_ms = self.now_ms;
        for (database, cursor) in self.dbs.iter().zip(&mut self.aging.cursors) {
            let keys = database.table.len() as u64;
            if keys == 0 {
                continue;
            }
            let share = keys * passed_ms.min(access::AGING_MS) / access::AGING_MS + 1;
            database
                .table
                .sample(cursor, share as usize, false, &mut |entry| {
                    if let Some(bits) = access::aged(entry.access(), now_ms) {
                        entry.set_access(bits);
                    }
                });
        }
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::entry::StrValue;
    use tessera_core::table::ExpireChange;

    use super::*;

    #[test]
    fn idle_times_of_weeks_are_told() {
        let mut shard = Shard::new(0, 2, 1, 1);
        assert_eq!(shard.aging_period_ms(), None);
        shard.now_ms = 1_700_000_000_000;
        for n in 0..5_000 {
            let (db, key) = (n % 2, format!("key:{n}"));
            shard
                .set(db, key.as_bytes(), StrValue::Int(1), ExpireChange::Clear)
                .unwrap();
        }
        let start_ms = shard.now_ms;
        let period_ms = shard.aging_period_ms().unwrap();
        while shard.now_ms < start_ms + 21 * 86_400_000 {
            shard.now_ms += 60 * period_ms;
            (0..60).for_each(|_| shard.age_slice(period_ms));
        }
        let idle_s = |n: usize| {
            let key = format!("key:{n}").into_bytes();
            let entry = shard.table(n % 2).get(shard.hash(&key), &key);
            shard.idle_s(entry.unwrap())
        };
        let expected_s = (shard.now_ms - start_ms) / 1000;
        assert!((0..5_000).all(|n| idle_s(n).abs_diff(expected_s) <= 1));
    }
}
