//! What a disk keeps through crashes and faults, and what becomes of the processes.

use std::path::{Path, PathBuf};

use crate::sim::{DiskFaults, Faults, Prng, SimDisk, World};
use crate::{Disk, Env, Event, FileId, Wait};

const LOG: &str = "data/log";

fn calm(seed: u64) -> (SimDisk, FileId) {
    let mut disk = SimDisk::new(seed, DiskFaults::none());
    let file = disk.open_append(Path::new(LOG)).unwrap();
    (disk, file)
}

#[test]
fn files_are_written_read_listed_and_renamed() {
    let (mut disk, file) = calm(1);
    disk.append(file, b"one ").unwrap();
    disk.append(file, b"two").unwrap();
    assert_eq!(b"one two", &disk.read(Path::new("./data/log")).unwrap()[..]);
    disk.open_append(Path::new("data/a")).unwrap();
    disk.open_append(Path::new("data/sub/c")).unwrap();
    let listed = disk.list(Path::new("data")).unwrap();
    assert_eq!(vec![PathBuf::from("data/a"), PathBuf::from(LOG)], listed);
    disk.rename(Path::new(LOG), Path::new("data/a")).unwrap();
    disk.append(file, b"!").unwrap();
    assert_eq!(b"one two!", &disk.read(Path::new("data/a")).unwrap()[..]);
    let missing = disk.read(Path::new(LOG)).unwrap_err();
    assert_eq!(std::io::ErrorKind::NotFound, missing.kind());
    disk.remove(Path::new("data/a")).unwrap();
    assert_eq!(8, disk.used_bytes(), "still open");
    disk.close(file);
    assert_eq!(0, disk.used_bytes());
    assert!(disk.append(file, b"x").is_err());
    let crossing = disk
        .rename(Path::new("data/sub/c"), Path::new("data/c"))
        .unwrap_err();
    assert_eq!(Some(libc::EXDEV), crossing.raw_os_error());
}

#[test]
fn what_was_synced_is_never_lost_and_nothing_is_invented() {
    for seed in 0..1_000 {
        let (mut disk, mut file) = calm(seed);
        let mut prng = Prng::new(!seed);
        disk.sync_dir(Path::new("data")).unwrap();
        let (mut written, mut synced) = (Vec::new(), 0);
        for _ in 0..20 {
            match prng.below(4) {
                0 => {
                    disk.sync(file).unwrap();
                    synced = written.len();
                }
                1 if prng.chance(300_000) => {
                    disk.crash();
                    assert!(disk.append(file, b"x").is_err(), "a crash closes all files");
                    let kept = disk.read(Path::new(LOG)).unwrap();
                    assert!((synced..=written.len()).contains(&kept.len()));
                    assert_eq!(written[..synced], kept[..synced]);
                    synced = kept.len();
                    written = kept;
                    file = disk.open_append(Path::new(LOG)).unwrap();
                }
                _ => {
                    let bytes = vec![prng.bits() as u8; prng.index(3_000)];
                    disk.append(file, &bytes).unwrap();
                    written.extend(bytes);
                }
            }
        }
    }
}

#[test]
fn names_are_durable_only_after_sync_dir() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..200 {
        let (mut disk, file) = calm(seed);
        disk.append(file, b"x").unwrap();
        disk.sync(file).unwrap();
        disk.crash();
        match disk.peek(LOG) {
            None => lost += 1,
            Some(content) => {
                assert_eq!(b"x", &content[..]);
                kept += 1;
            }
        }
        disk.put(LOG, *b"old");
        disk.rename(Path::new(LOG), Path::new("data/new")).unwrap();
        disk.sync_dir(Path::new("data")).unwrap();
        disk.crash();
        assert_eq!(
            (None, Some(b"old".to_vec())),
            (disk.peek(LOG), disk.peek("data/new"))
        );
    }
    assert!(lost > 50 && kept > 50, "{lost} {kept}");
}

#[test]
fn replace_is_atomic_at_every_step() {
    let path = Path::new("data/nodes.conf");
    let (old, new) = (vec![b'o'; 3_000], vec![b'n'; 5_000]);
    let mut disk = SimDisk::new(0, DiskFaults::none());
    disk.put(path, old.clone());
    disk.replace(path, &new).unwrap();
    let steps = disk.operations();
    let (mut olds, mut news) = (0, 0);
    for seed in 0..200 {
        for step in 0..=steps {
            let mut disk = SimDisk::new(seed, DiskFaults::none());
            disk.put(path, old.clone());
            disk.put("data/nodes.conf.tmp", *b"left behind by an earlier crash");
            disk.light_fuse(step);
            let done = disk.replace(path, &new).is_ok();
            assert_eq!(done, step == steps);
            assert_eq!(!done, disk.is_dead());
            disk.crash();
            let kept = disk.peek(path).unwrap();
            assert!(
                kept == old || kept == new,
                "seed {seed}, step {step}: a mixture"
            );
            assert!(!done || kept == new);
            olds += usize::from(kept == old);
            news += usize::from(kept == new);
            disk.replace(path, &new).unwrap();
            assert_eq!(Some(new.clone()), disk.peek(path));
        }
    }
    assert!(olds > 200 && news > 200, "{olds} {news}");
}

