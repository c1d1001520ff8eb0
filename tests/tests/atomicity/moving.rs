//! Keys that change their name: there is one at every moment.

use std::thread::scope;

use tessera_tests::reply::Reply;

use crate::hammer::{hammer, keys, over};

#[test]
fn rename_never_shows_two_or_none() {
    hammer(|h| {
        // Several pairs: some cross shards, some do not.
        let (left, right) = (keys("left", 5), keys("right", 5));
        let mut client = h.client();
        for key in &left {
            client.call(&["SET", key, "token"]).expect_ok();
        }
        scope(|s| {
            for pair in 0..2 {
                let (left, right) = (&left, &right);
                s.spawn(move || {
                    let mut client = h.client();
                    while h.goes_on() {
                        for n in (pair..5).step_by(2) {
                            client.call(&["RENAME", &left[n], &right[n]]).expect_ok();
                            client.call(&["RENAME", &right[n], &left[n]]).expect_ok();
                        }
                    }
                });
            }
            s.spawn(|| {
                let mut client = h.client();
                while h.another_round() {
                    for (left, right) in left.iter().zip(&right) {
                        let pair = [left.clone(), right.clone()];
                        assert_eq!(client.call(&over("EXISTS", &pair)).int(), 1);
                        let values = client.call(&over("MGET", &pair));
                        let tokens = values
                            .elements()
                            .iter()
                            .filter(|value| **value == Reply::bulk("token"))
                            .count();
                        assert_eq!(tokens, 1, "{values}");
                    }
                }
            });
            s.spawn(|| {
                let mut client = h.client();
                while h.another_round() {
                    assert_eq!(client.call(&["DBSIZE"]).int(), 5);
                    assert_eq!(client.call(&["KEYS", "*"]).elements().len(), 5);
                    let some = client.call(&["RANDOMKEY"]).text();
                    assert!(left.contains(&some) || right.contains(&some), "{some}");
                }
            });
        });
    });
}

/// One token, many who want it: RENAMENX to a place of one's own has one winner.
#[test]
fn renamenx_has_one_winner() {
    hammer(|h| {
        let places = keys("place", 4);
        let mut judge = h.client();
        while h.another_round() {
            judge.call(&over("DEL", &places));
            judge.call(&["SET", "token", "1"]).expect_ok();
            let wins: usize = scope(|s| {
                let rivals: Vec<_> = places
                    .iter()
                    .map(|place| s.spawn(move || h.client().call(&["RENAMENX", "token", place])))
                    .collect();
                let replies = rivals
                    .into_iter()
                    .map(|rival| rival.join().expect("no panic"));
                replies.filter(|reply| *reply == Reply::Int(1)).count()
            });
            assert_eq!(wins, 1);
            assert_eq!(judge.call(&over("EXISTS", &places)).int(), 1);
            assert_eq!(judge.call(&["EXISTS", "token"]).int(), 0);
        }
    });
}

/// COPY reads and writes in one step: the copy is a value that the source had as a whole.
#[test]
fn copy_is_one_step() {
    hammer(|h| {
        let mut client = h.client();
        client
            .call(&["SET", "source", &"a".repeat(5000)])
            .expect_ok();
        scope(|s| {
            s.spawn(|| {
                let mut client = h.client();
                while h.goes_on() {
                    for letter in ["b", "c", "d"] {
                        client
                            .call(&["SET", "source", &letter.repeat(5000), "EX", "1000"])
                            .expect_ok();
                    }
                }
            });
            for target in 0..3 {
                s.spawn(move || {
                    let mut client = h.client();
                    let target = format!("target{target}");
                    while h.another_round() {
                        assert_eq!(
                            client.call(&["COPY", "source", &target, "REPLACE"]).int(),
                            1
                        );
                        let value = client.call(&["GET", &target]);
                        let bytes = value.bytes();
                        assert!(bytes.len() == 5000 && bytes.iter().all(|byte| *byte == bytes[0]));
                    }
                });
            }
        });
    });
}

/// MOVE takes a key from one database to the other: it is in one of them, and moved by one client.
#[test]
fn move_has_one_winner() {
    hammer(|h| {
        let mut judge = h.client();
        while h.another_round() {
            judge.call(&["FLUSHALL"]).expect_ok();
            judge.call(&["SET", "token", "1"]).expect_ok();
            let wins: i64 = scope(|s| {
                let rivals: Vec<_> = (1..5)
                    .map(|database: i32| {
                        s.spawn(move || {
                            h.client()
                                .call(&["MOVE", "token", &database.to_string()])
                                .int()
                        })
                    })
                    .collect();
                rivals
                    .into_iter()
                    .map(|rival| rival.join().expect("no panic"))
                    .sum()
            });
            assert_eq!(wins, 1);
            let info = judge.call(&["INFO", "keyspace"]).text();
            assert_eq!(info.matches("keys=1,").count(), 1, "{info}");
        }
    });
}
