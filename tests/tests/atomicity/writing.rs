//! Writes of many keys at once: seen whole or not at all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;

use tessera_tests::reply::Reply;

use crate::hammer::{hammer, keys, number, one_value, over, write_all};

#[test]
fn mset_is_seen_whole() {
    hammer(|h| {
        let keys = keys("k", 12);
        h.client()
            .call(&write_all("MSET", &keys, "0:0"))
            .expect_ok();
        scope(|s| {
            for writer in 0..3 {
                let keys = &keys;
                s.spawn(move || {
                    let mut client = h.client();
                    let mut round = 0;
                    while h.goes_on() {
                        round += 1;
                        client
                            .call(&write_all("MSET", keys, &format!("{writer}:{round}")))
                            .expect_ok();
                    }
                });
            }
            s.spawn(|| {
                let mut client = h.client();
                while h.another_round() {
                    one_value(&client.call(&over("MGET", &keys)));
                }
            });
            s.spawn(|| {
                let mut client = h.client();
                let mut backwards = keys.clone();
                backwards.reverse();
                let batch = [
                    over("MGET", &keys),
                    over("MGET", &backwards),
                    over("MGET", &keys[3..7]),
                ];
                while h.another_round() {
                    client.pipeline(&batch).iter().for_each(|reply| {
                        one_value(reply);
                    });
                }
            });
        });
    });
}

/// Real time counts too: what was acknowledged is seen by whoever asks afterwards, and nobody sees
/// time run backwards.
#[test]
fn mset_is_seen_once_acknowledged() {
    hammer(|h| {
        let keys = keys("k", 8);
        h.client().call(&write_all("MSET", &keys, "0")).expect_ok();
        let (begun, acknowledged, seen) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        scope(|s| {
            s.spawn(|| {
                let mut client = h.client();
                for round in 1.. {
                    begun.store(round, Ordering::SeqCst);
                    client
                        .call(&write_all("MSET", &keys, &round.to_string()))
                        .expect_ok();
                    acknowledged.store(round, Ordering::SeqCst);
                    if !h.goes_on() {
                        break;
                    }
                }
            });
            for reader in 0..3 {
                let (keys, begun, acknowledged, seen) = (&keys, &begun, &acknowledged, &seen);
                s.spawn(move || {
                    let mut client = h.client();
                    while h.another_round() {
                        let at_least = acknowledged
                            .load(Ordering::SeqCst)
                            .max(seen.load(Ordering::SeqCst));
                        // One reader asks for a single key: those reads take a shorter way.
                        let value = match reader {
                            0 => client.call(&["GET", &keys[3]]),
                            _ => one_value(&client.call(&over("MGET", keys))),
                        };
                        let value = number(&value);
                        assert!(
                            value >= at_least,
                            "{value} was read after {at_least} was there"
                        );
                        let at_most = begun.load(Ordering::SeqCst);
                        assert!(
                            value <= at_most,
                            "{value} was read, {at_most} was the last begun"
                        );
                        seen.fetch_max(value, Ordering::SeqCst);
                    }
                });
            }
        });
    });
}

#[test]
fn msetnx_and_del_are_all_or_nothing() {
    hammer(|h| {
        let keys = keys("nx", 6);
        scope(|s| {
            for writer in 0..2 {
                let keys = &keys;
                s.spawn(move || {
                    let mut client = h.client();
                    let value = format!("writer {writer}");
                    while h.goes_on() {
                        let won = client.call(&write_all("MSETNX", keys, &value)).int();
                        assert!(won == 0 || won == 1, "MSETNX gave {won}");
                    }
                });
            }
            for command in ["DEL", "UNLINK"] {
                let keys = &keys;
                s.spawn(move || {
                    let mut client = h.client();
                    while h.another_round() {
                        let deleted = client.call(&over(command, keys)).int();
                        assert!(
                            deleted == 0 || deleted == 6,
                            "{command} found {deleted} of 6"
                        );
                    }
                });
            }
            s.spawn(|| {
                let mut client = h.client();
                while h.another_round() {
                    one_value(&client.call(&over("MGET", &keys)));
                    for command in ["EXISTS", "TOUCH"] {
                        let found = client.call(&over(command, &keys)).int();
                        assert!(found == 0 || found == 6, "{command} found {found} of 6");
                    }
                }
            });
        });
    });
}

/// MSETNX of overlapping keys: who comes second gets nothing, in any order of keys.
#[test]
fn overlapping_msetnx_has_one_winner() {
    hammer(|h| {
        let mut judge = h.client();
        let all = keys("o", 8);
        while h.another_round() {
            judge.call(&over("DEL", &all));
            let wins: i64 = scope(|s| {
                let rivals: Vec<_> = (0..4)
                    .map(|n| {
                        // Each takes three neighbours, so that each shares keys with the next.
                        let mine: Vec<String> =
                            (0..3).map(|i| all[(n * 2 + i) % 8].clone()).collect();
                        s.spawn(move || {
                            let won = h
                                .client()
                                .call(&write_all("MSETNX", &mine, &n.to_string()))
                                .int();
                            (won, mine, n)
                        })
                    })
                    .collect();
                let outcomes: Vec<_> = rivals
                    .into_iter()
                    .map(|rival| rival.join().expect("no panic"))
                    .collect();
                let mut judge = h.client();
                for (won, mine, n) in &outcomes {
                    if *won == 1 {
                        let value = one_value(&judge.call(&over("MGET", mine)));
                        assert_eq!(
                            value,
                            Reply::bulk(&n.to_string()),
                            "a winner was overwritten"
                        );
                    }
                }
                outcomes.iter().map(|(won, ..)| won).sum()
            });
            assert_eq!(wins, 2, "in a ring of four, two that do not touch win");
            let left = judge.call(&over("EXISTS", &all)).int();
            assert_eq!(left, wins * 3, "the losers left something");
        }
    });
}

#[test]
fn swapdb_is_one_step() {
    hammer(|h| {
        let keys = keys("s", 10);
        let mut client = h.client();
        for database in ["1", "2"] {
            client.call(&["SELECT", database]).expect_ok();
            client.call(&write_all("MSET", &keys, database)).expect_ok();
        }
        scope(|s| {
            s.spawn(|| {
                let mut client = h.client();
                while h.goes_on() {
                    client.call(&["SWAPDB", "1", "2"]).expect_ok();
                }
            });
            for _ in 0..2 {
                s.spawn(|| {
                    let mut client = h.client();
                    client.call(&["SELECT", "1"]).expect_ok();
                    while h.another_round() {
                        one_value(&client.call(&over("MGET", &keys)));
                        assert_eq!(client.call(&["DBSIZE"]).int(), 10);
                    }
                });
            }
        });
    });
}
