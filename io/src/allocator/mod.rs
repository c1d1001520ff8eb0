//! What jemalloc is told before `main` (the binary that uses it as its allocator finds these words under the name it looks for), and what it is
//! asked later.
//!
//! `thp:always`: large allocations (from 8 MiB on, which jemalloc keeps in an arena of their own) may lie on huge pages, which are quickly given back.
//! Whether the kernel really gives them is switched at run time, by `prctl`; `server/src/huge_pages.rs` does. The arenas of the shards get their memory
//! from ranges of ours (`arena`), small pages first and later huge ones that are ready before they are needed (`ready`): these spare most of the page
//! walks of look-ups in a large table (on a virtual machine a walk is up to 24 memory accesses). There is no fork, so the copy-on-write of whole huge
//! pages, for which others turn them off, does not exist.
//!
//! Its feature `disable_cache_oblivious`: large allocations begin at a page and need no further one. They are buffers, and blocks of small regions
//! (`core/src/slab`), which lie at multiples of their size.
//!
//! `background_thread:true`: freed memory goes back to the system although no shard calls the allocator.
//!
//! `narenas:1`: whoever has no arena of its own (`own_arena`) uses the first one. By itself jemalloc gives each thread another arena, also those that
//! allocate next to nothing.

mod arena;
mod range;
mod ready;
mod sparseness;

pub use arena::{begin_huge_pages, own_arena, share_first_arena};
pub use sparseness::Sparseness;

/// The words, ended by a zero byte. A reference to an array is a plain pointer, as jemalloc expects.
// SAFETY: the name is jemalloc's own, a weak `const char *` meant to be defined by the program, and the text is valid for ever.
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
pub static MALLOC_CONF: &[u8; 44] = b"thp:always,background_thread:true,narenas:1\0";

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
}
