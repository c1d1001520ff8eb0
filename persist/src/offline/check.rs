//! Whether a snapshot is whole, and what can be kept of one that is not.

use std::fmt;
use std::path::{Path, PathBuf};

use super::repair;
use super::source::{Item, format_of, read};
use crate::rdb::Limits;
use crate::snapshot::Format;

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked {
    path: PathBuf,
    format: Format,
    /// Its keys.
    pub keys: u64,
    /// Its libraries of functions.
    pub functions: u64,
    /// What had to be cut off: how many bytes, and where they are kept.
    pub cut: Option<(u64, PathBuf)>,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match self.format {
            Format::Rdb => "RDB",
            Format::Native => "native",
        };
        let Self {
            path,
            keys,
            functions,
            ..
        } = self;
        write!(
            f,
            "{}: {format} snapshot, {keys} keys, {functions} libraries of functions: ",
            path.display()
        )?;
        match &self.cut {
            None => f.write_str("whole"),
            Some((bytes, kept)) => write!(
                f,
                "repaired; {bytes} bytes were cut off and are kept in {}",
                kept.display()
            ),
        }
    }
}

/// Checks a snapshot to its last byte. `fixes`: what is damaged is cut off, and kept in a file beside it.
///
/// # Errors
/// A line that says where it is damaged and what can be done.
pub fn check(path: &Path, fixes: bool, limits: Limits) -> Result<Checked, String> {
    let format = format_of(path)?;
    let count = |path: &Path| {
        let (mut keys, mut functions) = (0, 0);
        let read = read(path, format, limits, &mut |item| {
            match item {
                Item::Key(..) => keys += 1,
                Item::Function(_) => functions += 1,
            }
            Ok(())
        });
        read.map(|()| Checked {
            path: path.to_owned(),
            format,
            keys,
            functions,
            cut: None,
        })
    };
    let fault = match count(path) {
        Ok(checked) => return Ok(checked),
        Err(fault) => fault,
    };
    let said = format!(
        "{}: at byte {}: {}",
        path.display(),
        fault.offset,
        fault.text
    );
    if fault.is_strange {
        return Err(format!("{said}; nothing can be done about it here"));
    }
    if fault.is_everywhere {
        return Err(format!(
            "{said}: some byte is another one than was written, and nobody can tell which; restore it from a copy"
        ));
    }
    if !fixes {
        return Err(format!(
            "{said}; restore it from a copy, or keep what is whole of it: tessera-server check --fix"
        ));
    }
    let cut = match format {
        Format::Rdb => repair::cut_rdb(path, fault.offset),
        Format::Native => repair::cut_native(path),
    };
    let cut = cut.map_err(|error| format!("{said}; it cannot be repaired: {error}"))?;
    let checked = count(path).map_err(|fault| {
        format!(
            "{}: it was repaired, and is damaged still: at byte {}: {}; restore it from a copy",
            path.display(),
            fault.offset,
            fault.text
        )
    })?;
    Ok(Checked {
        cut: Some(cut),
        ..checked
    })
}
