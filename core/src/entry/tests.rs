//! Entries of every kind and size, on their own.

use super::{Entry, INLINE_MAX, OutOfMemory, StrValue, ValueRef, blob, size_class};

const SIZES: [usize; 17] = [
    0,
    1,
    2,
    63,
    64,
    127,
    128,
    254,
    255,
    256,
    257,
    511,
    512,
    513,
    4096,
    70_000,
    1 << 20,
];

fn bytes(len: usize, salt: u8) -> Vec<u8> {
    (0..len)
        .map(|i| (i as u8).wrapping_mul(31) ^ salt)
        .collect()
}

fn check(entry: &Entry, key: &[u8], value: &[u8], expire_at: Option<u64>) {
    assert_eq!(entry.key(), key);
    assert_eq!(entry.string().unwrap(), ValueRef::Bytes(value));
    assert_eq!(entry.string().unwrap().len(), value.len());
    assert_eq!(entry.expire_at(), expire_at);
    let head = 4
        + if expire_at.is_some() { 8 } else { 0 }
        + if key.len() > 255 { 4 } else { 1 }
        + key.len();
    let inline = if value.len() > 255 { 2 } else { 1 } + value.len();
    if value.len() > INLINE_MAX {
        assert!(entry.heap_bytes() >= blob::class(head + 24) + size_class(value.len()));
    } else if entry.heap_bytes() != blob::class(head + inline) {
        // Once large, the value keeps its buffer while it is changed in place.
        assert!(entry.is_raw() && entry.heap_bytes() > blob::class(head + 24));
    }
}

#[test]
fn a_handle_is_one_word() {
    assert_eq!((size_of::<Entry>(), size_of::<Option<Entry>>()), (8, 8));
}

#[test]
fn every_key_and_value_size_reads_back() {
    for key_len in [0, 1, 127, 128, 254, 255, 256, 257, 1 << 20] {
        for len in SIZES {
            for expire_at in [None, Some(0), Some(u64::MAX)] {
                let (key, value) = (bytes(key_len, 1), bytes(len, 2));
                let entry = Entry::new(&key, StrValue::Bytes(&value), expire_at);
                check(&entry, &key, &value, expire_at);
                assert!(!entry.is_raw());
                assert_eq!(entry.access(), 0);
            }
        }
    }
}

#[test]
fn integers_are_kept_as_integers() {
    for int in [0, 1, -1, i64::MIN, i64::MAX] {
        let mut entry = Entry::new(b"k", StrValue::Int(int), Some(5));
        assert_eq!(entry.string().unwrap(), ValueRef::Int(int));
        assert_eq!(entry.string().unwrap().len(), int.to_string().len());
        assert_eq!(entry.heap_bytes(), 24);
        entry.append(b"0").unwrap();
        assert_eq!(
            entry.string().unwrap(),
            ValueRef::Bytes(format!("{int}0").as_bytes())
        );
        assert_eq!((entry.is_raw(), entry.expire_at()), (true, Some(5)));
        entry.set(StrValue::Int(7), None);
        assert_eq!(
            (entry.string().unwrap(), entry.is_raw(), entry.expire_at()),
            (ValueRef::Int(7), false, None)
        );
        assert_eq!(entry.bytes_mut(), b"7");
    }
}

#[test]
fn access_bits_are_26_and_survive_changes() {
    let mut entry = Entry::new(b"key", StrValue::Int(3), None);
    entry.set_access(0xff12_3456);
    assert_eq!(entry.access(), 0x0312_3456);
    entry.set(StrValue::Bytes(&bytes(1000, 0)), Some(9));
    entry.set_expire(None);
    entry.append(b"x").unwrap();
    assert_eq!(entry.access(), 0x0312_3456);
    assert_eq!(entry.with_key(b"another key").access(), 0x0312_3456);
}

#[test]
fn any_value_replaces_any_value() {
    for from in SIZES {
        for to in SIZES {
            for (ttl, new_ttl) in [
                (None, None),
                (None, Some(2)),
                (Some(1), None),
                (Some(1), Some(2)),
            ] {
                let (old, new) = (bytes(from, 3), bytes(to, 4));
                let mut entry = Entry::new(b"some key", StrValue::Bytes(&old), ttl);
                entry.set(StrValue::Bytes(&new), new_ttl);
                check(&entry, b"some key", &new, new_ttl);
                entry.set_expire(ttl);
                check(&entry, b"some key", &new, ttl);
                entry.set(StrValue::Int(-5), new_ttl);
                assert_eq!(
                    (entry.string().unwrap(), entry.expire_at()),
                    (ValueRef::Int(-5), new_ttl)
                );
                entry.set(StrValue::Bytes(&old), ttl);
                check(&entry, b"some key", &old, ttl);
            }
        }
    }
}

#[test]
fn a_value_of_the_same_size_class_is_rewritten_in_place() {
    let mut entry = Entry::new(b"0123456789abcdef", StrValue::Bytes(&bytes(64, 1)), None);
    assert_eq!(entry.heap_bytes(), 88);
    let before = entry.key().as_ptr();
    entry.set(StrValue::Bytes(&bytes(60, 2)), None);
    assert_eq!(entry.key().as_ptr(), before);
    entry.set(StrValue::Bytes(&bytes(58, 2)), Some(1));
    assert_eq!(entry.key().as_ptr(), before.wrapping_add(8));
    check(&entry, b"0123456789abcdef", &bytes(58, 2), Some(1));
    let mut large = Entry::new(b"k", StrValue::Bytes(&bytes(4000, 1)), None);
    let ValueRef::Bytes(before) = large.string().unwrap() else {
        panic!("bytes")
    };
    let before = before.as_ptr();
    large.set(StrValue::Bytes(&bytes(3000, 2)), None);
    assert!(matches!(large.string().unwrap(), ValueRef::Bytes(bytes) if bytes.as_ptr() == before));
    check(&large, b"k", &bytes(3000, 2), None);
    large.set(StrValue::Bytes(&bytes(600, 2)), None);
    assert_eq!(large.heap_bytes(), blob::class(30) + size_class(600));
}

