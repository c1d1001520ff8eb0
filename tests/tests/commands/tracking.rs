//! Client-side caching: the same messages as the oracle's, none lost, and a bounded table.

use std::collections::HashMap;
use std::thread::scope;

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;
use tessera_tests::server::Server;

use crate::scene::{Cue, compare};

/// `three` speaks RESP3 and tracks; `publisher` changes keys.
const SCENE: &[Cue] = &[
    ("three", "CLIENT TRACKINGINFO", &[("three", 1)]),
    ("three", "CLIENT GETREDIR", &[("three", 1)]),
    ("three", "CLIENT CACHING YES", &[("three", 1)]),
    ("three", "CLIENT TRACKING maybe", &[("three", 1)]),
    ("three", "CLIENT TRACKING", &[("three", 1)]),
    ("three", "CLIENT TRACKING on what", &[("three", 1)]),
    ("three", "CLIENT TRACKING on REDIRECT", &[("three", 1)]),
    ("three", "CLIENT TRACKING on REDIRECT x", &[("three", 1)]),
    (
        "three",
        "CLIENT TRACKING on REDIRECT 99999",
        &[("three", 1)],
    ),
    ("three", "CLIENT TRACKING on PREFIX a", &[("three", 1)]),
    ("three", "CLIENT TRACKING on BCAST OPTIN", &[("three", 1)]),
    ("three", "CLIENT TRACKING on OPTIN OPTOUT", &[("three", 1)]),
    (
        "three",
        "CLIENT TRACKING on BCAST PREFIX a PREFIX ab",
        &[("three", 1)],
    ),
    // Plain.
    ("three", "CLIENT TRACKING on", &[("three", 1)]),
    ("three", "CLIENT TRACKINGINFO", &[("three", 1)]),
    ("three", "CLIENT GETREDIR", &[("three", 1)]),
    ("three", "CLIENT CACHING YES", &[("three", 1)]),
    ("three", "CLIENT TRACKING on BCAST", &[("three", 1)]),
    ("three", "GET k", &[("three", 1)]),
    ("publisher", "SET k 1", &[("publisher", 1), ("three", 1)]),
    ("publisher", "SET k 2", &[("publisher", 1)]),
    ("three", "GET k", &[("three", 1)]),
    ("three", "SET k 3", &[("three", 2)]),
    ("three", "MGET a b c", &[("three", 1)]),
    (
        "publisher",
        "MSET a 1 b 2 d 3",
        &[("publisher", 1), ("three", 2)],
    ),
    ("three", "SINTER s1 s2 s3", &[("three", 1)]),
    ("publisher", "SADD s2 x", &[("publisher", 1), ("three", 1)]),
    ("three", "LCS a b", &[("three", 1)]),
    ("publisher", "APPEND b x", &[("publisher", 1), ("three", 1)]),
    (
        "publisher",
        "RENAME a a2",
        &[("publisher", 1), ("three", 1)],
    ),
    ("three", "GET a2", &[("three", 1)]),
    (
        "publisher",
        "COPY b a2 REPLACE",
        &[("publisher", 1), ("three", 1)],
    ),
    ("three", "MULTI", &[("three", 1)]),
    ("three", "GET b", &[("three", 1)]),
    ("three", "STRLEN d", &[("three", 1)]),
    ("three", "EXEC", &[("three", 1)]),
    ("publisher", "MULTI", &[("publisher", 1)]),
    ("publisher", "SET b 7", &[("publisher", 1)]),
    ("publisher", "DEL d", &[("publisher", 1)]),
    ("publisher", "EXEC", &[("publisher", 1), ("three", 2)]),
    ("three", "GET b", &[("three", 1)]),
    ("publisher", "FLUSHALL", &[("publisher", 1), ("three", 1)]),
    ("three", "GET b", &[("three", 1)]),
    ("publisher", "FLUSHDB", &[("publisher", 1), ("three", 1)]),
    ("publisher", "MULTI", &[("publisher", 1)]),
    ("publisher", "FLUSHDB", &[("publisher", 1)]),
    ("publisher", "EXEC", &[("publisher", 1), ("three", 1)]),
    // Another way.
    ("three", "CLIENT TRACKING on NOLOOP", &[("three", 1)]),
    ("three", "CLIENT TRACKINGINFO", &[("three", 1)]),
    ("three", "GET k", &[("three", 1)]),
    ("three", "SET k 4", &[("three", 1)]),
    ("publisher", "SET k 5", &[("publisher", 1)]),
    ("three", "MGET k m", &[("three", 1)]),
    ("three", "RENAME k m", &[("three", 1)]),
    ("three", "GET m", &[("three", 1)]),
    ("publisher", "SET m 5", &[("publisher", 1), ("three", 1)]),
    ("three", "CLIENT TRACKING off", &[("three", 1)]),
    ("three", "CLIENT TRACKING on OPTIN", &[("three", 1)]),
    ("three", "CLIENT TRACKING on OPTOUT", &[("three", 1)]),
    ("three", "CLIENT CACHING no", &[("three", 1)]),
    ("three", "CLIENT CACHING what", &[("three", 1)]),
    ("three", "GET k", &[("three", 1)]),
    ("publisher", "SET k 6", &[("publisher", 1)]),
    ("three", "CLIENT CACHING yes", &[("three", 1)]),
    ("three", "CLIENT TRACKINGINFO", &[("three", 1)]),
    ("three", "GET k", &[("three", 1)]),
    ("three", "GET m", &[("three", 1)]),
    (
        "publisher",
        "MSET k 7 m 7",
        &[("publisher", 1), ("three", 1)],
    ),
    ("three", "CLIENT CACHING yes", &[("three", 1)]),
    ("three", "PING", &[("three", 1)]),
    ("three", "GET k", &[("three", 1)]),
    ("publisher", "SET k 7", &[("publisher", 1)]),
    ("three", "CLIENT TRACKING off", &[("three", 1)]),
    ("three", "CLIENT TRACKING on OPTOUT", &[("three", 1)]),
    ("three", "CLIENT CACHING yes", &[("three", 1)]),
    ("three", "CLIENT CACHING no", &[("three", 1)]),
    ("three", "GET k", &[("three", 1)]),
    ("three", "GET m", &[("three", 1)]),
    (
        "publisher",
        "MSET k 8 m 8",
        &[("publisher", 1), ("three", 1)],
    ),
    ("three", "CLIENT TRACKING off", &[("three", 1)]),
    ("three", "CLIENT TRACKING off", &[("three", 1)]),
    // Prefixes.
    (
        "three",
        "CLIENT TRACKING on BCAST PREFIX user: PREFIX item:",
        &[("three", 1)],
    ),
    (
        "three",
        "CLIENT TRACKING on BCAST PREFIX user:1",
        &[("three", 1)],
    ),
    ("three", "CLIENT TRACKINGINFO", &[("three", 1)]),
    (
        "publisher",
        "SET user:1 a",
        &[("publisher", 1), ("three", 1)],
    ),
    (
        "publisher",
        "SET user:1 b",
        &[("publisher", 1), ("three", 1)],
    ),
    (
        "publisher",
        "SET item:1 b",
        &[("publisher", 1), ("three", 1)],
    ),
    ("publisher", "SET other b", &[("publisher", 1)]),
    ("three", "GET other", &[("three", 1)]),
    ("publisher", "SET other c", &[("publisher", 1)]),
    (
        "publisher",
        "RENAME item:1 other",
        &[("publisher", 1), ("three", 1)],
    ),
    ("publisher", "FLUSHALL", &[("publisher", 1), ("three", 1)]),
    ("three", "CLIENT TRACKING off", &[("three", 1)]),
    ("three", "CLIENT TRACKING on BCAST NOLOOP", &[("three", 1)]),
    ("three", "SET x 1", &[("three", 1)]),
    ("publisher", "SET x 2", &[("publisher", 1), ("three", 1)]),
    ("three", "RESET", &[("three", 1)]),
    ("three", "CLIENT TRACKINGINFO", &[("three", 1)]),
    ("publisher", "SET x 3", &[("publisher", 1)]),
    // RESP2 without another client: nothing can be sent.
    ("one", "CLIENT TRACKING on", &[("one", 1)]),
    ("one", "GET x", &[("one", 1)]),
    ("publisher", "SET x 4", &[("publisher", 1)]),
    ("one", "PING", &[("one", 1)]),
];

