//! Snapshots of a node that goes on changing, read by the real server; files of either loaded by the other; damaged ones; and the end with and without a save.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

const ACCOUNTS: u64 = 300;
const BALANCE: i64 = 1000;

fn persistence(client: &mut Client, field: &str) -> String {
    let text = client.say("INFO persistence").text();
    let line = text.lines().find(|line| line.starts_with(field));
    let (_, value) = line
        .and_then(|line| line.split_once(':'))
        .expect("the field");
    value.to_owned()
}

/// Moves money between accounts until told to stop, in transactions over shards, whole ones and renames among them.
fn transfer(mut client: Client, number: u64, stop: &AtomicBool) {
    let mut step = number;
    while !stop.load(Ordering::Relaxed) {
        step += 3;
        let (from, to) = (step * 7 % ACCOUNTS, step * 13 % ACCOUNTS);
        for words in [
            "MULTI".to_owned(),
            format!("DECRBY account:{from} 5"),
            format!("INCRBY account:{to} 5"),
        ] {
            client.say(&words);
        }
        if step.is_multiple_of(20) {
            client.say("DBSIZE");
        }
        if step.is_multiple_of(15) {
            client.say(&format!("RENAME account:{from} aside"));
            client.say(&format!("RENAME aside account:{from}"));
        }
        client.say("EXEC");
        client.say(&format!("SET fresh:{step} 1 PX {}", step % 40 + 1));
        client.say(&format!("DEL filling:{}", step % 20_000));
    }
}

/// A real server, started on a copy of a snapshot.
fn oracle_on(file: &Path) -> Server {
    let oracle = Launch::oracle().start();
    std::fs::copy(file, oracle.folder().join("dump.rdb")).expect("a file");
    oracle.restart()
}

fn sum(client: &mut Client) -> i64 {
    let account = |number: u64| {
        let text = client.say(&format!("GET account:{number}")).text();
        text.parse::<i64>().expect("a number")
    };
    (0..ACCOUNTS).map(account).sum()
}

