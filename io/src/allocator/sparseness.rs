//! Where memory is sparsely used: what decides whether a value moves (`server/src/front/defrag.rs`).

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

#[cfg(test)]
mod tests {
    use super::super::without_cache;

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
        without_cache(|| {
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
