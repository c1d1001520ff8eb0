//! The parts of the workloads that follow what applications do every day, and of those that only a server over
//! shards finds hard. What they are for stands in `catalogue`.

use super::facts;
use super::hit_ratio::Stream;
use super::part::Part;
use crate::disturb::{Action, BYSTANDERS};

const RANGE: &str = "--key-prefix key: --key-minimum 0 --key-maximum 999999";

fn repeated(command: &str, word: &str, times: usize) -> String {
    let mut line = command.to_owned();
    for _ in 0..times {
        line.push(' ');
        line.push_str(word);
    }
    line
}

/// Name, command, and the command that fills what it reads or takes.
const COMMON: &[(&str, &str, &str)] = &[
    ("INCR", "INCR counter:__key__", ""),
    ("SETEX", "SETEX __key__ 600 __data__", ""),
    ("EXISTS", "EXISTS __key__", ""),
    ("EXPIRE", "EXPIRE __key__ 600", ""),
    ("LPUSH", "LPUSH list:__key__ __data__", ""),
    ("LRANGE 10", "LRANGE list:__key__ 0 9", ""),
    (
        "RPOP",
        "RPOP pop:__key__",
        "RPUSH pop:__key__ __data__ __data__ __data__ __data__",
    ),
    ("SADD", "SADD set:__key__ member:__rand__", ""),
    ("SISMEMBER", "SISMEMBER set:__key__ member:__rand__", ""),
    ("HSET", "HSET hash:__key__ field:__rand__ __data__", ""),
    ("HGET", "HGET hash:__key__ field:__rand__", ""),
    ("HGETALL", "HGETALL hash:__key__", ""),
    ("ZADD", "ZADD board:__key__ __rand__ member:__rand__", ""),
    ("ZRANGE 10", "ZRANGE board:__key__ 0 9", ""),
    (
        "MGET 10",
        "MGET __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__",
        "SET __key__ __data__",
    ),
];

pub(super) fn common() -> Vec<Part> {
    common_at(1)
}

pub(super) fn common_16() -> Vec<Part> {
    common_at(16)
}

fn common_at(pipeline: u32) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut fresh = true;
    for (name, command, fill) in COMMON {
        // What a server lacks must not keep the rows after it from running.
        if fresh || !fill.is_empty() {
            parts.push(Part::flush());
        }
        fresh = !fill.is_empty();
        if fresh {
            parts.push(Part::fill(format!(
                "{RANGE} -d 64 --command '{fill}' --command-key-pattern P"
            )));
        }
        parts.push(Part::row(
            *name,
            format!("{RANGE} -c 50 -d 64 --command '{command}' --pipeline {pipeline}"),
        ));
    }
    parts
}

pub(super) fn multi_key() -> Vec<Part> {
    let mut parts = vec![Part::flush(), Part::fill(format!("{RANGE} -d 64"))];
    for keys in [1, 10, 100] {
        for (command, word) in [("MGET", "__key__"), ("MSET", "__key__ __data__")] {
            let line = repeated(command, word, keys);
            parts.push(Part::row(
                format!("{command} of {keys}"),
                format!("{RANGE} -c 50 -d 64 --command '{line}'"),
            ));
        }
    }
    parts
}

pub(super) fn multi() -> Vec<Part> {
    let sets = "__then__ SET __key__ __data__ ".repeat(4);
    let row = |pipeline: u32| {
        Part::row(
            format!("MULTI of 4 SETs, pipeline {pipeline}"),
            format!(
                "{RANGE} -c 50 -d 64 --command 'MULTI {sets}__then__ EXEC' --pipeline {pipeline}"
            ),
        )
    };
    vec![Part::flush(), row(1), row(10)]
}

pub(super) fn eval() -> Vec<Part> {
    let row = |label: &str, script: &str, arguments: &str| {
        Part::row(
            label,
            format!("{RANGE} -c 50 -d 64 --command 'EVAL \"{script}\" {arguments}'"),
        )
    };
    vec![
        Part::flush(),
        Part::fill(format!("{RANGE} -d 64")),
        row("EVAL that returns 1", "return 1", "0"),
        row(
            "EVAL of a GET",
            "return redis.call(\\'GET\\',KEYS[1])",
            "1 __key__",
        ),
        row(
            "EVAL of a GET and a SET",
            "local v=redis.call(\\'GET\\',KEYS[1]) redis.call(\\'SET\\',KEYS[1],ARGV[1]) return v",
            "1 __key__ __data__",
        ),
    ]
}

pub(super) fn pubsub() -> Vec<Part> {
    let row = |subscribers, at_once| Part::FanOut {
        label: match at_once {
            1 => format!("PUBLISH to {subscribers}"),
            _ => format!("PUBLISH to {subscribers}, {at_once} together"),
        },
        subscribers,
        at_once,
        bytes: 64,
    };
    vec![row(1, 1), row(10, 1), row(50, 1), row(50, 16), row(100, 1)]
}

pub(super) fn hand_over() -> Vec<Part> {
    let row = |label: &str, pairs| Part::HandOver {
        label: label.to_owned(),
        pairs,
        bytes: 64,
    };
    vec![
        Part::flush(),
        row("LPUSH to BRPOP, 1 pair", 1),
        row("LPUSH to BRPOP, 50 pairs", 50),
    ]
}

