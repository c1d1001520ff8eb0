//! Reserved addresses: the shards' memory comes from two ranges, one of small pages and one of huge pages.
//!
//! Each range is one mapping from the start to the end of the process, of more addresses than there can be memory: addresses cost nothing. So
//! taking some of them is arithmetic instead of a system call. The two never touch, so that a fault in one does not hold the lock of the other.

use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a huge page.
pub(super) const HUGE_PAGE: usize = 2 << 20;

/// Addresses of small pages: so many times the memory of the machine. Large allocations of many sizes take one after the other.
const SMALL_TIMES_MEMORY: usize = 16;

/// Addresses of huge pages: so many times the memory. They are all taken 2 MiB at a time and used again.
const HUGE_TIMES_MEMORY: usize = 4;

/// Addresses that are handed out once, in ascending order.
#[derive(Debug)]
pub(super) struct Range {
    next: AtomicUsize,
    end: usize,
}

impl Range {
    /// Reserves `len` bytes. `advice` says which pages the kernel shall give.
    fn reserve(len: usize, advice: libc::c_int) -> io::Result<Self> {
        // Room to align the beginning, and for a gap to whatever lies before.
        let mapped = len + 2 * HUGE_PAGE;
        // SAFETY: a fresh mapping at a place of the kernel's choice touches no other memory.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range was mapped just now. It is advice: a kernel that knows no huge pages refuses it and gives small ones.
        unsafe { libc::madvise(at, mapped, advice) };
        let start = (at.addr() + 1).next_multiple_of(HUGE_PAGE);
        Ok(Self {
            next: AtomicUsize::new(start),
            end: start + len,
        })
    }

    /// Takes `size` bytes at a multiple of `alignment`, a power of two. They are zero. `None` once the range is used up.
    pub(super) fn take(&self, size: usize, alignment: usize) -> Option<NonNull<u8>> {
        let start_of = |next: usize| next.checked_next_multiple_of(alignment);
        let end_of = |next: usize| {
            start_of(next)?
                .checked_add(size)
                .filter(|end| *end <= self.end)
        };
        let before = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, end_of)
            .ok()?;
        // The mapping lasts as long as the process, and its address is known to no one else: exposed to jemalloc as a number here.
        NonNull::new(std::ptr::with_exposed_provenance_mut(start_of(before)?))
    }
}

/// The two ranges of the process.
#[derive(Debug)]
pub(super) struct Ranges {
    /// Where the kernel gives pages one by one.
    pub(super) small: Range,
    /// Where it gives huge ones.
    pub(super) huge: Range,
}

static RANGES: OnceLock<Option<Ranges>> = OnceLock::new();

impl Ranges {
    /// Reserves the ranges the first time. `None` where the system gives no such amount of addresses (`ulimit -v`, strict overcommit).
    pub(super) fn get() -> Option<&'static Self> {
        RANGES.get_or_init(|| Self::reserve().ok()).as_ref()
    }

    fn reserve() -> io::Result<Self> {
        let memory = memory_bytes();
        Ok(Self {
            small: Range::reserve(memory * SMALL_TIMES_MEMORY, libc::MADV_NOHUGEPAGE)?,
            huge: Range::reserve(memory * HUGE_TIMES_MEMORY, libc::MADV_HUGEPAGE)?,
        })
    }
}

/// Memory of the machine, at least 1 GiB.
fn memory_bytes() -> usize {
    // SAFETY: these calls take a number and give one.
    let (pages, bytes) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    let product = usize::try_from(pages).unwrap_or(0) * usize::try_from(bytes).unwrap_or(0);
    product.max(1 << 30).next_multiple_of(HUGE_PAGE)
}

#[cfg(test)]
mod tests {
    use super::{HUGE_PAGE, Range};

    #[test]
    fn pieces_are_aligned_do_not_overlap_and_end_with_the_range() {
        let range = Range::reserve(4 * HUGE_PAGE, libc::MADV_NOHUGEPAGE).expect("some addresses");
        let first = range.take(4096, 4096).expect("room");
        let second = range.take(4096, HUGE_PAGE).expect("room");
        let third = range.take(HUGE_PAGE, 4096).expect("room");
        assert_eq!(first.addr().get() % HUGE_PAGE, 0);
        assert_eq!(second.addr().get() - first.addr().get(), HUGE_PAGE);
        assert_eq!(third.addr().get() - second.addr().get(), 4096);
        // SAFETY: the pieces are mapped, and this test's own.
        unsafe {
            assert_eq!(third.as_ptr().add(HUGE_PAGE - 1).read(), 0);
            first.as_ptr().write(1);
            third.as_ptr().write(2);
            assert_eq!(first.as_ptr().read(), 1);
        }
        assert!(range.take(4 * HUGE_PAGE, 4096).is_none());
        assert!(range.take(usize::MAX, HUGE_PAGE).is_none());
        assert!(range.take(HUGE_PAGE, 4096).is_some());
        assert!(range.take(HUGE_PAGE, 4096).is_none());
    }
}
