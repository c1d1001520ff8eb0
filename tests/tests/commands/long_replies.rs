//! Replies of many megabytes, which go on in slices and travel in pieces: byte for byte, over any number of shards, in both protocols, alone, in a
//! transaction and in a script, to clients that read slowly or not at all.

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

const ELEMENTS: usize = 60_000;
const AT_ONCE: usize = 10_000;

fn element(number: usize) -> String {
    format!("element:{number:06}:{}", "x".repeat(number % 90))
}

/// A list, a hash, a sorted set, a stream, a long string and as many keys, all of known order or content.
fn fill(client: &mut Client) {
    for from in (0..ELEMENTS).step_by(AT_ONCE) {
        let numbers = || from..from + AT_ONCE;
        let line = |words: &[&str], each: &dyn Fn(usize) -> Vec<String>| {
            let words = words.iter().map(|word| (*word).to_owned());
            words.chain(numbers().flat_map(each)).collect::<Vec<_>>()
        };
        client.call(&line(&["RPUSH", "list"], &|n| vec![element(n)]));
        client.call(&line(&["HSET", "hash"], &|n| {
            vec![element(n), n.to_string()]
        }));
        client.call(&line(&["SADD", "set"], &|n| vec![element(n)]));
        client.call(&line(&["ZADD", "zset"], &|n| {
            vec![n.to_string(), element(n)]
        }));
        client.call(&line(&["MSET"], &|n| vec![element(n), "v".to_owned()]));
        let entries = numbers().map(|n| {
            let id = format!("{}-1", n + 1);
            ["XADD", "stream", &id, "field", &element(n)]
                .map(str::to_owned)
                .to_vec()
        });
        client.pipeline(&entries.collect::<Vec<_>>());
    }
    let text: Vec<u8> = (0..9_000_000).map(|at: usize| (at % 251) as u8).collect();
    client.call(&[b"SET".to_vec(), b"string".to_vec(), text]);
}

/// A command, and whether the order of what it replies is its own.
const COMMANDS: &[(&str, bool)] = &[
    ("LRANGE list 0 -1", true),
    ("ZRANGE zset 0 -1 WITHSCORES", true),
    ("XRANGE stream - +", true),
    ("SORT list ALPHA DESC", true),
    ("GET string", true),
    ("HGETALL hash", false),
    ("SMEMBERS set", false),
    ("SUNION set list2 set", false),
    ("KEYS element:*", false),
    ("SCAN 0 COUNT 100000 MATCH element:*", false),
];

/// The replies' bytes.
fn frames(client: &mut Client, lines: &[String]) -> Vec<Vec<u8>> {
    lines.iter().for_each(|line| {
        client.send(&line.split(' ').collect::<Vec<_>>());
    });
    let next = |_: &String| {
        client
            .read_frame()
            .expect("it answers")
            .expect("it is open")
    };
    lines.iter().map(next).collect()
}

/// Lines in an order of their own, for what has none.
fn sorted(frame: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = frame.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

fn compare(line: &str, in_order: bool, ours: &[u8], expected: &[u8]) {
    assert_eq!(ours.len(), expected.len(), "{line}");
    let is_same = if in_order {
        ours == expected
    } else {
        sorted(ours) == sorted(expected)
    };
    assert!(is_same, "{line}");
}

fn client(server: &Server, protocol: &str) -> Client {
    let mut client = server.raw_client();
    client.call(&["HELLO", protocol]);
    client
}

#[test]
fn byte_for_byte_as_the_oracle() {
    let oracle = Launch::oracle().start();
    fill(&mut oracle.client());
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        fill(&mut server.client());
        for protocol in ["2", "3"] {
            let (mut ours, mut theirs) = (client(&server, protocol), client(&oracle, protocol));
            let lines: Vec<String> = COMMANDS.iter().map(|it| it.0.to_owned()).collect();
            // All at once, with short replies between them.
            let piped = lines
                .iter()
                .flat_map(|line| [line.clone(), "ECHO between".to_owned()]);
            let replies = frames(&mut ours, &piped.collect::<Vec<_>>());
            let expected = frames(&mut theirs, &lines);
            for (number, (line, in_order)) in COMMANDS.iter().enumerate() {
                compare(line, *in_order, &replies[2 * number], &expected[number]);
                assert_eq!(replies[2 * number + 1], b"$7\r\nbetween\r\n");
            }
        }
    }
}

