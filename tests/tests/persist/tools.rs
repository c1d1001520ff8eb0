//! `check` and `convert` on the folder of a log.

use std::path::Path;
use std::process::{Command, Output};

use tessera_tests::folder::Folder;
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

use super::exchange::{fill, shown};
use super::node;

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(Launch::tessera().program());
    command.args(args).output().expect("it runs")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn worked(args: &[&str]) -> String {
    let output = run(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn loaded(folder: &Folder, launch: Launch) -> Server {
    let server = launch.start();
    for (from, to) in [("dump.rdb", "dump.rdb"), ("log", "appendonlydir")] {
        let (from, to) = (folder.join(from), server.folder().join(to));
        if from.is_dir() {
            std::fs::remove_dir_all(&to).expect("a folder");
            std::fs::create_dir(&to).expect("a folder");
            for entry in std::fs::read_dir(&from).expect("a folder").flatten() {
                std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
            }
        } else if from.exists() {
            std::fs::copy(&from, &to).expect("a copy");
        }
    }
    let launch = server.launch();
    server.crash(launch)
}

#[test]
fn a_log_becomes_a_snapshot_and_a_snapshot_a_log() {
    let server = node(2, "always").start();
    fill(&mut server.client());
    let before = shown(&mut server.client());
    let log = server.folder().join("appendonlydir");
    let said = worked(&["check", path(&log)]);
    assert!(said.ends_with(": whole\n"), "{said}");
    // The folder that a server has is as good.
    assert_eq!(said, worked(&["check", path(server.folder().path())]));
    for format in ["rdb", "native"] {
        let place = Folder::new();
        let dump = place.join("dump.rdb");
        worked(&["convert", path(&log), path(&dump), "--to", format]);
        let other = loaded(&place, Launch::tessera().shards(3));
        assert_eq!(shown(&mut other.client()), before, "{format}");
        let there = run(&["convert", path(&log), path(&dump)]);
        assert!(String::from_utf8_lossy(&there.stderr).contains("is there already"));
        worked(&[
            "convert",
            path(&dump),
            path(&place.join("log")),
            "--to",
            "log",
        ]);
        std::fs::remove_file(&dump).expect("a file");
        let other = loaded(&place, node(1, "always"));
        assert_eq!(shown(&mut other.client()), before, "{format}, as a log");
        let real = Launch::oracle().with("appendonly", "yes");
        let other = loaded(&place, real);
        assert_eq!(
            shown(&mut other.client()),
            before,
            "{format}, read by the real server"
        );
    }
    assert_eq!(shown(&mut server.client()), before, "untouched");
}

#[test]
fn a_torn_end_is_cut_and_damage_is_named() {
    let server = node(2, "always").start();
    for number in 0..20 {
        let line = format!("SET key:{number} {number}");
        server.client().say(&line).expect_ok();
    }
    let place = Folder::new();
    let log = place.join("log");
    std::fs::create_dir(&log).expect("a folder");
    let from = server.folder().join("appendonlydir");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        std::fs::copy(entry.path(), log.join(entry.file_name())).expect("a copy");
    }
    let records = log.join("appendonly.aof.1.incr.aof");
    let whole = std::fs::read(&records).expect("a file");
    std::fs::write(&records, &whole[..whole.len() - 5]).expect("writable");
    let out = place.join("out.rdb");
    for args in [
        &["check", path(&log)][..],
        &["convert", path(&log), path(&out)],
    ] {
        let refused = run(args);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            said.contains("ends within a record that begins at byte"),
            "{said}"
        );
    }
    assert_eq!(
        std::fs::read(&records).expect("a file").len(),
        whole.len() - 5
    );
    let said = worked(&["check", path(&log), "--fix"]);
    assert!(said.contains("are kept in "), "{said}");
    assert!(worked(&["check", path(&log)]).ends_with(": whole\n"));
    let said = worked(&["convert", path(&log), path(&out)]);
    assert!(said.ends_with("RDB snapshot, 19 keys\n"), "{said}");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&records, &damaged).expect("writable");
    for fix in [&[][..], &["--fix"]] {
        let refused = run(&[&["check", path(&log)], fix].concat());
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("1.incr.aof is damaged at byte "), "{said}");
    }
    assert_eq!(
        std::fs::read(&records).expect("a file"),
        damaged,
        "untouched"
    );
}
