//! Random operations on a table and on a `HashMap`, which must agree after each.

use std::collections::HashMap;

use crate::entry::{Entry, StrValue, ValueRef};
use crate::table::{ExpireChange, Table};

/// SplitMix64.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What the model knows of a key: the bytes a client sees, and the expiry.
pub(super) type Model = HashMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

pub(super) fn seen(entry: &Entry) -> (Vec<u8>, Option<u64>) {
    let bytes = match entry.string().unwrap() {
        ValueRef::Int(int) => int.to_string().into_bytes(),
        ValueRef::Bytes(bytes) => bytes.to_vec(),
    };
    (bytes, entry.expire_at())
}

/// Checks everything that can be counted again.
pub(super) fn check(table: &Table, model: &Model) {
    let mut found = Model::new();
    let (mut ttl_len, mut entry_bytes, mut cursor) = (0, 0, 0);
    loop {
        cursor = table.scan(cursor, &mut |entry| {
            ttl_len += usize::from(entry.expire_at().is_some());
            entry_bytes += entry.heap_bytes();
            assert!(
                found.insert(entry.key().to_vec(), seen(entry)).is_none(),
                "a key twice"
            );
        });
        if cursor == 0 {
            break;
        }
    }
    assert!(found == *model);
    assert_eq!((table.len(), table.ttl_len()), (model.len(), ttl_len));
    table.check();
    assert_eq!(table.counts.entry_bytes, entry_bytes);
    for key in model.keys() {
        assert!(table.contains(table.hash(key), key));
    }
}

fn key_of(rng: &mut Rng, keys: u64) -> Vec<u8> {
    let n = rng.below(keys);
    let pad = if n.is_multiple_of(50) {
        300
    } else {
        n as usize % 20
    };
    let mut key = format!("key:{n}:").into_bytes();
    key.resize(key.len() + pad, b'x');
    key
}

fn value_of(rng: &mut Rng) -> Vec<u8> {
    let len = match rng.below(20) {
        0 => rng.below(3000),
        1..=4 => rng.below(600),
        _ => rng.below(70),
    };
    vec![rng.next() as u8; len as usize]
}

fn expire_of(rng: &mut Rng) -> Option<u64> {
    (rng.below(3) == 0).then(|| 1000 + rng.below(1000))
}

/// One random change, to both.
pub(super) fn change(table: &mut Table, model: &mut Model, rng: &mut Rng, keys: u64) {
    let key = key_of(rng, keys);
    let hash = table.hash(&key);
    assert_eq!(table.get(hash, &key).map(seen).as_ref(), model.get(&key));
    match rng.below(12) {
        0..=3 => {
            let (bytes, int) = (value_of(rng), rng.next() as i64);
            let value = if rng.below(4) == 0 {
                StrValue::Int(int)
            } else {
                StrValue::Bytes(&bytes)
            };
            let old = model.get(&key).and_then(|old| old.1);
            let (expire, ttl) = match rng.below(3) {
                0 => (ExpireChange::Keep, old),
                1 => (ExpireChange::Clear, None),
                _ => (ExpireChange::At(7), Some(7)),
            };
            let stored = if let StrValue::Int(int) = value {
                int.to_string().into_bytes()
            } else {
                bytes.clone()
            };
            let existed = table.set(hash, &key, value, expire);
            assert_eq!(existed, Ok(model.insert(key, (stored, ttl)).is_some()));
        }
        4 | 5 => {
            let (bytes, ttl) = (value_of(rng), expire_of(rng));
            let old = table.insert(hash, Entry::new(&key, StrValue::Bytes(&bytes), ttl));
            assert_eq!(old.as_ref().map(seen), model.insert(key, (bytes, ttl)));
        }
        6..=8 => {
            let old = table.remove(hash, &key);
            assert_eq!(old.as_ref().map(seen), model.remove(&key));
        }
        9 => {
            if let Some(mut entry) = table.get_mut(hash, &key) {
                let ttl = expire_of(rng);
                entry.set_expire(ttl);
                model.get_mut(&key).unwrap().1 = ttl;
            }
        }
        10 => {
            if let Some(mut entry) = table.get_mut(hash, &key) {
                let bytes = value_of(rng);
                let len = entry.append(&bytes).unwrap();
                let value = &mut model.get_mut(&key).unwrap().0;
                value.extend_from_slice(&bytes);
                assert_eq!(len, value.len());
                assert!(entry.is_raw());
            }
        }
        _ => {
            if let Some(mut entry) = table.get_mut(hash, &key) {
                let len = rng.below(700) as usize;
                let value = &mut model.get_mut(&key).unwrap().0;
                value.resize(value.len().max(len), 0);
                entry.grow(len).unwrap();
                if let (Some(byte), Some(same)) = (entry.bytes_mut().last_mut(), value.last_mut()) {
                    (*byte, *same) = (b'!', b'!');
                }
            }
        }
    }
}

fn run(seed: u64, hash_mask: u64, keys: u64, steps: usize) {
    let mut rng = Rng(seed);
    let mut table = Table::new(seed);
    table.hash_mask = hash_mask;
    let mut model = Model::new();
    for step in 0..steps {
        change(&mut table, &mut model, &mut rng, keys);
        if step % (steps / 8) == 0 {
            check(&table, &model);
        }
    }
    check(&table, &model);
    let all: Vec<_> = model.keys().cloned().collect();
    for (i, key) in all.iter().enumerate() {
        assert_eq!(
            table.remove(table.hash(key), key).as_ref().map(seen),
            model.remove(key)
        );
        if i % (all.len() / 8 + 1) == 0 {
            check(&table, &model);
        }
    }
    assert_eq!(
        (table.len(), table.ttl_len(), table.counts.entry_bytes),
        (0, 0, 0)
    );
}

#[test]
fn agrees_with_a_hash_map() {
    for seed in 0..8 {
        run(seed, u64::MAX, 300, 3000);
        run(seed, u64::MAX, 20_000, 40_000);
    }
}

#[test]
fn agrees_when_all_hashes_are_equal() {
    for seed in 0..5 {
        run(seed, 0, 1500, 5000);
    }
}

#[test]
fn agrees_when_hashes_share_parts() {
    // One home bucket; one prefix; few prefixes; all tags equal.
    for mask in [
        0xffff_ffff_ffff_0000,
        0xffff_ffff,
        0x8000_0001_ffff_ffff,
        0xffff_ffff_8000_ffff,
        0xffff_0000_0000_0000,
    ] {
        for seed in 0..4 {
            run(seed, mask, 4000, 12_000);
        }
    }
}
