//! A snapshot of either format, key by key.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use tessera_core::entry::Entry;
use tessera_io::Mapped;

use crate::native::{ChunkKind, NativeFile, Taken, Taker, is_native};
use crate::rdb::{FileReader, Key, Limits, RdbError, Record, Usage};
use crate::snapshot::Format;

/// Bytes that tell the format.
const MAGIC_BYTES: u64 = 16;
/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// What a file holds.
pub(super) enum Item {
    /// A key of this database.
    Key(usize, Entry, Usage),
    /// The source of a library of functions.
    Function(Vec<u8>),
}

/// Where a file is wrong, and how.
pub(super) struct Fault {
    pub(super) offset: u64,
    pub(super) text: String,
    /// It can be read up to its end, but is not what was written, and nobody can tell where.
    pub(super) is_everywhere: bool,
    /// It is no snapshot, or one of a newer server.
    pub(super) is_strange: bool,
}

impl Fault {
    pub(super) fn at(offset: u64, text: impl ToString) -> Self {
        Self {
            offset,
            text: text.to_string(),
            is_everywhere: false,
            is_strange: false,
        }
    }

    fn rdb(offset: u64, error: &RdbError) -> Self {
        Self {
            is_everywhere: matches!(error, RdbError::Checksum),
            is_strange: matches!(error, RdbError::Foreign | RdbError::Version(_)),
            ..Self::at(offset, error)
        }
    }
}

/// The format of a file.
pub(super) fn format_of(path: &Path) -> Result<Format, String> {
    let mut magic = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC_BYTES).read_to_end(&mut magic));
    read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(if is_native(&magic) {
        Format::Native
    } else {
        Format::Rdb
    })
}

/// Reads a file to its end. `visit` may say what went wrong on its side.
pub(super) fn read(
    path: &Path,
    format: Format,
    limits: Limits,
    visit: &mut dyn FnMut(Item) -> Result<(), String>,
) -> Result<(), Fault> {
    let mut file = File::open(path).map_err(|error| Fault::at(0, error))?;
    file.rewind().map_err(|error| Fault::at(0, error))?;
    match format {
        Format::Rdb => read_rdb(file, limits, visit),
        Format::Native => read_native(&file, limits, visit),
    }
}

fn read_rdb(
    file: File,
    limits: Limits,
    visit: &mut dyn FnMut(Item) -> Result<(), String>,
) -> Result<(), Fault> {
    let total = file.metadata().map_or(0, |metadata| metadata.len());
    let source = BufReader::with_capacity(READ_BYTES, file);
    // The time 0: what has expired is still there.
    let mut reader = FileReader::new(source, limits, 0).map_err(|error| Fault::rdb(0, &error))?;
    reader = reader.with_total(total);
    let mut db = 0;
    loop {
        let at = reader.offset();
        let record = reader
            .next_record()
            .map_err(|error| Fault::rdb(at, &error))?;
        let item = match record {
            None => return Ok(()),
            Some(Record::Database(number)) => {
                db = usize::try_from(number).map_err(|error| Fault::at(at, error))?;
                continue;
            }
            Some(Record::Key(key)) => {
                match item_of(db, *key).map_err(|text| Fault::at(at, text))? {
                    Some(item) => item,
                    None => continue,
                }
            }
            Some(Record::Function(code)) => Item::Function(code),
            Some(Record::Sizes(..) | Record::About(..)) => continue,
        };
        visit(item).map_err(|text| Fault::at(at, text))?;
    }
}

fn item_of(db: usize, key: Key) -> Result<Option<Item>, &'static str> {
    let Some(value) = key.value else {
        return Ok(None);
    };
    let usage = match (key.idle_s, key.frequency) {
        (_, Some(frequency)) => Usage::Frequency(frequency),
        (Some(idle_s), None) => Usage::Idle(u32::try_from(idle_s).unwrap_or(u32::MAX)),
        (None, None) => Usage::Unknown,
    };
    let entry = value.into_entry(&key.name, key.expire_at);
    let entry = entry.map_err(|_| "there is no memory for it")?;
    Ok(Some(Item::Key(db, entry, usage)))
}

fn read_native(
    file: &File,
    limits: Limits,
    visit: &mut dyn FnMut(Item) -> Result<(), String>,
) -> Result<(), Fault> {
    let mapped = Mapped::of(file).map_err(|error| Fault::at(0, error))?;
    let mut native = NativeFile::open(&mapped).map_err(|error| Fault {
        is_strange: matches!(
            error,
            crate::native::NativeError::Foreign | crate::native::NativeError::Version(_)
        ),
        ..Fault::at(0, error)
    })?;
    let mut taker = Taker::new(limits, 0);
    let mut library = Vec::new();
    loop {
        let at = native.offset() as u64;
        let chunk = native.next_chunk().map_err(|error| Fault::at(at, error))?;
        let Some(chunk) = chunk else { break };
        if chunk.head.kind == ChunkKind::Function {
            library.extend_from_slice(chunk.body);
            if chunk.head.is_last {
                let code = std::mem::take(&mut library);
                visit(Item::Function(code)).map_err(|text| Fault::at(at, text))?;
            }
            continue;
        }
        let mut refused = Ok(());
        let mut put = |taken: Taken| {
            if refused.is_ok() {
                refused = visit(Item::Key(taken.db as usize, taken.entry, taken.usage));
            }
        };
        let all = taker.take(&chunk, 0, usize::MAX, &|_| true, &mut put);
        all.map_err(|error| Fault::at(at, error))?;
        refused.map_err(|text| Fault::at(at, text))?;
    }
    if !taker.is_whole() {
        let at = native.offset() as u64;
        return Err(Fault::at(at, "the end of a large value is missing"));
    }
    Ok(())
}
