//! Logs that cannot be read: one line with the file, the place and the remedy, exit code 1, files untouched.

use std::fs;
use std::path::PathBuf;

use tessera_tests::deadline::PATIENCE;
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
