//! What jemalloc is told before `main` (the binary that uses it as its allocator finds these words under the name it looks for), and what it is
//! asked later.
//!
//! `thp:always`: its memory may lie on huge pages, which spares most of the page walks of look-ups in a large table (on a virtual machine
//! a walk is up to 24 memory accesses). Whether the kernel really gives huge pages is switched at run time, by `prctl`; `server/src/huge_pages.rs`
//! does. There is no fork, so the copy-on-write of whole huge pages, for which others turn them off, does not exist.
//!
//! Its feature `disable_cache_oblivious`: large allocations begin at a page and need no further one. They are buffers, and blocks of small regions
//! (`core/src/slab`), which lie at multiples of their size.
//!
//! `background_thread:true`: freed memory goes back to the system although no shard calls the allocator.
//!
//! `narenas:1`: whoever has no arena of its own (`own_arena`) uses the first one. By itself jemalloc gives each thread another arena, also those that
//! allocate next to nothing, and each arena takes huge pages of its own.

/// The words, ended by a zero byte. A reference to an array is a plain pointer, as jemalloc expects.
// SAFETY: the name is jemalloc's own, a weak `const char *` meant to be defined by the program, and the text is valid for ever.
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
pub static MALLOC_CONF: &[u8; 44] = b"thp:always,background_thread:true,narenas:1\0";

/// Gives this thread an arena of its own, so that it does not meet others at the locks of the first one. Says whether the allocator did.
pub fn own_arena() -> bool {
    let mut arena: u32 = 0;
    let mut length = size_of::<u32>();
    // SAFETY: the name is a C string; the control writes one number of `length` bytes, and reads nothing.
    let created = unsafe {
        tikv_jemalloc_sys::mallctl(
            c"arenas.create".as_ptr(),
            (&raw mut arena).cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    if created != 0 {
        return false;
    }
    // SAFETY: the name is a C string; the control reads one number, that of an arena that exists.
    let taken = unsafe {
        tikv_jemalloc_sys::mallctl(
            c"thread.arena".as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            (&raw mut arena).cast(),
            size_of::<u32>(),
        )
    };
    taken == 0
}

/// Gives all unused pages back to the system. Says whether the allocator did.
#[must_use]
pub fn purge() -> bool {
    // SAFETY: the name is a C string, and this control takes and gives nothing, which null pointers say. 4096 stands for all arenas.
    let code = unsafe {
        tikv_jemalloc_sys::mallctl(
            c"arena.4096.purge".as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        )
    };
    code == 0
}

/// What jemalloc tells about the slab of an address: the layout is its own (`inspect_extent_util_stats_verbose_t`).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Utilization {
    /// Address of the slab from which its size class is served now.
    serving: usize,
    /// Free regions in the slab, and all of them.
    free: usize,
    regions: usize,
    /// Bytes of the slab.
    bytes: usize,
    /// Free regions in all slabs of the size class, and all of them.
    class_free: usize,
    class_regions: usize,
}

/// Asks the allocator where memory is sparsely used.
#[derive(Clone, Copy, Debug)]
pub struct Sparseness {
    /// The control's number.
    mib: [usize; 3],
}

/// Below one free region in this many, a size class is left alone.
const FREE_ONE_IN: usize = 8;

impl Sparseness {
    /// `None` if this allocator cannot tell.
    #[must_use]
    pub fn new() -> Option<Self> {
        let mut mib = [0usize; 3];
        let mut length = mib.len();
        let name = c"experimental.utilization.query";
        // SAFETY: the name is a C string; the control fills at most `length` numbers of the array.
        let code = unsafe {
            tikv_jemalloc_sys::mallctlnametomib(name.as_ptr(), mib.as_mut_ptr(), &raw mut length)
        };
        (code == 0 && length == mib.len()).then_some(Self { mib })
    }

    /// Whether the slab of this address is emptier than its kind is on average, so that its pages would be free if what is left in it went elsewhere.
    /// About 100 ns and one lock that hardly anybody else wants. `ptr` must be the start of a live allocation.
    #[must_use]
    pub fn is_sparse(&self, ptr: *const u8) -> bool {
        let mut found = Utilization::default();
        let mut length = size_of::<Utilization>();
        let mut asked = ptr;
        // SAFETY: the control reads a pointer of `newlen` bytes and writes `length` bytes, those of the struct. It looks the address up in
        // its own map, and says nothing of one that is not its own.
        let code = unsafe {
            tikv_jemalloc_sys::mallctlbymib(
                self.mib.as_ptr(),
                self.mib.len(),
                (&raw mut found).cast(),
                &raw mut length,
                (&raw mut asked).cast(),
                size_of::<*const u8>(),
            )
        };
        let is_serving = ptr.addr().wrapping_sub(found.serving) < found.bytes;
        code == 0
            && found.regions > 1
            && !is_serving
            && found.class_free * FREE_ONE_IN > found.class_regions
            && found.free * found.class_regions > found.class_free * found.regions
    }
}

/// Runs `work` without this thread's cache of free regions: what it frees goes back to its slab, and what it asks for comes from the
/// fullest place there is. Emptying the cache costs some ten microseconds.
pub fn without_cache<R>(work: impl FnOnce() -> R) -> R {
    let had_cache = switch_cache(false);
    let result = work();
    switch_cache(had_cache);
    result
}

/// Switches the cache of this thread on or off; says what it was.
fn switch_cache(mut on: bool) -> bool {
    let mut before = on;
    let mut length = size_of::<bool>();
    // SAFETY: the control reads one bool and writes one.
    unsafe {
        tikv_jemalloc_sys::mallctl(
            c"thread.tcache.enabled".as_ptr(),
            (&raw mut before).cast(),
            &raw mut length,
            (&raw mut on).cast(),
            size_of::<bool>(),
        );
    }
    before
}

#[cfg(test)]
mod tests {
    #[test]
    fn unused_pages_go_back() {
        assert!(super::purge());
    }

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

    /// Allocates through jemalloc, which need not be the allocator of the tests.
    fn regions(count: usize) -> Vec<*mut u8> {
        // SAFETY: any size may be asked for.
        let region = || unsafe { tikv_jemalloc_sys::malloc(96) }.cast::<u8>();
        (0..count).map(|_| region()).collect()
    }

    fn release(ptr: *mut u8) {
        // SAFETY: it came from `regions` and is released once.
        unsafe { tikv_jemalloc_sys::free(ptr.cast()) }
    }

    #[test]
    fn sparse_slabs_are_found_and_full_ones_left_alone() {
        let sparseness = super::Sparseness::new().expect("the vendored jemalloc can tell");
        super::without_cache(|| {
            let mut all = regions(20_000);
            let sparse = |all: &[*mut u8]| {
                let is = |ptr: &&*mut u8| sparseness.is_sparse(ptr.cast());
                all.iter().filter(is).count()
            };
            assert_eq!(sparse(&all), 0);
            // The first half keeps every fourth region, the second all.
            let (gone, kept): (Vec<_>, Vec<_>) = all
                .drain(..)
                .enumerate()
                .partition(|(at, _)| *at < 10_000 && at % 4 != 0);
            gone.into_iter().for_each(|(_, ptr)| release(ptr));
            let kept: Vec<*mut u8> = kept.into_iter().map(|(_, ptr)| ptr).collect();
            let found = sparse(&kept);
            assert!((2_000..2_600).contains(&found), "{found}");
            kept.into_iter().for_each(release);
        });
    }
}
