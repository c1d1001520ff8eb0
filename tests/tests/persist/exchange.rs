//! The same folder, read by either server.

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

use super::node;

const LINES: &str = "SET s v
SET ends v EX 1000
MSET a 1 b 2 c 3 d 4
INCRBYFLOAT float 1.25
APPEND s more
SETRANGE range 5 x
HSET h f 1 g 2
HINCRBYFLOAT h f 0.5
SADD set 1 2 3 4 5 6 7 8 9
SPOP set
SPOP set 3
RPUSH l 1 2 3 4 5
BLPOP none l 0
BLMOVE l m LEFT RIGHT 0
LMPOP 2 none l LEFT
ZADD z 1 a 2 b 3 c
BZPOPMIN z 0
XADD x 1-1 f v
XADD x MAXLEN ~ 100 * f w
XGROUP CREATE x g 0
XREADGROUP GROUP g me COUNT 1 STREAMS x >
XREADGROUP GROUP g you STREAMS x >
XCLAIM x g me 0 1-1
PFADD hll a b c
RENAME b bb
COPY c cc
DEL d nothing
GETEX a EX 500
SELECT 1
SET other v
SELECT 0
EVAL redis.call('SET',KEYS[1],ARGV[1])redis.call('INCR',KEYS[2]) 2 one two 7
MULTI
SET t1 1
INCR t2
EXEC";

const FUNCTION: &str = "#!lua name=lib\nredis.register_function('up', function(keys) return redis.call('INCR', keys[1]) end)";

/// A few small keys of every type, and a library of functions.
pub(super) fn fill_some(client: &mut Client) {
    for line in LINES.lines() {
        let reply = client.say(line);
        assert!(!reply.is_error(), "{line}: {reply}");
    }
    client.call(&["FUNCTION", "LOAD", FUNCTION]);
}

pub(super) fn fill(client: &mut Client) {
    fill_some(client);
    for (number, count) in [3, 700].into_iter().enumerate() {
        let name = |kind: &str| format!("{kind}:{number}");
        // Packed and not: what is long goes beyond the limits of either server, and so does what is many.
        for (kind, command, has_scores, has_values) in [
            ("list", "RPUSH", false, false),
            ("set", "SADD", false, false),
            ("ints", "SADD", true, false),
            ("hash", "HSET", false, true),
            ("zset", "ZADD", true, false),
            ("hll", "PFADD", false, false),
        ] {
            let mut words = vec![command.to_owned(), name(kind)];
            for element in 0..count {
                let text = format!("element:{element}:{}", "x".repeat(element % 90));
                match (has_scores, has_values) {
                    (true, _) if kind == "ints" => words.push((element * 70_001).to_string()),
                    (true, _) => words.extend([format!("{element}.25"), text]),
                    (_, true) => words.extend([text.clone(), text]),
                    _ => words.push(text),
                }
            }
            client.call(&words);
        }
        for entry in 1..=count {
            let (id, value) = (format!("{entry}-1"), "v".repeat(entry));
            client.call(&["XADD", &name("stream"), &id, "field", &value]);
        }
        client.call(&["XDEL", &name("stream"), "2-1"]);
        client.call(&["SETBIT", &name("bits"), &(count * 999).to_string(), "1"]);
        client.call(&["SET", &name("long"), &"compressible ".repeat(count * 20)]);
        let binary: Vec<u8> = (0..count * 300).map(|it| (it * it / 7) as u8).collect();
        let key = name("binary");
        client.call(&[&b"SET"[..], key.as_bytes(), &binary, b"EX", b"5000"]);
        client.call(&["SET", &name("number"), &(count * 123_456_789).to_string()]);
    }
    client.say("FCALL up 1 called");
}

