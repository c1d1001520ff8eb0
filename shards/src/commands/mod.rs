//! The command families: a table of rows and the functions beside it, one file or folder each.

mod args;
pub mod bitmaps;
mod container;
pub mod generic;
pub mod geo;
pub mod hashes;
pub mod hyperloglog;
mod lifetime;
pub mod lists;
#[cfg(test)]
mod model;
#[cfg(test)]
pub(crate) mod rig;
mod scan_options;
pub mod scripting;
pub mod sets;
pub mod sorting;
pub mod streams;
pub mod strings;
mod waiting;
pub mod zsets;

use crate::command::KeyspaceRow;

/// The tables of all families.
pub const FAMILIES: &[&[KeyspaceRow]] = &[
    strings::ROWS,
    generic::ROWS,
    hashes::ROWS,
    lists::ROWS,
    sorting::ROWS,
    sets::ROWS,
    bitmaps::ROWS,
    hyperloglog::ROWS,
    streams::ROWS,
    zsets::ROWS,
    geo::ROWS,
    scripting::ROWS,
];
