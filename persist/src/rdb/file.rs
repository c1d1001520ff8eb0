//! Whole files: header, marks, keys, checksum.

use std::io::BufRead;

use tessera_core::entry::Entry;

use super::encoder::{Encoder, put_length};
use super::error::RdbError;
use super::input::Input;
use super::kind;
use super::limits::Limits;
use super::reader::ValueReader;
use super::value::Value;
use super::writer::ValueWriter;

/// Before the version's four digits.
const MAGIC: &[u8; 5] = b"REDIS";
/// The first version with a checksum.
const SUMMED_FROM: u16 = 5;

/// A key of a file.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: Vec<u8>,
    /// When its time ends, milliseconds since the Unix epoch.
    pub expire_at: Option<u64>,
    /// How long it had not been used, seconds.
    pub idle_s: Option<u64>,
    /// How often it had been used, as OBJECT FREQ tells it.
    pub frequency: Option<u8>,
    /// Its value; `None` if it has no elements, so that there is no such key.
    pub value: Option<Value>,
}

/// How a key has been used, as far as a policy asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// Nobody asks.
    #[default]
    Unknown,
    /// Seconds since it was last used.
    Idle(u32),
    /// How often it has been used, as OBJECT FREQ tells it.
    Frequency(u8),
}

/// What a file holds.
#[derive(Debug)]
pub enum Record {
    /// The keys that follow are of this database.
    Database(u64),
    /// The database has so many keys, so many of them with a time: a hint.
    Sizes(u64, u64),
    /// A key.
    Key(Box<Key>),
    /// A library of functions: its source.
    Function(Vec<u8>),
    /// Something about the file.
    About(Vec<u8>, Vec<u8>),
}

/// Reads a file.
pub struct FileReader<R> {
    input: Input<R>,
    limits: Limits,
    now_ms: u64,
    version: u16,
}

impl<R: BufRead> FileReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// See [`RdbError`].
    pub fn new(from: R, limits: Limits, now_ms: u64) -> Result<Self, RdbError> {
        let mut input = Input::summed(from);
        let header: [u8; 9] = match input.array() {
            Ok(header) => header,
            Err(RdbError::Truncated) => return Err(RdbError::Foreign),
            Err(error) => return Err(error),
        };
        let version = std::str::from_utf8(&header[5..])
            .ok()
            .and_then(|digits| digits.parse().ok())
            .filter(|_| header.starts_with(MAGIC))
            .ok_or(RdbError::Foreign)?;
        if !(1..=kind::VERSION_MAX).contains(&version) {
            return Err(RdbError::Version(version));
        }
        Ok(Self {
            input,
            limits,
            now_ms,
            version,
        })
    }

    /// The file has so many bytes.
    #[must_use]
    pub fn with_total(self, total: u64) -> Self {
        Self {
            input: self.input.with_total(total),
            ..self
        }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The next record; `None` at the end, when the checksum was right.
    ///
    /// # Errors
    /// See [`RdbError`].
    pub fn next_record(&mut self) -> Result<Option<Record>, RdbError> {
        let (mut expire_at, mut idle_s, mut frequency) = (None, None, None);
        let input = &mut self.input;
        loop {
            let record = match input.byte()? {
                kind::EXPIRE_MS => {
                    expire_at = Some(input.u64()?);
                    continue;
                }
                kind::EXPIRE_S => {
                    expire_at = Some(u64::from(u32::from_le_bytes(input.array()?)) * 1000);
                    continue;
                }
                kind::IDLE => {
                    idle_s = Some(input.count()?);
                    continue;
                }
                kind::FREQ => {
                    frequency = Some(input.byte()?);
                    continue;
                }
                kind::SLOT_INFO => {
                    for _ in 0..3 {
                        input.count()?;
                    }
                    continue;
                }
                kind::MODULE_AUX => {
                    skip_module(input)?;
                    continue;
                }
                kind::AUX => Record::About(input.string()?, input.string()?),
                kind::RESIZE_DB => Record::Sizes(input.count()?, input.count()?),
                kind::SELECT_DB => Record::Database(input.count()?),
                kind::FUNCTION_2 => Record::Function(input.string()?),
                kind::FUNCTION_PRE_GA => {
                    return Err(RdbError::Corrupt("functions of a version before 7.0"));
                }
                kind::EOF => return self.check_sum().map(|()| None),
                kind => {
                    let name = input.string()?;
                    let value = match ValueReader::read(kind, input, self.limits, self.now_ms) {
                        Ok(value) => Some(value),
                        Err(RdbError::Empty) => None,
                        Err(error) => return Err(error),
                    };
                    Record::Key(Box::new(Key {
                        name,
                        expire_at,
                        idle_s,
                        frequency,
                        value,
                    }))
                }
            };
            return Ok(Some(record));
        }
    }

    fn check_sum(&mut self) -> Result<(), RdbError> {
        if self.version < SUMMED_FROM {
            return Ok(());
        }
        let sum = self.input.sum();
        match self.input.u64()? {
            0 => Ok(()),
            stated if stated == sum => Ok(()),
            _ => Err(RdbError::Checksum),
        }
    }
}

/// Passes over what a module has left beside its keys.
fn skip_module<R: BufRead>(input: &mut Input<R>) -> Result<(), RdbError> {
    input.count()?; // the module's id
    loop {
        match input.count()? {
            0 => return Ok(()),
            1 | 2 => _ = input.count()?,
            3 => _ = input.array::<4>()?,
            4 => _ = input.array::<8>()?,
            5 => _ = input.string()?,
            _ => return Err(RdbError::Corrupt("an unknown part of a module's data")),
        }
    }
}

/// Writes what stands at the beginning of a file.
pub fn file_header(about: &[(&str, &str)], out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(format!("{:04}", kind::VERSION).as_bytes());
    let mut encoder = Encoder::new(false);
    for (name, value) in about {
        out.push(kind::AUX);
        encoder.string(name.as_bytes(), out);
        encoder.string(value.as_bytes(), out);
    }
}

/// Writes a library of functions.
pub fn write_function(code: &[u8], out: &mut Vec<u8>) {
    out.push(kind::FUNCTION_2);
    Encoder::new(false).string(code, out);
}

/// Says that the keys which follow are of this database.
pub fn select_database(db: usize, out: &mut Vec<u8>) {
    out.push(kind::SELECT_DB);
    put_length(db as u64, out);
}

/// Writes a key with its value.
pub fn write_key(entry: &Entry, usage: Usage, encoder: &mut Encoder, out: &mut Vec<u8>) {
    write_key_head(entry, usage, encoder, out);
    ValueWriter::write(entry, encoder, out);
}

/// Writes what stands before a key's value.
pub fn write_key_head(entry: &Entry, usage: Usage, encoder: &mut Encoder, out: &mut Vec<u8>) {
    if let Some(at_ms) = entry.expire_at() {
        out.push(kind::EXPIRE_MS);
        out.extend_from_slice(&at_ms.to_le_bytes());
    }
    match usage {
        Usage::Unknown => {}
        Usage::Idle(idle_s) => {
            out.push(kind::IDLE);
            put_length(idle_s.into(), out);
        }
        Usage::Frequency(frequency) => out.extend_from_slice(&[kind::FREQ, frequency]),
    }
    out.push(ValueWriter::kind(entry));
    encoder.string(entry.key(), out);
}

/// Writes the mark of the end. The checksum of all bytes up to here follows it, eight bytes, little-endian; 0 is none.
pub fn file_footer(out: &mut Vec<u8>) {
    out.push(kind::EOF);
}
