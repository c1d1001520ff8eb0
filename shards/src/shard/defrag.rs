//! The pass over a shard's tables that moves entries out of sparsely used memory, in slices.
//!
//! Called by the front end while the node's memory is fragmented.

use tessera_core::entry::Part;
use tessera_core::table::DefragStats;

use crate::shard::Shard;

/// Where the pass is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DefragPass {
    db: usize,
    cursor: u64,
}

/// Buckets of one slice: about 600 entries.
const BUCKETS: usize = 64;

impl Shard {
    /// Runs one slice of the pass: entries with a part that `is_sparse` are made anew. `wrapped` says that the pass has
    /// ended; the next slice begins another.
    pub fn defrag_slice(&mut self, is_sparse: &mut dyn FnMut(Part<'_>) -> bool) -> DefragStats {
        let mut pass = self.defrag;
        let table = &mut self.dbs[pass.db].table;
        let mut stats = table.defrag_step(&mut pass.cursor, BUCKETS, is_sparse);
        if stats.wrapped {
            pass.db = (pass.db + 1) % self.dbs.len();
            while pass.db != 0 && self.dbs[pass.db].table.is_empty() {
                pass.db = (pass.db + 1) % self.dbs.len();
            }
            stats.wrapped = pass.db == 0;
        }
        self.defrag = pass;
        stats
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::entry::StrValue;
    use tessera_core::table::ExpireChange;

    use super::*;

    #[test]
    fn a_pass_sees_all_databases_once() {
        let mut shard = Shard::new(0, 5, 1, 1);
        for n in 0..3_000 {
            let (db, key) = ([1, 4][n % 2], format!("key:{n}"));
            shard
                .set(db, key.as_bytes(), StrValue::Int(1), ExpireChange::Clear)
                .unwrap();
        }
        for _ in 0..2 {
            let (mut examined, mut moved, mut slices) = (0, 0, 0);
            loop {
                let stats = shard.defrag_slice(&mut |_| true);
                examined += stats.examined;
                moved += stats.moved;
                slices += 1;
                if stats.wrapped {
                    break;
                }
            }
            assert_eq!((examined, moved), (3_000, 3_000));
            assert!(slices > 3);
        }
    }
}
