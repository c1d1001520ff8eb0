//! String values inside an entry: writing, replacing, growing.
//!
//! Owns the choice between an inline value and a buffer of its own, and the growth policy. A value of at most
//! [`INLINE_MAX`] bytes is inline and grows by moving to the next size class (above 128 bytes the classes are a
//! geometric series, so appending stays amortised O(1) per byte); a longer one has a buffer that grows by doubling up
//! to 1 MiB of slack. Invariants: after every function the blob's flags describe its value section; a buffer's
//! capacity is a size class; a failed allocation of a buffer leaves the entry as it was. Called by `EntryMut` and by
//! holders of a detached entry.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::blob::{self, BIG, BIG_BYTES, Big, Blob, INT, LONG_VALUE, OBJECT, RAW, STR, TTL};
use super::{Entry, OutOfMemory, StrValue, size_class};

/// The longest value, in bytes, that is kept inside the blob.
///
/// A buffer of its own costs 24 bytes, a second allocation and one more cache miss per read; being inline costs a
/// copy of the value whenever the blob changes its size class. At half a KiB the copy is about 10 ns.
pub const INLINE_MAX: usize = 512;

/// The most slack a growing buffer asks for beyond what it needs.
const SLACK_MAX: usize = 1 << 20;

/// Flags and section bytes of a value to be written.
#[inline]
pub(super) fn shape(value: StrValue<'_>) -> (u32, usize) {
    match value {
        StrValue::Int(_) => (INT, 8),
        StrValue::Bytes(bytes) if bytes.len() <= INLINE_MAX => {
            let flags = STR | blob::value_flag(bytes.len());
            (flags, blob::value_width(flags) + bytes.len())
        }
        StrValue::Bytes(_) => (BIG, BIG_BYTES),
    }
}

/// Writes a value section at `at`, as `shape` has sized it, into an allocation that has room for it. Writes nothing when
/// the buffer of a large value is refused.
#[inline]
pub(super) fn write_section(blob: Blob, at: usize, value: StrValue<'_>) -> Result<(), OutOfMemory> {
    // SAFETY: the caller has allocated `shape(value)` bytes at `at`; `bytes` is not in this blob.
    unsafe {
        match value {
            StrValue::Int(int) => blob.write(at, int),
            StrValue::Bytes(bytes) if bytes.len() <= INLINE_MAX => {
                let data_at = write_len(blob, at, bytes.len());
                blob.at(data_at)
                    .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            }
            StrValue::Bytes(bytes) => write_big(blob, at, new_buffer(bytes)?),
        }
    }
    Ok(())
}

/// Writes the length of an inline value and returns where its bytes start.
///
/// # Safety
/// The allocation has room for the length at `at`.
#[inline]
unsafe fn write_len(blob: Blob, at: usize, len: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        if blob::value_flag(len) == 0 {
            blob.write(at, len as u8);
            at + 1
        } else {
            blob.write(at, len as u16);
            at + 2
        }
    }
}

/// Writes the section of a BigStr.
///
/// # Safety
/// The allocation has room for 24 bytes at `at`.
#[inline]
unsafe fn write_big(blob: Blob, at: usize, big: Big) {
    // SAFETY: the caller's promise.
    unsafe {
        blob.write(at, big.ptr);
        blob.write(at + 8, big.len);
        blob.write(at + 16, big.cap);
    }
}

/// The layout of a buffer; `None` where no allocator could grant it.
fn buffer_layout(cap: usize) -> Option<Layout> {
    Layout::from_size_align(cap, 1).ok()
}

fn try_buffer(len_min: usize) -> Result<Big, OutOfMemory> {
    let cap = size_class(len_min);
    let layout = buffer_layout(cap).ok_or(OutOfMemory)?;
    // SAFETY: a size class is not zero.
    let ptr = NonNull::new(unsafe { alloc(layout) }).ok_or(OutOfMemory)?;
    Ok(Big { ptr, len: 0, cap })
}

/// A buffer with these bytes.
fn new_buffer(bytes: &[u8]) -> Result<Big, OutOfMemory> {
    let mut big = try_buffer(bytes.len())?;
    // SAFETY: the buffer is new and holds at least as many bytes.
    unsafe {
        big.ptr
            .as_ptr()
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
    };
    big.len = bytes.len();
    Ok(big)
}

/// Ends the process, as `Box` does: for callers that cannot go on without the memory.
#[cold]
pub(crate) fn refused<T>(OutOfMemory: OutOfMemory) -> T {
    handle_alloc_error(Layout::new::<Blob>())
}

