//! What can be wrong with a log: which file, where, why, and what can be done.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// See the head of this file.
#[derive(Debug)]
pub enum LogError {
    /// The system refused something.
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
    /// A line of the manifest makes no sense.
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The line, from 1; 0 for the whole.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// The manifest names a file that is not there.
    Missing {
        /// The manifest.
        manifest: PathBuf,
        /// The file.
        file: PathBuf,
    },
    /// There are bytes that are no records, and not at the end of the last file.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The last file ends within a record, and it must not be cut.
    Torn {
        /// The file.
        path: PathBuf,
        /// Where the last whole record ends.
        offset: u64,
    },
    /// Blocks of a version that is not known.
    Newer {
        /// The file.
        path: PathBuf,
        /// The version.
        version: u64,
    },
    /// A base or records that no manifest names, as there is none.
    Unlisted {
        /// The manifest that there should be.
        manifest: PathBuf,
        /// The file.
        file: PathBuf,
    },
    /// A log of an older Redis.
    Old {
        /// The file.
        path: PathBuf,
    },
}

impl LogError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| LogError::Io {
            doing,
            path: path.to_owned(),
            cause,
        }
    }

    /// What can be done about it, where the words above do not say so: a start ends with both.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        let LogError::Io { cause, .. } = self else {
            return "";
        };
        match cause.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "; change its rights, or set dir or appenddirname"
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free space, or set dir",
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
                "; move away what is there instead, or set appenddirname"
            }
            _ => "; look at the disk, or restore the folder from a copy",
        }
    }

    /// The system's number of what it said, 0 if it was not the system.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            LogError::Io { cause, .. } => cause.raw_os_error().unwrap_or(0),
            _ => 0,
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Io { doing, path, cause } => {
                write!(f, "cannot {doing} {}: {cause}", path.display())
            }
            LogError::Manifest { path, line, why } => write!(
                f,
                "the log's manifest {} is damaged at line {line}: {why}; restore the folder from a copy, or move it away to begin without it",
                path.display()
            ),
            LogError::Missing { manifest, file } => write!(
                f,
                "the log's manifest {} names {}, which is not there; restore it from a copy, or move the folder away to begin without it",
                manifest.display(),
                file.display()
            ),
            LogError::Damaged { path, offset, why } => write!(
                f,
                "the log {} is damaged at byte {offset}: {why}; restore it from a copy, or cut it there, which loses what follows",
                path.display()
            ),
            LogError::Torn { path, offset } => write!(
                f,
                "the log {} ends within a record that begins at byte {offset}; set aof-load-truncated yes to cut it there",
                path.display()
            ),
            LogError::Newer { path, version } => write!(
                f,
                "the log {} has blocks of version {version}, which is not known; it was written by a newer server: start that one, or let it save a snapshot",
                path.display()
            ),
            LogError::Unlisted { manifest, file } => write!(
                f,
                "there is {}, but no manifest {} that says what belongs to the log; restore it from a copy, or move the folder away to begin without it",
                file.display(),
                manifest.display()
            ),
            LogError::Old { path } => write!(
                f,
                "{} is a log of Redis 6 or older; let redis-server 7 start from it once, or move it away to begin without it",
                path.display()
            ),
        }
    }
}

impl std::error::Error for LogError {}
