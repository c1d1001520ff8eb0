//! The judge of rest: after an epoch nothing is left over anywhere.
//!
//! Every command is answered or its connection gone; the shards sleep without locks, messages or unsent bytes; the node
//! counts the connections that there are.

use std::sync::atomic::Ordering;

use tessera_io::sim::World;

use crate::simulator::client::Client;
use crate::simulator::history::History;
use crate::simulator::line::Line;
use crate::simulator::node::Node;

/// What is wrong, if anything.
#[must_use]
pub fn judge(
    world: &World,
    node: &Node,
    clients: &[Client],
    listening: &[usize],
    history: &History,
) -> Option<String> {
    let unanswered: Vec<String> = clients
        .iter()
        .flat_map(Client::lines)
        .flat_map(Line::waiting)
        .map(|operation| history.line(*operation))
        .collect();
    if !unanswered.is_empty() {
        let situation = node.situation(world);
        let list = unanswered.join("\n  ");
        return Some(format!("never answered:\n  {list}\n{situation}"));
    }
    if let Some(client) = clients.iter().position(|client| !client.is_done()) {
        let situation = node.situation(world);
        return Some(format!("client{client} never came to its end\n{situation}"));
    }
    let mut lines = clients.iter().flat_map(Client::lines);
    if let Some(line) = lines.find(|line| line.torn_bytes() > 0) {
        return Some(format!("conn{} holds a part of a reply", line.connection()));
    }
    if !node.is_at_rest(world) {
        return Some(format!("not at rest:\n{}", node.situation(world)));
    }
    let mut connected = 0;
    for (shard, seat) in node.seats.iter().enumerate() {
        let front = &seat.driver.front;
        let lines = clients.iter().flat_map(Client::lines);
        let expected = lines.map(Line::shard).chain(listening.iter().copied());
        let expected = expected.filter(|at| *at == shard);
        let (expected, found) = (expected.count(), front.clients.len());
        let waiters = front.engine.waiters();
        if waiters > 0 {
            return Some(format!("shard{shard} knows {waiters} commands that wait"));
        }
        if expected != found {
            return Some(format!("shard{shard} has {found} clients, not {expected}"));
        }
        connected += found;
        for client in front.clients.iter() {
            if client.output_bytes() + client.query_bytes() > 0 {
                let id = client.id;
                return Some(format!("shard{shard} keeps bytes of connection {id}"));
            }
        }
    }
    let counted = node.shared.connected.load(Ordering::Relaxed);
    if counted != connected {
        return Some(format!(
            "the node counts {counted} connections, not {connected}"
        ));
    }
    let names = world.stats().unknown_names;
    (names > 0).then(|| format!("{names} calls named connections that never were"))
}
