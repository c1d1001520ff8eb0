//! Draws of the commands on whole databases and on the server.

use super::draw::Draw;
use super::scope;
use super::step::{Command, Judge, Step};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "COMMAND", "CONFIG", "DBSIZE", "DEBUG", "FLUSHALL", "FLUSHDB", "INFO", "LOLWUT", "MEMORY",
    "SHUTDOWN", "SWAPDB", "TIME",
];

/// Directives that every Redis has and whose value can be anything in a test.
const DIRECTIVES: &[(&str, &[&str])] = &[
    ("timeout", &["0", "100000", "-1", "abc", "", "2147483648"]),
    // Never above what it is at first: SETBIT and SETRANGE with the offsets that are drawn would then fill the memory.
    (
        "proto-max-bulk-len",
        &["512mb", "500Mb", "400m", "536870912", "x", "-5", "100"],
    ),
    ("maxmemory-policy", &["noeviction", "NoEviction", "nothing"]),
    ("client-query-buffer-limit", &["1gb", "2097152", "100", "x"]),
    ("hz", &["10", "50", "abc"]),
    ("lazyfree-lazy-user-del", &["yes", "no", "maybe"]),
    ("port-nonsense", &["1"]),
];

/// One command of this family.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let name = draw.rng.pick(COMMANDS);
    let mut command = vec![draw.cased(name)];
    let mut judge = Judge::Exact;
    match name {
        "DBSIZE" => {}
        "FLUSHALL" | "FLUSHDB" => {
            // Seldom one that works: the keys are what all else is about.
            if draw.rng.one_in(if name == "FLUSHALL" { 8 } else { 3 }) {
                let mode = draw.rng.pick(&["", "ASYNC", "SYNC"]);
                if !mode.is_empty() {
                    command.push(draw.cased(mode));
                }
            } else {
                command.push(b"NEVER".to_vec());
            }
        }
        "SWAPDB" => command.extend([draw.database(), draw.database()]),
        "TIME" | "LOLWUT" => judge = Judge::Kind,
        "INFO" => {
            let section = draw.rng.pick(&[
                "",
                "server",
                "memory",
                "everything",
                "all",
                "default",
                "keyspace",
                "nosuchsection",
            ]);
            if !section.is_empty() {
                command.push(draw.cased(section));
            }
            judge = Judge::Kind;
        }
        "CONFIG" => config(draw, &mut command),
        "COMMAND" => judge = of_command(draw, &mut command),
        "MEMORY" => judge = memory(draw, &mut command),
        "DEBUG" => {
            let text = draw.rng.pick(&[
                "SLEEP 0",
                "SLEEP 0.0",
                "SET-ACTIVE-EXPIRE 1",
                "SLEEP",
                "SET-ACTIVE-EXPIRE",
            ]);
            command.extend(crate::command::words(text));
        }
        "SHUTDOWN" => {
            let text = draw.rng.pick(&[
                "NONSENSE",
                "ABORT",
                "SAVE NOSAVE",
                "ABORT NOW",
                "NOSAVE SAVE FORCE",
            ]);
            command.extend(crate::command::words(text));
        }
        other => unreachable!("{other} has no draw"),
    }
    vec![Step::new(command, judge)]
}

fn config(draw: &mut Draw, command: &mut Command) {
    let (name, values) = draw.rng.pick(DIRECTIVES);
    let name = draw.cased(name);
    match draw.rng.below(8) {
        0..=2 => command.extend([draw.cased("GET"), name]),
        3..=5 => {
            let value = draw.rng.pick(values).as_bytes().to_vec();
            command.extend([draw.cased("SET"), name, value]);
        }
        6 => command.push(draw.cased("RESETSTAT")),
        _ => command.extend([draw.cased("NONSENSE"), name]),
    }
}

fn of_command(draw: &mut Draw, command: &mut Command) -> Judge {
    match draw.rng.below(9) {
        0 => {
            command.push(draw.cased("COUNT"));
            Judge::Kind
        }
        1 => {
            command.push(draw.cased("LIST"));
            Judge::Kind
        }
        2 => {
            command.push(draw.cased("LIST"));
            let filter = draw.rng.pick(&[
                "FILTERBY",
                "FILTERBY PATTERN",
                "FILTERBY NONSENSE x",
                "NONSENSE",
                "FILTERBY MODULE none",
            ]);
            command.extend(crate::command::words(filter));
            Judge::Exact
        }
        3 | 4 => {
            command.push(draw.cased("INFO"));
            for _ in 0..draw.rng.between(1, 3) {
                let name = draw.rng.pick(scope::COMMANDS);
                command.push(if draw.rng.one_in(8) {
                    b"nosuch".to_vec()
                } else {
                    draw.cased(name)
                });
            }
            Judge::CommandInfo
        }
        5 => {
            command.push(draw.cased("DOCS"));
            command.push(if draw.rng.one_in(3) {
                b"nosuch".to_vec()
            } else {
                b"get".to_vec()
            });
            Judge::Kind
        }
        _ => {
            let name = draw.rng.pick(&["GETKEYS", "GETKEYSANDFLAGS"]);
            command.push(draw.cased(name));
            for inner in super::generator::any_keyed(draw) {
                command.push(inner);
            }
            Judge::Exact
        }
    }
}

fn memory(draw: &mut Draw, command: &mut Command) -> Judge {
    match draw.rng.below(6) {
        0 => command.push(draw.odd_word()),
        1 => {
            command.extend([draw.cased("USAGE"), draw.key(), draw.cased("SAMPLES")]);
            command.push(
                draw.rng
                    .pick(&["0", "5", "-1", "abc", "100"])
                    .as_bytes()
                    .to_vec(),
            );
        }
        2 => command.extend([draw.cased("USAGE"), draw.key(), draw.odd_word()]),
        _ => command.extend([draw.cased("USAGE"), draw.key()]),
    }
    Judge::Positive
}
