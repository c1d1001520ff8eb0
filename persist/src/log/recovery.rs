//! What a start finds: all files of the manifest, read once from end to end, and the last one cut behind its last whole unit.
//!
//! Only the end of the last file may be torn. What is cut off is kept in a file beside it. Everything else that is no record ends the start.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tessera_io::Disk;

use super::error::LogError;
use super::folder::{Folder, sync};
use super::manifest::Manifest;
use super::reader::{Fault, Reader};
use crate::native::is_native;

/// How an RDB file begins.
const RDB: &[u8] = b"REDIS";
/// Bytes that tell what a base is.
const MAGIC_BYTES: u64 = 16;
/// Bytes copied at once.
const COPY_BYTES: u64 = 1 << 20;

/// What was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub path: PathBuf,
    /// Where it ends now.
    pub offset: u64,
    /// How many bytes were behind.
    pub bytes: u64,
    /// The file that has them.
    pub kept: PathBuf,
}

/// A log that can be read.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The manifest.
    pub manifest: Manifest,
    /// The base, if it is a snapshot.
    pub base: Option<PathBuf>,
    /// Files with records, in order; the base is the first if it has records.
    pub records: Vec<PathBuf>,
    /// What was cut off the last one.
    pub cut: Option<Cut>,
    /// Bytes of all files.
    pub bytes: u64,
    /// The last file with records.
    pub(super) last: Option<Checked>,
}

/// Reads the manifest and all that it names. `None` if there is no log.
///
/// # Errors
/// What is wrong with which file; nothing has been changed then.
pub fn recover(
    disk: &mut dyn Disk,
    folder: &Folder,
    truncates: bool,
) -> Result<Option<Recovered>, LogError> {
    let Some(manifest) = folder.manifest(disk)? else {
        let old = folder
            .path
            .parent()
            .unwrap_or(Path::new(""))
            .join(&folder.name);
        return match old.is_file() {
            true => Err(LogError::Old { path: old }),
            false => Ok(None),
        };
    };
    let mut recovered = Recovered::default();
    for part in manifest.base.iter().chain(&manifest.records) {
        let path = folder.file(&part.name);
        let length = disk.length(&path).map_err(|_| LogError::Missing {
            manifest: folder.manifest_path(),
            file: path.clone(),
        })?;
        recovered.bytes += length;
    }
    if let Some(part) = &manifest.base {
        let path = folder.file(&part.name);
        match is_snapshot(disk, &path)? {
            true => recovered.base = Some(path),
            false => {
                if let Some(offset) = check(disk, &path)?.torn_at {
                    let why = "the base ends within a record";
                    return Err(LogError::Damaged { path, offset, why });
                }
                recovered.records.push(path);
            }
        }
    }
    for (index, part) in manifest.records.iter().enumerate() {
        let path = folder.file(&part.name);
        let is_last = index + 1 == manifest.records.len();
        let checked = check(disk, &path)?;
        if let Some(offset) = checked.torn_at {
            if !is_last {
                let why = "it ends within a record, and another file follows";
                return Err(LogError::Damaged { path, offset, why });
            }
            if !truncates {
                return Err(LogError::Torn { path, offset });
            }
            let cut = cut(disk, &path, offset)?;
            recovered.bytes -= cut.bytes;
            recovered.cut = Some(cut);
        }
        recovered.last = Some(checked);
        recovered.records.push(path);
    }
    recovered.manifest = manifest;
    Ok(Some(recovered))
}

fn is_snapshot(disk: &mut dyn Disk, path: &Path) -> Result<bool, LogError> {
    let mut magic = Vec::new();
    let read = disk
        .open_read(path)
        .and_then(|file| file.take(MAGIC_BYTES).read_to_end(&mut magic));
    read.map_err(LogError::io("read the log's base", path))?;
    Ok(magic.starts_with(RDB) || is_native(&magic))
}

/// What a file is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    /// Bytes, without what has to be cut off.
    pub(super) length: u64,
    pub(super) blocks: u64,
    pub(super) commands: u64,
    /// From here on nothing in the file says that it was on the disk.
    pub(super) doubtful: u64,
    pub(super) torn_at: Option<u64>,
}

