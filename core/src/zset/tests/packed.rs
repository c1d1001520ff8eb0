//! The packed encoding: its bytes are Redis's, and what comes from elsewhere is checked.

use super::{USUAL, Zset, limits as limits_of};
use crate::listpack::{Item, Listpack};

fn packed(pairs: &[(&[u8], f64)]) -> Zset {
    let mut zset = Zset::new();
    for (member, score) in pairs {
        zset.insert(member, *score, &USUAL);
    }
    zset
}

/// What redis-server 7.0.15 put into a listpack for these scores, read from its DUMP.
#[test]
fn scores_are_written_as_redis_writes_them() {
    let zset = packed(&[
        (b"j", f64::INFINITY),
        (b"a", -0.0),
        (b"b", 1.5),
        (b"c", 1e17),
        (b"d", 12_345_678_901_234_567.0),
        (b"f", 4_611_686_018_427_387_904.0),
        (b"g", 9e18),
        (b"i", 0.1),
        (b"k", f64::NEG_INFINITY),
        (b"n", 3.0e-7),
        (b"p", 4_611_686_018_427_388_928.0),
        (b"q", -123.456),
    ]);
    let scores: Vec<_> = zset
        .as_listpack()
        .unwrap()
        .iter()
        .skip(1)
        .step_by(2)
        .collect();
    let wanted = [
        Item::Bytes(b"-inf"),
        Item::Bytes(b"-123.456"),
        Item::Int(0),
        Item::Bytes(b"2.9999999999999999e-07"),
        Item::Bytes(b"0.10000000000000001"),
        Item::Bytes(b"1.5"),
        Item::Int(12_345_678_901_234_568),
        Item::Int(100_000_000_000_000_000),
        Item::Int(4_611_686_018_427_387_904),
        Item::Bytes(b"4.6116860184273889e+18"),
        Item::Bytes(b"9e+18"),
        Item::Bytes(b"inf"),
    ];
    assert_eq!(scores, wanted);
    assert!(zset.iter().map(|(_, score)| score).is_sorted());
}

#[test]
fn limits_are_redis_s() {
    let limits = limits_of(2, 3);
    let mut zset = Zset::new();
    zset.insert(b"abc", 1.0, &limits);
    zset.insert(b"abd", 1.0, &limits);
    assert_eq!(zset.encoding(), "listpack");
    zset.insert(b"abd", 9.0, &limits_of(0, 0));
    assert_eq!(zset.encoding(), "listpack", "an update converts nothing");
    zset.insert(b"abe", 1.0, &limits);
    assert_eq!((zset.encoding(), zset.len()), ("skiplist", 3));
    zset.remove(b"abe");
    assert_eq!(zset.encoding(), "skiplist", "and nothing goes back");
    let mut long = Zset::new();
    long.insert(b"abcd", 1.0, &limits);
    assert_eq!(long.encoding(), "skiplist");
    assert!(long.as_listpack().is_none());
}

fn restored(items: &[&[u8]]) -> Option<Zset> {
    let mut pack = Listpack::new();
    items.iter().for_each(|item| pack.push(item));
    Zset::from_listpack(pack, &USUAL)
}

#[test]
fn a_foreign_listpack_is_checked() {
    let zset = restored(&[b"a", b"-inf", b"10", b"0.5", b"9", b"0.5", b"b", b"7"]).unwrap();
    assert_eq!((zset.len(), zset.score(b"9")), (4, Some(0.5)));
    assert!(restored(&[]).unwrap().is_empty());
    assert!(restored(&[b"a"]).is_none(), "no score");
    assert!(restored(&[b"a", b"1", b"b"]).is_none(), "an odd count");
    assert!(restored(&[b"a", b"x"]).is_none(), "no number");
    assert!(restored(&[b"a", b"nan"]).is_none(), "NaN");
    assert!(
        restored(&[b"a", b"2", b"b", b"1"]).is_none(),
        "not in order"
    );
    assert!(
        restored(&[b"9", b"1", b"10", b"1"]).is_none(),
        "members not in order"
    );
    assert!(
        restored(&[b"a", b"1", b"a", b"1"]).is_none(),
        "a pair twice"
    );
    assert!(
        restored(&[b"a", b"1", b"b", b"2", b"a", b"3"]).is_none(),
        "a member twice"
    );
}

#[test]
fn a_long_foreign_listpack_becomes_large() {
    let mut pack = Listpack::new();
    for number in 0..129i64 {
        pack.push(format!("m{number}").as_bytes());
        pack.push_item(Item::Int(number));
    }
    let zset = Zset::from_listpack(pack, &USUAL).unwrap();
    assert_eq!((zset.encoding(), zset.len()), ("skiplist", 129));
    zset.check();
    assert_eq!(zset.rank(b"m77"), Some(77));
}
