//! What is done with files while no server runs: `tessera-server check` and `tessera-server convert`.
//!
//! `source` reads a snapshot of either format key by key; `check` verifies and repairs; `convert` writes what it reads in another format. A log's folder has its place in
//! [`directory`].

mod check;
mod convert;
mod directory;
mod repair;
mod source;
#[cfg(test)]
mod tests;

pub use check::{Checked, check};
pub use convert::convert;
