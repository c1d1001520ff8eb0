//! Streams against a map of entries, and against bytes that redis-server wrote.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::listpack::{Item, Listpack};

const LIMITS: NodeLimits = NodeLimits {
    bytes_max: 200,
    entries_max: 6,
};

type Model = BTreeMap<StreamId, Vec<Vec<u8>>>;

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId::new(ms, seq)
}

fn shown(entry: Entry<'_>) -> (StreamId, Vec<Vec<u8>>) {
    let mut items = Vec::new();
    for (field, value) in entry.fields() {
        items.extend([field.to_vec(), value.to_vec()]);
    }
    (entry.id, items)
}

fn add(entries: &mut Entries, id: StreamId, items: &[&str]) -> Result<StreamId, AppendError> {
    let items: Vec<&[u8]> = items.iter().map(|item| item.as_bytes()).collect();
    entries.append(NewId::Given(id), &items, &LIMITS, 0)
}

/// What is counted, counted again.
fn recount(entries: &Entries) {
    let parts = EntriesParts {
        blocks: entries
            .blocks()
            .map(|(id, pack)| (id, pack.clone()))
            .collect(),
        last_id: entries.last_id(),
        max_deleted_id: entries.max_deleted_id(),
        added: Some(entries.added()),
    };
    let again = Entries::from_parts(parts).expect("it is valid");
    assert_eq!(
        (again.len(), again.first_id()),
        (entries.len(), entries.first_id())
    );
    let bytes: usize = entries.blocks().map(|(_, pack)| pack.heap_bytes()).sum();
    let index = entries.blocks.index_bytes();
    assert_eq!(bytes + index, entries.heap_bytes());
}

fn step(entries: &mut Entries, model: &mut Model, kind: u8, number: u64, items: &[Vec<u8>]) {
    match kind {
        0..=5 => {
            let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
            let next = match kind {
                0 => NewId::Auto,
                1 => NewId::Millisecond(number),
                2 => NewId::Given(id(number, kind.into())),
                _ => NewId::Given(id(
                    entries.last_id().ms + number % 3,
                    entries.last_id().seq + 1,
                )),
            };
            let last = entries.last_id();
            match entries.append(next, &items, &LIMITS, number) {
                Ok(id) => {
                    assert!(id > last);
                    let items = items.iter().map(|item| item.to_vec()).collect();
                    assert!(model.insert(id, items).is_none());
                }
                Err(error) => assert_eq!(error, AppendError::NotAbove),
            }
        }
        6 => {
            let nth = model
                .keys()
                .nth(number as usize % model.len().max(1))
                .copied();
            let id = nth.unwrap_or(id(1, 1));
            assert_eq!(entries.delete(id), model.remove(&id).is_some());
            assert!(!entries.delete(id));
        }
        _ => {
            let to = if kind == 7 {
                TrimTo::Length(number)
            } else {
                TrimTo::Id(id(number, 1))
            };
            let stays = |index: usize, id: &StreamId, len: usize| match to {
                TrimTo::Length(length) => index + length as usize >= len,
                TrimTo::Id(first) => *id >= first,
            };
            let len = model.len();
            let mut trim = Trim {
                to,
                is_approximate: false,
                limit: 0,
                removed: 0,
            };
            while !entries.trim(&mut trim, 1) {}
            let kept: Vec<StreamId> = model
                .keys()
                .enumerate()
                .filter(|(index, id)| stays(*index, id, len))
                .map(|(_, id)| *id)
                .collect();
            model.retain(|id, _| kept.contains(id));
            assert_eq!(trim.removed as usize, len - model.len());
        }
    }
}

fn items() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let name = prop_oneof![8 => Just(b"a".to_vec()), 1 => Just(b"12".to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..9)];
    let value = prop_oneof![
        any::<i32>().prop_map(|number| number.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..40)
    ];
    prop::collection::vec((name, value), 1..4).prop_map(|pairs| {
        let items = pairs.into_iter().flat_map(|(name, value)| [name, value]);
        items.collect()
    })
}

