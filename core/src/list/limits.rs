//! Up to where a list is one listpack, and how large a block of a large one is: `list-max-listpack-size`.

/// Sizes that the directive's values -1 to -5 stand for.
const SIZES: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];
/// Bytes of a block whose elements are counted.
const COUNTED_BYTES_MAX: usize = 8192;
/// The most that an element needs beside its own bytes, as Redis estimates it.
const ELEMENT_OVERHEAD_BYTES: usize = 8;

/// What a full block leaves of its size.
const SPARED_BYTES: usize = 8;

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    bytes_max: usize,
    entries_max: usize,
    is_counted: bool,
}

impl ListLimits {
    /// What the directive's value means: a count, or if negative one of five sizes.
    #[must_use]
    pub fn of(directive: i32) -> Self {
        match usize::try_from(directive) {
            Ok(count) => Self {
                bytes_max: COUNTED_BYTES_MAX,
                entries_max: count.max(1),
                is_counted: true,
            },
            Err(_) => {
                let level = directive.unsigned_abs() as usize - 1;
                Self {
                    bytes_max: SIZES[level.min(SIZES.len() - 1)],
                    entries_max: usize::MAX,
                    is_counted: false,
                }
            }
        }
    }

    /// Whether a listpack of this many bytes and elements is one too large.
    pub(super) fn exceeds(&self, bytes: usize, entries: usize) -> bool {
        bytes > self.bytes_max || entries > self.entries_max
    }

    /// Whether a block still takes an element of this many bytes. Eight bytes stay free, so that eight blocks of 8 KiB fit into one of a slab.
    pub(super) fn allows(&self, block_bytes: usize, entries: usize, element_bytes: usize) -> bool {
        let bytes = block_bytes + element_bytes + ELEMENT_OVERHEAD_BYTES;
        !self.exceeds(bytes + SPARED_BYTES, entries + 1)
    }

    /// Whether an element of this many bytes gets a node of its own.
    pub(super) fn is_large(&self, element_bytes: usize) -> bool {
        element_bytes > self.bytes_max
    }

    /// Whether a list that is one block becomes a listpack: when it was loaded; when it shrank, only at half the size, so that it does not go to
    /// and fro.
    pub(super) fn is_small(&self, bytes: usize, entries: usize, has_shrunk: bool) -> bool {
        let parts = if has_shrunk { 2 } else { 1 };
        if self.is_counted {
            entries <= self.entries_max / parts
        } else {
            bytes <= self.bytes_max / parts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts() {
        for (directive, bytes) in [(-1, 4096), (-2, 8192), (-5, 65_536), (i32::MIN, 65_536)] {
            let limits = ListLimits::of(directive);
            assert!(!limits.exceeds(bytes, 1_000_000), "{directive}");
            assert!(limits.exceeds(bytes + 1, 1), "{directive}");
            assert!(limits.is_small(bytes, 9, false) && !limits.is_small(bytes, 9, true));
        }
        let limits = ListLimits::of(10);
        assert!(!limits.exceeds(8192, 10) && limits.exceeds(8192, 11) && limits.exceeds(8193, 1));
        assert!(limits.is_small(8192, 5, true) && !limits.is_small(1, 6, true));
        assert!(ListLimits::of(0).allows(7, 0, 1) && !ListLimits::of(0).allows(10, 1, 1));
    }
}
