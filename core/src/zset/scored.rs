//! What ZUNION, ZINTER and ZDIFF take as input: members with scores, of whatever type.
//!
//! Owns [`Scored`]. No invariants; made by `Object::scored`, called by the commands.

use super::zset::Zset;
use crate::listpack::Item;
use crate::set::Set;

/// Members with scores.
#[derive(Clone, Copy)]
pub enum Scored<'a> {
    /// A sorted set.
    Zset(&'a Zset),
    /// A set, whose members have the score 1.
    Set(&'a Set),
}

/// Elements of a sorted set that one call of [`Scored::walk`] visits.
const ELEMENTS_PER_WALK: usize = 64;

impl Scored<'_> {
    /// Number of members. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Zset(zset) => zset.len(),
            Self::Set(set) => set.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member. O(1), or O(n) if it is packed.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Zset(zset) => zset.score(member),
            Self::Set(set) => set.contains(Item::of(member)).then_some(1.0),
        }
    }

    /// Visits some members, each once in a whole walk if nothing changes meanwhile, and returns the cursor to go on with, 0 at the end; start with 0.
    pub fn walk(&self, cursor: u64, visit: &mut dyn FnMut(Item<'_>, f64)) -> u64 {
        match self {
            Self::Zset(zset) => {
                let start = cursor as usize;
                let end = start + ELEMENTS_PER_WALK;
                zset.range(start..end)
                    .for_each(|(member, score)| visit(member, score));
                if end < zset.len() { end as u64 } else { 0 }
            }
            Self::Set(set) => set.walk(cursor, &mut |member| visit(member, 1.0)),
        }
    }
}
