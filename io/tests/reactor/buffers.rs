//! Receive buffers that are scarce, held on to, or outlive their reactor.

use std::io::{Read, Write};

use tessera_io::{BackendChoice, Env, Event};

use crate::harness::{Client, Node, connect, echo, on_every_backend, pattern};

on_every_backend!(
    shares_two_buffers_among_many,
    waits_for_a_buffer_to_return,
    a_chunk_outlives_its_reactor,
);

fn shares_two_buffers_among_many(choice: BackendChoice) {
    const CLIENTS: usize = 100;
    const BYTES: usize = 30_000;
    let mut node = Node::adjusted(choice, |options| {
        options.buffer_count = 2;
        options.buffer_bytes = 1024;
    });
    let address = node.address;
    let client: Client<'_, ()> = Box::new(move || {
        let mut streams: Vec<_> = (0..CLIENTS).map(|_| connect(address)).collect();
        for (seed, stream) in streams.iter_mut().enumerate() {
            stream.write_all(&pattern(seed, 0, BYTES)).unwrap();
        }
        for (seed, stream) in streams.iter_mut().enumerate() {
            let mut back = vec![0; BYTES];
            stream.read_exact(&mut back).unwrap();
            assert!(back == pattern(seed, 0, BYTES));
        }
    });
    node.serve(vec![client], echo);
}

/// A caller that keeps every buffer gets nothing more, and everything once it lets go.
fn waits_for_a_buffer_to_return(choice: BackendChoice) {
    let mut node = Node::adjusted(choice, |options| {
        options.buffer_count = 4;
        options.buffer_bytes = 100;
    });
    let mut client = node.connect();
    client.write_all(&pattern(0, 0, 1_000)).unwrap();
    let mut held = Vec::new();
    while held.len() < 4 {
        for event in node.turn() {
            if let Event::Received { chunk, .. } = event {
                held.push(chunk);
            }
        }
    }
    let mut events = Vec::new();
    for _ in 0..50 {
        node.reactor
            .poll(tessera_io::Wait::Never, &mut events)
            .unwrap();
    }
    assert!(events.is_empty(), "{events:?}");
    let mut bytes: Vec<u8> = held.drain(..).flat_map(|chunk| chunk.to_vec()).collect();
    while bytes.len() < 1_000 {
        for event in node.turn() {
            match event {
                Event::Received { chunk, .. } => bytes.extend_from_slice(&chunk),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(bytes, pattern(0, 0, 1_000));
}

fn a_chunk_outlives_its_reactor(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let mut client = node.connect();
    client.write_all(b"still here").unwrap();
    let chunk = node.until(|_, event| match event {
        Event::Received { chunk, .. } => Some(chunk),
        _ => None,
    });
    drop(node);
    assert_eq!(&*chunk, b"still here");
}
