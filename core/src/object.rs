//! A collection as the value of a key: one of the types. Its head lies in the entry.

use std::fmt;

use crate::entry::size_class;
use crate::hash::Hash;
use crate::list::List;
use crate::listpack::Item;
use crate::set::Set;
use crate::stream::Stream;
use crate::zset::{Scored, Zset};

/// A collection.
#[derive(Clone)]
pub enum Object {
    /// Fields and values.
    Hash(Hash),
    /// Members with scores.
    Zset(Zset),
    /// Elements in order.
    List(List),
    /// Distinct members.
    Set(Set),
    /// Entries under ascending ids, and the groups that read them.
    Stream(Box<Stream>),
}

// There are as many heads as collections: each is to take half a line at most.
const _: () = assert!(size_of::<Object>() <= 32);

impl Object {
    /// The type's name, as TYPE tells it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Hash(_) => "hash",
            Self::Zset(_) => "zset",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Stream(_) => "stream",
        }
    }

    /// What OBJECT ENCODING calls the way it is kept.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Hash(hash) => hash.encoding(),
            Self::Zset(zset) => zset.encoding(),
            Self::List(list) => list.encoding(),
            Self::Set(set) => set.encoding(),
            Self::Stream(_) => "stream",
        }
    }

    /// Its members with scores, as ZUNION and its kin take them; `None` if it is of a type that they refuse.
    #[must_use]
    pub fn scored(&self) -> Option<Scored<'_>> {
        match self {
            Self::Zset(zset) => Some(Scored::Zset(zset)),
            Self::Set(set) => Some(Scored::Set(set)),
            Self::Hash(_) | Self::List(_) | Self::Stream(_) => None,
        }
    }

    /// Where its elements begin, to be fetched ahead.
    #[inline]
    #[must_use]
    pub fn contents(&self) -> *const u8 {
        match self {
            Self::Hash(hash) => hash.contents(),
            Self::Zset(zset) => zset.contents(),
            Self::List(list) => list.contents(),
            Self::Set(set) => set.contents(),
            Self::Stream(stream) => std::ptr::from_ref(&**stream).cast(),
        }
    }

    /// Number of elements (fields, members, entries).
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Hash(hash) => hash.len(),
            Self::Zset(zset) => zset.len(),
            Self::List(list) => list.len(),
            Self::Set(set) => set.len(),
            Self::Stream(stream) => stream.len(),
        }
    }

    /// Whether there is no element: then the key must go, unless it is a stream.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What freeing it costs, in elements.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Stream(stream) => stream.weight(),
            _ => self.len(),
        }
    }

    /// Bytes taken from the allocator, beside the entry. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Hash(hash) => hash.heap_bytes(),
            Self::Zset(zset) => zset.heap_bytes(),
            Self::List(list) => list.heap_bytes(),
            Self::Set(set) => set.heap_bytes(),
            Self::Stream(stream) => size_class(size_of::<Stream>()) + stream.heap_bytes(),
        }
    }

    /// Calls `visit` for every element that SORT sorts: those of a list in order, the members of a set in any, those of a sorted set by score.
    /// Says whether this type can be sorted.
    pub fn each_sortable(&self, visit: &mut dyn FnMut(Item<'_>)) -> bool {
        match self {
            Self::List(list) => {
                list.iter().for_each(visit);
                true
            }
            Self::Zset(zset) => {
                zset.iter().for_each(|(member, _)| visit(member));
                true
            }
            Self::Set(set) => {
                set.for_each(visit);
                true
            }
            Self::Hash(_) | Self::Stream(_) => false,
        }
    }

    /// Frees up to about `elements` elements and says whether that was all. For collections that are too large to be dropped at once.
    pub fn free_some(&mut self, elements: usize) -> bool {
        match self {
            Self::Hash(hash) => hash.free_some(elements),
            Self::Zset(zset) => zset.free_some(elements),
            Self::List(list) => list.free_some(elements),
            Self::Set(set) => set.free_some(elements),
            Self::Stream(stream) => stream.free_some(elements),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.type_name())
            .field("encoding", &self.encoding())
            .field("len", &self.len())
            .finish()
    }
}

/// Up to where a collection stays packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackLimits {
    /// Most elements of a packed collection.
    pub entries_max: usize,
    /// Longest element of a packed collection, bytes.
    pub value_bytes_max: usize,
    /// Seed of the hashes of a large one.
    pub seed: u64,
}

/// A type that an object can be: what the typed access of the shard needs.
pub trait Collection: Sized {
    /// The object as this type.
    fn of(object: &Object) -> Option<&Self>;
    /// The object as this type, to be changed.
    fn of_mut(object: &mut Object) -> Option<&mut Self>;
    /// An empty one.
    fn empty() -> Self;
    /// As an object.
    fn into_object(self) -> Object;
    /// Whether a key with this value must go.
    fn is_void(&self) -> bool;
}

/// Makes a type one of the variants of `Object`.
macro_rules! collection {
    ($variant:ident, $type:ty) => {
        impl Collection for $type {
            #[inline]
            fn of(object: &Object) -> Option<&Self> {
                match object {
                    Object::$variant(it) => Some(it),
                    _ => None,
                }
            }

            #[inline]
            fn of_mut(object: &mut Object) -> Option<&mut Self> {
                match object {
                    Object::$variant(it) => Some(it),
                    _ => None,
                }
            }

            fn empty() -> Self {
                Self::new()
            }

            fn into_object(self) -> Object {
                Object::$variant(self)
            }

            fn is_void(&self) -> bool {
                self.len() == 0
            }
        }
    };
}

collection!(Hash, Hash);
collection!(Zset, Zset);
collection!(List, List);
collection!(Set, Set);

impl Collection for Stream {
    fn of(object: &Object) -> Option<&Self> {
        match object {
            Object::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        match object {
            Object::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    fn empty() -> Self {
        Self::new()
    }

    fn into_object(self) -> Object {
        Object::Stream(Box::new(self))
    }

    /// A stream stays when its last entry goes.
    fn is_void(&self) -> bool {
        false
    }
}
