//! DUMP and RESTORE between ours and the real server, both ways: every type in every encoding that can be made there.

use tessera_persist::rdb::dump_footer;
use tessera_tests::client::Client;
use tessera_tests::command::show_bytes;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

/// Commands that make keys, and for each key a command that shows all of it.
const MADE: &[(&str, &[&str], &str)] = &[
    ("text", &["SET text hello"], "GET text"),
    ("empty", &["SET empty \"\""], "GET empty"),
    ("small", &["SET small -120"], "GET small"),
    ("short", &["SET short -32768"], "GET short"),
    ("word", &["SET word 2147483647"], "GET word"),
    ("wide", &["SET wide -9223372036854775808"], "GET wide"),
    ("bits", &["SETBIT bits 3000 1"], "GET bits"),
    ("hll", &["PFADD hll a b c d e"], "GET hll"),
    (
        "list",
        &["RPUSH list a 1 -5 1000000 \"\""],
        "LRANGE list 0 -1",
    ),
    ("set", &["SADD set a b 7"], "SORT set ALPHA"),
    ("ints", &["SADD ints 1 70000 5000000000"], "SORT ints"),
    ("hash", &["HSET hash f v g 1 1 x"], "HGETALL hash"),
    (
        "zset",
        &["ZADD zset 1 a -inf b 1.5 c 3e300 d inf e"],
        "ZRANGE zset 0 -1 WITHSCORES",
    ),
    (
        "stream",
        &[
            "XADD stream 5-1 a 1 b 2",
            "XADD stream 5-2 a 3 b 4",
            "XADD stream 6-0 c 1",
            "XADD stream 7-0 c 1",
            "XDEL stream 5-2",
            "XGROUP CREATE stream g 0",
            "XGROUP CREATE stream h 6-0 ENTRIESREAD 3",
            "XREADGROUP GROUP g one COUNT 2 STREAMS stream >",
            "XREADGROUP GROUP g two COUNT 1 STREAMS stream >",
            "XGROUP CREATECONSUMER stream h idle",
        ],
        "XRANGE stream - +",
    ),
    (
        "bare",
        &["XGROUP CREATE bare g $ MKSTREAM"],
        "XINFO GROUPS bare",
    ),
];

/// Keys with many elements; the last words are made per element.
const GROWN: &[(&str, &str, &str)] = &[
    ("biglist", "RPUSH biglist", "LRANGE biglist 0 -1"),
    ("bigset", "SADD bigset", "SORT bigset ALPHA"),
    ("bighash", "HSET bighash", "HGET bighash element:77"),
    ("bigzset", "ZADD bigzset", "ZRANGE bigzset 0 -1 WITHSCORES"),
    ("bigstream", "XADD bigstream *", "XLEN bigstream"),
];

fn frame(client: &mut Client, text: &str) -> String {
    client.send(&tessera_tests::command::words(text));
    let frame = client
        .read_frame()
        .expect("a reply")
        .expect("an open connection");
    show_bytes(&frame)
}

fn make(client: &mut Client) -> Vec<(&'static str, &'static str)> {
    let mut keys = Vec::new();
    for (key, commands, look) in MADE {
        for command in *commands {
            assert!(!client.say(command).is_error(), "{command}");
        }
        keys.push((*key, *look));
    }
    for (key, command, look) in GROWN {
        for number in 0..3_000 {
            let element = format!("element:{number}");
            let words = match *key {
                "bighash" | "bigstream" => format!("{command} {element} value:{number}"),
                "bigzset" => format!("{command} {}.25 {element}", number % 700),
                _ => format!("{command} {element}"),
            };
            assert!(!client.say(&words).is_error(), "{words}");
        }
        keys.push((*key, *look));
    }
    let long = "x".repeat(100_000);
    for (key, words, look) in [
        ("long", ["SET", "long", &long].as_slice(), "GET long"),
        (
            "longlist",
            &["RPUSH", "longlist", "a", &long, "b"],
            "LRANGE longlist 0 -1",
        ),
        (
            "longhash",
            &["HSET", "longhash", "f", &long],
            "HGETALL longhash",
        ),
    ] {
        assert!(!client.call(words).is_error());
        keys.push((key, look));
    }
    keys
}

