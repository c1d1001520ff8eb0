//! A save of several tables while they change, and what happens when the disk says no.

use std::sync::Arc;

use tessera_core::entry::{Entry, StrValue};
use tessera_core::list::ListLimits;
use tessera_core::object::PackLimits;
use tessera_core::set::SetLimits;
use tessera_core::table::Table;

use super::*;
use crate::rdb::{FileReader, Limits, Record, Usage, Value};

fn folder(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("tessera-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn put(table: &mut Table, number: u32, value: i64) {
    let key = format!("key:{number}");
    let entry = Entry::new(key.as_bytes(), StrValue::Int(value), None);
    table.insert(table.hash(key.as_bytes()), entry);
}

fn saver(shards: usize, dir: &std::path::Path) -> Arc<Saver> {
    let saver = Arc::new(Saver::new(shards, || 7));
    saver.set_target(Target {
        dir: dir.to_owned(),
        name: "dump.rdb".into(),
        format: Format::Rdb,
        compresses: true,
        sums: true,
        about: vec![("redis-ver", "7.0.15".to_owned())],
        functions: Vec::new(),
        key_delay: 0,
    });
    saver
}

fn read(path: &std::path::Path) -> Vec<(u64, String, i64)> {
    let pack = PackLimits {
        entries_max: 8,
        value_bytes_max: 8,
        seed: 1,
    };
    let limits = Limits {
        hash: pack,
        list: ListLimits::of(-2),
        set: SetLimits {
            integers_max: 8,
            entries_max: 8,
            value_bytes_max: 8,
            seed: 1,
        },
        zset: pack,
    };
    let bytes = std::fs::read(path).unwrap();
    let mut reader = FileReader::new(bytes.as_slice(), limits, 0).unwrap();
    let (mut db, mut keys) = (0, Vec::new());
    while let Some(record) = reader.next_record().unwrap() {
        match record {
            Record::Database(number) => db = number,
            Record::Key(key) => {
                let Some(Value::Int(value)) = key.value else {
                    panic!("{key:?}")
                };
                keys.push((db, String::from_utf8(key.name).unwrap(), value));
            }
            _ => {}
        }
    }
    keys.sort();
    keys
}

/// Waits for the thread that writes.
fn outcome(saver: &Saver, number: u64) -> Outcome {
    loop {
        match saver.outcome(number) {
            Outcome::UnderWay => std::thread::yield_now(),
            outcome => return outcome,
        }
    }
}

#[test]
fn one_moment_of_several_tables() {
    let dir = folder("moment");
    let saver = saver(2, &dir);
    let mut tables: Vec<Table> = (0..4).map(|_| Table::new(3)).collect();
    for number in 0..20_000 {
        put(&mut tables[number as usize % 4], number, 1);
    }
    let mut walks = Vec::new();
    for shard in 0..2 {
        let Begun::Part(part, 1) = saver.begin(0, 10, Purpose::Snapshot) else {
            panic!("the first save begins")
        };
        for db in 0..2 {
            let at = 2 * shard + db;
            walks.push((
                at,
                tables[at].begin_walk(Box::new(part.sink(db, Box::new(|_| Usage::Unknown)))),
            ));
        }
        part.seal();
    }
    assert!(matches!(
        saver.begin(1, 11, Purpose::Snapshot),
        Begun::Busy(_)
    ));
    assert!(saver.status().is_saving);
    for number in 0..30_000 {
        put(&mut tables[number as usize % 4], number, 2);
        if number % 100 == 0 {
            for (at, walk) in &walks {
                tables[*at].step_walk(*walk, 1);
            }
        }
    }
    for (at, walk) in &walks {
        while !tables[*at].step_walk(*walk, 100) {}
    }
    assert_eq!(outcome(&saver, 1), Outcome::Saved);
    assert!(
        matches!(saver.begin(1, 11, Purpose::Snapshot), Begun::Busy(_)),
        "as decided before"
    );
    let keys = read(&dir.join("dump.rdb"));
    assert_eq!(keys.len(), 20_000);
    assert!(keys.iter().all(|(_, _, value)| *value == 1));
    assert!(keys.iter().all(|(db, name, _)| {
        let number: u64 = name[4..].parse().unwrap();
        number % 2 == *db
    }));
    saver.note_changes(0, 15);
    saver.note_changes(1, 10);
    let status = saver.status();
    assert_eq!(
        (status.saves, status.changes, status.last_failed),
        (1, 5, false)
    );
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_fails_keeps_the_old_file() {
    let dir = folder("failed");
    let saver = saver(1, &dir);
    std::fs::write(dir.join("dump.rdb"), b"old").unwrap();
    let Begun::Part(part, 1) = saver.begin(0, 0, Purpose::Snapshot) else {
        panic!("it begins")
    };
    drop(part.sink(0, Box::new(|_| Usage::Unknown)));
    part.seal();
    assert_eq!(outcome(&saver, 1), Outcome::Failed);
    assert!(saver.status().last_failed);
    assert_eq!(std::fs::read(dir.join("dump.rdb")).unwrap(), b"old");
    assert_eq!(
        std::fs::read_dir(&dir).unwrap().count(),
        1,
        "nothing is left over"
    );
    saver.set_target(Target {
        dir: dir.join("none"),
        name: "dump.rdb".into(),
        ..Target::default()
    });
    let Begun::Part(part, 2) = saver.begin(1, 0, Purpose::Snapshot) else {
        panic!("it begins")
    };
    part.seal();
    assert_eq!(outcome(&saver, 2), Outcome::Failed);
    std::fs::remove_dir_all(&dir).unwrap();
}
