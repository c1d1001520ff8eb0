//! A collection as the value of a key: one of the types. Its head lies in the entry.
#![allow(unsafe_code)]

use std::fmt;
use std::mem::ManuallyDrop;

use crate::entry::size_class;
use crate::hash::Hash;
use crate::list::List;
use crate::listpack::Item;
use crate::set::Set;
use crate::stream::Stream;
use crate::zset::{Scored, Zset};

/// The first byte of a head: the upper four bits are the type, the lower ones its encoding. The encodings' enums take their discriminants from here.
pub(crate) mod tag {
    /// Of hashes.
    pub(crate) const HASH: u8 = 0x00;
    /// Of sorted sets.
    pub(crate) const ZSET: u8 = 0x10;
    /// Of lists.
    pub(crate) const LIST: u8 = 0x20;
    /// Of sets.
    pub(crate) const SET: u8 = 0x30;
    /// Of streams.
    pub(crate) const STREAM: u8 = 0x40;
}

/// The bits of a tag that are the type.
const TYPE_MASK: u8 = 0xf0;

/// A collection, in sixteen bytes: [`Object::view`] tells of which type.
pub struct Object(Head);

/// The heads of all types. Each is an enum of the representation `u8` whose discriminants begin with its type, so the first byte tells which one it is:
/// by the rules of that representation it is the tag, and safe code cannot make it another type's.
#[repr(C)]
union Head {
    tag: u8,
    hash: ManuallyDrop<Hash>,
    zset: ManuallyDrop<Zset>,
    list: ManuallyDrop<List>,
    set: ManuallyDrop<Set>,
    stream: ManuallyDrop<StreamHead>,
}

/// The head of a stream.
#[derive(Clone)]
#[repr(u8)]
enum StreamHead {
    Boxed(Box<Stream>) = tag::STREAM,
}

// There are as many heads as collections.
const _: () = assert!(size_of::<Object>() == 16);

