//! Draws of transactions: one step each, from WATCH or MULTI to EXEC or DISCARD, with commands of several families between them. Transactions
//! of several connections are for the scenes.

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
    let mut spoken = Vec::new();
    if draw.rng.one_in(3) {
        watch(draw, &mut spoken);
    }
    spoken.push(vec![draw.cased("MULTI")]);
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

/// Keys that nobody else names: a change of a key by a command over several shards, too, may refuse an EXEC.
fn watched(draw: &mut Draw) -> Vec<u8> {
    format!("watched{}", draw.rng.below(4)).into_bytes()
}

fn watch(draw: &mut Draw, spoken: &mut Vec<Command>) {
    let mut watch = vec![draw.cased("WATCH")];
    watch.extend((0..draw.rng.between(1, 3)).map(|_| watched(draw)));
    spoken.push(watch);
    match draw.rng.below(6) {
        0 => spoken.push(vec![b"SET".to_vec(), watched(draw), draw.value()]),
        1 => spoken.push(vec![b"DEL".to_vec(), watched(draw)]),
        2 => spoken.push(vec![draw.cased("UNWATCH")]),
        _ => {}
    }
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
