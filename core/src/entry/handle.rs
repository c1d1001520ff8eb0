//! The owning handle of one blob.
//!
//! Owns [`Entry`]: allocation, reading, the access bits, the key, and release. Invariants: the low 48 bits of the
//! handle are the address of a live blob that nobody else owns; the upper 16 bits belong to the table (a slot of a
//! bucket is an entry with a tag in them) and mean nothing here, but survive every change of the blob. Called by the
//! table and by code that carries entries between tables, shards and files.
#![allow(unsafe_code)]

use std::fmt;
use std::mem;
use std::ptr::NonNull;

use super::blob::{self, BIG, Blob, INT, OBJECT, RAW, STR, TTL};
use super::{OutOfMemory, Part, StrValue, ValueRef, string};
use crate::object::{Object, View};
use crate::slab::SLAB_MAX;

/// Bits of a handle that are an address. User space has 47 on x86-64 and at most 48 on the other 64-bit machines
/// unless a program asks for more, which an allocator does not.
pub(crate) const PTR_BITS: u32 = 48;
/// Mask of the address bits.
const PTR_MASK: usize = (1 << PTR_BITS) - 1;

const _: () = assert!(
    usize::BITS == 64,
    "handles carry 16 bits beside a 48-bit address"
);

/// A key with its value, its expiry time and its access bits: one pointer, one heap block.
///
/// An entry may be moved between tables and threads; the blob stays where it is.
#[repr(transparent)]
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its blob and buffer alone; nothing in them refers to a thread.
unsafe impl Send for Entry {}
// SAFETY: through `&Entry` only the access word is written, and that atomically.
unsafe impl Sync for Entry {}

impl Entry {
    /// Allocates an entry. `expire_at` is in milliseconds since the Unix epoch. One allocation, a second one for
    /// values above [`super::INLINE_MAX`] bytes. O(key + value). Aborts when memory is refused.
    ///
    /// # Panics
    /// If the key is longer than `u32::MAX` bytes.
    #[must_use]
    pub fn new(key: &[u8], value: StrValue<'_>, expire_at: Option<u64>) -> Self {
        Self::try_new(key, value, expire_at).unwrap_or_else(string::refused)
    }

    /// [`Entry::new`], where running out of memory is no end.
    ///
    /// # Errors
    /// [`OutOfMemory`] when an allocation is refused.
    ///
    /// # Panics
    /// If the key is longer than `u32::MAX` bytes.
    #[inline]
    pub fn try_new(
        key: &[u8],
        value: StrValue<'_>,
        expire_at: Option<u64>,
    ) -> Result<Self, OutOfMemory> {
        assert!(
            u32::try_from(key.len()).is_ok(),
            "a key has at most u32::MAX bytes"
        );
        let (value_flags, section) = string::shape(value);
        let flags =
            value_flags | blob::key_flag(key.len()) | if expire_at.is_some() { TTL } else { 0 };
        let (blob, value_at) = Self::with_head(key, flags, expire_at, section, 0)?;
        if let Err(refused) = string::write_section(blob, value_at, value) {
            // SAFETY: the blob was allocated with this size just now and has no owner yet.
            unsafe { blob.free(value_at + section) };
            return Err(refused);
        }
        Ok(Self(blob.0))
    }

    /// An entry whose value is a collection. As `new`.
    ///
    /// # Panics
    /// If the key is longer than `u32::MAX` bytes.
    #[must_use]
    pub fn with_object(key: &[u8], object: Object, expire_at: Option<u64>) -> Self {
        assert!(
            u32::try_from(key.len()).is_ok(),
            "a key has at most u32::MAX bytes"
        );
        let ttl = if expire_at.is_some() { TTL } else { 0 };
        let flags = OBJECT | blob::key_flag(key.len()) | ttl;
        let section = blob::object_section(Self::value_at(key, flags));
        let (blob, value_at) =
            Self::with_head(key, flags, expire_at, section, 0).unwrap_or_else(string::refused);
        // SAFETY: the section was sized for the collection and is aligned for it.
        unsafe { blob.object(value_at).write(object) };
        Self(blob.0)
    }

