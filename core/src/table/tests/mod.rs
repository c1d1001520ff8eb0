//! Tests of the table against a plain model.

mod defrag;
mod model;
mod parts;
mod sampling;
mod scanning;
mod walking;

use super::hash::{DEPTH_MAX, home_of, prefix_after, tag_of, window_at, window_of};
use super::keyspace::Table;
use super::segment::{HOME_COUNT, SEGMENT_BYTES};
use crate::entry::size_class;

impl Table {
    /// Checks the invariants of every bucket and segment, and the counts against a recount.
    pub(super) fn check(&self) {
        let (mut prefix, mut segments, mut len, mut ttl_len, mut bytes) = (0u64, 0, 0, 0, 0);
        while let Some(segment) = self
            .directory
            .segment(prefix << 32)
            .filter(|_| prefix >> DEPTH_MAX == 0)
        {
            let first = prefix << 32;
            let in_overflow = self.overflow.range(first, segment.depth());
            assert!(segment.overflowed() || in_overflow.is_empty());
            segments += 1;
            let mut ttl_count = 0;
            for place in segment.places() {
                let entry = segment.slot(place).entry().unwrap();
                let hash = self.hash(entry.key());
                assert_eq!(
                    prefix_after((hash >> 32) as u32, segment.depth()),
                    prefix_after(prefix as u32, segment.depth())
                );
                assert_eq!(
                    (segment.home_at(place), segment.slot(place).tag()),
                    (home_of(hash), tag_of(hash))
                );
                assert!(
                    place.bucket == home_of(hash)
                        || segment.may_be_away(home_of(hash), tag_of(hash))
                );
                assert_eq!(segment.slot(place).has_ttl(), entry.expire_at().is_some());
                assert_eq!(
                    segment.slot(place).window(),
                    segment.window(hash, home_of(hash))
                );
                assert_eq!(
                    segment.slot(place).window(),
                    window_of(hash, window_at(segment.depth()))
                );
                ttl_count += u32::from(entry.expire_at().is_some());
                len += 1;
                ttl_len += usize::from(entry.expire_at().is_some());
                bytes += entry.heap_bytes();
            }
            assert_eq!(segment.ttl_count(), ttl_count);
            for index in in_overflow {
                let entry = self.overflow.slot(index).entry().unwrap();
                let hash = self.hash(entry.key());
                assert_eq!(hash, self.overflow.hash(index));
                assert!(segment.may_be_away(home_of(hash), tag_of(hash)));
                assert_eq!(
                    self.overflow.slot(index).has_ttl(),
                    entry.expire_at().is_some()
                );
                len += 1;
                ttl_len += usize::from(entry.expire_at().is_some());
                bytes += entry.heap_bytes();
            }
            let stashed = (0..HOME_COUNT)
                .map(|home| segment.stashed(home))
                .sum::<usize>();
            assert_eq!(
                stashed,
                segment
                    .places()
                    .filter(|place| place.bucket >= HOME_COUNT)
                    .count()
            );
            prefix = prefix_after(prefix as u32, segment.depth());
        }
        assert_eq!((self.len(), self.ttl_len()), (len, ttl_len));
        let directory = if segments == 0 {
            0
        } else {
            size_class(8 << self.directory.depth())
        };
        assert_eq!(self.directory.segments(), segments);
        assert_eq!(
            self.mem_bytes(),
            bytes + directory + segments * SEGMENT_BYTES + self.overflow.heap_bytes()
        );
    }
}
