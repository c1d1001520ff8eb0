//! Draws of the commands on keys of any type.

use super::draw::Draw;
use super::step::{Command, Judge, Step, Unit};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "COPY",
    "DEL",
    "EXISTS",
    "KEYS",
    "MOVE",
    "OBJECT",
    "RANDOMKEY",
    "RENAME",
    "RENAMENX",
    "SCAN",
    "TOUCH",
    "TYPE",
    "UNLINK",
];

/// One command of this family.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let name = draw.rng.pick(COMMANDS);
    let mut command = vec![draw.cased(name)];
    let mut judge = Judge::Exact;
    match name {
        "DEL" | "EXISTS" | "TOUCH" | "UNLINK" => command.extend(draw.keys(4)),
        "TYPE" => command.push(draw.key()),
        "RENAME" | "RENAMENX" => command.extend([draw.key(), draw.key()]),
        "MOVE" => command.extend([draw.key(), draw.database()]),
        "COPY" => copy(draw, &mut command),
        "KEYS" => {
            command.push(draw.pattern());
            judge = Judge::Unordered;
        }
        "RANDOMKEY" => judge = Judge::Member,
        "SCAN" => judge = scan(draw, &mut command),
        "OBJECT" => judge = object(draw, &mut command),
        other => unreachable!("{other} has no draw"),
    }
    vec![Step::new(command, judge)]
}

fn copy(draw: &mut Draw, command: &mut Command) {
    command.extend([draw.key(), draw.key()]);
    for _ in 0..draw.rng.below(3) {
        match draw.rng.below(6) {
            0 | 1 => command.push(draw.cased("REPLACE")),
            2 => command.push(draw.odd_word()),
            _ => command.extend([draw.cased("DB"), draw.database()]),
        }
    }
}

/// A whole iteration, or one call with an odd cursor.
fn scan(draw: &mut Draw, command: &mut Command) -> Judge {
    let whole = !draw.rng.one_in(4);
    if whole {
        command.push(b"0".to_vec());
    } else {
        let cursors: &[&str] = &[
            "0",
            "12345",
            "18446744073709551615",
            "18446744073709551616",
            "-1",
            "abc",
            "",
            " 0",
            "1.5",
            "0x1",
        ];
        command.push(draw.rng.pick(cursors).as_bytes().to_vec());
    }
    for _ in 0..draw.rng.below(4) {
        match draw.rng.below(10) {
            0..=2 => command.extend([draw.cased("MATCH"), draw.pattern()]),
            3..=5 => {
                let count = draw
                    .rng
                    .pick(&["1", "2", "7", "100", "1000000"])
                    .as_bytes()
                    .to_vec();
                command.extend([draw.cased("COUNT"), count]);
            }
            6 | 7 => {
                let kind = draw.rng.pick(&["string", "STRING", "list", "nothing"]);
                command.extend([draw.cased("TYPE"), kind.as_bytes().to_vec()]);
            }
            8 if !whole => command.extend([draw.cased("COUNT"), draw.integer()]),
            9 if !whole => command.push(draw.odd_word()),
            _ => {}
        }
    }
    if whole { Judge::Walk } else { Judge::Kind }
}

fn object(draw: &mut Draw, command: &mut Command) -> Judge {
    let choices = [
        "ENCODING", "ENCODING", "ENCODING", "FREQ", "IDLETIME", "REFCOUNT", "HELP", "NONSENSE",
    ];
    let name = draw.rng.pick(&choices);
    command.push(draw.cased(name));
    if name != "HELP" {
        command.push(draw.key());
    }
    match name {
        // The words are our own.
        "HELP" => Judge::Kind,
        "IDLETIME" => Judge::Remaining(Unit::Seconds),
        // Redis shares its small integers and says so with a huge count.
        "REFCOUNT" => Judge::Positive,
        _ => Judge::Exact,
    }
}
