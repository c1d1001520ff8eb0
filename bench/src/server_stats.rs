//! What the server says about itself (INFO) and what /proc says about it: commands processed, CPU time, memory.
//! Two snapshots around a phase make the server's side of a row.
//!
//! The snapshot before a phase asks INFO first and /proc last, the one after it the other way round, so the
//! CPU time holds the phase and nothing of the asking.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::{Control, bulk_body};
use crate::error::BenchError;
use crate::process::{Process, memory_available_bytes};
use crate::target::Target;

const SECOND_US: f64 = 1e6;

/// The fields of an INFO reply.
#[derive(Clone, Debug, Default)]
pub struct Info {
    fields: BTreeMap<String, String>,
}

impl Info {
    /// Reads the lines `name:value`.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let fields = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Self { fields }
    }

    /// A field as it stands.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// A field that is a number.
    #[must_use]
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// CPU time of the server's own count, in microseconds.
    fn cpu_us(&self) -> Option<f64> {
        let user: f64 = self.number("used_cpu_user")?;
        let system: f64 = self.number("used_cpu_sys")?;
        Some((user + system) * SECOND_US)
    }

    /// The longest turn of the server's loop, by whatever name a server gives it: a field, or a `name=value`
    /// within one, with `turn` and `max` in its name and its unit.
    fn longest_turn_us(&self) -> Option<f64> {
        let inner = self.fields.values().flat_map(|value| value.split(','));
        let pairs = inner.filter_map(|pair| pair.split_once('='));
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        fields
            .chain(pairs)
            .filter(|(name, _)| name.contains("turn") && name.contains("max"))
            .filter_map(|(name, value)| microseconds(name, value))
            .reduce(f64::max)
    }

    /// Name and version of the server.
    fn version(&self) -> Option<String> {
        // Those that speak as Redis state a redis_version for clients' sake and their own beside it.
        let own = [
            "tessera_version",
            "valkey_version",
            "dragonfly_version",
            "kevy_version",
        ]
        .into_iter()
        .find_map(|name| Some((name, self.text(name)?)));
        let (name, version) =
            own.or_else(|| Some(("redis_version", self.text("redis_version")?)))?;
        Some(format!("{} {version}", name.trim_end_matches("_version")))
    }
}

/// A duration whose unit is in its name, in microseconds.
fn microseconds(name: &str, value: &str) -> Option<f64> {
    let units = [("_us", 1.0), ("_ms", 1e3), ("_ns", 1e-3)];
    let (_, scale) = units.into_iter().find(|(unit, _)| name.contains(unit))?;
    Some(value.parse::<f64>().ok()? * scale)
}

/// The server at one moment. What it does not offer is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshot {
    commands: Option<u64>,
    cpu_proc_us: Option<u64>,
    cpu_info_us: Option<f64>,
    rss_bytes: Option<u64>,
    longest_turn_us: Option<f64>,
}

/// The server's side of a phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerReport {
    /// Name and version.
    pub version: Option<String>,
    /// Process number, when it runs on this machine.
    pub pid: Option<u32>,
    /// CPUs it may run on.
    pub cpus_allowed: Option<String>,
    /// Commands it counted during the phase, our INFO taken off.
    pub commands: Option<u64>,
    /// CPU time it used during the phase.
    pub cpu_us: Option<f64>,
    /// Where that figure comes from: `proc` (utime + stime) or `info` (used_cpu_user + used_cpu_sys).
    pub cpu_source: Option<String>,
    /// CPU time per command of the phase.
    pub cpu_us_per_op: Option<f64>,
    /// Resident memory before the phase.
    pub rss_bytes_before: Option<u64>,
    /// Resident memory after it.
    pub rss_bytes: Option<u64>,
    /// Longest turn of its loop since it started, when INFO offers it.
    pub longest_turn_us: Option<f64>,
}

/// A connection for questions, and the server's process when it is on this machine.
#[derive(Debug)]
pub struct Probe {
    control: Control,
    process: Option<Process>,
    version: Option<String>,
}

impl Probe {
    /// Connects and finds the server's process: `pid` when given, else the one that INFO names if the
    /// server is on this machine.
    ///
    /// # Errors
    /// When the server is not there, or a given process is not.
    pub fn connect(target: &Target, pid: Option<u32>) -> Result<Self, BenchError> {
        let mut control = target.connect()?;
        // A server that wants a password says so here, and not once per request.
        control.call(&["PING"])?;
        let info = ask(&mut control).unwrap_or_default();
        let process = match pid {
            Some(pid) => Some(Process::find(pid).ok_or_else(|| {
                BenchError::Usage(format!("--server-pid {pid}: there is no such process"))
            })?),
            None if target.address.is_local() => info.number("process_id").and_then(Process::find),
            None => None,
        };
        Ok(Self {
            control,
            process,
            version: info.version(),
        })
    }