proptest! {
    #[test]
    fn like_a_map(steps in prop::collection::vec((0..9u8, 0..30u64, items()), 0..80), start in 0..30u64, end in 0..30u64) {
        let (mut entries, mut model) = (Entries::default(), Model::new());
        for (kind, number, items) in steps {
            step(&mut entries, &mut model, kind, number, &items);
            prop_assert_eq!(entries.len(), model.len());
            let first = model.keys().next().copied().unwrap_or_default();
            prop_assert_eq!(entries.first_id(), first);
        }
        recount(&entries);
        recount(&entries.clone());
        for (start, end) in [(StreamId::MIN, StreamId::MAX), (id(start, 0), id(end, 3)), (id(start, 2), id(start, 2))] {
            let mut expected: Vec<_> = model.iter().filter(|(id, _)| (start..=end).contains(id)).map(|(id, items)| (*id, items.clone())).collect();
            let found: Vec<_> = entries.range(start, end).map(shown).collect();
            prop_assert_eq!(&found, &expected);
            expected.reverse();
            let found: Vec<_> = entries.range_back(start, end).map(shown).collect();
            prop_assert_eq!(&found, &expected);
        }
        for key in model.keys() {
            prop_assert!(entries.get(*key).is_some());
        }
        while !entries.free_some(10) {}
        prop_assert_eq!(entries.heap_bytes(), 0);
    }

    #[test]
    fn groups_like_two_maps(steps in prop::collection::vec((0..6u8, 0..5u64, 0..8u64), 0..80)) {
        let mut groups = Groups::default();
        groups.insert(b"g", Group::new(StreamId::MIN, None));
        let mut model: BTreeMap<StreamId, String> = BTreeMap::new();
        for (kind, who, what) in steps {
            let (name, id) = (format!("c{who}"), id(what, 0));
            groups.change(b"g", |group| match kind {
                0..=2 => {
                    let (number, _) = group.consumer_or_new(name.as_bytes(), 1);
                    group.assign(id, number, 7, 1);
                    model.insert(id, name.clone());
                }
                3 => assert_eq!(group.acknowledge(id), model.remove(&id).is_some()),
                4 => {
                    let mut removed = 0;
                    while let Some(some) = group.remove_consumer(name.as_bytes(), 2) {
                        removed += some;
                    }
                    let before = model.len();
                    model.retain(|_, owner| *owner != name);
                    assert_eq!(removed, before - model.len());
                }
                _ => group.redeliver(id, 9),
            });
            let group = groups.get(b"g").unwrap();
            let found: BTreeMap<StreamId, String> = group.pending().iter().map(|(id, pending)| {
                let consumer = group.consumer(pending.consumer).unwrap();
                assert!(consumer.pending().contains(id));
                (*id, String::from_utf8(consumer.name.to_vec()).unwrap())
            }).collect();
            prop_assert_eq!(&found, &model);
            prop_assert_eq!(group.consumers().map(|consumer| consumer.pending().len()).sum::<usize>(), model.len());
            prop_assert_eq!(groups.pending_len(), model.len());
        }
        prop_assert!(groups.take(b"g").is_some() && groups.heap_bytes() == 0);
    }
}