#[test]
fn replace_survives_faults_and_crashes() {
    let path = Path::new("conf");
    let faults = DiskFaults {
        write_error_ppm: 100_000,
        sync_error_ppm: 100_000,
        directory_error_ppm: 100_000,
        ..DiskFaults::none()
    };
    for seed in 0..500 {
        let mut disk = SimDisk::new(seed, faults.clone());
        disk.put(path, [0; 100]);
        // Versions a crash may show: the last one known to be durable, and all tried since.
        let mut allowed = vec![0];
        for version in 1..20_u8 {
            allowed.push(version);
            if disk.replace(path, &[version; 100]).is_ok() {
                allowed = vec![version];
            }
            if version % 5 == 0 {
                disk.crash();
                let kept = disk.peek(path).unwrap();
                assert!(kept.iter().all(|&byte| byte == kept[0]) && kept.len() == 100);
                assert!(
                    allowed.contains(&kept[0]),
                    "seed {seed}: {} {allowed:?}",
                    kept[0]
                );
                allowed = vec![kept[0]];
            }
        }
    }
}

#[test]
fn a_full_disk_takes_a_part_and_goes_on_after_space_is_made() {
    let (mut disk, file) = calm(1);
    disk.set_capacity(10);
    disk.append(file, b"0123456").unwrap();
    let full = disk.append(file, b"789abc").unwrap_err();
    assert_eq!(Some(libc::ENOSPC), full.raw_os_error());
    assert_eq!(b"0123456789", &disk.peek(LOG).unwrap()[..]);
    disk.set_capacity(20);
    disk.append(file, b"x").unwrap();
}

#[test]
fn writes_fail_in_part() {
    let faults = DiskFaults {
        write_error_ppm: 500_000,
        ..DiskFaults::none()
    };
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut disk = SimDisk::new(seed, faults.clone());
        let file = disk.open_append(Path::new(LOG)).unwrap();
        if disk.append(file, b"0123456789").is_err() {
            lengths.insert(disk.peek(LOG).unwrap().len());
        }
    }
    assert!(lengths.len() > 5, "{lengths:?}");
}

#[test]
fn corruption_is_there_when_asked_for() {
    let mut disk = SimDisk::new(1, DiskFaults::none());
    disk.put("f", *b"abc");
    disk.corrupt("f", 1, 1);
    assert_eq!(b"acc", &disk.read(Path::new("f")).unwrap()[..]);
}

#[test]
fn a_crash_ends_processes_and_connections_and_they_start_anew() {
    for power_fails in [false, true] {
        let world = World::new(5, Faults::none());
        let mut env = world.env(0);
        let client = world.connect(0);
        world.advance(100_000);
        let mut events = Vec::new();
        env.poll(Wait::Forever, &mut events).unwrap();
        let Event::Accepted { conn, .. } = events[0] else {
            panic!("{events:?}")
        };
        let file = env.disk().open_append(Path::new(LOG)).unwrap();
        env.disk().append(file, &[1; 100_000]).unwrap();
        if power_fails {
            world.crash_machine();
        } else {
            world.kill_process();
        }
        assert!(env.poll(Wait::Forever, &mut events).is_err());
        env.send(conn, b"from beyond".to_vec());
        let mut again = world.env(0);
        drop(env);
        world.advance(100_000);
        assert!(client.is_closed());
        let next = world.connect(0);
        world.advance(100_000);
        events.clear();
        again.poll(Wait::Forever, &mut events).unwrap();
        assert!(matches!(events[..], [Event::Accepted { .. }]), "{events:?}");
        assert!(!next.is_closed());
        if !power_fails {
            assert_eq!(100_000, again.disk().read(Path::new(LOG)).unwrap().len());
        }
    }
}

#[test]
fn the_disk_is_part_of_the_trace() {
    let hash = |seed, bytes: &[u8]| {
        let world = World::new(seed, Faults::none());
        let mut disk = world.disk();
        let file = disk.open_append(Path::new(LOG)).unwrap();
        disk.append(file, bytes).unwrap();
        world.crash_disk();
        (world.trace_hash(), disk.peek(LOG))
    };
    assert_eq!(hash(1, b"abc"), hash(1, b"abc"));
    assert_ne!(hash(1, b"abc").0, hash(1, b"abcd").0);
}
