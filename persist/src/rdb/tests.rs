//! Values there and back, in every form that is written, and files.

use proptest::prelude::*;
use tessera_core::entry::{Entry, StrValue};
use tessera_core::hash::Hash;
use tessera_core::list::{End, List, ListLimits};
use tessera_core::object::{Collection, PackLimits, View};
use tessera_core::set::{Set, SetLimits};
use tessera_core::stream::{Group, NewId, NodeLimits, Stream, StreamId};
use tessera_core::zset::Zset;

use super::*;

fn limits() -> Limits {
    let pack = PackLimits {
        entries_max: 8,
        value_bytes_max: 30,
        seed: 5,
    };
    Limits {
        hash: pack,
        list: ListLimits::of(4),
        set: SetLimits {
            integers_max: 20,
            entries_max: 8,
            value_bytes_max: 30,
            seed: 5,
        },
        zset: pack,
    }
}

/// The payload of an entry, in pieces of so many elements.
fn dumped(entry: &Entry, compresses: bool, elements: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(compresses);
    let mut payload = vec![ValueWriter::kind(entry)];
    if let Some(mut writer) = ValueWriter::begin(entry, &mut encoder, &mut payload) {
        while !writer.step(entry, &mut encoder, &mut payload, elements) {}
    }
    dump_footer(&mut payload);
    payload
}

fn restored(payload: &[u8], elements: usize) -> Result<Value, RdbError> {
    let (kind, bytes) = payload_of(payload)?;
    let mut input = Input::new(bytes);
    let mut reader = ValueReader::begin(kind, &mut input, limits(), 0)?;
    loop {
        if let Some(value) = reader.step(&mut input, elements)? {
            assert_eq!(input.offset(), bytes.len() as u64, "nothing is left over");
            return Ok(value);
        }
    }
}

/// All that a client could see of a value, in an order that does not depend on chance.
fn shown(entry: &Entry) -> Vec<String> {
    let text = |bytes: Vec<u8>| bytes.escape_ascii().to_string();
    let Some(object) = entry.object() else {
        return vec![format!("{:?}", entry.string())];
    };
    let mut lines = Vec::new();
    match object.view() {
        View::List(list) => lines.extend(list.iter().map(|item| text(item.to_vec()))),
        View::Set(set) => set.for_each(&mut |member| lines.push(text(member.to_vec()))),
        View::Zset(zset) => lines.extend(
            zset.iter()
                .map(|(member, score)| format!("{} {:x}", text(member.to_vec()), score.to_bits())),
        ),
        View::Hash(hash) => hash.for_each(0, &mut |field, value| {
            let ends = hash.expire_at(&field.to_vec());
            let (field, value) = (text(field.to_vec()), text(value.to_vec()));
            lines.push(format!("{field} {value} {ends:?}"));
        }),
        View::Stream(stream) => {
            for (id, pack) in stream.entries.blocks() {
                lines.push(format!("{id} {pack:?}"));
            }
            lines.push(format!("{:?} {}", stream.entries, stream.entries.added()));
            for (name, group) in stream.groups.iter() {
                let (last_id, read) = (group.last_id, group.entries_read);
                lines.push(format!("{} {last_id} {read:?}", text(name.to_vec())));
                for (id, pending) in group.pending() {
                    let (delivered_ms, times) = (pending.delivered_ms, pending.deliveries);
                    lines.push(format!("{id} {delivered_ms} {times}"));
                }
                lines.extend(group.consumers().map(|consumer| format!("{consumer:?}")));
            }
        }
    }
    if matches!(object.view(), View::Set(_) | View::Hash(_)) {
        lines.sort_unstable();
    }
    // A hash that has lost its lifetimes is still a table, and is packed again when it is read.
    if !matches!(object.view(), View::Hash(_)) {
        lines.push(object.encoding().to_owned());
    }
    lines
}

fn entry_of<T: Collection>(it: T) -> Entry {
    Entry::with_object(b"k", it.into_object(), None)
}

