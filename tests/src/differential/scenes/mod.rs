//! Scenes by a seed: several connections that take turns, played before ours and before the oracle.
//!
//! `author` writes who says what; `stage` plays it and waits after each line until everybody has heard what there is to hear, so that
//! both servers see the same interleaving.

pub mod author;
pub mod stage;
