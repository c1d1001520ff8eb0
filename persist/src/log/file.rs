//! A file that blocks are appended to. All that touches the disk in the course of the log goes through here: another kind of I/O would take its place.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::block::line_of;
use super::error::LogError;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    length: u64,
    blocks: u64,
    /// Blocks that are on the disk.
    synced: u64,
}

impl LogFile {
    /// A new file, in place of one of that name.
    pub(super) fn create(path: &Path) -> Result<Self, LogError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        Self::open(path, &options, 0, 0)
    }

    /// A file that goes on behind so many bytes, with so many blocks.
    pub(super) fn resume(path: &Path, length: u64, blocks: u64) -> Result<Self, LogError> {
        Self::open(path, OpenOptions::new().write(true), length, blocks)
    }

    fn open(
        path: &Path,
        options: &OpenOptions,
        length: u64,
        blocks: u64,
    ) -> Result<Self, LogError> {
        let file = options
            .open(path)
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

    /// Appends a block. What fails is taken back as far as the disk lets it.
    pub(super) fn append(&mut self, payload: &[u8]) -> Result<(), LogError> {
        let line = line_of(payload, self.blocks, self.synced);
        let at = self.length;
        let written = self
            .file
            .write_all_at(&line, at)
            .and_then(|()| self.file.write_all_at(payload, at + line.len() as u64));
        if let Err(cause) = written {
            // The reader cuts it if this fails, too.
            let _ = self.file.set_len(at);
            return Err(LogError::io("write the log", &self.path)(cause));
        }
        self.length += (line.len() + payload.len()) as u64;
        self.blocks += 1;
        Ok(())
    }

    /// Waits until all blocks are on the disk.
    pub(super) fn sync(&mut self) -> Result<(), LogError> {
        if self.synced < self.blocks {
            let synced = self.file.sync_data();
            synced.map_err(LogError::io("sync the log", &self.path))?;
            self.synced = self.blocks;
        }
        Ok(())
    }
}
