//! What the server says about itself and its commands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use tessera_tests::client::Client;
use tessera_tests::differential::draw::Draw;
use tessera_tests::differential::generator;
use tessera_tests::differential::judge;
use tessera_tests::differential::scope;
use tessera_tests::differential::step::{Judge, Step};
use tessera_tests::launch::{Kind, Launch};
use tessera_tests::reply::Reply;

use crate::both::Both;

#[test]
fn getkeys() {
    Both::start().say(&[
        "COMMAND GETKEYS GET k",
        "COMMAND GETKEYS MSET a 1 b 2 c 3",
        "COMMAND GETKEYS MGET a b a",
        "COMMAND GETKEYS RENAME a b",
        "COMMAND GETKEYS COPY a b DB 1",
        "COMMAND GETKEYS LCS a b LEN",
        "COMMAND GETKEYS OBJECT ENCODING k",
        "COMMAND GETKEYS MEMORY USAGE k",
        "COMMAND GETKEYS SET k v EX 10",
        "COMMAND GETKEYS PING",
        "COMMAND GETKEYS GET",
        "COMMAND GETKEYS NOSUCH k",
        "COMMAND GETKEYS",
        "COMMAND GETKEYS MSET a",
        "COMMAND GETKEYS MSET a 1 b",
        "COMMAND GETKEYS OBJECT",
        "COMMAND GETKEYS OBJECT NONSENSE k",
        "COMMAND GETKEYS CONFIG GET k",
        "COMMAND NONSENSE",
        "COMMAND LIST FILTERBY",
        "COMMAND LIST FILTERBY ACLCAT nosuch",
        "COMMAND LIST FILTERBY MODULE nosuch",
        "COMMAND LIST FILTERBY PATTERN nosuch*",
        "COMMAND COUNT extra",
        "COMMAND DOCS nosuch",
        "COMMAND INFO nosuch",
    ]);
}

/// The forms of HELP and of COMMAND DOCS are Redis's; the words that explain are our own.
#[test]
fn explanations_are_our_own() {
    let (tessera, oracle) = (Launch::tessera().start(), Launch::oracle().start());
    let (mut ours, mut theirs) = (tessera.client(), oracle.client());
    if tessera.kind() == Kind::Redis {
        return;
    }
    for container in ["ACL", "CLIENT", "COMMAND", "CONFIG", "MEMORY", "OBJECT"] {
        let [ours, theirs] = [&mut ours, &mut theirs].map(|client| {
            let reply = client.call(&[container, "HELP"]);
            reply.elements().iter().map(Reply::text).collect::<Vec<_>>()
        });
        assert!(
            ours.len() >= 4 && ours[0].starts_with(container),
            "{ours:?}"
        );
        let is_prose = |line: &String| line.starts_with("  ") && !line.contains("* ");
        let is_common = |line: &&String| is_prose(line) && theirs.contains(line);
        let common: Vec<_> = ours.iter().filter(is_common).collect();
        assert!(common.is_empty(), "{common:?}");
    }
    for name in scope::COMMANDS {
        let [ours, theirs] = [&mut ours, &mut theirs].map(|client| {
            let docs = client.call(&["COMMAND", "DOCS", name]).pairs();
            docs.first().map(|(_, row)| row.pairs()[0].1.text())
        });
        assert!(ours.is_some(), "{name}");
        assert_ne!(ours, theirs, "{name}");
    }
}

