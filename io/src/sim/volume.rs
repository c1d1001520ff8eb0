//! `Volume`: the names of a simulated disk and what of them is durable; where its faults strike.
//!
//! Every directory has a journal of creations, renames and removals that `sync_dir` makes durable; a
//! crash keeps a random prefix of each journal, as a file system with ordered metadata does, so a
//! rename is seen whole or not at all. Names and contents are durable independently of each other: a
//! rename may survive whose file does not. Directories need not be created. Called by `disk`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::faults::DiskFaults;
use super::inode::Inode;
use super::prng::Prng;
use super::trace::{Trace, TraceKind};
use crate::disk::FileId;

/// Which operation; the number is in the trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Operation {
    Read = 1,
    Open,
    Append,
    Sync,
    Rename,
    Remove,
    SyncDir,
    List,
    Truncate,
    Refresh,
}

/// A change of a directory.
#[derive(Clone, Debug)]
enum Change {
    Link {
        path: PathBuf,
        inode: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        inode: u64,
    },
    Unlink {
        path: PathBuf,
    },
}

/// What becomes of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Fails,
    /// The power fails during it: done or not, nobody hears.
    Dies,
}

/// One disk.
pub(super) struct Volume {
    pub(super) faults: DiskFaults,
    /// Operations until the power fails.
    pub(super) fuse: Option<u64>,
    /// Operations so far.
    pub(super) operations: u64,
    prng: Prng,
    trace: Trace,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    journals: BTreeMap<PathBuf, Vec<Change>>,
    open: BTreeMap<u64, u64>,
    next_inode: u64,
    next_file: u64,
    dead: bool,
}

fn os_error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

fn power_failure() -> io::Error {
    io::Error::other("the simulated machine has crashed")
}

/// One spelling per path: without `.` components.
fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}

