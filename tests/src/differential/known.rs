//! The differences that are meant: where Tessera answers otherwise than the redis-server 7.0 it is
//! compared with, each with its reason. What is not in this list must be equal.

use super::step::Step;
use crate::reply::Reply;

/// A difference that is meant.
#[derive(Debug)]
pub struct Known {
    /// Why it is right.
    pub reason: &'static str,
    /// Whether these replies to this step are such a case: ours, then theirs.
    pub applies: fn(&Step, &Reply, &Reply) -> bool,
}

/// All of them.
pub const KNOWN: &[Known] = &[];

/// The reason why these replies may differ, if there is one.
#[must_use]
pub fn reason(step: &Step, ours: &Reply, theirs: &Reply) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|known| (known.applies)(step, ours, theirs))
        .map(|known| known.reason)
}
