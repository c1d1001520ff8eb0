//! Something that happens to a server while a load runs: made ready before, started in the first quarter of the run,
//! undone afterwards.

use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::burst::{Burst, connect_many};
use crate::control::{Control, bulk_body};
use crate::error::BenchError;
use crate::server_stats::Info;
use crate::target::Target;

/// How often the server is asked whether it is done.
const POLL: Duration = Duration::from_millis(20);
/// A server that has not finished by then is left to itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between the last deadline given and the first one reached.
const STORM_LEAD_MS: i64 = 1500;
const EVICTED_VALUE_BYTES: usize = 1024;
const SCAN_END: &[u8] = b"0";

/// What happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Nothing, for comparison.
    Nothing,
    /// One command, until its reply has come.
    Call(String),
    /// A command that starts something, until a field of INFO is 0 again.
    Background {
        /// The command.
        command: String,
        /// The field.
        while_true: &'static str,
    },
    /// The log is switched on, and rewritten.
    RewriteLog,
    /// A whole SCAN.
    Scan {
        /// Its COUNT.
        count: u32,
    },
    /// Many keys reach their expiry at one moment.
    ExpiryStorm {
        /// How many: `key:0` and so on.
        keys: u64,
    },
    /// Writes of new keys at the memory limit.
    Eviction {
        /// How many.
        keys: u64,
    },
    /// Connections that arrive at once and stay.
    Connections {
        /// How many.
        count: usize,
    },
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// How long it took.
    pub took: Duration,
    /// What is to be said about it besides.
    pub note: Option<String>,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Call(command) | Self::Background { command, .. } => f.write_str(command),
            Self::RewriteLog => f.write_str("BGREWRITEAOF"),
            Self::Scan { count } => write!(f, "SCAN, COUNT {count}"),
            Self::ExpiryStorm { keys } => write!(f, "{keys} keys expire"),
            Self::Eviction { keys } => write!(f, "{keys} writes at the memory limit"),
            Self::Connections { count } => write!(f, "{count} connections arrive"),
        }
    }
}

impl Action {
    /// The command that it cannot do without.
    #[must_use]
    pub fn verb(&self) -> Option<&str> {
        match self {
            Self::Nothing | Self::Connections { .. } => None,
            Self::Call(command) | Self::Background { command, .. } => command.split(' ').next(),
            Self::RewriteLog => Some("BGREWRITEAOF"),
            Self::Scan { .. } => Some("SCAN"),
            Self::ExpiryStorm { .. } => Some("PEXPIREAT"),
            Self::Eviction { .. } => Some("SET"),
        }
    }
}

/// An action on a server: its connection and what it has to put back.
#[derive(Debug)]
pub struct Disturber<'a> {
    action: &'a Action,
    target: &'a Target,
    control: Control,
    /// Directives and their values before.
    restore: Vec<(String, String)>,
    /// When the storm breaks, by the server's clock in milliseconds.
    deadline_ms: i64,
    expired_before: u64,
    expiring: u64,
}

impl<'a> Disturber<'a> {
    /// Makes ready.
    ///
    /// # Errors
    /// When the server refuses what the action needs.
    pub fn ready(action: &'a Action, target: &'a Target) -> Result<Self, BenchError> {
        let mut disturber = Self {
            action,
            target,
            control: target.connect()?,
            restore: Vec::new(),
            deadline_ms: 0,
            expired_before: 0,
            expiring: 0,
        };
        match action {
            Action::RewriteLog => disturber.configure("appendonly", "yes")?,
            Action::Eviction { .. } => {
                let used: u64 = disturber.info_number("used_memory")?;
                disturber.configure("maxmemory-policy", "allkeys-lru")?;
                disturber.configure("maxmemory", &(used + (1 << 20)).to_string())?;
            }
            Action::ExpiryStorm { keys } => disturber.set_deadlines(*keys)?,
            _ => {}
        }
        Ok(disturber)
    }

