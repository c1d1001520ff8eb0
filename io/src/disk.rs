//! `Disk`: the file operations that code above `io` may use. The real one is `std::fs`; the simulated
//! one tears writes, fails fsyncs and forgets what was not synced when the machine crashes.

use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

/// A file that is read piece by piece.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// An open file, append-only or read-only, as a number chosen by the `Disk`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId(pub u64);

/// A file system. All calls block; a shard's thread makes none of them while it serves commands,
/// except CONFIG REWRITE.
pub trait Disk {
    /// The whole content of a file.
    ///
    /// # Errors
    /// As the system reports them.
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>>;
    /// A file to be read piece by piece.
    ///
    /// # Errors
    /// As the system reports them.
    fn open_read(&mut self, path: &Path) -> io::Result<Box<dyn Source>>;
    /// Bytes in a file.
    ///
    /// # Errors
    /// As the system reports them.
    fn length(&mut self, path: &Path) -> io::Result<u64>;
    /// Opens a file for appending, creating it when missing.
    ///
    /// # Errors
    /// As the system reports them.
    fn open_append(&mut self, path: &Path) -> io::Result<FileId>;
    /// Appends all bytes, or fails with a part of them written.
    ///
    /// # Errors
    /// As the system reports them, a full disk included.
    fn append(&mut self, file: FileId, bytes: &[u8]) -> io::Result<()>;
    /// Cuts off what is behind `length`.
    ///
    /// # Errors
    /// As the system reports them.
    fn truncate(&mut self, file: FileId, length: u64) -> io::Result<()>;
    /// Writes what a file holds from an offset on once more: a sync that failed before, in whatever process, has left pages that no later one would
    /// write.
    ///
    /// # Errors
    /// As the system reports them.
    fn refresh(&mut self, path: &Path, from: u64) -> io::Result<()>;
    /// Makes what was appended durable (fdatasync).
    ///
    /// # Errors
    /// After an error the state of the file on disk is unknown; callers must not retry.
    fn sync(&mut self, file: FileId) -> io::Result<()>;
    /// Closes a file. Closing does not sync.
    fn close(&mut self, file: FileId);
    /// Renames within one directory, replacing the target in one step.
    ///
    /// # Errors
    /// As the system reports them.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// As the system reports them.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
    /// Makes a directory. Says whether it was not there.
    ///
    /// # Errors
    /// As the system reports them.
    fn create_dir(&mut self, dir: &Path) -> io::Result<bool>;
    /// Makes renames and creations in a directory durable.
    ///
    /// # Errors
    /// As the system reports them.
    fn sync_dir(&mut self, dir: &Path) -> io::Result<()>;
    /// The files in a directory, in the order of their names.
    ///
    /// # Errors
    /// As the system reports them.
    fn list(&mut self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Replaces a file in one durable step: temporary name, sync, rename, sync of the directory.
    ///
    /// # Errors
    /// The old content stays when any step fails.
    fn replace(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        match self.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.open_append(&temporary)?;
        let written = self.append(file, bytes).and_then(|()| self.sync(file));
        self.close(file);
        written?;
        self.rename(&temporary, path)?;
        match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => self.sync_dir(dir),
            _ => self.sync_dir(Path::new(".")),
        }
    }
}