    /// Where the value section of a blob with this key and these flags begins.
    #[inline]
    const fn value_at(key: &[u8], flags: u32) -> usize {
        blob::body_at(flags) + blob::key_width(flags) + key.len()
    }

    /// Allocates a blob and writes all but its value section, whose offset is returned too.
    #[inline]
    fn with_head(
        key: &[u8],
        flags: u32,
        expire_at: Option<u64>,
        section: usize,
        access: u32,
    ) -> Result<(Blob, usize), OutOfMemory> {
        let body_at = blob::body_at(flags);
        let key_at = body_at + blob::key_width(flags);
        let value_at = Self::value_at(key, flags);
        let blob = Blob::allocate(value_at + section)?;
        blob.init_word(access, flags);
        // SAFETY: all four fields lie below `value_at`, inside the new allocation; the key is elsewhere.
        unsafe {
            if let Some(at_ms) = expire_at {
                blob.write(4, at_ms);
            }
            if flags & blob::LONG_KEY == 0 {
                blob.write(body_at, key.len() as u8);
            } else {
                blob.write(body_at, key.len() as u32);
            }
            blob.at(key_at)
                .copy_from_nonoverlapping(key.as_ptr(), key.len());
        }
        Ok((blob, value_at))
    }

    /// The blob, without the bits a table keeps in the handle.
    #[inline]
    pub(super) fn blob(&self) -> Blob {
        let ptr = self.0.as_ptr().map_addr(|addr| addr & PTR_MASK);
        // SAFETY: the address bits of a handle are those of a live blob, hence not null.
        Blob(unsafe { NonNull::new_unchecked(ptr) })
    }

    /// Points the handle at another blob, keeping the table's bits.
    #[inline]
    pub(super) fn set_blob(&mut self, blob: Blob) {
        let bits = self.0.as_ptr().addr() & !PTR_MASK;
        debug_assert_eq!(
            blob.0.as_ptr().addr() & !PTR_MASK,
            0,
            "address above 48 bits"
        );
        let ptr = blob.0.as_ptr().map_addr(|addr| addr | bits);
        // SAFETY: the blob's address is not null and bits were only added to it.
        self.0 = unsafe { NonNull::new_unchecked(ptr) };
    }

    /// The handle's pointer without the table's bits, given up by the handle.
    #[inline]
    pub(crate) fn into_ptr(self) -> NonNull<u8> {
        let ptr = self.blob().0;
        mem::forget(self);
        ptr
    }

    /// Takes a blob back.
    ///
    /// # Safety
    /// The address bits of `ptr` came from `into_ptr`, and this is the only handle made from it.
    #[inline]
    pub(crate) unsafe fn from_ptr(ptr: NonNull<u8>) -> Self {
        let ptr = ptr.as_ptr().map_addr(|addr| addr & PTR_MASK);
        // SAFETY: see above; the address of a live blob is not null.
        Self(unsafe { NonNull::new_unchecked(ptr) })
    }

    /// Where the blob lies, for a structure beside the table that refers to entries it does not own.
    #[inline]
    pub(crate) fn address(&self) -> NonNull<u8> {
        self.blob().0
    }

    /// The entry whose blob lies at `address`, looked at without owning it.
    ///
    /// # Safety
    /// `address` came from [`Entry::address`], and the blob is live and not moved while the result is used.
    #[inline]
    pub(crate) unsafe fn at_address(address: &NonNull<u8>) -> &Self {
        // SAFETY: an entry is a transparent pointer to its blob, which is live by the caller's promise; a shared
        // reference does not drop it.
        unsafe { &*std::ptr::from_ref(address).cast::<Self>() }
    }

