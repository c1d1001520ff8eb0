//! SLOWLOG: the node's commands that took long, newest first, with who asked and on which shard they ran.
//!
//! Shared by all shards behind a lock: only a command that was slow, and who reads the log, takes it. `front::slow` adds entries.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number, one more than that of the entry before.
    pub id: u64,
    /// When it was noted, seconds since the Unix epoch.
    pub unix_s: u64,
    /// How long it took, microseconds.
    pub spent_us: u64,
    /// Its arguments, trimmed.
    pub args: Vec<Box<[u8]>>,
    /// The client's end of its connection.
    pub address: String,
    /// The client's name, and the shard if there are several: `worker shard=2`. A name has no spaces.
    pub name: Vec<u8>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct SlowLog(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    next_id: u64,
    /// Newest first.
    entries: VecDeque<Entry>,
}

impl SlowLog {
    /// Adds an entry, whose number is given here; the oldest go beyond `len_max`.
    pub fn push(&self, entry: Entry, len_max: usize) {
        let mut kept = self.kept();
        let id = kept.next_id;
        kept.next_id += 1;
        kept.entries.push_front(Entry { id, ..entry });
        kept.entries.truncate(len_max);
    }

    /// The newest entries, at most so many.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<Entry> {
        self.kept().entries.iter().take(count).cloned().collect()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept().entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all entries. Their numbers are not given again.
    pub fn clear(&self) {
        self.kept().entries.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay() {
        let log = SlowLog::default();
        let entry = |spent_us| Entry {
            id: 0,
            unix_s: 5,
            spent_us,
            args: Vec::new(),
            address: String::new(),
            name: Vec::new(),
        };
        assert!(log.is_empty());
        (10..14).for_each(|us| log.push(entry(us), 3));
        let shown = |count| -> Vec<_> {
            let newest = log.newest(count);
            newest.iter().map(|it| (it.id, it.spent_us)).collect()
        };
        assert_eq!(shown(2), [(3, 13), (2, 12)]);
        assert_eq!(shown(usize::MAX), [(3, 13), (2, 12), (1, 11)]);
        log.clear();
        log.push(entry(1), 3);
        assert_eq!(shown(9), [(4, 1)]);
        log.push(entry(1), 0);
        assert_eq!(log.len(), 0);
    }
}
