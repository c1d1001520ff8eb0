//! Regions never overlap, come back from any thread, and empty blocks go back.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::mpsc;
use std::thread;

use proptest::prelude::*;

use super::block::{BLOCK_BYTES, capacity};
use super::heap::Heap;
use super::{CLASSES, EIGHTH, SLAB_MAX, allocate, class, class_at, collect, free, index};

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
}

/// Runs on a thread of its own.
fn elsewhere<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    thread::spawn(work).join().unwrap()
}

/// A heap that no thread has, to be used as if this one had it.
fn heap() -> &'static Heap {
    Box::leak(Box::new(Heap::new()))
}

/// Regions of that heap.
fn regions(heap: &'static Heap, class: usize, count: usize) -> Vec<NonNull<u8>> {
    let region = |_| heap.allocate(class).unwrap();
    (0..count).map(region).collect()
}

#[test]
fn classes_are_near_what_is_asked_for() {
    for bytes in 1..=SLAB_MAX {
        let class = class(bytes);
        let step = match bytes {
            ..=512 => 8,
            513..=1024 => 32,
            _ => 128,
        };
        assert!(class >= bytes && class < bytes + step && class.is_multiple_of(step));
        assert_eq!(class_at(index(class)), class);
    }
    assert_eq!((index(8), index(SLAB_MAX)), (0, CLASSES - 2));
    assert_eq!((EIGHTH, class(EIGHTH), capacity(EIGHTH)), (8184, 8184, 8));
    assert_eq!(
        (index(EIGHTH), class_at(CLASSES - 1)),
        (CLASSES - 1, EIGHTH)
    );
}

#[test]
fn empty_blocks_go_back() {
    let heap = heap();
    let all = regions(heap, 88, 5 * capacity(88));
    assert_eq!(
        heap.free_bytes(),
        5 * (BLOCK_BYTES - 88 * capacity(88)),
        "they are full"
    );
    // SAFETY: each is given back once.
    all.into_iter()
        .for_each(|region| unsafe { heap.give(region) });
    assert_eq!(heap.free_bytes(), BLOCK_BYTES, "the serving one stays");
    let last = regions(heap, 88, 1);
    assert_eq!(heap.free_bytes(), BLOCK_BYTES - 88);
    heap.trim();
    assert_eq!(heap.free_bytes(), BLOCK_BYTES - 88, "it is in use");
    // SAFETY: as above.
    unsafe { heap.give(last[0]) };
    heap.trim();
    assert_eq!(heap.free_bytes(), 0);
    regions(heap, 88, 1);
    assert_eq!(heap.free_bytes(), BLOCK_BYTES - 88);
}

#[test]
fn what_dies_elsewhere_waits_in_the_inbox() {
    let heap = heap();
    let all = regions(heap, 64, 3 * capacity(64));
    let held = heap.free_bytes();
    // SAFETY: each is given back once.
    all.into_iter()
        .for_each(|region| unsafe { heap.send(region) });
    assert_eq!(heap.free_bytes(), held);
    heap.settle(usize::MAX);
    assert_eq!(heap.free_bytes(), BLOCK_BYTES);
    // Before a new block is asked for, the inbox is looked into.
    let all = regions(heap, 64, capacity(64));
    // SAFETY: as above.
    unsafe { heap.send(all[7]) };
    assert_eq!(regions(heap, 64, 1), [all[7]]);
}

#[test]
fn what_outlives_its_thread_stays_whole() {
    let region = elsewhere(|| Region::new(504, 9));
    region.check();
    region.release();
    collect();
    let again = elsewhere(|| Region::new(504, 3));
    again.release();
}

#[test]
fn sparse_blocks_are_found_and_full_ones_left_alone() {
    let heap = heap();
    // SAFETY: only live regions are asked about.
    let is_sparse = |region: &NonNull<u8>| unsafe { heap.is_sparse(*region) };
    let count = 8 * capacity(96);
    let all = regions(heap, 96, count);
    assert_eq!(all.iter().filter(|region| is_sparse(region)).count(), 0);
    // The first half keeps every fourth region, the second all.
    let (gone, kept): (Vec<_>, Vec<_>) = all
        .into_iter()
        .enumerate()
        .partition(|(at, _)| *at < count / 2 && at % 4 != 0);
    // SAFETY: each is given back once, here and below.
    gone.into_iter()
        .for_each(|(_, region)| unsafe { heap.give(region) });
    let kept: Vec<NonNull<u8>> = kept.into_iter().map(|(_, region)| region).collect();
    let found = kept.iter().filter(|region| is_sparse(region)).count();
    assert!((count / 10..=count / 8 + 4).contains(&found), "{found}");
    // Moving them empties their blocks.
    let before = heap.free_bytes();
    for region in kept {
        if is_sparse(&region) {
            regions(heap, 96, 1);
            // SAFETY: as above.
            unsafe { heap.give(region) };
        }
    }
    assert!(heap.free_bytes() + 2 * BLOCK_BYTES <= before);
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
