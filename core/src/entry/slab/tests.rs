//! Regions never overlap, come back from any thread, and empty blocks go back.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::mpsc;
use std::thread;

use proptest::prelude::*;

use super::block::{BLOCK_BYTES, capacity};
use super::heap::Heap;
use super::{SLAB_MAX, allocate, class, collect, free, is_sparse};

/// A region filled with one byte, to see that no two overlap.
struct Region {
    at: NonNull<u8>,
    bytes: usize,
    fill: u8,
}

// SAFETY: a region is the test's alone.
unsafe impl Send for Region {}

impl Region {
    fn new(bytes: usize, fill: u8) -> Self {
        let at = allocate(bytes).unwrap();
        assert!(at.cast::<u64>().is_aligned());
        // SAFETY: the region has so many bytes.
        unsafe { at.write_bytes(fill, class(bytes)) };
        Region { at, bytes, fill }
    }

    fn check(&self) {
        // SAFETY: `new` filled them.
        let bytes = unsafe { std::slice::from_raw_parts(self.at.as_ptr(), class(self.bytes)) };
        assert!(bytes.iter().all(|byte| *byte == self.fill));
    }

    fn release(self) {
        self.check();
        // SAFETY: it came from `allocate` and is not used again.
        unsafe { free(self.at) }
    }

    fn is_sparse(&self) -> bool {
        // SAFETY: it is live.
        unsafe { is_sparse(self.at) }
    }
}

/// Runs on a thread with a heap that no other test sees, as long as the thread lives.
fn alone<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let thread = thread::spawn(|| {
        Region::new(8, 0).release();
        work()
    });
    thread.join().unwrap()
}

fn my_free_bytes() -> usize {
    super::registry::mine().map_or(0, Heap::free_bytes)
}

#[test]
fn classes_are_multiples_of_eight() {
    for bytes in 1..=SLAB_MAX {
        assert!(
            class(bytes) >= bytes && class(bytes) < bytes + 8 && class(bytes).is_multiple_of(8)
        );
    }
}

#[test]
fn empty_blocks_go_back() {
    alone(|| {
        let before = my_free_bytes();
        let count = 5 * capacity(88);
        let regions: Vec<Region> = (0..count).map(|n| Region::new(86, n as u8)).collect();
        assert!(my_free_bytes() < before + BLOCK_BYTES);
        regions.into_iter().for_each(Region::release);
        // The serving block stays.
        assert!(my_free_bytes() <= before + BLOCK_BYTES);
        let again = Region::new(81, 7);
        assert!(my_free_bytes() < before + BLOCK_BYTES);
        again.release();
    });
}

#[test]
fn what_dies_elsewhere_comes_back() {
    alone(|| {
        let count = 3 * capacity(64);
        let before = my_free_bytes();
        let regions: Vec<Region> = (0..count).map(|n| Region::new(60, n as u8)).collect();
        let held = my_free_bytes();
        alone(move || regions.into_iter().for_each(Region::release));
        assert_eq!(my_free_bytes(), held, "they are in the inbox");
        for _ in 0..=count / super::COLLECT_MAX {
            collect();
        }
        assert!(my_free_bytes() <= before + BLOCK_BYTES);
        // A new block is asked for only when there is nothing in the inbox.
        let first = Region::new(60, 1);
        alone(move || first.release());
        Region::new(60, 2).release();
    });
}

#[test]
fn what_outlives_its_thread_is_collected_by_others() {
    let region = alone(|| Region::new(504, 9));
    region.check();
    region.release();
    collect();
    let again = alone(|| Region::new(504, 3));
    again.release();
}

#[test]
fn sparse_blocks_are_found_and_full_ones_left_alone() {
    alone(|| {
        let count = 8 * capacity(96);
        let all: Vec<Region> = (0..count).map(|n| Region::new(96, n as u8)).collect();
        assert_eq!(all.iter().filter(|region| region.is_sparse()).count(), 0);
        // The first half keeps every fourth region, the second all.
        let (gone, kept): (Vec<_>, Vec<_>) = all
            .into_iter()
            .enumerate()
            .partition(|(at, _)| *at < count / 2 && at % 4 != 0);
        gone.into_iter().for_each(|(_, region)| region.release());
        let found = kept.iter().filter(|(_, region)| region.is_sparse()).count();
        assert!((count / 10..=count / 8 + 4).contains(&found), "{found}");
        // Moving them empties their blocks.
        let before = my_free_bytes();
        let moved: Vec<Region> = kept
            .into_iter()
            .map(|(_, region)| match region.is_sparse() {
                true => {
                    let copy = Region::new(region.bytes, region.fill);
                    region.release();
                    copy
                }
                false => region,
            })
            .collect();
        assert!(my_free_bytes() + BLOCK_BYTES <= before);
        moved.into_iter().for_each(Region::release);
    });
}

#[test]
fn many_threads_free_what_others_made() {
    let rounds = if cfg!(miri) { 20 } else { 2_000 };
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::channel::<Region>()).unzip();
    let threads: Vec<_> = receivers
        .into_iter()
        .enumerate()
        .map(|(own, inbox)| {
            let next = senders[(own + 1) % 3].clone();
            thread::spawn(move || {
                for round in 0..rounds {
                    next.send(Region::new(1 + round * 7 % SLAB_MAX, round as u8))
                        .unwrap();
                    if let Ok(region) = inbox.try_recv() {
                        region.release();
                    }
                }
                drop(next);
                inbox.into_iter().for_each(Region::release);
            })
        })
        .collect();
    drop(senders);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    #[test]
    fn regions_never_overlap(steps in proptest::collection::vec((any::<u16>(), 1usize..=SLAB_MAX), 1..400)) {
        let mut live: HashMap<u16, Region> = HashMap::new();
        for (name, bytes) in steps {
            let name = name % 64;
            if let Some(region) = live.remove(&name) {
                region.release();
            } else {
                live.insert(name, Region::new(bytes, name as u8));
            }
        }
        live.into_values().for_each(Region::release);
    }
}
