//! Makes entries of chunks again: those of one shard's slots, in pieces.

use std::borrow::Cow;
use std::collections::HashMap;

use tessera_core::entry::{Entry, StrValue};

use super::error::NativeError;
use super::file::Chunk;
use super::layout::{ChunkKind, u64_at};
use super::record::{self, INTEGER, LONG_STRING, Stored};
use crate::rdb::{Input, Limits, RdbError, Usage, Value, ValueReader};

/// A key that was in a file.
#[derive(Debug)]
pub struct Taken {
    /// Its database.
    pub db: u32,
    /// The key with its value.
    pub entry: Entry,
    /// How it was used.
    pub usage: Usage,
}

/// See the head of this file.
pub struct Taker {
    limits: Limits,
    now_ms: u64,
    /// Keys whose pieces have not all come, by the number of their value.
    large: HashMap<u64, Large>,
    /// Keys whose time had gone by.
    expired: u64,
}

/// A key whose pieces have not all come.
#[derive(Default)]
struct Large {
    next_piece: u32,
    /// What has come of an element that goes on in the next piece.
    open: Vec<u8>,
    key: Option<Key>,
}

struct Key {
    db: u32,
    usage: Usage,
    name: Vec<u8>,
    expire_at: Option<u64>,
    value: Parts,
}

enum Parts {
    /// A string that grows, and how long it is to be.
    String(Entry, u64),
    Reading(ValueReader),
    Whole(Value),
    /// It was empty, as Redis allows in files.
    Nothing,
}

const PIECES: NativeError = NativeError::Corrupt("a large value's pieces are not in their order");
const REST: NativeError = NativeError::Corrupt("something stands behind a value");

impl Taker {
    /// One that keeps collections packed up to these limits, and leaves out what has expired by `now_ms`.
    #[must_use]
    pub fn new(limits: Limits, now_ms: u64) -> Self {
        Self {
            limits,
            now_ms,
            large: HashMap::new(),
            expired: 0,
        }
    }

    /// Keys left out because their time had gone by.
    #[must_use]
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// Whether all keys that began have ended.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.large.is_empty()
    }

    /// Takes keys of a chunk from the byte `from` of its body on, until about `bytes` bytes have been looked at: those for which `mine` says yes of their slot. Returns
    /// where to go on; the body's length when that was all.
    ///
    /// # Errors
    /// See [`NativeError`].
    pub fn take(
        &mut self,
        chunk: &Chunk<'_>,
        from: usize,
        bytes: usize,
        mine: &dyn Fn(u16) -> bool,
        put: &mut dyn FnMut(Taken),
    ) -> Result<usize, NativeError> {
        let (head, body) = (&chunk.head, chunk.body);
        match head.kind {
            ChunkKind::Function => return Ok(body.len()),
            ChunkKind::Piece => {
                if mine(head.slot_first) {
                    self.piece(chunk, put)?;
                }
                return Ok(body.len());
            }
            ChunkKind::Keys => {}
        }
        let mut at = from;
        let until = from.saturating_add(bytes).min(body.len());
        while at < until {
            let (length, slot) = record::glance(&body[at..])?;
            if mine(slot) {
                self.key(record::read(&body[at..at + length], head.db)?, put)?;
            }
            at += length;
        }
        Ok(at)
    }

    fn key(&mut self, stored: Stored<'_>, put: &mut dyn FnMut(Taken)) -> Result<(), NativeError> {
        if self.is_due(stored.expire_at) {
            return Ok(());
        }
        let Stored {
            db,
            kind,
            expire_at,
            usage,
            name,
            value,
            ..
        } = stored;
        let refused = |_| NativeError::OutOfMemory;
        let entry = match kind {
            INTEGER if value.len() == 8 => {
                let number = u64_at(value, 0) as i64;
                Entry::try_new(name, StrValue::Int(number), expire_at).map_err(refused)?
            }
            0 => Entry::try_new(name, StrValue::Bytes(value), expire_at).map_err(refused)?,
            _ => match self.value(kind, value)? {
                Some(value) => value.into_entry(name, expire_at).map_err(refused)?,
                None => return Ok(()),
            },
        };
        put(Taken { db, entry, usage });
        Ok(())
    }

    fn is_due(&mut self, expire_at: Option<u64>) -> bool {
        let is_due = expire_at.is_some_and(|at_ms| at_ms < self.now_ms);
        self.expired += u64::from(is_due);
        is_due
    }

    /// A value that is all of these bytes; `None` if it has no elements.
    fn value(&self, kind: u8, bytes: &[u8]) -> Result<Option<Value>, NativeError> {
        let mut input = Input::new(bytes);
        let value = match ValueReader::read(kind, &mut input, self.limits, self.now_ms) {
            Ok(value) => value,
            Err(RdbError::Empty) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if input.offset() != bytes.len() as u64 {
            return Err(REST);
        }
        Ok(Some(value))
    }

    fn piece(&mut self, chunk: &Chunk<'_>, put: &mut dyn FnMut(Taken)) -> Result<(), NativeError> {
        let head = chunk.head;
        let mut large = match head.piece {
            0 => Large::default(),
            _ => self.large.remove(&head.value).ok_or(PIECES)?,
        };
        if large.next_piece != head.piece || head.is_open && head.is_last {
            return Err(PIECES);
        }
        large.next_piece += 1;
        if head.is_open {
            large.open.extend_from_slice(chunk.body);
            self.large.insert(head.value, large);
            return Ok(());
        }
        let open = std::mem::take(&mut large.open);
        let joined = if open.is_empty() {
            Cow::Borrowed(chunk.body)
        } else {
            Cow::Owned([open.as_slice(), chunk.body].concat())
        };
        let key = match large.key.take() {
            Some(mut key) => {
                key.add(&joined)?;
                key
            }
            None => self.begin(&joined, head.db)?,
        };
        if !head.is_last {
            large.key = Some(key);
            self.large.insert(head.value, large);
            return Ok(());
        }
        if !self.is_due(key.expire_at)
            && let Some(taken) = key.finish()?
        {
            put(taken);
        }
        Ok(())
    }

    /// What the first piece says of its key.
    fn begin(&self, body: &[u8], db: u32) -> Result<Key, NativeError> {
        if record::glance(body)?.0 != body.len() {
            return Err(PIECES);
        }
        let stored = record::read(body, db)?;
        let mut key = Key {
            db: stored.db,
            usage: stored.usage,
            name: stored.name.to_vec(),
            expire_at: stored.expire_at,
            value: Parts::Nothing,
        };
        let mut rest = stored.value;
        if stored.kind == LONG_STRING {
            let (length, bytes) = rest.split_at_checked(8).ok_or(PIECES)?;
            rest = bytes;
            let length = u64_at(length, 0);
            if length > u64::from(u32::MAX) {
                return Err(NativeError::Corrupt("a string is longer than any can be"));
            }
            let refused = |_| NativeError::OutOfMemory;
            let mut entry =
                Entry::try_new(&key.name, StrValue::Bytes(b""), key.expire_at).map_err(refused)?;
            let room = usize::try_from(length).map_err(|_| NativeError::OutOfMemory)?;
            entry.reserve(room).map_err(refused)?;
            key.value = Parts::String(entry, length);
        } else {
            let mut input = Input::new(rest);
            match ValueReader::begin(stored.kind, &mut input, self.limits, self.now_ms) {
                Ok(reader) => key.value = Parts::Reading(reader),
                Err(RdbError::Empty) => {}
                Err(error) => return Err(error.into()),
            }
            rest = &rest[input.offset() as usize..];
        }
        key.add(rest)?;
        Ok(key)
    }
}

