//! SLOWLOG and LATENCY: what is logged, in which words, and of which shard.
//!
//! Times are not compared: a threshold of 0 makes everything slow.

use tessera_tests::client::Client;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

/// A script that holds its keys for a while.
const LONG: &str = "local n = 0 for i = 1, 20000000 do n = n + 1 end return n";

/// The requests in the log, oldest first, without those that ask for it.
fn logged(client: &mut Client) -> Vec<String> {
    let log = client.call(&["SLOWLOG", "GET", "-1"]);
    let line = |entry: &tessera_tests::reply::Reply| {
        let args = entry.elements()[3].elements();
        args.iter()
            .map(|arg| arg.text())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines: Vec<String> = log.elements().iter().map(line).collect();
    lines.reverse();
    lines
}

#[test]
fn the_log_is_that_of_redis() {
    let servers = [
        Launch::tessera().shards(1).start(),
        Launch::oracle().start(),
    ];
    let [ours, theirs] = servers.each_ref().map(|server| {
        let mut client = server.client();
        let mut say = |text: &str| _ = client.say(text);
        say("CONFIG SET slowlog-max-len 200 slowlog-log-slower-than 0");
        say("SLOWLOG RESET");
        say("SET k v");
        say("MGET a b c d");
        say("KEYS *");
        say("AUTH user secret");
        say("HELLO 2 AUTH user secret");
        say("CONFIG SET masterauth secret hz 10");
        say("PING");
        say("LPUSH list a b");
        say("BLPOP list 0");
        say("BLPOP nolist 0.01");
        say("MULTI");
        say("SET k w");
        say("KEYS none*");
        say("PING x");
        say("EXEC");
        say("EVAL \"redis.call('set', KEYS[1], 'v') return redis.call('keys', '*')\" 1 k");
        say("NOSUCH command");
        say("GET");
        say(&format!("SET long {}", "x".repeat(200)));
        say(&format!("DEL {}", "key ".repeat(40)));
        say("SLOWLOG LEN");
        say("CONFIG SET slowlog-log-slower-than -1");
        say("SET k x");
        logged(&mut client)
    });
    assert_eq!(ours, theirs);
    assert!(ours.iter().any(|line| line == "AUTH (redacted) (redacted)"));
}

#[test]
fn an_entry_tells_who_and_where() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    client.say("CLIENT SETNAME worker").expect_ok();
    client
        .say("CONFIG SET slowlog-log-slower-than 0")
        .expect_ok();
    let address = client.say("CLIENT INFO").text();
    let address = address
        .split(' ')
        .find_map(|part| part.strip_prefix("addr="));
    let address = address.expect("CLIENT INFO tells it").to_owned();
    // The slots of foo and bar: one on each shard, whichever shard the connection is on.
    for key in ["foo", "bar"] {
        client.say("SLOWLOG RESET").expect_ok();
        client.call(&["SET", key, "v"]).expect_ok();
        let log = client.say("SLOWLOG GET 1");
        let entry = log.elements()[0].elements();
        assert_eq!(entry.len(), 6);
        assert_eq!(entry[3].elements()[1].text(), key);
        assert_eq!(entry[4].text(), address);
        let shard = if key == "foo" { 1 } else { 0 };
        assert_eq!(entry[5].text(), format!("worker shard={shard}"));
    }
    // Each shard's part of a command over keys that do not depend on each other is an entry of its own.
    client.say("SLOWLOG RESET").expect_ok();
    client.say("MGET foo bar");
    let mut parts = logged(&mut client);
    parts.sort();
    assert_eq!(parts, ["MGET bar", "MGET foo", "SLOWLOG RESET"]);
}

#[test]
fn what_was_pipelined_before_is_in_the_log() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    client
        .say("CONFIG SET slowlog-log-slower-than 0")
        .expect_ok();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    client.say("SLOWLOG RESET").expect_ok();
    let replies = client.pipeline(&[
        words("SET foo 1"),
        words("SET bar 1"),
        words("SLOWLOG GET 2"),
    ]);
    let mut log: Vec<String> = replies[2]
        .elements()
        .iter()
        .map(|entry| entry.elements()[3].elements()[1].text())
        .collect();
    log.sort();
    assert_eq!(log, ["bar", "foo"]);
}

/// What waits for a lock when the log is asked for is in it nevertheless: the command before was sent first.
#[test]
fn what_had_to_wait_is_in_the_log() {
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        let (mut client, mut busy) = (server.client(), server.client());
        client
            .say("CONFIG SET slowlog-log-slower-than 0")
            .expect_ok();
        busy.send(&["EVAL", LONG, "2", "foo", "bar"]);
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let replies = client.pipeline(&[
            words("SET foo 1"),
            words("RENAME foo bar"),
            words("SLOWLOG GET -1"),
        ]);
        let log = replies[2].elements().iter();
        let names: Vec<String> = log
            .map(|entry| entry.elements()[3].elements()[0].text())
            .collect();
        let count = |name: &str| names.iter().filter(|it| *it == name).count();
        assert_eq!((count("SET"), count("RENAME")), (1, 1), "{names:?}");
        assert!(matches!(busy.read(), Reply::Int(_)));
    }
}

#[test]
fn spikes_are_told_by_event() {
    let launch = Launch::tessera().shards(2);
    let server = launch.with("enable-debug-command", "yes").start();
    let mut client = server.client();
    assert_eq!(client.say("LATENCY LATEST").elements().len(), 0);
    client
        .say("CONFIG SET latency-monitor-threshold 20")
        .expect_ok();
    client.say("DEBUG SLEEP 0.03").expect_ok();
    let latest = client.say("LATENCY LATEST");
    let event = latest.elements()[0].elements();
    assert_eq!(event[0].text(), "command");
    assert!(event[2].int() >= 30 && event[3].int() >= 30, "{latest:?}");
    let history = client.say("LATENCY HISTORY command");
    assert_eq!(history.elements().len(), 1);
    assert!(
        client
            .say("LATENCY GRAPH command")
            .text()
            .starts_with("command - high ")
    );
    assert!(
        client
            .say("LATENCY DOCTOR")
            .text()
            .contains("1. command: 1 latency spikes")
    );
    assert_eq!(client.say("LATENCY RESET").int(), 1);
    client.say("GET foo");
    client.say("GET bar");
    let histogram = client.say("LATENCY HISTOGRAM get");
    let of_get = histogram.pairs();
    let (name, figures) = &of_get[0];
    assert_eq!((name.as_str(), figures.pairs()[0].1.int()), ("get", 2));
}
