//! Fetching what the next commands will touch before they run, so that their cache misses overlap.
//!
//! A lookup in a large table waits for memory twice, the bucket and the entry, most of the time of a GET. Whoever has several
//! commands at hand glances at them first: all buckets are asked for, then all entries, then, if there are collections among them, their heads and
//! what these point to; then the commands run.

use tessera_core::resp::Ahead;
use tessera_io::ConnId;

use crate::front::Front;

/// Commands looked at ahead: their lines stay in the first-level cache.
pub(crate) const AHEAD: usize = 16;
/// A table of fewer keys lies in the caches anyway.
const KEYS_MIN: usize = 2048;

/// What a glance at a client's pipeline has to know of the client.
pub(super) struct Glanced {
    /// Its database.
    pub(super) db: usize,
    /// Whether one of its commands went into a batch in this turn.
    pub(super) is_batched: bool,
}

impl Front {
    /// The first command of a chunk comes soon.
    pub(crate) fn glance(&mut self, conn: ConnId, chunk: &[u8]) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        if client.query.is_empty()
            && let Some(Some(key)) = Ahead::new(chunk).next()
            && self.engine.owns(key)
        {
            let db = client.db;
            self.announce_key(db, key);
        }
    }

    /// The next commands of a pipeline come soon. Returns how many were looked at, at least one. Once one of them has gone into a
    /// batch all others follow it there, and whoever opens the batch looks ahead.
    pub(super) fn glance_at_pipeline(&mut self, client: &Glanced, bytes: &[u8]) -> usize {
        if client.is_batched || self.engine.shard.table(client.db).len() < KEYS_MIN {
            return AHEAD;
        }
        let mut seen = 0;
        for key in Ahead::new(bytes).take(AHEAD) {
            seen += 1;
            if let Some(key) = key {
                if !self.engine.owns(key) {
                    seen = AHEAD;
                    break;
                }
                self.announce_key(client.db, key);
            }
        }
        self.fetch_announced();
        seen.max(1)
    }

    /// A command with this key comes soon.
    #[inline]
    pub(super) fn announce_key(&mut self, db: usize, key: &[u8]) {
        let table = self.engine.shard.table(db);
        if table.len() >= KEYS_MIN {
            let hash = self.engine.shard.hash(key);
            table.prefetch(hash);
            self.soon.push((db, hash));
        }
    }

    /// The commands with the announced keys come now.
    #[inline]
    pub(crate) fn fetch_announced(&mut self) {
        let shard = &self.engine.shard;
        for &(db, hash) in &self.soon {
            shard.table(db).prefetch_entry(hash);
        }
        // Where collections are met, all are looked into, otherwise one, to learn when they are.
        let from = if self.meets_collections {
            0
        } else {
            self.soon.len().saturating_sub(1)
        };
        let mut found = 0;
        for &(db, hash) in &self.soon[from..] {
            found += usize::from(shard.table(db).prefetch_object(hash));
        }
        if found > 0 {
            for &(db, hash) in &self.soon[from..] {
                shard.table(db).prefetch_contents(hash);
            }
        }
        self.meets_collections = found > 0;
        self.soon.clear();
    }
}
