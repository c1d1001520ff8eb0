//! The file of a snapshot: written under a temporary name by a thread of its own, and put in place when it is whole and on the disk.
//!
//! Invariant: the file under the final name is at all times a whole one, the old or the new. What fails leaves the old one and removes the temporary one.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use super::part::Queue;
use crate::crc::checksum;
use crate::rdb::{file_footer, file_header, write_function};

/// Written bytes after which they are sent to the disk, so that the end has not to wait for all of them.
const SYNC_BYTES: u64 = 32 << 20;

/// Where a snapshot goes, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The folder.
    pub dir: PathBuf,
    /// The file's name there.
    pub name: PathBuf,
    /// `rdbcompression`.
    pub compresses: bool,
    /// `rdbchecksum`.
    pub sums: bool,
    /// What the header says about who writes.
    pub about: Vec<(&'static str, String)>,
    /// The functions' sources, to be written, too.
    pub functions: Vec<Vec<u8>>,
}

/// What went wrong with a file.
#[derive(Debug)]
pub struct SaveError {
    /// What was being done.
    pub doing: &'static str,
    /// With which file.
    pub path: PathBuf,
    /// The system's words.
    pub cause: io::Error,
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { doing, path, cause } = self;
        write!(f, "cannot {doing} {}: {cause}", path.display())
    }
}

impl std::error::Error for SaveError {}

/// What the parts send to the file.
pub(super) enum Piece {
    /// Bytes: whole keys, after a mark of their database.
    Chunk(Vec<u8>),
    /// A part is complete.
    PartDone,
    /// It cannot be had.
    GivenUp,
}

/// Writes the file; returns its length when it is in place.
pub(super) fn write(
    target: &Target,
    parts: usize,
    pieces: &Receiver<Piece>,
    queue: &Queue,
) -> Result<u64, SaveError> {
    let path = target.dir.join(&target.name);
    let temporary = target.dir.join(format!("temp-{}.rdb", std::process::id()));
    let written = write_to(target, &temporary, parts, pieces, queue);
    let outcome = written.and_then(|length| {
        fs::rename(&temporary, &path).map_err(|cause| SaveError {
            doing: "put the snapshot in place at",
            path: path.clone(),
            cause,
        })?;
        sync_folder(&target.dir)?;
        Ok(length)
    });
    if outcome.is_err() {
        // It may not be there at all; the error that is told is the first one.
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

/// Makes a rename in a folder durable.
fn sync_folder(dir: &Path) -> Result<(), SaveError> {
    let folder = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|cause| SaveError {
            doing: "sync the folder",
            path: folder.to_owned(),
            cause,
        })
}

fn write_to(
    target: &Target,
    path: &Path,
    parts: usize,
    pieces: &Receiver<Piece>,
    queue: &Queue,
) -> Result<u64, SaveError> {
    let failed = |doing: &'static str| {
        move |cause: io::Error| SaveError {
            doing,
            path: path.to_owned(),
            cause,
        }
    };
    let mut file = File::create(path).map_err(failed("create"))?;
    let (mut sum, mut length, mut unsynced) = (checksum(), 0u64, 0u64);
    let mut put = |file: &mut File, bytes: &[u8], is_sum: bool| {
        file.write_all(bytes).map_err(failed("write"))?;
        if target.sums && !is_sum {
            sum.update(bytes);
        }
        length += bytes.len() as u64;
        unsynced += bytes.len() as u64;
        if unsynced >= SYNC_BYTES {
            unsynced = 0;
            file.sync_data().map_err(failed("sync"))?;
        }
        Ok::<(), SaveError>(())
    };
    put(&mut file, &header(target), false)?;
    let mut left = parts;
    while left > 0 {
        match pieces.recv() {
            Ok(Piece::Chunk(bytes)) => {
                let done = put(&mut file, &bytes, false);
                queue.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                done?;
            }
            Ok(Piece::PartDone) => left -= 1,
            Ok(Piece::GivenUp) | Err(_) => {
                return Err(failed("complete")(io::Error::other(
                    "the save was given up",
                )));
            }
        }
    }
    let mut end = Vec::new();
    file_footer(&mut end);
    put(&mut file, &end, false)?;
    let sum = if target.sums { sum.finalize() } else { 0 };
    let sum = sum.to_le_bytes();
    file.write_all(&sum).map_err(failed("write"))?;
    file.sync_all().map_err(failed("sync"))?;
    Ok(length + sum.len() as u64)
}

fn header(target: &Target) -> Vec<u8> {
    let about: Vec<(&str, &str)> = target
        .about
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut bytes = Vec::new();
    file_header(&about, &mut bytes);
    for code in &target.functions {
        write_function(code, &mut bytes);
    }
    bytes
}
