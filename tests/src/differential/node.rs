//! Draws of the commands about the node: what it remembers, whom it follows, who one is. Saving and following another node would leave
//! traces, so only what is refused is drawn of these; `tests/tests/commands` has the rest.

use super::draw::Draw;
use super::step::{Judge, Step};
use crate::command::words;

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "ACL",
    "BGREWRITEAOF",
    "BGSAVE",
    "LASTSAVE",
    "LATENCY",
    "MONITOR",
    "PFSELFTEST",
    "REPLICAOF",
    "ROLE",
    "SAVE",
    "SLAVEOF",
    "SLOWLOG",
    "WAIT",
];

/// Those that would do something, or tell what each server has seen, once a word is dropped: they stay as they are drawn.
pub const FRAGILE: &[&str] = &[
    "BGREWRITEAOF",
    "BGSAVE",
    "LATENCY",
    "MONITOR",
    "PFSELFTEST",
    "REPLICAOF",
    "SAVE",
    "SLAVEOF",
    "SLOWLOG",
    "WAIT",
];

/// What is said, and how the replies are compared.
const LINES: &[(&str, Judge)] = &[
    ("ACL WHOAMI", Judge::Exact),
    ("ACL WHOAMI x", Judge::Exact),
    ("ACL CAT", Judge::Unordered),
    ("ACL CAT string", Judge::Kind),
    ("ACL CAT nosuch", Judge::Exact),
    ("ACL", Judge::Exact),
    ("ACL NONSENSE", Judge::Exact),
    ("BGREWRITEAOF x", Judge::Exact),
    ("BGSAVE NONSENSE", Judge::Exact),
    ("BGSAVE SCHEDULE x", Judge::Exact),
    ("LASTSAVE", Judge::Positive),
    ("LASTSAVE x", Judge::Positive),
    ("LATENCY LATEST", Judge::Kind),
    ("LATENCY HISTORY nosuch", Judge::Exact),
    ("LATENCY HISTORY", Judge::Exact),
    ("LATENCY RESET", Judge::Kind),
    ("LATENCY RESET nosuch", Judge::Exact),
    ("LATENCY GRAPH nosuch", Judge::Exact),
    ("LATENCY DOCTOR", Judge::Kind),
    ("LATENCY HISTOGRAM nosuch", Judge::Exact),
    ("LATENCY HISTOGRAM get", Judge::Kind),
    ("LATENCY NONSENSE", Judge::Exact),
    ("LATENCY", Judge::Exact),
    ("MONITOR x", Judge::Exact),
    ("PFSELFTEST x", Judge::Exact),
    ("REPLICAOF NO ONE", Judge::Exact),
    ("REPLICAOF no", Judge::Exact),
    ("SLAVEOF no one", Judge::Exact),
    ("SLAVEOF a b c", Judge::Exact),
    ("ROLE", Judge::Kind),
    ("ROLE x", Judge::Exact),
    ("SAVE x", Judge::Exact),
    ("SLOWLOG LEN", Judge::Kind),
    ("SLOWLOG LEN x", Judge::Exact),
    ("SLOWLOG GET", Judge::Kind),
    ("SLOWLOG GET 0", Judge::Exact),
    ("SLOWLOG GET -1", Judge::Kind),
    ("SLOWLOG GET -2", Judge::Exact),
    ("SLOWLOG GET x", Judge::Exact),
    ("SLOWLOG GET 9223372036854775808", Judge::Exact),
    ("SLOWLOG RESET", Judge::Exact),
    ("SLOWLOG NONSENSE", Judge::Exact),
    ("WAIT 0 0", Judge::Exact),
    ("WAIT 0 1", Judge::Exact),
    ("WAIT -1 0", Judge::Exact),
    ("WAIT 1 2", Judge::Exact),
    ("WAIT x 0", Judge::Exact),
    ("WAIT 0 x", Judge::Exact),
    ("WAIT 0 -1", Judge::Exact),
    ("WAIT 0", Judge::Exact),
];

/// One command of this family.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let name = draw.rng.pick(COMMANDS);
    let of_name = |(line, _): &&(&str, Judge)| line.split(' ').next() == Some(name);
    let lines: Vec<&(&str, Judge)> = LINES.iter().filter(of_name).collect();
    let (line, judge) = lines[draw.rng.below(lines.len())];
    let mut command = words(line);
    command[0] = draw.cased(name);
    vec![Step::new(command, *judge)]
}