#[test]
fn as_the_oracle_tells_it() {
    compare(SCENE);
}

fn servers() -> Vec<Server> {
    let mut servers = vec![Launch::oracle().start()];
    servers.extend([1, 2, 4].map(|shards| Launch::tessera().shards(shards).start()));
    servers
}

fn info(client: &mut Client, section: &str, field: &str) -> i64 {
    let text = client.call(&["INFO", section]).text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.expect("such a field")
        .trim()
        .parse()
        .expect("a number")
}

#[test]
fn messages_go_to_another_connection() {
    for server in servers() {
        let (mut listener, mut reader, mut writer) =
            (server.client(), server.client(), server.client());
        let id = listener.say("CLIENT ID").int();
        listener.say("SUBSCRIBE __redis__:invalidate");
        reader
            .call(&["CLIENT", "TRACKING", "on", "REDIRECT", &id.to_string()])
            .expect_ok();
        assert_eq!(reader.say("CLIENT GETREDIR"), Reply::Int(id));
        let told = |listener: &mut Client| {
            let message = listener.read();
            let words = message.elements();
            assert_eq!(words[1].text(), "__redis__:invalidate");
            words[2].clone()
        };
        for n in 0..20 {
            let key = format!("k{n}");
            reader.call(&["GET", &key]);
            writer.call(&["SET", &key, "v"]).expect_ok();
            assert_eq!(told(&mut listener).elements(), [Reply::bulk(&key)]);
        }
        writer.say("FLUSHALL").expect_ok();
        assert_eq!(told(&mut listener), Reply::Null);
        drop(listener);
        wait_until("the listener has gone", || {
            info(&mut writer, "clients", "connected_clients") == 2
        });
        reader.call(&["GET", "k"]);
        writer.call(&["SET", "k", "v"]).expect_ok();
        wait_until("the reader's messages are lost", || {
            let flags = reader.say("CLIENT TRACKINGINFO").elements()[1].sorted_texts();
            flags.contains(&"broken_redirect".to_owned())
        });
    }
}

