//! Ties between keys of one shard: keys that somebody waits for together are locked together.
//!
//! Who waits for several keys is to be served at the very moment at which one of them gets something, as one thread does it. While a command over several shards holds another
//! one of them that cannot be: it may be about to put something there first. So whoever locks a key locks all that are tied to it, directly or by way of others, and what
//! would have changed one of them takes its place behind the lock.
//!
//! Invariant: of keys that are tied by one who waits, either all are locked, by the same locks in the same order, or none. It holds when the tie is made: a
//! command that waits has run with all its keys unlocked, or under its own lock, and then the keys were tied from the moment at which it queued for that. It holds
//! afterwards, since every later lock takes all of them. Ties are made by `blocking`, for those who wait, and by `Locks`, for those who queue to run and may wait afterwards.

use std::collections::{HashMap, HashSet};

/// A key.
type Key = Box<[u8]>;

/// See the head of this file.
#[derive(Default)]
pub(super) struct Ties {
    /// To which others a key is tied directly, and how many times.
    next: HashMap<Key, HashMap<Key, u32>>,
}

impl Ties {
    /// Ties keys (each once) to each other: one after the other is enough.
    pub(super) fn tie(&mut self, keys: &[Key]) {
        for pair in keys.windows(2) {
            self.count(&pair[0], &pair[1], true);
            self.count(&pair[1], &pair[0], true);
        }
    }

    /// Undoes what `tie` has done with the same keys.
    pub(super) fn untie(&mut self, keys: &[Key]) {
        for pair in keys.windows(2) {
            self.count(&pair[0], &pair[1], false);
            self.count(&pair[1], &pair[0], false);
        }
    }

    fn count(&mut self, from: &Key, to: &Key, is_more: bool) {
        if is_more {
            let next = self.next.entry(from.clone()).or_default();
            *next.entry(to.clone()).or_default() += 1;
            return;
        }
        let Some(next) = self.next.get_mut(from) else {
            return;
        };
        if let Some(count) = next.get_mut(to) {
            *count -= 1;
            if *count == 0 {
                next.remove(to);
            }
        }
        if next.is_empty() {
            self.next.remove(from);
        }
    }

    /// All that are tied to keys of a set, each once, without these. As many steps as keys are tied.
    pub(super) fn beside(&self, is_of_set: impl Fn(&[u8]) -> bool) -> Vec<Key> {
        let its = self.next.keys().filter(|key| is_of_set(key));
        let mut all = self.all_of(its.cloned().collect());
        all.retain(|key| !is_of_set(key));
        all
    }

    /// The keys, and all that are tied to them, each once.
    pub(super) fn all_of(&self, keys: Vec<Key>) -> Vec<Key> {
        if self.next.is_empty() {
            return keys;
        }
        let mut known: HashSet<Key> = keys.iter().cloned().collect();
        let mut all = keys;
        let mut at = 0;
        while let Some(key) = all.get(at) {
            let next = self.next.get(key).into_iter().flat_map(HashMap::keys);
            let new: Vec<Key> = next
                .filter(|key| known.insert((*key).clone()))
                .cloned()
                .collect();
            all.extend(new);
            at += 1;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &str) -> Vec<Key> {
        names
            .split(' ')
            .map(|name| name.as_bytes().into())
            .collect()
    }

    fn all_of(ties: &Ties, names: &str) -> Vec<Key> {
        let mut all = ties.all_of(keys(names));
        all.sort_unstable();
        all
    }

    #[test]
    fn keys_are_tied_by_way_of_others() {
        let mut ties = Ties::default();
        ties.tie(&keys("a b c"));
        ties.tie(&keys("c d"));
        ties.tie(&keys("x y"));
        assert_eq!(all_of(&ties, "a"), keys("a b c d"));
        assert_eq!(all_of(&ties, "d y z"), keys("a b c d x y z"));
        ties.untie(&keys("a b c"));
        assert_eq!(all_of(&ties, "a c"), keys("a c d"));
    }

    #[test]
    fn as_often_as_they_were_tied() {
        let mut ties = Ties::default();
        ties.tie(&keys("a b"));
        ties.tie(&keys("b a"));
        ties.untie(&keys("a b"));
        assert_eq!(all_of(&ties, "b"), keys("a b"));
        ties.untie(&keys("b a"));
        assert!(ties.next.is_empty());
        assert_eq!(all_of(&ties, "b"), keys("b"));
    }
}
