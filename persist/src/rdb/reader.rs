//! Reading a value, at once or in pieces.
//!
//! Owns [`ValueReader`]: `begin` reads what stands before the elements, each `step` some elements. So a large value is read in slices, and a file's values by the same
//! code. Every element is checked; one that is there twice is corruption, as in Redis.

use std::io::BufRead;

use tessera_core::hash::Hash;
use tessera_core::list::{End, List};
use tessera_core::listpack::{Item, Listpack};
use tessera_core::number::parse_double_loose;
use tessera_core::object::{Collection, Object};
use tessera_core::set::{Intset, Set};
use tessera_core::zset::{Inserted, Zset};

use super::compact::{from_ziplist, from_zipmap};
use super::error::RdbError;
use super::input::Input;
use super::kind;
use super::limits::Limits;
use super::stream::StreamReader;
use super::value::Value;

/// See the head of this file.
pub struct ValueReader {
    limits: Limits,
    /// Fields whose time ended before this are left out.
    now_ms: u64,
    state: State,
}

enum State {
    Done(Value),
    Strings {
        left: u64,
        list: List,
    },
    Nodes {
        left: u64,
        list: List,
        is_typed: bool,
    },
    Set {
        left: u64,
        set: Set,
    },
    Zset {
        left: u64,
        zset: Zset,
        is_text: bool,
    },
    Hash {
        left: u64,
        hash: Hash,
        ttl: FieldTtl,
    },
    Stream(Box<StreamReader>),
}

/// What stands before a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldTtl {
    None,
    /// The time at which it ends.
    Absolute,
    /// That minus this one, plus one.
    From(u64),
}

impl ValueReader {
    /// Reads the head of a value of this type, whose number stands before it.
    ///
    /// # Errors
    /// See [`RdbError`].
    pub fn begin<R: BufRead>(
        kind: u8,
        input: &mut Input<R>,
        limits: Limits,
        now_ms: u64,
    ) -> Result<Self, RdbError> {
        let state = match kind {
            kind::STRING => State::Done(input.value()?),
            kind::LIST => State::Strings {
                left: some(input.count()?)?,
                list: List::new(),
            },
            kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => State::Nodes {
                left: some(input.count()?)?,
                list: List::new(),
                is_typed: kind == kind::LIST_QUICKLIST_2,
            },
            kind::SET => {
                let left = some(input.count()?)?;
                let mut set = Set::new();
                set.expect(clamped(left), &limits.set);
                State::Set { left, set }
            }
            kind::ZSET | kind::ZSET_2 => {
                let left = some(input.count()?)?;
                let mut zset = Zset::new();
                zset.expect(clamped(left), &limits.zset);
                State::Zset {
                    left,
                    zset,
                    is_text: kind == kind::ZSET,
                }
            }
            kind::HASH | kind::HASH_TTL_PRE_GA | kind::HASH_TTL => {
                let ttl = match kind {
                    kind::HASH => FieldTtl::None,
                    kind::HASH_TTL => FieldTtl::From(input.u64()?),
                    _ => FieldTtl::Absolute,
                };
                let left = some(input.count()?)?;
                let mut hash = Hash::new();
                hash.expect(clamped(left), &limits.hash);
                State::Hash { left, hash, ttl }
            }
            kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => {
                State::Stream(Box::new(StreamReader::begin(kind, input)?))
            }
            kind::MODULE_PRE_GA | kind::MODULE_2 => return Err(RdbError::Module),
            _ => State::Done(Value::Object(packed(kind, input, &limits, now_ms)?)),
        };
        Ok(Self {
            limits,
            now_ms,
            state,
        })
    }

