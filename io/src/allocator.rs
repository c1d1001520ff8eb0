//! What jemalloc is told before `main` (the binary that uses it as its allocator finds these words under the name it looks for), and what it is
//! asked later.
//!
//! `thp:always`: its memory may lie on huge pages, which spares most of the page walks of look-ups in a large table (on a virtual machine
//! a walk is up to 24 memory accesses). Whether the kernel really gives huge pages is switched at run time, by `prctl`; `server/src/huge_pages.rs`
//! does. There is no fork, so the copy-on-write of whole huge pages, for which others turn them off, does not exist.
//!
//! `background_thread:true`: freed memory goes back to the system although no shard calls the allocator.

/// The words, ended by a zero byte. A reference to an array is a plain pointer, as jemalloc expects.
// SAFETY: the name is jemalloc's own, a weak `const char *` meant to be defined by the program, and the text is valid for ever.
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
pub static MALLOC_CONF: &[u8; 37] = b"thp:always,background_thread:true\0\0\0\0";

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

#[cfg(test)]
mod tests {
    #[test]
    fn unused_pages_go_back() {
        assert!(super::purge());
    }
}
