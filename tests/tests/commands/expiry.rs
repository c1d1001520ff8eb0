//! Keys that end: by themselves, unseen, and for everyone at the same moment.

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

fn info_number(client: &mut Client, section: &str, field: &str) -> i64 {
    let info = client.call(&["INFO", section]).text();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let line = line.unwrap_or_else(|| panic!("INFO {section} has no {field}:\n{info}"));
    line.trim().parse().expect("a number")
}

#[test]
fn keys_end_without_being_looked_at() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        client.call(&["SET", "stays", "v"]).expect_ok();
        client
            .call(&["SET", "later", "v", "EX", "1000"])
            .expect_ok();
        let before = info_number(&mut client, "stats", "expired_keys");
        let batch: Vec<Vec<String>> = (0..2000)
            .map(|n| {
                ["SET", &format!("brief{n}"), "v", "PX", "20"]
                    .map(str::to_owned)
                    .to_vec()
            })
            .collect();
        client
            .pipeline(&batch)
            .into_iter()
            .for_each(Reply::expect_ok);
        wait_until("2,000 keys have ended by themselves", || {
            client.call(&["DBSIZE"]) == Reply::Int(2)
        });
        let ended = info_number(&mut client, "stats", "expired_keys") - before;
        assert_eq!(ended, 2000, "on {shards} shards");
        assert_eq!(
            client.call(&["MGET", "stays", "later"]).sorted_texts(),
            ["v", "v"]
        );
    }
}

#[test]
fn an_ended_key_is_gone_for_every_command() {
    let server = Launch::tessera()
        .shards(2)
        .with("enable-debug-command", "yes")
        .start();
    let mut client = server.client();
    client
        .call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"])
        .expect_ok();
    let checks: &[(&str, Reply)] = &[
        ("GET k", Reply::Null),
        ("EXISTS k", Reply::Int(0)),
        ("TTL k", Reply::Int(-2)),
        ("PEXPIRETIME k", Reply::Int(-2)),
        ("TYPE k", Reply::Simple(b"none".to_vec())),
        ("STRLEN k", Reply::Int(0)),
        ("GETRANGE k 0 -1", Reply::Bulk(Vec::new())),
        ("MGET k", Reply::Array(vec![Reply::Null])),
        ("DEL k", Reply::Int(0)),
        ("UNLINK k", Reply::Int(0)),
        ("TOUCH k", Reply::Int(0)),
        ("PERSIST k", Reply::Int(0)),
        ("EXPIRE k 1000", Reply::Int(0)),
        ("MOVE k 1", Reply::Int(0)),
        ("COPY k k2", Reply::Int(0)),
        ("GETDEL k", Reply::Null),
        ("GETEX k PERSIST", Reply::Null),
        ("OBJECT ENCODING k", Reply::Null),
        ("SET k v XX", Reply::Null),
        ("KEYS *", Reply::Array(Vec::new())),
        ("GETSET k new", Reply::Null),
        ("INCR k", Reply::Int(1)),
        ("APPEND k ab", Reply::Int(2)),
        ("SETRANGE k 1 x", Reply::Int(2)),
        ("SETNX k v", Reply::Int(1)),
        ("MSETNX k v", Reply::Int(1)),
        ("SET k v NX GET", Reply::Null),
        ("RENAMENX other k", Reply::Int(1)),
        ("COPY other k", Reply::Int(1)),
    ];
    // A second connection tells when the key has ended, by one more key of the same age.
    let mut watcher = server.client();
    for (command, wanted) in checks {
        client.call(&["FLUSHALL"]).expect_ok();
        if command.contains("other") {
            client.call(&["SET", "other", "v"]).expect_ok();
        }
        client.pipeline(&[
            vec!["SET", "k", "5", "PX", "1"],
            vec!["SET", "witness", "5", "PX", "1"],
        ]);
        wait_until("the witness has ended", || {
            watcher.call(&["EXISTS", "witness"]) == Reply::Int(0)
        });
        assert_eq!(&client.say(command), wanted, "{command} on an ended key");
    }
    client
        .call(&["DEBUG", "SET-ACTIVE-EXPIRE", "1"])
        .expect_ok();
}

#[test]
fn a_time_to_live_goes_with_its_key() {
    let server = Launch::tessera().shards(4).start();
    let mut client = server.client();
    let at = 4_000_000_000_123;
    for (name, make) in [
        ("renamed", "RENAME k renamed"),
        ("copied", "COPY k copied"),
        ("k", "APPEND k more"),
        ("k", "SETRANGE k 0 x"),
        ("k", "SET k v KEEPTTL"),
        ("k", "GETRANGE k 0 1"),
    ] {
        client.call(&["FLUSHALL"]).expect_ok();
        client
            .call(&["SET", "k", "v", "PXAT", &at.to_string()])
            .expect_ok();
        assert!(!client.say(make).is_error());
        assert_eq!(
            client.call(&["PEXPIRETIME", name]).int(),
            at,
            "after {make}"
        );
    }
    for end in [
        "SET k v",
        "GETSET k v",
        "MSET k v",
        "PERSIST k",
        "GETEX k PERSIST",
        "SET k v GET",
    ] {
        client
            .call(&["SET", "k", "v", "PXAT", &at.to_string()])
            .expect_ok();
        assert!(!client.say(end).is_error());
        assert_eq!(client.call(&["PEXPIRETIME", "k"]).int(), -1, "after {end}");
    }
    client
        .call(&["SET", "k", "v", "PXAT", &at.to_string()])
        .expect_ok();
    client.call(&["SET", "other", "v"]).expect_ok();
    client.call(&["RENAME", "other", "k"]).expect_ok();
    assert_eq!(
        client.call(&["TTL", "k"]).int(),
        -1,
        "a renamed key brings its own"
    );
    client.call(&["SELECT", "1"]).expect_ok();
    client.call(&["SELECT", "0"]).expect_ok();
    client.call(&["PEXPIREAT", "k", &at.to_string()]);
    client.call(&["MOVE", "k", "1"]);
    client.call(&["SELECT", "1"]).expect_ok();
    assert_eq!(client.call(&["PEXPIRETIME", "k"]).int(), at, "after MOVE");
    assert_eq!(
        client.call(&["EXPIRETIME", "k"]).int(),
        4_000_000_000,
        "rounded to the nearest second"
    );
}

#[test]
fn info_counts_keys_with_an_end() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    for n in 0..10 {
        client.call(&["SET", &format!("k{n}"), "v"]).expect_ok();
    }
    for n in 0..4 {
        client.call(&["EXPIRE", &format!("k{n}"), "1000"]);
    }
    client.call(&["PERSIST", "k0"]);
    client.call(&["DEL", "k1"]);
    let keyspace = client.call(&["INFO", "keyspace"]).text();
    assert!(
        keyspace.contains("db0:keys=9,expires=2,avg_ttl="),
        "{keyspace}"
    );
}
