//! Killed in the middle of everything: with `appendfsync always` what was acknowledged or read is there, and no transaction is half there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::reply::Reply;
use tessera_tests::server::Server;

use super::node;

const WRITERS: usize = 4;
const SIDES: [&str; 4] = ["a", "b", "c", "d"];

/// What a writer knows of its four keys, which always hold the same number.
#[derive(Default)]
struct Known {
    /// Acknowledged.
    acked: AtomicU64,
    /// Sent.
    sent: AtomicU64,
    /// Read by anybody.
    seen: AtomicU64,
    /// Elements of its queue, which are numbered from 1: pushed and popped, as far as that was sent and as far as it was acknowledged.
    pushes_sent: AtomicU64,
    pushes_acked: AtomicU64,
    pops_sent: AtomicU64,
    pops_acked: AtomicU64,
}

fn keys(writer: usize) -> [String; 4] {
    SIDES.map(|side| format!("writer{writer}:{side}"))
}

/// Writes a number into all keys, one way or another. `None`: the connection has ended.
fn write(client: &mut Client, keys: &[String; 4], number: u64) -> Option<()> {
    let value = number.to_string();
    let pairs = keys.iter().flat_map(|key| [key.clone(), value.clone()]);
    match number % 3 {
        0 => {
            let words: Vec<String> = std::iter::once("MSET".to_owned()).chain(pairs).collect();
            client.try_call(&words).ok()?;
        }
        1 => {
            client.try_call(&["MULTI"]).ok()?;
            for key in keys {
                client.try_call(&["SET", key, &value]).ok()?;
            }
            client.try_call(&["EXEC"]).ok()?;
        }
        _ => {
            let script = "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1]) end";
            let mut words = vec!["EVAL", script, "4"];
            words.extend(keys.iter().map(String::as_str));
            words.push(&value);
            client.try_call(&words).ok()?;
        }
    }
    Some(())
}

/// A queue of numbers, each of which is pushed once and popped once, at times by one who waits.
fn queue(client: &mut Client, writer: usize, known: &Known, number: u64) -> Option<()> {
    let list = format!("queue{writer}");
    for _ in 0..1 + number % 3 {
        let next = known.pushes_sent.fetch_add(1, Ordering::SeqCst) + 1;
        client.try_call(&["LPUSH", &list, &next.to_string()]).ok()?;
        known.pushes_acked.store(next, Ordering::SeqCst);
    }
    for _ in 0..1 + number % 2 {
        if known.pops_sent.load(Ordering::SeqCst) == known.pushes_acked.load(Ordering::SeqCst) {
            break;
        }
        let next = known.pops_sent.fetch_add(1, Ordering::SeqCst) + 1;
        let popped = match number % 2 {
            0 => client.try_call(&["RPOP", &list]).ok()?.text(),
            _ => client.try_call(&["BRPOP", &list, "0"]).ok()?.elements()[1].text(),
        };
        assert_eq!(popped, next.to_string());
        known.pops_acked.store(next, Ordering::SeqCst);
    }
    Some(())
}

/// What a queue holds after a crash: all that was pushed and not popped, in order, but for what was under way.
fn judge_queue(client: &mut Client, writer: usize, known: &Known) {
    let read = |it: &AtomicU64| it.load(Ordering::SeqCst);
    let list = client.say(&format!("LRANGE queue{writer} 0 -1"));
    let numbers: Vec<u64> = list
        .elements()
        .iter()
        .map(|it| it.text().parse().expect("a number"))
        .collect();
    let is_next = |pair: &[u64]| pair[0] == pair[1] + 1;
    assert!(numbers.windows(2).all(is_next), "{numbers:?}");
    let (pushed, popped) = match (numbers.first(), numbers.last()) {
        (Some(newest), Some(oldest)) => (*newest, oldest - 1),
        // Then all that was pushed has been popped.
        _ => {
            let all = read(&known.pops_sent).min(read(&known.pushes_sent));
            let all = all.max(read(&known.pushes_acked));
            (all, all)
        }
    };
    let pushes = read(&known.pushes_acked)..=read(&known.pushes_sent);
    let pops = read(&known.pops_acked)..=read(&known.pops_sent);
    assert!(pushes.contains(&pushed), "{pushed} pushed of {pushes:?}");
    assert!(pops.contains(&popped), "{popped} popped of {pops:?}");
    for (counts, number) in [
        ([&known.pushes_sent, &known.pushes_acked], pushed),
        ([&known.pops_sent, &known.pops_acked], popped),
    ] {
        for count in counts {
            count.store(number, Ordering::SeqCst);
        }
    }
}

/// A list through which elements go, keys that end, and a pop that waits: none of it may make the log unreadable.
fn bustle(client: &mut Client, writer: usize, number: u64) -> Option<()> {
    let (list, done) = (format!("list{writer}"), format!("done{writer}"));
    let number = number.to_string();
    client.try_call(&["RPUSH", &list, &number]).ok()?;
    client
        .try_call(&["LMOVE", &list, &done, "LEFT", "RIGHT"])
        .ok()?;
    client.try_call(&["BLPOP", &done, "1"]).ok()?;
    client
        .try_call(&["SET", &format!("short{writer}"), &number, "PX", "3"])
        .ok()?;
    client.try_call(&["INCR", &format!("short{writer}")]).ok()?;
    let long = format!("long{writer}");
    client
        .try_call(&["SET", &long, &number, "EX", "1000"])
        .ok()?;
    Some(())
}

