//! Draws of the string commands.

use super::draw::Draw;
use super::step::{Command, Judge, Step, Unit};

/// The commands of this family, in the order of [`draw`]'s arms.
pub const COMMANDS: &[&str] = &[
    "APPEND",
    "DECR",
    "DECRBY",
    "GET",
    "GETDEL",
    "GETEX",
    "GETRANGE",
    "GETSET",
    "INCR",
    "INCRBY",
    "INCRBYFLOAT",
    "LCS",
    "MGET",
    "MSET",
    "MSETNX",
    "PSETEX",
    "SET",
    "SETEX",
    "SETNX",
    "SETRANGE",
    "STRLEN",
    "SUBSTR",
];

/// One command of this family, at times two that belong together.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    // SET more often than the others: without keys there is nothing to look at.
    let name = if draw.rng.one_in(6) {
        "SET"
    } else {
        draw.rng.pick(COMMANDS)
    };
    let mut command = vec![draw.cased(name)];
    match name {
        "DECR" | "GET" | "GETDEL" | "INCR" | "STRLEN" => command.push(draw.key()),
        "APPEND" | "GETSET" | "SETNX" => command.extend([draw.key(), draw.value()]),
        "DECRBY" | "INCRBY" => command.extend([draw.key(), draw.integer()]),
        "INCRBYFLOAT" => command.extend([draw.key(), draw.float()]),
        "GETRANGE" | "SUBSTR" => command.extend([draw.key(), draw.position(), draw.position()]),
        "SETRANGE" => command.extend([draw.key(), draw.offset(), draw.value()]),
        "SETEX" => command.extend([draw.key(), draw.relative(1, false), draw.value()]),
        "PSETEX" => command.extend([draw.key(), draw.relative(1000, false), draw.value()]),
        "MGET" => command.extend(draw.keys(12)),
        "MSET" | "MSETNX" => {
            for key in draw.keys(if name == "MSETNX" { 3 } else { 8 }) {
                let value = draw.value();
                command.extend([key, value]);
            }
        }
        "GETEX" => return getex(draw, command),
        "LCS" => return lcs(draw, command),
        "SET" => return set(draw, command),
        other => unreachable!("{other} has no draw"),
    }
    vec![Step::exact(command)]
}

fn set(draw: &mut Draw, mut command: Command) -> Vec<Step> {
    let key = draw.key();
    command.extend([key.clone(), draw.value()]);
    if !draw.rng.one_in(3) {
        return vec![Step::exact(command)];
    }
    for _ in 0..draw.rng.between(1, 3) {
        match draw.rng.below(11) {
            0 | 1 => command.push(draw.cased("NX")),
            2 | 3 => command.push(draw.cased("XX")),
            4 | 5 => command.push(draw.cased("GET")),
            6 => command.push(draw.cased("KEEPTTL")),
            7 => command.push(draw.odd_word()),
            _ => push_time(draw, &mut command),
        }
    }
    // A time in the past makes a key that is there until somebody looks.
    vec![
        Step::exact(command),
        Step::exact(vec![b"EXISTS".to_vec(), key]),
    ]
}

fn getex(draw: &mut Draw, mut command: Command) -> Vec<Step> {
    let key = draw.key();
    command.push(key.clone());
    for _ in 0..draw.rng.below(3) {
        match draw.rng.below(8) {
            0 | 1 => command.push(draw.cased("PERSIST")),
            2 => command.push(draw.odd_word()),
            _ => push_time(draw, &mut command),
        }
    }
    vec![
        Step::exact(command),
        Step::new(
            vec![b"PEXPIRETIME".to_vec(), key],
            Judge::Moment(Unit::Milliseconds),
        ),
    ]
}

/// A time option with its number, which is missing at times.
fn push_time(draw: &mut Draw, command: &mut Command) {
    let (name, time) = match draw.rng.below(4) {
        0 => ("EX", draw.relative(1, false)),
        1 => ("PX", draw.relative(1000, false)),
        2 => ("EXAT", draw.absolute(1)),
        _ => ("PXAT", draw.absolute(1000)),
    };
    command.push(draw.cased(name));
    if !draw.rng.one_in(20) {
        command.push(time);
    }
}

fn lcs(draw: &mut Draw, mut command: Command) -> Vec<Step> {
    if draw.rng.one_in(2) {
        let write = vec![b"SET".to_vec(), draw.lcs_key(), draw.lcs_value()];
        return vec![Step::exact(write)];
    }
    command.extend([draw.lcs_key(), draw.lcs_key()]);
    for _ in 0..draw.rng.below(4) {
        match draw.rng.below(8) {
            0 | 1 => command.push(draw.cased("LEN")),
            2 | 3 => command.push(draw.cased("IDX")),
            4 => command.push(draw.cased("WITHMATCHLEN")),
            5 | 6 => {
                command.push(draw.cased("MINMATCHLEN"));
                command.push(draw.integer());
            }
            _ => command.push(draw.odd_word()),
        }
    }
    vec![Step::exact(command)]
}
