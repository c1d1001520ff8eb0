//! SORT over keys that no argument names, on one, two and four shards: they are fetched from wherever they lie.

use std::thread::scope;

use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

use crate::both::Both;

const SETUP: &[&str] = &[
    "RPUSH l 1 2 3 4 5 6 7 8 9 10",
    "MSET w_1 5 w_2 4 w_3 3 w_4 2 w_5 1 w_6 10 w_7 9 w_8 8 w_9 7 w_10 6",
    "MSET n_1 e n_2 d n_3 c n_4 b n_5 a",
    "HSET h_1 age 30 name x",
    "HSET h_2 age 20 name y",
    "HSET h_7 age 10",
];

const SORTS: &[&str] = &[
    "SORT l BY w_*",
    "SORT l BY w_* DESC LIMIT 2 3 GET # GET n_* GET h_*->name",
    "SORT l BY n_* ALPHA GET n_*",
    "SORT_RO l BY h_*->age GET h_*->age GET #",
    "SORT l BY n_*",
    "SORT l GET w_* GET missing_* STORE target",
    "LRANGE target 0 -1",
    "TYPE target",
    "SORT l BY w_* STORE l",
    "LRANGE l 0 -1",
    "SORT l BY nosort GET l GET *",
    "SORT none BY w_* GET n_*",
    "SORT h_1 BY w_*",
    "SORT none BY w_* STORE target",
    "EXISTS target",
];

#[test]
fn keys_of_patterns_are_fetched() {
    for shards in [1, 2, 4] {
        let mut both = Both::start_on(shards);
        both.say(SETUP);
        both.say(SORTS);
        both.speak_resp3();
        both.say(SORTS);
    }
}

#[test]
fn in_a_transaction() {
    for shards in [1, 2, 4] {
        let mut both = Both::start_on(shards);
        both.say(SETUP);
        both.say(&["MULTI", "SET w_1 100", "RPUSH l 11", "SET w_11 -1"]);
        both.say(SORTS);
        both.say(&["SET w_2 200", "SORT l BY w_* GET w_*", "EXEC", "DBSIZE"]);
    }
}

/// What comes later on the connection is not seen, and what came earlier is, although the keys are asked for late.
#[test]
fn in_the_order_of_a_pipeline() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        client.call(&["RPUSH", "l", "1", "2", "3"]);
        for round in 0..50 {
            let (old, new) = (format!("old{round}"), format!("new{round}"));
            let set = |value: &str| -> Vec<String> {
                ["MSET", "v_1", value, "v_2", value, "v_3", value]
                    .map(str::to_owned)
                    .to_vec()
            };
            let get: Vec<String> = ["SORT", "l", "GET", "v_*"].map(str::to_owned).to_vec();
            let replies = client.pipeline(&[
                set(&old),
                get.clone(),
                set(&new),
                get.clone(),
                vec!["DEL".to_owned(), "v_2".to_owned()],
                get,
            ]);
            let all = |value: &str| vec![Reply::bulk(value); 3];
            assert_eq!(replies[1].elements(), all(&old));
            assert_eq!(replies[3].elements(), all(&new));
            assert_eq!(replies[5].elements()[1], Reply::Null);
        }
    }
}

/// Keys of several shards that are always written together are read together.
#[test]
fn while_others_write() {
    const ROUNDS: usize = 300;
    for shards in [2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        let elements: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        client.call(&[&["RPUSH".to_owned(), "l".to_owned()], &elements[..]].concat());
        let write = |value: &str| {
            let pairs = elements
                .iter()
                .flat_map(|n| [format!("v_{n}"), value.to_owned()]);
            std::iter::once("MSET".to_owned())
                .chain(pairs)
                .collect::<Vec<_>>()
        };
        client.call(&write("0")).expect_ok();
        scope(|s| {
            let writer = s.spawn(|| {
                let mut client = server.client();
                for round in 0..ROUNDS {
                    client.call(&write(&round.to_string())).expect_ok();
                }
            });
            let mut readers = Vec::new();
            for _ in 0..2 {
                readers.push(s.spawn(|| {
                    let mut client = server.client();
                    for round in 0..ROUNDS {
                        let seen = if round % 2 == 0 {
                            client.call(&["SORT", "l", "BY", "v_*", "GET", "v_*"])
                        } else {
                            client.call(&["SORT_RO", "l", "BY", "nosort", "GET", "v_*"])
                        };
                        let seen = seen.elements();
                        assert_eq!(seen.len(), 12);
                        assert!(seen.iter().all(|value| value == &seen[0]), "{seen:?}");
                    }
                }));
            }
            writer.join().expect("no panic");
            for reader in readers {
                reader.join().expect("no panic");
            }
        });
    }
}