/// What a file with records holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileFigures {
    /// Its length.
    pub bytes: u64,
    /// Blocks with checksums.
    pub blocks: u64,
    /// Commands in blocks and outside.
    pub commands: u64,
}

/// Reads a file that has been recovered from end to end.
///
/// # Errors
/// What is wrong with it, and where.
pub fn figures(disk: &mut dyn Disk, path: &Path) -> Result<FileFigures, LogError> {
    let checked = check(disk, path)?;
    Ok(FileFigures {
        bytes: checked.length,
        blocks: checked.blocks,
        commands: checked.commands,
    })
}

/// Reads a file from end to end.
pub(super) fn check(disk: &mut dyn Disk, path: &Path) -> Result<Checked, LogError> {
    let mut reader = Reader::open_on(disk, path)?;
    let mut commands = 0;
    let fault = loop {
        match reader.step() {
            Ok(Some(_)) => commands += 1,
            Ok(None) => break None,
            Err(fault) => break Some(fault),
        }
    };
    let (offset, blocks, doubtful) = (reader.good(), reader.blocks(), reader.doubtful());
    let damaged = |why| LogError::Damaged {
        path: path.to_owned(),
        offset,
        why,
    };
    let failed = |cause| LogError::io("read the log", path)(cause);
    let torn_at = match fault {
        None => None,
        Some(Fault::Io(cause)) => return Err(failed(cause)),
        Some(Fault::Newer(version)) => {
            let path = path.to_owned();
            // Whose later blocks are of our version has only lost a bit.
            if reader.has_blocks().map_err(failed)? {
                return Err(damaged("a block's line makes no sense"));
            }
            return Err(LogError::Newer { path, version });
        }
        Some(Fault::Malformed(why)) => return Err(damaged(why)),
        Some(Fault::Cut) => Some(offset),
        Some(Fault::Block(why)) => {
            let is_ours = blocks > 0
                || reader.says_block(offset).map_err(failed)?
                || reader.is_zero_from(offset).map_err(failed)?;
            let is_old = reader.has_witness(offset, blocks).map_err(failed)?;
            if !is_ours || is_old {
                return Err(damaged(why));
            }
            Some(offset)
        }
    };
    Ok(Checked {
        length: torn_at.unwrap_or(reader.length()),
        blocks,
        commands,
        doubtful,
        torn_at,
    })
}

/// Cuts a file and keeps what is cut off.
pub(super) fn cut(disk: &mut dyn Disk, path: &Path, offset: u64) -> Result<Cut, LogError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".torn-{offset}"));
    let mut kept = PathBuf::from(&name);
    for number in 2.. {
        if disk.length(&kept).is_err() {
            break;
        }
        let mut other = name.clone();
        other.push(format!("-{number}"));
        kept = PathBuf::from(other);
    }
    let bytes = copy_tail(disk, path, offset, &kept)
        .map_err(LogError::io("keep what is cut off in", &kept))?;
    if let Some(folder) = path.parent() {
        sync(disk, folder)?;
    }
    let cut = disk.open_append(path).and_then(|file| {
        let cut = disk.truncate(file, offset).and_then(|()| disk.sync(file));
        disk.close(file);
        cut
    });
    cut.map_err(LogError::io("cut", path))?;
    Ok(Cut {
        path: path.to_owned(),
        offset,
        bytes,
        kept,
    })
}

fn copy_tail(disk: &mut dyn Disk, path: &Path, offset: u64, kept: &Path) -> std::io::Result<u64> {
    let mut source = disk.open_read(path)?;
    source.seek(SeekFrom::Start(offset))?;
    let copy = disk.open_append(kept)?;
    let (mut total, mut bytes) = (0, Vec::new());
    loop {
        bytes.clear();
        let read = source.by_ref().take(COPY_BYTES).read_to_end(&mut bytes)?;
        if read == 0 {
            break;
        }
        disk.append(copy, &bytes)?;
        total += read as u64;
    }
    let synced = disk.sync(copy);
    disk.close(copy);
    synced.map(|()| total)
}
