//! The folder of a log, and how its files are named and replaced.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::error::LogError;
use super::manifest::{LogPart, Manifest, Role};

/// A folder of the configuration: `dir`/`appenddirname`, and `appendfilename`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// How the files' names begin.
    pub name: String,
}

impl Folder {
    /// Where a file is.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the manifest is.
    #[must_use]
    pub fn manifest_path(&self) -> PathBuf {
        self.file(&format!("{}.manifest", self.name))
    }

    pub(super) fn records(&self, number: u64) -> LogPart {
        LogPart {
            name: format!("{}.{number}.incr.aof", self.name),
            number,
            role: Role::Records,
        }
    }

    pub(super) fn base(&self, number: u64) -> LogPart {
        LogPart {
            name: format!("{}.{number}.base.rdb", self.name),
            number,
            role: Role::Base,
        }
    }

    /// The name under which a new base is written before it is one.
    #[must_use]
    pub fn unfinished_base(&self) -> PathBuf {
        PathBuf::from(format!("temp-{}.base.rdb", self.name))
    }

    /// Makes the folder if there is none.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn create(&self) -> Result<(), LogError> {
        match fs::create_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(LogError::io("create the folder", &self.path)(error)),
            Ok(()) => match self.path.parent() {
                Some(parent) => sync(parent),
                None => Ok(()),
            },
        }
    }

    /// Reads the manifest, if there is one.
    ///
    /// # Errors
    /// [`LogError::Io`] or [`LogError::Manifest`].
    pub fn manifest(&self) -> Result<Option<Manifest>, LogError> {
        let path = self.manifest_path();
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::io("read the manifest", &path)(error)),
        };
        match Manifest::parse(&text) {
            Ok(manifest) => Ok(Some(manifest)),
            Err((line, why)) => Err(LogError::Manifest { path, line, why }),
        }
    }

    /// Puts a manifest in place of the old one, in one step that is on the disk afterwards.
    ///
    /// # Errors
    /// [`LogError::Io`]; the old one is in place then.
    pub fn replace_manifest(&self, manifest: &Manifest) -> Result<(), LogError> {
        let path = self.manifest_path();
        let temporary = self.file(&format!("temp-{}.manifest", self.name));
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(manifest.text().as_bytes())?;
            file.sync_all()
        });
        written.map_err(LogError::io("write the manifest", &temporary))?;
        self.rename(&temporary, &path)
    }

    /// Renames within the folder, on the disk afterwards.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), LogError> {
        fs::rename(from, to).map_err(LogError::io("put in place", to))?;
        sync(&self.path)
    }

    /// Copies a file into the folder as its first base. The manifest is the caller's.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn adopt(&self, snapshot: &Path, manifest: &mut Manifest) -> Result<(), LogError> {
        let temporary = self.file(&self.unfinished_base().to_string_lossy());
        fs::copy(snapshot, &temporary).map_err(LogError::io("copy into the log", snapshot))?;
        self.put_base(&temporary, manifest)
    }

    /// The same with the bytes of a base.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn begin_with(&self, bytes: &[u8], manifest: &mut Manifest) -> Result<(), LogError> {
        let temporary = self.file(&self.unfinished_base().to_string_lossy());
        fs::write(&temporary, bytes).map_err(LogError::io("write", &temporary))?;
        self.put_base(&temporary, manifest)
    }

    fn put_base(&self, temporary: &Path, manifest: &mut Manifest) -> Result<(), LogError> {
        let synced = File::open(temporary).and_then(|file| file.sync_all());
        synced.map_err(LogError::io("sync", temporary))?;
        let base = self.base(manifest.last_base + 1);
        self.rename(temporary, &self.file(&base.name))?;
        manifest.last_base = base.number;
        manifest.base = Some(base);
        Ok(())
    }

    /// Removes files that are not part of the log any more.
    pub(super) fn remove(&self, parts: &[LogPart]) {
        for part in parts {
            let path = self.file(&part.name);
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(
                    "Cannot remove {}, which is not needed any more: {error}",
                    path.display()
                );
            }
        }
    }
}

/// Makes what happened to names in a folder durable.
fn sync(path: &Path) -> Result<(), LogError> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(LogError::io("sync the folder", path))
}