impl Key {
    /// Takes what a piece holds of the value.
    fn add(&mut self, body: &[u8]) -> Result<(), NativeError> {
        match &mut self.value {
            Parts::String(entry, length) => {
                let appended = entry.append(body);
                match appended.map_err(|_| NativeError::OutOfMemory)? as u64 > *length {
                    true => Err(PIECES),
                    false => Ok(()),
                }
            }
            Parts::Reading(_) => self.read(body),
            Parts::Whole(_) | Parts::Nothing if body.is_empty() => Ok(()),
            Parts::Whole(_) | Parts::Nothing => Err(REST),
        }
    }

    /// Reads elements that are all there.
    fn read(&mut self, body: &[u8]) -> Result<(), NativeError> {
        let mut input = Input::new(body);
        while input.offset() < body.len() as u64 {
            let Parts::Reading(reader) = &mut self.value else {
                return Err(REST);
            };
            self.value = match reader.step(&mut input, 1) {
                Ok(None) => continue,
                Ok(Some(value)) => Parts::Whole(value),
                Err(RdbError::Empty) => Parts::Nothing,
                Err(error) => return Err(error.into()),
            };
        }
        Ok(())
    }

    /// All pieces have come.
    fn finish(self) -> Result<Option<Taken>, NativeError> {
        let refused = |_| NativeError::OutOfMemory;
        let value = match self.value {
            Parts::String(entry, length)
                if entry.string().map_or(0, |value| value.len()) as u64 == length =>
            {
                return Ok(Some(Taken {
                    db: self.db,
                    entry,
                    usage: self.usage,
                }));
            }
            Parts::String(..) => return Err(PIECES),
            Parts::Whole(value) => value,
            Parts::Nothing => return Ok(None),
            // A value that was whole with its head.
            Parts::Reading(mut reader) => match reader.step(&mut Input::new(&[][..]), 1) {
                Ok(Some(value)) => value,
                Err(RdbError::Empty) => return Ok(None),
                Ok(None) => return Err(PIECES),
                Err(error) => return Err(error.into()),
            },
        };
        let entry = value.into_entry(&self.name, self.expire_at);
        Ok(Some(Taken {
            db: self.db,
            entry: entry.map_err(refused)?,
            usage: self.usage,
        }))
    }
}
