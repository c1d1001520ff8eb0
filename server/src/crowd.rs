//! `maxmemory-clients`: what the clients of all shards take together, and which shard has the largest of them.
//!
//! Each shard says now and then what its clients take and how large the largest of them is; while the sum is above the limit, the shard with
//! the largest client ends it. Each part is written by its shard alone and has its own cache lines. Owned by [`crate::shared::Shared`]; the
//! drivers look at it, as they alone know what the kernel has not taken.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
#[repr(align(128))]
struct Part {
    bytes: AtomicU64,
    largest: AtomicU64,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Crowd {
    parts: Box<[Part]>,
}

impl Crowd {
    /// Of so many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Crowd {
            parts: (0..shards).map(|_| Part::default()).collect(),
        }
    }

    /// A shard says what its clients take, bytes, and the largest of those that may be ended.
    pub fn publish(&self, shard: usize, bytes: u64, largest: u64) {
        let part = &self.parts[shard];
        part.bytes.store(bytes, Ordering::Relaxed);
        part.largest.store(largest, Ordering::Relaxed);
    }

    /// Whether this shard has to end its largest client for the sum to come below `limit` bytes. Of several shards with
    /// clients of the same size the first does.
    #[must_use]
    pub fn must_end_one(&self, shard: usize, limit: u64) -> bool {
        let bytes = |part: &Part| part.bytes.load(Ordering::Relaxed);
        let sum: u64 = self.parts.iter().map(bytes).sum();
        let largest = |shard: usize| self.parts[shard].largest.load(Ordering::Relaxed);
        let rank = |shard: usize| (largest(shard), std::cmp::Reverse(shard));
        let first = (0..self.parts.len()).max_by_key(|&shard| rank(shard));
        sum > limit && first == Some(shard) && largest(shard) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_with_the_largest_client_ends_it() {
        let crowd = Crowd::new(3);
        crowd.publish(0, 100, 60);
        crowd.publish(1, 90, 70);
        crowd.publish(2, 80, 70);
        let who = |limit| (0..3).find(|&shard| crowd.must_end_one(shard, limit));
        assert_eq!(who(270), None);
        assert_eq!(who(269), Some(1));
        crowd.publish(1, 20, 0);
        assert_eq!(who(199), Some(2));
        (0..3).for_each(|shard| crowd.publish(shard, 50, 0));
        assert_eq!(who(10), None, "all are protected");
    }
}
