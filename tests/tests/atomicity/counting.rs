//! Sums that must come out: no increment lost, no value handed out twice, no batch counted by half.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::scope;

use tessera_tests::command::words;
use tessera_tests::reply::Reply;

use crate::hammer::{hammer, keys, number, over, write_all};

#[test]
fn no_increment_is_lost() {
    hammer(|h| {
        let keys = keys("n", 8);
        let sum = AtomicI64::new(0);
        scope(|s| {
            for thread in 0..4 {
                let (keys, sum) = (&keys, &sum);
                s.spawn(move || {
                    let mut client = h.client();
                    let batch: Vec<_> = keys
                        .iter()
                        .map(|key| words(&format!("INCRBY {key} {}", thread + 1)))
                        .collect();
                    let mut last = vec![0; keys.len()];
                    while h.another_round() {
                        let now: Vec<i64> =
                            client.pipeline(&batch).iter().map(Reply::int).collect();
                        assert!(
                            now.iter().zip(&last).all(|(now, last)| now > last),
                            "{last:?} then {now:?}"
                        );
                        last = now;
                        sum.fetch_add((thread + 1) * 8, Ordering::Relaxed);
                    }
                });
            }
        });
        let values = h.client().call(&over("MGET", &keys));
        let stored: u64 = values.elements().iter().map(number).sum();
        assert_eq!(i64::try_from(stored), Ok(sum.load(Ordering::Relaxed)));
    });
}

#[test]
fn batches_of_keys_are_counted_whole() {
    hammer(|h| {
        const BATCH: usize = 5;
        scope(|s| {
            for writer in 0..2 {
                s.spawn(move || {
                    let mut client = h.client();
                    let (old, new) = (
                        keys(&format!("old{writer}-"), BATCH),
                        keys(&format!("new{writer}-"), BATCH),
                    );
                    while h.goes_on() {
                        client.call(&write_all("MSET", &old, "v")).expect_ok();
                        for (old, new) in old.iter().zip(&new) {
                            client.call(&["RENAME", old, new]).expect_ok();
                        }
                        assert_eq!(client.call(&over("DEL", &new)).int(), 5);
                    }
                });
            }
            s.spawn(|| {
                let mut client = h.client();
                while h.another_round() {
                    let size = client.call(&["DBSIZE"]).int();
                    assert!(size % 5 == 0 && size <= 10, "DBSIZE is {size}");
                    let found = client.call(&["KEYS", "*"]).elements().len();
                    assert!(found % BATCH == 0 && found <= 10, "KEYS found {found}");
                }
            });
        });
    });
}

#[test]
fn flushall_leaves_nothing_or_all() {
    hammer(|h| {
        let keys = keys("f", 10);
        scope(|s| {
            s.spawn(|| {
                let mut client = h.client();
                while h.goes_on() {
                    client.call(&write_all("MSET", &keys, "v")).expect_ok();
                }
            });
            s.spawn(|| {
                let mut client = h.client();
                while h.goes_on() {
                    for command in ["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC"] {
                        client.say(command).expect_ok();
                    }
                }
            });
            s.spawn(|| {
                let mut client = h.client();
                while h.another_round() {
                    for count in [
                        client.call(&["DBSIZE"]).int(),
                        client.call(&over("EXISTS", &keys)).int(),
                        i64::try_from(client.call(&["KEYS", "f*"]).elements().len())
                            .expect("a small number"),
                    ] {
                        assert!(count == 0 || count == 10, "{count} of 10 keys");
                    }
                }
            });
        });
    });
}

/// Each value that was put in comes out once, through GETSET, GETDEL or SET GET.
#[test]
fn every_value_is_handed_out_once() {
    hammer(|h| {
        let handed_out = Mutex::new(BTreeSet::new());
        let take = |reply: &Reply| {
            if *reply != Reply::Null {
                let fresh = handed_out
                    .lock()
                    .expect("no panic")
                    .insert(reply.bytes().to_vec());
                assert!(fresh, "{reply} was handed out twice");
            }
        };
        let put = AtomicI64::new(0);
        scope(|s| {
            for thread in 0..4 {
                let (take, put) = (&take, &put);
                s.spawn(move || {
                    let mut client = h.client();
                    let mut round = 0;
                    while h.another_round() {
                        round += 1;
                        let (key, value) =
                            (format!("box{}", round % 3), format!("{thread}-{round}"));
                        let reply = match round % 4 {
                            0 => client.call(&["GETDEL", &key]),
                            1 => client.call(&["SET", &key, &value, "GET"]),
                            _ => client.call(&["GETSET", &key, &value]),
                        };
                        put.fetch_add(i64::from(round % 4 != 0), Ordering::Relaxed);
                        take(&reply);
                    }
                });
            }
        });
        let mut client = h.client();
        for n in 0..3 {
            take(&client.call(&["GETDEL", &format!("box{n}")]));
        }
        let out = handed_out.lock().expect("no panic").len();
        assert_eq!(
            i64::try_from(out),
            Ok(put.load(Ordering::Relaxed)),
            "some value was lost"
        );
    });
}

/// SET NX as a lock: what it guards is read and written in two commands, and comes out right.
#[test]
fn a_lock_excludes() {
    hammer(|h| {
        let done = AtomicI64::new(0);
        scope(|s| {
            for thread in 0..4 {
                let done = &done;
                s.spawn(move || {
                    let mut client = h.client();
                    let name = thread.to_string();
                    while h.goes_on() {
                        if client.call(&["SET", "lock", &name, "NX", "EX", "1000"]) == Reply::Null {
                            continue;
                        }
                        let value = number(&client.call(&["GET", "guarded"]));
                        client
                            .call(&["SET", "guarded", &(value + 1).to_string()])
                            .expect_ok();
                        assert_eq!(client.call(&["GETDEL", "lock"]), Reply::bulk(&name));
                        done.fetch_add(1, Ordering::Relaxed);
                        h.another_round();
                    }
                });
            }
        });
        let guarded = number(&h.client().call(&["GET", "guarded"]));
        assert_eq!(i64::try_from(guarded), Ok(done.load(Ordering::Relaxed)));
    });
}

/// Records appended by many clients stay whole.
#[test]
fn appended_records_stay_whole() {
    hammer(|h| {
        let written = AtomicI64::new(0);
        scope(|s| {
            for thread in 0..4 {
                let written = &written;
                s.spawn(move || {
                    let mut client = h.client();
                    let record = format!("<{}>", thread.to_string().repeat(9));
                    let batch = vec![words(&format!("APPEND log {record}")); 3];
                    // Enough is enough: the log is read at the end.
                    while h.another_round() && written.load(Ordering::Relaxed) < 200_000 {
                        let lengths: Vec<i64> =
                            client.pipeline(&batch).iter().map(Reply::int).collect();
                        assert!(
                            lengths.windows(2).all(|pair| pair[1] > pair[0]),
                            "{lengths:?}"
                        );
                        written.fetch_add(3, Ordering::Relaxed);
                    }
                });
            }
        });
        let log = h.client().call(&["GET", "log"]);
        let records: Vec<&[u8]> = log.bytes().chunks(11).collect();
        assert_eq!(
            i64::try_from(records.len()),
            Ok(written.load(Ordering::Relaxed))
        );
        for record in records {
            let whole = record[0] == b'<'
                && record[10] == b'>'
                && record[1..10].iter().all(|byte| *byte == record[1]);
            assert!(whole, "{}", record.escape_ascii());
        }
    });
}
