//! The file of a snapshot: written under a temporary name, by a thread of its own, and put in place when it is whole and on the disk.
//!
//! Invariant: the file under the final name is at all times a whole one, the old or the new. What fails leaves the old one and removes the temporary one.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use tessera_io::{Disk, FileId};

use super::form::Form;
use super::pace::Pace;
use super::packer::{Block, Format};
use super::part::Queue;

/// Written bytes after which they are sent to the disk, so that the end has not to wait for all of them.
const SYNC_BYTES: u64 = 8 << 20;

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
    /// `rdb-key-save-delay`: microseconds per key, or, negative, keys per microsecond.
    pub key_delay: i64,
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
        /// How many keys were taken since the chunk before.
        keys: u64,
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

impl Piece {
    /// Keys that came with it.
    fn keys(&self) -> u64 {
        match self {
            Self::Chunk { keys, .. } => *keys,
            Self::Large { is_last, .. } => u64::from(*is_last),
            Self::PartDone | Self::GivenUp => 0,
        }
    }
}

/// A snapshot's file, from its beginning under a temporary name to the moment at which it is in place.
pub(super) struct SnapshotFile {
    target: Target,
    path: PathBuf,
    temporary: PathBuf,
    pieces: Receiver<Piece>,
    queue: Arc<Queue>,
    /// Parts of the save.
    parts: usize,
    /// The folder may not be there yet.
    pub(super) makes_folder: bool,
    pace: Arc<Pace>,
    output: Option<Output>,
}

impl SnapshotFile {
    pub(super) fn new(
        target: Target,
        parts: usize,
        pieces: Receiver<Piece>,
        queue: Arc<Queue>,
        pace: Arc<Pace>,
    ) -> Self {
        Self {
            pace,
            path: target.dir.join(&target.name),
            temporary: target.dir.join(format!("temp-{}.rdb", std::process::id())),
            target,
            pieces,
            queue,
            parts,
            makes_folder: false,
            output: None,
        }
    }

    /// Goes on with what has come, and when all has, puts the file in place. `waits`: for the next piece, if none has come. Says how it ended, when it has.
    pub(super) fn step(
        &mut self,
        disk: &mut dyn Disk,
        waits: bool,
    ) -> Option<Result<u64, SaveError>> {
        let outcome = self.go_on(disk, waits).transpose()?;
        self.queue.end();
        if outcome.is_err() {
            if let Some(output) = self.output.take() {
                disk.close(output.file);
            }
            // It may not be there at all; the error that is told is the first one.
            let _ = disk.remove(&self.temporary);
        }
        Some(outcome)
    }

    fn go_on(&mut self, disk: &mut dyn Disk, waits: bool) -> Result<Option<u64>, SaveError> {
        let failed = |doing: &'static str| {
            let path = self.temporary.clone();
            move |cause: io::Error| SaveError { doing, path, cause }
        };
        let Some(output) = &mut self.output else {
            if self.makes_folder {
                // What goes wrong here is told when the file is made.
                let _ = disk.create_dir(&self.target.dir);
            }
            let file = create(disk, &self.temporary).map_err(failed("create"))?;
            let form = Form::begin(&mut DiskFile { disk, file }, &self.target);
            let form = form.inspect_err(|_| disk.close(file));
            let form = form.map_err(failed("write"))?;
            let queue = Arc::clone(&self.queue);
            let joins = self.target.format == Format::Rdb;
            self.output = Some(Output::new(file, form, queue, joins, self.parts));
            return Ok(None);
        };
        if output.left > 0 {
            let piece = match waits {
                true => self.pieces.recv().unwrap_or(Piece::GivenUp),
                false => match self.pieces.try_recv() {
                    Ok(piece) => piece,
                    Err(TryRecvError::Empty) => return Ok(None),
                    Err(TryRecvError::Disconnected) => Piece::GivenUp,
                },
            };
            if matches!(piece, Piece::GivenUp) {
                let cause = io::Error::other("the save was given up");
                return Err(failed("complete")(cause));
            }
            let keys = piece.keys();
            output.take(disk, piece).map_err(failed("write"))?;
            if waits {
                self.pace.hold(keys);
            }
            return Ok(None);
        }
        let output = self.output.take();
        let length = output.map_or(Ok(0), |output| output.end(disk));
        let length = length.map_err(failed("write"))?;
        self.put_in_place(disk)?;
        Ok(Some(length))
    }

    fn put_in_place(&self, disk: &mut dyn Disk) -> Result<(), SaveError> {
        disk.rename(&self.temporary, &self.path)
            .map_err(|cause| SaveError {
                doing: "put the snapshot in place at",
                path: self.path.clone(),
                cause,
            })?;
        let folder = match self.target.dir.as_os_str().is_empty() {
            true => Path::new("."),
            false => &self.target.dir,
        };
        disk.sync_dir(folder).map_err(|cause| SaveError {
            doing: "sync the folder",
            path: folder.to_owned(),
            cause,
        })
    }
}

