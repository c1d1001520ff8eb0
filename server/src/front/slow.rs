//! What took long on this shard, for SLOWLOG and LATENCY.
//!
//! A command is noted where it ran; where its client is, its address and name are added. The note travels behind the reply, so whoever has the reply
//! and asks for the log finds it there.

use std::sync::Arc;

use tessera_io::ConnId;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::flag;
use tessera_shards::mesh::{Origin, Route};
use tessera_shards::shard::Slow;

use crate::config::Config;
use crate::front::Front;
use crate::session::address;
use crate::slow_log::Entry;
use crate::spikes::{COMMAND, EVICTION_CYCLE, EXPIRE_CYCLE, FAST_COMMAND, Sample};

/// Directives whose values nobody is shown.
const SECRETS: &[&[u8]] = &[
    b"requirepass",
    b"masterauth",
    b"masteruser",
    b"tls-key-file-pass",
    b"tls-client-key-file-pass",
];

impl Front {
    /// What counts as long follows the configuration.
    pub(crate) fn adopt_slowness(&mut self) {
        let config = &self.config;
        let slowlog_ns = config.slowlog_from_us.map(|us| us.saturating_mul(1000));
        let spike_ns = spike_from_ns(config);
        let from_ns = [slowlog_ns, spike_ns].into_iter().flatten().min();
        self.engine.watch_slow(from_ns);
    }

    /// A command that is not about keys has run for a client of this shard.
    #[inline]
    pub(super) fn note_slow(&mut self, conn: ConnId, command: u16, args: &[&[u8]], ns: u64) {
        let origin = Origin {
            shard: self.id,
            route: Route::Client(conn, 0),
        };
        self.engine.shard.slow.note(command, origin, args, ns);
    }

    /// DEBUG SLEEP holds the shards at the end of the turn; it counts as if it had been long already.
    pub(crate) fn note_sleep(&mut self, conn: ConnId, args: &[&[u8]], us: u64) {
        if let Some(command) = self.shared.registry.find(args[0]) {
            self.note_slow(conn, command.number, args, us.saturating_mul(1000));
        }
    }

    /// Hands on what was noted since the last call.
    #[inline]
    pub(crate) fn tell_slow(&mut self) {
        if self.engine.shard.slow.has_notes() {
            self.tell_all_slow();
        }
    }

    #[cold]
    fn tell_all_slow(&mut self) {
        let ran_on = self.id;
        for mut slow in self.engine.shard.slow.take() {
            let Some(spec) = self.shared.registry.get(slow.command).map(|it| it.spec) else {
                continue;
            };
            let event = if spec.has(flag::FAST) {
                FAST_COMMAND
            } else {
                COMMAND
            };
            self.add_spike(event, slow.ns);
            let is_long = self
                .config
                .slowlog_from_us
                .is_some_and(|us| slow.ns / 1000 >= us);
            let args: Vec<&[u8]> = slow.args.iter().map(|arg| &**arg).collect();
            // SLOWLOG sees to itself.
            let skips = spec.resolve(&args).has(flag::SKIP_SLOWLOG) || spec.name == "slowlog";
            if !is_long || skips {
                continue;
            }
            redact(&spec, &mut slow.args);
            let home = slow.origin.shard;
            if home == self.id {
                self.log_slow(&slow, ran_on);
            } else {
                let call = move |front: &mut Front, _: &mut Vec<u8>| front.log_slow(&slow, ran_on);
                self.engine.tell(home, None, Arc::new(call));
            }
        }
    }

    /// A command of a client of this shard goes into the log.
    fn log_slow(&mut self, slow: &Slow, ran_on: usize) {
        if let Some(conn) = self.engine.client_of(slow.origin.route) {
            let entry = self.entry_of(conn, &slow.args, ran_on, slow.ns / 1000);
            let len_max = self.config.slowlog_len_max;
            self.shared.slow_log.push(entry, len_max);
        }
    }

