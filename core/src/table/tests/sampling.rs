//! Samples for eviction: everything once per round, whatever the table looks like.

use std::collections::HashMap;

use crate::entry::StrValue;
use crate::table::{ExpireChange, Table};

fn filled(len: u64, expiring: impl Fn(u64) -> bool) -> Table {
    let mut table = Table::new(3);
    for n in 0..len {
        let key = n.to_le_bytes();
        let expire = if expiring(n) {
            ExpireChange::At(n + 1)
        } else {
            ExpireChange::Clear
        };
        table
            .set(table.hash(&key), &key, StrValue::Int(1), expire)
            .unwrap();
    }
    table
}

/// Keys seen in one round, with how often, in samples of `count`.
fn round(table: &Table, count: usize, only_expiring: bool, total: usize) -> HashMap<u64, u32> {
    let (mut seen, mut cursor, mut shown) = (HashMap::new(), 0, 0);
    while shown < total {
        let more = table.sample(
            &mut cursor,
            count.min(total - shown),
            only_expiring,
            &mut |entry| {
                let key = u64::from_le_bytes(entry.key().try_into().unwrap());
                *seen.entry(key).or_insert(0) += 1;
            },
        );
        assert!(more <= count);
        shown += more;
    }
    seen
}

#[test]
fn a_round_shows_every_entry_once() {
    for (len, count) in [(1, 5), (10, 3), (500, 5), (20_000, 7)] {
        let table = filled(len, |n| n % 3 == 0);
        let seen = round(&table, count, false, len as usize);
        assert!(seen.len() == len as usize && seen.values().all(|times| *times == 1));
        let expiring = table.ttl_len();
        let seen = round(&table, count, true, expiring);
        assert!(seen.len() == expiring && seen.keys().all(|key| key % 3 == 0));
    }
}

#[test]
fn entries_of_the_overflow_are_shown_too() {
    let mut table = filled(0, |_| false);
    table.hash_mask = 0xff;
    for n in 0..1_000u64 {
        let key = n.to_le_bytes();
        table
            .set(
                table.hash(&key),
                &key,
                StrValue::Int(1),
                ExpireChange::At(9),
            )
            .unwrap();
    }
    for only_expiring in [false, true] {
        let seen = round(&table, 5, only_expiring, 1_000);
        assert!(seen.len() == 1_000 && seen.values().all(|times| *times == 1));
    }
}

#[test]
fn any_cursor_is_safe_and_few_among_many_are_found() {
    let table = filled(100_000, |n| n == 77_777);
    let mut found = 0;
    for start in [0, 1, u64::MAX, 1 << 47, 0xffff] {
        let mut cursor = start;
        for _ in 0..100 {
            found += table.sample(&mut cursor, 5, true, &mut |entry| {
                assert_eq!(entry.key(), 77_777u64.to_le_bytes());
            });
        }
    }
    assert!(found >= 5);
    assert_eq!(Table::new(1).sample(&mut 5, 5, false, &mut |_| ()), 0);
}