#[track_caller]
fn there_and_back(entry: &Entry) {
    for (compresses, elements) in [(true, usize::MAX), (false, 1), (true, 3)] {
        let payload = dumped(entry, compresses, elements);
        let value = restored(&payload, elements).expect("it was written just now");
        let copy = value.into_entry(b"k", None).unwrap();
        assert_eq!(shown(&copy), shown(entry));
    }
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        (-200..200i64).prop_map(|number| number.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..40),
        (0..900usize).prop_map(|length| vec![b'a'; length]),
    ]
}

fn elements() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop_oneof![
        prop::collection::vec(element(), 1..40),
        prop::collection::vec((0..100i64).prop_map(|n| n.to_string().into_bytes()), 1..9),
    ]
}

proptest! {
    #[test]
    fn strings(bytes in element()) {
        let entry = Value::of(bytes).into_entry(b"k", None).unwrap();
        there_and_back(&entry);
    }

    #[test]
    fn lists(elements in elements()) {
        let mut list = List::new();
        for element in &elements {
            list.push(End::Back, &[element], &limits().list);
        }
        there_and_back(&entry_of(list));
    }

    #[test]
    fn sets(elements in elements()) {
        let mut set = Set::new();
        for element in &elements {
            set.add(element, &limits().set);
        }
        there_and_back(&entry_of(set));
    }

    #[test]
    fn zsets(elements in elements(), scores in prop::collection::vec(any::<f64>(), 40)) {
        let mut zset = Zset::new();
        for (element, score) in elements.iter().zip(scores) {
            // A packed one has no -0, so one that was packed for a while on its way has lost it.
            let score = if score.is_nan() { f64::INFINITY } else { score + 0.0 };
            zset.insert(element, score, &limits().zset);
        }
        there_and_back(&entry_of(zset));
    }

    #[test]
    fn hashes(elements in elements(), times in prop::collection::vec(prop::option::of(1..u64::MAX / 2), 40)) {
        let mut hash = Hash::new();
        for (pair, at_ms) in elements.chunks(2).zip(times) {
            hash.set(&pair[0], &pair[pair.len() - 1], &limits().hash);
            if elements.len() % 2 == 0 {
                hash.set_expire(&pair[0], at_ms, 5);
            }
        }
        there_and_back(&entry_of(hash));
    }

    #[test]
    fn streams(elements in elements(), steps in prop::collection::vec((0..6u8, 0..60u64), 0..80)) {
        let mut stream = Stream::new();
        let nodes = NodeLimits { bytes_max: 300, entries_max: 7 };
        for element in &elements {
            let fields: [&[u8]; 4] = [b"field", element, b"other", b"1"];
            let fields = if element.len() % 3 == 0 { &fields[..] } else { &fields[..2] };
            stream.entries.append(NewId::Auto, fields, &nodes, 7).unwrap();
        }
        for group in [&b"one"[..], b"two"] {
            stream.groups.insert(group, Group::new(StreamId::new(7, 3), Some(4)));
        }
        for (kind, number) in steps {
            let id = StreamId::new(7, number);
            if kind == 0 {
                stream.entries.delete(id);
                continue;
            }
            let name: &[u8] = if kind < 3 { b"one" } else { b"two" };
            stream.groups.change(name, |group| {
                let (consumer, _) = group.consumer_or_new(&[b'c', kind], 100);
                // As an older form tells it that does not know this time.
                group.consumer_mut(consumer).unwrap().active_ms = Some(100);
                group.assign(id, consumer, 200 + number, u64::from(kind));
                group.entries_read = (kind != 5).then_some(9);
            });
        }
        there_and_back(&entry_of(stream));
    }

    #[test]
    fn lengths_of_files(keys in prop::collection::vec((element(), element(), prop::option::of(any::<u64>())), 0..20)) {
        let mut bytes = Vec::new();
        file_header(&[("redis-ver", "7.0.15"), ("ctime", "1700000000")], &mut bytes);
        let mut encoder = Encoder::new(true);
        select_database(3, &mut bytes);
        for (key, value, expire_at) in &keys {
            let entry = Entry::new(key, StrValue::Bytes(value), *expire_at);
            write_key(&entry, Usage::Unknown, &mut encoder, &mut bytes);
        }
        file_footer(&mut bytes);
        let mut sum = crate::crc::checksum();
        sum.update(&bytes);
        bytes.extend_from_slice(&sum.finalize().to_le_bytes());
        let mut reader = FileReader::new(bytes.as_slice(), limits(), 0).unwrap();
        let mut found = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            match record {
                Record::Key(key) => found.push((key.name, key.value, key.expire_at)),
                Record::Database(db) => prop_assert_eq!(db, 3),
                record => prop_assert!(matches!(record, Record::About(..)), "{:?}", record),
            }
        }
        prop_assert_eq!(reader.offset(), bytes.len() as u64);
        prop_assert_eq!(found.len(), keys.len());
        for ((name, value, expire_at), key) in found.into_iter().zip(&keys) {
            prop_assert_eq!(&name, &key.0);
            prop_assert_eq!(expire_at, key.2);
            let expected = Value::of(key.1.clone());
            prop_assert_eq!(format!("{value:?}"), format!("{:?}", Some(expected)));
        }
        for cut in [bytes.len() - 1, bytes.len() - 9, 9] {
            let mut reader = FileReader::new(&bytes[..cut], limits(), 0).unwrap();
            let end = std::iter::from_fn(|| reader.next_record().transpose()).find(Result::is_err);
            prop_assert!(matches!(end, Some(Err(RdbError::Truncated))), "{:?}", end);
        }
    }
}

