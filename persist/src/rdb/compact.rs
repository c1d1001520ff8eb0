//! The packed blobs of older versions, ziplists and zipmaps, rewritten as listpacks.
//!
//! ```text
//! ziplist   bytes u32, offset of the last entry u32, count u16 (65,535: unknown), entries, 0xFF
//! entry     length of the one before (u8, or 0xFE and u32), head, data
//! head      00llllll | 01llllll llllllll | 0x80 and u32 big-endian: a string; 0xC0 i16, 0xD0 i32, 0xE0 i64, 0xF0 i24, 0xFE i8, 0xF1 to 0xFD: 0 to 12
//! zipmap    count u8, then key (length), value (length, spare bytes u8, bytes, spare), 0xFF; a length is u8, or 0xFE and u32
//! ```

use tessera_core::listpack::{Item, Listpack};

use super::error::RdbError;

/// The end of either.
const END: u8 = 0xFF;
/// A length of four bytes follows.
const LONG: u8 = 0xFE;
/// Bytes of a ziplist's header.
const HEADER_BYTES: usize = 10;
/// The count is not in the header.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Bytes being taken from the front.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn integer(&mut self, width: usize) -> Option<Item<'a>> {
        let mut padded = [0; 8];
        padded[8 - width..].copy_from_slice(self.take(width)?);
        Some(Item::Int(i64::from_le_bytes(padded) >> (64 - 8 * width)))
    }

    fn text(&mut self, length: usize) -> Option<Item<'a>> {
        self.take(length).map(Item::of)
    }
}

/// The listpack of a ziplist's elements.
pub(super) fn from_ziplist(bytes: &[u8]) -> Result<Listpack, RdbError> {
    ziplist(bytes).ok_or(RdbError::Corrupt("a ziplist that is none"))
}

fn ziplist(bytes: &[u8]) -> Option<Listpack> {
    let mut rest = Rest(bytes);
    let total = u32::from_le_bytes(rest.array()?) as usize;
    let last = u32::from_le_bytes(rest.array()?) as usize;
    let count = u16::from_le_bytes(rest.array()?);
    if total != bytes.len() || bytes.last() != Some(&END) {
        return None;
    }
    let mut pack = Listpack::new();
    let (mut before, mut last_at, mut found) = (0, HEADER_BYTES, 0u64);
    let mut failed = false;
    let items = std::iter::from_fn(|| {
        if rest.0 == [END] {
            return None;
        }
        let at = bytes.len() - rest.0.len();
        let item = ziplist_entry(&mut rest, before);
        failed = item.is_none();
        (before, last_at) = (bytes.len() - rest.0.len() - at, at);
        found += u64::from(!failed);
        item
    });
    pack.push_items(items);
    let is_counted = count == COUNT_UNKNOWN || u64::from(count) == found;
    (!failed && is_counted && last_at == last).then_some(pack)
}

/// The next entry, if the one before has as many bytes as it says.
fn ziplist_entry<'a>(rest: &mut Rest<'a>, before: usize) -> Option<Item<'a>> {
    let stated = match rest.byte()? {
        LONG => u32::from_le_bytes(rest.array()?) as usize,
        END => return None,
        short => short.into(),
    };
    if stated != before {
        return None;
    }
    let head = rest.byte()?;
    match head {
        0..=0x3F => rest.text(head.into()),
        0x40..=0x7F => {
            let length = usize::from(head & 0x3F) << 8 | usize::from(rest.byte()?);
            rest.text(length)
        }
        0x80 => {
            let length = u32::from_be_bytes(rest.array()?);
            rest.text(length as usize)
        }
        0xC0 => rest.integer(2),
        0xD0 => rest.integer(4),
        0xE0 => rest.integer(8),
        0xF0 => rest.integer(3),
        0xFE => rest.integer(1),
        0xF1..=0xFD => Some(Item::Int(i64::from(head) - 0xF1)),
        _ => None,
    }
}

/// The listpack of a zipmap's keys and values, alternately.
pub(super) fn from_zipmap(bytes: &[u8]) -> Result<Listpack, RdbError> {
    zipmap(bytes).ok_or(RdbError::Corrupt("a zipmap that is none"))
}

fn zipmap(bytes: &[u8]) -> Option<Listpack> {
    let mut rest = Rest(bytes);
    let stated = rest.byte()?;
    let mut pack = Listpack::new();
    let mut pairs = 0u64;
    while let Some(key) = zipmap_length(&mut rest)? {
        let key = rest.text(key)?;
        let length = zipmap_length(&mut rest)??;
        let spare = rest.byte()?;
        let value = rest.text(length)?;
        rest.take(spare.into())?;
        pack.push_items([key, value]);
        pairs += 1;
    }
    let is_counted = stated >= LONG || u64::from(stated) == pairs;
    (rest.0.is_empty() && is_counted).then_some(pack)
}

/// A length; `Some(None)` at the end.
fn zipmap_length(rest: &mut Rest<'_>) -> Option<Option<usize>> {
    Some(match rest.byte()? {
        END => None,
        LONG => Some(u32::from_le_bytes(rest.array()?) as usize),
        short => Some(short.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pack: &Listpack) -> Vec<String> {
        let text = |item: Item<'_>| String::from_utf8_lossy(&item.to_vec()).into_owned();
        pack.iter().map(text).collect()
    }

    #[test]
    fn a_ziplist_of_every_kind_of_entry() {
        let mut entries: Vec<Vec<u8>> = vec![
            b"\x02ab".to_vec(),
            [b"\x41\x00".as_slice(), &[b'x'; 256]].concat(),
            [b"\x80\x00\x00\x00\x03".as_slice(), b"xyz"].concat(),
            vec![0xC0, 0x18, 0xFC],
            vec![0xD0, 0, 0, 1, 0],
            vec![0xE0, 0, 0, 0, 0, 0, 0, 0, 0x80],
            vec![0xF0, 0xFF, 0xFF, 0x7F],
            vec![0xFE, 0x80],
            vec![0xF1],
            vec![0xFD],
        ];
        let mut body = Vec::new();
        let (mut before, mut last) = (0usize, 0);
        for entry in &mut entries {
            last = HEADER_BYTES + body.len();
            let start = body.len();
            match u8::try_from(before) {
                Ok(short) if short < LONG => body.push(short),
                _ => {
                    body.push(LONG);
                    body.extend_from_slice(&(before as u32).to_le_bytes());
                }
            }
            body.append(entry);
            before = body.len() - start;
        }
        body.push(END);
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(HEADER_BYTES as u32 + body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(last as u32).to_le_bytes());
        bytes.extend_from_slice(&10u16.to_le_bytes());
        bytes.append(&mut body);
        let pack = from_ziplist(&bytes).unwrap();
        let long = "x".repeat(256);
        assert_eq!(
            texts(&pack),
            [
                "ab",
                &long,
                "xyz",
                "-1000",
                "65536",
                "-9223372036854775808",
                "8388607",
                "-128",
                "0",
                "12"
            ]
        );
        for at in 0..bytes.len() {
            assert!(from_ziplist(&bytes[..at]).is_err());
        }
        bytes[8] = 9;
        assert!(from_ziplist(&bytes).is_err(), "a wrong count");
    }

    #[test]
    fn a_zipmap_with_spare_bytes() {
        let bytes = b"\x02\x03foo\x03\x00bar\x05hello\x05\x01worldX\xff";
        let pack = from_zipmap(bytes).unwrap();
        assert_eq!(texts(&pack), ["foo", "bar", "hello", "world"]);
        for at in 0..bytes.len() {
            assert!(from_zipmap(&bytes[..at]).is_err());
        }
    }
}
