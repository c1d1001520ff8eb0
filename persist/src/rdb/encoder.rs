//! Writing lengths and strings in their shortest form.

use tessera_core::listpack::Item;
use tessera_core::stream::StreamId;

use super::kind;
use crate::lzf::Compressor;

/// Shorter strings are not worth compressing.
const COMPRESSED_FROM_BYTES: usize = 21;
/// Bytes that compression has to save.
const SAVED_BYTES_MIN: usize = 4;
/// Longer strings may not be written as integers.
const INTEGER_BYTES_MAX: usize = 11;

/// Writes strings; keeps what their compression needs.
pub struct Encoder {
    compressor: Option<Compressor>,
    packed: Vec<u8>,
}

impl Encoder {
    /// One that compresses strings (`rdbcompression`), or not.
    #[must_use]
    pub fn new(compresses: bool) -> Self {
        Self {
            compressor: compresses.then(Compressor::default),
            packed: Vec::new(),
        }
    }

    /// Writes a string.
    pub(super) fn string(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if bytes.len() <= INTEGER_BYTES_MAX
            && let Item::Int(number) = Item::of(bytes)
            && put_integer(number, out)
        {
            return;
        }
        if bytes.len() >= COMPRESSED_FROM_BYTES
            && let Some(compressor) = &mut self.compressor
        {
            self.packed.clear();
            if compressor.compress(bytes, bytes.len() - SAVED_BYTES_MIN, &mut self.packed) {
                out.push(kind::FORM | kind::FORM_LZF);
                put_length(self.packed.len() as u64, out);
                put_length(bytes.len() as u64, out);
                out.extend_from_slice(&self.packed);
                return;
            }
        }
        put_length(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }

    /// Writes the length of a string whose bytes follow as they are.
    pub fn plain_length(bytes: usize, out: &mut Vec<u8>) {
        put_length(bytes as u64, out);
    }

    /// Writes a string that is an integer.
    pub(super) fn integer(&mut self, number: i64, out: &mut Vec<u8>) {
        if !put_integer(number, out) {
            self.string(itoa::Buffer::new().format(number).as_bytes(), out);
        }
    }

    /// Writes an element.
    pub(super) fn item(&mut self, item: Item<'_>, out: &mut Vec<u8>) {
        match item {
            Item::Int(number) => self.integer(number, out),
            Item::Bytes(bytes) => self.string(bytes, out),
        }
    }
}

/// Writes a length.
pub(super) fn put_length(length: u64, out: &mut Vec<u8>) {
    if length < 1 << 6 {
        out.push(length as u8);
    } else if length < 1 << 14 {
        out.extend_from_slice(&[kind::LENGTH_14 | (length >> 8) as u8, length as u8]);
    } else if let Ok(length) = u32::try_from(length) {
        out.push(kind::LENGTH_32);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(kind::LENGTH_64);
        out.extend_from_slice(&length.to_be_bytes());
    }
}

/// Writes the halves of an id as lengths.
pub(super) fn put_id(id: StreamId, out: &mut Vec<u8>) {
    put_length(id.ms, out);
    put_length(id.seq, out);
}

/// Writes an integer of up to 32 bits; says false of a larger one, which is written as its text.
fn put_integer(number: i64, out: &mut Vec<u8>) -> bool {
    let bytes = number.to_le_bytes();
    let (form, width) = if i8::try_from(number).is_ok() {
        (kind::FORM_INT_8, 1)
    } else if i16::try_from(number).is_ok() {
        (kind::FORM_INT_16, 2)
    } else if i32::try_from(number).is_ok() {
        (kind::FORM_INT_32, 4)
    } else {
        return false;
    };
    out.push(kind::FORM | form);
    out.extend_from_slice(&bytes[..width]);
    true
}
