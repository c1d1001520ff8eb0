//! A cache that evicts exactly what was used longest ago: what samplers are measured against.

use std::collections::{BTreeMap, HashMap};

/// Keys by the time of their last use. O(log n) per access.
pub(super) struct ExactLru {
    capacity: usize,
    used_at: HashMap<u64, u64>,
    by_time: BTreeMap<u64, u64>,
    now: u64,
}

impl ExactLru {
    /// An empty cache for so many keys, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        ExactLru {
            capacity: capacity.max(1),
            used_at: HashMap::new(),
            by_time: BTreeMap::new(),
            now: 0,
        }
    }

    /// Whether the key is there; it is afterwards.
    pub(super) fn access(&mut self, key: u64) -> bool {
        self.now += 1;
        let before = self.used_at.insert(key, self.now);
        if let Some(before) = before {
            self.by_time.remove(&before);
        }
        self.by_time.insert(self.now, key);
        if self.used_at.len() > self.capacity
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.used_at.remove(&oldest);
        }
        before.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_longest_ago_goes() {
        let mut cache = ExactLru::new(2);
        let hits: Vec<bool> = [1, 2, 1, 3, 2, 1, 3]
            .into_iter()
            .map(|key| cache.access(key))
            .collect();
        assert_eq!(hits, [false, false, true, false, false, false, false]);
        assert!(cache.access(1) && cache.access(3));
    }
}