#[test]
fn keys_that_end_and_clients_that_leave() {
    for server in servers() {
        let (mut reader, mut writer) = (server.client3(), server.client());
        reader.say("CLIENT TRACKING on NOLOOP").expect_ok();
        assert_eq!(info(&mut writer, "clients", "tracking_clients"), 1);
        writer.say("SET brief v PX 2500").expect_ok();
        reader.say("GET brief");
        assert_eq!(info(&mut writer, "stats", "tracking_total_keys"), 1);
        assert_eq!(info(&mut writer, "stats", "tracking_total_items"), 1);
        let message = reader.read();
        assert_eq!(message.elements()[1].elements(), [Reply::bulk("brief")]);
        reader.say("MGET a b c d e f g h");
        assert_eq!(info(&mut writer, "stats", "tracking_total_keys"), 8);
        drop(reader);
        wait_until("nobody tracks", || {
            info(&mut writer, "clients", "tracking_clients") == 0
        });
        writer.say("MSET a 1 b 2 c 3 d 4").expect_ok();
    }
}

#[test]
fn the_table_is_bounded() {
    const KEYS: i64 = 1_000;
    for shards in [1, 4] {
        let server = Launch::tessera()
            .shards(shards)
            .with("tracking-table-max-keys", "100")
            .start();
        let (mut reader, mut control) = (server.client3(), server.client());
        reader.say("CLIENT TRACKING on").expect_ok();
        let mut told = 0;
        for n in 0..KEYS {
            reader.send(&["GET", &format!("k{n}")]);
            while reader.read() != Reply::Null {
                told += 1;
            }
        }
        let kept = info(&mut control, "stats", "tracking_total_keys");
        assert!(kept <= 100, "{kept}");
        reader.send(&["PING"]);
        while reader.read() != Reply::Simple(b"PONG".to_vec()) {
            told += 1;
        }
        assert!(told + kept >= KEYS - 4, "{told} forgotten, {kept} kept");
    }
}

