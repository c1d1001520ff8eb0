//! Draws of the commands on keys of any type.

use super::draw::Draw;
use super::step::{Command, Judge, Step, Unit};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "COPY",
    "DEL",
    "DUMP",
    "EXISTS",
    "KEYS",
    "MOVE",
    "OBJECT",
    "RANDOMKEY",
    "RENAME",
    "RENAMENX",
    "RESTORE",
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
        "DUMP" => {
            command.push(draw.key());
            // Each has its own encodings; `tests/commands/dump.rs` exchanges the payloads.
            judge = Judge::Kind;
        }
        "RESTORE" => restore(draw, &mut command),
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

/// What redis-server 7.0 dumps: a string, an integer, a list, a set, an intset, a hash, a sorted set.
const PAYLOADS: &[&[u8]] = &[
    b"\x00\x05value\n\x00\x81\xf6\xc18\xc1\xaa\x9bn",
    b"\x00\xc1\xd2\x04\x0a\x00\x00\x87\x08\xa1D\x82\x5c\xed",
    b"\x12\x01\x02\x0f\x0f\x00\x00\x00\x03\x00\x81a\x02\x01\x01\x81b\x02\xff\x0a\x00\x90C\xa3L\xeb\x8e\x1b\x1c",
    b"\x02\x03\xc0\x03\x01b\x01a\x0a\x00\xa0\xb8\xf5\x00/j|\x9e",
    b"\x0b\x14\x04\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x9f\x86\x01\x00\x0a\x00\xce\x80/(\xd1w\x04K",
    b"\x10\x11\x11\x00\x00\x00\x04\x00\x81f\x02\x81v\x02\x01\x01\x02\x01\xff\x0a\x00\x1aM\xf2\x17^\x0b\xff\x9b",
    b"\x11\x14\x14\x00\x00\x00\x04\x00\x81a\x02\x01\x01\x81b\x02\x832.5\x04\xff\x0a\x00\xd4Ln\xa4\xf6D\xd9\xd7",
];

/// A lifetime in ms that is over before everybody has looked becomes a long one.
fn lasting(text: Vec<u8>) -> Vec<u8> {
    let number = std::str::from_utf8(&text).ok();
    let number = number.and_then(|text| text.parse::<i64>().ok());
    match number {
        Some(ms @ 1..1_000_000) => (ms * 1_000_000).to_string().into_bytes(),
        _ => text,
    }
}

fn restore(draw: &mut Draw, command: &mut Command) {
    command.push(draw.key());
    let is_absolute = draw.rng.one_in(4);
    command.push(match draw.rng.below(6) {
        0 if is_absolute => draw.integer(),
        0 => lasting(draw.integer()),
        1 if !is_absolute => draw.relative(1000, false),
        1 => draw.absolute(1000),
        _ => b"0".to_vec(),
    });
    let mut payload = draw.rng.pick(PAYLOADS).to_vec();
    if draw.rng.one_in(6) {
        let at = draw.rng.below(payload.len());
        payload[at] ^= 1 << draw.rng.below(8);
    }
    command.push(payload);
    if !draw.rng.one_in(4) {
        command.push(draw.cased("REPLACE"));
    }
    if is_absolute {
        command.push(draw.cased("ABSTTL"));
    }
    match draw.rng.below(12) {
        0 => command.extend([draw.cased("IDLETIME"), draw.integer()]),
        1 => command.extend([draw.cased("FREQ"), draw.integer()]),
        2 => command.push(draw.odd_word()),
        _ => {}
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
