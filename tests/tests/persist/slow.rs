//! A disk that takes nothing for a while: writers are held back before memory runs out, readers pass, and nothing is lost.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tessera_tests::client::Client;
use tessera_tests::deadline::{wait_for, wait_until};
use tessera_tests::folder::Folder;
use tessera_tests::launch::Launch;
use tessera_tests::port::free_port;
use tessera_tests::process::Process;

use super::node;

const WRITERS: usize = 4;
/// What each of them sends, one after the other: more than the queue takes, over few keys.
const VALUE_BYTES: usize = 1 << 20;
const WRITES: usize = 40;
/// What waits to be written stays below this: 64 MiB, and what a turn of each shard adds.
const QUEUE_BYTES_MAX: i64 = 80 << 20;
/// Writes of 1 MiB after which at least this much waits, so that the bound is met at all.
const QUEUE_BYTES_MIN: i64 = 60 << 20;

fn queued_bytes(client: &mut Client) -> i64 {
    let text = client.say("INFO persistence").text();
    let field = text
        .lines()
        .find_map(|line| line.strip_prefix("aof_buffer_length:"));
    field.expect("the field").parse().expect("a number")
}

#[test]
fn a_disk_that_stands_still_holds_writers_back() {
    let server = node(2, "everysec")
        .with("enable-debug-command", "yes")
        .with("auto-aof-rewrite-percentage", "0")
        .start();
    let mut client = server.client();
    client.say("SET small 1").expect_ok();
    client.say("DEBUG AOF-FLUSH-SLEEP 600000000").expect_ok();
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (mut client, done) = (server.client(), &done);
            scope.spawn(move || {
                let value = "v".repeat(VALUE_BYTES);
                for number in 0..WRITES {
                    let key = format!("key:{writer}:{}", number % 2);
                    client.call(&["SET", &key, &value]).expect_ok();
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        wait_until("the queue is full", || {
            queued_bytes(&mut client) > QUEUE_BYTES_MIN
        });
        // Two looks of everybody after each other: had the writers gone on, there would be more.
        for _ in 0..200 {
            let queued = queued_bytes(&mut client);
            assert!(queued < QUEUE_BYTES_MAX, "{queued} bytes wait");
            assert_eq!(client.say("GET small").text(), "1", "readers pass");
        }
        assert!(done.load(Ordering::SeqCst) < WRITERS * WRITES);
        client.say("DEBUG AOF-FLUSH-SLEEP 0").expect_ok();
        wait_until("all is written", || {
            done.load(Ordering::SeqCst) == WRITERS * WRITES
        });
    });
    assert_eq!(client.say("WAITAOF 1 0 0").elements()[0].int(), 1);
    assert_eq!(queued_bytes(&mut client), 0);
    let server = server.crash(node(1, "everysec"));
    let mut client = server.client();
    assert_eq!(client.say("DBSIZE").int(), 2 * WRITERS as i64 + 1);
    for writer in 0..WRITERS {
        let length = client.say(&format!("STRLEN key:{writer}:1")).int();
        assert_eq!(length, VALUE_BYTES as i64);
    }
}

#[test]
fn a_save_and_a_start_that_take_their_time() {
    let server = node(2, "no")
        .with("appendonly", "no")
        .with("rdb-key-save-delay", "10000000")
        .start();
    let mut client = server.client();
    for number in 0..50 {
        client.say(&format!("SET key:{number} 1")).expect_ok();
    }
    let field = |client: &mut Client, name: &str| {
        let text = client.say("INFO persistence").text();
        text.lines().any(|line| line == name)
    };
    client.say("BGSAVE");
    assert!(field(&mut client, "rdb_bgsave_in_progress:1"));
    client.say("SET key:0 2").expect_ok();
    // Whoever takes the delay away does not wait for its end.
    client.say("CONFIG SET rdb-key-save-delay 0").expect_ok();
    wait_until("the save ends", || {
        field(&mut client, "rdb_bgsave_in_progress:0")
    });
    assert!(field(&mut client, "rdb_last_bgsave_status:ok"));
    // A server that loads is not one that answers a PING.
    let folder = Folder::new();
    let file = "dump.rdb";
    fs::copy(server.folder().join(file), folder.join(file)).expect("a copy");
    let (launch, port) = (Launch::tessera().shards(2), free_port());
    let launch = launch.with("key-load-delay", "40000");
    let mut command = launch.command(folder.path(), port);
    let _process = Process::spawn(&mut command, folder.path()).expect("it runs");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut client = wait_for("it listens", || Client::connect(address).ok());
    assert!(field(&mut client, "loading:1"));
    assert!(client.say("GET key:0").error().starts_with("LOADING "));
    wait_until("all is loaded", || field(&mut client, "loading:0"));
    assert_eq!(client.say("GET key:0").text(), "1", "as it was at BGSAVE");
    assert_eq!(client.say("DBSIZE").int(), 50);
}
