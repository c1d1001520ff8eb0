//! What cannot be read: one line with the file, the place and the remedy, exit code 1, files untouched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tessera_tests::deadline::{PATIENCE, wait_until};
use tessera_tests::folder::Folder;
use tessera_tests::launch::Launch;
use tessera_tests::port::free_port;
use tessera_tests::process::Process;

use super::node;

/// A folder with a log of many blocks, and its file with records.
fn written() -> (Folder, PathBuf) {
    let folder = Folder::new();
    let server = node(2, "always").start();
    let mut client = server.client();
    for number in 0..20 {
        client
            .say(&format!("SET key:{number} {number}"))
            .expect_ok();
    }
    let log = server.folder().join("appendonlydir");
    fs::create_dir(folder.join("appendonlydir")).expect("a new folder");
    for entry in fs::read_dir(log).expect("the log").flatten() {
        let to = folder.path().join("appendonlydir").join(entry.file_name());
        fs::copy(entry.path(), to).expect("a copy");
    }
    let records = folder
        .path()
        .join("appendonlydir/appendonly.aof.1.incr.aof");
    (folder, records)
}

/// What a start in this folder says before it ends with 1.
fn refusal(folder: &Folder, launch: &Launch) -> String {
    let mut process = Process::spawn(
        &mut launch.command(folder.path(), free_port()),
        folder.path(),
    )
    .expect("it runs");
    let status = process.wait_end(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(1));
    process.stderr()
}

#[test]
fn damage_and_missing_files_end_the_start() {
    let (folder, records) = written();
    let whole = fs::read(&records).expect("the file");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&records, &damaged).expect("writable");
    let said = refusal(&folder, &node(2, "always"));
    assert!(
        said.contains("appendonly.aof.1.incr.aof is damaged at byte"),
        "{said}"
    );
    assert!(said.contains("restore it from a copy"), "{said}");
    assert_eq!(fs::read(&records).expect("the file"), damaged);
    fs::write(&records, &whole[..whole.len() - 3]).expect("writable");
    let said = refusal(&folder, &node(2, "always").with("aof-load-truncated", "no"));
    assert!(said.contains("set aof-load-truncated yes"), "{said}");
    fs::remove_file(&records).expect("the file");
    let said = refusal(&folder, &node(2, "always"));
    assert!(
        said.contains("appendonly.aof.1.incr.aof, which is not there"),
        "{said}"
    );
}

/// All files below a folder but what the process has said.
fn files(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path, found),
            false if entry.file_name().to_string_lossy().starts_with("std") => {}
            false => _ = found.insert(path.clone(), fs::read(path).unwrap_or_default()),
        }
    }
}

/// The last line that a start says before it ends with 1; it has changed nothing.
fn refused(folder: &Folder, launch: &Launch) -> String {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    files(folder.path(), &mut before);
    let said = refusal(folder, launch);
    files(folder.path(), &mut after);
    assert_eq!(before, after, "{said}");
    let line = said.lines().last().expect("a line").to_owned();
    assert!(line.starts_with("tessera-server: "), "{said}");
    line
}

/// A log with keys in database 3, and a name of its files.
fn log_of_four_databases() -> (Folder, PathBuf) {
    let folder = Folder::new();
    let server = node(2, "always").start();
    let mut client = server.client();
    client.say("SELECT 3").expect_ok();
    client.say("SET a 1").expect_ok();
    let log = folder.join("appendonlydir");
    fs::create_dir(&log).expect("a new folder");
    for entry in fs::read_dir(server.folder().join("appendonlydir"))
        .expect("the log")
        .flatten()
    {
        fs::copy(entry.path(), log.join(entry.file_name())).expect("a copy");
    }
    (folder, log)
}

