//! Test: every row says what redis-server 7.0.15 says of the command.
//!
//! `redis_7_0_15.resp` is its reply to COMMAND INFO with the names of all its commands, RESP2.

use tessera_core::resp::{Value, parse_reply};

use crate::session::rig::Rig;

const RECORDED: &[u8] = include_bytes!("redis_7_0_15.resp");

/// Rows that Redis got after 7.0, or that differ on purpose.
const NEWER: &[&str] = &[
    // Refused in MULTI, see docs/COMPAT.md.
    "bgsave",
    "bgrewriteaof",
    "client|setinfo",
    "client|no-touch",
    "delex",
    "delifeq",
    "digest",
    "hexpire",
    "hexpireat",
    "hexpiretime",
    "hgetdel",
    "hgetex",
    "hotkeys",
    "hpersist",
    "hpexpire",
    "hpexpireat",
    "hpexpiretime",
    "hpttl",
    "hsetex",
    "httl",
    "memory|keys",
    "msetex",
    "waitaof",
    "zrank",
    "zrevrank",
];

/// One entry of COMMAND INFO: the order of flags, categories, tips and subcommands means nothing.
#[derive(Debug, PartialEq)]
struct Entry {
    name: String,
    facts: Vec<String>,
    subcommands: Vec<Entry>,
}

fn elements<'a, 'b>(value: &'a Value<'b>) -> &'a [Value<'b>] {
    value
        .as_elements()
        .unwrap_or_else(|| panic!("{value:?} is no array"))
}

fn sorted(value: &Value<'_>) -> String {
    let mut texts: Vec<String> = elements(value)
        .iter()
        .map(|element| format!("{element:?}"))
        .collect();
    texts.sort();
    texts.join(" ")
}

fn entry(value: &Value<'_>) -> Entry {
    let fields = elements(value);
    let name = fields[0].as_bytes().expect("a name");
    let mut subcommands: Vec<Entry> = elements(&fields[9]).iter().map(entry).collect();
    subcommands.sort_by(|a, b| a.name.cmp(&b.name));
    let mut facts: Vec<String> = fields[1..9]
        .iter()
        .map(|field| format!("{field:?}"))
        .collect();
    for at in [2, 6, 7] {
        facts[at - 1] = sorted(&fields[at]);
    }
    Entry {
        name: String::from_utf8(name.to_vec()).unwrap(),
        facts,
        subcommands,
    }
}

fn entries(bytes: &[u8]) -> Vec<Entry> {
    let (value, used) = parse_reply(bytes).unwrap().expect("a whole reply");
    assert_eq!(used, bytes.len());
    elements(&value).iter().map(entry).collect()
}

/// Compares one of our entries with the recorded ones of its kind.
fn compare(ours: &Entry, recorded: &[Entry], wrong: &mut Vec<String>) {
    if NEWER.contains(&ours.name.as_str()) {
        return;
    }
    match recorded.iter().find(|theirs| theirs.name == ours.name) {
        None => wrong.push(format!("{} is no command of Redis 7.0", ours.name)),
        Some(theirs) => {
            for (ours_fact, theirs_fact) in ours.facts.iter().zip(&theirs.facts) {
                if ours_fact != theirs_fact {
                    wrong.push(format!(
                        "{}: {ours_fact}\n   but in Redis: {theirs_fact}",
                        ours.name
                    ));
                }
            }
            for sub in &ours.subcommands {
                compare(sub, &theirs.subcommands, wrong);
            }
        }
    }
}

#[test]
fn every_row_is_as_redis_has_it() {
    let recorded = entries(RECORDED);
    assert_eq!(recorded.len(), 240);
    let ours = entries(&Rig::new().send_raw("COMMAND"));
    let mut wrong = Vec::new();
    for entry in &ours {
        compare(entry, &recorded, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