fn work(client: &mut Client, writer: usize, known: &[Known]) -> Option<()> {
    let mut number = known[writer].acked.load(Ordering::SeqCst);
    loop {
        number += 1;
        known[writer].sent.store(number, Ordering::SeqCst);
        write(client, &keys(writer), number)?;
        known[writer].acked.store(number, Ordering::SeqCst);
        let other = number as usize % WRITERS;
        let read = client.try_call(&["GET", &keys(other)[0]]).ok()?;
        // The other one may not have written anything yet.
        if let Reply::Bulk(seen) = read
            && let Ok(seen) = String::from_utf8_lossy(&seen).parse()
        {
            known[other].seen.fetch_max(seen, Ordering::SeqCst);
        }
        bustle(client, writer, number)?;
        queue(client, writer, &known[writer], number)?;
    }
}

/// Lets writers run until so much has been acknowledged, kills the node, starts it with other shards and looks.
fn round(server: Server, known: &[Known], shards: usize, rewrites: bool) -> Server {
    let before: u64 = known.iter().map(|it| it.acked.load(Ordering::SeqCst)).sum();
    let is_over = AtomicBool::new(false);
    let server = thread::scope(|scope| {
        for writer in 0..WRITERS {
            let mut client = server.client();
            let is_over = &is_over;
            scope.spawn(move || {
                let ended = work(&mut client, writer, known);
                assert!(
                    ended.is_none() && is_over.load(Ordering::SeqCst),
                    "it ended early"
                );
            });
        }
        let acked = || {
            known
                .iter()
                .map(|it| it.acked.load(Ordering::SeqCst))
                .sum::<u64>()
        };
        wait_until("writes", || acked() > before + 100);
        let begun = server
            .client()
            .say(if rewrites { "BGREWRITEAOF" } else { "BGSAVE" });
        assert!(!begun.is_error(), "{begun}");
        wait_until("more writes", || acked() > before + 120);
        is_over.store(true, Ordering::SeqCst);
        server.crash(node(shards, "always"))
    });
    let mut client = server.client();
    for (writer, known) in known.iter().enumerate() {
        let read = |key: &String, client: &mut Client| client.call(&["GET", key]).text();
        let numbers = keys(writer).map(|key| read(&key, &mut client));
        assert!(
            numbers.iter().all(|number| *number == numbers[0]),
            "torn: {numbers:?}"
        );
        let number: u64 = numbers[0].parse().unwrap_or(0);
        let acked = known.acked.load(Ordering::SeqCst);
        let sent = known.sent.load(Ordering::SeqCst);
        assert!((acked..=sent).contains(&number), "{acked} {number} {sent}");
        assert!(
            known.seen.load(Ordering::SeqCst) <= number,
            "a read showed what is lost"
        );
        known.acked.store(number, Ordering::SeqCst);
        judge_queue(&mut client, writer, known);
        let left = client.say(&format!("TTL long{writer}")).int();
        assert!((1..=1000).contains(&left), "{left}");
    }
    server
}

#[test]
fn everything_acknowledged_is_there() {
    let known: Vec<Known> = (0..WRITERS).map(|_| Known::default()).collect();
    let mut server = node(2, "always").start();
    for (number, shards) in [1, 4, 2, 3, 1, 2].into_iter().enumerate() {
        server = round(server, &known, shards, number % 2 == 1);
    }
}

#[test]
fn what_was_synced_is_there_without_waiting() {
    for sync in ["everysec", "always"] {
        let server = node(2, sync).start();
        let mut client = server.client();
        for number in 0..500 {
            client
                .say(&format!("SET key:{number} {number}"))
                .expect_ok();
        }
        assert_eq!(client.say("WAITAOF 1 0 0").elements()[0].int(), 1);
        let server = server.crash(node(1, sync));
        assert_eq!(server.client().say("DBSIZE").int(), 500);
        let server = server.restart();
        assert_eq!(server.client().say("DBSIZE").int(), 500);
    }
}

/// A log that is turned on at run time has what was there before.
#[test]
fn turned_on_at_run_time() {
    let server = tessera_tests::launch::Launch::tessera().shards(2).start();
    let mut client = server.client();
    client.say("MSET a 1 b 2 c 3").expect_ok();
    client
        .say("CONFIG SET appendfsync always appendonly yes")
        .expect_ok();
    wait_until("the first base", || {
        client
            .say("INFO persistence")
            .text()
            .contains("aof_pending_rewrite:0")
    });
    client.say("MSET a 4 d 5").expect_ok();
    let server = server.crash(node(3, "always"));
    let mut client = server.client();
    assert_eq!(
        client.say("MGET a b c d").sorted_texts(),
        ["2", "3", "4", "5"]
    );
}
