//! Tests of a connection, over a pair of sockets.

use super::*;
use crate::keys::{KeySpace, Pattern, Shape};
use crate::load::Command;
use crate::template::{Filling, Template};
use crate::values::Values;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

fn load(pipeline: u32) -> Load {
    let filling = Filling {
        keys: KeySpace::new(b"", 0, 9, None, Shape::default()).unwrap(),
        values: Values::new(1, 1, false).unwrap(),
        expiry: None,
    };
    let get = Command {
        template: Template::get(&filling),
        ratio: 1,
        pattern: Pattern::Sequential,
        label: "Gets".to_owned(),
        on_miss: None,
    };
    Load::new(vec![get], filling, pipeline).unwrap()
}

/// A load of one command, and one that follows its misses.
fn load_of(line: &str, on_miss: &str) -> Load {
    let filling = load(1).filling;
    let command = |line, ratio, on_miss| Command {
        template: Template::parse(line, &filling).unwrap(),
        ratio,
        pattern: Pattern::Sequential,
        label: line.to_owned(),
        on_miss,
    };
    let commands = vec![command(line, 1, Some(1)), command(on_miss, 0, None)];
    Load::new(commands, filling, 1).unwrap()
}

fn turn<'a>(load: &'a Load, random: &'a mut Random) -> Turn<'a> {
    let tally = PhaseTally::new(load.commands.len(), 0);
    let clock = Clock::start();
    Turn {
        load,
        clock,
        random,
        tally,
        live: None,
        schedule: None,
        stopping: false,
        last_reply_ns: 0,
    }
}

fn pair() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (Connection::new(ours.into(), 0), theirs)
}

fn requests(server: &mut UnixStream) -> usize {
    let mut bytes = vec![0; 4096];
    let got = server.read(&mut bytes).unwrap_or(0);
    bytes[..got].iter().filter(|byte| **byte == b'*').count()
}

#[test]
fn the_window_is_topped_up_with_every_reply_and_never_exceeded() {
    let load = load(4);
    let mut random = Random::new(1);
    let mut turn = turn(&load, &mut random);
    let (mut connection, mut server) = pair();
    connection.prepare(&load, 1, 6);
    assert_eq!(connection.issue(&mut turn, 0), State::Open);
    assert_eq!(requests(&mut server), 4);
    // One reply and a half, one of them a miss.
    server.write_all(b"$-1\r\n$1\r").unwrap();
    let mut buffer = [0; 64];
    assert_eq!(
        connection.receive(&mut turn, &mut buffer, false),
        State::Open
    );
    assert_eq!((connection.outstanding(), connection.remaining()), (4, 1));
    server.write_all(b"\nx\r\n-ERR a\r\n+b\r\n+c\r\n").unwrap();
    connection.receive(&mut turn, &mut buffer, false);
    assert_eq!((connection.outstanding(), connection.remaining()), (1, 0));
    assert_eq!(requests(&mut server), 2);
    let tally = &turn.tally.commands[0];
    assert_eq!(
        (tally.replies(), tally.hits, tally.misses, tally.errors),
        (5, 3, 1, 1)
    );
    assert_eq!(tally.bytes_received, 5 + 7 + 8 + 4 + 4);
}

#[test]
fn batches_wait_for_the_last_reply() {
    let mut load = load(3);
    load.batches = true;
    let mut random = Random::new(1);
    let mut turn = turn(&load, &mut random);
    let (mut connection, mut server) = pair();
    connection.prepare(&load, 1, u64::MAX);
    connection.issue(&mut turn, 0);
    assert_eq!(requests(&mut server), 3);
    let mut buffer = [0; 64];
    server.write_all(b"+a\r\n+b\r\n").unwrap();
    connection.receive(&mut turn, &mut buffer, false);
    assert_eq!(requests(&mut server), 0);
    server.write_all(b"+c\r\n").unwrap();
    connection.receive(&mut turn, &mut buffer, false);
    assert_eq!(requests(&mut server), 3);
}

