//! The order of a pipeline is kept for everyone who looks, and a reply means that it is done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;

use tessera_tests::command::words;

use crate::hammer::{hammer, number};

/// Pairs of keys, most of them on different shards.
const PAIRS: [(&str, &str); 4] = [
    ("a", "b"),
    ("first", "second"),
    ("x", "y"),
    ("{t}1", "{u}1"),
];

#[test]
fn later_writes_never_show_before_earlier_ones() {
    hammer(|h| {
        scope(|s| {
            s.spawn(|| {
                let mut client = h.client();
                let mut n = 0;
                while h.goes_on() {
                    // Several rounds in one pipeline, so that batches are cut anywhere.
                    let mut batch = Vec::new();
                    for _ in 0..8 {
                        n += 1;
                        for (first, second) in PAIRS {
                            batch.push(words(&format!("SET {first} {n}")));
                            batch.push(words(&format!("SET {second} {n}")));
                        }
                    }
                    client.pipeline(&batch);
                }
            });
            s.spawn(|| {
                let mut client = h.client();
                while h.another_round() {
                    for (first, second) in PAIRS {
                        let later = number(&client.call(&["GET", second]));
                        let earlier = number(&client.call(&["GET", first]));
                        assert!(
                            earlier >= later,
                            "{second} was {later}, then {first} {earlier}"
                        );
                    }
                }
            });
            s.spawn(|| {
                let mut client = h.client();
                let mut batch = Vec::new();
                for (first, second) in PAIRS {
                    batch.push(words(&format!("GET {second}")));
                    batch.push(words(&format!("GET {first}")));
                }
                while h.another_round() {
                    let values: Vec<u64> = client.pipeline(&batch).iter().map(number).collect();
                    for pair in values.chunks(2) {
                        assert!(pair[1] >= pair[0], "in one pipeline: {values:?}");
                    }
                }
            });
            s.spawn(|| {
                let mut client = h.client();
                while h.another_round() {
                    for (first, second) in PAIRS {
                        let values = client.call(&["MGET", first, second]);
                        let (first, second) =
                            (number(&values.elements()[0]), number(&values.elements()[1]));
                        assert!(first == second || first == second + 1, "{values}");
                    }
                }
            });
        });
    });
}

/// A multi-key write between single ones keeps its place.
#[test]
fn multi_key_commands_keep_their_place_in_a_pipeline() {
    hammer(|h| {
        scope(|s| {
            s.spawn(|| {
                let mut client = h.client();
                let mut n = 0;
                while h.goes_on() {
                    n += 1;
                    let batch = [
                        words(&format!("SET p {n}")),
                        words(&format!("MSET q {n} r {n}")),
                        words(&format!("SET s {n}")),
                        words("MGET p q r s"),
                        words("INCR counter"),
                        words("GET counter"),
                    ];
                    let replies = client.pipeline(&batch);
                    let own: Vec<u64> = replies[3].elements().iter().map(number).collect();
                    assert_eq!(own, [n; 4], "a client reads its own writes in order");
                    assert_eq!(number(&replies[5]), n);
                }
            });
            for _ in 0..2 {
                s.spawn(|| {
                    let mut client = h.client();
                    let backwards = [words("GET s"), words("MGET r q"), words("GET p")];
                    while h.another_round() {
                        let replies = client.pipeline(&backwards);
                        let (s, p) = (number(&replies[0]), number(&replies[2]));
                        let (r, q) = (
                            number(&replies[1].elements()[0]),
                            number(&replies[1].elements()[1]),
                        );
                        assert!(r == q && s <= r && r <= p, "s {s}, r {r}, q {q}, p {p}");
                    }
                });
            }
        });
    });
}

/// Once a write is acknowledged, everyone sees it, over whichever connection.
#[test]
fn acknowledged_writes_are_seen_by_all() {
    hammer(|h| {
        const KEYS: usize = 6;
        let acknowledged: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
        scope(|s| {
            for n in 0..2 {
                let acknowledged = &acknowledged;
                s.spawn(move || {
                    let mut client = h.client();
                    for round in 1.. {
                        for key in (n..KEYS).step_by(2) {
                            client
                                .call(&["SET", &format!("key{key}"), &round.to_string()])
                                .expect_ok();
                            acknowledged[key].store(round, Ordering::SeqCst);
                        }
                        if !h.goes_on() {
                            break;
                        }
                    }
                });
            }
            for _ in 0..2 {
                s.spawn(|| {
                    // Connections land on any shard: look from several.
                    let mut clients: Vec<_> = (0..4).map(|_| h.client()).collect();
                    while h.another_round() {
                        for (at, client) in clients.iter_mut().enumerate() {
                            let key = at % KEYS;
                            let least = acknowledged[key].load(Ordering::SeqCst);
                            let value = number(&client.call(&["GET", &format!("key{key}")]));
                            assert!(
                                value >= least,
                                "key{key} is {value} after {least} was acknowledged"
                            );
                        }
                    }
                });
            }
        });
    });
}