#[test]
fn growing_fills_with_zeros_from_any_size_to_any() {
    for from in SIZES {
        for to in SIZES {
            for ttl in [None, Some(77)] {
                let mut entry = Entry::new(b"key", StrValue::Bytes(&bytes(from, 5)), ttl);
                let mut model = bytes(from, 5);
                model.resize(from.max(to), 0);
                assert_eq!(entry.grow(to).unwrap(), &model);
                check(&entry, b"key", &model, ttl);
                assert!(entry.is_raw());
                assert_eq!(entry.append(b"tail").unwrap(), model.len() + 4);
                model.extend_from_slice(b"tail");
                check(&entry, b"key", &model, ttl);
            }
        }
    }
}

#[test]
fn appending_byte_by_byte_reallocates_rarely() {
    let mut entry = Entry::new(b"k", StrValue::Bytes(b""), None);
    let (mut model, mut sizes) = (Vec::new(), 0);
    let mut size = entry.heap_bytes();
    for i in 0..100_000u32 {
        entry.append(&[i as u8]).unwrap();
        model.push(i as u8);
        sizes += usize::from(entry.heap_bytes() != size);
        size = entry.heap_bytes();
    }
    check(&entry, b"k", &model, None);
    assert!(sizes < 80, "{sizes}");
    assert!(entry.heap_bytes() < 3 * model.len());
}

#[test]
fn a_refused_buffer_leaves_the_value() {
    for len in [10, 1000] {
        let mut entry = Entry::new(b"k", StrValue::Bytes(&bytes(len, 1)), Some(3));
        for absurd in [usize::MAX, usize::MAX / 2, 1 << 62] {
            assert_eq!(entry.grow(absurd).unwrap_err(), OutOfMemory);
            check(&entry, b"k", &bytes(len, 1), Some(3));
        }
    }
}

#[test]
fn another_key_keeps_the_rest() {
    for len in SIZES {
        for (from, to) in [(0, 300), (300, 0), (5, 6), (300, 400)] {
            let mut entry = Entry::new(&bytes(from, 1), StrValue::Bytes(&bytes(len, 2)), Some(4));
            entry.bytes_mut();
            let entry = entry.with_key(&bytes(to, 3));
            check(&entry, &bytes(to, 3), &bytes(len, 2), Some(4));
            assert!(entry.is_raw());
        }
    }
    assert_eq!(
        Entry::new(b"a", StrValue::Int(9), None)
            .with_key(b"b")
            .string()
            .unwrap(),
        ValueRef::Int(9)
    );
}

#[test]
fn entries_travel_between_threads() {
    let entry = Entry::new(b"k", StrValue::Bytes(&bytes(5000, 1)), None);
    let address = entry.key().as_ptr().addr();
    let entry = std::thread::spawn(move || entry).join().unwrap();
    assert_eq!(entry.key().as_ptr().addr(), address);
    check(&entry, b"k", &bytes(5000, 1), None);
}

#[test]
fn reserved_room_is_filled_without_moving() {
    let mut entry = Entry::new(b"k", StrValue::Int(12), None);
    entry.reserve(100).expect("little memory");
    entry.reserve(5_000).expect("little memory");
    assert_eq!(entry.string(), Some(ValueRef::Bytes(b"12")));
    assert!(entry.is_raw());
    let bytes = entry.heap_bytes();
    entry.append(&[b'x'; 4_998]).expect("reserved");
    assert_eq!(
        (entry.heap_bytes(), entry.string().map(|value| value.len())),
        (bytes, Some(5_000))
    );
    assert_eq!(entry.reserve(usize::MAX / 2), Err(OutOfMemory));
}

/// The head of a collection is aligned and stays whole under keys of every length, with and without a lifetime, and under another key.
#[test]
fn collections_lie_in_the_entry() {
    use crate::list::{End, List, ListLimits};
    use crate::object::{Collection, Object, View};

    let limits = ListLimits::of(-2);
    let list = || {
        let mut list = List::new();
        list.push(End::Back, &[b"a", b"bc"], &limits);
        list.into_object()
    };
    let check = |entry: &Entry| {
        let object = entry.object().expect("it is a collection");
        assert_eq!(std::ptr::from_ref(object).addr() % align_of::<Object>(), 0);
        assert!(matches!(object.view(), View::List(list) if list.len() == 2));
        assert!(entry.heap_bytes() > size_of::<Object>());
    };
    for length in (0..40).chain([255, 256, 300]) {
        let key = vec![b'k'; length];
        let mut entry = Entry::with_object(&key, list(), None);
        check(&entry);
        for expire_at in [Some(5), Some(6), None, Some(7)] {
            entry.set_expire(expire_at);
            check(&entry);
            assert_eq!((entry.key(), entry.expire_at()), (&key[..], expire_at));
        }
        check(&entry.clone());
        for other in [0, 1, 7, 8, 254, 257] {
            let key = vec![b'o'; other];
            entry = entry.with_key(&key);
            check(&entry);
            assert_eq!((entry.key(), entry.expire_at()), (&key[..], Some(7)));
        }
        entry.set(StrValue::Bytes(&[b'x'; 100]), None);
        assert_eq!(entry.string(), Some(ValueRef::Bytes(&[b'x'; 100])));
    }
}
