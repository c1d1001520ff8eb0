//! Draws of functions: libraries that come and go, and calls of them, known and unknown.

use super::draw::Draw;
use super::step::{Command, Judge, Step};
use crate::command::words;

/// The commands of this family.
pub const COMMANDS: &[&str] = &["FCALL", "FCALL_RO", "FUNCTION"];

/// Libraries. Each has one function of its own name, or none.
const LIBRARIES: &[&str] = &[
    "#!lua name=one\nredis.register_function('one', function(keys, args) return {keys, args} end)",
    "#!lua name=two\nredis.register_function('two', function(keys, args) return redis.call('set', keys[1], args[1]) end)",
    "#!lua name=two\nredis.register_function{function_name='two', callback=function(keys) return redis.call('get', keys[1]) end, flags={'no-writes'}}",
    "#!lua name=three\nlocal n = 0\nredis.register_function('three', function(keys, args) return redis.pcall('incrby', keys[1], args[1]) end)",
    "#!lua name=three\nredis.register_function('one', function() return 1 end)",
    "#!lua name=none\nreturn 1",
    "#!lua name=bad\nredis.register_function('bad'",
    "#!lua name=worse\nredis.call('get', 'x')",
    "#!lua name=bad name\nreturn 1",
    "#!lua\nreturn 1",
    "#!js name=one\nreturn 1",
    "return 1",
    "",
];

const NAMES: &[&str] = &["one", "two", "three", "ONE", "none", "", "nosuch"];

/// Subcommands that need no library, and those that make no sense. What becomes of them (words come and go) may be one that succeeds, so the judges are
/// those of that one; errors must be equal in any case.
const LINES: &[(&str, Judge)] = &[
    ("LIST", Judge::Unordered),
    ("LIST WITHCODE", Judge::Unordered),
    ("LIST LIBRARYNAME t*", Judge::Unordered),
    ("LIST LIBRARYNAME t* WITHCODE", Judge::Unordered),
    ("LIST LIBRARYNAME", Judge::Unordered),
    ("LIST WITHCODE WITHCODE", Judge::Unordered),
    ("LIST NONSENSE", Judge::Unordered),
    ("STATS", Judge::Kind),
    ("KILL", Judge::Exact),
    ("DUMP", Judge::Kind),
    ("DUMP x", Judge::Kind),
    ("RESTORE nonsense", Judge::Exact),
    ("RESTORE nonsense NEVER", Judge::Exact),
    ("FLUSH", Judge::Exact),
    ("FLUSH SYNC", Judge::Exact),
    ("FLUSH ASYNC", Judge::Exact),
    ("FLUSH NEVER", Judge::Exact),
    ("HELP", Judge::Kind),
    ("NONSENSE", Judge::Exact),
    ("LOAD", Judge::Exact),
    ("DELETE", Judge::Exact),
];

/// One command of this family.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    if draw.rng.one_in(2) {
        return vec![Step::exact(call(draw))];
    }
    let mut command = vec![draw.cased("FUNCTION")];
    let judge = match draw.rng.below(8) {
        0..=3 => {
            command.push(draw.cased("LOAD"));
            if draw.rng.one_in(2) {
                command.push(draw.cased("REPLACE"));
            }
            // The first ones work.
            let most = if draw.rng.one_in(3) {
                LIBRARIES.len()
            } else {
                4
            };
            command.push(LIBRARIES[draw.rng.below(most)].as_bytes().to_vec());
            Judge::Exact
        }
        4 => {
            command.push(draw.cased("DELETE"));
            command.push(draw.rng.pick(NAMES).as_bytes().to_vec());
            Judge::Exact
        }
        _ => {
            let (line, judge) = draw.rng.pick(LINES);
            command.extend(words(line));
            judge
        }
    };
    vec![Step::new(command, judge)]
}

fn call(draw: &mut Draw) -> Command {
    let name = draw.rng.pick(&["FCALL", "FCALL", "FCALL_RO"]);
    let mut command = vec![draw.cased(name)];
    command.push(draw.rng.pick(NAMES).as_bytes().to_vec());
    let keys = draw.keys(3);
    command.push(match draw.rng.below(10) {
        0 => draw.integer(),
        _ => keys.len().to_string().into_bytes(),
    });
    command.extend(keys);
    for _ in 0..draw.rng.below(3) {
        command.push(draw.value());
    }
    command
}
