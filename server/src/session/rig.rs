//! For tests: fronts without a reactor, and one client on the first of them.

use std::sync::Arc;

use tessera_core::resp::{Chain, Reply, split_args};
use tessera_io::{ConnId, Peer};
use tessera_shards::command::Run;

use crate::config::Config;
use crate::front::{Client, Front, Look};
use crate::session::{Session, Then};
use crate::shared::Shared;

/// Two shards and their clients.
pub(crate) struct Rig {
    pub(crate) fronts: Vec<Front>,
    conn: ConnId,
}

/// The connection with this number.
pub(crate) fn conn(index: u32) -> ConnId {
    ConnId {
        index,
        generation: 0,
    }
}

impl Rig {
    /// With the default configuration.
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    /// With this configuration.
    pub(crate) fn with(config: Config) -> Self {
        Self::on(Shared::new(config, 2))
    }

    /// On this node.
    pub(crate) fn on(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let mut rig = Rig {
            fronts: (0..2)
                .map(|id| Front::new(id, Arc::clone(&shared), 1, 2))
                .collect(),
            conn: conn(0),
        };
        for front in &mut rig.fronts {
            front.unix_us = 1_700_000_000_123_456;
        }
        rig.connect(0, conn(0), "127.0.0.1:50000");
        rig
    }

    /// Adds a client to a shard.
    pub(crate) fn connect(&mut self, shard: usize, conn: ConnId, remote: &str) {
        let front = &mut self.fronts[shard];
        let id = front
            .shared
            .next_client_id
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let peer = Peer::Tcp {
            remote: remote.parse().unwrap(),
            local: "127.0.0.1:6379".parse().unwrap(),
        };
        front
            .clients
            .insert(Client::new(id, conn, peer, front.unix_us / 1000, true));
    }

    /// The client that sends.
    pub(crate) fn client(&mut self) -> &mut Client {
        self.fronts[0].clients.get_mut(self.conn).unwrap()
    }

    /// Sends a line and returns the reply, ends of lines as `|`, with what comes after in angle brackets.
    pub(crate) fn send(&mut self, line: &str) -> String {
        String::from_utf8_lossy(&self.send_raw(line)).replace("\r\n", "|")
    }

    /// Sends a line and returns the bytes of the reply.
    pub(crate) fn send_raw(&mut self, line: &str) -> Vec<u8> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        split_args(line.as_bytes(), &mut bytes, &mut ends).unwrap();
        let args: Vec<&[u8]> = ends
            .iter()
            .map(|&(start, end)| &bytes[start..end])
            .collect();
        let shared = Arc::clone(&self.fronts[0].shared);
        let command = shared
            .registry
            .find(args[0])
            .expect("a command of the tables");
        let proto = self.client().proto;
        self.client().last_command = Some((command.number, None));
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, proto);
        if !command.spec.accepts(args.len()) {
            reply.error(format!(
                "ERR wrong number of arguments for '{}' command",
                command.spec.name
            ));
            return out;
        }
        let Run::Session(run) = command.run else {
            panic!("{line} is no session command")
        };
        let mut session = Session {
            front: &mut self.fronts[0],
            conn: self.conn,
            reply,
            then: Then::Reply,
        };
        run(&mut session, &args);
        match session.then {
            Then::Reply | Then::ReplyAnyway => {}
            Then::Close => out.extend(b"<close>"),
            Then::Shutdown => out.extend(b"<shutdown>"),
            Then::Exec(_) => out.extend(b"<exec>"),
            Then::Wait(..) | Then::WaitForDisk(..) => out.extend(b"<wait>"),
            Then::AskAll(call, merge) | Then::AskAllFirst(call, merge) => {
                let mut said = Vec::new();
                for front in &mut self.fronts {
                    let mut part = Vec::new();
                    call(front, &mut part);
                    match front.look.take() {
                        None => {}
                        Some(Look::Front(mut step)) => while !step(front, &mut part) {},
                        Some(Look::Keys(_, begin)) => {
                            let mut task = begin(&mut front.engine.shard);
                            let mut chain = Chain::default();
                            while !task.step(&mut front.engine.shard, &mut chain) {}
                            part = chain.into_bytes();
                        }
                    }
                    said.push(part);
                }
                merge(said, &mut Reply::new(&mut out, proto));
            }
        }
        out
    }

    /// Sends a line and compares the reply.
    pub(crate) fn says(&mut self, line: &str, expected: &str) {
        assert_eq!(self.send(line), expected, "reply to {line}");
    }
}