#[test]
fn an_open_loop_counts_from_the_moment_a_request_was_due() {
    let load = load(1);
    let mut random = Random::new(1);
    let mut turn = turn(&load, &mut random);
    turn.schedule = Some(Schedule::new(0, 1000, 1));
    let (mut connection, mut server) = pair();
    connection.prepare(&load, 1, u64::MAX);
    for _ in 0..3 {
        connection.add_due();
    }
    connection.issue(&mut turn, 7_000_000);
    assert_eq!((requests(&mut server), connection.backlog()), (1, 2));
    for reply in 0..3 {
        connection
            .take_replies(b"+x\r\n", &mut turn, 10_000_000)
            .unwrap();
        connection.issue(&mut turn, 10_000_000);
        assert_eq!(connection.backlog(), 1u64.saturating_sub(reply));
    }
    // Due at 0, 1 and 2 ms, all answered at 10 ms.
    let latency = &turn.tally.commands[0].latency_ns;
    assert!(latency.min().abs_diff(8_000_000) < 10_000);
    assert!(latency.max().abs_diff(10_000_000) < 10_000);
}

#[test]
fn a_closed_peer_and_an_unasked_reply_lose_the_connection() {
    let load = load(1);
    let mut random = Random::new(1);
    let mut turn = turn(&load, &mut random);
    let mut buffer = [0; 64];
    let (mut connection, server) = pair();
    drop(server);
    assert!(matches!(
        connection.receive(&mut turn, &mut buffer, true),
        State::Lost(_)
    ));
    let (mut connection, mut server) = pair();
    server.write_all(b"+OK\r\n").unwrap();
    assert!(matches!(
        connection.receive(&mut turn, &mut buffer, false),
        State::Lost(_)
    ));
}

#[test]
fn a_request_of_several_commands_is_done_with_its_last_reply() {
    let load = load_of("MULTI __then__ SET __key__ 1 __then__ EXEC", "PING");
    let mut random = Random::new(1);
    let mut turn = turn(&load, &mut random);
    let (mut connection, mut server) = pair();
    connection.prepare(&load, 1, 2);
    connection.issue(&mut turn, 0);
    assert_eq!(requests(&mut server), 3);
    connection
        .take_replies(b"+OK\r\n+QUEUED\r\n", &mut turn, 5)
        .unwrap();
    assert_eq!(
        (connection.outstanding(), turn.tally.commands[0].replies()),
        (1, 0)
    );
    connection
        .take_replies(b"*1\r\n+OK\r\n", &mut turn, 9)
        .unwrap();
    assert_eq!(
        (connection.outstanding(), turn.tally.commands[0].replies()),
        (0, 1)
    );
    connection.issue(&mut turn, 10);
    connection
        .take_replies(b"+OK\r\n-ERR no\r\n-EXECABORT\r\n", &mut turn, 12)
        .unwrap();
    assert_eq!(turn.tally.commands[0].errors, 1);
    assert!(connection.is_done(false));
}

#[test]
fn a_miss_is_followed_by_its_command_on_the_same_key_after_the_delay() {
    let mut load = load_of("GETDEL __key__", "SET __key__ 1");
    load.miss_delay_ns = 100;
    let mut random = Random::new(1);
    let mut turn = turn(&load, &mut random);
    let (mut connection, mut server) = pair();
    connection.prepare(&load, 1, 1);
    connection.issue(&mut turn, 0);
    requests(&mut server);
    connection.take_replies(b"$-1\r\n", &mut turn, 50).unwrap();
    assert_eq!(connection.follow_up_due_ns(), Some(150));
    assert!(!connection.is_done(false));
    connection.issue(&mut turn, 149);
    assert_eq!(requests(&mut server), 0);
    connection.issue(&mut turn, 150);
    let mut sent = [0; 64];
    let got = server.read(&mut sent).unwrap();
    assert_eq!(&sent[..got], b"*3\r\n$3\r\nSET\r\n$1\r\n0\r\n$1\r\n1\r\n");
    connection.take_replies(b"+OK\r\n", &mut turn, 170).unwrap();
    assert!(connection.is_done(false));
    let replies = |at: usize| turn.tally.commands[at].replies();
    assert_eq!(
        (replies(0), replies(1), turn.tally.commands[0].nulls),
        (1, 1, 1)
    );
}
