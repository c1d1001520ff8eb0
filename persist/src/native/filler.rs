//! Makes chunks of keys.
//!
//! Keys are sorted into as many open chunks as there are groups of slots, so that a chunk's keys belong to few shards whatever their number will be. A key with a large value
//! gets pieces of its own, each of which ends between two elements where that is possible.

use tessera_core::entry::{Entry, ValueRef};

use super::layout::{BODY_BYTES_MAX, ChunkHead, ChunkKind};
use super::record;
use crate::rdb::{Encoder, Usage, ValueWriter};

/// A chunk is closed when its body has this many bytes.
const BODY_BYTES: usize = 64 * 1024;
/// Buffers that are kept for chunks to be opened.
const SPARE_MAX: usize = 4;
/// A value of more bytes than this comes in pieces.
pub(crate) const LARGE_BYTES: usize = 128 * 1024;
/// A piece of a collection: what its shard takes about a millisecond to load.
const PIECE_BYTES: usize = 32 * 1024;
/// A piece of a string.
const STRING_PIECE_BYTES: usize = 256 * 1024;
/// Elements between two looks at a piece's length.
const ELEMENTS_PER_STEP: usize = 64;
/// Groups of slots of a file, over all parts.
const GROUPS: usize = 16;

/// A chunk on its way to the file.
pub type Filled = (ChunkHead, Vec<u8>);

/// See the head of this file.
pub struct Filler {
    open: Box<[Filled]>,
    spare: Vec<Vec<u8>>,
    encoder: Encoder,
    /// Of the next large value: unique in the file.
    next_value: u64,
}

/// A key whose value is being written in pieces.
pub struct LargeFiller {
    head: ChunkHead,
    body: Vec<u8>,
    place: Place,
}

/// How far a value has come.
enum Place {
    String(usize),
    Collection(ValueWriter),
    Done,
}

/// Whether an entry's value comes in pieces.
#[must_use]
pub fn is_large(entry: &Entry) -> bool {
    match (entry.string(), entry.object()) {
        (Some(ValueRef::Bytes(bytes)), _) => bytes.len() > LARGE_BYTES,
        (None, Some(object)) => object.heap_bytes() > LARGE_BYTES,
        _ => false,
    }
}

impl Filler {
    /// One of `parts` of a file; `part` is its number.
    #[must_use]
    pub fn new(part: usize, parts: usize) -> Self {
        let groups = (GROUPS / parts.max(1)).max(1);
        Self {
            open: (0..groups)
                .map(|_| (ChunkHead::new(ChunkKind::Keys, 0), Vec::new()))
                .collect(),
            spare: Vec::new(),
            encoder: Encoder::new(false),
            next_value: (part as u64) << 40,
        }
    }

    /// Takes a key. Chunks that are full go to `out`.
    pub fn key(&mut self, db: usize, entry: &Entry, usage: Usage, out: &mut Vec<Filled>) {
        if is_large(entry) {
            return self.whole_large(db, entry, usage, out);
        }
        let slot = record::slot_of(entry);
        let db = db as u32;
        let (head, body) = &mut self.open[usize::from(slot) * GROUPS / (1 << 14) % self.open.len()];
        if body.is_empty() {
            *head = ChunkHead::new(ChunkKind::Keys, db);
            body.reserve(BODY_BYTES + BODY_BYTES / 8);
        }
        let other_db = (head.db != db).then_some(db);
        let kind = record::kind_of(entry);
        let at = record::begin(entry, slot, other_db, usage, kind, body);
        match entry.string() {
            Some(ValueRef::Int(number)) => body.extend_from_slice(&number.to_le_bytes()),
            Some(ValueRef::Bytes(bytes)) => body.extend_from_slice(bytes),
            None => ValueWriter::write(entry, &mut self.encoder, body),
        }
        if body.len() > BODY_BYTES_MAX {
            // Its form in the file is longer than in memory.
            body.truncate(at);
            return self.whole_large(db as usize, entry, usage, out);
        }
        record::end(at, body);
        head.count(db, slot);
        if body.len() >= BODY_BYTES {
            let next = self.spare.pop().unwrap_or_default();
            out.push((*head, std::mem::replace(body, next)));
        }
    }

