//! Draws of the commands that may wait: they find something, give up after ten milliseconds, or are refused. That somebody else wakes
//! them is for the scenes and for `tests/tests/commands/blocking.rs`.

use super::draw::Draw;
use super::step::{Command, Step};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "BLMOVE",
    "BLMPOP",
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "BZMPOP",
    "BZPOPMAX",
    "BZPOPMIN",
];

/// What is no time. None of these means for ever, and none is too large: that has another error since Redis 7.2.
const NO_TIMES: &[&str] = &["-1", "", "abc", "nan", "-inf", "1 ", "-0.1"];

/// One command of this family. Half of them meet a list or a sorted set that was filled just before.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let name = draw.rng.pick(COMMANDS);
    let is_sorted = name.starts_with("BZ");
    let (key, mut steps) = (some_key(draw, is_sorted), Vec::new());
    if draw.rng.one_in(2) {
        steps.push(Step::exact(fill(draw, is_sorted, &key)));
    }
    let mut command = vec![draw.cased(name)];
    match name {
        "BLPOP" | "BRPOP" | "BZPOPMAX" | "BZPOPMIN" => {
            command.extend(others(draw, is_sorted));
            command.extend([key, time(draw)]);
        }
        "BRPOPLPUSH" => command.extend([key, some_key(draw, false), time(draw)]),
        "BLMOVE" => {
            let ends = [end(draw), end(draw)];
            command.extend([key, some_key(draw, false)]);
            command.extend(ends);
            command.push(time(draw));
        }
        _ => {
            let mut keys = others(draw, is_sorted);
            keys.push(key);
            let count = if draw.rng.one_in(12) {
                draw.integer()
            } else {
                keys.len().to_string().into_bytes()
            };
            command.extend([time(draw), count]);
            command.extend(keys);
            let words = if is_sorted {
                ["MIN", "MAX", "UP"]
            } else {
                ["LEFT", "RIGHT", "UP"]
            };
            let word = draw.rng.pick(&words);
            command.push(draw.cased(word));
            if draw.rng.one_in(2) {
                command.extend([draw.cased("COUNT"), draw.position()]);
            }
        }
    }
    steps.push(Step::exact(command));
    steps
}

fn some_key(draw: &mut Draw, is_sorted: bool) -> Vec<u8> {
    if is_sorted {
        format!("zset{}", draw.rng.below(6)).into_bytes()
    } else {
        draw.list_key()
    }
}

fn others(draw: &mut Draw, is_sorted: bool) -> Vec<Vec<u8>> {
    (0..draw.rng.below(3))
        .map(|_| some_key(draw, is_sorted))
        .collect()
}

fn fill(draw: &mut Draw, is_sorted: bool, key: &[u8]) -> Command {
    let number = draw.rng.below(30).to_string();
    if is_sorted {
        [&b"ZADD"[..], key, number.as_bytes(), b"m"]
            .map(<[u8]>::to_vec)
            .to_vec()
    } else {
        [&b"RPUSH"[..], key, number.as_bytes(), b"m"]
            .map(<[u8]>::to_vec)
            .to_vec()
    }
}

fn end(draw: &mut Draw) -> Vec<u8> {
    let word = draw.rng.pick(&["LEFT", "RIGHT", "LEFT", "RIGHT", "UP"]);
    draw.cased(word)
}

/// How long to wait: ten milliseconds, or nothing that is a time.
fn time(draw: &mut Draw) -> Vec<u8> {
    let odd = draw.rng.one_in(8);
    let text = if odd { draw.rng.pick(NO_TIMES) } else { "0.01" };
    text.as_bytes().to_vec()
}
