//! Clients that do not read as fast as they are written to, and servers that stop reading.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;

use tessera_io::{BackendChoice, Chunk, CloseMode, ConnId, Env, Event, Hangup, Reactor, Wait};

use crate::harness::{Client, LIMIT, Node, connect, on_every_backend, pattern};

on_every_backend!(
    moves_a_hundred_megabytes_both_ways,
    pauses_and_resumes,
    resume_overtakes_the_pause,
    tells_when_a_backlog_has_drained,
    tells_so_after_the_client_has_shut_down,
    tells_so_when_nobody_is_left_to_read,
);

const TRANSFER_BYTES: usize = 100 << 20;
const BACKLOG_BYTES_MAX: usize = 1 << 20;

/// An echo which stops reading a client that does not read.
fn echo_with_limit(reactor: &mut Reactor, event: Event<Chunk>, paused: &mut HashSet<ConnId>) {
    match event {
        Event::Received { conn, chunk } => {
            let mut bytes = reactor.buffer();
            bytes.extend_from_slice(&chunk);
            reactor.send(conn, bytes);
        }
        Event::Drained { conn } => {
            if paused.remove(&conn) {
                reactor.resume(conn);
            }
        }
        Event::Closed { conn, .. } => reactor.close(conn, CloseMode::Flush),
        Event::Accepted { .. } => {}
    }
}

/// The reader begins only after the server has stopped reading, so the whole chain has filled up.
fn moves_a_hundred_megabytes_both_ways(choice: BackendChoice) {
    const PIECE_BYTES: usize = 1 << 20;
    let mut node = Node::start(choice);
    let mut stream = node.connect();
    let mut writer = stream.try_clone().unwrap();
    let (full, begin) = mpsc::channel();
    let write: Client<'_, ()> = Box::new(move || {
        for piece in 0..TRANSFER_BYTES / PIECE_BYTES {
            writer.write_all(&pattern(piece, 0, PIECE_BYTES)).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let read: Client<'_, ()> = Box::new(move || {
        begin.recv_timeout(LIMIT).unwrap();
        let mut bytes = vec![0; PIECE_BYTES];
        for piece in 0..TRANSFER_BYTES / PIECE_BYTES {
            stream.read_exact(&mut bytes).unwrap();
            assert!(
                bytes == pattern(piece, 0, PIECE_BYTES),
                "piece {piece} differs"
            );
        }
        assert_eq!(stream.read(&mut bytes).unwrap(), 0, "nothing follows");
    });
    let mut paused = HashSet::new();
    let mut backlog_max = 0;
    node.serve_turns(vec![write, read], |reactor, events| {
        for event in events {
            let conn = match &event {
                Event::Received { conn, .. } => Some(*conn),
                _ => None,
            };
            // Only what an earlier turn has left counts: of that, `Drained` will tell.
            let left = conn.map_or(0, |conn| reactor.backlog(conn));
            backlog_max = backlog_max.max(left);
            echo_with_limit(reactor, event, &mut paused);
            if let Some(conn) = conn.filter(|_| left > BACKLOG_BYTES_MAX)
                && paused.insert(conn)
            {
                reactor.pause(conn);
                let _ = full.send(());
            }
        }
    });
    // Beyond the limit comes at most what was received before the pause took hold: all buffers.
    let limit = BACKLOG_BYTES_MAX + 256 * 16 * 1024;
    assert!(
        (BACKLOG_BYTES_MAX..=limit).contains(&backlog_max),
        "{backlog_max}"
    );
}

fn pauses_and_resumes(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let mut client = node.connect();
    let conn = node.until(|_, event| match event {
        Event::Accepted { conn, .. } => Some(conn),
        _ => None,
    });
    node.reactor.pause(conn);
    // One turn lets the pause take effect before anything is there to be received.
    let mut events = Vec::new();
    node.reactor.poll(Wait::Never, &mut events).unwrap();
    node.reactor.poll(Wait::Never, &mut events).unwrap();
    client.write_all(b"patience").unwrap();
    for _ in 0..100 {
        node.reactor.poll(Wait::Never, &mut events).unwrap();
    }
    assert!(events.is_empty(), "{events:?}");
    node.reactor.resume(conn);
    let mut bytes = Vec::new();
    while bytes.len() < 8 {
        bytes.extend(node.until(|_, event| match event {
            Event::Received { chunk, .. } => Some(chunk.to_vec()),
            _ => None,
        }));
    }
    assert_eq!(bytes, b"patience");
}

