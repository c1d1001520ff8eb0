//! The allocator's size classes, as arithmetic.
//!
//! Owns [`size_class`]: what jemalloc really hands out for a request. Every buffer, and every block of an entry that is too large for a slab, is requested
//! at exactly its class size, so the count of memory needs no call into the allocator, and any two of one class share one `Layout`. Called by the
//! entry and table files.

/// Bytes jemalloc gives for a request of `bytes`: 8, then multiples of 16 up to 128, then four classes per doubling
/// (160, 192, 224, 256, 320, ...), small and large alike.
///
/// Holds for jemalloc 5 with its default 16-byte quantum on 64-bit machines and 4 KiB pages. O(1), no branch but the
/// two range checks. Zero counts as one byte. Requests above 2^62 are returned unchanged: no allocator grants them.
#[inline]
#[must_use]
pub const fn size_class(bytes: usize) -> usize {
    if bytes <= 128 {
        return if bytes <= 8 { 8 } else { (bytes + 15) & !15 };
    }
    if bytes > 1 << 62 {
        return bytes;
    }
    // (2^k, 2^(k+1)] is cut into four steps of 2^(k-2).
    let k = usize::BITS - 1 - (bytes - 1).leading_zeros();
    let step = 1usize << (k - 2);
    (bytes + step - 1) & !(step - 1)
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn the_first_classes_are_jemallocs() {
        let classes = [
            8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
            896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192,
            10240, 12288, 14336, 16384, 20480,
        ];
        let mut want = classes.iter();
        let mut class = *want.next().unwrap();
        for bytes in 0..=20480 {
            if bytes > class {
                class = *want.next().unwrap();
            }
            assert_eq!(size_class(bytes), class, "{bytes}");
        }
    }

    #[test]
    fn a_class_is_its_own_class() {
        let mut bytes = 1usize;
        while bytes < 1 << 40 {
            let class = size_class(bytes);
            assert!(class >= bytes);
            assert_eq!(size_class(class), class);
            bytes = class + 1;
        }
    }

    #[test]
    fn absurd_requests_do_not_overflow() {
        assert_eq!(size_class(usize::MAX), usize::MAX);
        assert_eq!(size_class(1 << 62), 1 << 62);
    }
}
