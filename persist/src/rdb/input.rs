//! The bytes that are read: lengths, integers, strings.
//!
//! Owns [`Input`]. Invariants: `offset` is the number of bytes taken; the checksum, if there is one, is that of all of them; a buffer grows with what has
//! really come, so that a length that lies costs nothing.

use std::io::BufRead;

use tessera_core::entry::{Entry, StrValue};

use super::error::RdbError;
use super::kind;
use super::value::Value;
use crate::crc::{Checksum, checksum};
use crate::lzf;

/// A buffer grows by this at most before the bytes for it have come.
const STEP_BYTES: usize = 1 << 20;
/// The longest string: what a client could have sent.
const STRING_BYTES_MAX: u64 = u32::MAX as u64;

/// A length, or the mark of another form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Count(u64),
    Form(u8),
}

/// See the head of this file.
pub struct Input<R> {
    from: R,
    offset: u64,
    checksum: Option<Checksum>,
    /// Bytes that there are; 0 if nobody knows.
    total: u64,
}

impl<R: BufRead> Input<R> {
    /// Bytes without a checksum of their own.
    pub fn new(from: R) -> Self {
        Self {
            from,
            offset: 0,
            checksum: None,
            total: 0,
        }
    }

    /// Bytes whose checksum will be asked for.
    pub fn summed(from: R) -> Self {
        Self {
            checksum: Some(checksum()),
            ..Self::new(from)
        }
    }

    /// There are so many bytes: what is announced and must be there gets its memory at once.
    #[must_use]
    pub fn with_total(self, total: u64) -> Self {
        Self { total, ..self }
    }

    fn has(&self, more: u64) -> bool {
        self.offset.saturating_add(more) <= self.total
    }

    /// A string that is read into its place.
    fn long(&mut self, length: u64) -> Result<Value, RdbError> {
        let refused = |_| RdbError::OutOfMemory;
        let mut entry = Entry::try_new(b"", StrValue::Bytes(b""), None).map_err(refused)?;
        entry.reserve(length as usize).map_err(refused)?;
        let mut left = length;
        let mut step = vec![0; STEP_BYTES];
        while left > 0 {
            let bytes = &mut step[..left.min(STEP_BYTES as u64) as usize];
            self.fill(bytes)?;
            entry.append(bytes).map_err(refused)?;
            left -= bytes.len() as u64;
        }
        Ok(Value::Long(entry))
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The checksum of all bytes taken so far; 0 if none was asked for.
    pub(super) fn sum(&self) -> u64 {
        self.checksum
            .as_ref()
            .map_or(0, |sum| sum.clone().finalize())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RdbError> {
        self.from.read_exact(bytes)?;
        self.offset += bytes.len() as u64;
        if let Some(sum) = &mut self.checksum {
            sum.update(bytes);
        }
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RdbError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A number of eight bytes: a time in milliseconds, a checksum, the bits of a double.
    pub(super) fn u64(&mut self) -> Result<u64, RdbError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn length(&mut self) -> Result<Length, RdbError> {
        let first = self.byte()?;
        let low = u64::from(first & 0x3F);
        Ok(Length::Count(match first & 0xC0 {
            0 => low,
            kind::LENGTH_14 => low << 8 | u64::from(self.byte()?),
            kind::FORM => return Ok(Length::Form(first & 0x3F)),
            _ => match first {
                kind::LENGTH_32 => u32::from_be_bytes(self.array()?).into(),
                kind::LENGTH_64 => u64::from_be_bytes(self.array()?),
                _ => return Err(RdbError::Corrupt("an unknown form of a length")),
            },
        }))
    }

    /// A length that has to be one.
    pub(super) fn count(&mut self) -> Result<u64, RdbError> {
        match self.length()? {
            Length::Count(count) => Ok(count),
            Length::Form(_) => Err(RdbError::Corrupt(
                "a string stands where a length should be",
            )),
        }
    }

    pub(super) fn bytes(&mut self, length: u64) -> Result<Vec<u8>, RdbError> {
        if length > STRING_BYTES_MAX {
            return Err(RdbError::Corrupt("a string is longer than any can be"));
        }
        let length = length as usize;
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let start = bytes.len();
            // Doubling, so that what has come is not copied again and again.
            let more = (length - start).min(start.max(STEP_BYTES));
            bytes
                .try_reserve_exact(more)
                .map_err(|_| RdbError::OutOfMemory)?;
            bytes.resize(start + more, 0);
            self.fill(&mut bytes[start..])?;
        }
        Ok(bytes)
    }

    fn form(&mut self, form: u8) -> Result<Value, RdbError> {
        Ok(match form {
            kind::FORM_INT_8 => Value::Int(i8::from_le_bytes(self.array()?).into()),
            kind::FORM_INT_16 => Value::Int(i16::from_le_bytes(self.array()?).into()),
            kind::FORM_INT_32 => Value::Int(i32::from_le_bytes(self.array()?).into()),
            kind::FORM_LZF => {
                let (packed, length) = (self.count()?, self.count()?);
                let length =
                    usize::try_from(length.min(STRING_BYTES_MAX + 1)).unwrap_or(usize::MAX);
                let packed = self.bytes(packed)?;
                let bytes = lzf::decompress(&packed, length)
                    .ok_or(RdbError::Corrupt("a compressed string cannot be expanded"))?;
                Value::Bytes(bytes)
            }
            _ => return Err(RdbError::Corrupt("an unknown form of a string")),
        })
    }

    /// A string in the form in which it is kept.
    pub(super) fn value(&mut self) -> Result<Value, RdbError> {
        match self.length()? {
            Length::Count(length)
                if length > STEP_BYTES as u64 && length <= STRING_BYTES_MAX && self.has(length) =>
            {
                self.long(length)
            }
            Length::Count(length) => Ok(Value::of(self.bytes(length)?)),
            Length::Form(form) => match self.form(form)? {
                Value::Bytes(bytes) => Ok(Value::of(bytes)),
                value => Ok(value),
            },
        }
    }

    /// A string's bytes.
    pub(super) fn string(&mut self) -> Result<Vec<u8>, RdbError> {
        match self.length()? {
            Length::Count(length) => self.bytes(length),
            Length::Form(form) => Ok(match self.form(form)? {
                Value::Int(number) => number.to_string().into_bytes(),
                Value::Bytes(bytes) => bytes,
                Value::Object(_) | Value::Long(_) => Vec::new(),
            }),
        }
    }
}
