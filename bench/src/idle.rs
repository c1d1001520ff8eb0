//! Idle connections: opened before a run, held during it, and what each costs the server in memory.
//!
//! Each one sends a PING and waits for the answer, so it is known to be accepted and has been used once, as a
//! connection in a client's pool has; then nothing.

use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::server_stats::Probe;
use crate::target::Target;

/// How long the server gets to come to rest before its memory is read.
const SETTLE: Duration = Duration::from_millis(500);

/// What the idle connections cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdleReport {
    /// How many.
    pub connections: u64,
    /// The server's resident memory before them.
    pub rss_bytes_before: Option<u64>,
    /// And with them.
    pub rss_bytes_after: Option<u64>,
    /// The difference for each.
    pub bytes_per_connection: Option<f64>,
    /// Those that the server had closed when the run was over.
    pub closed_by_server: u64,
}

/// The open connections.
#[derive(Debug)]
pub struct IdleConnections {
    sockets: Vec<OwnedFd>,
    report: IdleReport,
}

impl IdleConnections {
    /// Opens `count` connections.
    ///
    /// # Errors
    /// When the server refuses one.
    pub fn open(target: &Target, count: u64, probe: &mut Probe) -> Result<Self, BenchError> {
        sleep(SETTLE);
        let rss_bytes_before = probe.rss_bytes();
        let mut sockets = Vec::new();
        for opened in 0..count {
            let socket = open_one(target).map_err(|error| {
                BenchError::Usage(format!(
                    "idle connection {} of {count}: {error} (does the server allow so many: maxclients, open files?)",
                    opened + 1
                ))
            })?;
            sockets.push(socket);
        }
        sleep(SETTLE);
        let rss_bytes_after = probe.rss_bytes();
        let grown = rss_bytes_after
            .zip(rss_bytes_before)
            .map(|(after, before)| after as f64 - before as f64);
        let report = IdleReport {
            connections: count,
            rss_bytes_before,
            rss_bytes_after,
            bytes_per_connection: grown.map(|bytes| bytes / count.max(1) as f64),
            closed_by_server: 0,
        };
        Ok(Self { sockets, report })
    }

    /// Sees how many are still open and closes them.
    #[must_use]
    pub fn close(self) -> IdleReport {
        let mut report = self.report;
        report.closed_by_server = self
            .sockets
            .iter()
            .filter(|socket| !is_open(socket))
            .count() as u64;
        report
    }
}

fn open_one(target: &Target) -> Result<OwnedFd, BenchError> {
    let mut control = target.connect()?;
    control.call(&["PING"])?;
    Ok(control.into_socket())
}

fn is_open(socket: &OwnedFd) -> bool {
    let mut byte = [0u8; 1];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match rustix::net::recv(socket, &mut byte, flags) {
        Ok((got, _)) => got > 0,
        Err(Errno::AGAIN) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_closed_connection_is_noticed() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours: OwnedFd = ours.into();
        assert!(is_open(&ours));
        drop(theirs);
        assert!(!is_open(&ours));
    }
}
