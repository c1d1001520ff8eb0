//! What makes the dispatch look closer at each command: somebody monitors, or clients are paused.
//!
//! Every shard knows whether any of the node's clients monitors, and until when which commands have to wait. Without either, a command pays one branch for
//! both. MONITOR's lines are gathered while commands are taken up and told with the turn's events; each shard tells of the commands of its own connections,
//! so the order of one connection's commands is kept.

use std::sync::Arc;

use tessera_io::{ConnId, Peer};
use tessera_shards::command::Spec;
use tessera_shards::command::spec::flag;
use tessera_shards::mesh::CallFn;
use tessera_shards::script::Called;

use crate::front::Front;

/// Which commands have to wait, and until when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pause {
    /// On the clock of `Front::now_ns`.
    pub(crate) until_ns: u64,
    /// Not only those that write.
    pub(crate) all: bool,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Attention {
    pause: Option<Pause>,
    /// How many clients of each shard monitor.
    monitors: Vec<u32>,
    /// Those of this shard.
    own: Vec<ConnId>,
    /// Lines to tell.
    lines: Vec<u8>,
}

impl Attention {
    /// Whether commands need a closer look.
    #[inline]
    pub(super) fn is_paid(&self) -> bool {
        self.pause.is_some() | !self.monitors.is_empty()
    }

    /// When the pause is over.
    pub(super) fn pause_ends_ns(&self) -> Option<u64> {
        self.pause.map(|pause| pause.until_ns)
    }
}

impl Front {
    /// Commands wait from now on; a pause that lasts longer or means more stays.
    pub(crate) fn pause(&mut self, pause: Pause) {
        let now = self.attention.pause.unwrap_or(pause);
        self.attention.pause = Some(Pause {
            until_ns: now.until_ns.max(pause.until_ns),
            all: now.all || pause.all,
        });
    }

    /// Nothing has to wait any more.
    pub(crate) fn end_pause(&mut self) {
        if self.attention.pause.take().is_none() {
            return;
        }
        for client in self.clients.iter_mut() {
            if std::mem::take(&mut client.is_postponed) {
                self.held.push(client.conn);
            }
        }
    }

    /// Ends a pause whose time is over.
    pub(super) fn look_at_pause(&mut self) {
        let over = self.attention.pause_ends_ns();
        if over.is_some_and(|until_ns| until_ns <= self.now_ns) {
            self.end_pause();
        }
    }

    /// Whether a command has to wait until a pause is over. Its client is asked again then.
    #[cold]
    pub(super) fn is_postponed(&mut self, conn: ConnId, spec: &Spec, args: &[&[u8]]) -> bool {
        let Some(pause) = self.attention.pause else {
            return false;
        };
        let Some(client) = self.clients.get_mut(conn) else {
            return false;
        };
        let flags = spec.resolve(args).flags;
        let mut writes = flags & (flag::WRITE | flag::MAY_REPLICATE) != 0;
        if spec.name == "exec"
            && let Some(transaction) = &client.transaction
        {
            let registry = &self.shared.registry;
            writes |= transaction.queued.iter().any(|queued| {
                let command = registry.get(queued.command);
                command.is_some_and(|it| it.spec.flags & (flag::WRITE | flag::MAY_REPLICATE) != 0)
            });
        }
        client.is_postponed = !client.is_monitor && (pause.all || writes);
        client.is_postponed
    }

    /// A client sees all commands from now on.
    pub(crate) fn monitor(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        if !std::mem::replace(&mut client.is_monitor, true) {
            self.attention.own.push(conn);
            self.tell_monitors(conn, 1);
        }
    }

    /// A client does not see commands any more.
    pub(crate) fn end_monitor(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        if std::mem::take(&mut client.is_monitor) {
            self.attention.own.retain(|other| *other != conn);
            self.tell_monitors(conn, -1);
        }
    }

