//! A snapshot in another format.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::source::{Item, format_of, read};
use crate::rdb::Limits;
use crate::snapshot::{FileWriter, Format, Target};

/// Bytes written at once.
const WRITE_BYTES: usize = 1 << 20;

/// Writes what is in `from` to `to`, which is not there yet, in the format of `target`, or in the other one than it has. Returns how many keys there are.
///
/// # Errors
/// A line that says what is in the way, and what can be done.
pub fn convert(
    from: &Path,
    to: &Path,
    format: Option<Format>,
    limits: Limits,
    target: &Target,
) -> Result<(u64, Format), String> {
    if to.exists() {
        return Err(format!(
            "{} is there already; name another file",
            to.display()
        ));
    }
    let known = format_of(from)?;
    let format = format.unwrap_or(match known {
        Format::Rdb => Format::Native,
        Format::Native => Format::Rdb,
    });
    let target = Target {
        format,
        functions: Vec::new(),
        ..target.clone()
    };
    let temporary = PathBuf::from(format!("{}.part", to.display()));
    let written = write(from, known, &temporary, limits, &target);
    let outcome = written.and_then(|keys| {
        fs::rename(&temporary, to).map_err(|error| cannot_write(to, &error))?;
        Ok((keys, format))
    });
    if outcome.is_err() {
        // It may not be there at all; the error that is told is the first one.
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

fn write(
    from: &Path,
    known: Format,
    to: &Path,
    limits: Limits,
    target: &Target,
) -> Result<u64, String> {
    let failed = |error: io::Error| cannot_write(to, &error);
    let file = File::create(to).map_err(failed)?;
    let file = BufWriter::with_capacity(WRITE_BYTES, file);
    let mut writer = FileWriter::begin(file, target).map_err(failed)?;
    let mut keys = 0;
    let all = read(from, known, limits, &mut |item| match item {
        Item::Key(db, entry, usage) => {
            keys += 1;
            writer.key(db, &entry, usage).map_err(failed)
        }
        Item::Function(code) => writer.function(&code).map_err(failed),
    });
    all.map_err(|fault| {
        format!(
            "cannot convert {}: at byte {}: {}; tessera-server check --fix keeps what is whole of it",
            from.display(),
            fault.offset,
            fault.text
        )
    })?;
    let mut file = writer.end().map_err(failed)?;
    file.flush().map_err(failed)?;
    file.get_ref().sync_all().map_err(failed)?;
    Ok(keys)
}
