//! Draws of the list commands and of SORT.

use super::draw::Draw;
use super::step::{Command, Judge, Step};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "LINDEX",
    "LINSERT",
    "LLEN",
    "LMOVE",
    "LMPOP",
    "LPOP",
    "LPOS",
    "LPUSH",
    "LPUSHX",
    "LRANGE",
    "LREM",
    "LSET",
    "LTRIM",
    "RPOP",
    "RPOPLPUSH",
    "RPUSH",
    "RPUSHX",
    "SORT",
    "SORT_RO",
];

/// A pattern for BY or GET. Those with a star name keys on all shards.
const PATTERNS: &[&str] = &[
    "k*", "k1*", "{t}*", "*", "#", "nosort", "h*->f", "*->f", "k*->", "", "k*\0",
];

/// One command of this family, at times with a look at what it left.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    // Lists have to grow: pops and trims are many.
    let name = if draw.rng.one_in(4) {
        draw.rng.pick(&["LPUSH", "RPUSH"])
    } else {
        draw.rng.pick(COMMANDS)
    };
    let mut command = vec![draw.cased(name)];
    let key = draw.list_key();
    match name {
        "LPUSH" | "RPUSH" | "LPUSHX" | "RPUSHX" => {
            command.push(key.clone());
            let most = draw.rng.pick(&[1, 3, 40]);
            command.extend((0..draw.rng.between(1, most)).map(|_| element(draw)));
        }
        "LPOP" | "RPOP" => {
            command.push(key.clone());
            if draw.rng.one_in(2) {
                command.push(draw.position());
            }
        }
        "LLEN" => command.push(key.clone()),
        "LINDEX" => command.extend([key.clone(), draw.position()]),
        "LRANGE" | "LTRIM" => command.extend([key.clone(), draw.position(), draw.position()]),
        "LSET" | "LREM" => command.extend([key.clone(), draw.position(), element(draw)]),
        "LINSERT" => {
            let place = draw.rng.pick(&["BEFORE", "AFTER", "AFTER", "BESIDE"]);
            command.extend([key.clone(), draw.cased(place), element(draw), element(draw)]);
        }
        "RPOPLPUSH" => command.extend([key.clone(), draw.list_key()]),
        "LMOVE" => command.extend([key.clone(), draw.list_key(), end(draw), end(draw)]),
        "LMPOP" => lmpop(draw, &mut command),
        "LPOS" => lpos(draw, &mut command),
        "SORT" | "SORT_RO" => return sort(draw, command),
        other => unreachable!("{other} has no draw"),
    }
    let look = vec![
        b"LRANGE".to_vec(),
        key.clone(),
        b"0".to_vec(),
        b"-1".to_vec(),
    ];
    match draw.rng.below(6) {
        0 if name != "LMPOP" && name != "LPOS" => vec![Step::exact(command), Step::exact(look)],
        _ => vec![Step::exact(command)],
    }
}

/// Few different ones, so that they meet; some at the limits of a block.
fn element(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(20) {
        0..=11 => draw.rng.below(12).to_string().into_bytes(),
        12 => draw.rng.pick(&["a", "b", "", "-1.5", "1e3"]).into(),
        13 => {
            let length = draw.rng.pick(&[63, 64, 4095, 4096, 8184, 8192, 9000]);
            vec![b'e'; length]
        }
        _ => draw.value(),
    }
}

fn end(draw: &mut Draw) -> Vec<u8> {
    let word = draw.rng.pick(&["LEFT", "RIGHT", "LEFT", "RIGHT", "UP"]);
    draw.cased(word)
}

fn lmpop(draw: &mut Draw, command: &mut Command) {
    let keys: Vec<Vec<u8>> = (0..draw.rng.between(1, 4))
        .map(|_| draw.list_key())
        .collect();
    command.push(if draw.rng.one_in(12) {
        draw.integer()
    } else {
        keys.len().to_string().into_bytes()
    });
    command.extend(keys);
    command.push(end(draw));
    if draw.rng.one_in(2) {
        command.extend([draw.cased("COUNT"), draw.position()]);
    }
}

fn lpos(draw: &mut Draw, command: &mut Command) {
    command.extend([draw.list_key(), element(draw)]);
    for _ in 0..draw.rng.below(4) {
        let word = draw.rng.pick(&["RANK", "COUNT", "MAXLEN"]);
        command.push(draw.cased(word));
        if !draw.rng.one_in(20) {
            command.push(draw.position());
        }
    }
}

fn sort(draw: &mut Draw, mut command: Command) -> Vec<Step> {
    command.push(draw.list_key());
    let (mut target, mut has_limit, mut has_by) = (None, false, false);
    for _ in 0..draw.rng.below(5) {
        match draw.rng.below(9) {
            0 => command.push(draw.cased("DESC")),
            1 => command.push(draw.cased("ASC")),
            2 | 3 => command.push(draw.cased("ALPHA")),
            // Elements of equal weight come in any order behind a limit.
            4 if !has_by => {
                has_limit = true;
                command.extend([draw.cased("LIMIT"), draw.position(), draw.position()]);
            }
            5 if !has_limit => {
                has_by = true;
                command.extend([draw.cased("BY"), pattern(draw)]);
            }
            6 | 7 => command.extend([draw.cased("GET"), pattern(draw)]),
            8 => {
                let key = draw.list_key();
                command.extend([draw.cased("STORE"), key.clone()]);
                target = Some(key);
            }
            _ => {}
        }
    }
    let mut steps = vec![Step::new(command, Judge::Exact)];
    if let Some(key) = target {
        let look = vec![b"LRANGE".to_vec(), key, b"0".to_vec(), b"-1".to_vec()];
        steps.push(Step::exact(look));
    }
    steps
}

fn pattern(draw: &mut Draw) -> Vec<u8> {
    draw.rng.pick(PATTERNS).as_bytes().to_vec()
}
