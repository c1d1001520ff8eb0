//! A file that blocks are appended to.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tessera_io::{Disk, FileId};

use super::block::{LINE_BYTES, line_of};
use super::error::LogError;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: FileId,
    length: u64,
    blocks: u64,
    /// Blocks that are on the disk.
    synced: u64,
}

/// Makes room in an empty buffer for the line that comes before a block's commands.
pub(super) fn begin_block(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(LINE_BYTES, b' ');
}

/// Whether a buffer that `begin_block` has prepared has no commands yet.
pub(super) fn is_empty_block(buffer: &[u8]) -> bool {
    buffer.len() <= LINE_BYTES
}

impl LogFile {
    /// A new file, in place of one of that name.
    pub(super) fn create(disk: &mut dyn Disk, path: &Path) -> Result<Self, LogError> {
        let removed = match disk.remove(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        removed.map_err(LogError::io("replace the log", path))?;
        Self::open(disk, path, 0, 0)
    }

    /// A file that goes on behind so many bytes, with so many blocks, of which those from `doubtful` on may not be on the disk whatever the system says of
    /// it: a process before this one may have failed to sync them. They are when this returns.
    pub(super) fn resume(
        disk: &mut dyn Disk,
        path: &Path,
        length: u64,
        blocks: u64,
        doubtful: u64,
    ) -> Result<Self, LogError> {
        let mut file = Self::open(disk, path, length, blocks)?;
        if doubtful < length {
            let refreshed = disk.refresh(path, doubtful);
            refreshed.map_err(LogError::io("write the log", path))?;
        }
        let synced = disk.sync(file.file);
        synced.map_err(LogError::io("sync the log", path))?;
        file.synced = blocks;
        if blocks == 0 {
            file.mark(disk)?;
        }
        Ok(file)
    }

    /// Begins with a block without commands, which is on the disk when this returns: so whatever a crash leaves behind it is known to be a file of ours, torn, and not somebody
    /// else's.
    pub(super) fn mark(&mut self, disk: &mut dyn Disk) -> Result<(), LogError> {
        let mut block = Vec::new();
        begin_block(&mut block);
        self.append(disk, &mut block)?;
        self.sync(disk)
    }

    fn open(disk: &mut dyn Disk, path: &Path, length: u64, blocks: u64) -> Result<Self, LogError> {
        let file = disk
            .open_append(path)
            .map_err(LogError::io("open the log", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            blocks,
            synced: 0,
        })
    }

    /// Bytes in it.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends a block: commands in a buffer that `begin_block` has prepared. What fails is taken back as far as the disk lets it.
    pub(super) fn append(&mut self, disk: &mut dyn Disk, block: &mut [u8]) -> Result<(), LogError> {
        let (line, payload) = block.split_at_mut(LINE_BYTES);
        line.copy_from_slice(&line_of(payload, self.blocks, self.synced));
        if let Err(cause) = disk.append(self.file, block) {
            // The reader cuts it if this fails, too.
            let _ = disk.truncate(self.file, self.length);
            return Err(LogError::io("write the log", &self.path)(cause));
        }
        self.length += block.len() as u64;
        self.blocks += 1;
        Ok(())
    }

    /// Waits until all blocks are on the disk.
    pub(super) fn sync(&mut self, disk: &mut dyn Disk) -> Result<(), LogError> {
        if self.synced < self.blocks {
            let synced = disk.sync(self.file);
            synced.map_err(LogError::io("sync the log", &self.path))?;
            self.synced = self.blocks;
        }
        Ok(())
    }

    /// Nothing more is written.
    pub(super) fn close(self, disk: &mut dyn Disk) {
        disk.close(self.file);
    }
}
