//! What a start finds: all files of the manifest, read once from end to end, and the last one cut behind its last whole unit.
//!
//! Only the end of the last file may be torn. What is cut off is kept in a file beside it. Everything else that is no record ends the start.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::LogError;
use super::folder::Folder;
use super::manifest::Manifest;
use super::reader::{Fault, Reader};

/// How an RDB file begins.
const RDB: &[u8] = b"REDIS";

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
    /// The base, if it is an RDB file.
    pub base: Option<PathBuf>,
    /// Files with records, in order; the base is the first if it has records.
    pub records: Vec<PathBuf>,
    /// What was cut off the last one.
    pub cut: Option<Cut>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes and blocks of the last file with records.
    pub(super) last: Option<(u64, u64)>,
}

/// Reads the manifest and all that it names. `None` if there is no log.
///
/// # Errors
/// What is wrong with which file; nothing has been changed then.
pub fn recover(folder: &Folder, truncates: bool) -> Result<Option<Recovered>, LogError> {
    let Some(manifest) = folder.manifest()? else {
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
        let about = fs::metadata(&path).map_err(|_| LogError::Missing {
            manifest: folder.manifest_path(),
            file: path.clone(),
        })?;
        recovered.bytes += about.len();
    }
    if let Some(part) = &manifest.base {
        let path = folder.file(&part.name);
        match is_rdb(&path)? {
            true => recovered.base = Some(path),
            false => {
                if let Some(offset) = check(&path)?.torn_at {
                    return Err(LogError::Torn { path, offset });
                }
                recovered.records.push(path);
            }
        }
    }
    for (index, part) in manifest.records.iter().enumerate() {
        let path = folder.file(&part.name);
        let is_last = index + 1 == manifest.records.len();
        let checked = check(&path)?;
        if let Some(offset) = checked.torn_at {
            if !is_last || !truncates {
                return Err(LogError::Torn { path, offset });
            }
            let cut = cut(&path, offset)?;
            recovered.bytes -= cut.bytes;
            recovered.cut = Some(cut);
        }
        recovered.last = Some((checked.length, checked.blocks));
        recovered.records.push(path);
    }
    recovered.manifest = manifest;
    Ok(Some(recovered))
}

fn is_rdb(path: &Path) -> Result<bool, LogError> {
    let mut magic = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(RDB.len() as u64).read_to_end(&mut magic));
    read.map_err(LogError::io("read the log's base", path))?;
    Ok(magic == RDB)
}

/// What a file is like.
struct Checked {
    length: u64,
    blocks: u64,
    torn_at: Option<u64>,
}

fn check(path: &Path) -> Result<Checked, LogError> {
    let mut reader = Reader::open(path)?;
    let fault = loop {
        match reader.step() {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(fault) => break Some(fault),
        }
    };
    let (offset, blocks) = (reader.good(), reader.blocks());
    let damaged = |why| LogError::Damaged {
        path: path.to_owned(),
        offset,
        why,
    };
    let failed = |cause| LogError::io("read the log", path)(cause);
    let torn_at = match fault {
        None => None,
        Some(Fault::Io(cause)) => return Err(failed(cause)),
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
        torn_at,
    })
}

/// Cuts a file and keeps what is cut off.
fn cut(path: &Path, offset: u64) -> Result<Cut, LogError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(LogError::io("open the log", path))?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".torn-{offset}"));
    let mut kept = PathBuf::from(&name);
    for number in 2.. {
        if !kept.exists() {
            break;
        }
        let mut other = name.clone();
        other.push(format!("-{number}"));
        kept = PathBuf::from(other);
    }
    let copied = file.seek(SeekFrom::Start(offset)).and_then(|_| {
        let mut copy = File::create(&kept)?;
        let bytes = std::io::copy(&mut file, &mut copy)?;
        copy.flush()?;
        copy.sync_all()?;
        Ok(bytes)
    });
    let bytes = copied.map_err(LogError::io("keep what is cut off in", &kept))?;
    let shortened = file.set_len(offset).and_then(|()| file.sync_all());
    shortened.map_err(LogError::io("cut", path))?;
    Ok(Cut {
        path: path.to_owned(),
        offset,
        bytes,
        kept,
    })
}