    /// The entry about a command of this client.
    pub(crate) fn entry_of<A: AsRef<[u8]>>(
        &self,
        conn: ConnId,
        args: &[A],
        ran_on: usize,
        spent_us: u64,
    ) -> Entry {
        let client = self.clients.get(conn);
        let mut name = client.map_or_else(Vec::new, |client| client.name.to_vec());
        if self.shared.mesh.shards() > 1 {
            if !name.is_empty() {
                name.push(b' ');
            }
            name.extend_from_slice(format!("shard={ran_on}").as_bytes());
        }
        Entry {
            id: 0,
            unix_s: self.unix_us / 1_000_000,
            spent_us,
            args: args.iter().map(|arg| arg.as_ref().into()).collect(),
            address: client.map_or_else(String::new, |client| address(&client.peer)),
            name,
        }
    }

    /// A slice of the search for keys whose time has come has ended.
    pub(super) fn searched_expired(&mut self, ns: u64) {
        self.add_spike(EXPIRE_CYCLE, ns);
    }

    /// A slice of eviction has ended.
    pub(super) fn has_evicted(&mut self, ns: u64) {
        self.add_spike(EVICTION_CYCLE, ns);
    }

    fn add_spike(&mut self, event: &'static str, ns: u64) {
        if spike_from_ns(&self.config).is_some_and(|from_ns| ns >= from_ns) {
            let sample = Sample {
                unix_s: self.unix_us / 1_000_000,
                ms: ns / 1_000_000,
            };
            self.shared.spikes.add(event, sample);
        }
    }
}

/// How long an event of LATENCY is.
fn spike_from_ns(config: &Config) -> Option<u64> {
    let ms = config.spike_from_ms;
    (ms > 0).then(|| ms.saturating_mul(1_000_000))
}

/// Hides what only the client may know.
fn redact(spec: &Spec, args: &mut [Box<[u8]>]) {
    let is =
        |arg: Option<&Box<[u8]>>, word: &[u8]| arg.is_some_and(|it| it.eq_ignore_ascii_case(word));
    let secrets: Vec<usize> = match spec.name {
        "auth" => (1..args.len()).collect(),
        "hello" => {
            let option = (2..args.len()).find(|at| is(args.get(*at), b"auth"));
            option.map_or_else(Vec::new, |at| vec![at + 1, at + 2])
        }
        "config" if is(args.get(1), b"set") => (2..args.len())
            .step_by(2)
            .filter(|at| SECRETS.iter().any(|word| is(args.get(*at), word)))
            .map(|at| at + 1)
            .collect(),
        "acl" if is(args.get(1), b"setuser") => (2..args.len()).collect(),
        _ => return,
    };
    for at in secrets {
        if let Some(arg) = args.get_mut(at) {
            *arg = b"(redacted)".as_slice().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let redacted = |name: &'static str, line: &str| {
            let spec = Spec { name, ..Spec::NONE };
            let mut args: Vec<Box<[u8]>> = line.split(' ').map(|it| it.as_bytes().into()).collect();
            redact(&spec, &mut args);
            let args: Vec<_> = args.iter().map(|it| String::from_utf8_lossy(it)).collect();
            args.join(" ")
        };
        for (name, line, shown) in [
            ("auth", "AUTH u p", "AUTH (redacted) (redacted)"),
            (
                "hello",
                "HELLO 3 auth u p SETNAME n",
                "HELLO 3 auth (redacted) (redacted) SETNAME n",
            ),
            ("hello", "HELLO auth", "HELLO auth"),
            (
                "config",
                "CONFIG set hz 10 RequirePass secret",
                "CONFIG set hz 10 RequirePass (redacted)",
            ),
            ("config", "CONFIG get requirepass", "CONFIG get requirepass"),
            (
                "acl",
                "ACL setuser u >p",
                "ACL setuser (redacted) (redacted)",
            ),
            ("get", "GET auth", "GET auth"),
        ] {
            assert_eq!(redacted(name, line), shown);
        }
    }
}
