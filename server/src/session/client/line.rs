//! The line of CLIENT LIST and CLIENT INFO, and the addresses in it.

use std::net::SocketAddr;

use tessera_core::resp::Proto;
use tessera_io::Peer;

use crate::front::{Client, Front, Kind, Mode};
use crate::session::client::tracking::redirect;

/// The client's end of the connection, as `CLIENT LIST` shows it and `CLIENT KILL` compares it.
pub(crate) fn address(peer: &Peer) -> String {
    match peer {
        Peer::Tcp { remote, .. } => tcp(remote),
        Peer::Unix { path } => format!("{path}:0"),
    }
}

/// Our end.
pub(super) fn local_address(peer: &Peer) -> String {
    match peer {
        Peer::Tcp { local, .. } => tcp(local),
        Peer::Unix { path } => format!("{path}:0"),
    }
}

fn tcp(address: &SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

fn flags(client: &Client) -> String {
    let tracks = |what: fn(&Mode) -> bool| client.tracking.as_deref().is_some_and(what);
    let set = [
        (client.is_monitor, 'O'),
        (client.listens.is_some(), 'P'),
        (client.transaction.is_some(), 'x'),
        (client.blocked.is_some(), 'b'),
        (tracks(|_| true), 't'),
        (tracks(|mode| mode.is_broken), 'R'),
        (tracks(|mode| mode.broadcasts), 'B'),
        (client.closing, 'c'),
        (matches!(client.peer, Peer::Unix { .. }), 'U'),
        (client.no_evict, 'e'),
        (client.no_touch, 'T'),
    ];
    let letters: String = set
        .iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, letter)| letter)
        .collect();
    if letters.is_empty() {
        "N".to_owned()
    } else {
        letters
    }
}

fn listens(client: &Client, kind: Kind) -> usize {
    let listens = client.listens.as_ref();
    listens.map_or(0, |listens| listens.of(kind).len())
}

/// The name of the last command, with its subcommand.
fn last_command(front: &Front, client: &Client) -> String {
    let Some((number, sub)) = client.last_command else {
        return "NULL".to_owned();
    };
    let Some(command) = front.shared.registry.get(number) else {
        return "NULL".to_owned();
    };
    match sub.and_then(|sub| command.spec.subcommands.get(usize::from(sub))) {
        Some(sub) => format!("{}|{}", command.spec.name, sub.name),
        None => command.spec.name.to_owned(),
    }
}

/// One line with its end: the fields of Redis 7.2.
pub(super) fn line(front: &Front, client: &Client) -> Vec<u8> {
    let now_ms = front.unix_us / 1000;
    let seconds_since = |then_ms: u64| now_ms.saturating_sub(then_ms) / 1000;
    let transaction = client.transaction.as_deref();
    let query_free = client.query.capacity() - client.query.len();
    let mut out = format!("id={} addr={} ", client.id, address(&client.peer)).into_bytes();
    out.extend(
        format!(
            "laddr={} fd={} name=",
            local_address(&client.peer),
            client.conn.index
        )
        .bytes(),
    );
    out.extend_from_slice(&client.name);
    out.extend(
        format!(
            " age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={} qbuf={} qbuf-free={query_free} argv-mem=0 \
             multi-mem={} rbs={} rbp={} obl={} oll={} omem={} tot-mem={} events=r cmd={} user=default redir={} resp={} lib-name=",
            seconds_since(client.created_ms),
            seconds_since(client.last_ms),
            flags(client),
            client.db,
            listens(client, Kind::Channel),
            listens(client, Kind::Pattern),
            listens(client, Kind::Sharded),
            transaction.map_or(-1, |transaction| transaction.queued.len() as i64),
            client.query_bytes(),
            transaction.map_or(0, |transaction| transaction.bytes),
            client.out.capacity(),
            client.out.len(),
            client.output_bytes() - client.long.as_ref().map_or(0, |long| long.bytes()),
            client.long.as_ref().map_or(0, |long| long.memory().1),
            client.long.as_ref().map_or(0, |long| long.memory().0),
            client.memory_bytes(),
            last_command(front, client),
            redirect(client.tracking.as_deref()),
            if client.proto == Proto::Resp3 { 3 } else { 2 },
        )
        .bytes(),
    );
    out.extend_from_slice(&client.lib_name);
    out.extend_from_slice(b" lib-ver=");
    out.extend_from_slice(&client.lib_ver);
    out.push(b'\n');
    out
}