    /// How long the run must be at least, so that the action lies within it.
    pub fn lead(&mut self) -> Result<Duration, BenchError> {
        if self.deadline_ms == 0 {
            return Ok(Duration::ZERO);
        }
        let left = self.deadline_ms - self.server_ms()?;
        Ok(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    /// Does it.
    ///
    /// # Errors
    /// When the server refuses or dies.
    pub fn act(&mut self) -> Result<Outcome, BenchError> {
        let started = Instant::now();
        let note = match self.action {
            Action::Nothing => return Ok(Outcome::default()),
            Action::Call(line) => {
                self.call_line(line)?;
                None
            }
            Action::Background {
                command,
                while_true,
            } => {
                self.call_line(command)?;
                self.wait_for(while_true, |value| value == 0)?
            }
            Action::RewriteLog => {
                // Switching the log on starts a rewrite by itself on some servers.
                self.wait_for("aof_rewrite_in_progress", |value| value == 0)?;
                self.call_line("BGREWRITEAOF")?;
                self.wait_for("aof_rewrite_in_progress", |value| value == 0)?
            }
            Action::Scan { count } => Some(self.scan(*count)?),
            Action::ExpiryStorm { .. } => {
                sleep(self.lead()?);
                let started = Instant::now();
                let wanted = self.expired_before + self.expiring;
                let note = self.wait_for("expired_keys", |value| value >= wanted)?;
                let took = started.elapsed();
                return Ok(Outcome { took, note });
            }
            Action::Eviction { keys } => {
                let before: u64 = self.info_number("evicted_keys")?;
                let value = "x".repeat(EVICTED_VALUE_BYTES);
                Burst::new(&mut self.control).run(*keys, |number| {
                    vec!["SET".into(), format!("new:{number}"), value.clone()]
                })?;
                let evicted = self.info_number::<u64>("evicted_keys")? - before;
                Some(format!("{evicted} keys evicted"))
            }
            Action::Connections { count } => Some(connect_many(self.target, *count)?),
        };
        let took = started.elapsed();
        Ok(Outcome { took, note })
    }

    /// Puts back what was changed. A server that has died needs nothing.
    pub fn undo(mut self) {
        for (name, value) in std::mem::take(&mut self.restore).iter().rev() {
            let _ = self.control.call(&["CONFIG", "SET", name, value]);
        }
    }

    fn call_line(&mut self, line: &str) -> Result<(), BenchError> {
        let words: Vec<&str> = line.split(' ').collect();
        self.control.call_and_skip(&words)
    }

    fn configure(&mut self, name: &str, value: &str) -> Result<(), BenchError> {
        let before = self.control.strings(&["CONFIG", "GET", name])?;
        if let [_, old] = before.as_slice() {
            self.restore.push((name.to_owned(), old.clone()));
        }
        self.control.call(&["CONFIG", "SET", name, value]).map(drop)
    }

    fn info_number<T: std::str::FromStr>(&mut self, field: &str) -> Result<T, BenchError> {
        let reply = self.control.call(&["INFO", "everything"])?;
        let number = Info::parse(bulk_body(&reply)).number(field);
        number.ok_or_else(|| BenchError::Refused {
            command: "INFO".to_owned(),
            reply: format!("no {field} in it"),
        })
    }

    /// Waits until a field of INFO is as wanted; the note says when patience ran out.
    fn wait_for(
        &mut self,
        field: &str,
        done: impl Fn(u64) -> bool,
    ) -> Result<Option<String>, BenchError> {
        let started = Instant::now();
        loop {
            let value = self.info_number(field)?;
            if done(value) {
                return Ok(None);
            }
            if started.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Ok(Some(format!("{field} still {value} after {seconds} s")));
            }
            sleep(POLL);
        }
    }

    fn scan(&mut self, count: u32) -> Result<String, BenchError> {
        let count = count.to_string();
        let mut cursor = b"0".to_vec();
        let mut calls = 0u64;
        loop {
            let text = String::from_utf8_lossy(&cursor).into_owned();
            let reply = self.control.call(&["SCAN", &text, "COUNT", &count])?;
            calls += 1;
            cursor = scan_cursor(&reply).to_vec();
            if cursor == SCAN_END {
                return Ok(format!("{calls} calls"));
            }
        }
    }

    fn server_ms(&mut self) -> Result<i64, BenchError> {
        let words = self.control.strings(&["TIME"])?;
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<i64>().ok());
        let (seconds, micros) = (number(0).unwrap_or(0), number(1).unwrap_or(0));
        Ok(seconds * 1000 + micros / 1000)
    }

    /// Gives every key the same deadline, late enough that none has passed when the last one got its own.
    fn set_deadlines(&mut self, keys: u64) -> Result<(), BenchError> {
        let there = u64::try_from(self.control.number(&["DBSIZE"])?).unwrap_or(0);
        let keys = keys.min(there);
        self.expired_before = self.info_number("expired_keys")?;
        // A first, far deadline says how long this server takes for all of them.
        let started = Instant::now();
        let far_ms = self.server_ms()? + 3_600_000;
        self.give_deadline(keys, far_ms)?;
        let took_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX / 4);
        self.deadline_ms = self.server_ms()? + 2 * took_ms + STORM_LEAD_MS;
        self.give_deadline(keys, self.deadline_ms)?;
        // There may be fewer keys than there were deadlines.
        let reply = self.control.call(&["INFO", "keyspace"])?;
        let keyspace = Info::parse(bulk_body(&reply));
        let counts = keyspace.text(&format!("db{}", self.target.database));
        let expires = counts
            .and_then(|text| {
                text.split(',')
                    .find_map(|pair| pair.strip_prefix("expires="))
            })
            .and_then(|number| number.parse().ok());
        self.expiring = expires.unwrap_or(keys);
        Ok(())
    }

    fn give_deadline(&mut self, keys: u64, deadline_ms: i64) -> Result<(), BenchError> {
        let text = deadline_ms.to_string();
        Burst::new(&mut self.control).run(keys, |number| {
            vec!["PEXPIREAT".into(), format!("key:{number}"), text.clone()]
        })
    }
}

/// The first element of a SCAN reply.
fn scan_cursor(reply: &[u8]) -> &[u8] {
    let mut lines = reply.split(|byte| *byte == b'\n');
    let cursor = lines.nth(2).unwrap_or(SCAN_END);
    cursor.strip_suffix(b"\r").unwrap_or(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_of_a_scan_reply() {
        assert_eq!(scan_cursor(b"*2\r\n$3\r\n176\r\n*1\r\n$1\r\na\r\n"), b"176");
        assert_eq!(scan_cursor(b"*2\r\n$1\r\n0\r\n*0\r\n"), b"0");
        assert_eq!(scan_cursor(b""), b"0");
    }

    #[test]
    fn actions_are_called_by_what_happens() {
        assert_eq!(Action::Call("KEYS *".to_owned()).to_string(), "KEYS *");
        assert_eq!(Action::Scan { count: 5 }.to_string(), "SCAN, COUNT 5");
    }
}