#[test]
fn scores_as_text() {
    let mut payload = vec![kind::ZSET, 5];
    for (member, score) in [
        ("a", &b"\xff"[..]),
        ("b", b"\x041.5e"),
        ("c", b"\x031.5"),
        ("d", b"\xfe"),
        ("e", b"\xfd"),
    ] {
        payload.push(1);
        payload.extend_from_slice(member.as_bytes());
        payload.extend_from_slice(score);
    }
    dump_footer(&mut payload);
    assert!(matches!(
        restored(&payload, 2),
        Err(RdbError::Corrupt("a score that is none"))
    ));
}

#[test]
fn what_is_there_twice_is_refused() {
    for body in [
        &b"\x02\x02\x01a\x01a"[..],
        b"\x04\x02\x01a\x011\x01a\x012",
        b"\x05\x02\x01a\0\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\xf0\x3f",
    ] {
        let mut payload = body.to_vec();
        dump_footer(&mut payload);
        assert!(matches!(restored(&payload, 9), Err(RdbError::Corrupt(_))));
    }
}

#[test]
fn a_length_that_lies_costs_nothing() {
    for body in [
        &b"\x00\x81\x00\x00\x00\x00\xff\xff\xff\xffabc"[..],
        b"\x00\xc3\x04\x81\x00\x00\x00\x00\xff\xff\xff\xffabcd",
        b"\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
        b"\x0f\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
    ] {
        let mut payload = body.to_vec();
        dump_footer(&mut payload);
        assert!(restored(&payload, 9).is_err());
    }
}

#[test]
fn versions_and_sums() {
    let entry = Entry::new(b"k", StrValue::Bytes(b"value"), None);
    let payload = dumped(&entry, true, 1);
    assert_eq!(
        payload, b"\x00\x05value\n\x00\x81\xf6\xc18\xc1\xaa\x9bn",
        "as redis-server 7.0 does"
    );
    for at in 0..payload.len() {
        let mut wrong = payload.clone();
        wrong[at] ^= 1;
        assert!(payload_of(&wrong).is_err());
        assert!(payload_of(&payload[..at]).is_err());
    }
    let mut hash = Hash::new();
    hash.set(b"f", b"v", &limits().hash);
    hash.set_expire(b"f", Some(99), 5);
    let payload = dumped(&entry_of(hash), true, 1);
    assert_eq!(payload[payload.len() - 10], 12, "7.0 does not know this");
}