pub(super) fn hit_ratio() -> Vec<Part> {
    const STREAMS: [(&str, Stream); 4] = [
        ("Zipf 0.99", Stream::Zipf(0.99)),
        ("Zipf 0.7", Stream::Zipf(0.7)),
        ("with scans", Stream::Scans),
        ("hot set moves", Stream::Moves),
    ];
    const POLICIES: [&str; 3] = ["allkeys-lru", "allkeys-lfu", "allkeys-s3fifo"];
    let row = |(name, stream): (&str, Stream), policy: &'static str| Part::HitRatio {
        label: format!("{name}, {policy}"),
        policy,
        stream,
    };
    let rows = |stream| POLICIES.map(|policy| row(stream, policy));
    STREAMS.into_iter().flat_map(rows).collect()
}

pub(super) fn cache_aside() -> Vec<Part> {
    let row = |label: &str, exponent: f64| Part::Row {
        label: label.to_owned(),
        flags: format!(
            "{RANGE} -c 50 -d 256 --command 'GET __key__' --command-key-pattern Z --key-zipf-exp {exponent} \
             --expiry-range 5-10 --command-on-miss 'SETEX __same_key__ __expiry__ __data__' --miss-delay 1"
        ),
        facts: Some(facts::hit_ratio),
    };
    vec![
        Part::flush(),
        row("look-aside, Zipf 1.0", 1.0),
        Part::flush(),
        row("look-aside, Zipf 1.3", 1.3),
    ]
}

pub(super) fn leaderboard() -> Vec<Part> {
    let change = "--command 'ZADD board __rand__ user:__key__'";
    let top = "--command 'ZREVRANGE board 0 9 WITHSCORES'";
    let rank = "--command 'ZREVRANK board user:__key__'";
    let row = |label: &str, commands: String| Part::row(label, format!("{RANGE} -c 50 {commands}"));
    vec![
        Part::flush(),
        Part::fill(format!("{RANGE} {change} --command-key-pattern P")),
        row("change a score", change.to_owned()),
        row("top ten", top.to_owned()),
        row("rank of a member", rank.to_owned()),
        row(
            "1 change, 5 top ten, 4 ranks",
            format!("{change} {top} --command-ratio 5 {rank} --command-ratio 4"),
        ),
    ]
}

pub(super) fn visitors() -> Vec<Part> {
    let row = |label: &str, command: &str| Part::Row {
        label: label.to_owned(),
        flags: format!(
            "{RANGE} -c 50 --pipeline 10 --command '{command} visitor:__key__' --command-key-pattern P -n allkeys"
        ),
        facts: Some(facts::visitors),
    };
    vec![
        Part::flush(),
        row("PFADD", "PFADD visitors:hll"),
        row("SADD", "SADD visitors:set"),
    ]
}

pub(super) fn recent() -> Vec<Part> {
    let push = "--command 'LPUSH recent:__key__ __data__ __then__ LTRIM recent:__same_key__ 0 99'";
    let read = "--command 'LRANGE recent:__key__ 0 9'";
    let users = "--key-prefix user: --key-minimum 0 --key-maximum 9999 -c 50 -d 64";
    vec![
        Part::flush(),
        Part::row("push and trim", format!("{users} {push}")),
        Part::row("newest ten", format!("{users} {read}")),
        Part::row(
            "1 push, 10 reads",
            format!("{users} {push} {read} --command-ratio 10"),
        ),
    ]
}

pub(super) fn rate_limit() -> Vec<Part> {
    let users = "--key-prefix user: --key-minimum 0 --key-maximum 99999 -c 50";
    vec![
        Part::flush(),
        Part::row(
            "INCR and EXPIRE",
            format!("{users} --command 'INCR limit:__key__ __then__ EXPIRE limit:__same_key__ 1'"),
        ),
    ]
}

pub(super) fn coupons() -> Vec<Part> {
    vec![
        Part::flush(),
        Part::Call("SET coupons 10000000".to_owned()),
        Part::Row {
            label: "DECR of one counter".to_owned(),
            flags: "-c 50 --warmup-time 0 --command 'DECR coupons'".to_owned(),
            facts: Some(facts::coupons),
        },
    ]
}

pub(super) fn stampede() -> Vec<Part> {
    let row = |label: &str, on_miss: &str| Part::Row {
        label: label.to_owned(),
        flags: format!(
            "-c 50 -d 256 --command 'GET hot' --command-on-miss '{on_miss}' --miss-delay 10 --rate-limiting 100"
        ),
        facts: Some(facts::stampede),
    };
    vec![
        Part::flush(),
        row("every miss computes", "SET hot __data__ PX 100"),
        Part::flush(),
        row(
            "the lock's holder computes",
            "EVAL \"if redis.call(\\'SET\\',KEYS[2],1,\\'NX\\',\\'PX\\',90) then redis.call(\\'SET\\',KEYS[1],ARGV[1],\\'PX\\',100) return 1 end return false\" 2 hot lock __data__",
        ),
    ]
}

pub(super) fn scan_keys() -> Vec<Part> {
    let beside = |label: &str, action: Action| Part::Disturbed {
        label: label.to_owned(),
        flags: BYSTANDERS.to_owned(),
        action,
    };
    vec![
        Part::flush(),
        Part::fill(format!("{RANGE} -d 16")),
        beside("nothing", Action::Nothing),
        beside("KEYS *", Action::Call("KEYS *".to_owned())),
        beside("SCAN, COUNT 100", Action::Scan { count: 100 }),
        beside("SCAN, COUNT 1000", Action::Scan { count: 1000 }),
    ]
}
