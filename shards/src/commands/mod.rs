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

/// What the families tell of their commands beyond the rows, see `command::docs`.
pub const DOCS: &[&str] = &[
    include_str!("strings/docs.txt"),
    include_str!("generic/docs.txt"),
    include_str!("hashes/docs.txt"),
    include_str!("lists/docs.txt"),
    include_str!("sets/docs.txt"),
    include_str!("bitmaps/docs.txt"),
    include_str!("hyperloglog/docs.txt"),
    include_str!("streams/docs.txt"),
    include_str!("zsets/docs.txt"),
    include_str!("geo/docs.txt"),
];
