//! What the server says about itself and its commands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use tessera_tests::client::Client;
use tessera_tests::differential::scope;
use tessera_tests::launch::{Kind, Launch};
use tessera_tests::reply::Reply;

use crate::both::Both;

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