/// XADD 1-5, 1-7, 2-1, XDEL 1-7 and DUMP of redis-server 7.0: the node's bytes.
#[test]
fn the_bytes_are_those_of_redis() {
    let mut entries = Entries::default();
    add(&mut entries, id(1, 5), &["a", "1", "b", "xx"]).unwrap();
    add(&mut entries, id(1, 7), &["a", "2", "b", "yy"]).unwrap();
    add(&mut entries, id(2, 1), &["c", "300"]).unwrap();
    assert!(entries.delete(id(1, 7)));
    let (block, pack) = entries.blocks().next().unwrap();
    assert_eq!(block.to_bytes(), *b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x05");
    assert_eq!(StreamId::from_bytes(block.to_bytes()), block);
    assert_eq!(pack.as_bytes(), REDIS);
    assert_eq!(Listpack::from_bytes(REDIS).as_ref(), Ok(pack));
}

const REDIS: &[u8] = b"\x42\x00\x00\x00\x19\x00\x02\x01\x01\x01\x02\x01\x81\x61\x02\x81\x62\x02\x00\x01\x02\x01\x00\x01\x00\x01\x01\x01\x82\x78\x78\x03\x05\x01\x03\x01\x00\x01\x02\x01\x02\x01\x82\x79\x79\x03\x05\x01\x00\x01\x01\x01\xdf\xfc\x02\x01\x01\x81\x63\x02\xc1\x2c\x02\x06\x01\xff";

#[test]
fn blocks_from_elsewhere_are_checked() {
    let mut entries = Entries::default();
    add(&mut entries, id(1, 5), &["a", "1"]).unwrap();
    add(&mut entries, id(1, 7), &["b", "2"]).unwrap();
    let (block, pack) = entries.blocks().next().unwrap();
    let read = |block: StreamId, pack: Listpack, last_id: StreamId| {
        Entries::from_parts(EntriesParts {
            blocks: vec![(block, pack)],
            last_id,
            max_deleted_id: StreamId::MIN,
            added: None,
        })
    };
    let good = read(block, pack.clone(), id(1, 7)).unwrap();
    assert_eq!(
        (good.len(), good.added(), good.first_id()),
        (2, 2, id(1, 5))
    );
    assert!(
        read(block, pack.clone(), id(1, 6)).is_none(),
        "an id above the last one"
    );
    assert!(read(block, Listpack::new(), id(1, 7)).is_none());
    // Each element changed in turn: wrong counts, numbers of elements and orders are noticed, values are free.
    let free = [
        Item::Bytes(b"a"),
        Item::Int(1),
        Item::Bytes(b"b"),
        Item::Int(2),
    ];
    let mut at = pack.first();
    let mut refused = 0;
    while let Some(pos) = at {
        let mut broken = pack.clone();
        broken.replace_integer(pos, 77);
        let is_free = free.contains(&pack.at(pos));
        let is_refused = read(block, broken, id(1, 7)).is_none();
        refused += usize::from(is_refused);
        assert!(
            is_refused || is_free || matches!(pack.at(pos), Item::Int(0)),
            "{pos:?}"
        );
        at = pack.next(pos);
    }
    assert!(refused >= 9, "{refused}");
}

#[test]
fn groups_from_elsewhere_are_checked() {
    let consumer = |name: &str, pending: &[StreamId]| ConsumerParts {
        name: name.into(),
        seen_ms: 5,
        active_ms: Some(4),
        pending: pending.to_vec(),
    };
    let read = |pending: &[StreamId], consumers: Vec<ConsumerParts>| {
        let pending: Vec<_> = pending.iter().map(|id| (*id, 3, 2)).collect();
        Group::from_parts(id(9, 9), Some(3), &pending, consumers)
    };
    let (a, b) = (id(1, 1), id(2, 2));
    let group = read(&[a, b], vec![consumer("x", &[b]), consumer("y", &[a])]).unwrap();
    assert_eq!((group.pending().len(), group.consumers_len()), (2, 2));
    assert_eq!(group.consumers().next().unwrap().active_ms, Some(4));
    assert!(
        read(&[a, b], vec![consumer("x", &[b])]).is_none(),
        "an entry of nobody"
    );
    assert!(
        read(&[a], vec![consumer("x", &[a]), consumer("y", &[a])]).is_none(),
        "an entry of two"
    );
    assert!(
        read(&[], vec![consumer("x", &[a])]).is_none(),
        "an entry that is not pending"
    );
    assert!(
        read(&[], vec![consumer("x", &[]), consumer("x", &[])]).is_none(),
        "a name twice"
    );
}

#[test]
fn approximate_trims_take_whole_blocks() {
    let filled = || {
        let mut entries = Entries::default();
        (1..=20).for_each(|ms| _ = add(&mut entries, id(ms, 0), &["f", "v"]).unwrap());
        entries
    };
    let trimmed = |to, limit| {
        let mut entries = filled();
        let mut trim = Trim {
            to,
            is_approximate: true,
            limit,
            removed: 0,
        };
        while !entries.trim(&mut trim, 1) {}
        (entries.len(), entries.first_id().ms)
    };
    assert_eq!(filled().blocks_len(), 4);
    assert_eq!(trimmed(TrimTo::Length(15), 0), (20, 1));
    assert_eq!(trimmed(TrimTo::Length(14), 0), (14, 7));
    assert_eq!(trimmed(TrimTo::Length(0), 0), (0, 0));
    assert_eq!(trimmed(TrimTo::Length(0), 13), (8, 13));
    assert_eq!(trimmed(TrimTo::Id(id(7, 0)), 0), (14, 7));
    assert_eq!(trimmed(TrimTo::Id(id(6, 0)), 0), (20, 1));
}

#[test]
fn ids_as_text() {
    let parse = |text: &str| StreamId::parse(text.as_bytes(), 9);
    assert_eq!(parse("5-3"), Some(id(5, 3)));
    assert_eq!(parse("5"), Some(id(5, 9)));
    assert_eq!(
        parse("18446744073709551615-18446744073709551615"),
        Some(StreamId::MAX)
    );
    assert_eq!(parse("7\0junk"), Some(id(7, 9)));
    for text in [
        "",
        "-",
        "+",
        "5-",
        "-5",
        "a",
        "5-a",
        "5-*",
        "*",
        "18446744073709551616",
        "5--1",
        "5 ",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
    assert_eq!(parse(&"0".repeat(127)), Some(id(0, 9)));
    assert_eq!(parse(&"0".repeat(128)), None);
    assert_eq!(StreamId::parse_edge(b"-", 0), Some(StreamId::MIN));
    assert_eq!(StreamId::parse_edge(b"+", 0), Some(StreamId::MAX));
    assert_eq!(NewId::parse(b"*"), Some(NewId::Auto));
    assert_eq!(NewId::parse(b"5-*"), Some(NewId::Millisecond(5)));
    assert_eq!(NewId::parse(b"5"), Some(NewId::Given(id(5, 0))));
    assert_eq!(NewId::parse(b"*-5"), None);
    assert_eq!(id(u64::MAX, 0).shown().as_ref(), b"18446744073709551615-0");
    assert_eq!(id(1, u64::MAX).next(), Some(id(2, 0)));
    assert_eq!(id(2, 0).prev(), Some(id(1, u64::MAX)));
    assert_eq!((StreamId::MAX.next(), StreamId::MIN.prev()), (None, None));
}

#[test]
fn ids_run_out() {
    let mut entries = Entries::default();
    add(&mut entries, id(u64::MAX, 3), &["f", "v"]).unwrap();
    let mut auto = |next| entries.append(next, &[b"f", b"v"], &LIMITS, 5);
    assert_eq!(auto(NewId::Auto), Ok(id(u64::MAX, 4)));
    assert_eq!(auto(NewId::Millisecond(u64::MAX)), Ok(id(u64::MAX, 5)));
    assert_eq!(
        auto(NewId::Given(id(u64::MAX, 5))),
        Err(AppendError::NotAbove)
    );
    assert_eq!(auto(NewId::Given(StreamId::MAX)), Ok(StreamId::MAX));
    assert_eq!(auto(NewId::Auto), Err(AppendError::Exhausted));
}
