//! The folder of a log, and how its files are named and replaced.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use tessera_io::Disk;

use super::block::LINE_BYTES;
use super::error::LogError;
use super::file::LogFile;
use super::manifest::{LogPart, Manifest, Role};

/// Bytes copied at once.
const COPY_BYTES: u64 = 1 << 20;
/// A base without keys is no longer.
const EMPTY_BASE_BYTES_MAX: u64 = 64;

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
    pub fn create(&self, disk: &mut dyn Disk) -> Result<(), LogError> {
        let made = disk.create_dir(&self.path);
        let is_new = made.map_err(LogError::io("create the folder", &self.path))?;
        match self.path.parent() {
            Some(parent) if is_new => sync(disk, parent),
            _ => Ok(()),
        }
    }

    /// Reads the manifest, if there is one.
    ///
    /// # Errors
    /// [`LogError::Io`] or [`LogError::Manifest`].
    pub fn manifest(&self, disk: &mut dyn Disk) -> Result<Option<Manifest>, LogError> {
        let path = self.manifest_path();
        let text = match disk.read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::io("read the manifest", &path)(error)),
        };
        match Manifest::parse(&text) {
            Ok(manifest) => Ok(Some(manifest)),
            Err((line, why)) => Err(LogError::Manifest { path, line, why }),
        }
    }

    /// Looks for what a log without a manifest may have held: nobody writes over that. A base that is a copy of the snapshot, or has nothing in it, and files of
    /// records without commands are what a start leaves that ended too soon; records without any base, what CONFIG SET leaves.
    ///
    /// # Errors
    /// [`LogError::Unlisted`] or [`LogError::Io`].
    pub fn refuse_unlisted(
        &self,
        disk: &mut dyn Disk,
        snapshot_bytes: Option<u64>,
    ) -> Result<(), LogError> {
        let found = match disk.list(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.map_err(LogError::io("read the folder", &self.path))?,
        };
        let (mut base, mut is_precious) = (None, false);
        for path in found {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some(rest) = name.strip_prefix(&self.name) else {
                continue;
            };
            let length = disk.length(&path);
            let length = length.map_err(LogError::io("read", &path))?;
            if rest.ends_with(".base.rdb") || rest.ends_with(".base.aof") {
                is_precious |= length > EMPTY_BASE_BYTES_MAX && snapshot_bytes != Some(length);
                base = Some(path);
            } else if rest.ends_with(".incr.aof") {
                is_precious |= length > LINE_BYTES as u64;
            }
        }
        match base {
            Some(file) if is_precious => Err(LogError::Unlisted {
                manifest: self.manifest_path(),
                file,
            }),
            _ => Ok(()),
        }
    }

    /// Puts a manifest in place of the old one, in one step that is on the disk afterwards.
    ///
    /// # Errors
    /// [`LogError::Io`]; the old one is in place then.
    pub fn replace_manifest(
        &self,
        disk: &mut dyn Disk,
        manifest: &Manifest,
    ) -> Result<(), LogError> {
        let path = self.manifest_path();
        let temporary = self.file(&format!("temp-{}.manifest", self.name));
        write(disk, &temporary, manifest.text().as_bytes())?;
        self.rename(disk, &temporary, &path)
    }

    /// Renames within the folder, on the disk afterwards.
    pub(super) fn rename(
        &self,
        disk: &mut dyn Disk,
        from: &Path,
        to: &Path,
    ) -> Result<(), LogError> {
        let renamed = disk.rename(from, to);
        renamed.map_err(LogError::io("put in place", to))?;
        sync(disk, &self.path)
    }

    /// Copies a file into the folder as its first base. The manifest is the caller's.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn adopt(
        &self,
        disk: &mut dyn Disk,
        snapshot: &Path,
        manifest: &mut Manifest,
    ) -> Result<(), LogError> {
        let failed = |cause| LogError::io("copy into the log", snapshot)(cause);
        let temporary = self.file(&self.unfinished_base().to_string_lossy());
        remove(disk, &temporary)?;
        let mut from = disk.open_read(snapshot).map_err(failed)?;
        let to = disk.open_append(&temporary).map_err(failed)?;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let piece = from.by_ref().take(COPY_BYTES).read_to_end(&mut bytes);
            let read = piece.map_err(failed)?;
            if read == 0 {
                break;
            }
            disk.append(to, &bytes).map_err(failed)?;
        }
        let synced = disk.sync(to);
        disk.close(to);
        synced.map_err(LogError::io("sync", &temporary))?;
        self.put_base(disk, &temporary, manifest)
    }

    /// The same with the bytes of a base.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn begin_with(
        &self,
        disk: &mut dyn Disk,
        bytes: &[u8],
        manifest: &mut Manifest,
    ) -> Result<(), LogError> {
        let temporary = self.file(&self.unfinished_base().to_string_lossy());
        write(disk, &temporary, bytes)?;
        self.put_base(disk, &temporary, manifest)
    }

    /// Puts a file that is on the disk in place as the base.
    fn put_base(
        &self,
        disk: &mut dyn Disk,
        temporary: &Path,
        manifest: &mut Manifest,
    ) -> Result<(), LogError> {
        let base = self.base(manifest.last_base + 1);
        self.rename(disk, temporary, &self.file(&base.name))?;
        manifest.last_base = base.number;
        manifest.base = Some(base);
        Ok(())
    }

    /// An empty file with records behind the base, and the manifest that names both.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn begin_records(
        &self,
        disk: &mut dyn Disk,
        manifest: &mut Manifest,
    ) -> Result<(), LogError> {
        let part = self.records(manifest.next_records());
        let mut file = LogFile::create(disk, &self.file(&part.name))?;
        file.mark(disk)?;
        file.close(disk);
        manifest.records.push(part);
        self.replace_manifest(disk, manifest)
    }

    /// Removes files that are not part of the log any more.
    pub(super) fn remove(&self, disk: &mut dyn Disk, parts: &[LogPart]) {
        for part in parts {
            let path = self.file(&part.name);
            if let Err(error) = remove(disk, &path) {
                tracing::warn!("{error}, which is not needed any more");
            }
        }
    }
}

/// Removes a file, if there is one.
pub(super) fn remove(disk: &mut dyn Disk, path: &Path) -> Result<(), LogError> {
    match disk.remove(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(LogError::io("remove", path)),
    }
}

/// Writes a file, which is on the disk afterwards.
fn write(disk: &mut dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    remove(disk, path)?;
    let file = disk
        .open_append(path)
        .map_err(LogError::io("write", path))?;
    let written = disk.append(file, bytes).and_then(|()| disk.sync(file));
    disk.close(file);
    written.map_err(LogError::io("write", path))
}

/// Makes what happened to names in a folder durable.
pub(super) fn sync(disk: &mut dyn Disk, path: &Path) -> Result<(), LogError> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    disk.sync_dir(path)
        .map_err(LogError::io("sync the folder", path))
}
