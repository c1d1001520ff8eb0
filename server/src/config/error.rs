//! What is wrong with a configuration, in one line that names the place, the directive and the cause.

use std::fmt;
use std::path::PathBuf;

/// Where a directive was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a file, at this line, counted from 1.
    File(PathBuf, usize),
    /// On standard input, at this line.
    Stdin(usize),
    /// Among the arguments of the program.
    Arguments,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path, line) => write!(f, "{}:{line}", path.display()),
            Place::Stdin(line) => write!(f, "standard input, line {line}"),
            Place::Arguments => f.write_str("command line"),
        }
    }
}

/// A directive that cannot be followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// The directive with its value, as written.
    pub text: String,
    /// What is wrong with it.
    pub cause: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: '{}': {}", self.place, self.text, self.cause)
    }
}

impl std::error::Error for ConfigError {}
