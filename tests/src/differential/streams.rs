//! Draws of the stream commands.
//!
//! Ids are given, never `*`: the moment would be another one on each server. Idle times asked for are nothing or thousands of years. Redis
//! 7.0 creates a consumer when it gets its first entry, Redis 7.2 and ours when it first asks; so the consumer is created before.

use super::draw::Draw;
use super::step::{Command, Judge, Step};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "XACK",
    "XADD",
    "XAUTOCLAIM",
    "XCLAIM",
    "XDEL",
    "XGROUP",
    "XINFO",
    "XLEN",
    "XPENDING",
    "XRANGE",
    "XREAD",
    "XREADGROUP",
    "XREVRANGE",
    "XSETID",
    "XTRIM",
];

const GROUPS: &[&str] = &["g1", "g1", "g1", "g2", "g2", "none"];
const CONSUMERS: &[&str] = &["c1", "c1", "c2", "c2", "c3", ""];
const IDLE_MS: &[&str] = &["0", "0", "0", "0", "-1", "1000000000000000", "abc"];

/// The millisecond that most entries get, so that each finds its id above the last one.
const FULL_MS: usize = 400;

const ODD_IDS: &[&str] = &[
    "",
    "-",
    "+",
    "$",
    ">",
    "-5",
    "5-",
    "5-*",
    "*-5",
    "(5",
    "(",
    "(-",
    "1-2-3",
    "0",
    "0-0",
    "0-18446744073709551615",
    "18446744073709551615",
    "18446744073709551615-18446744073709551615",
    "18446744073709551616",
    "+1",
    "-0",
    " 5",
    "5 ",
    "5-01",
    "5--1",
    "5--01",
    "007",
    "5\0x",
    "abc",
];

fn owned(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

impl Draw {
    fn stream(&mut self) -> Vec<u8> {
        if self.rng.one_in(12) {
            self.key()
        } else {
            format!("s{}", self.rng.below(6)).into_bytes()
        }
    }

    fn stream_id(&mut self) -> Vec<u8> {
        match self.rng.below(24) {
            0 => owned(self.rng.pick(ODD_IDS)),
            1..=12 => format!("{FULL_MS}-{}", self.rng.below(150)).into_bytes(),
            13..=16 => format!("{}-{}", self.rng.below(420), self.rng.below(3)).into_bytes(),
            _ => self.rng.below(420).to_string().into_bytes(),
        }
    }

    fn stream_ids(&mut self) -> Vec<Vec<u8>> {
        (0..self.rng.between(1, 4))
            .map(|_| self.stream_id())
            .collect()
    }

    fn stream_bound(&mut self) -> Vec<u8> {
        match self.rng.below(10) {
            0..=2 => owned("-"),
            3..=5 => owned("+"),
            6 => [b"(".to_vec(), self.stream_id()].concat(),
            _ => self.stream_id(),
        }
    }

    fn one_of(&mut self, words: &[&str]) -> Vec<u8> {
        owned(self.rng.pick(words))
    }

    fn stream_count(&mut self) -> Vec<u8> {
        if self.rng.one_in(8) {
            self.integer()
        } else {
            self.rng.below(12).to_string().into_bytes()
        }
    }

    /// A word that is no option of these commands.
    fn stream_word(&mut self) -> Vec<u8> {
        self.one_of(&["", "foo", "9-9", "COUNT", "JUSTID", "FULL", "STREAMS", "~"])
    }
}

/// One command of this family, at times two that belong together.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let name = if draw.rng.one_in(3) {
        "XADD"
    } else {
        draw.rng.pick(COMMANDS)
    };
    let mut command = vec![draw.cased(name)];
    let mut judge = Judge::Exact;
    match name {
        "XLEN" => command.push(draw.stream()),
        "XADD" => add(draw, &mut command),
        "XDEL" => {
            command.push(draw.stream());
            command.extend(draw.stream_ids());
        }
        "XTRIM" => {
            command.push(draw.stream());
            trim(draw, &mut command);
        }
        "XRANGE" | "XREVRANGE" => {
            command.extend([draw.stream(), draw.stream_bound(), draw.stream_bound()]);
            if draw.rng.one_in(2) {
                command.extend([draw.cased("COUNT"), draw.stream_count()]);
            }
        }
        "XACK" => {
            command.extend([draw.stream(), draw.one_of(GROUPS)]);
            command.extend(draw.stream_ids());
        }
        "XSETID" => set_id(draw, &mut command),
        "XGROUP" => group(draw, &mut command),
        "XINFO" => {
            judge = Judge::Stream;
            info(draw, &mut command);
        }
        "XPENDING" => {
            judge = Judge::Stream;
            pending(draw, &mut command);
        }
        "XREAD" => return read(draw, command),
        "XREADGROUP" => return read_group(draw, command),
        "XCLAIM" | "XAUTOCLAIM" => return claim(draw, command, name),
        other => unreachable!("{other} has no draw"),
    }
    vec![Step::new(command, judge)]
}