/// A resume may come while the cancel of the pause is queued, under way, or done.
fn resume_overtakes_the_pause(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let address = node.address;
    let client: Client<'_, ()> = Box::new(move || {
        let mut stream = connect(address);
        for round in 0..500 {
            crate::harness::echo_once(&mut stream, &pattern(round, 0, 1_000));
        }
    });
    let mut round = 0;
    node.serve(vec![client], |reactor, event| {
        let Event::Received { conn, chunk } = event else {
            return;
        };
        round += 1;
        reactor.pause(conn);
        let mut early = Vec::new();
        if round % 3 == 0 {
            reactor.poll(Wait::Never, &mut early).unwrap();
        }
        reactor.resume(conn);
        if round % 2 == 0 {
            reactor.pause(conn);
            reactor.resume(conn);
        }
        reactor.send(conn, chunk.to_vec());
        for event in early {
            if let Event::Received { conn, chunk } = event {
                reactor.send(conn, chunk.to_vec());
            }
        }
    });
}

fn tells_when_a_backlog_has_drained(choice: BackendChoice) {
    const BYTES: usize = 32 << 20;
    let mut node = Node::start(choice);
    let mut stream = node.connect();
    let conn = node.until(|_, event| match event {
        Event::Accepted { conn, .. } => Some(conn),
        _ => None,
    });
    node.reactor.send(conn, pattern(0, 0, BYTES));
    node.reactor.poll(Wait::Never, &mut Vec::new()).unwrap();
    let left = node.reactor.backlog(conn);
    assert!(left > 0 && left < BYTES, "{left}: the socket took a part");
    // These find the connection blocked and line up behind.
    node.reactor.send(conn, pattern(0, BYTES, 10));
    node.reactor.send(conn, pattern(0, BYTES + 10, 10));
    assert_eq!(node.reactor.backlog(conn), left + 20);
    let mut drained = 0;
    let read: Client<'_, ()> = Box::new(move || {
        let mut bytes = vec![0; BYTES + 20];
        stream.read_exact(&mut bytes).unwrap();
        assert!(bytes == pattern(0, 0, BYTES + 20));
    });
    node.serve(vec![read], |_, event| {
        drained += usize::from(matches!(event, Event::Drained { .. }));
    });
    while drained == 0 {
        drained += node.turn().len();
    }
    assert_eq!(drained, 1);
    assert_eq!(node.reactor.backlog(conn), 0);
}

/// A server with much for a client that will send nothing more.
fn backlogged_after_eof(choice: BackendChoice, bytes: usize) -> (Node, TcpStream, ConnId) {
    let mut node = Node::start(choice);
    let stream = node.connect();
    let conn = node.until(|_, event| match event {
        Event::Accepted { conn, .. } => Some(conn),
        _ => None,
    });
    node.reactor.send(conn, pattern(0, 0, bytes));
    node.reactor.poll(Wait::Never, &mut Vec::new()).unwrap();
    assert!(node.reactor.backlog(conn) > 0);
    stream.shutdown(Shutdown::Write).unwrap();
    node.until(|_, event| match event {
        Event::Closed { hangup, .. } => {
            assert_eq!(hangup, Hangup::Eof);
            Some(())
        }
        _ => None,
    });
    (node, stream, conn)
}

fn tells_so_after_the_client_has_shut_down(choice: BackendChoice) {
    const BYTES: usize = 32 << 20;
    let (mut node, mut stream, conn) = backlogged_after_eof(choice, BYTES);
    let mut drained = 0;
    let read: Client<'_, ()> = Box::new(move || {
        let mut bytes = vec![0; BYTES];
        stream.read_exact(&mut bytes).unwrap();
        assert!(bytes == pattern(0, 0, BYTES));
    });
    node.serve(vec![read], |_, event| {
        assert!(matches!(event, Event::Drained { .. }), "{event:?}");
        drained += 1;
    });
    while drained == 0 {
        drained += node.turn().len();
    }
    assert_eq!((drained, node.reactor.backlog(conn)), (1, 0));
}

fn tells_so_when_nobody_is_left_to_read(choice: BackendChoice) {
    let (mut node, stream, conn) = backlogged_after_eof(choice, 32 << 20);
    drop(stream);
    let drained = node.until(|_, event| match event {
        Event::Drained { conn } => Some(conn),
        other => panic!("{other:?} after the end of file"),
    });
    assert_eq!((drained, node.reactor.backlog(conn)), (conn, 0));
}