#[test]
fn in_a_transaction_and_in_a_script() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        fill(&mut server.client());
        for protocol in ["2", "3"] {
            let mut client = client(&server, protocol);
            let lines: Vec<String> = COMMANDS.iter().map(|it| it.0.to_owned()).collect();
            let alone = frames(&mut client, &lines);
            // With and without a command that is none of the keyspace, and with one that looks at all shards.
            for (extra, count) in [("STRLEN string", 8), ("ECHO x", 8), ("DBSIZE", 10)] {
                let within = &lines[..count];
                let mut said = vec!["MULTI".to_owned()];
                said.extend(
                    within
                        .iter()
                        .flat_map(|line| [line.clone(), extra.to_owned()]),
                );
                said.push("EXEC".to_owned());
                let whole = frames(&mut client, &said).pop().expect("EXEC replies");
                let mut rest = whole
                    .strip_prefix(format!("*{}\r\n", 2 * count).as_bytes())
                    .expect("as many replies");
                for (number, (line, in_order)) in COMMANDS[..count].iter().enumerate() {
                    let (reply, more) = rest.split_at(alone[number].len());
                    compare(line, *in_order, reply, &alone[number]);
                    let end = more.iter().position(|byte| *byte == b'\n').expect("a line");
                    let bulk = usize::from(extra == "ECHO x") * b"x\r\n".len();
                    rest = &more[end + 1 + bulk..];
                }
                assert!(rest.is_empty(), "{extra}: {} bytes more", rest.len());
            }
            // A script has its own order and RESP2 inside.
            let script = "return redis.call('LRANGE', KEYS[1], 0, -1)";
            let said = client.call(&["EVAL", script, "1", "list"]);
            let plain = client.call(&["LRANGE", "list", "0", "-1"]);
            assert!(said == plain, "a script's reply");
        }
    }
}

#[test]
fn a_blocked_client_gets_a_long_reply() {
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        let (mut waits, mut writes) = (server.client(), server.client());
        waits.send(&["BLMPOP", "0", "2", "a", "b", "LEFT", "COUNT", "20000"]);
        wait_until("it waits", || {
            writes
                .call(&["CLIENT", "LIST"])
                .text()
                .contains("cmd=blmpop")
        });
        let mut push = vec!["RPUSH".to_owned(), "b".to_owned()];
        push.extend((0..20_000).map(element));
        writes.call(&push);
        let reply = waits.read();
        let popped = reply.elements()[1].elements();
        assert_eq!(popped.len(), 20_000);
        for (number, found) in popped.iter().enumerate() {
            assert_eq!(found.bytes(), element(number).as_bytes());
        }
    }
}

fn figure(client: &mut Client, name: &str) -> u64 {
    let info = client.call(&["INFO", "everything"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix(name));
    let digits = line.expect("the field is there").trim_start_matches(':');
    digits.parse().expect("a number")
}

/// One who reads nothing for a while gets everything, and one who leaves in the middle costs nothing.
#[test]
fn slow_readers_and_those_who_leave() {
    for (shards, backend) in [(1, "auto"), (2, "auto"), (1, "epoll")] {
        let server = Launch::tessera().shards(shards).backend(backend).start();
        let mut watcher = server.client();
        fill(&mut watcher);
        let expected = frames(&mut watcher, &["LRANGE list 0 -1".to_owned()]);
        let before = figure(&mut watcher, "used_memory");
        let mut slow: Vec<Client> = (0..4).map(|_| server.client()).collect();
        let mut gone: Vec<Client> = (0..4).map(|_| server.client()).collect();
        for client in slow.iter_mut().chain(&mut gone) {
            for _ in 0..3 {
                client.send(&["LRANGE", "list", "0", "-1"]);
                client.send(&["GET", "string"]);
            }
        }
        wait_until("replies pile up", || {
            figure(&mut watcher, "used_memory") > before + (16 << 20)
        });
        drop(gone);
        assert_eq!(watcher.call(&["PING"]).text(), "PONG");
        for client in &mut slow {
            for _ in 0..3 {
                let list = client
                    .read_frame()
                    .expect("it is sent")
                    .expect("it is open");
                assert!(list == expected[0]);
                let string = client
                    .read_frame()
                    .expect("it is sent")
                    .expect("it is open");
                assert_eq!(string.len(), 9_000_000 + b"$9000000\r\n\r\n".len());
            }
        }
        drop(slow);
        wait_until("the memory is back", || {
            figure(&mut watcher, "used_memory") < before + (4 << 20)
        });
    }
}

/// The limit counts what is on its way, in whatever pieces.
#[test]
fn the_output_limit_ends_who_does_not_read() {
    let server = Launch::tessera()
        .shards(2)
        .with("client-output-buffer-limit", "normal 2000000 0 0")
        .start();
    let mut watcher = server.client();
    fill(&mut server.client());
    let mut client = server.client();
    // In one piece: the first replies may end the client before it has asked for the others.
    let asked = b"*2\r\n$3\r\nGET\r\n$6\r\nstring\r\n".repeat(4);
    client.write_raw(&asked).unwrap();
    assert!(client.is_closed());
    assert_eq!(watcher.call(&["PING"]).text(), "PONG");
}
