//! `Poller`: an epoll instance and what its events name.
//!
//! Level-triggered: what is not handled in one turn is reported again in the next, so a turn may
//! stop early with any connection. Only the files of this folder use it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::env::ConnId;

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// A connection.
    Conn(ConnId),
    /// The listener with this number.
    Listener(usize),
    /// The reactor's eventfd.
    Waker,
}

const LISTENER: u64 = 1 << 62;
const WAKER: u64 = 1 << 63;

impl Source {
    fn pack(self) -> u64 {
        match self {
            Self::Conn(id) => u64::from(id.index) << 32 | u64::from(id.generation),
            Self::Listener(number) => LISTENER | number as u64,
            Self::Waker => WAKER,
        }
    }

    fn unpack(data: u64) -> Self {
        if data & WAKER != 0 {
            Self::Waker
        } else if data & LISTENER != 0 {
            Self::Listener((data & !LISTENER) as usize)
        } else {
            Self::Conn(ConnId {
                index: (data >> 32) as u32,
                generation: data as u32,
            })
        }
    }
}

/// Readiness for reading; errors and the end of a stream count as readable.
pub(super) const READABLE: u32 = libc::EPOLLIN as u32;
/// Readiness for writing.
pub(super) const WRITABLE: u32 = libc::EPOLLOUT as u32;
/// Of all who wait for the same listener only some are woken.
pub(super) const EXCLUSIVE: u32 = libc::EPOLLEXCLUSIVE as u32;

/// Most events of one turn.
const EVENTS_MAX: usize = 1024;

/// An epoll instance.
pub(super) struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; the result is checked before use.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor which nobody else owns.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self {
            epoll,
            events: Vec::with_capacity(EVENTS_MAX),
        })
    }

    /// Changes what is waited for on a descriptor from `before` to `after`; 0 is not at all.
    pub(super) fn change(
        &self,
        fd: RawFd,
        source: Source,
        before: u32,
        after: u32,
    ) -> io::Result<()> {
        let operation = match (before, after) {
            (0, 0) => return Ok(()),
            (0, _) => libc::EPOLL_CTL_ADD,
            (_, 0) => libc::EPOLL_CTL_DEL,
            _ => libc::EPOLL_CTL_MOD,
        };
        let mut event = libc::epoll_event {
            events: after,
            u64: source.pack(),
        };
        // SAFETY: `event` is live for the call; the kernel copies it.
        let done =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Waits at most so many milliseconds, -1 for ever, and adds what is ready to `ready`.
    pub(super) fn wait(
        &mut self,
        timeout_ms: libc::c_int,
        ready: &mut Vec<(Source, u32)>,
    ) -> io::Result<()> {
        // SAFETY: the kernel writes at most EVENTS_MAX events into memory reserved for as many.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS_MAX as libc::c_int,
                timeout_ms,
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            let interrupted = error.kind() == io::ErrorKind::Interrupted;
            return if interrupted { Ok(()) } else { Err(error) };
        };
        // SAFETY: the kernel has written the first `count` events.
        unsafe { self.events.set_len(count) };
        ready.extend(
            self.events
                .iter()
                .map(|event| (Source::unpack(event.u64), event.events)),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Source;
    use crate::env::ConnId;

    #[test]
    fn a_source_survives_packing() {
        let last = ConnId {
            index: (1 << 24) - 1,
            generation: u32::MAX,
        };
        for source in [Source::Conn(last), Source::Listener(9), Source::Waker] {
            assert_eq!(Source::unpack(source.pack()), source);
        }
    }
}
