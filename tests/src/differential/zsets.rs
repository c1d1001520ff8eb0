//! Draws of the sorted set commands.

use super::draw::Draw;
use super::elements::scan;
use super::step::{Command, Judge, Step};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "ZADD",
    "ZCARD",
    "ZCOUNT",
    "ZDIFF",
    "ZDIFFSTORE",
    "ZINCRBY",
    "ZINTER",
    "ZINTERCARD",
    "ZINTERSTORE",
    "ZLEXCOUNT",
    "ZMPOP",
    "ZMSCORE",
    "ZPOPMAX",
    "ZPOPMIN",
    "ZRANDMEMBER",
    "ZRANGE",
    "ZRANGEBYLEX",
    "ZRANGEBYSCORE",
    "ZRANGESTORE",
    "ZRANK",
    "ZREM",
    "ZREMRANGEBYLEX",
    "ZREMRANGEBYRANK",
    "ZREMRANGEBYSCORE",
    "ZREVRANGE",
    "ZREVRANGEBYLEX",
    "ZREVRANGEBYSCORE",
    "ZREVRANK",
    "ZSCAN",
    "ZSCORE",
    "ZUNION",
    "ZUNIONSTORE",
];

const SCORES: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "3",
    "0.5",
    "-2.25",
    "0.1",
    "1e3",
    "1e18",
    "1e20",
    "4611686018427387904",
    "9007199254740993",
    "inf",
    "-inf",
    "+inf",
    "1e-300",
    "0x10",
];

/// A key that mostly holds a sorted set.
fn key(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(14) {
        0 => draw.key(),
        1..=4 => format!("{{t}}zset{}", draw.rng.below(3)).into_bytes(),
        5 if draw.rng.one_in(3) => b"bigzset".to_vec(),
        _ => format!("zset{}", draw.rng.below(6)).into_bytes(),
    }
}

/// A key whose members all have the score 0: only among those is there an order by name.
fn lex_key(draw: &mut Draw) -> Vec<u8> {
    format!("lex{}", draw.rng.below(3)).into_bytes()
}

fn member(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(14) {
        0 => draw.value(),
        1 => draw.integer(),
        2..=5 => draw.rng.below(40).to_string().into_bytes(),
        _ => format!("m{}", draw.rng.below(30)).into_bytes(),
    }
}

fn score(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(10) {
        0 => draw.float(),
        1..=3 => draw.rng.pick(SCORES).as_bytes().to_vec(),
        _ => (draw.rng.below(60) as i64 - 20).to_string().into_bytes(),
    }
}

/// A bound of a range of scores.
fn bound(draw: &mut Draw) -> Vec<u8> {
    let mut bound = match draw.rng.below(20) {
        0 => draw
            .rng
            .pick(&["", "(", "((1", " 1", "1 ", "1e400", "nan", "x"])
            .as_bytes()
            .to_vec(),
        1..=3 => b"-inf".to_vec(),
        4..=6 => b"+inf".to_vec(),
        _ => score(draw),
    };
    if draw.rng.one_in(4) {
        bound.insert(0, b'(');
    }
    bound
}

/// A bound of a range of members.
fn lex_bound(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(12) {
        0..=2 => b"-".to_vec(),
        3..=5 => b"+".to_vec(),
        6 => draw.odd_word(),
        _ => {
            let mut bound = vec![draw.rng.pick(b"[(")];
            bound.extend(member(draw));
            bound
        }
    }
}

/// One command of this family, at times several that belong together.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let name = if draw.rng.one_in(4) {
        "ZADD"
    } else {
        draw.rng.pick(COMMANDS)
    };
    let mut command = vec![draw.cased(name)];
    let mut judge = Judge::Exact;
    match name {
        "ZADD" if draw.rng.one_in(4) => return fill(draw),
        "ZADD" => add(draw, &mut command),
        "ZINCRBY" => command.extend([key(draw), score(draw), member(draw)]),
        "ZCARD" => command.push(key(draw)),
        "ZSCORE" => command.extend([key(draw), member(draw)]),
        "ZRANK" | "ZREVRANK" => command.extend([key(draw), member(draw)]),
        "ZREM" | "ZMSCORE" => {
            command.push(key(draw));
            command.extend((0..draw.rng.between(1, 5)).map(|_| member(draw)));
        }
        "ZCOUNT" | "ZREMRANGEBYSCORE" => command.extend([key(draw), bound(draw), bound(draw)]),
        "ZLEXCOUNT" | "ZREMRANGEBYLEX" => {
            command.extend([lex_key(draw), lex_bound(draw), lex_bound(draw)]);
        }
        "ZREMRANGEBYRANK" => command.extend([key(draw), draw.position(), draw.position()]),
        "ZRANDMEMBER" => {
            command.push(key(draw));
            if draw.rng.one_in(2) {
                command.push(draw.position());
                with_scores(draw, &mut command);
            }
            judge = Judge::Kind;
        }
        "ZSCAN" => {
            command.push(key(draw));
            scan(draw, &mut command);
            judge = Judge::Kind;
        }
        "ZPOPMIN" | "ZPOPMAX" => {
            command.push(key(draw));
            if draw.rng.one_in(2) {
                command.push(draw.integer());
            }
        }
        "ZMPOP" => mpop(draw, &mut command),
        "ZUNION" | "ZINTER" | "ZDIFF" | "ZINTERCARD" => combine(draw, &mut command),
        "ZUNIONSTORE" | "ZINTERSTORE" | "ZDIFFSTORE" => {
            let target = key(draw);
            command.push(target.clone());
            combine(draw, &mut command);
            return vec![Step::exact(command), whole(target)];
        }
        "ZRANGESTORE" => {
            let target = key(draw);
            command.push(target.clone());
            range(draw, name, &mut command);
            return vec![Step::exact(command), whole(target)];
        }
        _ => range(draw, name, &mut command),
    }
    vec![Step::new(command, judge)]
}