/// The directory of a plain path.
fn directory(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

fn apply(names: &mut BTreeMap<PathBuf, u64>, change: &Change) {
    match change {
        Change::Link { path, inode } => {
            names.insert(path.clone(), *inode);
        }
        Change::Rename { from, to, inode } => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
        Change::Unlink { path } => {
            names.remove(path);
        }
    }
}

impl Volume {
    /// An empty disk.
    pub(super) fn new(prng: Prng, faults: DiskFaults, trace: Trace) -> Self {
        Self {
            faults,
            fuse: None,
            operations: 0,
            prng,
            trace,
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            journals: BTreeMap::new(),
            open: BTreeMap::new(),
            next_inode: 1,
            next_file: 1,
            dead: false,
        }
    }

    /// Whether the power has failed and `crash` has not been called yet.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// Decides what becomes of an operation that fails with this probability.
    fn fate(&mut self, error_ppm: u32) -> io::Result<Fate> {
        if self.dead {
            return Err(power_failure());
        }
        self.operations += 1;
        match &mut self.fuse {
            Some(0) => {
                self.dead = true;
                return Ok(Fate::Dies);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(if self.prng.chance(error_ppm) {
            Fate::Fails
        } else {
            Fate::Done
        })
    }

    /// Whether the effect of an operation takes place.
    fn takes_effect(&mut self, fate: Fate) -> bool {
        match fate {
            Fate::Done => true,
            Fate::Fails => false,
            Fate::Dies => self.prng.chance(500_000),
        }
    }

    /// Notes the operation and turns its fate into its result.
    fn conclude<T>(&self, operation: Operation, about: u64, fate: Fate, value: T) -> io::Result<T> {
        let result = match fate {
            Fate::Done => Ok(value),
            Fate::Fails => Err(os_error(libc::EIO)),
            Fate::Dies => Err(power_failure()),
        };
        self.note(operation, about, result)
    }

    fn note<T>(&self, operation: Operation, about: u64, result: io::Result<T>) -> io::Result<T> {
        let errno = result
            .as_ref()
            .err()
            .map_or(0, |error| error.raw_os_error().unwrap_or(-1));
        self.trace.note(
            TraceKind::Disk,
            operation as u64,
            about,
            u64::from(errno.unsigned_abs()),
        );
        result
    }

    fn inode_of(&self, file: FileId) -> io::Result<u64> {
        self.open
            .get(&file.0)
            .copied()
            .ok_or_else(|| os_error(libc::EBADF))
    }

    fn change(&mut self, directory: PathBuf, change: Change) {
        apply(&mut self.names, &change);
        self.journals.entry(directory).or_default().push(change);
    }

    /// `Disk::read`.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let fate = self.fate(self.faults.read_error_ppm)?;
        match self.peek(path) {
            Some(data) => self.conclude(Operation::Read, data.len() as u64, fate, data.to_vec()),
            None => self.note(Operation::Read, 0, Err(os_error(libc::ENOENT))),
        }
    }

    /// `Disk::open_append`.
    pub(super) fn open_append(&mut self, path: &Path) -> io::Result<FileId> {
        let fate = self.fate(self.faults.directory_error_ppm)?;
        let path = plain(path);
        let file = self.next_file;
        if self.takes_effect(fate) {
            let inode = match self.names.get(&path) {
                Some(&inode) => inode,
                None => {
                    let inode = self.add_inode(Inode::default());
                    self.change(directory(&path), Change::Link { path, inode });
                    inode
                }
            };
            self.next_file += 1;
            self.open.insert(file, inode);
        }
        self.conclude(Operation::Open, file, fate, FileId(file))
    }

    /// `Disk::append`.
    pub(super) fn append(&mut self, file: FileId, bytes: &[u8]) -> io::Result<()> {
        let fate = self.fate(self.faults.write_error_ppm)?;
        let inode = self.inode_of(file)?;
        let room = self
            .faults
            .capacity_bytes
            .saturating_sub(self.used_for_append());
        let fitting = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let written = match fate {
            Fate::Done => fitting,
            Fate::Fails | Fate::Dies => self.prng.index(fitting + 1),
        };
        if let Some(inode) = self.inodes.get_mut(&inode) {
            inode.append(&bytes[..written]);
        }
        if fate == Fate::Done && written < bytes.len() {
            return self.note(
                Operation::Append,
                written as u64,
                Err(os_error(libc::ENOSPC)),
            );
        }
        self.conclude(Operation::Append, written as u64, fate, ())
    }

    /// `Disk::truncate`.
    pub(super) fn truncate(&mut self, file: FileId, length: u64) -> io::Result<()> {
        let fate = self.fate(self.faults.write_error_ppm)?;
        let inode = self.inode_of(file)?;
        if self.takes_effect(fate)
            && let Some(inode) = self.inodes.get_mut(&inode)
        {
            inode.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        }
        self.conclude(Operation::Truncate, length, fate, ())
    }

    /// `Disk::refresh`.
    pub(super) fn refresh(&mut self, path: &Path, from: u64) -> io::Result<()> {
        let fate = self.fate(self.faults.write_error_ppm)?;
        let Some(&inode) = self.names.get(&plain(path)) else {
            return self.note(Operation::Refresh, 0, Err(os_error(libc::ENOENT)));
        };
        if self.takes_effect(fate)
            && let Some(inode) = self.inodes.get_mut(&inode)
        {
            inode.refresh(usize::try_from(from).unwrap_or(usize::MAX));
        }
        self.conclude(Operation::Refresh, from, fate, ())
    }

    /// `Disk::sync`.
    pub(super) fn sync(&mut self, file: FileId) -> io::Result<()> {
        let fate = self.fate(self.faults.sync_error_ppm)?;
        let inode = self.inode_of(file)?;
        let complete = self.takes_effect(fate);
        if let Some(inode) = self.inodes.get_mut(&inode) {
            match fate {
                Fate::Fails => inode.fail_sync(&mut self.prng),
                _ if complete => inode.sync(),
                _ => {}
            }
        }
        self.conclude(Operation::Sync, file.0, fate, ())
    }

    /// `Disk::close`.
    pub(super) fn close(&mut self, file: FileId) {
        self.open.remove(&file.0);
        self.forget_unreachable();
    }

    /// `Disk::rename`.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let fate = self.fate(self.faults.directory_error_ppm)?;
        let (from, to) = (plain(from), plain(to));
        let Some(&inode) = self.names.get(&from) else {
            return self.note(Operation::Rename, 0, Err(os_error(libc::ENOENT)));
        };
        let place = directory(&from);
        if place != directory(&to) {
            // The contract is renames within a directory; across two a crash could show halves.
            return self.note(Operation::Rename, inode, Err(os_error(libc::EXDEV)));
        }
        if from != to && self.takes_effect(fate) {
            self.change(place, Change::Rename { from, to, inode });
        }
        self.conclude(Operation::Rename, inode, fate, ())
    }

    /// `Disk::remove`.
    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let fate = self.fate(self.faults.directory_error_ppm)?;
        let path = plain(path);
        let Some(&inode) = self.names.get(&path) else {
            return self.note(Operation::Remove, 0, Err(os_error(libc::ENOENT)));
        };
        if self.takes_effect(fate) {
            self.change(directory(&path), Change::Unlink { path });
        }
        self.conclude(Operation::Remove, inode, fate, ())
    }

    /// `Disk::sync_dir`.
    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        let fate = self.fate(self.faults.directory_error_ppm)?;
        let mut journal = self.journals.remove(&plain(dir)).unwrap_or_default();
        let count = match fate {
            Fate::Done => journal.len(),
            Fate::Fails | Fate::Dies => self.prng.index(journal.len() + 1),
        };
        for change in journal.drain(..count) {
            apply(&mut self.durable, &change);
        }
        if !journal.is_empty() {
            self.journals.insert(plain(dir), journal);
        }
        self.forget_unreachable();
        self.conclude(Operation::SyncDir, count as u64, fate, ())
    }

    /// `Disk::list`.
    pub(super) fn list(&mut self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let fate = self.fate(self.faults.read_error_ppm)?;
        let place = plain(dir);
        let inside = self.names.keys().filter(|path| directory(path) == place);
        let files: Vec<PathBuf> = inside
            .filter_map(|path| path.file_name())
            .map(|name| dir.join(name))
            .collect();
        self.conclude(Operation::List, files.len() as u64, fate, files)
    }

    /// The content of a file as read now, without faults and without a trace.
    pub(super) fn peek(&self, path: &Path) -> Option<&[u8]> {
        let inode = self.names.get(&plain(path))?;
        self.inodes.get(inode).map(Inode::data)
    }

    /// Puts a durable file in place of whatever has this name, and makes the directory durable.
    pub(super) fn put(&mut self, path: &Path, data: Vec<u8>) {
        let path = plain(path);
        for change in self.journals.remove(&directory(&path)).unwrap_or_default() {
            apply(&mut self.durable, &change);
        }
        let inode = self.add_inode(Inode::durable(data));
        self.names.insert(path.clone(), inode);
        self.durable.insert(path, inode);
    }

    /// Damages one byte of a file.
    pub(super) fn corrupt(&mut self, path: &Path, offset: usize, mask: u8) {
        let inode = self.names.get(&plain(path));
        if let Some(inode) = inode.and_then(|inode| self.inodes.get_mut(inode)) {
            inode.corrupt(offset, mask);
        }
    }

    /// Closes all files: their process has ended.
    pub(super) fn close_all(&mut self) {
        self.open.clear();
        self.forget_unreachable();
    }

    /// Leaves what a crash leaves, and the power is back.
    pub(super) fn crash(&mut self) {
        self.open.clear();
        for (_, journal) in std::mem::take(&mut self.journals) {
            let count = self.prng.index(journal.len() + 1);
            for change in &journal[..count] {
                apply(&mut self.durable, change);
            }
        }
        self.names = self.durable.clone();
        self.forget_unreachable();
        for inode in self.inodes.values_mut() {
            inode.crash(&mut self.prng);
        }
        self.dead = false;
        self.fuse = None;
        self.trace.note(
            TraceKind::Crash,
            2,
            self.names.len() as u64,
            self.used_bytes(),
        );
    }

    /// Bytes of all files that have a name or are open.
    pub(super) fn used_bytes(&self) -> u64 {
        let held: BTreeSet<&u64> = self.names.values().chain(self.open.values()).collect();
        held.iter()
            .filter_map(|inode| self.inodes.get(inode))
            .map(|i| i.len() as u64)
            .sum()
    }

    /// As `used_bytes`, but not counted when there is no limit to compare with.
    fn used_for_append(&self) -> u64 {
        if self.faults.capacity_bytes == u64::MAX {
            0
        } else {
            self.used_bytes()
        }
    }

    fn add_inode(&mut self, inode: Inode) -> u64 {
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, inode);
        number
    }

    /// Drops contents that no name, no crash and no open file can bring back.
    fn forget_unreachable(&mut self) {
        let journaled = self
            .journals
            .values()
            .flatten()
            .filter_map(|change| match change {
                Change::Link { inode, .. } | Change::Rename { inode, .. } => Some(inode),
                Change::Unlink { .. } => None,
            });
        let named = self
            .names
            .values()
            .chain(self.durable.values())
            .chain(self.open.values());
        let reachable: BTreeSet<u64> = named.chain(journaled).copied().collect();
        self.inodes.retain(|number, _| reachable.contains(number));
    }
}
