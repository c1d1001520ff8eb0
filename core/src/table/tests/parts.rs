//! Expiry, random keys, shrinking, floods and the bound of the directory.

use std::collections::HashMap;

use super::model::Rng;
use crate::entry::StrValue;
use crate::table::{DropSlices, ExpireChange, Gone, Table};

fn set(table: &mut Table, n: u64, expire: ExpireChange) {
    let key = n.to_string().into_bytes();
    table
        .set(table.hash(&key), &key, StrValue::Int(n as i64), expire)
        .unwrap();
}

fn remove(table: &mut Table, n: u64) -> bool {
    let key = n.to_string().into_bytes();
    table.remove(table.hash(&key), &key).is_some()
}

#[test]
fn an_empty_table_has_no_heap() {
    let mut table = Table::new(7);
    assert_eq!(
        (table.mem_bytes(), table.len(), table.is_empty()),
        (0, 0, true)
    );
    assert!(
        table.get(1, b"x").is_none()
            && table.get_mut(1, b"x").is_none()
            && table.remove(1, b"x").is_none()
    );
    assert!(table.random(1).is_none() && table.scan(0, &mut |_| ()) == 0);
    assert!(table.expire_step(&mut 0, 1, 1, &mut |_| ()).wrapped);
    assert!(DropSlices::new(table.take()).free_some(1));
    table.prefetch(1);
    table.prefetch_entry(1);
}

#[test]
fn a_pass_expires_what_is_due_and_nothing_else() {
    for (keys, hash_mask) in [(50u64, u64::MAX), (20_000, u64::MAX), (2000, 0xff)] {
        let mut table = Table::new(1);
        table.hash_mask = hash_mask;
        for n in 0..keys {
            let expire = if n % 3 == 0 {
                ExpireChange::Clear
            } else {
                ExpireChange::At(n)
            };
            set(&mut table, n, expire);
        }
        let (now_ms, mut cursor, mut gone) = (keys / 2, 0, Vec::new());
        let (mut examined, mut expired) = (0, 0);
        loop {
            let stats = table.expire_step(&mut cursor, now_ms, 5, &mut |what| {
                let Gone::Key(entry) = what else {
                    panic!("only keys expire here: {what:?}")
                };
                gone.push(
                    String::from_utf8(entry.key().to_vec())
                        .unwrap()
                        .parse::<u64>()
                        .unwrap(),
                );
            });
            (examined, expired) = (examined + stats.examined, expired + stats.expired);
            if stats.wrapped {
                break;
            }
        }
        gone.sort_unstable();
        let want: Vec<_> = (0..=now_ms).filter(|n| n % 3 != 0).collect();
        assert_eq!(gone, want);
        assert_eq!(
            (examined, expired),
            ((0..keys).filter(|n| n % 3 != 0).count(), want.len())
        );
        assert_eq!((cursor, table.ttl_len()), (0, examined - expired));
        table.check();
    }
}

#[test]
fn segments_without_ttl_cost_one_bucket() {
    let mut table = Table::new(1);
    (0..10_000).for_each(|n| set(&mut table, n, ExpireChange::Clear));
    let segments = table.directory.segments();
    let mut cursor = 0;
    assert!(
        !table
            .expire_step(&mut cursor, 1, segments - 1, &mut |_| ())
            .wrapped
    );
    assert!(table.expire_step(&mut cursor, 1, 1, &mut |_| ()).wrapped);
    let mut rng = Rng(9);
    for _ in 0..5000 {
        let mut cursor = rng.next() >> rng.below(64);
        table.expire_step(&mut cursor, 1, 3, &mut |_| ());
    }
}

