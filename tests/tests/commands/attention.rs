//! MONITOR, CLIENT PAUSE, WAIT: what looks at every command.

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;
use tessera_tests::server::Server;

use crate::both::Both;

fn servers() -> Vec<Server> {
    let mut servers = vec![Launch::oracle().start()];
    servers.extend([1, 2, 4].map(|shards| Launch::tessera().shards(shards).start()));
    servers
}

/// A line without the time and the address of a client.
fn line(monitor: &mut Client) -> String {
    let line = String::from_utf8(match monitor.read() {
        Reply::Simple(line) => line,
        other => panic!("{other}"),
    });
    let line = line.expect("quoted text");
    let (head, words) = line.split_once("] ").expect("an address");
    let db = head.split_once(" [").expect("a time").1;
    let (db, from) = db.split_once(' ').expect("a database");
    let from = if from == "lua" { "lua " } else { "" };
    format!("{db} {from}{words}")
}

#[test]
fn monitors_see_what_the_oracles_see() {
    const LINES: [&str; 17] = [
        "PING",
        "CONFIG GET port",
        "SET a\"b 1",
        "MULTI",
        "SET a 1",
        "PING",
        "MGET a b c",
        "EXEC",
        "EVAL return(redis.call('INCR','n')) 0",
        "EVAL redis.call('SELECT','2');redis.pcall('LPUSH',KEYS[1]);return(redis.call('SET',KEYS[1],'\"')) 1 k",
        "EVALSHA nosuch 0",
        "AUTH x y",
        "HELLO 2 AUTH default x",
        "NOSUCH a",
        "GET",
        "SELECT 3",
        "DEL a",
    ];
    let mut seen: Vec<Vec<String>> = Vec::new();
    for server in servers() {
        let (mut first, mut second) = (server.client(), server.client());
        first.say("MONITOR").expect_ok();
        second.say("MONITOR").expect_ok();
        let mut client = server.client();
        for line in LINES {
            client.say(line);
        }
        let lines: Vec<String> = (0..17).map(|_| line(&mut first)).collect();
        let others: Vec<String> = (0..17).map(|_| line(&mut second)).collect();
        assert_eq!(lines, others);
        assert_eq!(
            first.say("GET a").error(),
            "ERR Replica can't interact with the keyspace"
        );
        assert_eq!(first.say("RESET"), Reply::Simple(b"RESET".to_vec()));
        client.say("PING");
        assert_eq!(first.say("GET a"), Reply::bulk("1"));
        seen.push(lines);
    }
    for lines in &seen[1..] {
        assert_eq!(*lines, seen[0]);
    }
}

/// A monitor that does not read is ended by its limit, and nobody else is.
#[test]
fn a_slow_monitor_meets_the_limit() {
    let server = Launch::tessera()
        .shards(2)
        .with("client-output-buffer-limit", "normal 4mb 0 0")
        .start();
    let (mut monitor, mut client) = (server.client(), server.client());
    monitor.say("MONITOR").expect_ok();
    let value = "v".repeat(100_000);
    wait_until("the monitor is gone", || {
        client.call(&["SET", "k", &value]).expect_ok();
        !client.say("CLIENT LIST").text().contains("flags=O")
    });
    assert_eq!(client.say("STRLEN k"), Reply::Int(100_000));
}

#[test]
fn pauses() {
    for server in servers() {
        let (mut client, mut other, mut third) =
            (server.client(), server.client(), server.client());
        client.say("CLIENT PAUSE 100000 WRITE").expect_ok();
        // Reading goes on; who writes waits, and what it sends behind that too.
        assert_eq!(client.say("GET a"), Reply::Null);
        other.send(&["SET", "a", "1"]);
        other.send(&["GET", "a"]);
        third.say("MULTI").expect_ok();
        assert_eq!(third.say("GET a"), Reply::Simple(b"QUEUED".to_vec()));
        assert_eq!(third.say("EXEC").elements(), [Reply::Null]);
        assert_eq!(client.say("GET a"), Reply::Null);
        // What may change something waits as well.
        assert_eq!(third.say("SUBSCRIBE c").elements().len(), 3);
        let mut fourth = server.client();
        fourth.send(&[
            "EVAL",
            "return redis.call('set', KEYS[1], ARGV[1])",
            "1",
            "e",
            "2",
        ]);
        let mut fifth = server.client();
        fifth.send(&["PUBLISH", "c", "m"]);
        assert_eq!(client.call(&["EVAL_RO", "return 1", "0"]), Reply::Int(1));
        assert_eq!(client.say("GET e"), Reply::Null);
        client.say("CLIENT UNPAUSE").expect_ok();
        fourth.read().expect_ok();
        assert_eq!(client.say("GET e"), Reply::bulk("2"));
        assert_eq!(fifth.read(), Reply::Int(1));
        other.read().expect_ok();
        assert_eq!(other.read(), Reply::bulk("1"));
        // Everything waits, until it is over.
        client.say("CLIENT PAUSE 50").expect_ok();
        assert_eq!(client.say("GET a"), Reply::bulk("1"));
        assert_eq!(other.say("DEL a"), Reply::Int(1));
    }
}

#[test]
fn errors_and_waiting_for_nobody() {
    let mut both = Both::start();
    both.say(&[
        "CLIENT PAUSE",
        "CLIENT PAUSE x",
        "CLIENT PAUSE -1",
        "CLIENT PAUSE 1 what",
        "CLIENT UNPAUSE x",
        "CLIENT UNPAUSE",
        "WAIT 0 0",
        "WAIT x 0",
        "WAIT 0 x",
        "WAIT 0 -1",
        "WAIT 1 10",
        "WAIT -1 0",
        "MULTI",
        "WAIT 1 0",
        "GET a",
        "EXEC",
        "MONITOR x",
    ]);
}