/// All that a client can see of the keys.
pub(super) fn shown(client: &mut Client) -> Vec<String> {
    let mut lines = Vec::new();
    for db in 0..2 {
        client.say(&format!("SELECT {db}")).expect_ok();
        for key in client.say("KEYS *").sorted_texts() {
            let read = match client.say(&format!("TYPE {key}")).text().as_str() {
                "string" => format!("GET {key}"),
                "list" => format!("LRANGE {key} 0 -1"),
                "set" => format!("SORT {key} ALPHA"),
                "hash" => {
                    let all = client.say(&format!("HGETALL {key}")).sorted_texts();
                    lines.push(format!("{all:?}"));
                    format!("HLEN {key}")
                }
                "zset" => format!("ZRANGE {key} 0 -1 WITHSCORES"),
                _ => {
                    // How many entries a group has read is not in the records of redis-server.
                    for asked in ["XPENDING {key} g", "XLEN {key}"] {
                        let asked = asked.replace("{key}", &key);
                        lines.push(client.say(&asked).to_string());
                    }
                    format!("XRANGE {key} - +")
                }
            };
            let end = client.say(&format!("PEXPIRETIME {key}"));
            lines.push(format!("{db} {key} {} {end}", client.say(&read)));
        }
    }
    lines.push(client.say("FUNCTION LIST").to_string());
    client.say("SELECT 0").expect_ok();
    lines
}

/// Tells the first line that differs.
fn same(server: &Server, before: &[String], what: &str) {
    let after = shown(&mut server.client());
    for (after, before) in after.iter().zip(before) {
        assert_eq!(after, before, "{what}");
    }
    assert_eq!(after.len(), before.len(), "{what}");
}

fn rewrite(server: &Server) {
    let mut client = server.client();
    client.say("BGREWRITEAOF");
    wait_until("the rewrite", || {
        let text = client.say("INFO persistence").text();
        text.contains("aof_rewrite_in_progress:0") && text.contains("aof_rewrite_scheduled:0")
    });
}

fn real() -> Launch {
    Launch::oracle()
        .with("appendonly", "yes")
        .with("appendfsync", "always")
}

#[test]
fn ours_is_read_by_the_real_server_and_its_by_ours() {
    for rewrites in [false, true] {
        let server = node(2, "always").start();
        fill(&mut server.client());
        let mut before = shown(&mut server.client());
        if rewrites {
            rewrite(&server);
            server.client().say("SET behind 1").expect_ok();
            before = shown(&mut server.client());
        }
        let server = server.crash(real());
        same(&server, &before, "the real server reads ours");
        server.client().say("FLUSHALL").expect_ok();
        fill(&mut server.client());
        if rewrites {
            rewrite(&server);
            assert_eq!(server.client().say("INCR behind").int(), 1);
        }
        let before = shown(&mut server.client());
        let server = server.crash(node(3, "always"));
        same(&server, &before, "ours reads the real server's");
        server.client().say("SET last 1").expect_ok();
        let before = shown(&mut server.client());
        let server = server.crash(real());
        same(&server, &before, "and behind it");
    }
}

#[test]
fn snapshots_are_read_by_either_server() {
    let server = Launch::tessera().shards(2).start();
    fill(&mut server.client());
    let before = shown(&mut server.client());
    server.client().say("SAVE").expect_ok();
    let server = server.crash(Launch::oracle());
    same(&server, &before, "the real server reads ours");
    server.client().say("FLUSHALL").expect_ok();
    fill(&mut server.client());
    let before = shown(&mut server.client());
    server.client().say("SAVE").expect_ok();
    let server = server.crash(Launch::tessera().shards(3));
    same(&server, &before, "ours reads the real server's");
    // And as if it had been saved and loaded once more.
    let server = server.crash(Launch::tessera().with("enable-debug-command", "yes"));
    for line in [
        "DEBUG RELOAD",
        "DEBUG RELOAD NOSAVE NOFLUSH",
        "DEBUG LOADAOF",
    ] {
        server.client().say(line).expect_ok();
        same(&server, &before, line);
    }
    let said = server.client().say("DEBUG RELOAD TWICE");
    assert!(said.is_error(), "{said}");
}
