//! `author`: writes scenes: transactions, WATCH, waiting, messages, in an order that a seed decides.
//!
//! Nothing that is told depends on time or chance: who waits does so until somebody ends it.

use crate::rng::Rng;

/// Who speaks; the last one speaks RESP3.
pub const CAST: [&str; 4] = ["one", "two", "three", "four"];

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// One of the cast says these words.
    Say(usize, String),
    /// One of the cast stops waiting, if it waits: CLIENT UNBLOCK with this word.
    Unblock(usize, &'static str),
    /// One of the cast leaves and comes back.
    Return(usize),
}

const KEYS: &[&str] = &["a", "b", "c", "{a}d", "list", "queue", "{list}e"];
const STREAMS: &[&str] = &["s", "t"];
const CHANNELS: &[&str] = &["news", "noise", "quiet"];

/// A scene under way.
struct Author {
    rng: Rng,
    values: usize,
    entries: usize,
}

/// The scene of a seed.
#[must_use]
pub fn write(seed: u64, length: usize) -> Vec<Act> {
    let mut author = Author {
        rng: Rng::new(seed),
        values: 0,
        entries: 0,
    };
    (0..length).map(|_| author.act()).collect()
}

impl Author {
    fn key(&mut self) -> &'static str {
        self.rng.pick(KEYS)
    }

    fn value(&mut self) -> String {
        self.values += 1;
        format!("v{}", self.values)
    }

    fn side(&mut self) -> &'static str {
        self.rng.pick(&["LEFT", "RIGHT"])
    }

    fn act(&mut self) -> Act {
        let who = self.rng.below(CAST.len());
        match self.rng.below(100) {
            0..=3 => Act::Unblock(who, self.rng.pick(&["TIMEOUT", "ERROR"])),
            4..=6 => Act::Return(who),
            7..=36 => Act::Say(who, self.transaction()),
            37..=54 => Act::Say(who, self.waiting()),
            55..=69 => Act::Say(who, self.message()),
            70..=91 => Act::Say(who, self.change()),
            _ => Act::Say(who, self.question()),
        }
    }

    fn transaction(&mut self) -> String {
        match self.rng.below(20) {
            0..=4 => "MULTI".to_owned(),
            5..=10 => "EXEC".to_owned(),
            11 => "DISCARD".to_owned(),
            12..=15 => {
                let keys: Vec<&str> = (0..self.rng.between(1, 3)).map(|_| self.key()).collect();
                format!("WATCH {}", keys.join(" "))
            }
            16 => "UNWATCH".to_owned(),
            17 => self
                .rng
                .pick(&["MULTI now", "NOSUCH", "SET a", "EXEC 1", "WATCH"])
                .to_owned(),
            18 => "RESET".to_owned(),
            _ => format!("SELECT {}", self.rng.pick(&["0", "0", "1"])),
        }
    }

    fn waiting(&mut self) -> String {
        let (a, b) = (self.key(), self.key());
        let (from, to) = (self.side(), self.side());
        match self.rng.below(12) {
            0..=2 => format!("BLPOP {a} {b} 0"),
            3 => format!("BRPOP {a} 0"),
            4 | 5 => format!("BLMOVE {a} {b} {from} {to} 0"),
            6 => format!("BRPOPLPUSH {a} {b} 0"),
            7 => format!("BLMPOP 0 2 {a} {b} {from} COUNT 2"),
            8 => format!("BZPOPMIN {a} z 0"),
            9 => format!("BZMPOP 0 2 z {a} MAX"),
            10 => format!("XREAD BLOCK 0 STREAMS s t $ {}", self.rng.pick(&["$", "0"])),
            _ => format!("XREADGROUP GROUP g {from} BLOCK 0 STREAMS s >"),
        }
    }

    fn message(&mut self) -> String {
        let channel = self.rng.pick(CHANNELS);
        match self.rng.below(14) {
            0..=5 => format!("PUBLISH {channel} {}", self.value()),
            6 => format!("SPUBLISH {channel} {}", self.value()),
            7 | 8 => format!("SUBSCRIBE {channel}"),
            9 => "PSUBSCRIBE n*".to_owned(),
            10 => format!("SSUBSCRIBE {channel}"),
            11 => format!("UNSUBSCRIBE {channel}"),
            12 => self
                .rng
                .pick(&["PUNSUBSCRIBE n*", "SUNSUBSCRIBE news", "UNSUBSCRIBE other"])
                .to_owned(),
            _ => self
                .rng
                .pick(&["PUBSUB NUMPAT", "PUBSUB NUMSUB news noise"])
                .to_owned(),
        }
    }

    fn change(&mut self) -> String {
        let (a, b) = (self.key(), self.key());
        let (v, w) = (self.value(), self.value());
        match self.rng.below(26) {
            0..=6 => format!("RPUSH {a} {v} {w}"),
            7 => format!("LPUSH {a} {v}"),
            8 => format!("LPOP {a}"),
            9 | 10 => format!("LMOVE {a} {b} LEFT RIGHT"),
            11 | 12 => format!("SET {a} {v}"),
            13 | 14 => format!("DEL {a} {b}"),
            15 | 16 => format!("RENAME {a} {b}"),
            17 => format!("COPY {a} {b} REPLACE"),
            18 => format!("MSET {a} {v} {b} {w}"),
            19 => format!("SORT {a} ALPHA STORE {b}"),
            20 => format!("ZADD {} 1 {v} 2 {w}", self.rng.pick(&["z", "a"])),
            21 | 22 => {
                self.entries += 1;
                let stream = self.rng.pick(STREAMS);
                format!("XADD {stream} {}-1 f {v}", self.entries)
            }
            23 => "XGROUP CREATE s g $ MKSTREAM".to_owned(),
            24 => format!("PEXPIREAT {a} 1"),
            _ => self
                .rng
                .pick(&["FLUSHALL", "SWAPDB 0 1", "DEL s", "FLUSHDB"])
                .to_owned(),
        }
    }

    fn question(&mut self) -> String {
        let (a, b) = (self.key(), self.key());
        match self.rng.below(7) {
            0 => format!("LRANGE {a} 0 -1"),
            1 => format!("MGET {a} {b}"),
            2 => "DBSIZE".to_owned(),
            3 => format!("EXISTS {a} {b} s z"),
            4 => format!("TYPE {a}"),
            5 => "XPENDING s g".to_owned(),
            _ => format!("GET {a}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_scene() {
        assert_eq!(write(3, 500), write(3, 500));
        assert_ne!(write(3, 500), write(4, 500));
        let all = write(1, 5_000);
        let says = |word: &str| {
            let lines = all.iter().filter_map(|act| match act {
                Act::Say(_, line) => Some(line),
                Act::Unblock(..) | Act::Return(_) => None,
            });
            lines.filter(|line| line.starts_with(word)).count()
        };
        for word in [
            "MULTI",
            "EXEC",
            "WATCH",
            "BLPOP",
            "BLMOVE",
            "XREAD ",
            "PUBLISH",
            "SUBSCRIBE",
        ] {
            assert!(says(word) > 20, "{word}: {}", says(word));
        }
    }
}
