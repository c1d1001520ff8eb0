//! Draws of the bitmap commands.

use super::draw::Draw;
use super::step::{Command, Step};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "BITCOUNT",
    "BITFIELD",
    "BITFIELD_RO",
    "BITOP",
    "BITPOS",
    "GETBIT",
    "SETBIT",
];

/// The number of a bit: small, or one that is refused. Between them lie strings that would fill the memory.
fn offset(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(16) {
        0 => draw
            .rng
            .pick(&[
                "-1",
                "4294967296",
                "9223372036854775807",
                "9223372036854775808",
                "",
                "x",
                "1.0",
                "01",
                "#1",
            ])
            .as_bytes()
            .to_vec(),
        1 => draw
            .rng
            .pick(&["8191", "8192", "100000"])
            .as_bytes()
            .to_vec(),
        _ => draw.rng.below(200).to_string().into_bytes(),
    }
}

fn unit(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(8) {
        0 => draw.odd_word(),
        1..=3 => draw.cased("BYTE"),
        _ => draw.cased("BIT"),
    }
}

/// A position in bits or bytes.
fn position(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(12) {
        0 => draw.integer(),
        1..=5 => (draw.rng.below(600) as i64 - 300).to_string().into_bytes(),
        _ => draw.position(),
    }
}

/// One command of this family, at times with a look at what it wrote.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let name = draw.rng.pick(COMMANDS);
    let mut command = vec![draw.cased(name)];
    match name {
        "GETBIT" => command.extend([draw.key(), offset(draw)]),
        "SETBIT" => {
            let bit = draw.rng.pick(&["0", "1", "1", "1", "2", "-1", "x", "01"]);
            command.extend([draw.key(), offset(draw), bit.as_bytes().to_vec()]);
        }
        "BITCOUNT" => {
            command.push(draw.key());
            if !draw.rng.one_in(3) {
                command.extend([position(draw), position(draw)]);
                if draw.rng.one_in(2) {
                    command.push(unit(draw));
                }
            }
        }
        "BITPOS" => {
            let bit = draw.rng.pick(&["0", "1", "0", "1", "2", "x"]);
            command.extend([draw.key(), bit.as_bytes().to_vec()]);
            for _ in 0..draw.rng.below(3) {
                command.push(position(draw));
            }
            if command.len() == 5 && draw.rng.one_in(2) {
                command.push(unit(draw));
            }
        }
        "BITOP" => {
            let operation = draw.rng.pick(&["AND", "OR", "XOR", "NOT", "NAND"]);
            let target = draw.key();
            command.extend([draw.cased(operation), target.clone()]);
            let most = if operation == "NOT" && !draw.rng.one_in(6) {
                1
            } else {
                4
            };
            command.extend(draw.keys(most));
            return vec![
                Step::exact(command),
                Step::exact(vec![b"GET".to_vec(), target]),
            ];
        }
        "BITFIELD" | "BITFIELD_RO" => {
            let key = draw.key();
            command.push(key.clone());
            for _ in 0..draw.rng.below(5) {
                field(draw, &mut command, name == "BITFIELD_RO");
            }
            return vec![
                Step::exact(command),
                Step::exact(vec![b"GET".to_vec(), key]),
            ];
        }
        other => unreachable!("{other} has no draw"),
    }
    vec![Step::exact(command)]
}

/// A subcommand of BITFIELD.
fn field(draw: &mut Draw, command: &mut Command, reads_only: bool) {
    let action = match draw.rng.below(if reads_only { 24 } else { 10 }) {
        0 => {
            let kind = draw.rng.pick(&["WRAP", "SAT", "FAIL", "NONE"]);
            let kind = draw.cased(kind);
            return command.extend([draw.cased("OVERFLOW"), kind]);
        }
        1..=3 => "SET",
        4..=6 => "INCRBY",
        _ => "GET",
    };
    let form = match draw.rng.below(20) {
        0 => draw
            .rng
            .pick(&["u64", "i65", "u0", "8", "u", "I8", "u-1", "u08"])
            .as_bytes()
            .to_vec(),
        1..=4 => format!("i{}", draw.rng.pick(&[1, 2, 63, 64])).into_bytes(),
        5..=9 => format!("u{}", draw.rng.between(1, 63)).into_bytes(),
        _ => format!("i{}", draw.rng.between(1, 64)).into_bytes(),
    };
    let place = if draw.rng.one_in(4) {
        format!("#{}", draw.rng.below(12)).into_bytes()
    } else {
        offset(draw)
    };
    command.extend([draw.cased(action), form, place]);
    if action != "GET" {
        command.push(draw.integer());
    }
}