fn add(draw: &mut Draw, command: &mut Command) {
    command.push(draw.stream());
    if draw.rng.one_in(12) {
        command.push(draw.cased("NOMKSTREAM"));
    }
    if draw.rng.one_in(8) {
        trim(draw, command);
    }
    let id = match draw.rng.below(12) {
        0 => draw.stream_id(),
        1 => format!("{}-*", draw.rng.below(FULL_MS)).into_bytes(),
        2 => format!("{FULL_MS}-{}", draw.rng.below(400)).into_bytes(),
        _ => format!("{FULL_MS}-*").into_bytes(),
    };
    command.push(id);
    let fields = draw
        .rng
        .pick(&[&["a", "b"][..], &["a", "b"], &["x"], &["12", "b", "c"]]);
    for field in fields {
        let value = draw.value();
        // Long ones would fill the servers: entries are seldom removed.
        command.extend([owned(field), value[..value.len().min(300)].to_vec()]);
    }
    if draw.rng.one_in(40) {
        command.pop();
    }
}

fn trim(draw: &mut Draw, command: &mut Command) {
    let is_length = draw.rng.one_in(2);
    command.push(draw.cased(if is_length { "MAXLEN" } else { "MINID" }));
    match draw.rng.below(4) {
        0 => command.push(owned("=")),
        1 | 2 => command.push(owned("~")),
        _ => {}
    }
    command.push(if is_length {
        draw.rng.below(120).to_string().into_bytes()
    } else {
        draw.stream_id()
    });
    if draw.rng.one_in(4) {
        command.extend([draw.cased("LIMIT"), draw.stream_count()]);
    }
    if draw.rng.one_in(20) {
        command.push(draw.stream_word());
    }
}

fn set_id(draw: &mut Draw, command: &mut Command) {
    command.extend([draw.stream(), draw.stream_id()]);
    if draw.rng.one_in(3) {
        command.extend([draw.cased("ENTRIESADDED"), draw.integer()]);
    }
    if draw.rng.one_in(3) {
        command.extend([draw.cased("MAXDELETEDID"), draw.stream_id()]);
    }
}

fn group(draw: &mut Draw, command: &mut Command) {
    let name = draw.rng.pick(&[
        "CREATE",
        "CREATE",
        "CREATE",
        "CREATECONSUMER",
        "DELCONSUMER",
        "DESTROY",
        "SETID",
        "NONSENSE",
    ]);
    command.push(draw.cased(name));
    command.extend([draw.stream(), draw.one_of(GROUPS)]);
    match name {
        "CREATE" | "SETID" => {
            let id = draw.stream_id();
            let start = draw.one_of(&["$", "0", "id"]);
            command.push(if start == b"id" { id } else { start });
            if name == "CREATE" && draw.rng.one_in(2) {
                command.push(draw.cased("MKSTREAM"));
            }
            if draw.rng.one_in(5) {
                command.extend([draw.cased("ENTRIESREAD"), draw.integer()]);
            }
        }
        "CREATECONSUMER" | "DELCONSUMER" => command.push(draw.one_of(CONSUMERS)),
        _ => {}
    }
    if draw.rng.one_in(20) {
        command.push(draw.stream_word());
    }
}

fn info(draw: &mut Draw, command: &mut Command) {
    let name = draw
        .rng
        .pick(&["STREAM", "STREAM", "GROUPS", "CONSUMERS", "NONSENSE"]);
    command.push(draw.cased(name));
    command.push(draw.stream());
    match name {
        "CONSUMERS" => command.push(draw.one_of(GROUPS)),
        "STREAM" if draw.rng.one_in(2) => {
            command.push(draw.cased("FULL"));
            if draw.rng.one_in(2) {
                command.extend([draw.cased("COUNT"), draw.stream_count()]);
            }
        }
        _ => {}
    }
}

