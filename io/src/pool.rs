//! `Pool` and `Chunk`: the receive buffers of one reactor, and a received piece of one.
//!
//! Invariants: a buffer number is in exactly one place: on the pool's free stack, with the kernel
//! (uring's provided-buffer ring), or inside one `Chunk`. A chunk holds the pool alive, so its bytes
//! stay valid even after its reactor is gone. Everything is of one thread (`Rc`), so giving back
//! needs no atomics. Called by both backends; the code above sees `Chunk` only.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;

/// Buffers do not start at equal places of a page: with a stride that is a multiple of 4 KiB the
/// first lines of all buffers, which small requests alone touch, would compete for one set of the
/// first-level cache.
const STAGGER_BYTES: usize = 64;

/// Anonymous memory of its own mapping: untouched pages cost nothing, and it is page-aligned.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    pub(crate) fn new(length: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `length` are those of the mapping made in `new`, which nobody else unmaps.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Equal receive buffers in one piece of memory.
pub(crate) struct Pool {
    memory: Mapping,
    buffer_bytes: u32,
    free: RefCell<Vec<u16>>,
}

impl Pool {
    /// A pool of `count` buffers, all of them free.
    pub(crate) fn new(count: u16, buffer_bytes: u32) -> io::Result<Rc<Self>> {
        let stride = buffer_bytes as usize + STAGGER_BYTES;
        let memory = Mapping::new(stride * usize::from(count))?;
        let free = RefCell::new((0..count).rev().collect());
        Ok(Rc::new(Self {
            memory,
            buffer_bytes,
            free,
        }))
    }

    pub(crate) fn buffer_bytes(&self) -> u32 {
        self.buffer_bytes
    }

    /// Where a buffer starts.
    #[inline]
    pub(crate) fn address(&self, buffer: u16) -> NonNull<u8> {
        let stride = self.buffer_bytes as usize + STAGGER_BYTES;
        // SAFETY: buffer numbers come from `free`, so they are below the count the memory was made for.
        unsafe { self.memory.start().add(stride * usize::from(buffer)) }
    }

    /// Takes the free buffer that was used last, which is the likeliest to be in the cache.
    #[inline]
    pub(crate) fn take(&self) -> Option<u16> {
        self.free.borrow_mut().pop()
    }

    /// Gives a buffer back that never became a chunk.
    #[inline]
    pub(crate) fn give_back(&self, buffer: u16) {
        // Never allocates: the stack was made with room for every buffer.
        self.free.borrow_mut().push(buffer);
    }

    /// How many buffers are free.
    #[inline]
    pub(crate) fn free(&self) -> usize {
        self.free.borrow().len()
    }
}

/// Received bytes in a buffer of the reactor; dropping it gives the buffer back.
pub struct Chunk {
    pool: Rc<Pool>,
    length: u32,
    buffer: u16,
}

impl Chunk {
    /// Makes the chunk of a buffer which is neither free nor with the kernel.
    ///
    /// # Safety
    /// The first `length` bytes of the buffer have been written, `length` is at most the size of a
    /// buffer, and nothing writes to them until the chunk is dropped.
    #[inline]
    pub(crate) unsafe fn new(pool: &Rc<Pool>, buffer: u16, length: u32) -> Self {
        debug_assert!(length <= pool.buffer_bytes);
        Self {
            pool: Rc::clone(pool),
            length,
            buffer,
        }
    }
}

impl Deref for Chunk {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let start = self.pool.address(self.buffer);
        // SAFETY: by the contract of `new` these bytes are initialised, inside the buffer, and not
        // written to while the chunk lives; the pool it holds keeps the memory mapped.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.length as usize) }
    }
}

impl Drop for Chunk {
    #[inline]
    fn drop(&mut self) {
        self.pool.give_back(self.buffer);
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("buffer", &self.buffer)
            .field("length", &self.length)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Chunk, Pool};

    #[test]
    fn buffers_come_back_and_outlive_the_owner() {
        let pool = Pool::new(2, 4096).unwrap();
        let first = pool.take().unwrap();
        let second = pool.take().unwrap();
        assert_ne!(pool.address(first), pool.address(second));
        assert!(pool.take().is_none());
        // SAFETY: the buffer is ours and has 4,096 bytes.
        unsafe { pool.address(first).as_ptr().write_bytes(b'x', 5) };
        // SAFETY: five bytes were just written.
        let chunk = unsafe { Chunk::new(&pool, first, 5) };
        drop(pool);
        assert_eq!(&*chunk, b"xxxxx");
        let pool = std::rc::Rc::clone(&chunk.pool);
        drop(chunk);
        assert_eq!(pool.take(), Some(first), "what was used last is used next");
        pool.give_back(second);
        assert_eq!(pool.free(), 1);
    }
}