    /// Gives it an empty buffer for a later chunk.
    pub fn supply(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(buffer);
        }
    }

    fn whole_large(&mut self, db: usize, entry: &Entry, usage: Usage, out: &mut Vec<Filled>) {
        let mut large = self.begin_large(db, entry, usage);
        while !self.step_large(&mut large, entry, out) {}
    }

    /// Begins a key that is written in pieces: until its end it must not change.
    pub fn begin_large(&mut self, db: usize, entry: &Entry, usage: Usage) -> LargeFiller {
        let mut head = ChunkHead::new(ChunkKind::Piece, db as u32);
        head.value = self.next_value;
        self.next_value += 1;
        let slot = record::slot_of(entry);
        head.count(db as u32, slot);
        let mut body = Vec::new();
        let place = match entry.string() {
            Some(_) => {
                record::begin(entry, slot, None, usage, record::LONG_STRING, &mut body);
                let length = string_bytes(entry).len() as u64;
                body.extend_from_slice(&length.to_le_bytes());
                Place::String(0)
            }
            None => {
                let kind = ValueWriter::kind(entry);
                record::begin(entry, slot, None, usage, kind, &mut body);
                match ValueWriter::begin(entry, &mut self.encoder, &mut body) {
                    Some(writer) => Place::Collection(writer),
                    None => Place::Done,
                }
            }
        };
        LargeFiller { head, body, place }
    }

    /// Writes about one piece more and says whether that was the last.
    pub fn step_large(
        &mut self,
        large: &mut LargeFiller,
        entry: &Entry,
        out: &mut Vec<Filled>,
    ) -> bool {
        let body = &mut large.body;
        let is_done = match &mut large.place {
            Place::Done => true,
            Place::String(at) => {
                let rest = &string_bytes(entry)[*at..];
                let piece = &rest[..rest.len().min(STRING_PIECE_BYTES)];
                body.extend_from_slice(piece);
                *at += piece.len();
                piece.len() == rest.len()
            }
            Place::Collection(writer) => loop {
                if writer.step(entry, &mut self.encoder, body, ELEMENTS_PER_STEP) {
                    break true;
                }
                if body.len() >= PIECE_BYTES {
                    break false;
                }
            },
        };
        large.cut(is_done, out);
        is_done
    }

    /// Hands out the chunks that are open.
    pub fn finish(&mut self, out: &mut Vec<Filled>) {
        for (head, body) in &mut self.open {
            if !body.is_empty() {
                out.push((*head, std::mem::take(body)));
            }
        }
    }
}

fn string_bytes(entry: &Entry) -> &[u8] {
    match entry.string() {
        Some(ValueRef::Bytes(bytes)) => bytes,
        _ => &[],
    }
}

impl LargeFiller {
    /// Makes a piece of what has been written, or several if an element is too long for one.
    fn cut(&mut self, is_done: bool, out: &mut Vec<Filled>) {
        let mut body = std::mem::take(&mut self.body);
        while body.len() > BODY_BYTES_MAX {
            let rest = body.split_off(BODY_BYTES_MAX);
            self.push(body, true, false, out);
            body = rest;
        }
        self.push(body, false, is_done, out);
    }

    fn push(&mut self, body: Vec<u8>, is_open: bool, is_last: bool, out: &mut Vec<Filled>) {
        let head = ChunkHead {
            is_open,
            is_last,
            ..self.head
        };
        out.push((head, body));
        self.head.piece += 1;
        self.head.keys = 0;
    }
}

/// The chunks of a library of functions.
pub(crate) fn function_chunks(code: &[u8]) -> Vec<Filled> {
    let pieces = code.len().div_ceil(BODY_BYTES_MAX).max(1);
    let cut = |piece: usize| {
        let end = code.len().min((piece + 1) * BODY_BYTES_MAX);
        let head = ChunkHead {
            is_last: piece + 1 == pieces,
            piece: piece as u32,
            ..ChunkHead::new(ChunkKind::Function, 0)
        };
        (head, code[piece * BODY_BYTES_MAX..end].to_vec())
    };
    (0..pieces).map(cut).collect()
}
