//! Client-side caching with fifty connections: what a client has read and was not told of is what the server has.

use std::collections::HashMap;
use std::thread::scope;

use tessera_tests::client::Client;
use tessera_tests::reply::Reply;

use crate::hammer::{Hammer, hammer};

const READERS: usize = 25;
const WRITERS: usize = 24;
const KEYS: usize = 24;
/// Messages to and fro between all shards, until what they had to say has come.
const ROUNDS_TO_REST: usize = 6;

/// Both keys from the numbers, none of them declared.
const SCRIPT: &str =
    "redis.call('set', 'key:' .. ARGV[1], ARGV[3]) redis.call('del', 'key:' .. ARGV[2]) return 1";

fn key(number: usize) -> String {
    format!("key:{}", number % KEYS)
}

/// Changes keys in all the ways there are, until the time is over.
fn write(h: &Hammer, writer: usize) {
    let mut client = h.client();
    let mut round = writer;
    while h.goes_on() {
        round += WRITERS;
        let (a, b) = (key(round * 7), key(round * 11 + writer));
        let value = round.to_string();
        let (a, b, v) = (a.as_str(), b.as_str(), value.as_str());
        match round / WRITERS % 7 {
            0 => drop(client.call(&["SET", a, v])),
            1 => drop(client.call(&["MSET", a, v, b, v])),
            2 => drop(client.call(&["RENAME", a, b])),
            3 => drop(client.call(&["SET", a, v, "PX", "2"])),
            4 => drop(client.pipeline(&[
                vec!["MULTI"],
                vec!["SET", a, v],
                vec!["DEL", b],
                vec!["EXEC"],
            ])),
            5 => {
                let numbers = [round * 7 % KEYS, round * 5 % KEYS].map(|n| n.to_string());
                let [one, other] = &numbers;
                drop(client.call(&["EVAL", SCRIPT, "0", one, other, v]));
            }
            _ => drop(client.call(&["DEL", a, b])),
        }
    }
}

/// What a client has read and not been told of.
struct Cache {
    client: Client,
    values: HashMap<String, Reply>,
}

impl Cache {
    /// The next reply; what is told before it is forgotten.
    fn answer(&mut self) -> Reply {
        loop {
            let frame = self.client.read();
            match &frame {
                Reply::Array(words) if words.first() == Some(&Reply::bulk("invalidate")) => {
                    match &words[1] {
                        Reply::Null => self.values.clear(),
                        keys => keys.elements().iter().for_each(|key| {
                            self.values.remove(&key.text());
                        }),
                    }
                }
                _ => return frame,
            }
        }
    }

    fn read(&mut self, keys: [String; 3]) {
        let [a, b, c] = &keys;
        self.client.send(&["GET", a]);
        self.client.send(&["MGET", b, c]);
        let first = self.answer();
        self.values.insert(a.clone(), first);
        let pair = self.answer();
        for (key, value) in [b, c].into_iter().zip(pair.elements()) {
            self.values.insert(key.clone(), value.clone());
        }
    }
}

/// Reads and caches until the time is over.
fn read(h: &Hammer, reader: usize) -> Cache {
    let mut client = h.client3();
    let how = [
        "CLIENT TRACKING ON",
        "CLIENT TRACKING ON BCAST",
        "CLIENT TRACKING ON NOLOOP",
    ];
    client.say(how[reader % how.len()]).expect_ok();
    let mut cache = Cache {
        client,
        values: HashMap::new(),
    };
    let mut round = reader;
    while h.another_round() {
        round += 1;
        cache.read([key(round), key(round * 3 + 1), key(round * 5 + reader)]);
    }
    cache
}

#[test]
fn what_was_not_told_of_has_not_changed() {
    hammer(|h| {
        let caches: Vec<Cache> = scope(|s| {
            let readers: Vec<_> = (0..READERS)
                .map(|reader| s.spawn(move || read(h, reader)))
                .collect();
            for writer in 0..WRITERS {
                s.spawn(move || write(h, writer));
            }
            let readers = readers.into_iter();
            readers
                .map(|reader| reader.join().expect("no panic"))
                .collect()
        });
        let mut judge = h.client();
        // Keys whose time has come go, and their readers are told of it.
        for number in 0..KEYS {
            while judge.call(&["PTTL", &key(number)]).int() >= 0 {}
        }
        for mut cache in caches {
            for _ in 0..ROUNDS_TO_REST {
                cache.client.send(&["DBSIZE"]);
                cache.answer();
            }
            for (key, cached) in &cache.values {
                assert_eq!(judge.call(&["GET", key]), *cached, "{key}");
            }
        }
    });
}
