//! What this kernel and this container allow: which backend to use, and which parts of io_uring.
//!
//! Invariants: asked once, before the shards' threads start, by trying rather than by version
//! numbers, because containers forbid and distributions backport. What is missing is done without;
//! only what the design cannot do without (multishot receive with provided buffers, timed waits)
//! leads to epoll. The result is a line for the log. Called by `real::ReactorGroup`.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use io_uring::{Probe, opcode, squeue, types};

use crate::uring::buffers::{Buffers, GROUP};
use crate::uring::ring::{Completion, Patience, Ring, Setup, buffer_of, goes_on};

/// Which interface of the kernel a reactor uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// io_uring.
    Uring,
    /// epoll.
    Epoll,
}

/// What was found, for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The backend in use.
    pub backend: Backend,
    /// Parts of io_uring that this kernel lacks and that are done without.
    pub missing: Vec<&'static str>,
    /// Why io_uring is not used, if it is not.
    pub reason: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.backend {
            Backend::Uring => "io_uring",
            Backend::Epoll => "epoll",
        })?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        if !self.missing.is_empty() {
            write!(f, ", without {}", self.missing.join(", "))?;
        }
        Ok(())
    }
}

/// The optional parts of io_uring that are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    pub(crate) setup: Setup,
    /// The ring's descriptor can be registered with its thread.
    pub(crate) registered_ring: bool,
    /// A send that succeeds during its submission can do so silently.
    pub(crate) silent_send: bool,
    /// Rings can wake each other.
    pub(crate) msg_ring: bool,
}

impl Features {
    /// None of them.
    pub(crate) const NONE: Self = Self {
        setup: Setup::NONE,
        registered_ring: false,
        silent_send: false,
        msg_ring: false,
    };

    /// The names of those that are not there.
    pub(crate) fn missing(self) -> Vec<&'static str> {
        let parts = [
            (self.setup.defer_taskrun, "deferred task work"),
            (self.setup.single_issuer, "single issuer"),
            (self.setup.no_sqarray, "in-place submissions"),
            (self.registered_ring, "registered ring"),
            (self.silent_send, "silent sends"),
            (self.msg_ring, "ring messages"),
        ];
        parts
            .into_iter()
            .filter(|(there, _)| !there)
            .map(|(_, name)| name)
            .collect()
    }
}

/// Tries io_uring out. The error is the reason why it cannot be used.
pub(crate) fn uring(ring_entries: u32) -> Result<Features, String> {
    let (mut ring, setup) = first_ring(ring_entries)?;
    if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
        return Err(too_old("timed waits"));
    }
    let registered_ring = ring.register_fd();
    let failed = |what: &'static str| move |error: io::Error| format!("{what} failed: {error}");
    receives(&mut ring)?;
    let silent_send = ring.params().is_feature_skip_cqe_on_success()
        && sends_silently(&mut ring).map_err(failed("trial of sends"))?;
    let mut operations = Probe::new();
    let probed = ring.submitter().register_probe(&mut operations).is_ok();
    let msg_ring = probed && operations.is_supported(opcode::MsgRingData::CODE);
    Ok(Features {
        setup,
        registered_ring,
        silent_send,
        msg_ring,
    })
}

fn too_old(what: &str) -> String {
    format!("the kernel's io_uring lacks {what}; Linux 6.0 has it")
}

/// The best ring this kernel can make.
fn first_ring(entries: u32) -> Result<(Ring, Setup), String> {
    for setup in Setup::LADDER {
        match Ring::new(entries, setup) {
            Ok(ring) => return Ok((ring, setup)),
            // An unknown flag: the next set-up has one less.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => return Err(setup_error(&error)),
        }
    }
    Err(too_old("task work flags"))
}

/// Says in words why a ring could not be made, and what to do about it.
pub(crate) fn setup_error(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => format!(
            "io_uring is forbidden here: {error}; see sysctl kernel.io_uring_disabled and the \
             container's seccomp profile"
        ),
        Some(libc::ENOSYS) => format!("the kernel has no io_uring: {error}"),
        Some(libc::ENOMEM) => format!(
            "no memory for io_uring: {error}; raise the limit of locked memory (ulimit -l, or \
             LimitMEMLOCK= of the service)"
        ),
        _ => format!("io_uring cannot be set up: {error}"),
    }
}