    /// The key. Touches the blob's first line.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &[u8] {
        let blob = self.blob();
        let (at, len) = blob.key_span(blob.flags());
        // SAFETY: the key's bytes are initialised and do not change while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(blob.at(at), len) }
    }

    /// Whether this is the entry of `key`. Like comparing [`Entry::key`], without a call for keys up to 32 bytes.
    #[inline(always)]
    #[must_use]
    pub fn has_key(&self, key: &[u8]) -> bool {
        let own = self.key();
        if own.len() != key.len() {
            return false;
        }
        // The first and the last bytes, overlapping, cover the whole.
        if let (Some(a), Some(b)) = (own.first_chunk::<16>(), key.first_chunk::<16>()) {
            if own.len() <= 32 {
                let (c, d) = (own.last_chunk::<16>(), key.last_chunk::<16>());
                return a == b && c == d;
            }
        } else if let (Some(a), Some(b)) = (own.first_chunk::<8>(), key.first_chunk::<8>()) {
            return a == b && own.last_chunk::<8>() == key.last_chunk::<8>();
        } else if let (Some(a), Some(b)) = (own.first_chunk::<4>(), key.first_chunk::<4>()) {
            return a == b && own.last_chunk::<4>() == key.last_chunk::<4>();
        }
        own == key
    }

    /// The value, if it is a string. One above [`super::INLINE_MAX`] bytes lies in a buffer of its own: one cache miss more.
    #[inline]
    #[must_use]
    pub fn string(&self) -> Option<ValueRef<'_>> {
        let blob = self.blob();
        let flags = blob.flags();
        let value_at = blob.value_at(flags);
        // SAFETY: by the kind, the section is an i64, a length with its bytes, or a buffer whose first `len` bytes
        // are initialised; none of them changes while `self` is borrowed.
        unsafe {
            Some(match blob::kind(flags) {
                INT => ValueRef::Int(blob.read(value_at)),
                STR => {
                    let (at, len) = blob.str_span(flags, value_at);
                    ValueRef::Bytes(std::slice::from_raw_parts(blob.at(at), len))
                }
                BIG => {
                    let big = blob.big(value_at);
                    ValueRef::Bytes(std::slice::from_raw_parts(big.ptr.as_ptr(), big.len))
                }
                _ => return None,
            })
        }
    }

    /// The value, if it is a collection.
    #[inline]
    #[must_use]
    pub fn object(&self) -> Option<&Object> {
        let blob = self.blob();
        let flags = blob.flags();
        // SAFETY: by the kind, a collection lies there, aligned; the entry owns it and is borrowed.
        (blob::kind(flags) == OBJECT).then(|| unsafe { blob.object(blob.value_at(flags)).as_ref() })
    }

    /// The value, if it is a collection, to be changed. The caller answers for the table's totals: see `EntryMut::change_object`.
    #[inline]
    pub fn object_mut(&mut self) -> Option<&mut Object> {
        let blob = self.blob();
        let flags = blob.flags();
        // SAFETY: by the kind, a collection lies there, aligned; the entry owns it and is borrowed mutably.
        (blob::kind(flags) == OBJECT).then(|| unsafe { blob.object(blob.value_at(flags)).as_mut() })
    }

    /// Whether the value is a collection.
    #[inline]
    #[must_use]
    pub fn is_object(&self) -> bool {
        blob::kind(self.blob().flags()) == OBJECT
    }

    /// Whether the value was modified in place by something like APPEND or SETRANGE since it was set, which is what
    /// OBJECT ENCODING calls "raw" whatever its length.
    #[inline]
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.blob().flags() & RAW != 0
    }

    /// The expiry time in milliseconds since the Unix epoch, if the key has one.
    #[inline]
    #[must_use]
    pub fn expire_at(&self) -> Option<u64> {
        let blob = self.blob();
        if blob.flags() & TTL == 0 {
            return None;
        }
        // SAFETY: the flag says that the field is there.
        Some(unsafe { blob.read(4) })
    }

    /// Whether the value is a hash with fields that have a lifetime.
    #[inline]
    #[must_use]
    pub fn has_field_times(&self) -> bool {
        matches!(self.object().map(Object::view), Some(View::Hash(hash)) if hash.ttl_len() > 0)
    }

    /// Whether expiry must look at this entry: the key has an expiry time, or fields of its value have.
    #[inline]
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.expire_at().is_some() || self.has_field_times()
    }

    /// The 26 access bits (LRU clock or LFU counter).
    #[inline]
    #[must_use]
    pub fn access(&self) -> u32 {
        self.blob().access()
    }

    /// Sets the access bits to the low 26 bits of `access`. No snapshot sees access bits, so this is no change of
    /// the entry.
    #[inline]
    pub fn set_access(&self, access: u32) {
        self.blob().set_access(access);
    }

    /// The same value, expiry, access bits and rawness under another key. Rebuilds the blob, moves a large value's
    /// buffer without copying it. O(key + inline value).
    ///
    /// # Panics
    /// If the key is longer than `u32::MAX` bytes.
    #[must_use]
    pub fn with_key(self, key: &[u8]) -> Self {
        assert!(
            u32::try_from(key.len()).is_ok(),
            "a key has at most u32::MAX bytes"
        );
        let old = self.blob();
        let old_flags = old.flags();
        let old_value_at = old.value_at(old_flags);
        let old_section = old.value_bytes(old_flags, old_value_at);
        let flags = old_flags & !blob::LONG_KEY | blob::key_flag(key.len());
        let is_object = blob::kind(flags) == OBJECT;
        let section = if is_object {
            blob::object_section(Self::value_at(key, flags))
        } else {
            old_section
        };
        let (blob, value_at) = Self::with_head(key, flags, self.expire_at(), section, old.access())
            .unwrap_or_else(string::refused);
        // SAFETY: a collection is aligned in both blobs, any other section has as many bytes in both; the old handle is forgotten, so
        // what the section owns has one owner, and the old blob is freed once, with its size.
        unsafe {
            if is_object {
                blob.object(value_at)
                    .copy_from_nonoverlapping(old.object(old_value_at), 1);
            } else {
                blob.at(value_at)
                    .copy_from_nonoverlapping(old.at(old_value_at), section);
            }
            mem::forget(self);
            old.free(old_value_at + old_section);
        }
        Self(blob.0)
    }

    /// Whether any part fulfils the condition: the blob, a large value's buffer. The parts of a collection are not asked
    /// for; they come along.
    pub fn any_part(&self, is: &mut dyn FnMut(Part<'_>) -> bool) -> bool {
        let blob = self.blob();
        let flags = blob.flags();
        let value_at = blob.value_at(flags);
        let in_slab = value_at + blob.value_bytes(flags, value_at) <= SLAB_MAX;
        // SAFETY: both belong to this entry, and a blob up to this size lies in a slab.
        unsafe {
            is(Part::new(blob.0, in_slab))
                || blob::kind(flags) == BIG && is(Part::new(blob.big(value_at).ptr, false))
        }
    }

    /// Bytes that this entry takes: the size class of its blob and of its buffer. O(1).
    #[inline]
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let blob = self.blob();
        let flags = blob.flags();
        let value_at = blob.value_at(flags);
        let own = blob::class(value_at + blob.value_bytes(flags, value_at));
        match blob::kind(flags) {
            BIG => own + blob.big(value_at).cap,
            // SAFETY: by the kind, a collection lies there.
            OBJECT => own + unsafe { blob.object(value_at).as_ref() }.heap_bytes(),
            _ => own,
        }
    }
}

