//! A file system of a few MB that is really full: where the test may mount one. Elsewhere `full` does what it can without rights.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tessera_tests::client::Client;
use tessera_tests::deadline::{PATIENCE, wait_until};
use tessera_tests::folder::Folder;
use tessera_tests::launch::Launch;
use tessera_tests::port::free_port;
use tessera_tests::process::Process;
use tessera_tests::reply::Reply;
use tessera_tests::server::Server;

use super::node;

/// Its size, and that of the file whose end makes room.
const SIZE: &str = "size=4m";
const BALLAST_BYTES: usize = 2 << 20;

/// A file system in memory; gone with its owner.
struct Mount(Folder);

impl Mount {
    /// `None` where nobody may mount.
    fn new() -> Option<Self> {
        let folder = Folder::new();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tessera-test"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        done.is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Nobody writes to it any more.
    fn make_read_only(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "remount,ro"]).arg(self.path());
        assert!(mount.status().expect("it runs").success());
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The server in it has ended; if it has not, the mount goes with it.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn persistence(client: &mut Client, name: &str) -> String {
    let text = client.say("INFO persistence").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.expect("the field").to_owned()
}

/// Writes until it is refused; says how many were acknowledged.
fn fill(server: &Server) -> usize {
    let (mut client, value) = (server.client(), "v".repeat(10_000));
    for number in 0..1_000 {
        match client.try_call(&["SET", &format!("key:{number}"), &value]) {
            Ok(Reply::Simple(_)) => {}
            Ok(other) => {
                assert!(other.error().starts_with("MISCONF "), "{other}");
                return number;
            }
            // Nobody knows what became of what was under way.
            Err(_) => return number,
        }
    }
    panic!("the disk is never full");
}

#[test]
fn a_file_system_that_is_full() {
    let Some(mount) = Mount::new() else {
        println!("skipped: nobody may mount a file system here");
        return;
    };
    fs::write(mount.ballast(), vec![0; BALLAST_BYTES]).expect("there is room");
    let dir = mount.path().to_str().expect("a path in UTF-8").to_owned();
    let on_it = |shards| node(shards, "always").with("dir", &dir);
    let server = on_it(2).start();
    let written = fill(&server);
    assert!(written > 20, "{written}");
    let mut client = server.client();
    let refused = "MISCONF Errors writing to the AOF file: No space left on device";
    wait_until("the failure is known", || client.say("SET a 1").is_error());
    assert_eq!(client.say("SET a 1").error(), refused);
    assert_eq!(client.say("GET key:0").text().len(), 10_000);
    // There is no room for a snapshot or a new base either, and nothing is left of the trial.
    assert!(client.say("SAVE").is_error());
    client.say("BGREWRITEAOF");
    wait_until("the rewrite has failed", || {
        persistence(&mut client, "aof_last_bgrewrite_status:") == "err"
            && persistence(&mut client, "aof_rewrite_in_progress:") == "0"
    });
    let names = |folder: PathBuf| {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let names = entries.map(|it| it.file_name().to_string_lossy().into_owned());
        names.collect::<Vec<_>>()
    };
    for folder in [mount.path().to_owned(), mount.path().join("appendonlydir")] {
        let left = names(folder);
        assert!(!left.iter().any(|it| it.starts_with("temp-")), "{left:?}");
    }
    assert!(client.say("SET a 1").is_error(), "still no room");
    fs::remove_file(mount.ballast()).expect("it is there");
    client.say("BGREWRITEAOF");
    wait_until("it is made good", || {
        persistence(&mut client, "aof_last_write_status:") == "ok"
    });
    client.say("SET a 1").expect_ok();
    let keys = client.say("DBSIZE").int();
    assert!(keys > written as i64, "{keys} {written}");
    let server = server.crash(on_it(1));
    let mut client = server.client();
    assert_eq!(client.say("DBSIZE").int(), keys);
    assert_eq!(client.say("GET a").text(), "1");
    client.say("SAVE").expect_ok();
}

#[test]
fn a_file_system_that_cannot_be_written() {
    let Some(mount) = Mount::new() else {
        println!("skipped: nobody may mount a file system here");
        return;
    };
    fs::create_dir(mount.path().join("appendonlydir")).expect("there is room");
    mount.make_read_only();
    let said = |launch: Launch| {
        let folder = Folder::new();
        let mut command = launch.command(folder.path(), free_port());
        let mut process = Process::spawn(&mut command, folder.path()).expect("it runs");
        let status = process.wait_end(PATIENCE).expect("it ends");
        assert_eq!(status.code(), Some(1));
        process.stderr()
    };
    let dir = mount.path().to_str().expect("a path in UTF-8");
    for launch in [Launch::tessera(), node(2, "always")] {
        let said = said(launch.with("dir", dir));
        assert!(said.contains("cannot write to dir"), "{said}");
        assert!(said.contains("change its rights, or set dir"), "{said}");
    }
    let log = mount.path().join("appendonlydir");
    let log = log.to_str().expect("a path in UTF-8");
    let folder = Folder::new();
    let link = folder.join("appendonlydir");
    std::os::unix::fs::symlink(log, &link).expect("a new link");
    let dir = folder.path().to_str().expect("a path in UTF-8");
    let said = said(node(1, "everysec").with("dir", dir));
    assert!(said.contains("cannot write to the folder"), "{said}");
    assert!(said.contains("or set dir or appenddirname"), "{said}");
}
