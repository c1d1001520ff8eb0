//! The stream: families by weight, and mutations that make a good command a wrong one. The same seed
//! gives the same stream on every machine.

use super::draw::Draw;
use super::step::{Command, Judge, Step};
use super::{
    bitmaps, connection, database, expiry, functions, generic, geo, hashes, hyperloglog, lists,
    node, pubsub, scripts, sets, streams, strings, transactions, waiting, zsets,
};

type Family = fn(&mut Draw) -> Vec<Step>;

/// The families of commands with keys, and how often each is drawn.
const FAMILIES: &[(usize, Family)] = &[
    (30, strings::draw),
    (12, hashes::draw),
    (12, lists::draw),
    (12, sets::draw),
    (14, streams::draw),
    (20, zsets::draw),
    (8, geo::draw),
    (5, bitmaps::draw),
    (4, hyperloglog::draw),
    (15, expiry::draw),
    (5, scripts::draw),
    (3, functions::draw),
    (18, generic::draw),
    (1, waiting::draw),
];

/// One of the families, by weight.
fn family(draw: &mut Draw) -> Family {
    let mut at = draw
        .rng
        .below(FAMILIES.iter().map(|(weight, _)| weight).sum());
    for (weight, family) in FAMILIES {
        if at < *weight {
            return *family;
        }
        at -= weight;
    }
    generic::draw
}

/// An endless stream of steps.
#[derive(Debug, Clone)]
pub struct Generator {
    draw: Draw,
    protocol: u8,
    ahead: std::collections::VecDeque<Step>,
}

impl Generator {
    /// The stream of `seed`, on connections that speak `protocol`.
    #[must_use]
    pub fn new(seed: u64, protocol: u8) -> Self {
        Self {
            draw: Draw::new(seed),
            protocol,
            ahead: std::collections::VecDeque::new(),
        }
    }

    /// How many of the next steps go into one pipeline.
    pub fn pipeline_length(&mut self) -> usize {
        if self.draw.rng.one_in(6) {
            1
        } else {
            self.draw.rng.between(2, 60)
        }
    }

    fn refill(&mut self) {
        let draw = &mut self.draw;
        let mut steps = match draw.rng.below(100) {
            0..=80 => family(draw)(draw),
            81 | 82 => transactions::draw(draw),
            83 => pubsub::draw(draw),
            84 => node::draw(draw),
            85..=90 => database::draw(draw),
            91..=97 => connection::draw(draw, self.protocol),
            _ => vec![nonsense(draw)],
        };
        // Steps that belong together stay as they are: a second one looks at the key of the first.
        if let [alone] = steps.as_mut_slice()
            && draw.rng.one_in(14)
        {
            mutate(draw, alone);
        }
        for step in &mut steps {
            let short = step.command.iter().map(Vec::len).sum::<usize>() < 2000;
            step.inline =
                short && step.is_single() && !step.command.is_empty() && draw.rng.one_in(40);
        }
        self.ahead.extend(steps);
    }
}

impl Iterator for Generator {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        while self.ahead.is_empty() {
            self.refill();
        }
        self.ahead.pop_front()
    }
}

/// A command with keys, for COMMAND GETKEYS.
pub fn any_keyed(draw: &mut Draw) -> Command {
    let (_, family) = FAMILIES[draw.rng.below(FAMILIES.len())];
    let mut steps = family(draw);
    steps.swap_remove(0).command
}

/// A command that no server has.
fn nonsense(draw: &mut Draw) -> Step {
    let mut command = vec![match draw.rng.below(5) {
        0 => draw.odd_word(),
        1 => b"GETT".to_vec(),
        2 => b"foo|bar".to_vec(),
        3 => b"object|encoding".to_vec(),
        _ => b"NoSuch\r\nCommand".to_vec(),
    }];
    for _ in 0..draw.rng.below(5) {
        command.push(draw.value());
    }
    Step::exact(command)
}

/// Drops, adds, doubles or replaces a word. The judge stays: a mutated command that is refused is an
/// error, and errors are compared exactly.
fn mutate(draw: &mut Draw, step: &mut Step) {
    let may_change = !matches!(step.judge, Judge::Walk | Judge::Vanish | Judge::Hello)
        && step.silent.is_empty()
        && step.spoken.is_empty()
        && !matches!(
            step.name().as_str(),
            "SHUTDOWN" | "DEBUG" | "QUIT" | "CONFIG" | "CLIENT" | "RESET" | "XADD"
        )
        // They would begin something, or be replied to more than once.
        && !pubsub::COMMANDS.contains(&step.name().as_str())
        && !transactions::COMMANDS.contains(&step.name().as_str())
        && !node::FRAGILE.contains(&step.name().as_str())
        // With another word for the time they might wait for ever.
        && !waiting::COMMANDS.contains(&step.name().as_str());
    if !may_change {
        return;
    }
    let command = &mut step.command;
    // COMMAND and most of its subcommands list what each server has when a word is missing.
    if command[0].eq_ignore_ascii_case(b"COMMAND") && !command[1].eq_ignore_ascii_case(b"GETKEYS") {
        return;
    }
    match draw.rng.below(5) {
        0 if command[0].eq_ignore_ascii_case(b"COMMAND") => command.push(draw.odd_word()),
        0 => {
            command.truncate(1);
        }
        1 if command.len() > 1 => {
            command.pop();
        }
        2 => command.push(draw.odd_word()),
        3 if command.len() > 1 => {
            let at = draw.rng.between(1, command.len() - 1);
            command[at] = draw.odd_word();
        }
        _ => {
            let at = draw.rng.below(command.len());
            let word = command[at].clone();
            command.push(word);
        }
    }
    // What is left of the command may be another valid one, but not one that waits or asks twice.
    if step.judge == Judge::Member {
        step.judge = Judge::Kind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differential::scope;
    use crate::differential::step::named;
    use std::collections::BTreeMap;

    #[test]
    fn a_seed_is_a_stream() {
        let shown = |seed| -> Vec<String> {
            Generator::new(seed, 2)
                .take(3000)
                .map(|step| step.show())
                .collect()
        };
        assert_eq!(shown(7), shown(7));
        assert_ne!(shown(7), shown(8));
    }

    #[test]
    fn every_command_in_scope_is_drawn() {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for step in Generator::new(1, 3).take(50_000) {
            for spoken in &step.spoken {
                *seen.entry(named(spoken)).or_default() += 1;
            }
            *seen.entry(step.name()).or_default() += 1;
        }
        for name in scope::COMMANDS {
            let count = seen.get(*name).copied().unwrap_or_default();
            assert!(count >= 10, "{name} was drawn {count} times in 50,000");
        }
    }
}
