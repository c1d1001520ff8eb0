//! Scripts over several shards: nobody sees half of one, whether its keys are declared or not.

use std::thread::scope;

use tessera_tests::reply::Reply;

use crate::hammer::{Hammer, hammer, keys, over};

const ACCOUNTS: usize = 6;
const EACH: i64 = 1000;

/// Moves one from the first key to the second, and counts it under a key that nobody has declared.
const TRANSFER: &str = "redis.call('decr', KEYS[1]) redis.call('incr', KEYS[2]) return redis.call('incr', 'moves:' .. KEYS[1])";
/// The same with names that the server cannot see.
const HIDDEN: &str = "redis.call('decr', ARGV[1]) redis.call('incr', ARGV[2]) return redis.call('incr', 'moves:' .. ARGV[1])";
/// The sum, read key by key.
const SUM: &str =
    "local sum = 0 for i = 1, #ARGV do sum = sum + redis.call('get', ARGV[i]) end return sum";
/// The same after a while in which the script is paused.
const SLOW_SUM: &str = "local sum = redis.call('get', KEYS[1]) for i = 1, 60000 do end for i = 2, #KEYS do sum = sum + redis.call('get', KEYS[i]) end return tonumber(sum)";

fn sum(values: &Reply) -> i64 {
    let number = |value: &Reply| value.text().parse::<i64>().expect("a number");
    values.elements().iter().map(number).sum()
}

fn transfers(h: &Hammer, giver: usize, accounts: &[String]) {
    let mut client = h.client();
    let mut round = giver;
    while h.goes_on() {
        round += 1;
        let from = &accounts[round % ACCOUNTS];
        let to = &accounts[(round * 5 + giver + 1) % ACCOUNTS];
        let reply = if round.is_multiple_of(2) {
            client.call(&["EVAL", TRANSFER, "2", from, to])
        } else {
            client.call(&["EVAL", HIDDEN, "0", from, to])
        };
        assert!(matches!(reply, Reply::Int(_)), "{reply}");
    }
}

#[test]
fn transfers_by_scripts_keep_the_sum() {
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
                s.spawn(move || transfers(h, giver, accounts));
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
                let names: Vec<&str> = accounts.iter().map(String::as_str).collect();
                let hidden = [&["EVAL", SUM, "0"], &names[..]].concat();
                let slow = [&["EVAL", SLOW_SUM, "6"], &names[..]].concat();
                while h.another_round() {
                    for words in [&hidden, &slow] {
                        let seen = client.call(words);
                        assert_eq!(seen, Reply::Int(EACH * ACCOUNTS as i64));
                    }
                }
            });
        });
    });
}

#[test]
fn a_script_that_starts_again_counts_once() {
    hammer(|h| {
        let names = keys("counter", ACCOUNTS);
        let code = "for i = 1, #ARGV do redis.call('incr', ARGV[i]) end redis.call('rpush', 'log', ARGV[1]) return 1";
        let runs: i64 = scope(|s| {
            let rivals: Vec<_> = (0..3)
                .map(|_| {
                    let names = &names;
                    s.spawn(move || {
                        let (mut client, mut runs) = (h.client(), 0);
                        let names = names.iter().map(String::as_str);
                        let words: Vec<&str> =
                            ["EVAL", code, "0"].into_iter().chain(names).collect();
                        while h.another_round() {
                            assert_eq!(client.call(&words), Reply::Int(1));
                            runs += 1;
                        }
                        runs
                    })
                })
                .collect();
            rivals
                .into_iter()
                .map(|rival| rival.join().expect("no panic"))
                .sum()
        });
        let mut client = h.client();
        assert_eq!(
            sum(&client.call(&over("MGET", &names))),
            runs * ACCOUNTS as i64
        );
        assert_eq!(client.call(&["LLEN", "log"]), Reply::Int(runs));
    });
}
