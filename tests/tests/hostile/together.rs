//! Bad input about transactions, waiting and messages: Redis's reply, and a server that goes on serving everybody else.

use std::thread::scope;

use tessera_tests::client::Client;
use tessera_tests::command::{encode, words};
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;
use tessera_tests::server::Server;

const SUBSCRIPTIONS: usize = 100_000;
const WATCHED: usize = 1_000_000;
const QUEUED: usize = 100_000;
/// Names in one command.
const AT_ONCE: usize = 10_000;
/// What one subscription or watched key may take at most, bytes: the name three times over, and the tables.
const NAME_BYTES_MAX: usize = 600;

/// What a server says in memory now.
fn used_bytes(client: &mut Client) -> usize {
    let info = client.say("INFO memory").text();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory_rss:"));
    let bytes = line.expect("a line about memory").trim();
    bytes.parse().expect("a number")
}

fn both() -> [Server; 2] {
    [
        Launch::tessera().shards(2).start(),
        Launch::oracle().start(),
    ]
}

#[test]
fn commands_out_of_place() {
    let lines = [
        "EXEC",
        "DISCARD",
        "EXEC now",
        "MULTI",
        "MULTI",
        "WATCH a",
        "MULTI again",
        "EXEC",
        "MULTI",
        "SUBSCRIBE ch",
        "EXEC",
        "SET a 1",
        "GET a",
        "MULTI",
        "EXEC",
        "PING there",
        "SSUBSCRIBE other",
        "BLPOP l 0",
        "WATCH a",
        "HELLO 2",
        "UNSUBSCRIBE",
        "SUNSUBSCRIBE",
        "SET a 1",
        "BLPOP",
        "BLPOP l",
        "CLIENT UNBLOCK 0",
        "CLIENT UNBLOCK x",
        "CLIENT UNBLOCK 1 SOON",
        "PUBLISH ch",
        "RESET",
        "WATCH",
        "UNWATCH a",
    ];
    let [ours, theirs] = both();
    let (mut a, mut b) = (ours.client(), theirs.client());
    for line in lines {
        for client in [&mut a, &mut b] {
            client.send(&words(line));
        }
        let frame = |client: &mut Client| {
            let frame = client.read_frame().expect("a reply");
            frame
                .expect("an open connection")
                .escape_ascii()
                .to_string()
        };
        assert_eq!(frame(&mut a), frame(&mut b), "{line}");
    }
}

/// A client with very many subscriptions: each is confirmed, all of them go with the client.
#[test]
fn a_hundred_thousand_subscriptions() {
    for shards in [1, 2] {
        let server = Launch::tessera()
            .shards(shards)
            .with("client-output-buffer-limit", "pubsub 0 0 0")
            .start();
        let (mut listener, mut other) = (server.client(), server.client());
        let before = used_bytes(&mut other);
        for part in 0..SUBSCRIPTIONS / AT_ONCE {
            let names = (0..AT_ONCE).map(|n| format!("channel:{}", part * AT_ONCE + n));
            let request: Vec<String> = std::iter::once("SUBSCRIBE".to_owned())
                .chain(names)
                .collect();
            listener.send(&request);
            for n in 0..AT_ONCE {
                let count = listener.read().elements()[2].int();
                assert_eq!(count, (part * AT_ONCE + n + 1) as i64);
            }
            assert_eq!(other.say("PING").text(), "PONG");
        }
        let most = before + SUBSCRIPTIONS * NAME_BYTES_MAX;
        let used = used_bytes(&mut other);
        assert!(used < most, "{used} bytes in use, {before} before");
        assert_eq!(other.say("PUBLISH channel:77777 here").int(), 1);
        assert_eq!(listener.read().elements()[2], Reply::bulk("here"));
        drop(listener);
        while other.say("PUBLISH channel:77777 gone").int() > 0 {}
        assert_eq!(other.say("PUBSUB CHANNELS").elements().len(), 0);
    }
}

/// A client that watches very many keys learns of the change of one of them, and others go on meanwhile.
#[test]
fn a_million_watched_keys() {
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        let (mut watcher, mut other) = (server.client(), server.client());
        let before = used_bytes(&mut other);
        for part in 0..WATCHED / AT_ONCE {
            let names = (0..AT_ONCE).map(|n| format!("key:{}", part * AT_ONCE + n));
            let request: Vec<String> = std::iter::once("WATCH".to_owned()).chain(names).collect();
            watcher.call(&request).expect_ok();
        }
        let used = used_bytes(&mut other);
        let most = before + WATCHED * NAME_BYTES_MAX;
        assert!(used < most, "{used} bytes in use, {before} before");
        other.say("SET key:777777 changed").expect_ok();
        let replies = watcher.pipeline(&[vec!["MULTI"], vec!["SET", "a", "1"], vec!["EXEC"]]);
        assert_eq!(replies[2], Reply::Null);
        let replies = watcher.pipeline(&[vec!["MULTI"], vec!["SET", "a", "1"], vec!["EXEC"]]);
        assert_eq!(replies[2].elements().len(), 1);
        assert_eq!(other.say("GET a"), Reply::bulk("1"));
    }
}

/// While a very long transaction runs, keys that are not its own are served.
#[test]
fn a_hundred_thousand_commands_in_one_transaction() {
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        let (mut client, mut other) = (server.client(), server.client());
        let mut bytes = Vec::new();
        encode(&["MULTI"], &mut bytes);
        for n in 0..QUEUED {
            encode(&["INCR", &format!("count:{}", n % 100)], &mut bytes);
        }
        encode(&["EXEC"], &mut bytes);
        let replies = scope(|s| {
            let long = s.spawn(move || {
                let mut last = Vec::new();
                let mut frames = 0;
                let taken = client.exchange(&bytes, |frame| {
                    frames += 1;
                    last = frame;
                    frames == QUEUED + 2
                });
                taken.expect("whole replies");
                last
            });
            while !long.is_finished() {
                other.say("SET mine 1").expect_ok();
                assert_eq!(other.say("GET mine"), Reply::bulk("1"));
            }
            long.join().expect("no panic")
        });
        assert!(replies.starts_with(format!("*{QUEUED}\r\n").as_bytes()));
        let counted = other.say("MGET count:0 count:99");
        assert_eq!(
            counted.elements(),
            [Reply::bulk("1000"), Reply::bulk("1000")]
        );
    }
}
