//! `SimDisk`: a handle to a simulated disk, for the code under test and for the test.
//!
//! Clones name the same disk. Invariants: those of `inode` for contents and of `volume` for names.
//! The shards of a world share one; the test crashes it, fills it up, or lights a fuse that lets the
//! power fail in the middle of a chosen operation.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::faults::DiskFaults;
use super::prng::Prng;
use super::trace::Trace;
use super::volume::Volume;
use crate::disk::{Disk, FileId, Source};

/// A simulated disk.
#[derive(Clone)]
pub struct SimDisk {
    volume: Rc<RefCell<Volume>>,
}

impl SimDisk {
    /// An empty disk outside of any world.
    #[must_use]
    pub fn new(seed: u64, faults: DiskFaults) -> Self {
        Self::with_trace(Prng::new(seed), faults, Trace::default())
    }

    /// An empty disk of a world.
    pub(super) fn with_trace(prng: Prng, faults: DiskFaults, trace: Trace) -> Self {
        Self {
            volume: Rc::new(RefCell::new(Volume::new(prng, faults, trace))),
        }
    }

    /// Changes the faults from now on.
    pub fn set_faults(&self, faults: DiskFaults) {
        self.volume.borrow_mut().faults = faults;
    }

    /// Sets how many bytes fit on the disk.
    pub fn set_capacity(&self, bytes: u64) {
        self.volume.borrow_mut().faults.capacity_bytes = bytes;
    }

    /// Bytes of all files that have a name or are open.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.volume.borrow().used_bytes()
    }

    /// How many operations were tried so far (`close` is not counted: it cannot fail).
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.volume.borrow().operations
    }

    /// Lets the power fail in the middle of the operation after the next `operations`. That one takes
    /// effect in part or not at all, it and all later ones fail until `crash`.
    pub fn light_fuse(&self, operations: u64) {
        self.volume.borrow_mut().fuse = Some(operations);
    }

    /// Whether the power has failed and `crash` was not called yet.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.volume.borrow().is_dead()
    }

    /// Forgets what a power failure makes a disk forget, by the seed; then the power is back.
    pub fn crash(&self) {
        self.volume.borrow_mut().crash();
    }

    /// Closes all files, as the end of their process does.
    pub fn close_all(&self) {
        self.volume.borrow_mut().close_all();
    }

    /// The content of a file as it would be read now, without faults.
    #[must_use]
    pub fn peek(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.volume.borrow().peek(path.as_ref()).map(<[u8]>::to_vec)
    }

    /// Puts a durable file there, in place of whatever has its name.
    pub fn put(&self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) {
        self.volume.borrow_mut().put(path.as_ref(), bytes.into());
    }

    /// Damages the byte at `offset` of a file, if there is one, by XOR with `mask`.
    pub fn corrupt(&self, path: impl AsRef<Path>, offset: usize, mask: u8) {
        self.volume
            .borrow_mut()
            .corrupt(path.as_ref(), offset, mask);
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let volume = self.volume.borrow();
        write!(
            f,
            "SimDisk({} bytes, {} operations)",
            volume.used_bytes(),
            volume.operations
        )
    }
}

impl Disk for SimDisk {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.volume.borrow_mut().read(path)
    }

    fn open_read(&mut self, path: &Path) -> io::Result<Box<dyn Source>> {
        let bytes = self.volume.borrow_mut().read(path)?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn length(&mut self, path: &Path) -> io::Result<u64> {
        let bytes = self.volume.borrow_mut().read(path)?;
        Ok(bytes.len() as u64)
    }

    fn open_append(&mut self, path: &Path) -> io::Result<FileId> {
        self.volume.borrow_mut().open_append(path)
    }

    fn append(&mut self, file: FileId, bytes: &[u8]) -> io::Result<()> {
        self.volume.borrow_mut().append(file, bytes)
    }

    fn truncate(&mut self, file: FileId, length: u64) -> io::Result<()> {
        self.volume.borrow_mut().truncate(file, length)
    }

    fn refresh(&mut self, path: &Path, from: u64) -> io::Result<()> {
        self.volume.borrow_mut().refresh(path, from)
    }

    fn sync(&mut self, file: FileId) -> io::Result<()> {
        self.volume.borrow_mut().sync(file)
    }

    fn close(&mut self, file: FileId) {
        self.volume.borrow_mut().close(file);
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.volume.borrow_mut().rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.volume.borrow_mut().remove(path)
    }

    fn create_dir(&mut self, _: &Path) -> io::Result<bool> {
        // There are no folders but those that names speak of.
        Ok(false)
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.volume.borrow_mut().sync_dir(dir)
    }

    fn list(&mut self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.volume.borrow_mut().list(dir)
    }
}
