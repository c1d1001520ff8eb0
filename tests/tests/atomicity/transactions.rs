//! MULTI over several shards: nobody sees half of it, and WATCH loses no update.

use std::thread::scope;

use tessera_tests::reply::Reply;

use crate::hammer::{hammer, keys, over};

const ACCOUNTS: usize = 6;
const EACH: i64 = 1000;

fn sum(values: &Reply) -> i64 {
    let number = |value: &Reply| value.text().parse::<i64>().expect("a number");
    values.elements().iter().map(number).sum()
}

#[test]
fn transfers_keep_the_sum() {
    hammer(|h| {
        let accounts = keys("account", ACCOUNTS);
        let mut client = h.client();
        for account in &accounts {
            client
                .call(&["SET", account, &EACH.to_string()])
                .expect_ok();
        }
        scope(|s| {
            for giver in 0..3 {
                let accounts = &accounts;
                s.spawn(move || {
                    let mut client = h.client();
                    let mut round = giver;
                    while h.goes_on() {
                        round += 1;
                        let from = &accounts[round % ACCOUNTS];
                        let to = &accounts[(round * 5 + giver + 1) % ACCOUNTS];
                        let replies = client.pipeline(&[
                            vec!["MULTI"],
                            vec!["DECR", from],
                            vec!["INCR", to],
                            vec!["EXEC"],
                        ]);
                        assert_eq!(replies[3].elements().len(), 2);
                    }
                });
            }
            s.spawn(|| {
                let mut client = h.client();
                while h.another_round() {
                    let seen = client.call(&over("MGET", &accounts));
                    assert_eq!(sum(&seen), EACH * ACCOUNTS as i64, "{seen}");
                }
            });
            s.spawn(|| {
                let mut client = h.client();
                while h.another_round() {
                    let replies = client.pipeline(&[
                        vec!["MULTI".to_owned()],
                        over("MGET", &accounts),
                        vec!["DBSIZE".to_owned()],
                        over("MGET", &accounts),
                        vec!["EXEC".to_owned()],
                    ]);
                    let seen = replies[4].elements();
                    assert_eq!(seen[1], Reply::Int(ACCOUNTS as i64));
                    assert_eq!(
                        seen[0], seen[2],
                        "nothing comes between two commands of one"
                    );
                    assert_eq!(sum(&seen[0]), EACH * ACCOUNTS as i64);
                }
            });
        });
    });
}

#[test]
fn watch_loses_no_update() {
    hammer(|h| {
        let counters = keys("counter", 2);
        let added: i64 = scope(|s| {
            let rivals: Vec<_> = (0..3)
                .map(|_| {
                    let counters = &counters;
                    s.spawn(move || {
                        let (mut client, mut won) = (h.client(), 0);
                        while h.another_round() {
                            client.call(&over("WATCH", counters)).expect_ok();
                            let seen = client.call(&["GET", &counters[0]]);
                            let next = if seen == Reply::Null {
                                1
                            } else {
                                seen.text().parse::<i64>().expect("a number") + 1
                            };
                            let next = next.to_string();
                            let replies = client.pipeline(&[
                                vec!["MULTI"],
                                vec!["SET", &counters[0], &next],
                                vec!["SET", &counters[1], &next],
                                vec!["EXEC"],
                            ]);
                            won += i64::from(replies[3] != Reply::Null);
                        }
                        won
                    })
                })
                .collect();
            rivals
                .into_iter()
                .map(|rival| rival.join().expect("no panic"))
                .sum()
        });
        let mut client = h.client();
        let seen = client.call(&over("MGET", &counters));
        let expected = Reply::bulk(&added.to_string());
        assert_eq!(seen.elements(), [expected.clone(), expected]);
    });
}
