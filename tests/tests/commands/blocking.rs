//! Waiting for lists: who is served when, and how waiting ends.

use std::thread::scope;

use tessera_tests::command::words;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

use crate::scene::{Cue, compare};

/// A script that holds its keys for a while.
const LONG: &str = "local n = 0 for i = 1, 20000000 do n = n + 1 end return n";

const SCENE: &[Cue] = &[
    ("one", "BLPOP a b c d 0", &[]),
    ("two", "BRPOP c 0", &[]),
    ("publisher", "PING", &[("publisher", 1)]),
    ("publisher", "CLIENT NO-EVICT on", &[("publisher", 1)]),
    (
        "publisher",
        "RPUSH c 1 2",
        &[("one", 1), ("publisher", 1), ("two", 1)],
    ),
    ("publisher", "EXISTS c", &[("publisher", 1)]),
    ("one", "BLPOP a b 0.01", &[("one", 1)]),
    ("one", "BLMOVE a b LEFT LEFT 0.01", &[("one", 1)]),
    ("one", "BLMPOP 0.01 2 a b LEFT", &[("one", 1)]),
    ("three", "BLPOP a b 0.01", &[("three", 1)]),
    ("three", "BLMOVE a b LEFT LEFT 0.01", &[("three", 1)]),
    ("one", "BLMOVE src dst LEFT RIGHT 0", &[]),
    ("two", "BRPOPLPUSH src other 0", &[]),
    ("publisher", "PING", &[("publisher", 1)]),
    ("publisher", "RPUSH src x", &[("one", 1), ("publisher", 1)]),
    ("publisher", "RPUSH src y", &[("two", 1), ("publisher", 1)]),
    ("publisher", "LRANGE dst 0 -1", &[("publisher", 1)]),
    ("publisher", "LRANGE other 0 -1", &[("publisher", 1)]),
    ("one", "BLMPOP 0 2 a b RIGHT COUNT 2", &[]),
    ("publisher", "PING", &[("publisher", 1)]),
    ("publisher", "MULTI", &[("publisher", 1)]),
    ("publisher", "RPUSH a 1", &[("publisher", 1)]),
    ("publisher", "DEL a", &[("publisher", 1)]),
    ("publisher", "RPUSH b 1 2 3", &[("publisher", 1)]),
    ("publisher", "EXEC", &[("publisher", 1), ("one", 1)]),
    ("publisher", "LRANGE b 0 -1", &[("publisher", 1)]),
    ("one", "BLPOP k 0", &[]),
    ("publisher", "PING", &[("publisher", 1)]),
    ("publisher", "SET k text", &[("publisher", 1)]),
    ("publisher", "DEL k", &[("publisher", 1)]),
    ("publisher", "RPUSH j 1", &[("publisher", 1)]),
    ("publisher", "RENAME j k", &[("publisher", 1), ("one", 1)]),
    ("one", "BLPOP first 0", &[]),
    ("two", "BLMOVE first second LEFT LEFT 0", &[]),
    ("three", "BLPOP second 0", &[]),
    ("publisher", "PING", &[("publisher", 1)]),
    (
        "publisher",
        "RPUSH first 1 2 3",
        &[("publisher", 1), ("one", 1), ("two", 1), ("three", 1)],
    ),
    ("publisher", "LRANGE first 0 -1", &[("publisher", 1)]),
    ("publisher", "MULTI", &[("publisher", 1)]),
    ("publisher", "BLPOP nothing 0", &[("publisher", 1)]),
    (
        "publisher",
        "BLMOVE nothing b LEFT LEFT 0",
        &[("publisher", 1)],
    ),
    ("publisher", "EXEC", &[("publisher", 1)]),
    ("one", "BLPOP q 0", &[]),
    ("publisher", "PING", &[("publisher", 1)]),
    (
        "publisher",
        "LPUSH q 1 2 3",
        &[("one", 1), ("publisher", 1)],
    ),
    ("publisher", "LRANGE q 0 -1", &[("publisher", 1)]),
    ("publisher", "XADD s1 1-1 a 1", &[("publisher", 1)]),
    ("one", "XREAD BLOCK 0 STREAMS s1 s2 0 0", &[("one", 1)]),
    ("one", "XREAD BLOCK 10 STREAMS s1 s2 $ $", &[("one", 1)]),
    ("one", "XREAD BLOCK 0 STREAMS s1 s2 $ $", &[]),
    ("three", "XREAD COUNT 1 BLOCK 0 STREAMS s2 $", &[]),
    (
        "publisher",
        "XADD s2 2-1 b 2",
        &[("publisher", 1), ("one", 1), ("three", 1)],
    ),
    ("publisher", "XGROUP CREATE s1 g $", &[("publisher", 1)]),
    ("publisher", "XGROUP CREATE s2 g $", &[("publisher", 1)]),
    (
        "one",
        "XREADGROUP GROUP g c BLOCK 10 STREAMS s1 s2 > >",
        &[("one", 1)],
    ),
    ("one", "XREADGROUP GROUP g c BLOCK 0 STREAMS s1 s2 > >", &[]),
    ("two", "XREADGROUP GROUP g d BLOCK 0 STREAMS s1 >", &[]),
    (
        "publisher",
        "XADD s1 2-1 c 3",
        &[("publisher", 1), ("one", 1)],
    ),
    (
        "publisher",
        "XADD s1 2-2 d 4",
        &[("publisher", 1), ("two", 1)],
    ),
    ("publisher", "XPENDING s1 g", &[("publisher", 1)]),
    ("publisher", "MULTI", &[("publisher", 1)]),
    (
        "publisher",
        "XREAD BLOCK 0 STREAMS s1 $",
        &[("publisher", 1)],
    ),
    ("publisher", "EXEC", &[("publisher", 1)]),
    ("one", "XREAD BLOCK -1 STREAMS s1 $", &[("one", 1)]),
    ("one", "XREAD BLOCK x STREAMS s1 $", &[("one", 1)]),
    // One that waits for a later entry is not in the way of another.
    ("one", "XREAD BLOCK 0 STREAMS s1 99", &[]),
    ("two", "XREAD BLOCK 0 STREAMS s1 $", &[]),
    (
        "publisher",
        "XADD s1 50-1 e 5",
        &[("publisher", 1), ("two", 1)],
    ),
    (
        "publisher",
        "XADD s1 99-1 e 5",
        &[("publisher", 1), ("one", 1)],
    ),
];

