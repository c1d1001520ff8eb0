//! The arenas of the shards: where jemalloc gets its memory from.
//!
//! jemalloc asks its extent hooks for memory (<https://jemalloc.net/jemalloc.3.html>, `arena.<i>.extent_hooks`), here 2 MiB at a time: from the huge pages
//! that are ready (`ready`), else from the range of small pages (`range`). What it has got it keeps; unused pages go back to the system, their
//! addresses do not.

use std::ffi::{CStr, CString, c_uint, c_void};
use std::io;

use tikv_jemalloc_sys::{extent_hooks_t, mallctl};

use super::range::{HUGE_PAGE, Ranges};
use super::ready;

/// A table of functions that nobody writes to.
struct Hooks(extent_hooks_t);

// SAFETY: it is never written, and its functions may be called from any thread.
unsafe impl Sync for Hooks {}

static HOOKS: Hooks = Hooks(extent_hooks_t {
    alloc: Some(allocate),
    // No addresses go back: jemalloc keeps them and asks to purge their pages.
    dalloc: None,
    destroy: None,
    commit: None,
    decommit: None,
    purge_lazy: None,
    purge_forced: Some(purge_pages),
    split: Some(split),
    merge: Some(merge),
});

/// Memory for an arena, zeroed. Null if there is none, or none at `new_addr`.
unsafe extern "C" fn allocate(
    _: *mut extent_hooks_t,
    new_addr: *mut c_void,
    size: usize,
    alignment: usize,
    zero: *mut bool,
    commit: *mut bool,
    _: c_uint,
) -> *mut c_void {
    let Some(ranges) = Ranges::get().filter(|_| new_addr.is_null()) else {
        return std::ptr::null_mut();
    };
    let is_huge = size == HUGE_PAGE && alignment <= HUGE_PAGE;
    let huge = is_huge.then(|| ready::take(&ranges.huge)).flatten();
    let Some(found) = huge.or_else(|| ranges.small.take(size, alignment)) else {
        return std::ptr::null_mut();
    };
    // SAFETY: jemalloc passes valid places for the two. What the kernel has just mapped is zero and may be written.
    unsafe {
        zero.write(true);
        commit.write(true);
    }
    found.as_ptr().cast()
}

/// Gives pages back to the system; they read as zero afterwards. Says whether that failed.
unsafe extern "C" fn purge_pages(
    _: *mut extent_hooks_t,
    addr: *mut c_void,
    _: usize,
    offset: usize,
    length: usize,
    _: c_uint,
) -> bool {
    // SAFETY: jemalloc names whole pages of memory that it has got here, and that nobody uses.
    let code = unsafe { libc::madvise(addr.byte_add(offset), length, libc::MADV_DONTNEED) };
    code != 0
}

/// Two extents of one: nothing to do. Says that it did not fail.
unsafe extern "C" fn split(
    _: *mut extent_hooks_t,
    _: *mut c_void,
    _: usize,
    _: usize,
    _: usize,
    _: bool,
    _: c_uint,
) -> bool {
    false
}

/// One extent of two: nothing to do, as they lie in one mapping. Says that it did not fail.
unsafe extern "C" fn merge(
    _: *mut extent_hooks_t,
    _: *mut c_void,
    _: usize,
    _: *mut c_void,
    _: usize,
    _: bool,
    _: c_uint,
) -> bool {
    false
}

/// Writes `value` to a control of jemalloc. Says whether it took it.
fn write<T>(control: &CStr, mut value: T) -> bool {
    // SAFETY: the name is a C string; the control reads one value of this size, or refuses it by its size, and writes nothing.
    let code = unsafe {
        mallctl(
            control.as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            (&raw mut value).cast(),
            size_of::<T>(),
        )
    };
    code == 0
}

/// Lets the arena of this number get its memory here. Without the ranges it goes on as it is, with small pages.
fn hook(arena: c_uint) {
    let named = |what: &str| CString::new(format!("arena.{arena}.{what}"));
    let (Ok(hooks), Ok(limit), true) = (
        named("extent_hooks"),
        named("retain_grow_limit"),
        Ranges::get().is_some(),
    ) else {
        return;
    };
    // Larger pieces, which jemalloc would ask for in time, are never ready.
    if write(&limit, HUGE_PAGE) {
        write(&hooks, (&raw const HOOKS.0).cast_mut());
    }
}

