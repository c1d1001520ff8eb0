//! Wake-ups: `Waker`, for threads which are no shards, and `Peers`, where the reactors of one group
//! find each other.
//!
//! Invariants: every reactor has an eventfd from before its thread starts until the last handle to
//! it is gone, so a wake-up is never lost and never goes to a foreign file. The number of a ring is
//! published while the ring lives; one that is used too late costs an error completion, upon which
//! the sender writes to the eventfd.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Makes the `poll` of one reactor return. Cheap to clone, usable from every thread and from a
/// signal handler.
#[derive(Clone, Debug)]
pub struct Waker {
    eventfd: Arc<OwnedFd>,
}

impl Waker {
    /// One that no reactor has yet.
    ///
    /// # Errors
    /// As the system reports them.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; the result is checked before use.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor which nobody else owns.
        let eventfd = Arc::new(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(Self { eventfd })
    }

    /// Makes the reactor's current `poll` return, or else its next one.
    pub fn wake(&self) {
        let one = 1_u64;
        // SAFETY: reads eight bytes of a live u64. It fails only when the counter is full (EAGAIN),
        // in which case a wake-up is pending anyway.
        unsafe { libc::write(self.eventfd.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Forgets the wake-ups so far; the reactor calls it when it has seen one.
    pub(crate) fn clear(&self) {
        let mut count = 0_u64;
        // SAFETY: writes eight bytes into a live u64. EAGAIN means that nothing was pending.
        unsafe { libc::read(self.eventfd.as_raw_fd(), (&raw mut count).cast(), 8) };
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}

struct PeerEntry {
    waker: Waker,
    ring_fd: AtomicI32,
}

/// The reactors of a group, by shard number.
pub(crate) struct Peers {
    entries: Vec<PeerEntry>,
}

const NO_RING: RawFd = -1;

impl Peers {
    pub(crate) fn new(shards: usize) -> io::Result<Arc<Self>> {
        let entry = |_| {
            Ok(PeerEntry {
                waker: Waker::new()?,
                ring_fd: AtomicI32::new(NO_RING),
            })
        };
        Ok(Arc::new(Self {
            entries: (0..shards).map(entry).collect::<io::Result<_>>()?,
        }))
    }

    pub(crate) fn waker(&self, shard: usize) -> Option<&Waker> {
        self.entries.get(shard).map(|entry| &entry.waker)
    }

    /// The descriptor of a shard's ring, if it has one at this moment.
    #[inline]
    pub(crate) fn ring_fd(&self, shard: usize) -> Option<RawFd> {
        let fd = self.entries.get(shard)?.ring_fd.load(Ordering::Acquire);
        (fd != NO_RING).then_some(fd)
    }

    /// Publishes a shard's ring, or withdraws it before it is closed.
    pub(crate) fn set_ring(&self, shard: usize, ring: Option<RawFd>) {
        if let Some(entry) = self.entries.get(shard) {
            entry
                .ring_fd
                .store(ring.unwrap_or(NO_RING), Ordering::Release);
        }
    }
}
