//! The bytes of one entry: where each field lies, how it is read and written.
//!
//! ```text
//!  0        4            4 or 12      +1 or +4     +key length
//!  | access | expire_at? | key length | key        | value section            |
//!  | u32    | u64        | u8 or u32  | bytes      | by kind                  |
//!
//!  access word   bits 0..26 LRU/LFU bits, bits 26..32 flags
//!  flags         bits 0..2 kind, 2 TTL, 3 RAW, 4 LONG_KEY, 5 LONG_VALUE
//!  kind 0 Int    i64
//!  kind 1 Str    length u8 (u16 if LONG_VALUE), bytes
//!  kind 2 BigStr pointer, length, capacity (8 bytes each); the bytes are in a buffer of their own
//!  kind 3 Object up to 7 bytes that bring it to a multiple of 8, the collection's head
//! ```
//!
//! Invariants: a blob has `class(used bytes)` bytes, at a multiple of 8: a region of a slab up to `SLAB_MAX`, an allocation of its own above;
//! so the access word is aligned and everything behind it is read unaligned. `key` and what
//! follows is contiguous, which lets a TTL be added or removed by moving one range: by eight bytes, so that a collection stays aligned.
//! Called only by the entry files.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{OutOfMemory, size_class};
use crate::object::Object;
use crate::slab::{self, SLAB_MAX};

/// The access bits of the access word, for LRU or LFU.
pub(super) const ACCESS_MASK: u32 = (1 << FLAGS_SHIFT) - 1;

const FLAGS_SHIFT: u32 = 26;
const KIND_MASK: u32 = 3;
pub(super) const INT: u32 = 0;
pub(super) const STR: u32 = 1;
pub(super) const BIG: u32 = 2;
pub(super) const OBJECT: u32 = 3;
pub(super) const TTL: u32 = 1 << 2;
pub(super) const RAW: u32 = 1 << 3;
pub(super) const LONG_KEY: u32 = 1 << 4;
pub(super) const LONG_VALUE: u32 = 1 << 5;

const _: () = assert!(align_of::<Object>() == 8);
/// Bytes of a BigStr's value section.
pub(super) const BIG_BYTES: usize = 24;

/// A pointer to the first byte of a blob. Whoever holds one answers for its being live; see `Entry`.
#[derive(Clone, Copy)]
pub(super) struct Blob(pub(super) NonNull<u8>);

/// The separate buffer of a BigStr. `cap` is a size class and the exact size of the allocation; `len <= cap`.
#[derive(Clone, Copy)]
pub(super) struct Big {
    pub(super) ptr: NonNull<u8>,
    pub(super) len: usize,
    pub(super) cap: usize,
}

/// Bytes before the key's length.
#[inline]
pub(super) const fn body_at(flags: u32) -> usize {
    // TTL is bit 2, so the shifted bit is 0 or 8.
    4 + ((flags & TTL) << 1) as usize
}

/// Width of the key's length field.
#[inline]
pub(super) const fn key_width(flags: u32) -> usize {
    1 + 3 * (flags & LONG_KEY != 0) as usize
}

/// Width of a Str's length field.
#[inline]
pub(super) const fn value_width(flags: u32) -> usize {
    1 + (flags & LONG_VALUE != 0) as usize
}

/// The flag for a key of this length.
#[inline]
pub(super) const fn key_flag(key_len: usize) -> u32 {
    if key_len > u8::MAX as usize {
        LONG_KEY
    } else {
        0
    }
}

/// The flag for an inline value of this length.
#[inline]
pub(super) const fn value_flag(len: usize) -> u32 {
    if len > u8::MAX as usize {
        LONG_VALUE
    } else {
        0
    }
}

/// Where the collection lies in the blob, given the offset of its value section.
#[inline]
pub(super) const fn object_at(value_at: usize) -> usize {
    (value_at + 7) & !7
}

/// Bytes of the value section of a collection at this offset.
#[inline]
pub(super) const fn object_section(value_at: usize) -> usize {
    object_at(value_at) - value_at + size_of::<Object>()
}

/// Bytes of a blob of `used` bytes.
#[inline]
pub(super) const fn class(used: usize) -> usize {
    if used <= SLAB_MAX {
        slab::class(used)
    } else {
        size_class(used)
    }
}

/// How a blob above `SLAB_MAX` is allocated.
#[inline]
fn layout(used: usize) -> Layout {
    let class = size_class(used);
    // SAFETY: 8 is a power of two; `used` is the size of data that exists in memory (a key of at most 4 GiB and an
    // inline value), so its class is far below isize::MAX.
    unsafe { Layout::from_size_align_unchecked(class, 8) }
}

impl Blob {
    /// Allocates room for `used` bytes, unless the allocator refuses.
    #[inline]
    pub(super) fn allocate(used: usize) -> Result<Self, OutOfMemory> {
        let ptr = if used <= SLAB_MAX {
            slab::allocate(used)
        } else {
            // SAFETY: the layout has a non-zero size.
            NonNull::new(unsafe { alloc(layout(used)) })
        };
        ptr.map(Self).ok_or(OutOfMemory)
    }

    /// Frees a blob of `used` bytes (any number of the same size class).
    ///
    /// # Safety
    /// The blob came from `allocate` with the same size class and is not used afterwards.
    #[inline]
    pub(super) unsafe fn free(self, used: usize) {
        // SAFETY: it came from the same place in `allocate`, with the same layout, as both depend on the class alone.
        unsafe {
            if used <= SLAB_MAX {
                slab::free(self.0);
            } else {
                dealloc(self.0.as_ptr(), layout(used));
            }
        }
    }

