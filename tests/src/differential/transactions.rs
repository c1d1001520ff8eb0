//! Draws of transactions: one step each, from MULTI to EXEC or DISCARD, with commands of several families between them. Transactions
//! of several connections, and watched keys, are for the scenes.

use super::draw::Draw;
use super::step::{Command, Judge, Step};
use super::{bitmaps, hashes, lists, sets, strings, zsets};
use crate::command::words;

/// The commands of this family.
pub const COMMANDS: &[&str] = &["DISCARD", "EXEC", "MULTI", "UNWATCH", "WATCH"];

/// Commands whose replies may differ on purpose, or by chance.
const NOT_INSIDE: &[&str] = &["LPOS", "SORT", "SORT_RO", "ZRANK", "ZREVRANK"];

/// Longer words make replies that say nothing more.
const WORD_BYTES_MAX: usize = 5_000;

/// What cannot be said where it is said.
const MISPLACED: &[&str] = &[
    "EXEC",
    "DISCARD",
    "UNWATCH",
    "EXEC now",
    "DISCARD now",
    "MULTI now",
    "UNWATCH now",
    "WATCH",
];

/// One transaction, or a word of one in the wrong place.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    if draw.rng.one_in(5) {
        return vec![Step::text(draw.rng.pick(MISPLACED))];
    }
    let mut spoken = vec![vec![draw.cased("MULTI")]];
    for _ in 0..draw.rng.below(7) {
        spoken.extend(inner(draw));
    }
    if draw.rng.one_in(6) {
        let odd = draw
            .rng
            .pick(&["MULTI", "WATCH w1", "NOSUCH x", "GET", "SET a", "UNWATCH"]);
        spoken.push(words(odd));
    }
    let end = if draw.rng.one_in(8) {
        "DISCARD"
    } else {
        "EXEC"
    };
    let mut step = Step::exact(vec![draw.cased(end)]);
    step.spoken = spoken;
    vec![step]
}

/// A command whose reply is the same bytes, whatever its words; at times none is found.
fn inner(draw: &mut Draw) -> Option<Command> {
    let family = draw.rng.pick(&[
        strings::draw as fn(&mut Draw) -> Vec<Step>,
        hashes::draw,
        lists::draw,
        sets::draw,
        zsets::draw,
        bitmaps::draw,
    ]);
    // What belongs together stays so: none of a pair is torn from the other.
    let [step] = <[Step; 1]>::try_from(family(draw)).ok()?;
    let is_quotable = |word: &Vec<u8>| {
        word.len() < WORD_BYTES_MAX && !word.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
    };
    let is_plain = step.judge == Judge::Exact
        && !NOT_INSIDE.contains(&step.name().as_str())
        && step.command.iter().all(is_quotable);
    is_plain.then_some(step.command)
}