/// Each command's row is Redis's own: arity, flags, keys, ACL categories.
#[test]
fn command_info_of_every_command() {
    let (tessera, oracle) = (Launch::tessera().start(), Launch::oracle().start());
    let mut wrong = Vec::new();
    for protocol in [2, 3] {
        let open = |server: &tessera_tests::server::Server| {
            if protocol == 3 {
                server.client3()
            } else {
                server.client()
            }
        };
        let (mut ours, mut theirs) = (open(&tessera), open(&oracle));
        for name in scope::COMMANDS {
            let step = Step::new(
                ["COMMAND", "INFO", name]
                    .map(|word| word.as_bytes().to_vec())
                    .to_vec(),
                Judge::CommandInfo,
            );
            let frame = |client: &mut Client| {
                client.send(&step.command);
                client
                    .read_frame()
                    .expect("a reply")
                    .expect("an open connection")
            };
            if let Err(why) = judge::compare(&step, &frame(&mut ours), &frame(&mut theirs)) {
                wrong.push(why);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Since when, of which group, and with which subcommands: facts of COMMAND DOCS that need no words.
#[test]
fn command_docs_of_every_command() {
    let (tessera, oracle) = (Launch::tessera().start(), Launch::oracle().start());
    let (mut ours, mut theirs) = (tessera.client(), oracle.client());
    let facts = |client: &mut Client, name: &str| -> Vec<String> {
        let docs = client.call(&["COMMAND", "DOCS", name]).pairs();
        let row = docs.first().map(|(_, row)| row.pairs()).unwrap_or_default();
        let mut facts = Vec::new();
        for (field, value) in row {
            match field.as_str() {
                "since" | "group" => facts.push(format!("{field} {}", value.text())),
                "subcommands" => facts.extend(value.pairs().into_iter().map(|(sub, _)| sub)),
                _ => {}
            }
        }
        facts.sort();
        facts
    };
    for name in scope::COMMANDS {
        let theirs = facts(&mut theirs, name);
        let ours = facts(&mut ours, name);
        // A container may not have all subcommands yet, and has those of Redis 7.2.
        let missing: Vec<_> = theirs
            .iter()
            .filter(|fact| !fact.contains('|') && !ours.contains(fact))
            .collect();
        assert!(missing.is_empty(), "{name}: {ours:?} lacks {missing:?}");
    }
}

/// The keys of whatever the differential stream draws, with what the command does to each.
#[test]
fn keys_and_flags_of_drawn_commands() {
    let mut both = Both::start();
    let mut draw = Draw::new(11);
    for _ in 0..3_000 {
        let mut command = vec![b"COMMAND".to_vec(), b"GETKEYSANDFLAGS".to_vec()];
        command.extend(generator::any_keyed(&mut draw));
        let is_newer = command
            .iter()
            .any(|word| word.eq_ignore_ascii_case(b"withscore"));
        if !is_newer {
            both.call(&command);
        }
    }
}

#[test]
fn command_lists() {
    let server = Launch::tessera().start();
    let mut client = server.client();
    let all = client.say("COMMAND LIST").sorted_texts();
    // Subcommands are listed too, but not counted.
    let counted = all.iter().filter(|name| !name.contains('|')).count();
    assert_eq!(
        i64::try_from(counted),
        Ok(client.say("COMMAND COUNT").int())
    );
    assert_eq!(counted, client.say("COMMAND").elements().len());
    for name in scope::COMMANDS {
        assert!(
            all.contains(&name.to_ascii_lowercase()),
            "{name} is not listed"
        );
    }
    let found = client
        .say("COMMAND LIST FILTERBY PATTERN mset*")
        .sorted_texts();
    assert_eq!(found, ["mset", "msetex", "msetnx"]);
    let strings = client
        .say("COMMAND LIST FILTERBY ACLCAT string")
        .sorted_texts();
    assert!(
        strings.contains(&"get".to_owned()) && !strings.contains(&"ping".to_owned()),
        "{strings:?}"
    );
    let docs = client.say("COMMAND DOCS get set");
    for (name, doc) in docs.pairs() {
        let fields: BTreeMap<String, Reply> = doc.pairs().into_iter().collect();
        assert!(fields["summary"].text().len() > 10, "{name}: {doc}");
        assert_eq!(fields["group"].text(), "string");
        assert_eq!(fields["since"].text(), "1.0.0");
        assert!(fields.contains_key("complexity"), "{name}: {doc}");
    }
    assert_eq!(docs.pairs().len(), 2);
    assert_eq!(client.say("COMMAND DOCS").pairs().len(), counted);
}

/// The sections of INFO with the names of their fields.
fn sections(info: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut sections = BTreeMap::new();
    let mut current = String::new();
    for line in info
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
    {
        if let Some(name) = line.strip_prefix("# ") {
            current = name.to_owned();
            sections.insert(current.clone(), BTreeSet::new());
        } else {
            let (field, _) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("no field: {line:?}"));
            sections
                .entry(current.clone())
                .or_insert_with(BTreeSet::new)
                .insert(field.to_owned());
        }
    }
    sections
}

/// Fields that tools read; a subset of Redis's.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "Server",
        &[
            "redis_version",
            "redis_mode",
            "os",
            "arch_bits",
            "process_id",
            "run_id",
            "tcp_port",
            "uptime_in_seconds",
            "uptime_in_days",
            "executable",
            "config_file",
        ],
    ),
    (
        "Clients",
        &["connected_clients", "blocked_clients", "maxclients"],
    ),
    (
        "Memory",
        &[
            "used_memory",
            "used_memory_human",
            "used_memory_rss",
            "used_memory_peak",
            "maxmemory",
            "maxmemory_human",
            "maxmemory_policy",
            "mem_allocator",
        ],
    ),
    (
        "Persistence",
        &[
            "loading",
            "rdb_changes_since_last_save",
            "rdb_bgsave_in_progress",
            "aof_enabled",
        ],
    ),
    (
        "Stats",
        &[
            "total_connections_received",
            "total_commands_processed",
            "instantaneous_ops_per_sec",
            "total_net_input_bytes",
            "total_net_output_bytes",
            "rejected_connections",
            "expired_keys",
            "evicted_keys",
            "keyspace_hits",
            "keyspace_misses",
        ],
    ),
    (
        "Replication",
        &[
            "role",
            "connected_slaves",
            "master_replid",
            "master_repl_offset",
        ],
    ),
    ("CPU", &["used_cpu_sys", "used_cpu_user"]),
    ("Cluster", &["cluster_enabled"]),
];

#[test]
fn info_has_the_fields_that_tools_read() {
    let (tessera, oracle) = (
        Launch::tessera().shards(2).start(),
        Launch::oracle().start(),
    );
    let (mut client, mut other) = (tessera.client(), oracle.client());
    for client in [&mut client, &mut other] {
        client.say("SET k v").expect_ok();
    }
    let (ours, theirs) = (
        sections(&client.say("INFO").text()),
        sections(&other.say("INFO").text()),
    );
    for name in theirs.keys() {
        assert!(
            ours.contains_key(name),
            "no section {name}: {:?}",
            ours.keys()
        );
    }
    for (section, fields) in FIELDS {
        for field in *fields {
            assert!(
                theirs[*section].contains(*field),
                "this test is wrong: Redis has no {field} in {section}"
            );
            assert!(ours[*section].contains(*field), "no {field} in {section}");
        }
    }
    assert!(ours["Keyspace"].contains("db0"));
    let one: Vec<String> = sections(&client.say("INFO memory").text())
        .into_keys()
        .collect();
    assert_eq!(one, ["Memory"]);
    let two: Vec<String> = sections(&client.say("INFO CPU Server cpu").text())
        .into_keys()
        .collect();
    assert_eq!(two, ["CPU", "Server"]);
    assert_eq!(client.say("INFO nosuchsection").text(), "");
    let all = sections(&client.say("INFO everything").text());
    assert!(all.contains_key("Commandstats"), "{:?}", all.keys());
}

#[test]
fn info_counts_what_happened() {
    let server = Launch::tessera().shards(4).start();
    let mut client = server.client();
    let number = |client: &mut Client, section: &str, field: &str| -> u64 {
        let info = client.call(&["INFO", section]).text();
        let value = info
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value
            .unwrap_or_else(|| panic!("no {field} in\n{info}"))
            .trim()
            .parse()
            .expect("a number")
    };
    let commands = number(&mut client, "stats", "total_commands_processed");
    let connections = number(&mut client, "stats", "total_connections_received");
    let memory = number(&mut client, "memory", "used_memory");
    let mut others: Vec<Client> = (0..8).map(|_| server.client()).collect();
    for (n, other) in others.iter_mut().enumerate() {
        for round in 0..50 {
            other
                .call(&["SET", &format!("k{n}:{round}"), &"x".repeat(10_000)])
                .expect_ok();
        }
    }
    assert_eq!(
        number(&mut client, "stats", "total_connections_received") - connections,
        8
    );
    // Four hundred writes and the INFO calls between.
    let ran = number(&mut client, "stats", "total_commands_processed") - commands;
    assert!((400..410).contains(&ran), "{ran} commands");
    assert_eq!(number(&mut client, "clients", "connected_clients"), 9);
    let grown = number(&mut client, "memory", "used_memory") - memory;
    assert!(
        grown >= 4_000_000,
        "400 values of 10,000 bytes grew memory by {grown}"
    );
    assert_eq!(
        number(&mut client, "server", "tcp_port"),
        u64::from(server.port())
    );
}

#[test]
fn memory_usage_follows_the_value() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    let mut usage = |length: usize| {
        client.call(&["SET", "k", &"x".repeat(length)]).expect_ok();
        client.say("MEMORY USAGE k").int()
    };
    let (small, medium, large) = (usage(1), usage(1000), usage(1_000_000));
    assert!((1..=200).contains(&small), "{small}");
    assert!((1000..2000).contains(&medium), "{medium}");
    assert!((1_000_000..2_200_000).contains(&large), "{large}");
    let mut both = Both::start();
    both.say(&[
        "MEMORY USAGE missing",
        "MEMORY USAGE",
        "MEMORY USAGE k SAMPLES",
        "MEMORY USAGE k SAMPLES x",
        "MEMORY USAGE k NONSENSE 5",
        "MEMORY NONSENSE",
    ]);
}

#[test]
fn time_and_art() {
    let server = Launch::tessera().start();
    let mut client = server.client();
    let time = client.say("TIME");
    let [seconds, micros] = time.elements() else {
        panic!("TIME gave {time}")
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    assert!(
        now.abs_diff(seconds.text().parse().expect("seconds")) < 600,
        "{time}"
    );
    assert!(
        micros.text().parse::<u64>().expect("microseconds") < 1_000_000,
        "{time}"
    );
    let art = client.say("LOLWUT").text();
    assert!(
        art.trim_end()
            .lines()
            .last()
            .is_some_and(|line| line.contains("ver. ")),
        "{art}"
    );
    assert!(!client.say("LOLWUT VERSION 5 1 1 1").is_error());
}
