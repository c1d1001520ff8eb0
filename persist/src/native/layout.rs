//! Header, chunk heads and footer: fixed layouts, little-endian throughout.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::error::NativeError;

/// The first bytes of a file. The last one ends the listing of a file in a terminal of old.
pub(super) const MAGIC: [u8; 8] = *b"TESSERA\x1a";
/// Of the format.
pub const VERSION: u32 = 1;
/// A chunk's body has at most this many bytes.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;
/// Before the facts of the header: magic, version, length of the facts.
const HEADER_FIXED_BYTES: usize = 16;
/// Facts that are longer are none.
const FACTS_BYTES_MAX: usize = 1 << 16;
pub(super) const SUM_BYTES: usize = 8;
/// Before a chunk's body, its checksum included.
pub(super) const HEAD_BYTES: usize = 48;
pub(super) const FOOTER_BYTES: usize = 64;
const CHUNK_MARK: [u8; 4] = *b"CHNK";
const FOOTER_MARK: [u8; 4] = *b"TEND";

/// What the header says about the file: names and values.
pub type Facts = Vec<(String, String)>;

/// The bytes of a header.
#[must_use]
pub fn header<'a>(facts: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut said = Vec::new();
    for text in facts.flat_map(|(name, value)| [name, value]) {
        said.extend_from_slice(&(text.len() as u32).to_le_bytes());
        said.extend_from_slice(text.as_bytes());
    }
    said.truncate(FACTS_BYTES_MAX);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(said.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&said);
    let sum = xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// A number at a place of some bytes that are long enough, as their reader has made sure.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

/// As `u64_at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// As `u64_at`.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// The facts of a header, its length, and its checksum.
pub(super) fn read_header(file: &[u8]) -> Result<(Facts, usize, u64), NativeError> {
    if !file.starts_with(&MAGIC) {
        return Err(NativeError::Foreign);
    }
    if file.len() < HEADER_FIXED_BYTES {
        return Err(NativeError::Truncated);
    }
    let (version, length) = (u32_at(file, 8), u32_at(file, 12) as usize);
    if length > FACTS_BYTES_MAX {
        return Err(NativeError::Corrupt("the header is longer than any can be"));
    }
    let end = HEADER_FIXED_BYTES + length;
    if file.len() < end + SUM_BYTES {
        return Err(NativeError::Truncated);
    }
    let sum = xxh3_64(&file[..end]);
    if sum != u64_at(file, end) {
        return Err(NativeError::Checksum("the header"));
    }
    // After the checksum: a version that nobody wrote is damage, and one that somebody wrote is newer.
    if version != VERSION {
        return Err(NativeError::Version(version));
    }
    let facts = read_facts(&file[HEADER_FIXED_BYTES..end])?;
    Ok((facts, end + SUM_BYTES, sum))
}

fn read_facts(mut bytes: &[u8]) -> Result<Facts, NativeError> {
    const WRONG: NativeError = NativeError::Corrupt("a fact of the header is cut off");
    let mut text = || -> Result<Option<String>, NativeError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let (length, rest) = bytes.split_at_checked(4).ok_or(WRONG)?;
        let (text, rest) = rest
            .split_at_checked(u32_at(length, 0) as usize)
            .ok_or(WRONG)?;
        bytes = rest;
        Ok(Some(String::from_utf8_lossy(text).into_owned()))
    };
    let mut facts = Vec::new();
    while let Some(name) = text()? {
        facts.push((name, text()?.ok_or(WRONG)?));
    }
    Ok(facts)
}

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkKind {
    /// Whole keys.
    Keys,
    /// A piece of one key with a large value.
    Piece,
    /// A piece of the source of a library of functions.
    Function,
}

/// What stands before a chunk's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHead {
    /// What it holds.
    pub kind: ChunkKind,
    /// Of a piece: whether it is the last one of its key or library.
    pub is_last: bool,
    /// Of a piece: whether it ends inside an element, so that the next one is needed to read on.
    pub is_open: bool,
    /// Bytes of the body.
    pub body_bytes: u32,
    /// The database of the keys that do not name another one.
    pub db: u32,
    /// The greatest database of its keys.
    pub db_last: u32,
    /// Keys that begin in it.
    pub keys: u32,
    /// The least slot of its keys.
    pub slot_first: u16,
    /// The greatest slot of its keys.
    pub slot_last: u16,
    /// Of a piece: which large value of the file it belongs to.
    pub value: u64,
    /// Of a piece: its place among those of the value, from 0.
    pub piece: u32,
}

impl ChunkHead {
    /// An empty chunk of this kind and database.
    pub(super) fn new(kind: ChunkKind, db: u32) -> Self {
        Self {
            kind,
            is_last: false,
            is_open: false,
            body_bytes: 0,
            db,
            db_last: db,
            keys: 0,
            slot_first: u16::MAX,
            slot_last: 0,
            value: 0,
            piece: 0,
        }
    }

    /// One more key of this database and slot.
    pub(super) fn count(&mut self, db: u32, slot: u16) {
        self.keys += 1;
        self.db_last = self.db_last.max(db);
        self.slot_first = self.slot_first.min(slot);
        self.slot_last = self.slot_last.max(slot);
    }