    /// The server before a phase.
    pub fn before(&mut self) -> Snapshot {
        let info = ask(&mut self.control).unwrap_or_default();
        self.snapshot(&info, None)
    }

    /// The server after a phase that began with `before` and had `replies` replies.
    pub fn after(&mut self, before: &Snapshot, replies: u64) -> ServerReport {
        let cpu_proc_us = self.process.and_then(|process| process.cpu_us());
        let info = ask(&mut self.control).unwrap_or_default();
        let after = self.snapshot(&info, cpu_proc_us);
        let from_proc = after
            .cpu_proc_us
            .zip(before.cpu_proc_us)
            .map(|(a, b)| (a - b.min(a)) as f64);
        let from_info = after
            .cpu_info_us
            .zip(before.cpu_info_us)
            .map(|(a, b)| a - b);
        let cpu_us = from_proc.or(from_info);
        let source = if from_proc.is_some() { "proc" } else { "info" };
        ServerReport {
            version: self.version.clone(),
            pid: self.process.map(|process| process.pid()),
            cpus_allowed: self.process.and_then(|process| process.cpus_allowed()),
            // The INFO before the phase is counted only after it was answered.
            commands: after
                .commands
                .zip(before.commands)
                .map(|(a, b)| a.saturating_sub(b + 1)),
            cpu_us,
            cpu_source: cpu_us.map(|_| source.to_owned()),
            cpu_us_per_op: cpu_us
                .filter(|_| replies > 0)
                .map(|cpu| cpu / replies as f64),
            rss_bytes_before: before.rss_bytes,
            rss_bytes: after.rss_bytes,
            longest_turn_us: after.longest_turn_us,
        }
    }

    /// How many more bytes the server may use: what its maxmemory leaves, or the machine if it is this one. `None` when
    /// there is no limit that could be known.
    pub fn memory_room_bytes(&mut self) -> Option<u64> {
        let info = ask(&mut self.control)?;
        let limit: u64 = info.number("maxmemory").unwrap_or(0);
        let used: u64 = info.number("used_memory").unwrap_or(0);
        let allowed = (limit > 0).then(|| limit.saturating_sub(used));
        let machine = self.process.and_then(|_| memory_available_bytes());
        [allowed, machine].into_iter().flatten().min()
    }

    /// Resident memory of the server.
    pub fn rss_bytes(&mut self) -> Option<u64> {
        match self.process {
            Some(process) => process.rss_bytes(),
            None => ask(&mut self.control)?.number("used_memory_rss"),
        }
    }

    fn snapshot(&self, info: &Info, cpu_proc_us: Option<u64>) -> Snapshot {
        let process = self.process;
        Snapshot {
            commands: info.number("total_commands_processed"),
            cpu_info_us: info.cpu_us(),
            longest_turn_us: info.longest_turn_us(),
            rss_bytes: match process {
                Some(process) => process.rss_bytes(),
                None => info.number("used_memory_rss"),
            },
            cpu_proc_us: cpu_proc_us.or_else(|| process.and_then(|process| process.cpu_us())),
        }
    }
}

/// INFO; `None` when the server has died or does not know it.
fn ask(control: &mut Control) -> Option<Info> {
    // `everything` holds what a server leaves out by default; those that do not know the word answer without.
    let reply = control
        .call(&["INFO", "everything"])
        .or_else(|_| control.call(&["INFO"]))
        .ok()?;
    Some(Info::parse(bulk_body(&reply)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"# Server\r\nredis_version:7.0.15\r\nprocess_id:42\r\n\r\n# CPU\r\n\
        used_cpu_sys:1.5\r\nused_cpu_user:0.25\r\n# Stats\r\ntotal_commands_processed:12\r\n";

    #[test]
    fn info_is_read_whole() {
        let info = Info::parse(TEXT);
        assert_eq!(info.number("process_id"), Some(42u32));
        assert_eq!(info.number("total_commands_processed"), Some(12u64));
        assert_eq!(info.cpu_us(), Some(1_750_000.0));
        assert_eq!(info.version().as_deref(), Some("redis 7.0.15"));
        assert_eq!(info.longest_turn_us(), None);
        assert_eq!(info.text("nothing"), None);
    }

    #[test]
    fn a_server_that_poses_as_redis_is_called_by_its_own_name() {
        let info = Info::parse(b"redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n");
        assert_eq!(info.version().as_deref(), Some("valkey 8.1.0"));
    }

    #[test]
    fn the_longest_turn_is_found_under_its_unit() {
        let info = Info::parse(
            b"shard0:keys=1,turn_us_max=120\r\nshard1:turns=9,turn_us_max=340\r\nreturns_max_us:x\r\n",
        );
        assert_eq!(info.longest_turn_us(), Some(340.0));
        assert_eq!(
            Info::parse(b"turn_ms_max:2\r\n").longest_turn_us(),
            Some(2000.0)
        );
    }
}