/// Waiting for members of sorted sets; every way in which one can come to be.
const MEMBERS: &[Cue] = &[
    ("one", "BZPOPMIN a b c d 0", &[]),
    ("three", "BZPOPMAX c 0", &[]),
    (
        "publisher",
        "ZADD c 1 x 2 y",
        &[("one", 1), ("publisher", 1), ("three", 1)],
    ),
    ("publisher", "EXISTS c", &[("publisher", 1)]),
    ("one", "BZPOPMIN a b 0.01", &[("one", 1)]),
    ("three", "BZPOPMAX a b 0.01", &[("three", 1)]),
    ("one", "BZMPOP 0.01 2 a b MIN", &[("one", 1)]),
    ("three", "BZMPOP 0.01 2 a b MAX COUNT 2", &[("three", 1)]),
    ("three", "BZMPOP 0 2 a b MAX COUNT 2", &[]),
    (
        "publisher",
        "ZADD b 1 x 2 y 3 z",
        &[("publisher", 1), ("three", 1)],
    ),
    ("publisher", "ZRANGE b 0 -1 WITHSCORES", &[("publisher", 1)]),
    ("one", "BZPOPMIN k 0", &[]),
    (
        "publisher",
        "ZINCRBY k 3 m",
        &[("publisher", 1), ("one", 1)],
    ),
    ("one", "BZPOPMIN k 0", &[]),
    ("publisher", "ZADD j 1 m", &[("publisher", 1)]),
    ("publisher", "RENAME j k", &[("publisher", 1), ("one", 1)]),
    ("one", "BZPOPMIN k 0", &[]),
    ("publisher", "ZADD j 1 m 2 n", &[("publisher", 1)]),
    ("publisher", "COPY j k", &[("publisher", 1), ("one", 1)]),
    ("one", "BZPOPMAX l 0", &[]),
    (
        "publisher",
        "ZUNIONSTORE l 1 j",
        &[("publisher", 1), ("one", 1)],
    ),
    ("one", "BZPOPMAX r 0", &[]),
    (
        "publisher",
        "ZRANGESTORE r j 0 0",
        &[("publisher", 1), ("one", 1)],
    ),
    ("one", "BZPOPMIN geo 0", &[]),
    (
        "publisher",
        "GEOADD geo 13 38 p 15 37 c",
        &[("publisher", 1), ("one", 1)],
    ),
    ("one", "BZPOPMIN near 0", &[]),
    (
        "publisher",
        "GEOSEARCHSTORE near geo FROMLONLAT 15 37 BYRADIUS 900 km",
        &[("publisher", 1), ("one", 1)],
    ),
    ("one", "BZPOPMIN other 0", &[]),
    ("publisher", "SELECT 1", &[("publisher", 1)]),
    ("publisher", "ZADD other 7 m", &[("publisher", 1)]),
    ("publisher", "MOVE other 0", &[("publisher", 1), ("one", 1)]),
    ("one", "BZPOPMIN swapped 0", &[]),
    ("publisher", "ZADD swapped 7 m", &[("publisher", 1)]),
    ("publisher", "SWAPDB 0 1", &[("publisher", 1), ("one", 1)]),
    ("publisher", "SWAPDB 0 1", &[("publisher", 1)]),
    ("publisher", "SELECT 0", &[("publisher", 1)]),
    ("one", "BZPOPMIN m n 0", &[]),
    ("publisher", "MULTI", &[("publisher", 1)]),
    ("publisher", "ZADD m 1 gone", &[("publisher", 1)]),
    ("publisher", "DEL m", &[("publisher", 1)]),
    ("publisher", "ZADD n 1 stays", &[("publisher", 1)]),
    ("publisher", "BZPOPMIN none 0", &[("publisher", 1)]),
    ("publisher", "EXEC", &[("publisher", 1), ("one", 1)]),
    // Who waits for another type is not in the way.
    ("one", "BLPOP both 0", &[]),
    ("two", "BZPOPMIN both 0", &[]),
    ("publisher", "SET both text", &[("publisher", 1)]),
    ("publisher", "DEL both", &[("publisher", 1)]),
    (
        "publisher",
        "ZADD both 1 m",
        &[("publisher", 1), ("two", 1)],
    ),
    ("two", "BZPOPMAX both 0", &[]),
    ("publisher", "RPUSH both e", &[("publisher", 1), ("one", 1)]),
    (
        "publisher",
        "ZADD both 4 m",
        &[("publisher", 1), ("two", 1)],
    ),
    ("one", "BLMOVE both else LEFT LEFT 0", &[]),
    ("two", "BZPOPMIN both 0", &[]),
    (
        "publisher",
        "ZADD both 5 m",
        &[("publisher", 1), ("two", 1)],
    ),
    ("publisher", "RPUSH both e", &[("publisher", 1), ("one", 1)]),
    ("one", "BZPOPMIN a 0 b", &[("one", 1)]),
    ("one", "BZMPOP 0 1 a MID", &[("one", 1)]),
    ("one", "BZPOPMAX else 0", &[("one", 1)]),
];

