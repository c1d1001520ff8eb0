//! Files that are cut anywhere and bits that are wrong anywhere: found, never a crash, never silent.
//!
//! What a start and `check` do with a file is done here for every byte, by the functions that both call, of a log on a disk in memory; processes are started at some of them, or, with
//! `TESSERA_EVERY_BYTE` set, at each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tessera_io::Disk;
use tessera_io::sim::{DiskFaults, SimDisk};
use tessera_persist::log::{Folder as LogFolder, Reader, recover};
use tessera_persist::offline;
use tessera_persist::rdb::Limits;
use tessera_shards::shard::Shard;
use tessera_tests::folder::Folder;
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

use super::exchange::fill_some;
use super::node;

/// The end of a file of which each byte is tried.
const END_BYTES: usize = 4096;
/// Processes per kind of damage, unless each byte is asked for.
const PROCESSES: usize = 12;

fn limits() -> Limits {
    Shard::new(0, 1, 1, 1).limits()
}

/// Some of these places, the first and the last among them, or all.
fn some(places: usize) -> impl Iterator<Item = usize> {
    let step = match std::env::var("TESSERA_EVERY_BYTE") {
        Ok(_) => 1,
        Err(_) => (places / PROCESSES).max(1),
    };
    // The last one, as the others are multiples.
    (0..places - 1).step_by(step).chain([places - 1])
}

fn copied(from: &Path) -> Folder {
    let folder = Folder::new();
    let log = folder.join("appendonlydir");
    fs::create_dir(&log).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        fs::copy(entry.path(), log.join(entry.file_name())).expect("a copy");
    }
    folder
}

/// A log of one command per block: key:0, key:1, ...
fn written_log(keys: usize) -> (Folder, PathBuf) {
    let server = node(2, "always").start();
    let mut client = server.client();
    for number in 0..keys {
        client
            .say(&format!("SET key:{number} {number}"))
            .expect_ok();
    }
    let folder = copied(&server.folder().join("appendonlydir"));
    let records = folder.join("appendonlydir/appendonly.aof.1.incr.aof");
    (folder, records)
}

/// The files of a log, on a disk in memory.
struct Trial {
    disk: SimDisk,
    folder: LogFolder,
    records: PathBuf,
}

impl Trial {
    fn new(from: &Folder) -> Self {
        let it = Self {
            disk: SimDisk::new(1, DiskFaults::none()),
            folder: LogFolder {
                path: PathBuf::from("log"),
                name: "appendonly.aof".to_owned(),
            },
            records: PathBuf::from("log/appendonly.aof.1.incr.aof"),
        };
        let entries = fs::read_dir(from.join("appendonlydir"));
        for entry in entries.expect("a folder").flatten() {
            let bytes = fs::read(entry.path()).expect("a file");
            it.disk.put(it.folder.path.join(entry.file_name()), bytes);
        }
        it
    }

    /// What is kept of a file that was cut there.
    fn kept(&self, offset: usize) -> PathBuf {
        PathBuf::from(format!("{}.torn-{offset}", self.records.display()))
    }

    /// How many keys a start would find, and whether it would cut something off. The error is what it would say.
    fn found(&mut self, records: &[u8]) -> Result<(usize, bool), String> {
        let told = |error: tessera_persist::log::LogError| error.to_string();
        self.disk.put(&self.records, records);
        let recovered = recover(&mut self.disk, &self.folder, true).map_err(told)?;
        let recovered = recovered.expect("there is a manifest");
        let mut keys = 0;
        for path in &recovered.records {
            let mut reader = Reader::open_on(&mut self.disk, path).map_err(told)?;
            while let Some(command) = reader.next_command().map_err(told)? {
                if &*command[0] == b"SET" {
                    assert_eq!(&*command[1], format!("key:{keys}").as_bytes());
                    assert_eq!(&*command[2], keys.to_string().as_bytes());
                    keys += 1;
                }
            }
        }
        Ok((keys, recovered.cut.is_some()))
    }
}

/// Where each block of a log ends.
fn ends_of_blocks(whole: &[u8]) -> Vec<usize> {
    let begins = whole.windows(16).enumerate();
    let begins = begins.filter(|(_, bytes)| *bytes == b"#tessera-block 1");
    let mut ends: Vec<usize> = begins.map(|(at, _)| at).skip(1).collect();
    ends.push(whole.len());
    ends
}

