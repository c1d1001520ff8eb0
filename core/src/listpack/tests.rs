//! Listpacks against vectors, and against bytes that redis-server wrote.

use proptest::prelude::*;

use super::{Corrupt, Item, Listpack};
use crate::entry::size_class;

fn shown(pack: &Listpack) -> Vec<Vec<u8>> {
    pack.iter().map(Item::to_vec).collect()
}

/// `RPUSH k a 1 4095 -4096 32767 xx` and DUMP of redis-server 7.0, the node's bytes.
#[test]
fn the_bytes_are_those_of_redis() {
    let mut pack = Listpack::new();
    for element in ["a", "1", "4095", "-4096", "32767", "xx"] {
        pack.push(element.as_bytes());
    }
    assert_eq!(
        pack.as_bytes(),
        b"\x1a\0\0\0\x06\0\x81a\x02\x01\x01\xcf\xff\x02\xd0\0\x02\xf1\xff\x7f\x03\x82xx\x03\xff"
    );
}

#[test]
fn every_width_comes_back() {
    let mut pack = Listpack::new();
    let mut expected: Vec<Vec<u8>> = Vec::new();
    for bits in 0..64 {
        for number in [
            1i64 << bits,
            (1i64 << bits).wrapping_sub(1),
            (1i64 << bits).wrapping_neg(),
        ] {
            expected.push(number.to_string().into_bytes());
        }
    }
    for length in [
        0, 1, 63, 64, 127, 128, 4095, 4096, 16_380, 16_390, 70_000, 2_097_160,
    ] {
        expected.push(vec![b'x'; length]);
    }
    expected.iter().for_each(|element| pack.push(element));
    assert_eq!(shown(&pack), expected);
    let mut backwards = Vec::new();
    let mut pos = pack.last();
    while let Some(at) = pos {
        backwards.push(pack.at(at).to_vec());
        pos = pack.prev(at);
    }
    backwards.reverse();
    assert_eq!(backwards, expected);
    assert_eq!(Listpack::from_bytes(pack.as_bytes()), Ok(pack));
}

#[test]
fn small_ones_take_no_more_than_they_need() {
    let mut pack = Listpack::new();
    for number in 0..90 {
        pack.push(format!("field{number}").as_bytes());
        pack.push((number * 1_000_000).to_string().as_bytes());
        pack.push(&vec![b'x'; number]);
        let bytes = pack.as_bytes().len();
        assert!(pack.heap_bytes() >= bytes && pack.heap_bytes() <= size_class(bytes));
        assert!(bytes > 512 || pack.heap_bytes() < bytes + 8);
    }
    pack.shrink();
    assert!(pack.heap_bytes() < pack.as_bytes().len() * 5 / 4);
}

#[test]
fn more_elements_than_the_header_counts() {
    let mut pack = Listpack::new();
    (0..65_600).for_each(|_| pack.push(b"7"));
    assert_eq!(pack.len(), 65_600);
    pack.remove(pack.first().unwrap(), 100);
    assert_eq!(pack.len(), 65_500);
    assert_eq!(pack.as_bytes()[4..6], 65_500u16.to_le_bytes());
}

#[test]
fn damage_is_found() {
    let mut pack = Listpack::new();
    for element in [&b"abc"[..], b"12", b"-70000", &[b'y'; 300]] {
        pack.push(element);
    }
    let good = pack.as_bytes().to_vec();
    for cut in 0..good.len() {
        assert_eq!(Listpack::from_bytes(&good[..cut]), Err(Corrupt), "{cut}");
    }
    assert_eq!(Listpack::from_bytes(&[]), Err(Corrupt));
    let mut wrong = good.clone();
    wrong[4] = 9;
    assert_eq!(Listpack::from_bytes(&wrong), Err(Corrupt));
}

#[derive(Clone, Debug)]
enum Change {
    Push(Vec<u8>),
    Front(Vec<u8>),
    Insert(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    Remove(usize, usize),
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        (-5000i64..5000).prop_map(|number| number.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..90),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        element().prop_map(Change::Push),
        element().prop_map(Change::Front),
        (any::<usize>(), element()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<usize>(), element()).prop_map(|(at, bytes)| Change::Replace(at, bytes)),
        (any::<usize>(), 1usize..4).prop_map(|(at, count)| Change::Remove(at, count)),
    ]
}

proptest! {
    #[test]
    fn like_a_vector(changes in prop::collection::vec(change(), 0..60)) {
        let (mut pack, mut model) = (Listpack::new(), Vec::<Vec<u8>>::new());
        for change in changes {
            let len = model.len();
            match change {
                Change::Push(bytes) => { pack.push(&bytes); model.push(bytes); }
                Change::Front(bytes) => { pack.push_front(&bytes); model.insert(0, bytes); }
                Change::Insert(at, bytes) => {
                    let at = at % (len + 1);
                    pack.insert(pack.nth(at as i64), &[Item::of(&bytes)]);
                    model.insert(at, bytes);
                }
                Change::Replace(at, bytes) if len > 0 => {
                    pack.replace(pack.nth((at % len) as i64).unwrap(), &bytes);
                    model[at % len] = bytes;
                }
                Change::Remove(at, count) if len > 0 => {
                    let at = at % len;
                    pack.remove(pack.nth(at as i64).unwrap(), count);
                    model.drain(at..(at + count).min(len));
                }
                _ => {}
            }
            prop_assert_eq!(shown(&pack), model.clone());
            prop_assert_eq!(pack.len(), model.len());
            for (index, element) in model.iter().enumerate() {
                let found = pack.find(pack.first(), element, 1).map(|pos| pack.at(pos).to_vec());
                prop_assert_eq!(found.as_ref(), Some(element));
                prop_assert!(pack.nth(index as i64 - model.len() as i64).is_some());
            }
        }
        prop_assert_eq!(Listpack::from_bytes(pack.as_bytes()), Ok(pack));
    }

    #[test]
    fn any_bytes_are_refused_or_readable(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut framed = vec![0, 0, 0, 0, 0xFF, 0xFF];
        framed.extend_from_slice(&bytes);
        framed.push(0xFF);
        let length = framed.len() as u32;
        framed[..4].copy_from_slice(&length.to_le_bytes());
        if let Ok(pack) = Listpack::from_bytes(&framed) {
            prop_assert_eq!(pack.iter().count(), pack.len());
        }
    }
}