    fn to_bytes(self) -> [u8; HEAD_BYTES - SUM_BYTES] {
        let mut bytes = [0; HEAD_BYTES - SUM_BYTES];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&CHUNK_MARK);
        put(&self.body_bytes.to_le_bytes());
        put(&self.db.to_le_bytes());
        put(&self.keys.to_le_bytes());
        put(&[
            self.kind as u8,
            u8::from(self.is_last) | u8::from(self.is_open) << 1,
        ]);
        put(&self.slot_first.to_le_bytes());
        put(&self.slot_last.to_le_bytes());
        put(&[0; 2]);
        put(&self.value.to_le_bytes());
        put(&self.piece.to_le_bytes());
        put(&self.db_last.to_le_bytes());
        bytes
    }

    /// The head of the chunk at the beginning of these bytes, which are at least as many as a head has, and its checksum.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, u64), NativeError> {
        let kind = match bytes[16] {
            0 => ChunkKind::Keys,
            1 => ChunkKind::Piece,
            2 => ChunkKind::Function,
            _ => return Err(NativeError::Corrupt("an unknown kind of a chunk")),
        };
        let head = Self {
            kind,
            is_last: bytes[17] & 1 != 0,
            is_open: bytes[17] & 2 != 0,
            body_bytes: u32_at(bytes, 4),
            db: u32_at(bytes, 8),
            db_last: u32_at(bytes, 36),
            keys: u32_at(bytes, 12),
            slot_first: u16_at(bytes, 18),
            slot_last: u16_at(bytes, 20),
            value: u64_at(bytes, 24),
            piece: u32_at(bytes, 32),
        };
        if head.body_bytes as usize > BODY_BYTES_MAX {
            return Err(NativeError::Corrupt("a chunk is longer than any can be"));
        }
        Ok((head, u64_at(bytes, HEAD_BYTES - SUM_BYTES)))
    }
}

/// Whether a chunk begins here.
pub(super) fn is_chunk(bytes: &[u8]) -> bool {
    bytes.starts_with(&CHUNK_MARK)
}

/// The checksum of a chunk: of its head, without the sum itself, and its body.
pub(super) fn chunk_sum(head: &[u8], body: &[u8]) -> u64 {
    let mut sum = Xxh3::new();
    sum.update(&head[..HEAD_BYTES - SUM_BYTES]);
    sum.update(body);
    sum.digest()
}

/// Writes what stands before a chunk's body. Returns the checksum.
pub fn put_chunk_head(head: ChunkHead, body: &[u8], out: &mut Vec<u8>) -> u64 {
    let head = ChunkHead {
        body_bytes: body.len() as u32,
        ..head
    };
    let bytes = head.to_bytes();
    let sum = chunk_sum(&[&bytes[..], &[0; SUM_BYTES]].concat(), body);
    out.extend_from_slice(&bytes);
    out.extend_from_slice(&sum.to_le_bytes());
    sum
}

/// The checksum of a file: that of the checksums of its header and chunks in their order.
pub struct FileSum(Box<Xxh3>);

impl FileSum {
    /// Of a file with this header.
    #[must_use]
    pub fn of_header(header: &[u8]) -> Self {
        let mut sum = Self(Box::new(Xxh3::new()));
        sum.add(u64_at(header, header.len() - SUM_BYTES));
        sum
    }

    pub(super) fn of_sum(header: u64) -> Self {
        let mut sum = Self(Box::new(Xxh3::new()));
        sum.add(header);
        sum
    }

    /// One chunk more.
    pub fn add(&mut self, chunk: u64) {
        self.0.update(&chunk.to_le_bytes());
    }

    fn value(&self) -> u64 {
        self.0.digest()
    }
}

/// What stands at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// Chunks of the file.
    pub chunks: u64,
    /// Keys of the file.
    pub keys: u64,
    /// The greatest database of a key, plus one; 0 if there is none.
    pub databases: u32,
    /// Bytes before the footer.
    pub bytes: u64,
}

impl Footer {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self, sum: &FileSum) -> Vec<u8> {
        let mut bytes = FOOTER_MARK.to_vec();
        bytes.extend_from_slice(&self.databases.to_le_bytes());
        for number in [self.chunks, self.keys, self.bytes, sum.value(), 0, 0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let own = xxh3_64(&bytes);
        bytes.extend_from_slice(&own.to_le_bytes());
        bytes
    }

    /// The footer at the end of a file, and the checksum that it states for the file.
    pub(super) fn read(file: &[u8]) -> Result<(Self, u64), NativeError> {
        let at = file
            .len()
            .checked_sub(FOOTER_BYTES)
            .ok_or(NativeError::Truncated)?;
        let bytes = &file[at..];
        if !bytes.starts_with(&FOOTER_MARK) {
            return Err(NativeError::Truncated);
        }
        if xxh3_64(&bytes[..FOOTER_BYTES - SUM_BYTES]) != u64_at(bytes, FOOTER_BYTES - SUM_BYTES) {
            return Err(NativeError::Checksum("the footer"));
        }
        let footer = Self {
            databases: u32_at(bytes, 4),
            chunks: u64_at(bytes, 8),
            keys: u64_at(bytes, 16),
            bytes: u64_at(bytes, 24),
        };
        if footer.bytes != at as u64 {
            return Err(NativeError::Truncated);
        }
        Ok((footer, u64_at(bytes, 32)))
    }
}

/// Whether the file's checksum is the stated one.
pub(super) fn is_sum(sum: &FileSum, stated: u64) -> bool {
    sum.value() == stated
}
