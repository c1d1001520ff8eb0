//! What is done with files while no server runs: `tessera-server check` and `tessera-server convert`.
//!
//! `source` reads a snapshot of either format key by key; `check` verifies and repairs; `convert` writes what it reads in another format; `directory` does what it can with
//! the folder of a log. What its records mean only a server knows: it makes a snapshot of one (`server/src/offline`).

mod check;
mod convert;
mod directory;
mod repair;
mod source;
#[cfg(test)]
mod tests;

pub use check::{Checked, check};
pub use convert::convert;
pub use directory::{CheckedLog, begin_log, check_log, log_of};
