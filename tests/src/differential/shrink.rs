//! From a long stream that ends in a difference to a short one: drop pieces as long as some difference
//! remains. The servers start over for each attempt, so what is left shows the fault by itself.

use std::fmt::Write as _;
use std::time::Duration;

use super::run::{Mismatch, Pair};
use super::step::Step;
use crate::deadline::Deadline;

/// How long to search for a shorter stream.
const SEARCH: Duration = Duration::from_secs(40);
/// Tails to try before the whole stream.
const TAILS: &[usize] = &[20, 200, 2_000, 6_000, 20_000];
/// How many commands to print.
const PRINTED: usize = 60;

/// The difference, and the shortest list of commands found that shows one.
pub fn report(pair: &mut Pair, steps: Vec<Step>, first: &Mismatch) -> String {
    let (steps, shown) = shortest(pair, steps);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "step {} differs: {}\n{}",
        first.index, first.why, first.step
    );
    let _ = writeln!(text, "  ours:   {}\n  theirs: {}", first.ours, first.theirs);
    match shown {
        Some(mismatch) => {
            let _ = writeln!(
                text,
                "\n{} commands show a difference from an empty server:",
                steps.len()
            );
            print(&mut text, &steps);
            let _ = writeln!(text, "{}: {}", mismatch.step, mismatch.why);
            let _ = writeln!(
                text,
                "  ours:   {}\n  theirs: {}",
                mismatch.ours, mismatch.theirs
            );
        }
        None => {
            let _ = writeln!(
                text,
                "\nnot seen again when the stream was replayed; its end was:"
            );
            print(&mut text, &steps);
        }
    }
    text
}

fn print(text: &mut String, steps: &[Step]) {
    let from = steps.len().saturating_sub(PRINTED);
    for step in &steps[from..] {
        let _ = writeln!(
            text,
            "  {}{}",
            step.show().replace('\n', "\n  "),
            if step.inline { "   (inline)" } else { "" }
        );
    }
}

fn attempt(pair: &mut Pair, steps: &[Step]) -> Option<Mismatch> {
    pair.start_over();
    let played = pair.play(steps, 50);
    played.and_then(|()| pair.audit()).err()
}

fn shortest(pair: &mut Pair, all: Vec<Step>) -> (Vec<Step>, Option<Mismatch>) {
    let deadline = Deadline::after(SEARCH);
    let lengths = TAILS
        .iter()
        .copied()
        .filter(|tail| *tail < all.len())
        .chain([all.len()]);
    for length in lengths {
        let tail = all[all.len() - length..].to_vec();
        if let Some(mismatch) = attempt(pair, &tail) {
            return thin_out(pair, tail, mismatch, deadline);
        }
    }
    (all, None)
}

fn thin_out(
    pair: &mut Pair,
    mut steps: Vec<Step>,
    mut shown: Mismatch,
    deadline: Deadline,
) -> (Vec<Step>, Option<Mismatch>) {
    let mut piece = steps.len().div_ceil(2);
    while piece > 0 {
        let mut start = 0;
        while start < steps.len() && !deadline.passed() {
            let end = (start + piece).min(steps.len());
            let without = [&steps[..start], &steps[end..]].concat();
            match attempt(pair, &without) {
                Some(mismatch) => {
                    steps = without;
                    shown = mismatch;
                }
                None => start = end,
            }
        }
        piece /= 2;
    }
    (steps, Some(shown))
}