#[test]
fn random_keys_are_spread_evenly() {
    for keys in [1u64, 3, 40, 1500] {
        let mut table = Table::new(5);
        (0..keys).for_each(|n| set(&mut table, n, ExpireChange::Clear));
        let (mut times, mut rng) = (HashMap::new(), Rng(8));
        for _ in 0..keys * 400 {
            *times
                .entry(table.random(rng.next()).unwrap().key().to_vec())
                .or_insert(0u32) += 1;
        }
        assert_eq!(times.len() as u64, keys);
        assert!(
            times.values().all(|&times| (200..700).contains(&times)),
            "{times:?}"
        );
    }
}

#[test]
fn a_random_key_is_found_in_a_table_that_was_large() {
    let mut table = Table::new(5);
    (0..50_000).for_each(|n| set(&mut table, n, ExpireChange::Clear));
    for left in [100, 1, 0] {
        (left..50_000).for_each(|n| {
            remove(&mut table, n);
        });
        for r in 0..1000 {
            assert_eq!(table.random(r).is_some(), left > 0);
        }
        table.check();
    }
}

#[test]
fn a_table_that_empties_gives_its_segments_back() {
    let mut table = Table::new(5);
    (0..100_000).for_each(|n| set(&mut table, n, ExpireChange::Clear));
    let full = table.mem_bytes();
    for n in 0..100_000 {
        assert!(remove(&mut table, n));
        if n % 10_000 == 0 {
            table.check();
        }
    }
    assert!(table.directory.segments() <= 8 && table.mem_bytes() * 50 < full);
    (0..100_000).for_each(|n| set(&mut table, n, ExpireChange::Clear));
    table.check();
    assert_eq!(table.len(), 100_000);
}

#[test]
fn a_mass_expiry_gives_segments_back_too() {
    let mut table = Table::new(5);
    (0..100_000).for_each(|n| set(&mut table, n, ExpireChange::At(1)));
    let mut cursor = 0;
    while !table.expire_step(&mut cursor, 1, 50, &mut |_| ()).wrapped || !table.is_empty() {}
    assert!(table.directory.segments() <= 16);
    table.check();
}

#[test]
fn chosen_hashes_cannot_blow_up_the_directory() {
    // The upper half of the hashes: all the same but the last bit, as if somebody had looked for such keys.
    for hash_mask in [0, 0xffff_ffff, 0x1_ffff_ffff, 0x8000_0000_0000_0000] {
        let mut table = Table::new(1);
        table.hash_mask = hash_mask;
        (0..5000).for_each(|n| set(&mut table, n, ExpireChange::Clear));
        table.check();
        assert!(table.directory.depth() <= 8 && table.directory.segments() < 64);
        assert_eq!((0..5000).filter(|&n| remove(&mut table, n)).count(), 5000);
        table.check();
        assert_eq!(table.overflow.heap_bytes(), 0);
    }
}

#[test]
fn a_prefix_peeled_off_bit_by_bit_meets_the_directory_bound() {
    // Keys whose prefixes share ever more bits, 40 per length: each split peels off just enough to be allowed.
    let mut table = Table::new(1);
    let mut kept = Vec::new();
    for n in 0u64.. {
        let hash = table.hash(n.to_string().as_bytes());
        let zeros = hash.leading_zeros() as usize;
        if zeros >= kept.len() / 40 {
            kept.push(n);
            set(&mut table, n, ExpireChange::Clear);
        }
        if kept.len() == 40 * 18 {
            break;
        }
    }
    table.check();
    assert!(1usize << table.directory.depth() <= 256.max(16 * table.directory.segments()));
    assert!(kept.iter().all(|n| table.contains(
        table.hash(n.to_string().as_bytes()),
        n.to_string().as_bytes()
    )));
}

#[test]
fn prefetching_changes_nothing() {
    let mut table = Table::new(1);
    (0..5000).for_each(|n| set(&mut table, n, ExpireChange::Clear));
    for n in 0..6000u64 {
        let key = n.to_string();
        let hash = table.hash(key.as_bytes());
        table.prefetch(hash);
        table.prefetch_entry(hash);
        assert_eq!(table.contains(hash, key.as_bytes()), n < 5000);
    }
}
