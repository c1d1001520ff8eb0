//! The configuration: what may be set, how it is read from files and arguments, how it changes and is written back.

mod choice;
mod directive;
mod error;
mod file;
mod rewrite;
mod rows;
mod settings;
mod words;

pub use choice::{Allowed, IoBackend, LogLevel, LogSync, Policy, SnapshotFormat, Supervised};
pub use directive::{Change, Directive, Home, Kind, ParseWords, Setting, Value};
pub use error::{ConfigError, Place};
pub use file::{Line, Source, load_file, load_lines, read_lines};
pub use rewrite::{rewritten, write_file};
pub use rows::{ROWS, find, is_same};
pub use settings::{Config, Rename};
pub use words::{CLIENT_CLASSES, Events, OutputLimit};