/// An empty file, whatever a process before has left under its name.
fn create(disk: &mut dyn Disk, path: &Path) -> io::Result<FileId> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => disk.open_append(path),
    }
}

/// A file of a disk, as something to write to.
struct DiskFile<'a> {
    disk: &'a mut dyn Disk,
    file: FileId,
}

impl Write for DiskFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.append(self.file, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The file under way.
struct Output {
    file: FileId,
    form: Form,
    queue: Arc<Queue>,
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

impl Output {
    fn new(file: FileId, form: Form, queue: Arc<Queue>, joins: bool, parts: usize) -> Self {
        Self {
            file,
            form,
            queue,
            synced: 0,
            large: None,
            joins,
            later: VecDeque::new(),
            left: parts,
        }
    }

    /// Writes the end and syncs. Returns the file's length.
    fn end(self, disk: &mut dyn Disk) -> io::Result<u64> {
        let file = self.file;
        let length = self.form.end(&mut DiskFile { disk, file });
        let synced = length.and_then(|length| disk.sync(file).map(|()| length));
        disk.close(file);
        synced
    }

    /// Writes a piece, or puts it aside while a large value is being written.
    fn take(&mut self, disk: &mut dyn Disk, piece: Piece) -> io::Result<()> {
        let waits = match (&piece, self.large) {
            (_, None) => false,
            (Piece::Large { number, .. }, Some(writing)) => *number != writing,
            (_, Some(_)) => true,
        };
        if waits {
            self.later.push_back(piece);
            return Ok(());
        }
        self.put(disk, piece)?;
        while self.large.is_none()
            && let Some(piece) = self.later.pop_front()
        {
            self.put(disk, piece)?;
            self.put_aside_pieces(disk)?;
        }
        Ok(())
    }

    /// Writes those pieces of a value, begun among what had been put aside, that have come already.
    fn put_aside_pieces(&mut self, disk: &mut dyn Disk) -> io::Result<()> {
        let mut at = 0;
        while let Some(writing) = self.large {
            let is_next =
                |piece: &Piece| matches!(piece, Piece::Large { number, .. } if *number == writing);
            let Some(next) = self.later.iter().skip(at).position(is_next) else {
                return Ok(());
            };
            at += next;
            if let Some(piece) = self.later.remove(at) {
                self.put(disk, piece)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, disk: &mut dyn Disk, piece: Piece) -> io::Result<()> {
        let (part, block, is_large) = match piece {
            Piece::Chunk { part, block, .. } => (part, block, false),
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
        let file = self.file;
        let written = self.form.block(&mut DiskFile { disk, file }, &block);
        self.queue.take(part, is_large, block.len());
        self.queue.give_back(block.bytes);
        written?;
        if self.form.length - self.synced >= SYNC_BYTES {
            self.synced = self.form.length;
            disk.sync(file)?;
        }
        Ok(())
    }
}
