//! What an insert tells.
//!
//! Owns [`Inserted`]; no invariants. Called by the commands that add to sorted sets.

/// What an insert did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The member is new.
    Added,
    /// The member was there with another score.
    Updated,
    /// The member was there with this score; -0 and 0 are one.
    Same,
}