/// Frees the buffer of a BigStr that is going away.
pub(super) fn free_buffer(big: Big) {
    if let Some(layout) = buffer_layout(big.cap) {
        // SAFETY: `cap` is the size it was allocated with; the entry that owned it no longer refers to it.
        unsafe { dealloc(big.ptr.as_ptr(), layout) }
    }
}

impl Entry {
    /// Replaces value and expiry; key and access bits stay. The value is no longer raw. In place when the size class
    /// of the blob stays the same, else one allocation and one free. O(value). Aborts when memory is refused.
    pub fn set(&mut self, value: StrValue<'_>, expire_at: Option<u64>) {
        self.try_set(value, expire_at).unwrap_or_else(refused);
    }

    /// [`Entry::set`], where running out of memory is no end.
    ///
    /// # Errors
    /// [`OutOfMemory`] when an allocation is refused; the entry is then unchanged.
    pub fn try_set(
        &mut self,
        value: StrValue<'_>,
        expire_at: Option<u64>,
    ) -> Result<(), OutOfMemory> {
        let blob = self.blob();
        let flags = blob.flags();
        let (value_flags, _) = shape(value);
        if blob::kind(flags) != BIG {
            // SAFETY: by the kind, a collection lies there. Either it is overwritten and this copy is dropped, or it stays and the copy is not.
            let object = (blob::kind(flags) == OBJECT)
                .then(|| unsafe { ManuallyDrop::new(blob.object(blob.value_at(flags)).read()) });
            self.replace(value, expire_at)?;
            drop(object.map(ManuallyDrop::into_inner));
            return Ok(());
        }
        let mut big = blob.big(blob.value_at(flags));
        match value {
            StrValue::Bytes(bytes)
                if value_flags == BIG && bytes.len() <= big.cap && bytes.len() >= big.cap / 2 =>
            {
                let at = self.reshape(BIG, expire_at, BIG_BYTES, 0)?;
                // SAFETY: the buffer holds `cap` bytes and `bytes` cannot lie in it, as `self` is borrowed mutably.
                unsafe {
                    big.ptr
                        .as_ptr()
                        .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
                };
                big.len = bytes.len();
                // SAFETY: `reshape` made room for the section.
                unsafe { write_big(self.blob(), at, big) };
            }
            _ => {
                self.replace(value, expire_at)?;
                free_buffer(big);
            }
        }
        Ok(())
    }

    /// Writes a new value section and leaves the old one's buffer, if it had one, to the caller. All memory is there
    /// before anything changes.
    fn replace(&mut self, value: StrValue<'_>, expire_at: Option<u64>) -> Result<(), OutOfMemory> {
        let (value_flags, section) = shape(value);
        let bytes = match value {
            StrValue::Bytes(bytes) if value_flags == BIG => bytes,
            _ => {
                let at = self.reshape(value_flags, expire_at, section, 0)?;
                return write_section(self.blob(), at, value);
            }
        };
        let big = new_buffer(bytes)?;
        match self.reshape(BIG, expire_at, BIG_BYTES, 0) {
            // SAFETY: `reshape` made room for the section.
            Ok(at) => unsafe { write_big(self.blob(), at, big) },
            Err(refused) => {
                free_buffer(big);
                return Err(refused);
            }
        }
        Ok(())
    }

    /// `set`, if that changes neither the layout before the value nor the size class, and no buffer is or was there:
    /// then the entry keeps its address and `heap_bytes`. Says false otherwise, and does nothing.
    #[inline]
    pub(crate) fn rewrite(&mut self, value: StrValue<'_>, expire_at: Option<u64>) -> bool {
        let blob = self.blob();
        let flags = blob.flags();
        let (value_flags, section) = shape(value);
        let same_head = expire_at.is_some() == (flags & TTL != 0);
        if !same_head || blob::kind(flags) >= BIG || value_flags == BIG {
            return false;
        }
        let value_at = blob.value_at(flags);
        let old_section = blob.value_bytes(flags, value_at);
        if section != old_section
            && blob::class(value_at + section) != blob::class(value_at + old_section)
        {
            return false;
        }
        blob.set_flags(blob::with_value_flags(flags, value_flags));
        if let Some(at_ms) = expire_at {
            // SAFETY: the flag says that the field is there.
            unsafe { blob.write(4, at_ms) };
        }
        write_section(blob, value_at, value).is_ok()
    }

    /// Sets or clears the expiry time (milliseconds since the Unix epoch). Moves key and inline value by eight bytes
    /// when a TTL appears or goes.
    pub fn set_expire(&mut self, expire_at: Option<u64>) {
        let blob = self.blob();
        let flags = blob.flags();
        if let (Some(at_ms), true) = (expire_at, flags & TTL != 0) {
            // SAFETY: the flag says that the field is there.
            unsafe { blob.write(4, at_ms) };
            return;
        }
        let section = blob.value_bytes(flags, blob.value_at(flags));
        let value_flags = flags & !(TTL | blob::LONG_KEY);
        self.reshape(value_flags, expire_at, section, section)
            .unwrap_or_else(refused);
    }