    /// Reads about this many elements more. The value, when it is whole; then the reader is done with.
    ///
    /// # Errors
    /// See [`RdbError`].
    pub fn step<R: BufRead>(
        &mut self,
        input: &mut Input<R>,
        elements: usize,
    ) -> Result<Option<Value>, RdbError> {
        let limits = &self.limits;
        for _ in 0..elements {
            let is_done = match &mut self.state {
                State::Done(_) => true,
                State::Strings { left, list } => {
                    list.push(End::Back, &[&input.string()?], &limits.list);
                    counted(left)
                }
                State::Nodes {
                    left,
                    list,
                    is_typed,
                } => {
                    read_node(input, list, *is_typed, limits)?;
                    counted(left)
                }
                State::Set { left, set } => {
                    if !set.add(&input.string()?, &limits.set) {
                        return Err(RdbError::Corrupt("a member is in a set twice"));
                    }
                    counted(left)
                }
                State::Zset {
                    left,
                    zset,
                    is_text,
                } => {
                    read_scored(input, zset, *is_text, limits)?;
                    counted(left)
                }
                State::Hash { left, hash, ttl } => {
                    read_field(input, hash, *ttl, limits)?;
                    counted(left)
                }
                State::Stream(stream) => stream.step(input)?,
            };
            if is_done {
                return self.finish().map(Some);
            }
        }
        Ok(None)
    }

    /// Reads a whole value.
    ///
    /// # Errors
    /// See [`RdbError`].
    pub fn read<R: BufRead>(
        kind: u8,
        input: &mut Input<R>,
        limits: Limits,
        now_ms: u64,
    ) -> Result<Value, RdbError> {
        let mut reader = Self::begin(kind, input, limits, now_ms)?;
        loop {
            if let Some(value) = reader.step(input, usize::MAX)? {
                return Ok(value);
            }
        }
    }

    fn finish(&mut self) -> Result<Value, RdbError> {
        let state = std::mem::replace(&mut self.state, State::Done(Value::Int(0)));
        let object = match state {
            State::Done(value) => return Ok(value),
            State::Strings { mut list, .. } | State::Nodes { mut list, .. } => {
                list.loaded(&self.limits.list);
                list.into_object()
            }
            State::Set { set, .. } => set.into_object(),
            State::Zset { zset, .. } => zset.into_object(),
            State::Hash { mut hash, .. } => {
                hash.expire(self.now_ms);
                hash.into_object()
            }
            State::Stream(stream) => return Ok(Value::Object(stream.finish()?)),
        };
        if object.is_empty() {
            return Err(RdbError::Empty);
        }
        Ok(Value::Object(object))
    }
}

/// A number of elements that is not zero.
fn some(count: u64) -> Result<u64, RdbError> {
    if count == 0 {
        return Err(RdbError::Empty);
    }
    Ok(count)
}

