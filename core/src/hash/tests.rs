//! Hashes against a map, in both encodings.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::Hash;
use crate::listpack::{Item, Listpack};
use crate::object::PackLimits;

const LIMITS: PackLimits = PackLimits {
    entries_max: 6,
    value_bytes_max: 12,
    seed: 3,
};

fn shown(hash: &Hash) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut map = BTreeMap::new();
    hash.for_each(0, &mut |field, value| {
        assert!(
            map.insert(field.to_vec(), value.to_vec()).is_none(),
            "a field twice"
        );
    });
    map
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (-3i64..9).prop_map(|number| number.to_string().into_bytes()),
        2 => prop::collection::vec(b'a'..b'd', 0..3),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #[test]
    fn like_a_map(steps in prop::collection::vec((0..6u8, bytes(), bytes()), 0..80)) {
        let (mut hash, mut model) = (Hash::new(), BTreeMap::new());
        for (kind, field, value) in steps {
            match kind {
                0..=2 => prop_assert_eq!(
                    hash.set(&field, &value, &LIMITS),
                    model.insert(field, value).is_none()
                ),
                3 => prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
                4 => prop_assert_eq!(hash.get(&field, 0).map(Item::to_vec), model.get(&field).cloned()),
                _ => prop_assert_eq!(hash.contains(&field, 0), model.contains_key(&field)),
            }
            prop_assert_eq!(hash.len(), model.len());
        }
        prop_assert_eq!(shown(&hash), model.clone());
        prop_assert_eq!(shown(&hash.clone()), model.clone());
        for random in 0..20 {
            let found = hash.random(random).map(|(field, value)| (field.to_vec(), value.to_vec()));
            prop_assert_eq!(found.is_none(), model.is_empty());
            prop_assert!(found.is_none_or(|(field, value)| model.get(&field) == Some(&value)));
        }
        while !hash.free_some(10) {}
    }
}

#[test]
fn encodings_follow_the_limits_and_never_go_back() {
    let mut hash = Hash::new();
    for field in 0..6 {
        hash.set(format!("f{field}").as_bytes(), b"v", &LIMITS);
    }
    assert_eq!(hash.encoding(), "listpack");
    hash.set(b"f6", b"v", &LIMITS);
    assert_eq!(hash.encoding(), "hashtable");
    (1..7).for_each(|field| assert!(hash.remove(format!("f{field}").as_bytes())));
    assert_eq!((hash.encoding(), hash.len()), ("hashtable", 1));
    let mut hash = Hash::new();
    hash.set(b"f", &[b'v'; 12], &LIMITS);
    assert_eq!(hash.encoding(), "listpack");
    hash.set(b"f", &[b'v'; 13], &LIMITS);
    assert_eq!(hash.encoding(), "hashtable");
}

#[test]
fn lifetimes() {
    let mut hash = Hash::new();
    hash.set(b"a", b"1", &LIMITS);
    hash.set(b"b", b"2", &LIMITS);
    assert_eq!(hash.expire_at(b"a"), Some(None));
    assert!(hash.set_expire(b"a", Some(100), 3));
    assert!(!hash.set_expire(b"none", Some(100), 3));
    assert_eq!((hash.expire_at(b"a"), hash.ttl_len()), (Some(Some(100)), 1));
    assert!(hash.contains(b"a", 100) && !hash.contains(b"a", 101));
    assert!(hash.get(b"a", 100).is_some() && hash.get(b"a", 101).is_none());
    let mut live = 0;
    hash.for_each(101, &mut |_, _| live += 1);
    assert_eq!(live, 1);
    hash.set_keeping(b"a", b"3", &LIMITS);
    assert_eq!((hash.expire(100), hash.len()), (0, 2));
    assert_eq!((hash.expire(101), hash.len()), (1, 1));
    hash.set_expire(b"b", Some(7), 3);
    hash.set(b"b", b"x", &LIMITS);
    assert_eq!(hash.ttl_len(), 0);
}