#[test]
fn as_the_oracle_serves_members() {
    compare(MEMBERS);
}

#[test]
fn as_the_oracle_serves_them() {
    compare(SCENE);
}

#[test]
fn unblocking_and_leaving() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut control = server.client();
        let waits = |control: &mut tessera_tests::client::Client, count: usize| {
            while !control
                .say("INFO clients")
                .text()
                .contains(&format!("blocked_clients:{count}\r"))
            {}
        };
        let mut client = server.client();
        let id = client.say("CLIENT ID").int().to_string();
        assert_eq!(control.call(&["CLIENT", "UNBLOCK", &id]), Reply::Int(0));
        client.send(&["BLPOP", "a", "b", "c", "0"]);
        waits(&mut control, 1);
        assert_eq!(
            control.call(&["CLIENT", "UNBLOCK", &id, "ERROR"]),
            Reply::Int(1)
        );
        assert_eq!(
            client.read(),
            Reply::Error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK".to_vec())
        );
        client.send(&["BLPOP", "a", "b", "c", "0"]);
        // What it sends meanwhile waits.
        client.send(&["PING"]);
        waits(&mut control, 1);
        assert_eq!(control.call(&["CLIENT", "UNBLOCK", &id]), Reply::Int(1));
        assert_eq!(client.read(), Reply::Null);
        assert_eq!(client.read(), Reply::Simple(b"PONG".to_vec()));
        client.send(&["BLPOP", "a", "b", "c", "0"]);
        waits(&mut control, 1);
        drop(client);
        waits(&mut control, 0);
        assert_eq!(control.say("RPUSH b kept"), Reply::Int(1));
        assert_eq!(control.say("LPOP b"), Reply::bulk("kept"));
    }
}