    /// A pointer `offset` bytes into the blob.
    #[inline]
    pub(super) fn at(self, offset: usize) -> *mut u8 {
        self.0.as_ptr().wrapping_add(offset)
    }

    /// The access word. Atomic, relaxed: a plain load or store, but sound through a shared handle.
    #[inline]
    fn word(&self) -> &AtomicU32 {
        // SAFETY: the first four bytes of a live blob are the access word, 8-aligned, and never accessed otherwise
        // while the blob is shared.
        unsafe { AtomicU32::from_ptr(self.0.as_ptr().cast()) }
    }

    #[inline]
    pub(super) fn access(self) -> u32 {
        self.word().load(Relaxed) & ACCESS_MASK
    }

    #[inline]
    pub(super) fn set_access(self, access: u32) {
        let word = self.word();
        word.store(
            word.load(Relaxed) & !ACCESS_MASK | access & ACCESS_MASK,
            Relaxed,
        );
    }

    #[inline]
    pub(super) fn flags(self) -> u32 {
        self.word().load(Relaxed) >> FLAGS_SHIFT
    }

    #[inline]
    pub(super) fn set_flags(self, flags: u32) {
        let word = self.word();
        word.store(
            word.load(Relaxed) & ACCESS_MASK | flags << FLAGS_SHIFT,
            Relaxed,
        );
    }

    /// Writes the access word of a fresh blob, whose bytes are not initialised yet.
    #[inline]
    pub(super) fn init_word(self, access: u32, flags: u32) {
        // SAFETY: a blob is at least 8 bytes, 8-aligned.
        unsafe {
            self.0
                .as_ptr()
                .cast::<u32>()
                .write(access & ACCESS_MASK | flags << FLAGS_SHIFT)
        }
    }

    /// Reads a field.
    ///
    /// # Safety
    /// `offset` is that of an initialised field of type `T` of this live blob.
    #[inline]
    pub(super) unsafe fn read<T: Copy>(self, offset: usize) -> T {
        // SAFETY: the caller's promise; unaligned by design.
        unsafe { self.at(offset).cast::<T>().read_unaligned() }
    }

    /// Writes a field.
    ///
    /// # Safety
    /// `offset + size_of::<T>()` lies within the allocation.
    #[inline]
    pub(super) unsafe fn write<T: Copy>(self, offset: usize, field: T) {
        // SAFETY: the caller's promise; unaligned by design.
        unsafe { self.at(offset).cast::<T>().write_unaligned(field) }
    }

    /// Where the key starts, and its length.
    #[inline]
    pub(super) fn key_span(self, flags: u32) -> (usize, usize) {
        let at = body_at(flags);
        if flags & LONG_KEY == 0 {
            // SAFETY: a short key's length is one byte, at the start of the body.
            (at + 1, usize::from(unsafe { self.read::<u8>(at) }))
        } else {
            // SAFETY: a long key's length is four bytes, at the start of the body.
            (at + 4, unsafe { self.read::<u32>(at) } as usize)
        }
    }

    /// Offset of the value section.
    #[inline]
    pub(super) fn value_at(self, flags: u32) -> usize {
        let (at, len) = self.key_span(flags);
        at + len
    }

    /// Where a Str's bytes start, and their length, given the offset of its value section.
    #[inline]
    pub(super) fn str_span(self, flags: u32, value_at: usize) -> (usize, usize) {
        if flags & LONG_VALUE == 0 {
            // SAFETY: a short value's length is one byte, at the start of the value section.
            (
                value_at + 1,
                usize::from(unsafe { self.read::<u8>(value_at) }),
            )
        } else {
            // SAFETY: a long value's length is two bytes, at the start of the value section.
            (
                value_at + 2,
                usize::from(unsafe { self.read::<u16>(value_at) }),
            )
        }
    }

    /// The buffer of a BigStr, given the offset of its value section.
    #[inline]
    pub(super) fn big(self, value_at: usize) -> Big {
        // SAFETY: callers look at the kind first; a BigStr's section is these three fields.
        unsafe {
            Big {
                ptr: self.read::<NonNull<u8>>(value_at),
                len: self.read::<usize>(value_at + 8),
                cap: self.read::<usize>(value_at + 16),
            }
        }
    }

    /// Where the collection lies, given the offset of its value section.
    #[inline]
    pub(super) fn object(self, value_at: usize) -> NonNull<Object> {
        let at = self.at(object_at(value_at)).cast();
        // SAFETY: it lies in a live blob, hence not at null.
        unsafe { NonNull::new_unchecked(at) }
    }

    /// Bytes of the value section.
    #[inline]
    pub(super) fn value_bytes(self, flags: u32, value_at: usize) -> usize {
        match flags & KIND_MASK {
            INT => 8,
            OBJECT => object_section(value_at),
            STR => {
                let (at, len) = self.str_span(flags, value_at);
                at + len - value_at
            }
            _ => BIG_BYTES,
        }
    }
}

/// The kind of a blob with these flags.
#[inline]
pub(super) const fn kind(flags: u32) -> u32 {
    flags & KIND_MASK
}

/// `flags` with the value's kind, RAW and LONG_VALUE replaced by `value_flags`.
#[inline]
pub(super) const fn with_value_flags(flags: u32, value_flags: u32) -> u32 {
    flags & (TTL | LONG_KEY) | value_flags
}
