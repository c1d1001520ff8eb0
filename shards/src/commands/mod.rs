//! The command families: a table of rows and the functions beside it, one file or folder each.

pub mod generic;
pub mod strings;

use crate::command::KeyspaceRow;

/// The tables of all families.
pub const FAMILIES: &[&[KeyspaceRow]] = &[strings::ROWS, generic::ROWS];
