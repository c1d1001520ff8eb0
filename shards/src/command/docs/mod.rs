//! What COMMAND DOCS tells of a command beyond its row: arguments, history, and whether it is out of use.
//!
//! The families keep it as text beside their rows (`docs.txt`), read when somebody asks. `sheet` splits such a text into commands,
//! `syntax` reads the arguments.

mod sheet;
mod syntax;

pub use sheet::{Docs, Sheets};
pub use syntax::{Argument, Kind, arguments};