fn pending(draw: &mut Draw, command: &mut Command) {
    command.extend([draw.stream(), draw.one_of(GROUPS)]);
    if draw.rng.one_in(3) {
        return;
    }
    if draw.rng.one_in(4) {
        command.extend([draw.cased("IDLE"), draw.one_of(IDLE_MS)]);
    }
    command.extend([
        draw.stream_bound(),
        draw.stream_bound(),
        draw.stream_count(),
    ]);
    if draw.rng.one_in(3) {
        command.push(draw.one_of(CONSUMERS));
    }
}

/// What follows STREAMS: keys, and as many ids, most of the time.
fn streams(draw: &mut Draw, command: &mut Command, keys: &[Vec<u8>], signs: &[&str]) {
    command.push(draw.cased("STREAMS"));
    command.extend(keys.iter().cloned());
    for _ in keys {
        let id = draw.stream_id();
        let sign = draw.one_of(signs);
        command.push(if sign == b"id" { id } else { sign });
    }
    if draw.rng.one_in(40) {
        command.push(draw.stream_id());
    }
}

fn read(draw: &mut Draw, mut command: Command) -> Vec<Step> {
    if draw.rng.one_in(2) {
        command.extend([draw.cased("COUNT"), draw.stream_count()]);
    }
    // A time that is refused: a valid one would make the oracle wait.
    let is_blocking = draw.rng.one_in(20);
    if is_blocking {
        command.extend([draw.cased("BLOCK"), draw.one_of(&["abc", "-1"])]);
    }
    let keys: Vec<Vec<u8>> = (0..draw.rng.between(1, 3)).map(|_| draw.stream()).collect();
    streams(
        draw,
        &mut command,
        &keys,
        &["id", "id", "id", "0", "$", "+"],
    );
    let mut steps = vec![Step::exact(command)];
    if is_blocking {
        // A command of two steps is not changed any further.
        steps.push(Step::exact(vec![b"XLEN".to_vec(), draw.stream()]));
    }
    steps
}

fn create_consumer(draw: &mut Draw, key: &[u8], group: &[u8], consumer: &[u8]) -> Step {
    let name = draw.cased("CREATECONSUMER");
    let words = [b"XGROUP", &name[..], key, group, consumer];
    Step::exact(words.map(<[u8]>::to_vec).to_vec())
}

fn read_group(draw: &mut Draw, mut command: Command) -> Vec<Step> {
    let (group, consumer) = (draw.one_of(GROUPS), draw.one_of(CONSUMERS));
    let keys: Vec<Vec<u8>> = (0..draw.rng.between(1, 2)).map(|_| draw.stream()).collect();
    let mut steps: Vec<Step> = keys
        .iter()
        .map(|key| create_consumer(draw, key, &group, &consumer))
        .collect();
    command.extend([draw.cased("GROUP"), group, consumer]);
    if draw.rng.one_in(2) {
        command.extend([draw.cased("COUNT"), draw.stream_count()]);
    }
    if draw.rng.one_in(5) {
        command.push(draw.cased("NOACK"));
    }
    streams(draw, &mut command, &keys, &[">", ">", ">", "0", "id", "$"]);
    steps.push(Step::exact(command));
    steps
}

fn claim(draw: &mut Draw, mut command: Command, name: &str) -> Vec<Step> {
    let (key, group, consumer) = (draw.stream(), draw.one_of(GROUPS), draw.one_of(CONSUMERS));
    let created = create_consumer(draw, &key, &group, &consumer);
    command.extend([key, group, consumer, draw.one_of(IDLE_MS)]);
    if name == "XAUTOCLAIM" {
        command.push(draw.stream_bound());
        if draw.rng.one_in(2) {
            let count = draw.one_of(&["1", "2", "5", "0", "-1", "abc"]);
            command.extend([draw.cased("COUNT"), count]);
        }
        if draw.rng.one_in(3) {
            command.push(draw.cased("JUSTID"));
        }
        return vec![created, Step::exact(command)];
    }
    command.extend(draw.stream_ids());
    for _ in 0..draw.rng.below(3) {
        match draw.rng.below(8) {
            0 => command.extend([draw.cased("IDLE"), draw.integer()]),
            1 => command.extend([draw.cased("TIME"), draw.integer()]),
            2 => command.extend([draw.cased("RETRYCOUNT"), draw.integer()]),
            3..=5 => command.push(draw.cased("FORCE")),
            6 => command.push(draw.cased("JUSTID")),
            _ => command.extend([draw.cased("LASTID"), draw.stream_id()]),
        }
    }
    vec![created, Step::exact(command)]
}
