//! Active expiry: keys whose time has come leave without being asked for.
//!
//! A cycle walks the tables from where it stopped and looks only at slots that carry the TTL bit. It works in slices of a
//! bounded number of buckets. While more than a tenth of the keys with a TTL that it sees are due, the next slice
//! follows in the next turn; otherwise the cycle rests until the next tick. So the share of time is small when little is due and
//! rises with the need, and other commands wait for one slice at most.

use crate::shard::Shard;

/// Position of the active cycle.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpiryCycle {
    db: usize,
    cursor: u64,
    /// Set when the last slice found much to do.
    busy: bool,
}

/// Buckets per slice and unit of `active-expire-effort`.
const BUCKETS_PER_EFFORT: usize = 256;
/// Above one due key in this many, the cycle goes on.
const DUE_ONE_IN: usize = 10;

impl Shard {
    /// Whether any key has a TTL and the cycle should tick at all.
    #[must_use]
    pub fn wants_expiry(&self) -> bool {
        self.settings.active_expire && (0..self.databases()).any(|db| self.table(db).ttl_len() > 0)
    }

    /// Whether the cycle should go on in the next turn instead of waiting for its tick.
    #[must_use]
    pub fn expiry_is_busy(&self) -> bool {
        self.expiry.busy && self.wants_expiry()
    }

    /// Runs one slice.
    pub fn expire_slice(&mut self) {
        let databases = self.databases();
        let mut budget = BUCKETS_PER_EFFORT * self.settings.expire_effort as usize;
        let mut cycle = self.expiry;
        let now_ms = self.now_ms;
        let (mut examined, mut expired) = (0, 0);
        for _ in 0..=databases {
            if budget == 0 {
                break;
            }
            let table = self.table_mut(cycle.db);
            if table.ttl_len() > 0 {
                let seen = table.expire_step(&mut cycle.cursor, now_ms, budget, &mut |entry| drop(entry));
                examined += seen.examined;
                expired += seen.expired;
                budget = budget.saturating_sub(seen.buckets);
                if !seen.wrapped {
                    break;
                }
            }
            cycle.cursor = 0;
            cycle.db = (cycle.db + 1) % databases;
        }
        self.stats.expired_keys += expired as u64;
        self.stats.changes += expired as u64;
        cycle.busy = examined > 0 && expired * DUE_ONE_IN > examined;
        self.stats.expired_time_cap_reached += u64::from(cycle.busy);
        self.expiry = cycle;
    }
}
