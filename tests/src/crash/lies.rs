//! A disk that breaks one promise: whatever the log relies on must be noticed when it is not so.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use tessera_io::sim::SimDisk;
use tessera_io::{Disk, FileId, Source};

/// What is not as the log thinks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// Records are not synced.
    RecordsUnsynced,
    /// A base is put in place before it is on the disk.
    BaseUnsynced,
    /// So is the manifest.
    ManifestUnsynced,
    /// Renames are not synced.
    FolderUnsynced,
    /// A sync that fails says that it has not.
    FailureHidden,
    /// A write that did not fit says that it has.
    FullHidden,
    /// Old files go before the manifest that does without them is in place.
    RemovedEarly,
    /// What is torn is not cut off.
    NothingCut,
    /// What an earlier process could not sync is not written once more.
    NothingRefreshed,
    /// A snapshot is put in place before it is on the disk.
    SnapshotUnsynced,
    /// It is written in place of the old one.
    InPlace,
    /// Not the disk's: transactions go on between the positions of two shards.
    Unsettled,
}

/// Those of the log.
pub const LIES: [Lie; 9] = [
    Lie::RecordsUnsynced,
    Lie::BaseUnsynced,
    Lie::ManifestUnsynced,
    Lie::FolderUnsynced,
    Lie::FailureHidden,
    Lie::FullHidden,
    Lie::RemovedEarly,
    Lie::NothingCut,
    Lie::NothingRefreshed,
];

/// Those of snapshots.
pub const LIES_OF_SAVES: [Lie; 6] = [
    Lie::SnapshotUnsynced,
    Lie::InPlace,
    Lie::Unsettled,
    Lie::FolderUnsynced,
    Lie::FailureHidden,
    Lie::FullHidden,
];

/// How the name of an unfinished snapshot begins.
const UNFINISHED: &str = "temp-";
/// Where snapshots are put.
const SNAPSHOT: &str = "dump.rdb";

/// See the head of this file.
pub struct LyingDisk {
    disk: SimDisk,
    lie: Option<Lie>,
    open: HashMap<FileId, PathBuf>,
    /// A rename that has not been done.
    late: Option<(PathBuf, PathBuf)>,
}

impl LyingDisk {
    /// The disk, seen through a lie; without one, as it is.
    #[must_use]
    pub fn new(disk: SimDisk, lie: Option<Lie>) -> Self {
        Self {
            disk,
            lie,
            open: HashMap::new(),
            late: None,
        }
    }

    fn is(&self, lie: Lie) -> bool {
        self.lie == Some(lie)
    }

    fn has(&self, file: FileId, part: &str) -> bool {
        let path = self.open.get(&file);
        path.is_some_and(|path| path.to_string_lossy().contains(part))
    }

    /// Where a file is really opened.
    fn place_of(&mut self, path: &Path) -> io::Result<PathBuf> {
        if !self.is(Lie::InPlace) || !path.to_string_lossy().contains(UNFINISHED) {
            return Ok(path.to_owned());
        }
        let place = path.with_file_name(SNAPSHOT);
        match self.disk.remove(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(place),
        }
    }

    fn catch_up(&mut self) -> io::Result<()> {
        match self.late.take() {
            Some((from, to)) => self.disk.rename(&from, &to),
            None => Ok(()),
        }
    }
}

impl Disk for LyingDisk {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.catch_up()?;
        self.disk.read(path)
    }

    fn open_read(&mut self, path: &Path) -> io::Result<Box<dyn Source>> {
        self.catch_up()?;
        self.disk.open_read(path)
    }

    fn length(&mut self, path: &Path) -> io::Result<u64> {
        self.disk.length(path)
    }

    fn open_append(&mut self, path: &Path) -> io::Result<FileId> {
        self.catch_up()?;
        let path = &self.place_of(path)?;
        let file = self.disk.open_append(path)?;
        self.open.insert(file, path.to_owned());
        Ok(file)
    }

    fn append(&mut self, file: FileId, bytes: &[u8]) -> io::Result<()> {
        self.catch_up()?;
        match self.disk.append(file, bytes) {
            Err(error)
                if self.is(Lie::FullHidden) && error.kind() == io::ErrorKind::StorageFull =>
            {
                Ok(())
            }
            appended => appended,
        }
    }

    fn truncate(&mut self, file: FileId, length: u64) -> io::Result<()> {
        if self.is(Lie::NothingCut) {
            return Ok(());
        }
        self.disk.truncate(file, length)
    }

    fn refresh(&mut self, path: &Path, from: u64) -> io::Result<()> {
        if self.is(Lie::NothingRefreshed) {
            return Ok(());
        }
        self.disk.refresh(path, from)
    }

    fn sync(&mut self, file: FileId) -> io::Result<()> {
        let part = match self.lie {
            Some(Lie::RecordsUnsynced) => ".incr.",
            Some(Lie::BaseUnsynced) => ".base.",
            Some(Lie::ManifestUnsynced) => ".manifest",
            Some(Lie::SnapshotUnsynced) => UNFINISHED,
            _ => "/",
        };
        if part != "/" && self.has(file, part) {
            return Ok(());
        }
        match self.disk.sync(file) {
            Err(_) if self.is(Lie::FailureHidden) && !self.disk.is_dead() => Ok(()),
            synced => synced,
        }
    }

    fn close(&mut self, file: FileId) {
        self.open.remove(&file);
        self.disk.close(file);
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.catch_up()?;
        if self.is(Lie::RemovedEarly) && to.to_string_lossy().ends_with(".manifest") {
            self.late = Some((from.to_owned(), to.to_owned()));
            return Ok(());
        }
        if self.is(Lie::InPlace) {
            return Ok(());
        }
        self.disk.rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn create_dir(&mut self, dir: &Path) -> io::Result<bool> {
        self.disk.create_dir(dir)
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        if self.is(Lie::FolderUnsynced) {
            return Ok(());
        }
        self.disk.sync_dir(dir)
    }

    fn list(&mut self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(dir)
    }
}