#[test]
fn a_log_cut_at_every_byte_of_its_end() {
    let keys = 60;
    let (folder, records) = written_log(keys);
    let whole = fs::read(&records).expect("a file");
    let ends = ends_of_blocks(&whole);
    assert_eq!(ends.len(), keys + 1, "one block per key, and an empty one");
    let least = whole.len().saturating_sub(END_BYTES).max(ends[0]);
    assert!(whole.len() - least > 3_000, "the log is long enough");
    let mut trial = Trial::new(&folder);
    for length in least..whole.len() {
        let blocks = ends.iter().filter(|end| **end <= length).count();
        let end = ends[blocks - 1];
        let found = trial.found(&whole[..length]);
        assert_eq!(found, Ok((blocks - 1, end < length)), "{length} bytes");
        if end < length {
            let kept = trial.disk.peek(trial.kept(end));
            assert_eq!(kept.expect("what was cut off"), &whole[end..length]);
            trial.disk.remove(&trial.kept(end)).expect("it is there");
        }
    }
    for at in some(whole.len() - least) {
        let length = least + at;
        fs::write(&records, &whole[..length]).expect("writable");
        let server = started(&folder, node(1 + at % 2, "always"));
        let blocks = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(server.client().say("DBSIZE").int() as usize, blocks - 1);
    }
}

/// A server that starts with a copy of this folder's log.
fn started(folder: &Folder, launch: Launch) -> Server {
    let copy = copied(&folder.join("appendonlydir"));
    launch.start_in(copy)
}

#[test]
fn a_bit_of_a_log_that_is_wrong() {
    let keys = 20;
    let (folder, records) = written_log(keys);
    let whole = fs::read(&records).expect("a file");
    let ends = ends_of_blocks(&whole);
    let (mut trial, mut told) = (Trial::new(&folder), 0);
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        match trial.found(&damaged) {
            // Only what no later block has called synced may count as torn.
            Ok((left, is_cut)) => {
                let block = ends.iter().filter(|end| **end <= at).count();
                assert!(is_cut && left + 1 == block, "byte {at}: {left} keys");
                assert!(block >= keys - 1, "byte {at} was on the disk");
                let kept = trial.kept(ends[block - 1]);
                trial.disk.remove(&kept).expect("what was cut off is kept");
            }
            Err(why) => {
                assert!(why.contains("appendonly.aof.1.incr.aof"), "{at}: {why}");
                let left = trial.disk.peek(&trial.records);
                assert_eq!(left.as_deref(), Some(&damaged[..]), "untouched");
                told += 1;
            }
        }
    }
    assert!(told > whole.len() * 3 / 4, "{told} of {}", whole.len());
}

fn check(path: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(Launch::tessera().program());
    let output = command.arg("check").arg(path).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_snapshot_that_is_cut_or_wrong_anywhere() {
    for format in ["rdb", "native"] {
        let server = Launch::tessera().with("snapshot-format", format).start();
        fill_some(&mut server.client());
        server.client().say("SAVE").expect_ok();
        let whole = fs::read(server.folder().join("dump.rdb")).expect("a file");
        let place = Folder::new();
        let file = place.join("dump.rdb");
        let try_it = |bytes: &[u8], what: &str, at: usize| {
            fs::write(&file, bytes).expect("writable");
            let said = offline::check(&file, false, limits());
            let said = said.expect_err(&format!("{format}, {what} at {at}"));
            assert!(said.contains("dump.rdb"), "{said}");
        };
        for length in whole.len().saturating_sub(END_BYTES)..whole.len() {
            try_it(&whole[..length], "cut", length);
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            try_it(&damaged, "a wrong bit", at);
        }
        for at in some(END_BYTES.min(whole.len())) {
            fs::write(&file, &whole[..whole.len() - 1 - at]).expect("writable");
            let (code, said) = check(&file);
            assert_eq!(code, Some(1), "{format}, cut: {said}");
        }
        for at in some(whole.len()) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&file, &damaged).expect("writable");
            let (code, said) = check(&file);
            assert_eq!(code, Some(1), "{format}, byte {at}: {said}");
            assert!(said.contains("at byte "), "{said}");
        }
    }
}
