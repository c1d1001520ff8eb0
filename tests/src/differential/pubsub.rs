//! Draws of publish and subscribe on one connection: nobody else listens, and who subscribes leaves again in the same step. Messages between
//! connections are for the scenes.

use super::draw::Draw;
use super::step::{Command, Judge, Step};
use crate::command::words;

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "PSUBSCRIBE",
    "PUBLISH",
    "PUBSUB",
    "PUNSUBSCRIBE",
    "SPUBLISH",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "SUNSUBSCRIBE",
    "UNSUBSCRIBE",
];

/// The three ways to listen, each with its end.
const WAYS: [(&str, &str); 3] = [
    ("SUBSCRIBE", "UNSUBSCRIBE"),
    ("PSUBSCRIBE", "PUNSUBSCRIBE"),
    ("SSUBSCRIBE", "SUNSUBSCRIBE"),
];

/// Questions, and what is none.
const QUESTIONS: &[&str] = &[
    "CHANNELS",
    "CHANNELS n*",
    "CHANNELS a b",
    "NUMSUB",
    "NUMSUB news noise news",
    "NUMPAT",
    "NUMPAT x",
    "SHARDCHANNELS",
    "SHARDCHANNELS *",
    "SHARDNUMSUB",
    "SHARDNUMSUB news",
    "NONSENSE",
];

/// One command of this family, or a subscription from its begin to its end.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let step = match draw.rng.below(10) {
        0 | 1 => message(draw),
        2 => {
            let mut command = vec![draw.cased("PUBSUB")];
            command.extend(words(draw.rng.pick(QUESTIONS)));
            Step::exact(command)
        }
        3 => Step::new(words("PUBSUB HELP"), Judge::Kind),
        4 => {
            // Too few words, or an end without a begin: one reply.
            let (begin, end) = draw.rng.pick(&WAYS);
            let name = draw.rng.pick(&[begin, end]);
            Step::exact(vec![draw.cased(name)])
        }
        5 => {
            let (_, end) = draw.rng.pick(&WAYS);
            Step::exact(vec![draw.cased(end), channel(draw)])
        }
        _ => subscription(draw),
    };
    vec![step]
}

fn message(draw: &mut Draw) -> Step {
    let name = draw.rng.pick(&["PUBLISH", "SPUBLISH"]);
    let mut command = vec![draw.cased(name), channel(draw)];
    if !draw.rng.one_in(12) {
        command.push(draw.value());
    }
    Step::exact(command)
}

fn channel(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(8) {
        0 => draw.value(),
        1 => draw.pattern(),
        _ => format!("news{}", draw.rng.below(5)).into_bytes(),
    }
}

/// Begins to listen, says what one may say then and what not, and ends it. One channel in each command: one reply.
fn subscription(draw: &mut Draw) -> Step {
    let mut ends: Vec<Command> = Vec::new();
    let mut spoken: Vec<Command> = Vec::new();
    for _ in 0..draw.rng.between(1, 4) {
        let (begin, end) = draw.rng.pick(&WAYS);
        let channel = channel(draw);
        spoken.push(vec![draw.cased(begin), channel.clone()]);
        ends.push(vec![draw.cased(end), channel]);
        spoken.extend(aside(draw));
    }
    // A channel named twice is left with the first end; the second one gets a reply all the same.
    let mut step = Step::exact(words("PUBSUB NUMPAT"));
    if let Some(last) = ends.pop() {
        ends.reverse();
        spoken.extend(ends);
        step.command = last;
    }
    step.spoken = spoken;
    step
}

/// What somebody says who listens.
fn aside(draw: &mut Draw) -> Option<Command> {
    match draw.rng.below(8) {
        0 => Some(words("PING")),
        1 => Some(vec![b"PING".to_vec(), draw.value()]),
        2 => Some(vec![b"GET".to_vec(), draw.key()]),
        3 => Some(words("NOSUCH")),
        _ => None,
    }
}