/// Dumps every key of one server, restores it on the other, and back under another name; compares what can be seen.
fn exchange(from: &mut Client, to: &mut Client) {
    for (key, look) in make(from) {
        let payload = from.call(&["DUMP", key]).bytes().to_vec();
        let restore = |client: &mut Client, payload: &[u8]| {
            let words: [&[u8]; 5] = [b"RESTORE", key.as_bytes(), b"0", payload, b"REPLACE"];
            assert_eq!(client.call(&words), Reply::ok(), "RESTORE {key}");
        };
        restore(to, &payload);
        assert_eq!(frame(from, look), frame(to, look), "{key}");
        for more in ["TYPE", "XPENDING", "XINFO"] {
            let text = match more {
                "XPENDING" => format!("XPENDING {key} g"),
                "XINFO" => format!("XINFO GROUPS {key}"),
                other => format!("{other} {key}"),
            };
            assert_eq!(frame(from, &text), frame(to, &text), "{text}");
        }
        let back = to.call(&["DUMP", key]).bytes().to_vec();
        let before = frame(from, look);
        restore(from, &back);
        assert_eq!(frame(from, look), before, "{key}, there and back");
    }
}

#[test]
fn payloads_go_both_ways() {
    let ours = Launch::tessera().shards(2).start();
    let theirs = Launch::oracle().start();
    exchange(&mut ours.client(), &mut theirs.client());
    let ours = Launch::tessera().shards(2).start();
    let theirs = Launch::oracle().start();
    exchange(&mut theirs.client(), &mut ours.client());
}

/// Values in the forms of older versions.
const OLDER: &[(&[u8], &str, &str)] = &[
    (b"\x01\x02\x01a\x01b", "LRANGE k 0 -1", "a b"),
    (b"\x03\x01\x01m\x031.5", "ZRANGE k 0 -1 WITHSCORES", "m 1.5"),
    (b"\x09\x0e\x01\x03foo\x03\x01barX\xff", "HGETALL k", ""),
    (
        b"\x0a\x0f\x0f\0\0\0\x0c\0\0\0\x02\0\0\xf2\x02\xf3\xff",
        "LRANGE k 0 -1",
        "1 2",
    ),
    (
        b"\x0e\x01\x0f\x0f\0\0\0\x0c\0\0\0\x02\0\0\xf2\x02\xf3\xff",
        "LRANGE k 0 -1",
        "1 2",
    ),
    (
        b"\x0d\x0f\x0f\0\0\0\x0c\0\0\0\x02\0\0\xf2\x02\xf3\xff",
        "HGETALL k",
        "1 2",
    ),
    (
        b"\x0c\x0f\x0f\0\0\0\x0c\0\0\0\x02\0\0\xf2\x02\xf3\xff",
        "ZRANGE k 0 -1 WITHSCORES",
        "1 2",
    ),
];

#[test]
fn older_forms_are_read_as_the_oracle_reads_them() {
    let ours = Launch::tessera().shards(2).start();
    let theirs = Launch::oracle().start();
    let (mut ours, mut theirs) = (ours.client(), theirs.client());
    for (payload, look, expected) in OLDER {
        let mut payload = payload.to_vec();
        dump_footer(&mut payload);
        let words: [&[u8]; 5] = [b"RESTORE", b"k", b"0", &payload, b"REPLACE"];
        let reply = ours.call(&words);
        assert_eq!(reply, theirs.call(&words), "{}", payload.escape_ascii());
        let shown = ours.say(look);
        assert_eq!(shown, theirs.say(look), "{}", payload.escape_ascii());
        if reply.is_error() {
            // Refused by both: what was there before stays.
            continue;
        }
        let texts: Vec<String> = shown.elements().iter().map(Reply::text).collect();
        if !expected.is_empty() {
            assert_eq!(texts.join(" "), *expected);
        }
    }
}
