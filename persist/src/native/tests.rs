//! What goes in comes out, on any number of shards; what is damaged is found.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tessera_core::entry::{Entry, StrValue};
use tessera_core::list::{End, ListLimits};
use tessera_core::object::{Collection, PackLimits};
use tessera_core::set::{Set, SetLimits};

use super::*;
use crate::rdb::{Encoder, Limits, Usage, ValueWriter};

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
            integers_max: 6,
            entries_max: 8,
            value_bytes_max: 30,
            seed: 5,
        },
        zset: pack,
    }
}

/// Database, entry, usage.
type Key = (usize, Entry, Usage);

/// A file of these keys, from so many parts.
fn file_of(keys: &[Key], parts: usize) -> Vec<u8> {
    let mut bytes = header([("redis-ver", "7.0.15"), ("used-mem", "77")].into_iter());
    let mut sum = FileSum::of_header(&bytes);
    let mut footer = Footer::default();
    let mut full = filler::function_chunks(b"#!lua name=x");
    for part in 0..parts {
        let mut filler = Filler::new(part, parts);
        for (db, entry, usage) in keys.iter().skip(part).step_by(parts) {
            filler.key(*db, entry, *usage, &mut full);
        }
        filler.finish(&mut full);
    }
    for (head, body) in full {
        sum.add(put_chunk_head(head, &body, &mut bytes));
        bytes.extend_from_slice(&body);
        footer.chunks += 1;
        footer.keys += u64::from(head.keys);
        footer.databases = footer.databases.max(head.db_last + 1);
    }
    footer.bytes = bytes.len() as u64;
    bytes.extend_from_slice(&footer.to_bytes(&sum));
    bytes
}

/// The keys of a file as each of so many shards takes them, looked at in small steps.
fn taken(file: &[u8], shards: usize) -> Result<Vec<Taken>, NativeError> {
    let mut checked = NativeFile::open(file)?;
    let mut chunks = Vec::new();
    while let Some(chunk) = checked.next_chunk()? {
        chunks.push(chunk);
    }
    let mut all = Vec::new();
    for shard in 0..shards {
        let mut taker = Taker::new(limits(), 0);
        let mine = |slot: u16| usize::from(slot) * shards / 16384 == shard;
        for chunk in &chunks {
            let mut at = 0;
            while at < chunk.body.len() {
                at = taker.take(chunk, at, 100, &mine, &mut |taken| all.push(taken))?;
            }
        }
        if !taker.is_whole() {
            return Err(NativeError::Truncated);
        }
    }
    Ok(all)
}

fn written(entry: &Entry) -> Vec<u8> {
    let mut bytes = vec![ValueWriter::kind(entry)];
    ValueWriter::write(entry, &mut Encoder::new(false), &mut bytes);
    bytes
}

/// What two keys have to agree in.
fn told(db: usize, entry: &Entry, usage: Usage) -> (usize, Option<u64>, Usage, usize, Vec<u8>) {
    let bytes = written(entry);
    // The order of a table's elements is not kept, but their bytes are.
    let mut sorted = bytes.clone();
    sorted.sort_unstable();
    (db, entry.expire_at(), usage, bytes.len(), sorted)
}

fn there_and_back(keys: &[Key]) {
    for (parts, shards) in [(1, 1), (1, 3), (3, 1), (2, 5)] {
        let file = file_of(keys, parts);
        let mut found = BTreeMap::new();
        for taken in taken(&file, shards).unwrap() {
            let told = told(taken.db as usize, &taken.entry, taken.usage);
            let twice = found.insert((taken.db as usize, taken.entry.key().to_vec()), told);
            assert!(twice.is_none());
        }
        let wanted: BTreeMap<_, _> = keys
            .iter()
            .map(|(db, entry, usage)| ((*db, entry.key().to_vec()), told(*db, entry, *usage)))
            .collect();
        assert_eq!(found, wanted);
    }
}

fn set_of(members: usize, bytes: usize) -> Entry {
    let mut set = Set::new();
    for number in 0..members {
        let member = format!("{number:0>bytes$}");
        set.add(member.as_bytes(), &limits().set);
    }
    Entry::with_object(b"set", set.into_object(), None)
}

