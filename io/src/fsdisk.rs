//! `FsDisk`: the real `Disk`, on `std::fs`.
//!
//! Invariants: files are opened for appending only, so that a torn write can spoil nothing but the
//! end; a number of a closed file is never given again. Called through `Env::disk`.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, FileId, Source};

/// Bytes that are written once more at a time.
const REFRESH_BYTES: usize = 1 << 20;

/// The file system of the machine.
#[derive(Debug, Default)]
pub struct FsDisk {
    files: HashMap<FileId, File>,
    opened: u64,
}

impl FsDisk {
    fn file(&mut self, file: FileId) -> io::Result<&mut File> {
        let unknown = || io::Error::new(io::ErrorKind::InvalidInput, "the file is not open");
        self.files.get_mut(&file).ok_or_else(unknown)
    }
}

impl Disk for FsDisk {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn open_read(&mut self, path: &Path) -> io::Result<Box<dyn Source>> {
        Ok(Box::new(File::open(path)?))
    }

    fn length(&mut self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn open_append(&mut self, path: &Path) -> io::Result<FileId> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        self.opened += 1;
        let id = FileId(self.opened);
        self.files.insert(id, file);
        Ok(id)
    }

    fn append(&mut self, file: FileId, bytes: &[u8]) -> io::Result<()> {
        self.file(file)?.write_all(bytes)
    }

    fn truncate(&mut self, file: FileId, length: u64) -> io::Result<()> {
        self.file(file)?.set_len(length)
    }

    fn refresh(&mut self, path: &Path, from: u64) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let (mut at, mut bytes) = (from, vec![0; REFRESH_BYTES]);
        loop {
            let read = file.read_at(&mut bytes, at)?;
            if read == 0 {
                return Ok(());
            }
            file.write_all_at(&bytes[..read], at)?;
            at += read as u64;
        }
    }

    fn sync(&mut self, file: FileId) -> io::Result<()> {
        self.file(file)?.sync_data()
    }

    fn close(&mut self, file: FileId) {
        self.files.remove(&file);
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&mut self, dir: &Path) -> io::Result<bool> {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            made => made.map(|()| true),
        }
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn list(&mut self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::FsDisk;
    use crate::disk::Disk;
    use std::io::Read;
    use std::path::PathBuf;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tessera-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn appends_replaces_and_lists() {
        let folder = Folder::new("fsdisk");
        let mut disk = FsDisk::default();
        let path = folder.0.join("b.log");
        let file = disk.open_append(&path).unwrap();
        disk.append(file, b"one").unwrap();
        disk.sync(file).unwrap();
        disk.close(file);
        assert!(disk.append(file, b"x").is_err(), "closed");
        let again = disk.open_append(&path).unwrap();
        assert_ne!(again, file);
        disk.append(again, b"two").unwrap();
        assert_eq!(disk.read(&path).unwrap(), b"onetwo");
        disk.truncate(again, 5).unwrap();
        disk.refresh(&path, 2).unwrap();
        disk.append(again, b"!").unwrap();
        let mut source = disk.open_read(&path).unwrap();
        let mut text = String::new();
        source.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), disk.length(&path).unwrap()), ("onetw!", 6));
        assert!(!disk.create_dir(&folder.0).unwrap());

        let config = folder.0.join("a.conf");
        disk.replace(&config, b"first").unwrap();
        disk.replace(&config, b"second").unwrap();
        assert_eq!(disk.read(&config).unwrap(), b"second");
        std::fs::create_dir(folder.0.join("sub")).unwrap();
        assert_eq!(
            disk.list(&folder.0).unwrap(),
            [config.clone(), path],
            "files, in order"
        );
        disk.remove(&config).unwrap();
        assert_eq!(
            disk.read(&config).unwrap_err().kind(),
            std::io::ErrorKind::NotFound
        );
    }
}