    /// The value's bytes, to be changed in place. An integer becomes its decimal form first. The value is raw
    /// afterwards.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.make_bytes();
        let blob = self.blob();
        let flags = blob.flags() | RAW;
        blob.set_flags(flags);
        let value_at = blob.value_at(flags);
        let (ptr, len) = if blob::kind(flags) == STR {
            let (at, len) = blob.str_span(flags, value_at);
            (blob.at(at), len)
        } else {
            let big = blob.big(value_at);
            (big.ptr.as_ptr(), big.len)
        };
        // SAFETY: `len` initialised bytes owned by this entry, borrowed mutably with it.
        unsafe { std::slice::from_raw_parts_mut(ptr, len) }
    }

    /// Makes the value at least `len` bytes long, filling with zero bytes; never shortens. The value is raw
    /// afterwards. Amortised O(growth).
    ///
    /// # Errors
    /// [`OutOfMemory`] when a buffer for more than [`INLINE_MAX`] bytes is refused; the value is then unchanged,
    /// save that an integer has become its decimal form.
    pub fn grow(&mut self, len: usize) -> Result<&mut [u8], OutOfMemory> {
        self.make_bytes();
        let old_len = self.string().map_or(0, |value| value.len());
        if len > old_len {
            let tail = self.extend(old_len, len)?;
            // SAFETY: `extend` returned the start of `len - old_len` bytes of this entry.
            unsafe { tail.write_bytes(0, len - old_len) };
        }
        Ok(self.bytes_mut())
    }

    /// Appends bytes and returns the new length. The value is raw afterwards. Amortised O(bytes).
    ///
    /// # Errors
    /// As for [`Entry::grow`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<usize, OutOfMemory> {
        self.make_bytes();
        let old_len = self.string().map_or(0, |value| value.len());
        let len = old_len.checked_add(bytes.len()).ok_or(OutOfMemory)?;
        if !bytes.is_empty() {
            let tail = self.extend(old_len, len)?;
            // SAFETY: `extend` returned the start of as many bytes of this entry, which `bytes` cannot overlap.
            unsafe { tail.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        let blob = self.blob();
        blob.set_flags(blob.flags() | RAW);
        Ok(len)
    }

    /// Makes room for a value of `len` bytes, so that appending up to there allocates no more. Memory of a large value is asked for but not
    /// touched. The value is raw afterwards.
    ///
    /// # Errors
    /// As for [`Entry::grow`].
    pub fn reserve(&mut self, len: usize) -> Result<(), OutOfMemory> {
        let old_len = self.bytes_mut().len();
        if len <= INLINE_MAX.max(old_len) {
            return Ok(());
        }
        self.extend(old_len, len)?;
        let (blob, flags) = (self.blob(), self.blob().flags());
        let value_at = blob.value_at(flags);
        let big = blob.big(value_at);
        // SAFETY: above the inline limit the section is a BigStr's; its first `old_len` bytes are written.
        unsafe {
            write_big(
                blob,
                value_at,
                Big {
                    len: old_len,
                    ..big
                },
            );
        }
        Ok(())
    }

    /// Turns an integer into its decimal form, and a collection, which no caller hands in, into the empty string.
    fn make_bytes(&mut self) {
        let blob = self.blob();
        let flags = blob.flags();
        if blob::kind(flags) == OBJECT {
            self.set(StrValue::Bytes(b""), self.expire_at());
            return;
        }
        if blob::kind(flags) == INT {
            // SAFETY: the kind says that the section is an i64.
            let int: i64 = unsafe { blob.read(blob.value_at(flags)) };
            let mut digits = itoa::Buffer::new();
            self.set(
                StrValue::Bytes(digits.format(int).as_bytes()),
                self.expire_at(),
            );
        }
    }

    /// Makes a byte value `len > old_len` bytes long and returns a pointer to the new bytes, which the caller has to
    /// write. The value is raw afterwards.
    fn extend(&mut self, old_len: usize, len: usize) -> Result<*mut u8, OutOfMemory> {
        let blob = self.blob();
        let flags = blob.flags();
        let value_at = blob.value_at(flags);
        if blob::kind(flags) == BIG {
            let big = reserve(blob.big(value_at), len)?;
            blob.set_flags(flags | RAW);
            // SAFETY: the section is a BigStr's; the old bytes lie before `old_len <= cap`.
            unsafe {
                write_big(blob, value_at, Big { len, ..big });
                return Ok(big.ptr.as_ptr().add(old_len));
            }
        }
        if len <= INLINE_MAX {
            return self.extend_inline(flags, old_len, len);
        }
        let mut big = try_buffer(len.saturating_add(old_len.min(SLACK_MAX)))?;
        let (data_at, _) = blob.str_span(flags, value_at);
        // SAFETY: the new buffer has room for `len > old_len` bytes.
        unsafe {
            big.ptr
                .as_ptr()
                .copy_from_nonoverlapping(blob.at(data_at), old_len)
        };
        big.len = len;
        let at = match self.reshape(BIG | RAW, self.expire_at(), BIG_BYTES, 0) {
            Ok(at) => at,
            Err(refused) => {
                free_buffer(big);
                return Err(refused);
            }
        };
        // SAFETY: `reshape` made room for the section; `old_len < len <= cap`.
        unsafe {
            write_big(self.blob(), at, big);
            Ok(big.ptr.as_ptr().add(old_len))
        }
    }

    /// `extend` for a value that stays inline.
    fn extend_inline(
        &mut self,
        flags: u32,
        old_len: usize,
        len: usize,
    ) -> Result<*mut u8, OutOfMemory> {
        let (old_width, width) = (
            blob::value_width(flags),
            blob::value_width(blob::value_flag(len)),
        );
        let new_flags = STR | RAW | blob::value_flag(len);
        let at = self.reshape(
            new_flags,
            self.expire_at(),
            width + len,
            old_width + old_len,
        )?;
        let blob = self.blob();
        // SAFETY: the section has `width + len` bytes, of which the first `old_width + old_len` are the old section.
        unsafe {
            if width != old_width {
                blob.at(at + width)
                    .copy_from(blob.at(at + old_width), old_len);
            }
            let data_at = write_len(blob, at, len);
            Ok(blob.at(data_at + old_len))
        }
    }

    /// Gives the blob new value flags, an expiry or none, and a value section of `section` bytes, of which the first
    /// `keep` are kept from the old one. Key and access bits stay. Returns the offset of the section. In place if
    /// the size class stays the same; unchanged when the memory for another one is refused.
    #[inline]
    fn reshape(
        &mut self,
        value_flags: u32,
        expire_at: Option<u64>,
        section: usize,
        keep: usize,
    ) -> Result<usize, OutOfMemory> {
        let blob = self.blob();
        let old_flags = blob.flags();
        let old_body = blob::body_at(old_flags);
        let old_value_at = blob.value_at(old_flags);
        let old_used = old_value_at + blob.value_bytes(old_flags, old_value_at);
        let ttl = if expire_at.is_some() { TTL } else { 0 };
        let flags = blob::with_value_flags(old_flags, value_flags) & !TTL | ttl;
        let body = blob::body_at(flags);
        let value_at = body + old_value_at - old_body;
        let used = value_at + section;
        let moved = old_value_at - old_body + keep;
        debug_assert!(value_flags & LONG_VALUE == 0 || blob::kind(value_flags) == STR);
        // SAFETY: `moved` bytes from the body are initialised and fit both allocations, of `old_used` and `used`
        // bytes (or their common class); a replaced blob is freed once, after the copy.
        unsafe {
            if blob::class(used) == blob::class(old_used) {
                if body != old_body {
                    blob.at(body).copy_from(blob.at(old_body), moved);
                }
                blob.set_flags(flags);
            } else {
                let fresh = Blob::allocate(used)?;
                fresh.init_word(blob.access(), flags);
                fresh
                    .at(body)
                    .copy_from_nonoverlapping(blob.at(old_body), moved);
                blob.free(old_used);
                self.set_blob(fresh);
            }
            if let Some(at_ms) = expire_at {
                self.blob().write(4, at_ms);
            }
        }
        Ok(value_at)
    }
}

/// Makes a buffer hold at least `len` bytes.
fn reserve(big: Big, len: usize) -> Result<Big, OutOfMemory> {
    if len <= big.cap {
        return Ok(big);
    }
    let cap = size_class(len.saturating_add(big.len.min(SLACK_MAX)));
    let old = buffer_layout(big.cap).ok_or(OutOfMemory)?;
    buffer_layout(cap).ok_or(OutOfMemory)?;
    // SAFETY: the buffer was allocated with the old layout; the new size was just checked and is not zero.
    let ptr = NonNull::new(unsafe { realloc(big.ptr.as_ptr(), old, cap) }).ok_or(OutOfMemory)?;
    Ok(Big { ptr, cap, ..big })
}