/// What a client has cached and was not told of is what the server has.
#[test]
fn no_message_is_lost() {
    const KEYS: usize = 16;
    const ROUNDS: usize = 1_500;
    for (shards, how) in [(1, "on"), (2, "on"), (4, "on"), (4, "on BCAST")] {
        let server = Launch::tessera().shards(shards).start();
        let key = |n: usize| format!("key:{}", n % KEYS);
        let mut reader = server.client3();
        reader.say(&format!("CLIENT TRACKING {how}")).expect_ok();
        let mut cache: HashMap<String, Option<String>> = HashMap::new();
        scope(|s| {
            let writer = s.spawn(|| {
                let mut writer = server.client();
                for n in 0..ROUNDS {
                    let value = n.to_string();
                    match n % 4 {
                        0 => _ = writer.call(&["SET", &key(n * 7), &value]),
                        1 => {
                            let (a, b) = (key(n * 5), key(n * 11 + 1));
                            writer.call(&["MSET", &a, &value, &b, &value]);
                        }
                        2 => _ = writer.call(&["RENAME", &key(n * 3), &key(n * 3 + 5)]),
                        _ => _ = writer.call(&["DEL", &key(n * 13)]),
                    }
                }
            });
            let mut n = 0;
            while !writer.is_finished() || n < ROUNDS {
                n += 1;
                let keys = [key(n), key(n * 3 + 1), key(n * 5 + 2), key(n * 7 + 3)];
                let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
                reader.send(&["GET", asked[0]]);
                reader.send(&["MGET", asked[1], asked[2]]);
                reader.send(&["GET", asked[3]]);
                let first = answer(&mut reader, &mut cache);
                keep(&mut cache, &keys[0], &first);
                let pair = answer(&mut reader, &mut cache);
                keep(&mut cache, &keys[1], &pair.elements()[0]);
                keep(&mut cache, &keys[2], &pair.elements()[1]);
                let last = answer(&mut reader, &mut cache);
                keep(&mut cache, &keys[3], &last);
            }
            writer.join().expect("no panic");
        });
        // Goes through all shards, behind what they had to say.
        for _ in 0..5 {
            reader.send(&["DBSIZE"]);
            answer(&mut reader, &mut cache);
        }
        assert!(!cache.is_empty());
        let mut judge = server.client();
        for (key, cached) in &cache {
            let value = judge.call(&["GET", key]);
            let value = (value != Reply::Null).then(|| value.text());
            assert_eq!(*cached, value, "{key}, {shards} shards, {how}");
        }
    }
}

/// The next reply; what comes before it is forgotten from the cache.
fn answer(reader: &mut Client, cache: &mut HashMap<String, Option<String>>) -> Reply {
    loop {
        let frame = reader.read();
        let is_news =
            matches!(&frame, Reply::Array(words) if words[0] == Reply::bulk("invalidate"));
        if !is_news {
            return frame;
        }
        for key in frame.elements()[1].elements() {
            cache.remove(&key.text());
        }
    }
}

fn keep(cache: &mut HashMap<String, Option<String>>, key: &str, value: &Reply) {
    let value = (*value != Reply::Null).then(|| value.text());
    cache.insert(key.to_owned(), value);
}
