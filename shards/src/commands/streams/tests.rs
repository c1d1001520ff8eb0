//! Tests of the family.

use crate::commands::rig::Rig;

const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const INVALID: &str = "ERR Invalid stream ID specified as stream command argument";

/// A stream of `count` entries 1-0, 2-0, ...
fn filled(rig: &mut Rig, key: &str, count: usize) {
    for ms in 1..=count {
        rig.run(&format!("XADD {key} {ms} f {ms}"));
    }
}

#[test]
fn add() {
    let mut rig = Rig::new();
    rig.check(&[
        ("XADD s NOMKSTREAM * a 1", "(nil)"),
        ("XADD s 5-1 a 1 b 2", "\"5-1\""),
        ("XADD s 5-* a 1", "\"5-2\""),
        ("XADD s * a 1", "\"1700000000000-0\""),
        ("XADD s * a 1", "\"1700000000000-1\""),
        (
            "XADD s 7-* a 1",
            "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        ),
        (
            "XADD s 0-0 a 1",
            "ERR The ID specified in XADD must be greater than 0-0",
        ),
        ("XADD s - a 1", INVALID),
        (
            "XADD s * a",
            "ERR wrong number of arguments for 'xadd' command",
        ),
        (
            "XADD s * a 1 b",
            "ERR wrong number of arguments for 'xadd' command",
        ),
        ("XADD s MAXLEN 2 nomkstream * a 1", "\"1700000000000-2\""),
        ("XLEN s", "2"),
        (
            "XADD s 18446744073709551615-18446744073709551615 a 1",
            "\"18446744073709551615-18446744073709551615\"",
        ),
        (
            "XADD s * a 1",
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ),
        ("TYPE s", "stream"),
        ("OBJECT ENCODING s", "\"stream\""),
    ]);
}

#[test]
fn trim() {
    let mut rig = Rig::new();
    filled(&mut rig, "s", 10);
    rig.check(&[
        ("XTRIM none MAXLEN 1", "0"),
        ("XTRIM s MAXLEN 20", "0"),
        ("XTRIM s MAXLEN ~ 5", "0"),
        ("XTRIM s MAXLEN = 8", "2"),
        ("XTRIM s MINID 5", "2"),
        ("XRANGE s - + COUNT 1", "[[\"5-0\" [\"f\" \"5\"]]]"),
        (
            "XTRIM s LIMIT 5",
            "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
        ),
        (
            "XTRIM s LIMIT 0",
            "ERR syntax error, XTRIM must be called with a trimming strategy",
        ),
        (
            "XTRIM s MAXLEN 1 LIMIT 5",
            "ERR syntax error, LIMIT cannot be used without the special ~ option",
        ),
        (
            "XTRIM s MAXLEN 1 MINID 5",
            "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
        ),
        ("XTRIM s MAXLEN -1", "ERR The MAXLEN argument must be >= 0."),
        (
            "XTRIM s MAXLEN ~ 1 LIMIT -1",
            "ERR The LIMIT argument must be >= 0.",
        ),
        ("XTRIM s foo bar", "ERR syntax error"),
        ("XTRIM s MAXLEN 0", "6"),
        ("EXISTS s", "1"),
        ("XLEN s", "0"),
    ]);
}

#[test]
fn ranges() {
    let mut rig = Rig::new();
    rig.check(&[
        ("XADD s 1-1 a 1", "\"1-1\""),
        ("XADD s 1-2 b 2 c x", "\"1-2\""),
        ("XADD s 2-0 a 3", "\"2-0\""),
        (
            "XRANGE s 1 1",
            "[[\"1-1\" [\"a\" \"1\"]] [\"1-2\" [\"b\" \"2\" \"c\" \"x\"]]]",
        ),
        (
            "XRANGE s (1-1 + COUNT 1",
            "[[\"1-2\" [\"b\" \"2\" \"c\" \"x\"]]]",
        ),
        (
            "XREVRANGE s + (1-1",
            "[[\"2-0\" [\"a\" \"3\"]] [\"1-2\" [\"b\" \"2\" \"c\" \"x\"]]]",
        ),
        ("XRANGE s 5 1", "[]"),
        ("XRANGE none - +", "[]"),
        ("XRANGE s - + COUNT 0", "(nil)"),
        ("XRANGE s - (0-0", "ERR invalid end ID for the interval"),
        (
            "XRANGE s (18446744073709551615-18446744073709551615 +",
            "ERR invalid start ID for the interval",
        ),
        ("XRANGE s (- +", INVALID),
        ("XRANGE s - + COUNT", "ERR syntax error"),
        ("XDEL s 1-2 1-2 9-9", "1"),
        (
            "XRANGE s - +",
            "[[\"1-1\" [\"a\" \"1\"]] [\"2-0\" [\"a\" \"3\"]]]",
        ),
        ("XDEL s x", INVALID),
        ("XDEL none x", "0"),
    ]);
}

#[test]
fn many_entries_in_slices() {
    const COUNT: usize = 5_000;
    let mut rig = Rig::new();
    filled(&mut rig, "s", COUNT);
    let ids = |shown: &str| -> Vec<usize> {
        let parts = shown
            .split("-0\"")
            .filter_map(|part| part.rsplit('"').next());
        parts.filter_map(|ms| ms.parse().ok()).collect()
    };
    let all: Vec<usize> = (1..=COUNT).collect();
    assert_eq!(ids(&rig.run("XRANGE s - +")), all);
    assert!(rig.slices >= 4, "{}", rig.slices);
    let reversed: Vec<usize> = all.iter().rev().copied().collect();
    assert_eq!(ids(&rig.run("XREVRANGE s + -")), reversed);
    assert_eq!(ids(&rig.run("XRANGE s (10 + COUNT 2500")), all[10..2_510]);
    assert_eq!(ids(&rig.run("XREAD STREAMS s 10")), all[10..]);
    assert!(rig.slices >= 4, "{}", rig.slices);
    rig.check(&[("XGROUP CREATE s g 0", "OK")]);
    assert_eq!(
        ids(&rig.run("XREADGROUP GROUP g c COUNT 4500 STREAMS s >")),
        all[..4_500]
    );
    assert!(rig.slices >= 4, "{}", rig.slices);
    assert_eq!(
        ids(&rig.run("XREADGROUP GROUP g c STREAMS s 100")),
        all[100..4_500]
    );
    rig.check(&[("XPENDING s g - + 1", "[[\"1-0\" \"c\" 0 1]]")]);
}

#[test]
fn long_trims_in_slices() {
    let mut rig = Rig::new();
    rig.shard.settings.thresholds.stream_node_entries_max = 2;
    filled(&mut rig, "s", 2_000);
    rig.check(&[("XTRIM s MAXLEN 100", "1900")]);
    assert!(rig.slices >= 2, "{}", rig.slices);
    filled(&mut rig, "t", 2_000);
    rig.check(&[
        ("XADD t MAXLEN 10 3000 a 1", "\"3000-0\""),
        ("XLEN t", "10"),
        ("XINFO GROUPS t", "[]"),
    ]);
}

#[test]
fn many_ids_are_deleted_in_slices() {
    let mut rig = Rig::new();
    filled(&mut rig, "s", 2_000);
    let ids: String = (1..=1_000).map(|ms| format!(" {ms}")).collect();
    let line = format!("XDEL s{ids} 1 9999");
    assert_eq!(rig.run(&line), "1000");
    assert!(rig.slices >= 4, "{}", rig.slices);
    assert_eq!(rig.run(&line), "0");
    rig.check(&[
        ("XLEN s", "1000"),
        ("XRANGE s - + COUNT 1", "[[\"1001-0\" [\"f\" \"1001\"]]]"),
    ]);
    assert_eq!(rig.run(&format!("XDEL s{ids} x")), INVALID);
}

#[test]
fn read() {
    let mut rig = Rig::new();
    filled(&mut rig, "s", 2);
    filled(&mut rig, "t", 1);
    rig.check(&[
        ("XREAD STREAMS s t none 1 0 0", "[[\"s\" [[\"2-0\" [\"f\" \"2\"]]]] [\"t\" [[\"1-0\" [\"f\" \"1\"]]]]]"),
        ("XREAD COUNT 1 STREAMS s 0", "[[\"s\" [[\"1-0\" [\"f\" \"1\"]]]]]"),
        ("XREAD STREAMS s $", "(nil)"),
        ("XREAD BLOCK 0 STREAMS s 2", "(nil)"),
        ("XREAD BLOCK x STREAMS s 2", "ERR timeout is not an integer or out of range"),
        ("XREAD BLOCK -1 STREAMS s 2", "ERR timeout is negative"),
        ("XREAD STREAMS s t 1", "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."),
        ("XREAD COUNT 1 STREAMS", "ERR syntax error"),
        ("XREAD STREAMS s +", INVALID),
        ("XREAD GROUP g c STREAMS s 1", "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."),
        ("XREAD NOACK STREAMS s 1", "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."),
        ("XDEL s 2", "1"),
        ("XREAD STREAMS s 1", "(nil)"),
    ]);
    rig.proto = tessera_core::resp::Proto::Resp3;
    rig.check(&[
        ("XREAD STREAMS s 0", "{\"s\" [[\"1-0\" [\"f\" \"1\"]]]}"),
        ("XREAD STREAMS s 9", "(null)"),
    ]);
}

#[test]
fn groups() {
    let mut rig = Rig::new();
    rig.check(&[
        ("XGROUP CREATE s g $ MKSTREAM", "OK"),
        (
            "XGROUP CREATE s g 0",
            "BUSYGROUP Consumer Group name already exists",
        ),
        (
            "XGROUP SETID s g 0 ENTRIESREAD -2",
            "ERR value for ENTRIESREAD must be positive or -1",
        ),
        (
            "XGROUP SETID s g 0 MKSTREAM",
            "ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.",
        ),
        (
            "XGROUP SETID s none 0",
            "NOGROUP No such consumer group 'none' for key name 's'",
        ),
        ("XGROUP CREATECONSUMER s g c", "1"),
        ("XGROUP CREATECONSUMER s g c", "0"),
        ("XADD s 1-0 f 1", "\"1-0\""),
        ("XADD s 2-0 f 2", "\"2-0\""),
        (
            "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
            "[[\"s\" [[\"1-0\" [\"f\" \"1\"]]]]]",
        ),
        (
            "XREADGROUP GROUP g d STREAMS s >",
            "[[\"s\" [[\"2-0\" [\"f\" \"2\"]]]]]",
        ),
        ("XREADGROUP GROUP g d STREAMS s >", "(nil)"),
        (
            "XREADGROUP GROUP g c STREAMS s 0",
            "[[\"s\" [[\"1-0\" [\"f\" \"1\"]]]]]",
        ),
        ("XREADGROUP GROUP g e STREAMS s 0", "[[\"s\" []]]"),
        (
            "XPENDING s g",
            "[2 \"1-0\" \"2-0\" [[\"c\" \"1\"] [\"d\" \"1\"]]]",
        ),
        ("XPENDING s g - + 10 c", "[[\"1-0\" \"c\" 0 2]]"),
        ("XPENDING s g - + 10 none", "[]"),
        ("XPENDING s g - +", "ERR syntax error"),
        (
            "XPENDING s none",
            "NOGROUP No such key 's' or consumer group 'none'",
        ),
        ("XDEL s 1-0", "1"),
        (
            "XREADGROUP GROUP g c STREAMS s 0",
            "[[\"s\" [[\"1-0\" (nil)]]]]",
        ),
        ("XACK s g 1-0 1-0 7-0", "1"),
        ("XACK s none 1-0", "0"),
        ("XACK s g x", INVALID),
        ("XGROUP DELCONSUMER s g d", "1"),
        ("XGROUP DELCONSUMER s g d", "0"),
        ("XPENDING s g", "[0 (nil) (nil) (nil)]"),
        ("XGROUP DESTROY s g", "1"),
        ("XGROUP DESTROY s g", "0"),
    ]);
}

#[test]
fn group_errors() {
    let mut rig = Rig::new();
    filled(&mut rig, "s", 1);
    let no_group = "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
    rig.check(&[
        ("XREADGROUP GROUP g c STREAMS s >", no_group),
        ("XGROUP CREATE s g 0", "OK"),
    ]);
    for (line, start) in [
        (
            "XREADGROUP GROUP g c STREAMS s $",
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want",
        ),
        (
            "XREAD COUNT 1 STREAMS s >",
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP",
        ),
        (
            "XREADGROUP COUNT 1 BLOCK 1 STREAMS s 1",
            "ERR Missing GROUP option for XREADGROUP",
        ),
        (
            "XGROUP CREATE none g 0",
            "ERR The XGROUP subcommand requires the key to exist. Note that",
        ),
        (
            "XGROUP nonsense",
            "ERR unknown subcommand 'nonsense'. Try XGROUP HELP.",
        ),
        (
            "XGROUP HELP",
            "[XGROUP <subcommand> and its arguments, one of: CREATE <key>",
        ),
        (
            "XINFO HELP",
            "[XINFO <subcommand> and its arguments, one of: CONSUMERS",
        ),
        ("XINFO STREAM none", "ERR no such key"),
        (
            "XINFO STREAM s FULL COUNT",
            "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.",
        ),
        (
            "XINFO CONSUMERS s none",
            "NOGROUP No such consumer group 'none' for key name 's'",
        ),
    ] {
        let shown = rig.run(line);
        assert!(shown.starts_with(start), "{line}: {shown}");
    }
}

#[test]
fn claims() {
    let mut rig = Rig::new();
    filled(&mut rig, "s", 3);
    rig.check(&[
        ("XGROUP CREATE s g 0", "OK"),
        (
            "XREADGROUP GROUP g c STREAMS s >",
            "[[\"s\" [[\"1-0\" [\"f\" \"1\"]] [\"2-0\" [\"f\" \"2\"]] [\"3-0\" [\"f\" \"3\"]]]]]",
        ),
    ]);
    rig.wait(500);
    rig.check(&[
        ("XPENDING s g IDLE 501 - + 10", "[]"),
        ("XPENDING s g IDLE 500 - + 1", "[[\"1-0\" \"c\" 500 1]]"),
        ("XCLAIM s g d 501 1", "[]"),
        ("XCLAIM s g d 500 1", "[[\"1-0\" [\"f\" \"1\"]]]"),
        ("XCLAIM s g d 0 1 IDLE 100 RETRYCOUNT 9 JUSTID", "[\"1-0\"]"),
        ("XPENDING s g - + 10 d", "[[\"1-0\" \"d\" 100 9]]"),
        ("XDEL s 2", "1"),
        ("XAUTOCLAIM s g e 200 0 COUNT 1", "[\"3-0\" [] [\"2-0\"]]"),
        ("XAUTOCLAIM s g e 200 - JUSTID", "[\"0-0\" [\"3-0\"] []]"),
        ("XAUTOCLAIM s g e 0 0 COUNT 0", "ERR COUNT must be > 0"),
        ("XAUTOCLAIM s g e x 0", "ERR Invalid min-idle-time argument for XAUTOCLAIM"),
        ("XACK s g 1", "1"),
        ("XCLAIM s g d 0 1", "[]"),
        ("XCLAIM s g d 0 1 2 FORCE LASTID 9", "[[\"1-0\" [\"f\" \"1\"]]]"),
        ("XCLAIM s g d 0 1 foo", "ERR Unrecognized XCLAIM option 'foo'"),
        ("XCLAIM s none d 0 1", "NOGROUP No such key 's' or consumer group 'none'"),
        ("XINFO GROUPS s", "[[\"name\" \"g\" \"consumers\" 3 \"pending\" 2 \"last-delivered-id\" \"9-0\" \"entries-read\" 3 \"lag\" 0]]"),
    ]);
}

/// What redis-server 7.0 says, with `active-time` and `inactive` of 7.2.
#[test]
fn info() {
    let mut rig = Rig::new();
    filled(&mut rig, "s", 2);
    let head = "\"length\" 2 \"radix-tree-keys\" 1 \"radix-tree-nodes\" 2 \"last-generated-id\" \"2-0\" \
        \"max-deleted-entry-id\" \"0-0\" \"entries-added\" 2 \"recorded-first-entry-id\" \"1-0\"";
    let short = format!(
        "[{head} \"groups\" 1 \"first-entry\" [\"1-0\" [\"f\" \"1\"]] \"last-entry\" [\"2-0\" [\"f\" \"2\"]]]"
    );
    let now = rig.shard.now_ms;
    let long = format!(
        "[{head} \"entries\" [[\"1-0\" [\"f\" \"1\"]]] \"groups\" [[\"name\" \"g\" \"last-delivered-id\" \"1-0\" \"entries-read\" 1 \"lag\" 1 \
        \"pel-count\" 1 \"pending\" [[\"1-0\" \"c\" {now} 1]] \"consumers\" [[\"name\" \"c\" \"seen-time\" {now} \"active-time\" {now} \
        \"pel-count\" 1 \"pending\" [[\"1-0\" {now} 1]]]]]]]"
    );
    rig.check(&[
        ("XGROUP CREATE s g 0 ENTRIESREAD 0", "OK"),
        (
            "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
            "[[\"s\" [[\"1-0\" [\"f\" \"1\"]]]]]",
        ),
        ("XINFO STREAM s", &short),
        ("XINFO STREAM s FULL COUNT 1", &long),
        ("XGROUP CREATECONSUMER s g d", "1"),
    ]);
    rig.wait(70);
    rig.check(&[(
        "XINFO CONSUMERS s g",
        "[[\"name\" \"c\" \"pending\" 1 \"idle\" 70 \"inactive\" 70] [\"name\" \"d\" \"pending\" 0 \"idle\" 70 \"inactive\" -1]]",
    )]);
}

#[test]
fn setid() {
    let mut rig = Rig::new();
    filled(&mut rig, "s", 2);
    rig.check(&[
        (
            "XSETID s 1",
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ),
        (
            "XSETID s 5 ENTRIESADDED 1",
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ),
        (
            "XSETID s 5 ENTRIESADDED -1",
            "ERR entries_added must be positive",
        ),
        (
            "XSETID s 5 MAXDELETEDID 6",
            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
        ),
        ("XSETID s 5 ENTRIESADDED 9 MAXDELETEDID 4", "OK"),
        ("XSETID s 5 foo", "ERR syntax error"),
        ("XSETID none 5", "ERR no such key"),
        (
            "XADD s 5 a 1",
            "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        ),
        ("XADD s 6 a 1", "\"6-0\""),
    ]);
}

#[test]
fn other_types_are_refused() {
    let mut rig = Rig::new();
    rig.check(&[("SET k v", "OK")]);
    for line in [
        "XADD k * a 1",
        "XLEN k",
        "XRANGE k - +",
        "XDEL k 1",
        "XTRIM k MAXLEN 1",
        "XSETID k 1",
        "XREAD STREAMS k 1",
        "XREADGROUP GROUP g c STREAMS k >",
        "XGROUP CREATE k g 0 MKSTREAM",
        "XACK k g 1",
        "XPENDING k g",
        "XCLAIM k g c 0 1",
        "XAUTOCLAIM k g c 0 0",
        "XINFO STREAM k",
    ] {
        assert_eq!(rig.run(line), WRONG, "{line}");
    }
}

#[test]
fn copies_and_large_ones_freed_in_slices() {
    let mut rig = Rig::new();
    filled(&mut rig, "s", 10_000);
    rig.check(&[("XGROUP CREATE s g 0", "OK"), ("COPY s t", "1")]);
    rig.run("XREADGROUP GROUP g c STREAMS s >");
    rig.check(&[
        ("XPENDING t g", "[0 (nil) (nil) (nil)]"),
        ("XTRIM s MAXLEN 1", "9999"),
        ("XLEN t", "10000"),
        ("DEL s t", "2"),
    ]);
    assert!(rig.shard.mem_bytes() > 100_000, "still held");
    let mut slices = 0;
    while rig.shard.collect_garbage() {
        slices += 1;
    }
    assert!(
        slices > 2 && rig.shard.mem_bytes() < 10_000,
        "{slices} {}",
        rig.shard.mem_bytes()
    );
}

/// A group of which one consumer has 3,000 entries.
fn much_pending() -> Rig {
    let mut rig = Rig::new();
    for n in 0..3_000 {
        rig.run(&format!("XADD x {}-1 f v{n}", n + 1));
    }
    rig.run("XGROUP CREATE x g 0");
    rig.run("XREADGROUP GROUP g c STREAMS x >");
    assert!(rig.slices > 1, "{}", rig.slices);
    rig
}

#[test]
fn many_pending_entries_are_listed_in_slices() {
    let mut rig = much_pending();
    rig.wait(10);
    for (part, count, slices) in [
        ("- + 5000", 3_000, 2),
        ("- + 2500 c", 2_500, 2),
        ("(500-1 2600-1 5000", 2_100, 2),
        ("IDLE 5 - + 5000 c", 3_000, 2),
        ("IDLE 11 - + 5000", 0, 2),
        ("- + 5000 nobody", 0, 0),
        ("- + 10", 10, 0),
    ] {
        let shown = rig.run(&format!("XPENDING x g {part}"));
        assert!(rig.slices >= slices, "{part}: {}", rig.slices);
        assert_eq!(shown.matches("\"c\" 10 1]").count(), count, "{part}");
    }
    rig.check(&[(
        "XPENDING x g 2999-1 + 9",
        "[[\"2999-1\" \"c\" 10 1] [\"3000-1\" \"c\" 10 1]]",
    )]);
}

#[test]
fn many_pending_entries_are_claimed_in_slices() {
    let mut rig = much_pending();
    rig.run("XDEL x 7-1 2000-1");
    let shown = rig.run("XAUTOCLAIM x g d 0 0 COUNT 2500 JUSTID");
    assert!(rig.slices > 1, "{}", rig.slices);
    assert!(
        shown.starts_with("[\"2501-1\" [\"1-1\" \"2-1\" "),
        "{shown}"
    );
    assert!(shown.ends_with(" \"2500-1\"] [\"7-1\" \"2000-1\"]]"));
    assert_eq!(shown.split(' ').count(), 1 + 2_500);
    rig.check(&[(
        "XPENDING x g",
        "[2998 \"1-1\" \"3000-1\" [[\"c\" \"500\"] [\"d\" \"2498\"]]]",
    )]);
    let shown = rig.run("XAUTOCLAIM x g d 0 2999-1 COUNT 2500");
    assert_eq!(
        shown,
        "[\"0-0\" [[\"2999-1\" [\"f\" \"v2998\"]] [\"3000-1\" [\"f\" \"v2999\"]]] []]"
    );
}

#[test]
fn a_consumer_with_many_pending_entries_goes_in_slices() {
    let mut rig = much_pending();
    rig.run("XGROUP CREATE x h 0");
    rig.run("XREADGROUP GROUP h c STREAMS x >");
    let before = rig.shard.stats.changes;
    rig.check(&[("XGROUP DELCONSUMER x g c", "3000")]);
    assert!(rig.slices > 1, "{}", rig.slices);
    assert_eq!(rig.shard.stats.changes - before, 1);
    rig.check(&[
        ("XGROUP DELCONSUMER x g c", "0"),
        ("XPENDING x g", "[0 (nil) (nil) (nil)]"),
        ("XGROUP DESTROY x h", "1"),
        ("XGROUP DESTROY x h", "0"),
    ]);
    assert!(
        rig.shard.has_garbage(),
        "its pending entries are freed later"
    );
    while rig.shard.collect_garbage() {}
    rig.check(&[("XLEN x", "3000")]);
}

#[test]
fn several_streams_with_many_entries_are_one_reply() {
    let mut rig = Rig::new();
    for n in 0..2_500 {
        rig.run(&format!("XADD a {}-1 f a{n}", n + 1));
        rig.run(&format!("XADD b {}-1 f b{n}", n + 1));
    }
    let whole = rig.run("XREAD STREAMS a none b 0 0 2000-1");
    assert!(rig.slices > 1, "{}", rig.slices);
    let [a, b] = ["XRANGE a - +", "XRANGE b 2001-1 +"].map(|line| rig.run(line));
    assert_eq!(whole, format!("[[\"a\" {a}] [\"b\" {b}]]"));
    rig.proto = tessera_core::resp::Proto::Resp3;
    let whole = rig.run("XREAD STREAMS b a 1-1 3000-1");
    let b = rig.run("XRANGE b 2-1 +");
    assert_eq!(whole, format!("{{\"b\" {b}}}"));
}
