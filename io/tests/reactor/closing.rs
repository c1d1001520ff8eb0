//! The end of a connection from our side.

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use tessera_io::{BackendChoice, CloseMode, Env, Event, Wait};

use crate::harness::{Client, Node, connect, on_every_backend, pattern};

on_every_backend!(
    flush_delivers_everything,
    flush_of_nothing_closes_at_once,
    flush_gives_up_on_a_peer_that_does_not_read,
    abort_drops_what_has_not_left,
    nothing_is_reported_after_close,
);

const BYTES: usize = 20 << 20;

fn flush_delivers_everything(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let address = node.address;
    let client: Client<'_, Vec<u8>> = Box::new(move || {
        let mut stream = connect(address);
        stream.write_all(b"go, and this is never read").unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    let mut closed = false;
    let all = node.serve(vec![client], |reactor, event| match event {
        Event::Received { conn, .. } => {
            assert!(!std::mem::replace(&mut closed, true));
            reactor.send(conn, pattern(3, 0, BYTES));
            reactor.close(conn, CloseMode::Flush);
            // Closed for the caller, at once.
            assert_eq!(reactor.backlog(conn), 0);
            reactor.send(conn, b"too late".to_vec());
        }
        Event::Accepted { .. } => {}
        other => panic!("{other:?} after close"),
    });
    assert!(all[0] == pattern(3, 0, BYTES));
    assert_eq!(node.reactor.connections(), 0);
}

fn flush_of_nothing_closes_at_once(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let address = node.address;
    let client: Client<'_, usize> =
        Box::new(move || connect(address).read_to_end(&mut Vec::new()).unwrap());
    let read = node.serve(vec![client], |reactor, event| {
        if let Event::Accepted { conn, .. } = event {
            reactor.close(conn, CloseMode::Flush);
        }
    });
    assert_eq!(read, [0]);
}

fn flush_gives_up_on_a_peer_that_does_not_read(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let _client = node.connect();
    let conn = node.until(|_, event| match event {
        Event::Accepted { conn, .. } => Some(conn),
        _ => None,
    });
    node.reactor.send(conn, pattern(0, 0, BYTES));
    node.reactor.close(conn, CloseMode::Flush);
    let start = node.reactor.now();
    let limit = start + Duration::from_secs(20).as_nanos() as u64;
    let mut events = Vec::new();
    // Its own deadline ends the connection although the caller's is later; the poll goes on.
    while node.reactor.connections() > 0 {
        let tick = (node.reactor.now() + 100_000_000).min(limit);
        node.reactor.poll(Wait::Until(tick), &mut events).unwrap();
        assert!(node.reactor.now() < limit, "it never gave up");
    }
    assert!(events.is_empty(), "{events:?}");
    assert!(
        node.reactor.now() - start >= 4_900_000_000,
        "it gave up early"
    );
}

fn abort_drops_what_has_not_left(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let mut client = node.connect();
    let conn = node.until(|_, event| match event {
        Event::Accepted { conn, .. } => Some(conn),
        _ => None,
    });
    node.reactor.send(conn, pattern(0, 0, BYTES));
    node.reactor.poll(Wait::Never, &mut Vec::new()).unwrap();
    node.reactor.close(conn, CloseMode::Abort);
    node.reactor.poll(Wait::Never, &mut Vec::new()).unwrap();
    assert_eq!(node.reactor.connections(), 0);
    let mut bytes = Vec::new();
    match client.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(bytes.len() < BYTES);
}

/// Bytes, ends and errors of a closed connection are its own affair.
fn nothing_is_reported_after_close(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let address = node.address;
    let clients: Vec<Client<'_, ()>> = (0..4)
        .map(|seed| -> Client<'_, ()> {
            Box::new(move || {
                for round in 0..100 {
                    let mut stream = connect(address);
                    // The server may be gone in the middle of this.
                    let _ = stream.write_all(&pattern(seed, round, 50_000));
                    let _ = stream.read_to_end(&mut Vec::new());
                }
            })
        })
        .collect();
    let mut closed = HashSet::new();
    let mut count = 0_usize;
    node.serve_turns(clients, |reactor, events| {
        // What stands in the list already when the caller closes is the caller's to ignore.
        let mut now = HashSet::new();
        for event in events {
            let (Event::Accepted { conn, .. }
            | Event::Received { conn, .. }
            | Event::Drained { conn }
            | Event::Closed { conn, .. }) = event;
            assert!(!closed.contains(&conn), "{event:?} after close");
            let (talks, ends) = match event {
                Event::Received { .. } => (true, true),
                Event::Closed { .. } => (false, true),
                _ => (false, false),
            };
            if !ends || !now.insert(conn) {
                continue;
            }
            count += 1;
            if talks {
                reactor.send(conn, vec![b'x'; count % 7 * 1_000]);
            }
            let flush = count.is_multiple_of(2);
            reactor.close(
                conn,
                if flush {
                    CloseMode::Flush
                } else {
                    CloseMode::Abort
                },
            );
        }
        closed.extend(now);
    });
    assert!(count >= 400);
}
