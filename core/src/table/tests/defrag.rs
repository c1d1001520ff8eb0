//! Moving entries changes nothing but where they lie.

use crate::entry::{Entry, StrValue};
use crate::hash::Hash;
use crate::object::Collection;
use crate::table::{Table, hash_key};

fn address(table: &Table, key: &[u8]) -> usize {
    let mut at = 0;
    let entry = table.get(hash_key(1, key), key).unwrap();
    entry.any_part(&mut |part| {
        let ptr = part.address();
        at = ptr.addr();
        true
    });
    at
}

#[test]
fn everything_moves_once_and_stays_the_same() {
    let mut table = Table::new(1);
    let key = |n: u64| format!("key:{n}").into_bytes();
    for n in 0..5_000u64 {
        let expire_at = (n % 3 == 0).then_some(1_000_000 + n);
        let long = vec![b'x'; 700];
        let value = match n % 5 {
            0 => StrValue::Int(n as i64),
            1 => StrValue::Bytes(&long),
            _ => StrValue::Bytes(b"value"),
        };
        let entry = if n % 7 == 0 {
            Entry::with_object(&key(n), Hash::default().into_object(), expire_at)
        } else {
            Entry::new(&key(n), value, expire_at)
        };
        entry.set_access(n as u32);
        table.insert(hash_key(1, &key(n)), entry);
    }
    let before: Vec<usize> = (0..5_000).map(|n| address(&table, &key(n))).collect();
    let (bytes, ttls) = (table.mem_bytes(), table.ttl_len());
    let (mut cursor, mut examined, mut moved) = (0, 0, 0);
    loop {
        let stats = table.defrag_step(&mut cursor, 3, &mut |_| true);
        examined += stats.examined;
        moved += stats.moved;
        if stats.wrapped {
            break;
        }
    }
    assert_eq!((examined, moved), (5_000, 5_000));
    assert!(table.mem_bytes() <= bytes, "a copy is not larger");
    assert_eq!(table.ttl_len(), ttls);
    let mut elsewhere = 0;
    for n in 0..5_000u64 {
        let entry = table.get(hash_key(1, &key(n)), &key(n)).unwrap();
        assert_eq!(entry.access(), n as u32);
        assert_eq!(entry.expire_at(), (n % 3 == 0).then_some(1_000_000 + n));
        assert_eq!(entry.is_object(), n % 7 == 0);
        elsewhere += usize::from(address(&table, &key(n)) != before[n as usize]);
    }
    assert!(elsewhere > 2_500, "{elsewhere}");
    let stats = table.defrag_step(&mut cursor, usize::MAX, &mut |_| false);
    assert_eq!((stats.examined, stats.moved), (5_000, 0));
    let gone = (0..5_000).filter_map(|n| table.remove(hash_key(1, &key(n)), &key(n)));
    assert_eq!((gone.count(), table.len(), table.ttl_len()), (5_000, 0, 0));
}

#[test]
fn any_cursor_is_safe() {
    let mut table = Table::new(1);
    for mut cursor in [0, 1, 63, 64, 127, u64::MAX, 1 << 40] {
        table.defrag_step(&mut cursor, 10, &mut |_| true);
        assert_eq!(cursor, 0);
    }
    table.insert(hash_key(1, b"k"), Entry::new(b"k", StrValue::Int(1), None));
    for mut cursor in [0, 1, 63, 64, 127, u64::MAX, 1 << 40] {
        table.defrag_step(&mut cursor, usize::MAX, &mut |_| true);
        assert_eq!(cursor, 0);
    }
}