#[test]
fn large_values_come_in_pieces() {
    let mut list = tessera_core::list::List::new();
    for number in 0..20_000 {
        let element = format!("element:{number}");
        list.push(End::Back, &[element.as_bytes()], &limits().list);
    }
    // Elements longer than a chunk, and one that is nothing but its name.
    let mut wide = tessera_core::hash::Hash::new();
    for number in 0..3 {
        let value = vec![b'v'; 1_500_000];
        wide.set(format!("f{number}").as_bytes(), &value, &limits().hash);
    }
    let long_name = vec![b'n'; 2_500_000];
    let keys: Vec<Key> = vec![
        (0, set_of(50_000, 7), Usage::Idle(9)),
        (
            1,
            Entry::with_object(b"list", list.into_object(), Some(1 << 50)),
            Usage::Unknown,
        ),
        (
            1,
            Entry::with_object(b"wide", wide.into_object(), None),
            Usage::Frequency(3),
        ),
        (
            0,
            Entry::new(b"string", StrValue::Bytes(&vec![7; 3_000_001]), None),
            Usage::Unknown,
        ),
        (
            0,
            Entry::new(&long_name, StrValue::Bytes(b"short"), None),
            Usage::Unknown,
        ),
    ];
    there_and_back(&keys);
    let file = file_of(&keys, 1);
    let mut checked = NativeFile::open(&file).unwrap();
    let mut pieces = 0;
    while let Some(chunk) = checked.next_chunk().unwrap() {
        assert!(chunk.body.len() <= 1 << 20);
        pieces += usize::from(chunk.head.kind == ChunkKind::Piece);
    }
    assert!(pieces > 40, "{pieces}");
    assert_eq!(checked.facts()[1], ("used-mem".to_owned(), "77".to_owned()));
    assert_eq!(checked.footer().databases, 2);
}

#[test]
fn a_missing_piece_is_missed() {
    let keys = [(0, set_of(50_000, 7), Usage::Unknown)];
    let file = file_of(&keys, 1);
    let mut checked = NativeFile::open(&file).unwrap();
    let mut taker = Taker::new(limits(), 0);
    let mut number = 0;
    let mut outcome = Ok(0);
    while let Some(chunk) = checked.next_chunk().unwrap() {
        number += 1;
        if number != 4 {
            outcome = taker.take(&chunk, 0, 1, &|_| true, &mut |_| {});
        }
        if outcome.is_err() {
            break;
        }
    }
    assert!(
        matches!(outcome, Err(NativeError::Corrupt(_))),
        "{outcome:?}"
    );
}

/// A file with one key of each kind.
fn small_file() -> Vec<u8> {
    let mut zset = tessera_core::zset::Zset::new();
    zset.insert(b"m", 1.5, &limits().zset);
    let keys: Vec<Key> = vec![
        (
            0,
            Entry::new(b"int", StrValue::Int(-7), Some(99)),
            Usage::Unknown,
        ),
        (
            3,
            Entry::new(b"text", StrValue::Bytes(b"bytes"), None),
            Usage::Idle(5),
        ),
        (0, set_of(20, 3), Usage::Frequency(200)),
        (
            1,
            Entry::with_object(b"z", zset.into_object(), None),
            Usage::Unknown,
        ),
    ];
    there_and_back(&keys);
    file_of(&keys, 2)
}

#[test]
fn every_cut_and_every_flip_is_found() {
    let file = small_file();
    for cut in 0..file.len() {
        assert!(taken(&file[..cut], 1).is_err(), "cut at {cut}");
    }
    let mut longer = file.clone();
    longer.push(0);
    assert!(taken(&longer, 1).is_err());
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            assert!(taken(&flipped, 1).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn chunks_that_change_places_are_found() {
    let file = small_file();
    let mut checked = NativeFile::open(&file).unwrap();
    let mut ends = vec![checked.offset()];
    while checked.next_chunk().unwrap().is_some() {
        ends.push(checked.offset());
    }
    let (a, b, c) = (ends[1], ends[2], ends[3]);
    let swapped = [&file[..a], &file[b..c], &file[a..b], &file[c..]].concat();
    let doubled = [&file[..b], &file[a..b], &file[b..]].concat();
    let missing = [&file[..a], &file[b..]].concat();
    for wrong in [swapped, doubled, missing] {
        assert!(taken(&wrong, 1).is_err());
    }
}

#[test]
fn what_is_not_ours_or_newer_is_told() {
    let file = small_file();
    assert!(matches!(
        NativeFile::open(b"REDIS0010"),
        Err(NativeError::Foreign)
    ));
    let mut newer = header(std::iter::empty());
    newer[8] = 2;
    let end = newer.len() - 8;
    let sum = xxhash_rust::xxh3::xxh3_64(&newer[..end]);
    newer[end..].copy_from_slice(&sum.to_le_bytes());
    newer.extend_from_slice(&file[file.len() - 64..]);
    assert!(matches!(
        NativeFile::open(&newer),
        Err(NativeError::Version(2))
    ));
}

proptest! {
    #[test]
    fn any_keys(keys in prop::collection::btree_map(
        (0usize..3, prop::collection::vec(any::<u8>(), 0..20)),
        (prop::collection::vec(any::<u8>(), 0..600), prop::option::of(any::<u64>()), prop::option::of(any::<i64>())),
        0..60,
    )) {
        let keys: Vec<Key> = keys.iter().map(|((db, name), (value, expire_at, number))| {
            let value = match number {
                Some(number) => StrValue::Int(*number),
                None => StrValue::Bytes(value),
            };
            (*db, Entry::new(name, value, *expire_at), Usage::Unknown)
        }).collect();
        there_and_back(&keys);
    }
}