/// A collection as what it is.
#[derive(Clone, Copy)]
pub enum View<'a> {
    /// Fields and values.
    Hash(&'a Hash),
    /// Members with scores.
    Zset(&'a Zset),
    /// Elements in order.
    List(&'a List),
    /// Distinct members.
    Set(&'a Set),
    /// Entries under ascending ids, and the groups that read them.
    Stream(&'a Stream),
}

/// A collection as what it is, to be changed.
pub enum ViewMut<'a> {
    /// See [`View`].
    Hash(&'a mut Hash),
    /// See [`View`].
    Zset(&'a mut Zset),
    /// See [`View`].
    List(&'a mut List),
    /// See [`View`].
    Set(&'a mut Set),
    /// See [`View`].
    Stream(&'a mut Stream),
}

impl Object {
    #[inline]
    fn type_tag(&self) -> u8 {
        // SAFETY: whichever head it is, its first byte is its tag.
        unsafe { self.0.tag & TYPE_MASK }
    }

    /// What it is.
    #[inline]
    #[must_use]
    pub fn view(&self) -> View<'_> {
        // SAFETY: the tag says which head was put here.
        unsafe {
            match self.type_tag() {
                tag::HASH => View::Hash(&self.0.hash),
                tag::ZSET => View::Zset(&self.0.zset),
                tag::LIST => View::List(&self.0.list),
                tag::SET => View::Set(&self.0.set),
                _ => {
                    let StreamHead::Boxed(stream) = &*self.0.stream;
                    View::Stream(stream)
                }
            }
        }
    }

    /// What it is, to be changed.
    #[inline]
    #[must_use]
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        // SAFETY: as in `view`.
        unsafe {
            match self.type_tag() {
                tag::HASH => ViewMut::Hash(&mut self.0.hash),
                tag::ZSET => ViewMut::Zset(&mut self.0.zset),
                tag::LIST => ViewMut::List(&mut self.0.list),
                tag::SET => ViewMut::Set(&mut self.0.set),
                _ => {
                    let StreamHead::Boxed(stream) = &mut *self.0.stream;
                    ViewMut::Stream(stream)
                }
            }
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: the tag says which head it is, and it is dropped once.
        unsafe {
            match self.type_tag() {
                tag::HASH => ManuallyDrop::drop(&mut self.0.hash),
                tag::ZSET => ManuallyDrop::drop(&mut self.0.zset),
                tag::LIST => ManuallyDrop::drop(&mut self.0.list),
                tag::SET => ManuallyDrop::drop(&mut self.0.set),
                _ => ManuallyDrop::drop(&mut self.0.stream),
            }
        }
    }
}

impl Clone for Object {
    fn clone(&self) -> Self {
        match self.view() {
            View::Hash(hash) => hash.clone().into_object(),
            View::Zset(zset) => zset.clone().into_object(),
            View::List(list) => list.clone().into_object(),
            View::Set(set) => set.clone().into_object(),
            View::Stream(stream) => stream.clone().into_object(),
        }
    }
}

impl Object {
    /// The type's name, as TYPE tells it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.view() {
            View::Hash(_) => "hash",
            View::Zset(_) => "zset",
            View::List(_) => "list",
            View::Set(_) => "set",
            View::Stream(_) => "stream",
        }
    }

    /// What OBJECT ENCODING calls the way it is kept.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self.view() {
            View::Hash(hash) => hash.encoding(),
            View::Zset(zset) => zset.encoding(),
            View::List(list) => list.encoding(),
            View::Set(set) => set.encoding(),
            View::Stream(_) => "stream",
        }
    }

    /// Its members with scores, as ZUNION and its kin take them; `None` if it is of a type that they refuse.
    #[must_use]
    pub fn scored(&self) -> Option<Scored<'_>> {
        match self.view() {
            View::Zset(zset) => Some(Scored::Zset(zset)),
            View::Set(set) => Some(Scored::Set(set)),
            View::Hash(_) | View::List(_) | View::Stream(_) => None,
        }
    }

    /// Where its elements begin, to be fetched ahead.
    #[inline]
    #[must_use]
    pub fn contents(&self) -> *const u8 {
        match self.view() {
            View::Hash(hash) => hash.contents(),
            View::Zset(zset) => zset.contents(),
            View::List(list) => list.contents(),
            View::Set(set) => set.contents(),
            View::Stream(stream) => std::ptr::from_ref(stream).cast(),
        }
    }

    /// Number of elements (fields, members, entries).
    #[must_use]
    pub fn len(&self) -> usize {
        match self.view() {
            View::Hash(hash) => hash.len(),
            View::Zset(zset) => zset.len(),
            View::List(list) => list.len(),
            View::Set(set) => set.len(),
            View::Stream(stream) => stream.len(),
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
        match self.view() {
            View::Stream(stream) => stream.weight(),
            _ => self.len(),
        }
    }

    /// Bytes taken from the allocator, beside the entry. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self.view() {
            View::Hash(hash) => hash.heap_bytes(),
            View::Zset(zset) => zset.heap_bytes(),
            View::List(list) => list.heap_bytes(),
            View::Set(set) => set.heap_bytes(),
            View::Stream(stream) => size_class(size_of::<Stream>()) + stream.heap_bytes(),
        }
    }

    /// Calls `visit` for every element that SORT sorts: those of a list in order, the members of a set in any, those of a sorted set by score.
    /// Says whether this type can be sorted.
    pub fn each_sortable(&self, visit: &mut dyn FnMut(Item<'_>)) -> bool {
        match self.view() {
            View::List(list) => {
                list.iter().for_each(visit);
                true
            }
            View::Zset(zset) => {
                zset.iter().for_each(|(member, _)| visit(member));
                true
            }
            View::Set(set) => {
                set.for_each(visit);
                true
            }
            View::Hash(_) | View::Stream(_) => false,
        }
    }

    /// Frees up to about `elements` elements and says whether that was all. For collections that are too large to be dropped at once.
    pub fn free_some(&mut self, elements: usize) -> bool {
        match self.view_mut() {
            ViewMut::Hash(hash) => hash.free_some(elements),
            ViewMut::Zset(zset) => zset.free_some(elements),
            ViewMut::List(list) => list.free_some(elements),
            ViewMut::Set(set) => set.free_some(elements),
            ViewMut::Stream(stream) => stream.free_some(elements),
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

/// Makes a type one of those that an object can be.
macro_rules! collection {
    ($variant:ident, $field:ident, $type:ty) => {
        impl Collection for $type {
            #[inline]
            fn of(object: &Object) -> Option<&Self> {
                match object.view() {
                    View::$variant(it) => Some(it),
                    _ => None,
                }
            }

            #[inline]
            fn of_mut(object: &mut Object) -> Option<&mut Self> {
                match object.view_mut() {
                    ViewMut::$variant(it) => Some(it),
                    _ => None,
                }
            }

            fn empty() -> Self {
                Self::new()
            }

            fn into_object(self) -> Object {
                Object(Head {
                    $field: ManuallyDrop::new(self),
                })
            }

            fn is_void(&self) -> bool {
                self.len() == 0
            }
        }
    };
}

collection!(Hash, hash, Hash);
collection!(Zset, zset, Zset);
collection!(List, list, List);
collection!(Set, set, Set);

impl Collection for Stream {
    fn of(object: &Object) -> Option<&Self> {
        match object.view() {
            View::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        match object.view_mut() {
            ViewMut::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    fn empty() -> Self {
        Self::new()
    }

    fn into_object(self) -> Object {
        Object(Head {
            stream: ManuallyDrop::new(StreamHead::Boxed(Box::new(self))),
        })
    }

    /// A stream stays when its last entry goes.
    fn is_void(&self) -> bool {
        false
    }
}