#[test]
fn a_snapshot_is_of_one_moment() {
    for shards in [1, 2, 3] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        for number in 0..ACCOUNTS {
            client
                .say(&format!("SET account:{number} {BALANCE}"))
                .expect_ok();
        }
        let filling: Vec<Vec<String>> = (0..20_000)
            .map(|number| {
                vec![
                    "SET".to_owned(),
                    format!("filling:{number}"),
                    "x".repeat(50),
                ]
            })
            .collect();
        client.pipeline(&filling);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for number in 0..3 {
                let client = server.client();
                let stop = &stop;
                scope.spawn(move || transfer(client, number, stop));
            }
            for _ in 0..3 {
                assert_eq!(client.say("BGSAVE").text(), "Background saving started");
                wait_until("the save to end", || {
                    persistence(&mut client, "rdb_bgsave_in_progress") == "0"
                });
                assert_eq!(persistence(&mut client, "rdb_last_bgsave_status"), "ok");
                let oracle = oracle_on(&server.folder().join("dump.rdb"));
                assert_eq!(sum(&mut oracle.client()), ACCOUNTS as i64 * BALANCE);
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn a_node_comes_back_on_another_number_of_shards() {
    let first = Launch::tessera().shards(2).start();
    let mut client = first.client();
    for number in 0..3_000 {
        client
            .say(&format!("SET k:{number} {number} EX 1000"))
            .expect_ok();
        client.say(&format!("ZADD z {number} m:{number}"));
        client.say(&format!("XADD s * f {number}"));
    }
    client.say("SET gone 1 PX 1").expect_ok();
    client.say("SELECT 3").expect_ok();
    client.say("SET other 1").expect_ok();
    client.say("SAVE").expect_ok();
    let second = Launch::tessera().shards(3).start();
    let file = second.folder().join("dump.rdb");
    std::fs::copy(first.folder().join("dump.rdb"), &file).expect("a file");
    let second = second.restart();
    let mut client = second.client();
    assert_eq!(client.say("DBSIZE").int(), 3_002);
    assert_eq!(client.say("ZRANK z m:777").int(), 777);
    assert_eq!(client.say("XLEN s").int(), 3_000);
    assert!(client.say("TTL k:5").int() > 900);
    client.say("SELECT 3").expect_ok();
    assert_eq!(client.say("GET other").text(), "1");
}

#[test]
fn the_end_saves_where_that_is_asked_for() {
    let mut server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    client.say("SET a 1").expect_ok();
    client.send(&["SHUTDOWN", "SAVE"]);
    let ended = server
        .wait_end(std::time::Duration::from_secs(20))
        .expect("it ends");
    assert!(ended.success());
    let mut server = server.restart();
    let mut client = server.client();
    assert_eq!(client.say("GET a").text(), "1");
    client.say("SET a 2").expect_ok();
    client.send(&["SHUTDOWN", "NOSAVE"]);
    server
        .wait_end(std::time::Duration::from_secs(20))
        .expect("it ends");
    let server = server.restart();
    assert_eq!(server.client().say("GET a").text(), "1");
}

#[test]
fn what_cannot_be_written_is_told_and_goes_on() {
    let mut server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    client.say("SET a 1").expect_ok();
    client.say("SAVE").expect_ok();
    let file = server.folder().join("dump.rdb");
    let before = std::fs::read(&file).expect("a file");
    // A folder in the place of the file cannot be renamed over.
    std::fs::remove_file(&file).expect("it was there");
    std::fs::create_dir(&file).expect("a folder");
    assert!(client.say("SAVE").is_error());
    assert_eq!(persistence(&mut client, "rdb_last_bgsave_status"), "err");
    client.say("SET a 2").expect_ok();
    client
        .call(&["CONFIG", "SET", "save", "1000 1000"])
        .expect_ok();
    let error = client.say("SET a 3").error();
    assert!(
        error.starts_with("MISCONF Redis is configured to save RDB snapshots"),
        "{error}"
    );
    assert_eq!(client.say("GET a").text(), "2");
    assert_eq!(
        client.say("SHUTDOWN SAVE").error(),
        "ERR Errors trying to SHUTDOWN. Check logs."
    );
    // As in Redis: whoever asks whether all is well learns that it is not.
    assert_eq!(client.say("PING").error(), error);
    std::fs::remove_dir(&file).expect("a folder");
    client.say("SAVE").expect_ok();
    client.say("SET a 3").expect_ok();
    assert!(std::fs::read(&file).expect("a file").len() >= before.len());
    assert!(server.process().ended().is_none());
}

#[test]
fn a_damaged_file_is_no_empty_node() {
    let mut server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    for number in 0..500 {
        client
            .say(&format!("SET k:{number} value:{number}"))
            .expect_ok();
    }
    client.say("SAVE").expect_ok();
    let file = server.folder().join("dump.rdb");
    let whole = std::fs::read(&file).expect("a file");
    client.send(&["SHUTDOWN", "NOSAVE"]);
    server
        .wait_end(std::time::Duration::from_secs(20))
        .expect("it ends");
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let cases = [
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        flipped(3),
        flipped(7),
        flipped(whole.len() / 2),
        flipped(whole.len() - 1),
        Vec::new(),
    ];
    for (number, bytes) in cases.iter().enumerate() {
        std::fs::write(&file, bytes).expect("it can be written");
        let launch = Launch::tessera().shards(2);
        let mut command = launch.command(server.folder().path(), server.port());
        let output = command.output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "case {number}: {error}");
        assert!(
            error.contains("dump.rdb: at byte "),
            "case {number}: {error}"
        );
        assert_eq!(
            &std::fs::read(&file).expect("a file"),
            bytes,
            "it is left alone"
        );
    }
}

const LIBRARY: &str = "#!lua name=lib\nredis.register_function{function_name='answer', callback=function(keys, args) return 42 end, flags={'no-writes'}}";

#[test]
fn libraries_of_functions_go_both_ways() {
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        client.call(&["FUNCTION", "LOAD", LIBRARY]);
        client.say("SET a 1").expect_ok();
        client.say("SAVE").expect_ok();
        let file = server.folder().join("dump.rdb");
        let oracle = oracle_on(&file);
        let mut other = oracle.client();
        assert_eq!(other.say("FCALL answer 0").int(), 42);
        other.say("SET a 2").expect_ok();
        other.say("SAVE").expect_ok();
        client.say("FUNCTION FLUSH").expect_ok();
        std::fs::copy(oracle.folder().join("dump.rdb"), &file).expect("a file");
        let server = server.restart();
        let mut client = server.client();
        assert_eq!(client.say("FCALL answer 0").int(), 42);
        assert_eq!(client.say("GET a").text(), "2");
    }
}

#[test]
fn how_a_key_was_used_goes_both_ways() {
    let policy = |launch: Launch, policy: &str| launch.with("maxmemory-policy", policy).start();
    let server = policy(Launch::tessera().shards(2), "allkeys-lfu");
    let mut client = server.client();
    client.say("SET a 1").expect_ok();
    (0..50).for_each(|_| drop(client.say("GET a")));
    let frequency = client.say("OBJECT FREQ a").int();
    client.say("SAVE").expect_ok();
    let oracle = policy(Launch::oracle(), "allkeys-lfu");
    let file = oracle.folder().join("dump.rdb");
    std::fs::copy(server.folder().join("dump.rdb"), &file).expect("a file");
    let oracle = oracle.restart();
    assert_eq!(oracle.client().say("OBJECT FREQ a").int(), frequency);

    let server = policy(Launch::tessera().shards(2), "allkeys-lru");
    let mut client = server.client();
    // Not an integer: Redis shares those among keys, with their time.
    client.say("SET a text").expect_ok();
    let payload = client.call(&["DUMP", "a"]).bytes().to_vec();
    let restore: Vec<&[u8]> = vec![b"RESTORE", b"b", b"0", &payload, b"IDLETIME", b"5000"];
    client.call(&restore).expect_ok();
    client.say("SAVE").expect_ok();
    let oracle = policy(Launch::oracle(), "allkeys-lru");
    let file = oracle.folder().join("dump.rdb");
    std::fs::copy(server.folder().join("dump.rdb"), &file).expect("a file");
    let oracle = oracle.restart();
    let idle = oracle.client().say("OBJECT IDLETIME b").int();
    assert!((5000..5100).contains(&idle), "{idle}");
    let server = server.restart();
    let idle = server.client().say("OBJECT IDLETIME b").int();
    assert!((5000..5100).contains(&idle), "{idle}");
}
