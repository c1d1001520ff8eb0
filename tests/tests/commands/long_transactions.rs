//! Transactions of thousands of commands: they are planned ahead and go on in slices, and nobody can tell from what they say.

use tessera_tests::client::Client;
use tessera_tests::command::words;
use tessera_tests::launch::{Kind, Launch};
use tessera_tests::reply::Reply;
use tessera_tests::server::Server;

/// More than the server takes for short.
const COMMANDS: usize = 3_000;

/// One command of a transaction, by its number: some fail, some have several keys.
fn line(number: usize) -> String {
    let (key, other) = (number % 97, number % 89);
    match number % 11 {
        0 => format!("SET k{key} {number}"),
        1 => format!("GET k{other}"),
        2 => format!("INCR k{key}"),
        3 => format!("LPUSH k{key} x"),
        4 => format!("RPUSH l{key} {number}"),
        5 => format!("LPOP l{other}"),
        6 => format!("MSET {{k{key}}}a 1 {{k{key}}}b 2"),
        7 => format!("MGET {{k{key}}}a {{k{key}}}b"),
        8 => format!("HSET h{key} f{number} v"),
        9 => format!("HGET h{other} f{}", number - 1),
        _ => format!("APPEND k{key} y"),
    }
}

/// Sends a transaction and returns what EXEC says.
fn transact(client: &mut Client, lines: impl Iterator<Item = String>) -> Reply {
    let mut queue = vec![words("MULTI")];
    queue.extend(lines.map(|line| words(&line)));
    queue.push(words("EXEC"));
    let mut replies = client.pipeline(&queue);
    let last = replies.pop().expect("EXEC replies");
    assert_eq!(replies[0].text(), "OK");
    assert!(replies[1..].iter().all(|reply| reply.text() == "QUEUED"));
    last
}

/// What the transactions say, and what INFO counted of them.
fn played(server: &Server) -> (Vec<Reply>, Vec<String>) {
    let mut client = server.client();
    client.say("CONFIG RESETSTAT");
    let plain = || (0..COMMANDS).map(line);
    let with = |more: &'static str| {
        plain().enumerate().map(move |(at, line)| {
            if at == COMMANDS / 2 {
                more.to_owned()
            } else {
                line
            }
        })
    };
    let mut said = vec![
        transact(&mut client, plain()),
        transact(
            &mut client,
            (0..COMMANDS).map(|number| format!("INCR {{t}}{number}")),
        ),
        transact(&mut client, with("PING")),
        transact(&mut client, with("DBSIZE")),
        transact(&mut client, with("MSETNX k1 a l1 b h1 c")),
        transact(&mut client, with("EVAL return#KEYS 2 k1 k2")),
    ];
    for changed in ["k1", "elsewhere"] {
        client.say("WATCH k1 {t}5");
        server.client().say(&format!("SET {changed} 1"));
        said.push(transact(&mut client, plain()));
    }
    let info = client.say("INFO everything").text();
    let is_counted = |line: &&str| {
        [
            "cmdstat_incr:",
            "cmdstat_lpush:",
            "cmdstat_mget:",
            "errorstat_",
        ]
        .iter()
        .any(|name| line.starts_with(name))
    };
    // Without the times.
    let counts = info.lines().filter(is_counted).map(|line| {
        let fields = line.split(',').filter(|field| !field.starts_with("usec"));
        fields.collect::<Vec<_>>().join(",")
    });
    let mut counts: Vec<String> = counts.collect();
    counts.sort();
    said.push(client.say("DBSIZE"));
    (said, counts)
}

#[test]
fn long_transactions_say_what_short_ones_would() {
    let expected = played(&Launch::oracle().start());
    assert!(expected.1.len() >= 4, "{:?}", expected.1);
    for shards in [1, 2, 4] {
        let found = played(&Launch::tessera().shards(shards).start());
        for (at, (found, expected)) in found.0.iter().zip(&expected.0).enumerate() {
            assert!(found == expected, "transaction {at} on {shards} shards");
        }
        assert_eq!(found.1, expected.1, "{shards} shards");
    }
}

/// Whoever reads two keys of a long transaction sees both of its changes or none, and others are served while it runs.
#[test]
fn a_long_transaction_is_seen_whole_and_others_go_on() {
    for shards in [1, 2] {
        let launch = Launch::tessera().shards(shards);
        if launch.kind() == Kind::Redis {
            return;
        }
        let server = launch.start();
        let (mut writer, mut reader, mut other) =
            (server.client(), server.client(), server.client());
        for round in 0..5 {
            let lines = (0..20_000).map(|number| format!("SET k{number} {round}"));
            let mut queue: Vec<_> = lines.map(|line| words(&line)).collect();
            queue.insert(0, words("MULTI"));
            for some in queue.chunks(1_000) {
                writer.pipeline(some);
            }
            writer.send(&["EXEC"]);
            let mut is_over = false;
            while !is_over {
                assert!(matches!(other.say("INCR elsewhere"), Reply::Int(_)));
                let seen = reader.say("MGET k0 k7777 k19999");
                let Reply::Array(values) = &seen else {
                    panic!("{seen:?}")
                };
                assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
                is_over = values[0] == Reply::Bulk(round.to_string().into_bytes());
            }
            assert_eq!(
                writer.read(),
                Reply::Array(vec![Reply::Simple("OK".into()); 20_000])
            );
        }
    }
}