fn clamped(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// One less is left: whether none is.
fn counted(left: &mut u64) -> bool {
    *left -= 1;
    *left == 0
}

pub(super) fn listpack(bytes: Vec<u8>) -> Result<Listpack, RdbError> {
    Listpack::from_bytes(&bytes).map_err(|_| RdbError::Corrupt("a listpack that is none"))
}

fn read_node<R: BufRead>(
    input: &mut Input<R>,
    list: &mut List,
    is_typed: bool,
    limits: &Limits,
) -> Result<(), RdbError> {
    let container = if is_typed {
        input.count()?
    } else {
        kind::NODE_PACKED
    };
    let bytes = input.string()?;
    match container {
        // Redis takes none either: a small element lies in a pack.
        kind::NODE_PLAIN if bytes.is_empty() => {
            return Err(RdbError::Corrupt("an empty node of a list"));
        }
        kind::NODE_PLAIN => list.load_plain(bytes.into()),
        kind::NODE_PACKED if is_typed => list.load_pack(listpack(bytes)?, &limits.list),
        kind::NODE_PACKED => list.load_pack(from_ziplist(&bytes)?, &limits.list),
        _ => return Err(RdbError::Corrupt("an unknown kind of a list's node")),
    }
    Ok(())
}

fn read_scored<R: BufRead>(
    input: &mut Input<R>,
    zset: &mut Zset,
    is_text: bool,
    limits: &Limits,
) -> Result<(), RdbError> {
    let member = input.string()?;
    let score = if is_text {
        text_score(input)?
    } else {
        f64::from_bits(input.u64()?)
    };
    if score.is_nan() {
        return Err(RdbError::Corrupt("a score is no number"));
    }
    match zset.insert(&member, score, &limits.zset) {
        Inserted::Added => Ok(()),
        _ => Err(RdbError::Corrupt("a member is in a sorted set twice")),
    }
}

/// A score as text, or one of three marks.
fn text_score<R: BufRead>(input: &mut Input<R>) -> Result<f64, RdbError> {
    Ok(match input.byte()? {
        255 => f64::NEG_INFINITY,
        254 => f64::INFINITY,
        253 => f64::NAN,
        length => {
            let text = input.bytes(length.into())?;
            parse_double_loose(&text).ok_or(RdbError::Corrupt("a score that is none"))?
        }
    })
}

fn read_field<R: BufRead>(
    input: &mut Input<R>,
    hash: &mut Hash,
    ttl: FieldTtl,
    limits: &Limits,
) -> Result<(), RdbError> {
    let expire_at = match ttl {
        FieldTtl::None => None,
        FieldTtl::Absolute => Some(input.count()?).filter(|at_ms| *at_ms != 0),
        FieldTtl::From(first_ms) => match input.count()? {
            0 => None,
            more => Some(
                (more - 1)
                    .checked_add(first_ms)
                    .ok_or(RdbError::Corrupt("a field's time does not fit"))?,
            ),
        },
    };
    let (field, value) = (input.string()?, input.string()?);
    put_field(hash, &field, &value, expire_at, limits)
}

fn put_field(
    hash: &mut Hash,
    field: &[u8],
    value: &[u8],
    expire_at: Option<u64>,
    limits: &Limits,
) -> Result<(), RdbError> {
    if !hash.set(field, value, &limits.hash) {
        return Err(RdbError::Corrupt("a field is in a hash twice"));
    }
    if expire_at.is_some() {
        hash.set_expire(field, expire_at, limits.hash.seed);
    }
    Ok(())
}

/// A collection that is one blob.
fn packed<R: BufRead>(
    kind: u8,
    input: &mut Input<R>,
    limits: &Limits,
    now_ms: u64,
) -> Result<Object, RdbError> {
    if kind == kind::HASH_LISTPACK_TTL {
        input.u64()?;
    }
    if !(kind::HASH_ZIPMAP..=kind::HASH_LISTPACK_TTL).contains(&kind) {
        return Err(RdbError::UnknownKind(kind));
    }
    let bytes = input.string()?;
    if kind == kind::SET_INTSET {
        let intset =
            Intset::from_bytes(&bytes).ok_or(RdbError::Corrupt("an intset that is none"))?;
        let set = Set::from_intset(intset, &limits.set).ok_or(RdbError::Empty)?;
        return Ok(set.into_object());
    }
    let pack = match kind {
        kind::HASH_ZIPMAP => from_zipmap(&bytes)?,
        kind::LIST_ZIPLIST | kind::ZSET_ZIPLIST | kind::HASH_ZIPLIST => from_ziplist(&bytes)?,
        _ => listpack(bytes)?,
    };
    if pack.is_empty() {
        return Err(RdbError::Empty);
    }
    let object = match kind {
        kind::LIST_ZIPLIST => Some(List::from_listpack(pack, &limits.list).into_object()),
        kind::SET_LISTPACK => Set::from_listpack(pack, &limits.set).map(Collection::into_object),
        kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => {
            Zset::from_listpack(pack, &limits.zset).map(Collection::into_object)
        }
        kind::HASH_LISTPACK_TTL_PRE_GA | kind::HASH_LISTPACK_TTL => {
            return with_ttls(&pack, limits, now_ms);
        }
        _ => Hash::from_listpack(pack, &limits.hash).map(Collection::into_object),
    };
    object.ok_or(RdbError::Corrupt(
        "a packed collection has an element twice, out of order or too few",
    ))
}

/// A hash that is field, value, time in a listpack.
fn with_ttls(pack: &Listpack, limits: &Limits, now_ms: u64) -> Result<Object, RdbError> {
    const TRIPLES: RdbError = RdbError::Corrupt("a field without a value or a time");
    let mut hash = Hash::new();
    let mut items = pack.iter();
    while let Some(field) = items.next() {
        let (Some(value), Some(Item::Int(at_ms))) = (items.next(), items.next()) else {
            return Err(TRIPLES);
        };
        let at_ms = u64::try_from(at_ms).map_err(|_| TRIPLES)?;
        let expire_at = Some(at_ms).filter(|at_ms| *at_ms != 0);
        put_field(
            &mut hash,
            &field.to_vec(),
            &value.to_vec(),
            expire_at,
            limits,
        )?;
    }
    hash.expire(now_ms);
    if hash.is_empty() {
        return Err(RdbError::Empty);
    }
    Ok(hash.into_object())
}
