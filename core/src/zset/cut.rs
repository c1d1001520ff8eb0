//! A place between two neighbours of a sorted set.
//!
//! Owns [`Cut`], in which every range of the commands is expressed: both ends of ZRANGEBYSCORE, ZRANGEBYLEX and their kin are cuts, and the
//! elements between two cuts are those between their ranks. No invariants; called by the commands, the tree and the packed encoding.

use std::cmp::Ordering;

use super::member::MemberRef;

/// A place between two neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut<'a> {
    /// Before everything.
    Start,
    /// After everything.
    End,
    /// Before the elements with this score: the start of an inclusive range, the end of an exclusive one.
    Before(f64),
    /// After the elements with this score.
    After(f64),
    /// Before this member. All elements must have one score, or some place is meant.
    BeforeMember(&'a [u8]),
    /// After this member. All elements must have one score, or some place is meant.
    AfterMember(&'a [u8]),
    /// Where an element with this score and member is or would be.
    At(f64, &'a [u8]),
}

impl Cut<'_> {
    /// Whether the element lies before the cut.
    #[inline]
    pub(super) fn is_after(&self, score: f64, member: &[u8]) -> bool {
        match *self {
            Self::Start => false,
            Self::End => true,
            Self::Before(bound) => score < bound,
            Self::After(bound) => score <= bound,
            Self::BeforeMember(bound) => member < bound,
            Self::AfterMember(bound) => member <= bound,
            Self::At(bound, name) => order(score, member, bound, name) == Ordering::Less,
        }
    }

    /// How many of these elements, which are in order, lie before the cut. O(log n).
    #[inline]
    pub(super) fn position(&self, scores: &[f64], members: &[MemberRef]) -> usize {
        match *self {
            Self::Start => 0,
            Self::End => scores.len(),
            Self::Before(bound) => scores.partition_point(|&score| score < bound),
            Self::After(bound) => scores.partition_point(|&score| score <= bound),
            Self::BeforeMember(bound) => members.partition_point(|m| m.bytes() < bound),
            Self::AfterMember(bound) => members.partition_point(|m| m.bytes() <= bound),
            Self::At(bound, name) => {
                let first = scores.partition_point(|&score| score < bound);
                // Scores are often unique: then no member is looked at.
                if scores.get(first) != Some(&bound) {
                    return first;
                }
                let equal = if scores.get(first + 1) == Some(&bound) {
                    scores[first..].partition_point(|&score| score <= bound)
                } else {
                    1
                };
                first + members[first..first + equal].partition_point(|m| m.bytes() < name)
            }
        }
    }
}

/// The order of sorted sets: by score, then by member. Scores are never NaN, and -0 equals 0.
#[inline]
pub(super) fn order(score: f64, member: &[u8], other_score: f64, other: &[u8]) -> Ordering {
    if score < other_score {
        Ordering::Less
    } else if score > other_score {
        Ordering::Greater
    } else {
        member.cmp(other)
    }
}