/// Longest wait for what a healthy kernel does at once.
const TRIAL: Patience = Patience::Nanoseconds(2_000_000_000);

/// Checks multishot receive with provided buffers.
fn receives(ring: &mut Ring) -> Result<(), String> {
    const LACK: &str = "multishot receive with provided buffers";
    let attempt = |error: io::Error| format!("trial of receives failed: {error}");
    let mut buffers = Buffers::new(ring, 4, 4096).map_err(|_| too_old(LACK))?;
    let (mut client, server) = UnixStream::pair().map_err(attempt)?;
    let entry = opcode::RecvMulti::new(types::Fd(server.as_raw_fd()), GROUP).build();
    // SAFETY: the operation carries no pointer but the buffers', which are dropped after it is over.
    unsafe { ring.push(&entry) }.map_err(attempt)?;
    client.write_all(b"?").map_err(attempt)?;
    let first = next_completion(ring).map_err(attempt)?;
    let chunk = buffer_of(&first).zip(u32::try_from(first.result).ok());
    // SAFETY: buffer and length are those of one completion.
    let chunk = chunk.map(|(buffer, length)| unsafe { buffers.chunk(buffer, length) });
    let works = goes_on(&first) && chunk.is_some_and(|chunk| &*chunk == b"?");
    // The end of the stream ends the operation, and with it the kernel's use of the buffers.
    drop(client);
    if goes_on(&first) {
        next_completion(ring).map_err(attempt)?;
    }
    ring.submitter()
        .unregister_buf_ring(GROUP)
        .map_err(attempt)?;
    if works { Ok(()) } else { Err(too_old(LACK)) }
}

fn next_completion(ring: &mut Ring) -> io::Result<Completion> {
    let mut completions = Vec::new();
    ring.submit(TRIAL, &mut completions)?;
    completions
        .first()
        .copied()
        .ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// Checks that a send the kernel takes whole completes silently within its submission, and that one
/// it takes in part, or not at all, says so there and then.
fn sends_silently(ring: &mut Ring) -> io::Result<bool> {
    let (_client, server) = UnixStream::pair()?;
    // More than a socket buffer holds.
    let bytes = vec![0_u8; 16 << 20];
    let mut attempt = |length: u32| {
        let entry = opcode::Send::new(types::Fd(server.as_raw_fd()), bytes.as_ptr(), length)
            .flags(libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS);
        let mut completions = Vec::new();
        // SAFETY: `bytes` is freed only when all three sends have been seen to be over.
        unsafe { ring.push(&entry) }?;
        ring.submit(Patience::None, &mut completions)?;
        io::Result::Ok(completions.iter().map(|c| c.result).collect::<Vec<_>>())
    };
    let whole = attempt(64)?;
    let part = attempt(bytes.len() as u32)?;
    let none = attempt(64)?;
    let in_part = matches!(part[..], [taken] if taken > 0 && (taken as usize) < bytes.len());
    let right = whole.is_empty() && in_part && none == [-libc::EAGAIN];
    if !right {
        // A send may be under way still. Its memory is left to it: this happens once per process.
        std::mem::forget(bytes);
    }
    Ok(right)
}

#[cfg(test)]
mod tests {
    use super::{Backend, Report, uring};

    #[test]
    fn this_kernel_is_described() {
        match uring(8) {
            // What the send path is built on, and what no kernel with multishot receive lacks.
            Ok(features) => assert!(features.silent_send && features.msg_ring),
            Err(reason) => assert!(reason.contains("io_uring"), "{reason}"),
        }
    }

    #[test]
    fn a_report_is_one_line() {
        let missing = vec!["a", "b"];
        let report = Report {
            backend: Backend::Uring,
            missing,
            reason: None,
        };
        assert_eq!(report.to_string(), "io_uring, without a, b");
        let reason = Some("forbidden".to_owned());
        let report = Report {
            backend: Backend::Epoll,
            missing: vec![],
            reason,
        };
        assert_eq!(report.to_string(), "epoll (forbidden)");
    }
}
