//! What the commands of hashes, sets and sorted sets have in common: a scan of the elements, and how many at random.

use super::draw::Draw;
use super::step::Command;

/// The cursor and the options of HSCAN, SSCAN and ZSCAN. One call; the order and the cursors are each server's own.
pub(super) fn scan(draw: &mut Draw, command: &mut Command) {
    let cursors: &[&str] = &[
        "0",
        "0",
        "0",
        "12345",
        "-1",
        "abc",
        "18446744073709551616",
        "",
    ];
    command.push(draw.rng.pick(cursors).as_bytes().to_vec());
    for _ in 0..draw.rng.below(3) {
        match draw.rng.below(8) {
            0..=2 => command.extend([draw.cased("MATCH"), draw.pattern()]),
            3..=5 => command.extend([draw.cased("COUNT"), draw.integer()]),
            _ => command.push(draw.odd_word()),
        }
    }
}

/// How many elements at random: few, or refused.
pub(super) fn count(draw: &mut Draw) -> Vec<u8> {
    let refused: &[&str] = &[
        "",
        "x",
        "1.5",
        "-9223372036854775808",
        "9223372036854775808",
    ];
    match draw.rng.below(8) {
        0 => draw.rng.pick(refused).as_bytes().to_vec(),
        _ => (draw.rng.below(60) as i64 - 20).to_string().into_bytes(),
    }
}