/// All elements of a key.
fn whole(key: Vec<u8>) -> Step {
    let words = [&b"ZRANGE"[..], &key, b"0", b"-1", b"WITHSCORES"];
    Step::exact(words.map(<[u8]>::to_vec).to_vec())
}

/// Many members at once, or members of a key for orders by name. Two steps, so that nothing is replaced in them.
fn fill(draw: &mut Draw) -> Vec<Step> {
    let mut command = vec![b"ZADD".to_vec()];
    let (key, count) = match draw.rng.below(40) {
        0 => (b"bigzset".to_vec(), 1_300),
        1 | 2 => (key(draw), 140),
        _ => (lex_key(draw), draw.rng.between(1, 6)),
    };
    command.push(key.clone());
    for n in 0..count {
        if count < 100 {
            command.extend([b"0".to_vec(), member(draw)]);
        } else {
            command.extend([n.to_string().into_bytes(), format!("n{n}").into_bytes()]);
        }
    }
    vec![
        Step::exact(command),
        Step::exact(vec![b"ZCARD".to_vec(), key]),
    ]
}

fn add(draw: &mut Draw, command: &mut Command) {
    command.push(key(draw));
    if draw.rng.one_in(2) {
        for _ in 0..draw.rng.below(3) {
            let word = draw.rng.pick(&["NX", "XX", "GT", "LT", "CH", "CH", "INCR"]);
            command.push(draw.cased(word));
        }
    }
    for _ in 0..draw.rng.between(1, 5) {
        command.extend([score(draw), member(draw)]);
    }
}

fn with_scores(draw: &mut Draw, command: &mut Command) {
    if draw.rng.one_in(2) {
        command.push(draw.cased("WITHSCORES"));
    }
}

/// ZRANGE and its kin, from the key on.
fn range(draw: &mut Draw, name: &str, command: &mut Command) {
    let free = matches!(name, "ZRANGE" | "ZRANGESTORE");
    let by = match name {
        _ if name.ends_with("BYLEX") => "BYLEX",
        _ if name.ends_with("BYSCORE") => "BYSCORE",
        _ if free => draw.rng.pick(&["", "", "BYSCORE", "BYLEX"]),
        _ => "",
    };
    match by {
        "BYLEX" => command.extend([lex_key(draw), lex_bound(draw), lex_bound(draw)]),
        "BYSCORE" => command.extend([key(draw), bound(draw), bound(draw)]),
        _ => command.extend([key(draw), draw.position(), draw.position()]),
    }
    if free && !by.is_empty() {
        command.push(draw.cased(by));
    }
    if free && draw.rng.one_in(3) {
        command.push(draw.cased("REV"));
    }
    if (!by.is_empty() && draw.rng.one_in(3)) || draw.rng.one_in(30) {
        command.extend([draw.cased("LIMIT"), draw.position(), draw.position()]);
    }
    if (name != "ZRANGESTORE" && by != "BYLEX") || draw.rng.one_in(20) {
        with_scores(draw, command);
    }
}

/// `numkeys key ...` and options.
fn combine(draw: &mut Draw, command: &mut Command) {
    let count = draw.rng.between(1, 4);
    command.push(match draw.rng.below(20) {
        0 => draw.integer(),
        _ => count.to_string().into_bytes(),
    });
    for _ in 0..count {
        let source = match draw.rng.below(6) {
            0 => format!("set{}", draw.rng.below(6)).into_bytes(),
            _ => key(draw),
        };
        command.push(source);
    }
    for _ in 0..draw.rng.below(3) {
        match draw.rng.below(9) {
            0..=2 => {
                command.push(draw.cased("WEIGHTS"));
                command.extend((0..count).map(|_| score(draw)));
            }
            3 | 4 => {
                let name = draw.rng.pick(&["SUM", "MIN", "MAX", "MAX", "AVG"]);
                command.extend([draw.cased("AGGREGATE"), draw.cased(name)]);
            }
            5 => command.extend([draw.cased("LIMIT"), draw.integer()]),
            6 if draw.rng.one_in(4) => command.push(draw.odd_word()),
            _ => command.push(draw.cased("WITHSCORES")),
        }
    }
}

fn mpop(draw: &mut Draw, command: &mut Command) {
    let count = draw.rng.between(1, 3);
    // No huge number: Redis 7.0 adds to it until it wraps.
    command.push(match draw.rng.below(12) {
        0 => draw.position(),
        _ => count.to_string().into_bytes(),
    });
    command.extend((0..count).map(|_| key(draw)));
    let end = draw.rng.pick(&["MIN", "MAX", "MIN", "MAX", "MID"]);
    command.push(draw.cased(end));
    if draw.rng.one_in(2) {
        command.extend([draw.cased("COUNT"), draw.position()]);
    }
}
