//! Draws of the set commands.

use super::draw::Draw;
use super::elements::{count, scan};
use super::step::{Command, Judge, Step};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "SADD",
    "SCARD",
    "SDIFF",
    "SDIFFSTORE",
    "SINTER",
    "SINTERCARD",
    "SINTERSTORE",
    "SISMEMBER",
    "SMEMBERS",
    "SMISMEMBER",
    "SMOVE",
    "SPOP",
    "SRANDMEMBER",
    "SREM",
    "SSCAN",
    "SUNION",
    "SUNIONSTORE",
];

/// A key that mostly holds a set.
fn key(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(12) {
        0 => draw.key(),
        1..=4 => format!("{{t}}set{}", draw.rng.below(3)).into_bytes(),
        _ => format!("set{}", draw.rng.below(6)).into_bytes(),
    }
}

fn keys(draw: &mut Draw, most: usize) -> Vec<Vec<u8>> {
    (0..draw.rng.between(1, most)).map(|_| key(draw)).collect()
}

/// A member: mostly of a small pool, so that sets have some in common.
fn member(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(12) {
        0 => draw.value(),
        1 => draw.integer(),
        2..=4 => format!("m{}", draw.rng.below(30)).into_bytes(),
        _ => draw.rng.below(40).to_string().into_bytes(),
    }
}

fn members(draw: &mut Draw, most: usize) -> Vec<Vec<u8>> {
    (0..draw.rng.between(1, most))
        .map(|_| member(draw))
        .collect()
}

/// One command of this family, at times several that belong together.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let name = if draw.rng.one_in(4) {
        "SADD"
    } else {
        draw.rng.pick(COMMANDS)
    };
    let mut command = vec![draw.cased(name)];
    let mut judge = Judge::Exact;
    match name {
        "SADD" if draw.rng.one_in(60) => {
            let start = draw.rng.below(1000);
            command.push(key(draw));
            command.extend((start..start + 600).map(|n| n.to_string().into_bytes()));
        }
        "SADD" | "SREM" | "SMISMEMBER" => {
            command.push(key(draw));
            command.extend(members(draw, 6));
        }
        "SISMEMBER" => command.extend([key(draw), member(draw)]),
        "SCARD" => command.push(key(draw)),
        "SMOVE" => command.extend([key(draw), key(draw), member(draw)]),
        "SMEMBERS" => {
            command.push(key(draw));
            judge = Judge::Unordered;
        }
        "SINTER" | "SUNION" | "SDIFF" => {
            command.extend(keys(draw, 4));
            judge = Judge::Unordered;
        }
        "SINTERSTORE" | "SUNIONSTORE" | "SDIFFSTORE" => {
            let target = key(draw);
            command.push(target.clone());
            command.extend(keys(draw, 3));
            let shown = Step::new(vec![b"SMEMBERS".to_vec(), target], Judge::Unordered);
            return vec![Step::exact(command), shown];
        }
        "SINTERCARD" => sintercard(draw, &mut command),
        "SSCAN" => {
            command.push(key(draw));
            scan(draw, &mut command);
            judge = Judge::Kind;
        }
        "SRANDMEMBER" => {
            command.push(key(draw));
            if draw.rng.one_in(2) {
                command.push(count(draw));
            }
            judge = Judge::Kind;
        }
        "SPOP" => return pop(draw, command),
        other => unreachable!("{other} has no draw"),
    }
    vec![Step::new(command, judge)]
}

fn sintercard(draw: &mut Draw, command: &mut Command) {
    let keys = keys(draw, 4);
    command.push(match draw.rng.below(10) {
        0 => draw.integer(),
        _ => keys.len().to_string().into_bytes(),
    });
    command.extend(keys);
    for _ in 0..draw.rng.below(3) {
        match draw.rng.below(6) {
            0 => command.push(draw.odd_word()),
            _ => command.extend([draw.cased("LIMIT"), draw.integer()]),
        }
    }
}

/// All members of a set; or some of one that is made for it and gone afterwards, as nobody can tell which.
fn pop(draw: &mut Draw, mut command: Command) -> Vec<Step> {
    if draw.rng.one_in(3) {
        let key = key(draw);
        let count = draw
            .rng
            .pick(&["1000000", "9223372036854775807", "-1", "x", "1.0"])
            .as_bytes();
        command.extend([key.clone(), count.to_vec()]);
        return vec![
            Step::new(command, Judge::Unordered),
            Step::exact(vec![b"TYPE".to_vec(), key]),
        ];
    }
    let key = b"popped".to_vec();
    let mut add = vec![b"SADD".to_vec(), key.clone()];
    add.extend(members(draw, 8));
    command.push(key.clone());
    if draw.rng.one_in(2) {
        command.push(count(draw));
    }
    vec![
        Step::exact(vec![b"DEL".to_vec(), key.clone()]),
        Step::exact(add),
        Step::new(command, Judge::Kind),
        Step::exact(vec![b"SCARD".to_vec(), key.clone()]),
        Step::new(vec![b"DEL".to_vec(), key], Judge::Kind),
    ]
}