impl Clone for Entry {
    /// The same key, value, expiry, access bits and rawness in a blob of its own. O(value).
    fn clone(&self) -> Self {
        let expire_at = self.expire_at();
        let mut copy = match (self.string(), self.object()) {
            (Some(value), _) => Self::new(self.key(), value.into(), expire_at),
            (None, Some(object)) => Self::with_object(self.key(), object.clone(), expire_at),
            (None, None) => Self::new(self.key(), StrValue::Bytes(b""), expire_at),
        };
        if self.is_raw() {
            copy.bytes_mut();
        }
        copy.set_access(self.access());
        copy
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        let blob = self.blob();
        let flags = blob.flags();
        let value_at = blob.value_at(flags);
        match blob::kind(flags) {
            BIG => string::free_buffer(blob.big(value_at)),
            // SAFETY: by the kind, a collection lies there, which nobody sees any more.
            OBJECT => unsafe { blob.object(value_at).drop_in_place() },
            _ => {}
        }
        // SAFETY: the handle owned the blob and ends here.
        unsafe { blob.free(value_at + blob.value_bytes(flags, value_at)) }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii().to_string())
            .field("string", &self.string())
            .field("object", &self.object())
            .field("expire_at", &self.expire_at())
            .finish_non_exhaustive()
    }
}