#[test]
fn a_log_that_belongs_to_something_else() {
    let (folder, log) = log_of_four_databases();
    let launch = node(2, "always");
    let said = refused(&folder, &node(2, "always").with("databases", "2"));
    let remedy = "appendonlydir has keys in database 3, and there are 2; set databases 4 or more";
    assert!(said.contains(remedy), "{said}");

    // What a newer server has written is no damage, and nothing to be cut.
    let records = log.join("appendonly.aof.1.incr.aof");
    let whole = fs::read(&records).expect("a file");
    let newer = String::from_utf8(whole.clone()).expect("text");
    fs::write(&records, newer.replace("block 1 ", "block 2 ")).expect("writable");
    let said = refused(&folder, &launch);
    assert!(said.contains("incr.aof has blocks of version 2"), "{said}");
    fs::write(&records, "hello\n").expect("writable");
    let said = refused(&folder, &launch);
    assert!(said.contains("incr.aof is damaged at byte 0"), "{said}");
    fs::write(&records, whole).expect("writable");
    let base = log.join("appendonly.aof.1.base.rdb");
    let kept = fs::read(&base).expect("a file");
    fs::write(&base, "REDIS0099").expect("writable");
    let said = refused(&folder, &launch);
    assert!(said.contains("version 99 is not known"), "{said}");
    fs::write(&base, kept).expect("writable");

    // Without its manifest it is still somebody's data.
    let manifest = log.join("appendonly.aof.manifest");
    let text = fs::read(&manifest).expect("a file");
    fs::remove_file(&manifest).expect("it is there");
    let said = refused(&folder, &launch);
    assert!(said.contains("no manifest"), "{said}");
    assert!(said.contains("restore it from a copy"), "{said}");
    fs::write(&manifest, "file ../base.rdb seq 1 type b\n").expect("writable");
    let said = refused(&folder, &launch);
    assert!(said.contains("is damaged at line 1"), "{said}");
    fs::write(&manifest, text).expect("writable");
    fs::remove_file(&records).expect("it is there");
    fs::create_dir(&records).expect("nothing in the way");
    let said = refused(&folder, &launch);
    assert!(said.contains("move away what is there instead"), "{said}");
}

#[test]
fn folders_and_snapshots_that_are_something_else() {
    let folder = Folder::new();
    let launch = node(1, "always");
    fs::write(folder.join("appendonlydir"), "a file").expect("writable");
    let said = refused(&folder, &launch);
    assert!(said.contains("or set appenddirname"), "{said}");
    let said = refused(&folder, &launch.clone().with("dir", "nowhere"));
    assert!(said.contains("create it, or set dir"), "{said}");
    let plain = Launch::tessera();
    let snapshot = folder.join("dump.rdb");
    for (bytes, told) in [
        (&b"REDIS0099"[..], "its version 99 is not known"),
        (b"", "it is no RDB file"),
        (b"SQLite format 3", "it is no RDB file"),
        (b"TESSERA\x1a\x01", "it ends in the middle of something"),
    ] {
        fs::write(&snapshot, bytes).expect("writable");
        let said = refused(&folder, &plain);
        assert!(said.contains(told), "{told}: {said}");
        assert!(said.contains("dump.rdb"), "{said}");
    }
    fs::remove_file(&snapshot).expect("it is there");
    // Nobody begins empty because a disk is not mounted.
    symlink("not-mounted/dump.rdb", &snapshot).expect("a new link");
    let said = refused(&folder, &plain);
    assert!(said.contains("bring back what it leads to"), "{said}");
}

#[test]
fn snapshots_of_other_limits() {
    for format in ["rdb", "native"] {
        let server = Launch::tessera().with("snapshot-format", format).start();
        let mut client = server.client();
        client.say("SELECT 9").expect_ok();
        let value = "v".repeat(100_000);
        for number in 0..200 {
            client.say(&format!("SET key:{number} {value}")).expect_ok();
        }
        client.say("SAVE").expect_ok();
        let folder = Folder::new();
        let snapshot = folder.join("dump.rdb");
        fs::copy(server.folder().join("dump.rdb"), &snapshot).expect("a copy");
        let said = refused(&folder, &Launch::tessera().with("databases", "4"));
        let remedy = "keys in database 9, and there are 4; set databases 10 or more";
        assert!(said.contains(remedy), "{format}: {said}");
        // More data than `maxmemory`: all of it is loaded, then evicted.
        let small = Launch::tessera().with("maxmemory", "16mb");
        let server = small
            .with("maxmemory-policy", "allkeys-lru")
            .start_in(folder);
        let mut client = server.client();
        client.say("SELECT 9").expect_ok();
        wait_until("it has evicted", || client.say("DBSIZE").int() < 190);
        assert!(client.say("DBSIZE").int() > 10);
        client.say("SET another 1").expect_ok();
    }
}