#[test]
fn every_element_is_delivered_once() {
    const ELEMENTS: usize = 3_000;
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    for shards in [2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut got: Vec<String> = scope(|s| {
            let takers: Vec<_> = (0..6)
                .map(|taker| {
                    let server = &server;
                    s.spawn(move || {
                        let mut client = server.client();
                        let mut got = Vec::new();
                        loop {
                            let keys = [
                                KEYS[taker % 4],
                                KEYS[(taker + 1) % 4],
                                KEYS[(taker + 2) % 4],
                                KEYS[(taker + 3) % 4],
                            ];
                            let words = ["BLPOP", keys[0], keys[1], keys[2], keys[3], "0"];
                            let element = client.call(&words).elements()[1].text();
                            if element == "end" {
                                return got;
                            }
                            got.push(element);
                        }
                    })
                })
                .collect();
            let mut giver = server.client();
            for n in 0..ELEMENTS {
                let key = KEYS[n * 7 % 4];
                giver.call(&["RPUSH", key, &n.to_string()]);
            }
            for n in 0..6 {
                giver.call(&["RPUSH", KEYS[n % 4], "end"]);
            }
            takers
                .into_iter()
                .flat_map(|taker| taker.join().expect("no panic"))
                .collect()
        });
        got.sort_by_key(|element| element.parse::<usize>().expect("a number"));
        let expected: Vec<String> = (0..ELEMENTS).map(|n| n.to_string()).collect();
        assert!(got == expected, "{} of {ELEMENTS}", got.len());
    }
}

/// A push that waits for a lock serves who waits for it, before what its client asks next ends the waiting.
#[test]
fn unblocking_does_not_overtake_a_push() {
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        let mut control = server.client();
        for key in ["a", "b", "c", "d"] {
            let (mut waiter, mut busy) = (server.client(), server.client());
            let id = waiter.say("CLIENT ID").int().to_string();
            waiter.send(&["BLPOP", key, "0"]);
            wait_until("it waits", || {
                let line = control.call(&["CLIENT", "LIST", "ID", &id]).text();
                line.contains("flags=b")
            });
            busy.send(&["EVAL", LONG, "1", key]);
            let replies = control.pipeline(&[
                vec!["RPUSH", key, "x"],
                vec!["CLIENT", "UNBLOCK", &id, "ERROR"],
            ]);
            assert_eq!(replies, [Reply::Int(1), Reply::Int(0)], "{key}");
            assert_eq!(waiter.read().elements()[1], Reply::bulk("x"));
            assert!(matches!(busy.read(), Reply::Int(_)));
        }
    }
}

/// Ending somebody's waiting, and giving him something, in one piece: the first comes first, although every shard has to hear of it.
#[test]
fn an_end_of_waiting_comes_before_what_its_client_does_next() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let (mut waiter, mut other) = (server.client(), server.client());
        let id = waiter.say("CLIENT ID");
        let Reply::Int(id) = id else { panic!("{id:?}") };
        for round in 0..200 {
            let key = format!("k{round}");
            waiter.send(&["BLPOP", &key, "0"]);
            wait_until("it waits", || {
                let info = other.say("INFO clients").text();
                info.contains("blocked_clients:1")
            });
            let replies = other.pipeline(&[
                words(&format!("CLIENT UNBLOCK {id}")),
                words(&format!("LPUSH {key} x")),
            ]);
            assert_eq!(replies, [Reply::Int(1), Reply::Int(1)], "round {round}");
            assert_eq!(waiter.read(), Reply::Null, "round {round}");
        }
    }
}