#[test]
fn the_first_lifetime_repacks_and_the_limits_enlarge() {
    let mut hash = Hash::new();
    for field in ["a", "b", "12"] {
        hash.set(field.as_bytes(), b"v", &LIMITS);
    }
    assert!(hash.set_expire(b"a", None, 3) && hash.encoding() == "listpack");
    assert!(hash.set_expire(b"12", Some(1 << 40), 3));
    assert_eq!(hash.encoding(), "listpackex");
    let shown = |hash: &Hash| {
        let mut fields = BTreeMap::new();
        hash.for_each_timed(0, &mut |field, value, end| {
            fields.insert(field.to_vec(), (value.to_vec(), end));
        });
        fields
    };
    let before = shown(&hash);
    assert_eq!(before[&b"12"[..]], (b"v".to_vec(), Some(1 << 40)));
    assert_eq!(before[&b"a"[..]], (b"v".to_vec(), None));
    for field in ["c", "d", "e", "f"] {
        hash.set(field.as_bytes(), b"v", &LIMITS);
    }
    assert_eq!((hash.encoding(), hash.ttl_len()), ("hashtable", 1));
    assert_eq!(shown(&hash)[&b"12"[..]], before[&b"12"[..]]);
    assert!(hash.has_due((1 << 40) + 1) && !hash.has_due(1 << 40));
    assert!(!hash.drop_due(b"12", 1 << 40) && hash.drop_due(b"12", (1 << 40) + 1));
    assert_eq!((hash.len(), hash.ttl_len()), (6, 0));
}

#[test]
fn large_ones_expire_in_steps() {
    let mut hash = Hash::new();
    for number in 0..5_000u64 {
        let field = number.to_string();
        hash.set(field.as_bytes(), b"v", &LIMITS);
        hash.set_expire(field.as_bytes(), Some(1_000 + number), 3);
    }
    let (mut steps, mut expired) = (0, 0);
    while hash.has_due(3_000) {
        let step = hash.expire_some(3_000, 64);
        assert!(step.examined <= 64 * 7 + 200, "a step is bounded");
        expired += step.expired;
        steps += 1;
    }
    assert!(steps > 5);
    assert_eq!((expired, hash.len(), hash.ttl_len()), (2_000, 3_000, 3_000));
    assert_eq!(
        hash.expire_some(3_000, 64),
        crate::hash::FieldExpiry::default()
    );
    assert_eq!(hash.expire(10_000), 3_000);
    assert!(hash.is_empty() && !hash.has_due(u64::MAX));
}

proptest! {
    #[test]
    fn lifetimes_like_a_map(steps in prop::collection::vec((0..7u8, 0..9u8, 1..60u64), 0..120)) {
        let (mut hash, mut model) = (Hash::new(), BTreeMap::<u8, Option<u64>>::new());
        let mut now_ms = 1;
        for (kind, field, time) in steps {
            let name = [field + b'a'];
            let is_live = |end: &Option<u64>| end.is_none_or(|at_ms| at_ms >= now_ms);
            match kind {
                0 | 1 => {
                    hash.drop_due(&name, now_ms);
                    let is_new = !model.insert(field, None).as_ref().is_some_and(is_live);
                    prop_assert_eq!(hash.set(&name, b"v", &LIMITS), is_new);
                }
                2 | 3 => {
                    let found = hash.contains(&name, now_ms);
                    prop_assert_eq!(found, model.get(&field).is_some_and(is_live));
                    if found {
                        hash.set_expire(&name, Some(now_ms + time), 3);
                        model.insert(field, Some(now_ms + time));
                    }
                }
                4 => {
                    hash.drop_due(&name, now_ms);
                    prop_assert_eq!(hash.remove(&name), model.remove(&field).as_ref().is_some_and(is_live));
                }
                5 => now_ms += time,
                _ => _ = hash.expire_some(now_ms, 3),
            }
            let live = model.values().filter(|end| end.is_none_or(|at_ms| at_ms >= now_ms)).count();
            let mut shown = 0;
            hash.for_each(now_ms, &mut |_, _| shown += 1);
            prop_assert_eq!(shown, live);
        }
        hash.expire(now_ms);
        model.retain(|_, end| end.is_none_or(|at_ms| at_ms >= now_ms));
        prop_assert_eq!(hash.len(), model.len());
        prop_assert_eq!(hash.ttl_len(), model.values().flatten().count());
    }
}

#[test]
fn packed_elsewhere() {
    let pack = |items: &[&str]| {
        let mut pack = Listpack::new();
        items.iter().for_each(|item| pack.push(item.as_bytes()));
        pack
    };
    let read = |items: &[&str]| Hash::from_listpack(pack(items), &LIMITS);
    assert!(read(&[]).is_none());
    assert!(read(&["a"]).is_none());
    assert!(read(&["a", "1", "a", "2"]).is_none());
    assert_eq!(
        read(&["a", "1", "b", "2"]).map(|hash| hash.encoding()),
        Some("listpack")
    );
    let long = "x".repeat(13);
    assert_eq!(
        read(&["a", &long]).map(|hash| hash.encoding()),
        Some("hashtable")
    );
}
