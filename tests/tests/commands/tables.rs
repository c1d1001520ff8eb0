//! COMMAND and its subcommands: what the tables say, beside what redis-server's say.

use std::collections::{BTreeMap, BTreeSet};

use tessera_tests::client::Client;
use tessera_tests::differential::draw::Draw;
use tessera_tests::differential::generator;
use tessera_tests::differential::judge;
use tessera_tests::differential::scope;
use tessera_tests::differential::step::{Judge, Step};
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;
use tessera_tests::rng::Rng;

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

/// Rows that differ on purpose, see docs/COMPAT.md: what came with 7.2, and what a transaction must not do.
const DIFFERENT: &[&str] = &["zrank", "zrevrank", "bgsave", "bgrewriteaof"];

/// Each command's row is Redis's own, those of subcommands too: arity, flags, keys, ACL categories.
#[test]
fn command_info_of_every_command() {
    let (tessera, oracle) = (Launch::tessera().start(), Launch::oracle().start());
    let mut wrong = Vec::new();
    let (_, mut common) = Both::start().names();
    assert!(common.len() > 300, "{common:?}");
    common.retain(|name| !DIFFERENT.contains(&name.as_str()));
    for protocol in [2, 3] {
        let open = |server: &tessera_tests::server::Server| {
            if protocol == 3 {
                server.client3()
            } else {
                server.client()
            }
        };
        let (mut ours, mut theirs) = (open(&tessera), open(&oracle));
        for name in &common {
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

/// Whether a version is later than all of Redis 7.0.
fn is_newer(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next()) > (7, 0)
}

/// Arguments as text, without those that came after Redis 7.0.
fn arguments(reply: &Reply) -> String {
    let mut all = Vec::new();
    for argument in reply.elements() {
        let fields = argument.pairs();
        if fields
            .iter()
            .any(|(name, value)| name == "since" && is_newer(&value.text()))
        {
            continue;
        }
        let shown = fields.iter().map(|(name, value)| match name.as_str() {
            "arguments" => format!("({})", arguments(value)),
            "flags" => format!("{name}={:?}", value.sorted_texts()),
            _ => format!("{name}={value}"),
        });
        all.push(shown.collect::<Vec<_>>().join(" "));
    }
    all.join(", ")
}

/// The facts in COMMAND DOCS: everything that is not prose. Of subcommands, too, with their full names.
fn facts(docs: &Reply, ours: &mut BTreeMap<String, Vec<String>>) {
    for (name, row) in docs.pairs() {
        let mut facts = Vec::new();
        for (field, value) in row.pairs() {
            match field.as_str() {
                "summary" | "complexity" => assert!(!value.text().is_empty()),
                "replaced_by" => facts.push(field),
                "doc_flags" => facts.push(format!("{field} {:?}", value.sorted_texts())),
                "history" => {
                    let changes = value
                        .elements()
                        .iter()
                        .map(|change| change.elements()[0].text());
                    let mut versions: Vec<_> =
                        changes.filter(|version| !is_newer(version)).collect();
                    versions.sort();
                    if !versions.is_empty() {
                        facts.push(format!("{field} {versions:?}"));
                    }
                }
                "arguments" => facts.push(arguments(&value)),
                "subcommands" => self::facts(&value, ours),
                _ => facts.push(format!("{field} {}", value.text())),
            }
        }
        ours.insert(name, facts);
    }
}

/// Arguments, history, group and the rest that is not prose, of every command that both have.
#[test]
fn command_docs_of_every_command() {
    let (tessera, oracle) = (Launch::tessera().start(), Launch::oracle().start());
    for protocol in [2, 3] {
        let [ours, theirs] = [&tessera, &oracle].map(|server| {
            let mut client = if protocol == 3 {
                server.client3()
            } else {
                server.client()
            };
            let mut all = BTreeMap::new();
            facts(&client.say("COMMAND DOCS"), &mut all);
            all
        });
        let mut wrong = Vec::new();
        for (name, theirs) in &theirs {
            match ours.get(name) {
                Some(ours) if ours != theirs => {
                    wrong.push(format!("{name}\n  {ours:?}\n  {theirs:?}"))
                }
                None if scope::COMMANDS.contains(&name.to_ascii_uppercase().as_str()) => {
                    wrong.push(format!("{name} is missing"));
                }
                _ => {}
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

/// Words of all sorts, for commands that nobody would send.
const WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "9",
    "k",
    "LEFT",
    "STORE",
    "STREAMS",
    "GROUP",
    "COUNT",
    "KEYS",
    "AUTH",
    "GET",
    "EX",
    "10",
    "STOREDIST",
    "BY",
    "LIMIT",
    "",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967296",
];

/// The keys that both see in nonsense, for every command that both have.
#[test]
fn keys_and_flags_of_nonsense() {
    let mut both = Both::start();
    let mut rng = Rng::new(3);
    let (_, common) = both.names();
    for name in &common {
        for _ in 0..12 {
            let mut command = vec!["COMMAND", "GETKEYSANDFLAGS"];
            command.extend(name.split('|'));
            command.extend((0..rng.below(7)).map(|_| rng.pick(WORDS)));
            // ZRANK takes one more argument since Redis 7.2; a group may be named STREAMS, which Redis takes for the word.
            let is_newer = ["zrank", "zrevrank", "xreadgroup"].contains(&name.as_str());
            if !is_newer {
                both.call(&command);
            }
        }
    }
}

/// Categories and patterns find the same commands, as far as both have them.
#[test]
fn filters_of_command_list() {
    let mut both = Both::start();
    let (mut filters, common) = both.names();
    assert!(common.len() > 200, "{common:?}");
    filters = filters
        .into_iter()
        .map(|category| format!("ACLCAT {category}"))
        .collect();
    filters.extend(
        ["*", "s*", "*|*", "x?*", "[a-c]*", "S*", "config|*", "GET"]
            .map(|pattern| format!("PATTERN {pattern}")),
    );
    for filter in filters {
        let [ours, theirs] = both.each(|client| {
            let names = client
                .say(&format!("COMMAND LIST FILTERBY {filter}"))
                .sorted_texts();
            names
                .into_iter()
                .filter(|name| common.contains(name))
                .collect::<Vec<_>>()
        });
        assert_eq!(ours, theirs, "{filter}");
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

/// Whatever both servers have is in the differential stream.
#[test]
fn every_command_of_both_is_drawn() {
    let (_, common) = Both::start().names();
    let whole = common.iter().filter(|name| !name.contains('|'));
    let missing: Vec<_> = whole
        .filter(|name| !scope::COMMANDS.contains(&name.to_ascii_uppercase().as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?} are never drawn");
}

/// A command that is called by another name is told of under its own, and nothing of it is lost; one without a name is not there.
#[test]
fn renamed_commands() {
    let renames = "rename-command GET fetch\nrename-command CONFIG \"\"\nrename-command EXEC go\nrename-command EVAL run\nrename-command MOVE shift\n";
    let servers = [Launch::tessera().shards(2), Launch::oracle()]
        .map(|launch| launch.config_file(renames).start());
    let mut clients = [servers[0].client(), servers[1].client()];
    for line in [
        "COMMAND INFO fetch",
        "COMMAND INFO get config",
        "COMMAND GETKEYS fetch k",
        "COMMAND GETKEYS get k",
        "COMMAND LIST FILTERBY PATTERN fetch",
        "COMMAND LIST FILTERBY PATTERN get",
        "COMMAND LIST FILTERBY PATTERN config*",
        "COMMAND DOCS get",
        "SET k v",
        "fetch k",
        "fetch",
        "GET k",
        "CONFIG GET port",
        "MULTI",
        "FETCH k",
        "go",
        "run return{redis.call('FETCH','k')} 0",
        "run return{redis.call('get','k')} 0",
        "run return{KEYS[1]} 1 k",
        "run return{KEYS[1]} x k",
        "shift k 3",
        "SELECT 3",
        "FETCH k",
    ] {
        let [ours, theirs] = [0, 1].map(|at| clients[at].say(line));
        assert_eq!(ours.to_string(), theirs.to_string(), "{line}");
    }
    let [ours, theirs] = [0, 1].map(|at| {
        let mut all = BTreeMap::new();
        facts(&clients[at].say("COMMAND DOCS fetch"), &mut all);
        all
    });
    assert_eq!(ours, theirs);
    assert_eq!(ours.keys().collect::<Vec<_>>(), ["get"]);
    let stats = clients[0].say("INFO commandstats").text();
    assert!(stats.contains("cmdstat_get:calls="), "{stats}");
}

/// The README's table has every command, and none that is not there.
#[test]
fn the_readme_names_every_command() {
    let text = include_str!("../../../README.md");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| family"));
    let cells = rows
        .skip(2)
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let named: BTreeSet<String> = cells
        .filter_map(|row| row.split_once(" | "))
        .flat_map(|(_, commands)| commands.split([' ', ',']))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let server = Launch::tessera().start();
    let mut client = server.client();
    let there: BTreeSet<String> = client
        .say("COMMAND LIST")
        .sorted_texts()
        .into_iter()
        .filter(|name| !name.contains('|'))
        .collect();
    let missing: Vec<_> = there.difference(&named).collect();
    let invented: Vec<_> = named.difference(&there).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing: {missing:?}, not there: {invented:?}"
    );
}
