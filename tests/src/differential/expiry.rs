//! Draws of the commands that set, read and end a key's time to live.

use super::draw::Draw;
use super::step::{Judge, Step, Unit};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "EXPIRE",
    "EXPIREAT",
    "EXPIRETIME",
    "PERSIST",
    "PEXPIRE",
    "PEXPIREAT",
    "PEXPIRETIME",
    "PTTL",
    "TTL",
];

/// One command of this family, at times several that belong together.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    if draw.rng.one_in(60) {
        return vanish(draw);
    }
    let name = draw.rng.pick(COMMANDS);
    let mut command = vec![draw.cased(name), draw.key()];
    let judge = match name {
        "PERSIST" => Judge::Exact,
        "TTL" => Judge::Remaining(Unit::Seconds),
        "PTTL" => Judge::Remaining(Unit::Milliseconds),
        "EXPIRETIME" => Judge::Moment(Unit::Seconds),
        "PEXPIRETIME" => Judge::Moment(Unit::Milliseconds),
        _ => {
            command.push(match name {
                "EXPIRE" => draw.relative(1, true),
                "PEXPIRE" => draw.relative(1000, true),
                "EXPIREAT" => draw.absolute(1),
                _ => draw.absolute(1000),
            });
            for _ in 0..draw.rng.below(3) {
                let option = draw.rng.pick(&["NX", "XX", "GT", "LT", "GT", "LT", "ZZ"]);
                command.push(draw.cased(option));
            }
            Judge::Exact
        }
    };
    vec![Step::new(command, judge)]
}

/// A key with a millisecond to live, and the wait for its end.
fn vanish(draw: &mut Draw) -> Vec<Step> {
    let key = draw.key();
    let word = |text: &str| text.as_bytes().to_vec();
    let set = match draw.rng.below(4) {
        0 => vec![
            word("SET"),
            key.clone(),
            word("brief"),
            word("PX"),
            word("1"),
        ],
        1 => vec![word("PSETEX"), key.clone(), word("1"), word("brief")],
        2 => vec![word("PEXPIRE"), key.clone(), word("1")],
        _ => vec![word("GETEX"), key.clone(), word("PX"), word("1")],
    };
    // Only the first two make the key; the others leave a missing one missing.
    vec![
        Step::exact(set),
        Step::new(vec![word("EXISTS"), key], Judge::Vanish),
    ]
}
