//! Draws of the hash commands.

use super::draw::Draw;
use super::elements::{count, scan};
use super::step::{Judge, Step};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "HDEL",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HINCRBYFLOAT",
    "HKEYS",
    "HLEN",
    "HMGET",
    "HMSET",
    "HRANDFIELD",
    "HSCAN",
    "HSET",
    "HSETNX",
    "HSTRLEN",
    "HVALS",
];

/// A key that mostly holds a hash.
fn key(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(12) {
        0 => draw.key(),
        _ => format!("hash{}", draw.rng.below(6)).into_bytes(),
    }
}

/// A field: mostly of a small pool.
fn field(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(12) {
        0 => draw.value(),
        1 => draw.integer(),
        2..=4 => draw.rng.below(20).to_string().into_bytes(),
        _ => format!("f{}", draw.rng.below(25)).into_bytes(),
    }
}

fn fields(draw: &mut Draw, most: usize) -> Vec<Vec<u8>> {
    (0..draw.rng.between(1, most))
        .map(|_| field(draw))
        .collect()
}

fn pairs(draw: &mut Draw, most: usize) -> Vec<Vec<u8>> {
    (0..draw.rng.between(1, most))
        .flat_map(|_| [field(draw), draw.value()])
        .collect()
}

/// One command of this family, at times several that belong together.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let name = if draw.rng.one_in(5) {
        "HSET"
    } else {
        draw.rng.pick(COMMANDS)
    };
    let mut command = vec![draw.cased(name), key(draw)];
    let mut judge = Judge::Exact;
    match name {
        "HSET" if draw.rng.one_in(60) => {
            let start = draw.rng.below(1000);
            let names = start..start + 200;
            command.extend(
                names.flat_map(|n| [format!("n{n}"), n.to_string()].map(String::into_bytes)),
            );
        }
        "HSET" | "HMSET" => command.extend(pairs(draw, 5)),
        "HSETNX" => command.extend([field(draw), draw.value()]),
        "HDEL" | "HMGET" => command.extend(fields(draw, 5)),
        "HGET" | "HEXISTS" | "HSTRLEN" => command.push(field(draw)),
        "HLEN" => {}
        "HGETALL" | "HKEYS" | "HVALS" => judge = Judge::Unordered,
        "HINCRBY" => command.extend([field(draw), draw.integer()]),
        "HINCRBYFLOAT" => command.extend([field(draw), draw.float()]),
        "HSCAN" => {
            scan(draw, &mut command);
            judge = Judge::Kind;
        }
        "HRANDFIELD" => {
            if draw.rng.one_in(2) {
                command.push(count(draw));
                if draw.rng.one_in(2) {
                    command.push(draw.cased("WITHVALUES"));
                }
            }
            judge = Judge::Kind;
        }
        other => unreachable!("{other} has no draw"),
    }
    vec![Step::new(command, judge)]
}
