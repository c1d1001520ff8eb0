//! Listeners: several shards, the Unix socket, the end of listening.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use tessera_io::{BackendChoice, Env, Event, Listen, Peer, Wait};

use crate::harness::{Client, Node, anywhere, connect, echo, group, on_every_backend};

on_every_backend!(
    spreads_clients_over_the_shards,
    serves_the_unix_socket_from_every_shard,
    stops_listening_and_keeps_serving,
    leaves_nothing_behind,
);

fn spreads_clients_over_the_shards(choice: BackendChoice) {
    const CLIENTS: usize = 200;
    let group = group(choice, 2, &anywhere(), |_| ()).unwrap();
    let address = group.addresses[0];
    let mut reactors: Vec<_> = group
        .seeds
        .into_iter()
        .map(|s| s.build().unwrap())
        .collect();
    let streams: Vec<_> = (0..CLIENTS).map(|_| connect(address)).collect();
    let mut accepted = [0, 0];
    while accepted[0] + accepted[1] < CLIENTS {
        for (reactor, count) in reactors.iter_mut().zip(&mut accepted) {
            let mut events = Vec::new();
            reactor.poll(Wait::Never, &mut events).unwrap();
            *count += events.len();
        }
    }
    assert!(
        accepted[0] > CLIENTS / 5 && accepted[1] > CLIENTS / 5,
        "{accepted:?}"
    );
    drop(streams);
}

/// The socket is one for all shards; here each of them in turn is the only one that lives.
fn serves_the_unix_socket_from_every_shard(choice: BackendChoice) {
    let name = format!("tessera-unix-{choice:?}-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let listen = Listen {
        unix: Some((path.clone(), 0o600)),
        ..Listen::default()
    };
    for shard in 0..2 {
        let mut seeds = group(choice, 2, &listen, |_| ()).unwrap().seeds;
        let reactor = seeds.remove(shard).build().unwrap();
        let mut node = Node {
            reactor,
            address: anywhere().tcp[0],
        };
        let mut peers = Vec::new();
        let client: Client<'_, Vec<u8>> = Box::new(|| {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.write_all(b"hello").unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut back = Vec::new();
            stream.read_to_end(&mut back).unwrap();
            back
        });
        let back = node.serve(vec![client], |reactor, event| match event {
            Event::Accepted { peer, .. } => peers.push(peer),
            other => echo(reactor, other),
        });
        assert_eq!(back, [b"hello"]);
        assert_eq!(
            peers,
            [Peer::Unix {
                path: path.to_str().unwrap().to_owned()
            }]
        );
        drop((node, seeds));
        assert!(!path.exists(), "the file goes with the last shard");
    }
}

fn stops_listening_and_keeps_serving(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let address = node.address;
    let mut stream = node.connect();
    node.until(|_, event| matches!(event, Event::Accepted { .. }).then_some(()));
    node.reactor.stop_listening();
    node.reactor.stop_listening();
    node.reactor.poll(Wait::Never, &mut Vec::new()).unwrap();
    assert!(TcpStream::connect(address).is_err());
    let client: Client<'_, ()> =
        Box::new(move || crate::harness::echo_once(&mut stream, b"still there?"));
    node.serve(vec![client], echo);
}

/// Dropping a reactor frees its port and ends its connections, at once.
fn leaves_nothing_behind(choice: BackendChoice) {
    let mut address = None;
    for _ in 0..20 {
        let listen = Listen {
            tcp: vec![address.unwrap_or(anywhere().tcp[0])],
            ..anywhere()
        };
        let mut group = group(choice, 1, &listen, |_| ()).unwrap();
        let mut reactor = group.seeds.remove(0).build().unwrap();
        let mut stream = connect(group.addresses[0]);
        let mut events = Vec::new();
        let mut names = HashMap::new();
        while names.is_empty() {
            reactor.poll(Wait::Forever, &mut events).unwrap();
            for event in events.drain(..) {
                if let Event::Accepted { conn, peer } = event {
                    names.insert(conn, peer);
                }
            }
        }
        address = Some(group.addresses[0]);
        drop(reactor);
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
}
