//! SCAN's guarantee, and cursors nobody returned.

use std::collections::HashMap;

use super::model::Rng;
use crate::entry::StrValue;
use crate::table::{CURSOR_BITS, ExpireChange, Table};

fn set(table: &mut Table, n: u64) {
    let key = n.to_le_bytes();
    table
        .set(
            table.hash(&key),
            &key,
            StrValue::Int(n as i64),
            ExpireChange::Clear,
        )
        .unwrap();
}

fn remove(table: &mut Table, n: u64) {
    let key = n.to_le_bytes();
    table.remove(table.hash(&key), &key);
}

/// Scans while `between` changes the table after every step; returns how often each key was visited.
fn scan_while(table: &mut Table, mut between: impl FnMut(&mut Table)) -> HashMap<Vec<u8>, u32> {
    let (mut seen, mut cursor) = (HashMap::new(), 0);
    loop {
        let next = table.scan(cursor, &mut |entry| {
            *seen.entry(entry.key().to_vec()).or_insert(0) += 1
        });
        assert!(next >> CURSOR_BITS == 0 && (next == 0 || next > cursor));
        if next == 0 {
            return seen;
        }
        cursor = next;
        between(table);
    }
}

#[test]
fn a_quiet_table_is_visited_once() {
    for len in [0, 1, 10, 500, 5000] {
        let mut table = Table::new(1);
        (0..len).for_each(|n| set(&mut table, n));
        let seen = scan_while(&mut table, |_| ());
        assert!(seen.len() == len as usize && seen.values().all(|&times| times == 1));
    }
}

#[test]
fn keys_that_stay_are_seen_while_the_table_grows() {
    for seed in 0..10 {
        let mut table = Table::new(seed);
        (0..2000).for_each(|n| set(&mut table, n));
        let mut next = 2000;
        let seen = scan_while(&mut table, |table| {
            // 60 buckets times few segments: the table grows about fifty-fold during the scan.
            for _ in 0..(if next < 100_000 { 100 } else { 0 }) {
                set(table, next);
                next += 1;
            }
        });
        assert!(table.len() > 20_000);
        for n in 0..2000u64 {
            // Splits repeat nothing.
            assert_eq!(seen.get(n.to_le_bytes().as_slice()), Some(&1));
        }
    }
}

#[test]
fn keys_that_stay_are_seen_while_the_table_shrinks() {
    for seed in 0..10 {
        let mut table = Table::new(seed);
        (0..40_000).for_each(|n| set(&mut table, n));
        let (before, mut next) = (table.directory.segments(), 200);
        let seen = scan_while(&mut table, |table| {
            for _ in 0..20 {
                remove(table, next);
                next += 1;
            }
        });
        assert!(table.directory.segments() * 4 < before);
        assert!((0..200u64).all(|n| seen.contains_key(n.to_le_bytes().as_slice())));
    }
}

#[test]
fn keys_that_stay_are_seen_whatever_happens() {
    for seed in 0..20 {
        let mut rng = Rng(seed);
        let mut table = Table::new(seed);
        if seed % 4 == 1 {
            table.hash_mask = 0xf000_0000_ffff_ffff; // with overflow
        }
        (0..3000).for_each(|n| set(&mut table, n));
        let (mut low, mut high) = (1000u64, 3000u64);
        let seen = scan_while(&mut table, |table| {
            let grow = rng.below(2) == 0;
            for _ in 0..rng.below(60) {
                if grow {
                    set(table, high);
                    high += 1;
                } else if low < high {
                    remove(table, low);
                    low += 1;
                }
            }
        });
        assert!((0..1000u64).all(|n| seen.contains_key(n.to_le_bytes().as_slice())));
        table.check();
    }
}

#[test]
fn any_cursor_is_safe() {
    let mut rng = Rng(3);
    let mut table = Table::new(1);
    for size in [0, 1, 3000] {
        (0..size).for_each(|n| set(&mut table, n));
        for _ in 0..2000 {
            let cursor = rng.next() >> rng.below(64);
            let mut cursors = vec![
                cursor,
                cursor << 32,
                u64::MAX,
                1 << CURSOR_BITS,
                59 << 32 | 0xffff_ffff,
                60 << 32,
            ];
            cursors.retain(|&cursor| table.scan(cursor, &mut |_| ()) >> CURSOR_BITS != 0);
            assert!(cursors.is_empty());
        }
    }
}
