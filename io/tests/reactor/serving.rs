//! Connections that come, talk and go.

use std::io::{Read, Write};
use std::net::Shutdown;

use tessera_io::{BackendChoice, CloseMode, Env, Event, Hangup, Peer};

use crate::harness::{Client, Node, connect, echo, echo_once, on_every_backend, pattern};

on_every_backend!(
    echoes,
    accepts_and_names_peers,
    survives_full_queues,
    answers_after_half_close,
    reports_the_end,
    reports_a_reset,
    names_are_not_inherited,
    sends_of_a_turn_keep_their_order,
);

fn echoes(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let address = node.address;
    let client = |seed: usize| -> Client<'_, ()> {
        Box::new(move || {
            let mut stream = connect(address);
            for round in 0..200 {
                let length = 1 + (round * 7_919 * (seed + 1)) % 40_000;
                echo_once(&mut stream, &pattern(seed, round, length));
            }
        })
    };
    node.serve((0..8).map(client).collect(), echo);
}

fn accepts_and_names_peers(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let client = node.connect();
    let peer = node.until(|_, event| match event {
        Event::Accepted { peer, .. } => Some(peer),
        _ => None,
    });
    let remote = client.local_addr().unwrap();
    assert_eq!(
        peer,
        Peer::Tcp {
            remote,
            local: node.address
        }
    );
    assert_eq!(node.reactor.connections(), 1);
}

/// More connections than places in the submission queue, and more completions at once than places
/// in the completion queue.
fn survives_full_queues(choice: BackendChoice) {
    const CLIENTS: usize = 400;
    let mut node = Node::adjusted(choice, |options| options.ring_entries = 4);
    let address = node.address;
    let client: Client<'_, ()> = Box::new(move || {
        let mut streams: Vec<_> = (0..CLIENTS).map(|_| connect(address)).collect();
        for round in 0..20 {
            for (seed, stream) in streams.iter_mut().enumerate() {
                stream.write_all(&pattern(seed, round, 100)).unwrap();
            }
            for (seed, stream) in streams.iter_mut().enumerate() {
                let mut back = [0; 100];
                stream.read_exact(&mut back).unwrap();
                assert!(back[..] == pattern(seed, round, 100));
            }
        }
    });
    node.serve(vec![client], echo);
    while node.reactor.connections() > 0 {
        for event in node.turn() {
            echo(&mut node.reactor, event);
        }
    }
}

fn answers_after_half_close(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let address = node.address;
    let client: Client<'_, Vec<u8>> = Box::new(move || {
        let mut stream = connect(address);
        stream.write_all(&pattern(1, 0, 100_000)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    let all = node.serve(vec![client], echo);
    assert!(all[0] == pattern(1, 0, 100_000));
}

fn reports_the_end(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let mut client = node.connect();
    client.write_all(b"bye").unwrap();
    drop(client);
    let mut bytes = Vec::new();
    let hangup = node.until(|reactor, event| match event {
        Event::Received { chunk, .. } => {
            bytes.extend_from_slice(&chunk);
            None
        }
        Event::Closed { conn, hangup } => {
            reactor.close(conn, CloseMode::Abort);
            Some(hangup)
        }
        _ => None,
    });
    assert_eq!(
        bytes, b"bye",
        "what was sent before the end comes before the end"
    );
    assert_eq!(hangup, Hangup::Eof);
    assert_eq!(node.reactor.connections(), 0);
}

fn reports_a_reset(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let client = node.connect();
    node.until(|_, event| matches!(event, Event::Accepted { .. }).then_some(()));
    let now = Some(std::time::Duration::ZERO);
    socket2::SockRef::from(&client).set_linger(now).unwrap();
    drop(client);
    let hangup = node.until(|_, event| match event {
        Event::Closed { hangup, .. } => Some(hangup),
        _ => None,
    });
    assert_eq!(hangup, Hangup::Error(libc::ECONNRESET));
}

/// What a caller still says under the name of a connection that has left reaches nobody.
fn names_are_not_inherited(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let accepted = |_: &mut _, event| match event {
        Event::Accepted { conn, .. } => Some(conn),
        _ => None,
    };
    let _first = node.connect();
    let old = node.until(accepted);
    node.reactor.close(old, CloseMode::Abort);
    let mut second = node.connect();
    let new = node.until(accepted);
    assert_eq!(old.index, new.index, "the place is used again");
    node.reactor.send(old, b"for the first".to_vec());
    node.reactor.pause(old);
    assert_eq!(node.reactor.backlog(old), 0);
    node.reactor.send(new, b"second".to_vec());
    node.reactor.close(old, CloseMode::Abort);
    node.reactor.close(new, CloseMode::Flush);
    let address = node.address;
    let reader: Client<'_, Vec<u8>> = Box::new(move || {
        let mut all = Vec::new();
        second.read_to_end(&mut all).unwrap();
        drop(connect(address));
        all
    });
    assert_eq!(node.serve(vec![reader], |_, _| ())[0], b"second");
}

fn sends_of_a_turn_keep_their_order(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let address = node.address;
    let client: Client<'_, Vec<u8>> = Box::new(move || {
        let mut stream = connect(address);
        stream.write_all(b"go").unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    let mut expected = Vec::new();
    let all = node.serve(vec![client], |reactor, event| {
        let Event::Received { conn, .. } = event else {
            return;
        };
        for part in 0..200 {
            let bytes = pattern(part, 0, part * 37);
            expected.extend_from_slice(&bytes);
            reactor.send(conn, bytes);
        }
        assert_eq!(reactor.backlog(conn), expected.len());
        reactor.close(conn, CloseMode::Flush);
    });
    assert!(all[0] == expected);
}
