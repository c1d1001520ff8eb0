//! The file of a snapshot: written under a temporary name by a thread of its own, and put in place when it is whole and on the disk.
//!
//! Invariant: the file under the final name is at all times a whole one, the old or the new. What fails leaves the old one and removes the temporary one.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use super::form::Form;
use super::packer::{Block, Format};
use super::part::Queue;

/// Written bytes after which they are sent to the disk, so that the end has not to wait for all of them.
const SYNC_BYTES: u64 = 32 << 20;

/// Where a snapshot goes, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The folder.
    pub dir: PathBuf,
    /// The file's name there.
    pub name: PathBuf,
    /// In which format.
    pub format: Format,
    /// `rdbcompression`.
    pub compresses: bool,
    /// `rdbchecksum`.
    pub sums: bool,
    /// What the header says about who writes.
    pub about: Vec<(&'static str, String)>,
    /// The libraries of functions: their sources, as they are when the save begins.
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
    /// Whole keys.
    Chunk {
        /// Whose they are.
        part: usize,
        /// The keys.
        block: Block,
    },
    /// Of a key with a large value.
    Large {
        /// Whose it is.
        part: usize,
        /// Which value it is of.
        number: u64,
        /// The piece.
        block: Block,
        /// Whether the key ends with it.
        is_last: bool,
    },
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
    let file = File::create(path).map_err(failed("create"))?;
    let mut output = Output {
        form: Form::begin(file, target).map_err(failed("write"))?,
        queue,
        synced: 0,
        large: None,
        joins: target.format == Format::Rdb,
        later: VecDeque::new(),
        left: parts,
    };
    while output.left > 0 {
        let piece = pieces.recv().unwrap_or(Piece::GivenUp);
        if matches!(piece, Piece::GivenUp) {
            let cause = io::Error::other("the save was given up");
            return Err(failed("complete")(cause));
        }
        output.take(piece).map_err(failed("write"))?;
    }
    let (file, length) = output.form.end().map_err(failed("write"))?;
    file.sync_all().map_err(failed("sync"))?;
    Ok(length)
}

/// The file under way.
struct Output<'a> {
    form: Form<File>,
    queue: &'a Queue,
    /// Bytes that are on the disk.
    synced: u64,
    /// The large value that is being written, if its pieces must lie together.
    large: Option<u64>,
    joins: bool,
    /// What came while another large value was being written.
    later: VecDeque<Piece>,
    /// Parts that are not complete.
    left: usize,
}

impl Output<'_> {
    /// Writes a piece, or puts it aside while a large value is being written.
    fn take(&mut self, piece: Piece) -> io::Result<()> {
        let waits = match (&piece, self.large) {
            (_, None) => false,
            (Piece::Large { number, .. }, Some(writing)) => *number != writing,
            (_, Some(_)) => true,
        };
        if waits {
            self.later.push_back(piece);
            return Ok(());
        }
        self.put(piece)?;
        while self.large.is_none()
            && let Some(piece) = self.later.pop_front()
        {
            self.put(piece)?;
            self.put_aside_pieces()?;
        }
        Ok(())
    }

    /// Writes those pieces of a value, begun among what had been put aside, that have come already.
    fn put_aside_pieces(&mut self) -> io::Result<()> {
        let mut at = 0;
        while let Some(writing) = self.large {
            let is_next =
                |piece: &Piece| matches!(piece, Piece::Large { number, .. } if *number == writing);
            let Some(next) = self.later.iter().skip(at).position(is_next) else {
                return Ok(());
            };
            at += next;
            if let Some(piece) = self.later.remove(at) {
                self.put(piece)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, piece: Piece) -> io::Result<()> {
        let (part, block, is_large) = match piece {
            Piece::Chunk { part, block } => (part, block, false),
            Piece::Large {
                part,
                number,
                block,
                is_last,
            } => {
                self.large = (self.joins && !is_last).then_some(number);
                (part, block, true)
            }
            Piece::PartDone => {
                self.left -= 1;
                return Ok(());
            }
            Piece::GivenUp => return Ok(()),
        };
        let written = self.form.block(&block);
        self.queue.take(part, is_large, block.len());
        written?;
        if self.form.length - self.synced >= SYNC_BYTES {
            self.synced = self.form.length;
            self.form.to().sync_data()?;
        }
        Ok(())
    }
}