/// Gives this thread an arena of its own, so that it does not meet others at the locks of the first one. Says whether the allocator did.
pub fn own_arena() -> bool {
    let mut arena: c_uint = 0;
    let mut length = size_of::<c_uint>();
    // SAFETY: the name is a C string; the control writes one number of `length` bytes, and reads nothing.
    let created = unsafe {
        mallctl(
            c"arenas.create".as_ptr(),
            (&raw mut arena).cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    let is_own = created == 0 && write(c"thread.arena", arena);
    if is_own {
        hook(arena);
    }
    is_own
}

/// Lets the first arena, that of all threads without one of their own, get its memory as those of the shards do.
pub fn share_first_arena() {
    hook(0);
}

/// From now on huge pages are kept ready for the arenas of shards.
///
/// # Errors
/// The system gives no thread, or no such amount of addresses.
pub fn begin_huge_pages() -> io::Result<()> {
    let no_addresses = || io::Error::other("the address space is limited");
    ready::start(&Ranges::get().ok_or_else(no_addresses)?.huge)
}

#[cfg(test)]
mod tests {
    use super::super::range::HUGE_PAGE;

    /// The arena of this thread.
    fn arena() -> u32 {
        let (mut arena, mut length) = (u32::MAX, size_of::<u32>());
        // SAFETY: the name is a C string; the control writes one number.
        unsafe {
            tikv_jemalloc_sys::mallctl(
                c"thread.arena".as_ptr(),
                (&raw mut arena).cast(),
                &raw mut length,
                std::ptr::null_mut(),
                0,
            );
        }
        arena
    }

    #[test]
    fn a_thread_gets_an_arena_that_nobody_else_has() {
        let of_another = || {
            let thread = std::thread::spawn(|| super::own_arena().then(arena));
            thread.join().expect("the thread does not panic")
        };
        let (first, second) = (of_another(), of_another());
        assert!(first.is_some() && second.is_some());
        assert!(first != second && first != Some(arena()));
    }

    /// Fills and checks so many allocations of this many bytes, of which every other one is freed and asked for again.
    fn fill(count: usize, size: usize) {
        let allocate = |at: usize| {
            // SAFETY: any size may be asked for; the bytes written are those that were got.
            unsafe {
                let ptr = tikv_jemalloc_sys::malloc(size).cast::<u8>();
                ptr.write_bytes(u8::try_from(at % 251).expect("below 251"), size);
                ptr
            }
        };
        let release = |ptr: *mut u8| {
            // SAFETY: it came from `allocate`, and is released once.
            unsafe { tikv_jemalloc_sys::free(ptr.cast()) }
        };
        let mut all: Vec<*mut u8> = (0..count).map(allocate).collect();
        (0..count).step_by(2).for_each(|at| release(all[at]));
        assert!(super::super::purge());
        (0..count).step_by(2).for_each(|at| all[at] = allocate(at));
        for (at, ptr) in all.into_iter().enumerate() {
            let written = u8::try_from(at % 251).expect("below 251");
            // SAFETY: `size` bytes were allocated there and are released only afterwards.
            let is_whole = unsafe { std::slice::from_raw_parts(ptr, size) }
                .iter()
                .all(|byte| *byte == written);
            assert!(is_whole, "allocation {at} of {size}");
            release(ptr);
        }
    }

    #[test]
    fn what_is_allocated_from_the_ranges_is_nobody_elses() {
        let fill_all = || {
            assert!(super::own_arena());
            fill(100_000, 200);
            super::begin_huge_pages().expect("a thread and addresses");
            fill(100_000, 300);
            fill(300, 100_000);
            fill(10, HUGE_PAGE);
            fill(4, 2 * HUGE_PAGE);
        };
        let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(fill_all)).collect();
        for thread in threads {
            thread.join().expect("the thread does not panic");
        }
    }
}