    fn tell_monitors(&mut self, conn: ConnId, change: i32) {
        let (home, shards) = (self.id, self.shared.mesh.shards());
        let call: CallFn<Front> = Arc::new(move |front: &mut Front, _| {
            let monitors = &mut front.attention.monitors;
            monitors.resize(shards, 0);
            monitors[home] = monitors[home].saturating_add_signed(change);
            if monitors.iter().all(|count| *count == 0) {
                monitors.clear();
            }
            front.engine.shard.scripts.is_monitored = !monitors.is_empty();
        });
        (0..shards).for_each(|target| self.tell(conn, target, call.clone()));
    }

    /// Shows a command to those who monitor.
    #[cold]
    pub(super) fn show(&mut self, conn: ConnId, spec: &Spec, db: usize, args: &[&[u8]]) {
        if self.attention.monitors.is_empty() {
            return;
        }
        let resolved = spec.resolve(args);
        // `skip_monitor`, which scripts have, only says that Redis shows them elsewhere.
        if resolved.flags & flag::ADMIN != 0 {
            return;
        }
        let Some(client) = self.clients.get(conn) else {
            return;
        };
        let from = match &client.peer {
            Peer::Tcp { remote, .. } => {
                std::net::SocketAddr::new(remote.ip().to_canonical(), remote.port()).to_string()
            }
            Peer::Unix { path } => format!("unix:{path}"),
        };
        self.begin_line(db, &from);
        let lines = &mut self.attention.lines;
        let mut secret = usize::MAX;
        for (at, arg) in args.iter().enumerate() {
            let is_option = spec.name == "hello" && at > 1 && arg.eq_ignore_ascii_case(b"auth");
            lines.push(b' ');
            if at > 0 && spec.name == "auth" || at > secret && at <= secret.saturating_add(2) {
                lines.extend_from_slice(b"\"(redacted)\"");
            } else {
                quote(arg, lines);
            }
            if is_option && secret == usize::MAX {
                secret = at;
            }
        }
        lines.extend_from_slice(b"\r\n");
    }

    fn begin_line(&mut self, db: usize, from: &str) {
        let (s, us) = (self.unix_us / 1_000_000, self.unix_us % 1_000_000);
        let line = format!("+{s}.{us:06} [{db} {from}]");
        self.attention.lines.extend_from_slice(line.as_bytes());
    }

    /// Shows what a script has called.
    pub(super) fn show_called(&mut self, called: &Called) {
        if self.attention.monitors.is_empty() {
            return;
        }
        self.begin_line(called.db, "lua");
        let lines = &mut self.attention.lines;
        for arg in &called.args {
            lines.push(b' ');
            quote(arg, lines);
        }
        lines.extend_from_slice(b"\r\n");
    }

    /// Tells the lines since the last call to all who monitor.
    #[inline]
    pub(super) fn tell_lines(&mut self) {
        if !self.attention.lines.is_empty() {
            self.tell_all_lines();
        }
    }

    #[cold]
    fn tell_all_lines(&mut self) {
        let lines: Arc<[u8]> = std::mem::take(&mut self.attention.lines).into();
        for (target, count) in self.attention.monitors.clone().into_iter().enumerate() {
            if count == 0 {
                continue;
            }
            if target == self.id {
                self.hear_lines(&lines);
                continue;
            }
            let lines = Arc::clone(&lines);
            let call = move |front: &mut Front, _: &mut Vec<u8>| front.hear_lines(&lines);
            self.engine.tell(target, None, Arc::new(call));
        }
    }

    fn hear_lines(&mut self, lines: &[u8]) {
        for conn in self.attention.own.clone() {
            if let Some(client) = self.clients.get_mut(conn) {
                client.reply_now(lines);
            }
            self.mark_dirty(conn);
        }
    }

    /// The error for a client that monitors and asks for keys.
    pub(super) fn refuse_monitor(&mut self, conn: ConnId, number: u16) {
        self.refuse(
            conn,
            Some(number),
            b"ERR Replica can't interact with the keyspace",
        );
    }
}

/// A text as Redis quotes it in lines.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(*byte),
            other => out.extend_from_slice(format!("\\x{other:02x}").as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_as_redis_does() {
        let mut out = Vec::new();
        quote(b"a \"b\"\\\n\x00\xff", &mut out);
        assert_eq!(out, b"\"a \\\"b\\\"\\\\\\n\\x00\\xff\"");
    }
}
