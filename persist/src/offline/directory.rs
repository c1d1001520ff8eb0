//! The folder of an append-only log: whether all of it is whole, the cut of its torn end, and a new one behind a snapshot.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use tessera_io::{Disk, FsDisk};

use super::check::{Checked, check};
use super::convert::convert;
use super::source::format_of;
use crate::log::{Cut, FileFigures, Folder, LogError, Manifest, Recovered, figures, recover};
use crate::rdb::Limits;
use crate::snapshot::{Format, Target};

/// How the name of a manifest ends.
const MANIFEST: &str = ".manifest";
/// Where a server has its log unless it is told otherwise.
const USUAL: &str = "appendonlydir";
/// How the files of a new log are called.
const NAME: &str = "appendonly.aof";

/// What a log holds.
#[derive(Debug)]
pub struct CheckedLog {
    path: PathBuf,
    /// Its base.
    pub base: Option<Checked>,
    /// What its files with records hold together.
    pub figures: FileFigures,
    /// Its files with records.
    pub files: usize,
    /// What had to be cut off.
    pub cut: Option<Cut>,
}

impl fmt::Display for CheckedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(base) = &self.base {
            writeln!(f, "{base}")?;
        }
        let FileFigures {
            bytes,
            blocks,
            commands,
        } = self.figures;
        write!(
            f,
            "{}: append-only log, {} files with records, {bytes} bytes, {blocks} blocks, {commands} commands: ",
            self.path.display(),
            self.files
        )?;
        match &self.cut {
            None => f.write_str("whole"),
            Some(cut) => write!(
                f,
                "repaired; {} ends at byte {} now, and the {} bytes behind are kept in {}",
                cut.path.display(),
                cut.offset,
                cut.bytes,
                cut.kept.display()
            ),
        }
    }
}

/// The log that a path means: the folder itself, or the one in a server's folder.
///
/// # Errors
/// A line that says why there is none.
pub fn log_of(path: &Path) -> Result<Folder, String> {
    for place in [path.to_owned(), path.join(USUAL)] {
        let Ok(entries) = fs::read_dir(&place) else {
            continue;
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        let is_one = |name: &String| name.ends_with(MANIFEST) && !name.starts_with("temp-");
        let found: Vec<String> = names.filter(is_one).collect();
        match found.as_slice() {
            [] => {}
            [name] => {
                return Ok(Folder {
                    path: place,
                    name: name.trim_end_matches(MANIFEST).to_owned(),
                });
            }
            _ => {
                return Err(format!(
                    "{} has several manifests; leave the one of the log that is meant",
                    place.display()
                ));
            }
        }
    }
    Err(format!(
        "{} has no manifest of an append-only log; name the folder that has one, or a snapshot file",
        path.display()
    ))
}

/// Checks a log to its last byte: manifest, base, every block. `fixes`: a torn end is cut off, and kept in a file beside it.
///
/// # Errors
/// A line that says what is damaged, where, and what can be done.
pub fn check_log(path: &Path, fixes: bool, limits: Limits) -> Result<CheckedLog, String> {
    let folder = log_of(path)?;
    let disk = &mut FsDisk::default();
    let found = recover(disk, &folder, fixes).map_err(|error| match error {
        LogError::Torn { path, offset } => format!(
            "the log {} ends within a record that begins at byte {offset}; a start cuts it there, and so does tessera-server check --fix",
            path.display()
        ),
        error => error.to_string(),
    })?;
    let Some(Recovered {
        base, records, cut, ..
    }) = found
    else {
        return Err(format!("{} has no log", path.display()));
    };
    let base = base.map(|base| check(&base, false, limits)).transpose()?;
    let mut sum = FileFigures::default();
    for path in &records {
        let figures = figures(disk, path).map_err(|error| error.to_string())?;
        sum.bytes += figures.bytes;
        sum.blocks += figures.blocks;
        sum.commands += figures.commands;
    }
    Ok(CheckedLog {
        path: folder.path,
        base,
        figures: sum,
        files: records.len(),
        cut,
    })
}

/// Makes a log, in a folder that is not there yet, whose base is a snapshot. Returns how many keys there are.
///
/// # Errors
/// A line that says what is in the way.
pub fn begin_log(from: &Path, to: &Path, limits: Limits, target: &Target) -> Result<u64, String> {
    if to.exists() {
        return Err(format!(
            "{} is there already; name another folder",
            to.display()
        ));
    }
    let checked = check(from, false, limits)?;
    let folder = Folder {
        path: to.to_owned(),
        name: NAME.to_owned(),
    };
    let disk = &mut FsDisk::default();
    let told = |error: LogError| error.to_string();
    folder.create(disk).map_err(told)?;
    let outcome = fill(&folder, disk, from, limits, target);
    if outcome.is_err() {
        // The error that is told is the first one.
        let _ = fs::remove_dir_all(to);
    }
    outcome.map(|()| checked.keys)
}

fn fill(
    folder: &Folder,
    disk: &mut FsDisk,
    from: &Path,
    limits: Limits,
    target: &Target,
) -> Result<(), String> {
    let told = |error: LogError| error.to_string();
    let mut manifest = Manifest::default();
    if format_of(from)? == Format::Rdb {
        folder.adopt(disk, from, &mut manifest).map_err(told)?;
    } else {
        // redis-server is to read the folder, too.
        let temporary = folder.file("temp-converted.rdb");
        convert(from, &temporary, Some(Format::Rdb), limits, target)?;
        folder
            .adopt(disk, &temporary, &mut manifest)
            .map_err(told)?;
        disk.remove(&temporary)
            .map_err(|error| format!("cannot remove {}: {error}", temporary.display()))?;
    }
    folder.begin_records(disk, &mut manifest).map_err(told)
}
