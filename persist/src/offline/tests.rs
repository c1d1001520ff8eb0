//! Files are converted there and back, and repaired wherever they are damaged.

use std::path::{Path, PathBuf};

use tessera_core::entry::{Entry, StrValue};
use tessera_core::list::ListLimits;
use tessera_core::object::{Collection, PackLimits};
use tessera_core::set::{Set, SetLimits};

use super::*;
use crate::rdb::{Limits, Usage};
use crate::snapshot::{FileWriter, Format, Target};

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

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("tessera-offline-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn target(format: Format) -> Target {
    Target {
        format,
        sums: true,
        ..Target::default()
    }
}

/// A file with some keys, one of them large, and a library.
fn write(path: &Path, format: Format, keys: usize) {
    let mut writer = FileWriter::begin(Vec::new(), &target(format)).unwrap();
    writer.function(b"#!lua name=lib").unwrap();
    for number in 0..keys {
        let name = format!("key:{number}");
        let value = vec![b'v'; number % 90];
        let entry = Entry::new(name.as_bytes(), StrValue::Bytes(&value), Some(1 << 60));
        writer.key(number % 3, &entry, Usage::Idle(7)).unwrap();
    }
    let mut set = Set::new();
    for number in 0..40_000 {
        set.add(format!("member:{number}").as_bytes(), &limits().set);
    }
    let large = Entry::with_object(b"large", set.into_object(), None);
    writer.key(1, &large, Usage::Unknown).unwrap();
    std::fs::write(path, writer.end().unwrap()).unwrap();
}

#[test]
fn both_formats_are_checked_and_converted() {
    let dir = folder("convert");
    for format in [Format::Rdb, Format::Native] {
        let first = dir.join("first");
        write(&first, format, 500);
        let checked = check(&first, false, limits()).unwrap();
        assert_eq!((checked.keys, checked.functions), (501, 1));
        assert!(checked.to_string().ends_with(": whole"), "{checked}");
        let second = dir.join("second");
        let (keys, other) = convert(&first, &second, None, limits(), &target(format)).unwrap();
        assert_eq!(keys, 501);
        assert_ne!(other, format);
        let twice = convert(&first, &second, None, limits(), &target(format));
        assert!(twice.unwrap_err().contains("is there already"));
        let third = dir.join("third");
        convert(&second, &third, None, limits(), &target(format)).unwrap();
        let checked = check(&third, false, limits()).unwrap();
        assert_eq!((checked.keys, checked.functions), (501, 1));
        for path in [first, second, third] {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert!(
        check_log(&dir, false, limits())
            .unwrap_err()
            .contains("no manifest")
    );
    std::fs::remove_dir(dir).unwrap();
}

#[test]
fn what_is_damaged_is_cut_off_and_kept() {
    let dir = folder("repair");
    let path = dir.join("dump.rdb");
    for format in [Format::Rdb, Format::Native] {
        write(&path, format, 20_000);
        let whole = std::fs::read(&path).unwrap();
        let torn = whole[..whole.len() - whole.len() / 4].to_vec();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0xff;
        for damaged in [torn, flipped] {
            std::fs::write(&path, &damaged).unwrap();
            let error = check(&path, false, limits()).unwrap_err();
            assert!(error.contains("at byte "), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), damaged, "untouched");
            match check(&path, true, limits()) {
                Ok(checked) => {
                    assert!(checked.keys > 0 && checked.keys <= 20_001);
                    let (bytes, kept) = checked.cut.clone().unwrap();
                    assert_eq!(std::fs::metadata(&kept).unwrap().len(), bytes);
                    assert!(bytes > 0);
                    assert_eq!(check(&path, false, limits()).unwrap().cut, None);
                    std::fs::remove_file(kept).unwrap();
                }
                // A byte inside a string of RDB: only the checksum of all can tell.
                Err(error) => {
                    assert_eq!(format, Format::Rdb);
                    assert!(error.contains("restore it from a copy"), "{error}");
                    assert_eq!(std::fs::read(&path).unwrap(), damaged, "untouched");
                }
            }
        }
    }
    std::fs::write(&path, b"something else").unwrap();
    assert!(
        check(&path, true, limits())
            .unwrap_err()
            .contains("it is no RDB file")
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_log_behind_a_snapshot_is_checked_and_cut() {
    let dir = folder("log");
    let dump = dir.join("dump");
    for format in [Format::Rdb, Format::Native] {
        write(&dump, format, 100);
        let log = dir.join("appendonlydir");
        let keys = begin_log(&dump, &log, limits(), &target(format)).unwrap();
        assert_eq!(keys, 101);
        let again = begin_log(&dump, &log, limits(), &target(format));
        assert!(again.unwrap_err().contains("is there already"));
        let records = log.join("appendonly.aof.1.incr.aof");
        let mut bytes = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*1\r\n$4\r\nPING\r\n".to_vec();
        let whole = bytes.len();
        bytes.extend_from_slice(b"*2\r\n$3\r\nDEL");
        std::fs::write(&records, &bytes).unwrap();
        let error = check_log(&dir, false, limits()).unwrap_err();
        assert!(
            error.contains(&format!("begins at byte {whole};")),
            "{error}"
        );
        assert_eq!(std::fs::read(&records).unwrap(), bytes, "untouched");
        let checked = check_log(&dir, true, limits()).unwrap();
        let cut = checked.cut.clone().unwrap();
        assert_eq!((cut.offset, cut.bytes), (whole as u64, 11));
        assert_eq!(std::fs::read(&cut.kept).unwrap(), bytes[whole..]);
        assert_eq!((checked.figures.commands, checked.files), (2, 1));
        assert_eq!(checked.base.as_ref().unwrap().keys, 101);
        assert!(checked.to_string().contains("repaired; "), "{checked}");
        let checked = check_log(&log, false, limits()).unwrap();
        assert!(checked.to_string().ends_with(": whole"), "{checked}");
        let base = log.join("appendonly.aof.1.base.rdb");
        let mut damaged = std::fs::read(&base).unwrap();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        std::fs::write(&base, damaged).unwrap();
        let error = check_log(&log, true, limits()).unwrap_err();
        assert!(error.contains("1.base.rdb: at byte "), "{error}");
        std::fs::remove_dir_all(&log).unwrap();
    }
    std::fs::remove_dir_all(dir).unwrap();
}
