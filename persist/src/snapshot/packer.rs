//! Makes of entries what goes to the file, in either format.

use tessera_core::entry::{Entry, ValueRef};

use crate::native::{ChunkHead, Filled, Filler, LargeFiller, is_large};
use crate::rdb::{Encoder, Usage, ValueWriter, select_database, write_key, write_key_head};

/// A chunk of RDB is handed over when it has this many bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// Room that an open chunk is given, in either format.
pub(super) const CHUNK_ROOM: usize = CHUNK_BYTES + CHUNK_BYTES / 8;
/// What is written of a large value at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Elements between two looks at a piece's length.
const ELEMENTS_PER_STEP: usize = 64;
/// A longer string is not compressed: it could not be written in pieces.
const COMPRESSED_BYTES_MAX: usize = crate::native::LARGE_BYTES;

/// How a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Redis's own.
    #[default]
    Rdb,
    /// Ours.
    Native,
}

/// Bytes for the file.
pub struct Block {
    /// What stands before them in a native file.
    pub(super) head: Option<ChunkHead>,
    pub(super) bytes: Vec<u8>,
}

impl Block {
    /// How many bytes they are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

fn block_of((head, bytes): Filled) -> Block {
    Block {
        head: Some(head),
        bytes,
    }
}

fn plain(bytes: Vec<u8>) -> Block {
    Block { head: None, bytes }
}

/// See the head of this file.
pub enum Packer {
    /// Chunks of RDB: a mark of the database, then whole keys.
    Rdb(RdbPacker),
    /// Chunks that know their slots.
    Native(Box<Filler>),
}

/// See the head of this file.
pub struct RdbPacker {
    chunk: Vec<u8>,
    /// For the next one.
    spare: Vec<u8>,
    /// The database of the keys that come next.
    db: Option<usize>,
    encoder: Encoder,
}

/// A key that is being written in pieces. Between two of them it must not change.
pub enum Large {
    /// In RDB, where its pieces must lie together.
    Rdb(RdbLarge),
    /// In chunks.
    Native(Box<LargeFiller>),
}

/// See [`Large`].
pub struct RdbLarge {
    /// What is ready to be handed over.
    head: Vec<u8>,
    place: Place,
}

enum Place {
    String(usize),
    Collection(ValueWriter),
    Done,
}

impl Packer {
    /// For one of `parts` parts of a file; `compresses`: strings of RDB.
    #[must_use]
    pub fn new(format: Format, compresses: bool, part: usize, parts: usize) -> Self {
        match format {
            Format::Rdb => Self::Rdb(RdbPacker {
                chunk: Vec::new(),
                spare: Vec::new(),
                db: None,
                encoder: Encoder::new(compresses),
            }),
            Format::Native => Self::Native(Box::new(Filler::new(part, parts))),
        }
    }

    /// Gives it an empty buffer for a later chunk.
    pub(super) fn supply(&mut self, buffer: Vec<u8>) {
        match self {
            Self::Rdb(rdb) => rdb.spare = buffer,
            Self::Native(filler) => filler.supply(buffer),
        }
    }

    /// Takes a key, whole. What is full goes to `out`.
    pub fn key(&mut self, db: usize, entry: &Entry, usage: Usage, out: &mut Vec<Block>) {
        match self {
            Self::Rdb(rdb) => {
                if rdb.db != Some(db) && !is_large(entry) {
                    rdb.db = Some(db);
                    select_database(db, &mut rdb.chunk);
                }
                if !is_large(entry) {
                    write_key(entry, usage, &mut rdb.encoder, &mut rdb.chunk);
                }
                if is_large(entry) || rdb.chunk.len() >= CHUNK_BYTES {
                    rdb.hand_over(out);
                }
                if is_large(entry) {
                    let mut large = self.begin_large(db, entry, usage);
                    while !self.step_large(&mut large, entry, out) {}
                }
            }
            Self::Native(filler) => {
                let mut full = Vec::new();
                filler.key(db, entry, usage, &mut full);
                out.extend(full.into_iter().map(block_of));
            }
        }
    }

    /// Hands over what is open.
    pub fn finish(&mut self, out: &mut Vec<Block>) {
        match self {
            Self::Rdb(rdb) => rdb.hand_over(out),
            Self::Native(filler) => {
                let mut full = Vec::new();
                filler.finish(&mut full);
                out.extend(full.into_iter().map(block_of));
            }
        }
    }

    /// Begins a key with a large value.
    pub fn begin_large(&mut self, db: usize, entry: &Entry, usage: Usage) -> Large {
        match self {
            Self::Rdb(rdb) => {
                let mut head = Vec::new();
                select_database(db, &mut head);
                write_key_head(entry, usage, &mut rdb.encoder, &mut head);
                let place = match entry.string() {
                    Some(ValueRef::Bytes(bytes)) if bytes.len() > COMPRESSED_BYTES_MAX => {
                        Encoder::plain_length(bytes.len(), &mut head);
                        Place::String(0)
                    }
                    _ => ValueWriter::begin(entry, &mut rdb.encoder, &mut head)
                        .map_or(Place::Done, Place::Collection),
                };
                Large::Rdb(RdbLarge { head, place })
            }
            Self::Native(filler) => Large::Native(Box::new(filler.begin_large(db, entry, usage))),
        }
    }

    /// Writes about one piece more and says whether that was the last.
    pub fn step_large(&mut self, large: &mut Large, entry: &Entry, out: &mut Vec<Block>) -> bool {
        match (self, large) {
            (Self::Rdb(rdb), Large::Rdb(large)) => {
                let mut piece = std::mem::take(&mut large.head);
                let is_done = large.step(&mut rdb.encoder, entry, &mut piece);
                out.push(plain(piece));
                is_done
            }
            (Self::Native(filler), Large::Native(large)) => {
                let mut full = Vec::new();
                let is_done = filler.step_large(large, entry, &mut full);
                out.extend(full.into_iter().map(block_of));
                is_done
            }
            // A part has one format.
            _ => true,
        }
    }

    /// Whether a key comes in pieces.
    #[must_use]
    pub fn is_large(entry: &Entry) -> bool {
        is_large(entry)
    }
}

impl RdbPacker {
    fn hand_over(&mut self, out: &mut Vec<Block>) {
        if !self.chunk.is_empty() {
            let mut next = std::mem::take(&mut self.spare);
            next.reserve(CHUNK_ROOM);
            out.push(plain(std::mem::replace(&mut self.chunk, next)));
        }
        self.db = None;
    }
}

impl RdbLarge {
    fn step(&mut self, encoder: &mut Encoder, entry: &Entry, piece: &mut Vec<u8>) -> bool {
        match &mut self.place {
            Place::Done => true,
            Place::String(at) => {
                let Some(ValueRef::Bytes(bytes)) = entry.string() else {
                    return true;
                };
                let rest = &bytes[*at..];
                let part = &rest[..rest.len().min(PIECE_BYTES)];
                piece.extend_from_slice(part);
                *at += part.len();
                part.len() == rest.len()
            }
            Place::Collection(writer) => loop {
                if writer.step(entry, encoder, piece, ELEMENTS_PER_STEP) {
                    return true;
                }
                if piece.len() >= PIECE_BYTES {
                    return false;
                }
            },
        }
    }
}
