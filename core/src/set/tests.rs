//! Sets against a map, in all encodings; intsets against Redis's bytes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Intset, Set, SetEncoding, SetLimits};
use crate::listpack::{Item, Listpack};

const LIMITS: SetLimits = SetLimits {
    integers_max: 8,
    entries_max: 6,
    value_bytes_max: 12,
    seed: 3,
};

fn shown(set: &Set) -> BTreeSet<Vec<u8>> {
    let mut members = BTreeSet::new();
    set.for_each(&mut |member| assert!(members.insert(member.to_vec()), "a member twice"));
    members
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (-3i64..9).prop_map(|number| number.to_string().into_bytes()),
        2 => any::<i64>().prop_map(|number| (number >> (number & 63)).to_string().into_bytes()),
        2 => prop::collection::vec(b'a'..b'd', 0..3),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #[test]
    fn like_a_set(steps in prop::collection::vec((0..7u8, bytes()), 0..80)) {
        let (mut set, mut model) = (Set::new(), BTreeSet::new());
        for (kind, member) in steps {
            match kind {
                0..=3 => prop_assert_eq!(set.add(&member, &LIMITS), model.insert(member)),
                4 => prop_assert_eq!(set.remove(&member), model.remove(&member)),
                5 => prop_assert_eq!(set.contains(Item::of(&member)), model.contains(&member)),
                _ => {
                    prop_assert_eq!(set.contains(Item::Bytes(&member)), model.contains(&member));
                    let popped = set.pop(member.len() as u64 * 0x0123_4567_89ab_cdef);
                    prop_assert_eq!(popped.is_none(), model.is_empty());
                    prop_assert!(popped.is_none_or(|member| model.remove(&member)));
                }
            }
            prop_assert_eq!(set.len(), model.len());
        }
        prop_assert_eq!(shown(&set), model.clone());
        prop_assert_eq!(shown(&set.clone()), model.clone());
        for random in 0..20u64 {
            let found = set.random(random << 59).map(Item::to_vec);
            prop_assert!(found.is_none_or(|member| model.contains(&member)));
        }
        set.repack(&LIMITS);
        prop_assert_eq!(shown(&set), model);
        while !set.free_some(10) {}
    }

    #[test]
    fn intsets_survive_their_bytes(numbers in prop::collection::vec(any::<i64>(), 0..40), shift in 0u32..60) {
        let (mut intset, mut model) = (Intset::new(), BTreeSet::new());
        for number in &numbers {
            prop_assert_eq!(intset.insert(number >> shift), model.insert(number >> shift));
        }
        for number in numbers.iter().step_by(3) {
            prop_assert_eq!(intset.remove(number >> shift), model.remove(&(number >> shift)));
        }
        let copy = Intset::from_bytes(intset.as_bytes()).expect("valid");
        prop_assert_eq!((0..copy.len()).map(|index| copy.at(index)).collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_refused_or_sorted(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Some(intset) = Intset::from_bytes(&bytes) {
            prop_assert!((1..intset.len()).all(|index| intset.at(index - 1) < intset.at(index)));
        }
    }
}

#[test]
fn intsets_have_the_bytes_of_redis() {
    let mut intset = Intset::new();
    intset.insert(5);
    intset.insert(-2);
    assert_eq!(
        intset.as_bytes(),
        [2, 0, 0, 0, 2, 0, 0, 0, 0xFE, 0xFF, 5, 0]
    );
    intset.insert(100_000);
    let wide = [
        4, 0, 0, 0, 3, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF, 5, 0, 0, 0, 0xA0, 0x86, 1, 0,
    ];
    assert_eq!(intset.as_bytes(), wide);
    intset.remove(100_000);
    assert_eq!(intset.as_bytes()[0], 4, "it never narrows");
    for (at, byte) in [(0, 3), (4, 4), (11, 0x7F)] {
        let mut bytes = wide.to_vec();
        bytes[at] = byte;
        assert_eq!(Intset::from_bytes(&bytes), None, "byte {at}");
    }
    assert_eq!(Intset::from_bytes(&wide[..19]), None);
    assert_eq!(Intset::from_bytes(&[]), None);
}

fn filled(members: &[&str]) -> Set {
    let mut set = Set::new();
    members.iter().for_each(|member| {
        set.add(member.as_bytes(), &LIMITS);
    });
    set
}

#[test]
fn encodings_follow_the_limits() {
    let integers = ["1", "2", "3", "4", "5", "6", "7", "8"];
    assert_eq!(filled(&integers).encoding(), "intset");
    let mut set = filled(&integers);
    set.add(b"9", &LIMITS);
    assert_eq!(set.encoding(), "hashtable");
    let mut set = filled(&integers[..5]);
    set.add(b"a", &LIMITS);
    assert_eq!((set.encoding(), set.len()), ("listpack", 6));
    set.add(b"b", &LIMITS);
    assert_eq!((set.encoding(), set.len()), ("hashtable", 7));
    set.repack(&LIMITS);
    assert_eq!(set.encoding(), "hashtable", "one too many");
    set.remove(b"b");
    set.repack(&LIMITS);
    assert_eq!((set.encoding(), set.len()), ("listpack", 6));
    let mut set = filled(&integers[..6]);
    set.add(b"a", &LIMITS);
    assert_eq!(set.encoding(), "hashtable");
    let mut set = filled(&["1"]);
    set.add(&[b'x'; 13], &LIMITS);
    assert_eq!(set.encoding(), "hashtable");
    let mut set = filled(&["1234567890123"]);
    set.add(b"x", &LIMITS);
    assert_eq!(
        set.encoding(),
        "hashtable",
        "the integer's text is too long"
    );
}

#[test]
fn made_for_what_is_to_come() {
    let made =
        |first: &str, expected| Set::for_members(first.as_bytes(), expected, &LIMITS).encoding();
    assert_eq!(
        [made("1", 8), made("1", 9), made("x", 6), made("x", 7)],
        ["intset", "hashtable", "listpack", "hashtable"]
    );
    let mut set = filled(&["1"]);
    set.expect(8, &LIMITS);
    assert_eq!(set.encoding(), "intset");
    set.expect(9, &LIMITS);
    assert_eq!((set.encoding(), set.len()), ("hashtable", 1));
}

#[test]
fn packed_elsewhere() {
    let pack = |items: &[&str]| {
        let mut pack = Listpack::new();
        items.iter().for_each(|item| pack.push(item.as_bytes()));
        pack
    };
    let encoding =
        |items: &[&str]| Set::from_listpack(pack(items), &LIMITS).map(|set| set.encoding());
    assert_eq!(encoding(&["a", "1"]), Some("listpack"));
    assert_eq!(encoding(&["a", "a"]), None);
    assert_eq!(encoding(&[]), None);
    assert_eq!(
        encoding(&["1", "2", "3", "4", "5", "6", "7"]),
        Some("hashtable")
    );
    assert_eq!(encoding(&["1234567890123"]), Some("hashtable"));
    let mut intset = Intset::new();
    assert!(Set::from_intset(intset.clone(), &LIMITS).is_none());
    (0..9).for_each(|number| assert!(intset.insert(number)));
    let large = Set::from_intset(intset.clone(), &LIMITS).expect("not empty");
    assert_eq!((large.encoding(), large.len()), ("hashtable", 9));
    intset.remove(0);
    let small = Set::from_intset(intset, &LIMITS).expect("not empty");
    assert!(matches!(small.repr(), SetEncoding::Integers(_)));
}

#[test]
fn memory_is_counted_as_it_changes() {
    let mut set = Set::new();
    for number in 0..1000 {
        set.add(format!("member:{number}").as_bytes(), &LIMITS);
    }
    let full = set.heap_bytes();
    assert!((30_000..60_000).contains(&full), "{full}");
    (0..999).for_each(|number| assert!(set.remove(format!("member:{number}").as_bytes())));
    assert!(set.heap_bytes() < full / 2);
}
