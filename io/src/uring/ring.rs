//! `Ring`: one io_uring instance, its set-up, its one system call, and the reaping of completions.
//!
//! Invariants: made, used and dropped on one thread (SINGLE_ISSUER). After `submit` has returned Ok
//! the submission queue is empty and every completion posted so far is in the caller's list, also
//! those that did not fit into the completion queue; the sends without completions rest on that.
//! Called by the reactor of this folder and by the probe.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::{EnterFlags, IoUring, cqueue, squeue, types};

/// Optional set-up flags, in the order in which they are given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Setup {
    /// Completion work runs only inside our own enter (6.1).
    pub(crate) defer_taskrun: bool,
    /// The kernel may know that one thread submits (6.0).
    pub(crate) single_issuer: bool,
    /// Submission entries are read in place (6.6).
    pub(crate) no_sqarray: bool,
}

impl Setup {
    /// Everything, as of Linux 6.6.
    pub(crate) const FULL: Self = Self {
        defer_taskrun: true,
        single_issuer: true,
        no_sqarray: true,
    };

    /// Nothing that Linux 5.19 lacks.
    pub(crate) const NONE: Self = Self {
        defer_taskrun: false,
        single_issuer: false,
        no_sqarray: false,
    };

    /// The set-ups to try, best first.
    pub(crate) const LADDER: [Self; 4] = [
        Self::FULL,
        Self {
            no_sqarray: false,
            ..Self::FULL
        },
        Self {
            single_issuer: true,
            ..Self::NONE
        },
        Self::NONE,
    ];
}

/// One completion, copied out of the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    pub(crate) user_data: u64,
    pub(crate) result: i32,
    pub(crate) flags: u32,
}

/// How long a submit may wait for a completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// At most so many nanoseconds.
    Nanoseconds(u64),
    /// For ever.
    Endless,
}

/// After so many refusals in a row to take a submission the ring counts as failed. Each one is
/// followed by a yield, so this is a matter of a second under memory pressure.
const REFUSALS_MAX: u32 = 100_000;

/// An io_uring instance of this thread.
pub(crate) struct Ring {
    ring: IoUring,
    /// What names the ring in an enter: an index when registered, else its descriptor.
    enter_fd: RawFd,
    registered: bool,
    no_iowait: bool,
}

const IORING_REGISTER_RING_FDS: libc::c_uint = 20;
const IORING_UNREGISTER_RING_FDS: libc::c_uint = 21;

#[repr(C)]
struct RingUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

impl Ring {
    /// Makes a ring of this thread. The completion queue has eight places per submission place,
    /// because a multishot operation completes many times per submission.
    pub(crate) fn new(entries: u32, setup: Setup) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder
            .setup_clamp()
            .setup_submit_all()
            .setup_cqsize(entries.saturating_mul(8));
        builder.setup_taskrun_flag();
        if setup.single_issuer {
            builder.setup_single_issuer();
        }
        if setup.defer_taskrun {
            builder.setup_defer_taskrun();
        } else {
            builder.setup_coop_taskrun();
        }
        if setup.no_sqarray {
            builder.setup_no_sqarray();
        }
        let ring = builder.dontfork().build(entries)?;
        let no_iowait = ring.params().is_feature_no_iowait();
        let enter_fd = ring.as_raw_fd();
        Ok(Self {
            ring,
            enter_fd,
            registered: false,
            no_iowait,
        })
    }

    /// Registers the ring's descriptor with this thread, which spares a look-up per enter. Says
    /// whether the kernel could do it.
    pub(crate) fn register_fd(&mut self) -> bool {
        let mut update = RingUpdate {
            offset: u32::MAX,
            reserved: 0,
            data: self.ring.as_raw_fd() as u64,
        };
        if self.registered || !self.update_registration(IORING_REGISTER_RING_FDS, &mut update) {
            return self.registered;
        }
        self.enter_fd = update.offset as RawFd;
        self.registered = true;
        true
    }

    fn update_registration(&self, opcode: libc::c_uint, update: &mut RingUpdate) -> bool {
        // SAFETY: `update` is one live structure of the layout this operation reads and writes.
        let count = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                self.ring.as_raw_fd(),
                opcode,
                std::ptr::from_mut(update),
                1_u32,
            )
        };
        count == 1
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    pub(crate) fn submitter(&self) -> io_uring::Submitter<'_> {
        self.ring.submitter()
    }

    pub(crate) fn params(&self) -> &io_uring::Parameters {
        self.ring.params()
    }

    /// Queues an operation. When the queue is full, what stands in it is submitted first.
    ///
    /// # Errors
    /// When the kernel refuses submissions for good.
    ///
    /// # Safety
    /// What the entry points to stays valid until the operation has completed.
    #[inline]
    pub(crate) unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: as promised by the caller.
        if unsafe { self.ring.submission().push(entry) }.is_ok() {
            return Ok(());
        }
        self.flush()?;
        // SAFETY: as promised by the caller.
        unsafe { self.ring.submission().push(entry) }
            .map_err(|_| io::Error::other("the submission queue stays full"))
    }

    /// Submits what is queued and leaves the completions for the turn to reap.
    ///
    /// # Errors
    /// When the kernel refuses submissions for good.
    #[cold]
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let mut refusals = 0;
        loop {
            let queued = self.queued();
            if queued == 0 {
                return Ok(());
            }
            let taken = self.enter(queued, 0, EnterFlags::empty(), None);
            Self::tolerate(taken, &mut refusals)?;
        }
    }

    /// Submits what is queued, waits for a completion with the given patience, and adds everything
    /// that has completed to `completions`.
    ///
    /// # Errors
    /// When the kernel refuses submissions for good, or has lost a completion.
    pub(crate) fn submit(
        &mut self,
        patience: Patience,
        completions: &mut Vec<Completion>,
    ) -> io::Result<()> {
        let queued = self.queued();
        if queued == 0 && patience == Patience::None && !self.has_work() {
            self.reap(completions);
            return Ok(());
        }
        let timeout;
        let (count, timeout) = match patience {
            Patience::None => (0, None),
            Patience::Endless => (1, None),
            Patience::Nanoseconds(ns) => {
                let seconds = ns / 1_000_000_000;
                timeout = types::Timespec::new()
                    .sec(seconds)
                    .nsec((ns % 1_000_000_000) as u32);
                (1, Some(&timeout))
            }
        };
        let mut refusals = 0;
        let entered = self.enter(queued, count, EnterFlags::GETEVENTS, timeout);
        Self::tolerate(entered, &mut refusals)?;
        self.reap(completions);
        self.finish(&mut refusals, completions)
    }

    /// Repeats without waiting until nothing is queued and nothing has overflowed.
    #[inline]
    fn finish(&mut self, refusals: &mut u32, completions: &mut Vec<Completion>) -> io::Result<()> {
        loop {
            let queue = self.ring.submission();
            let (queued, overflow) = (queue.len(), queue.cq_overflow());
            drop(queue);
            if queued == 0 && !overflow {
                return Ok(());
            }
            let entered = self.enter(queued, 0, EnterFlags::GETEVENTS, None);
            Self::tolerate(entered, refusals)?;
            self.reap(completions);
        }
    }

    fn queued(&mut self) -> usize {
        self.ring.submission().len()
    }

    /// Whether an enter would bring completions that the queue does not show yet.
    fn has_work(&mut self) -> bool {
        let queue = self.ring.submission();
        queue.taskrun() || queue.cq_overflow()
    }

    #[inline]
    fn reap(&mut self, completions: &mut Vec<Completion>) {
        let queue = self.ring.completion();
        completions.reserve(queue.len());
        for entry in queue {
            completions.push(Completion {
                user_data: entry.user_data(),
                result: entry.result(),
                flags: entry.flags(),
            });
        }
    }

    /// Decides which errors of an enter are the end.
    #[inline]
    fn tolerate(entered: io::Result<usize>, refusals: &mut u32) -> io::Result<()> {
        match entered {
            Ok(_) => Ok(()),
            Err(error) => Self::tolerate_error(error, refusals),
        }
    }

    #[cold]
    fn tolerate_error(error: io::Error, refusals: &mut u32) -> io::Result<()> {
        match error.raw_os_error() {
            // A signal, or the end of patience: there is just nothing to reap.
            Some(libc::EINTR | libc::ETIME) => Ok(()),
            // No memory for a request at this moment, or completions to reap first.
            Some(libc::EAGAIN | libc::EBUSY) if *refusals < REFUSALS_MAX => {
                *refusals += 1;
                std::thread::yield_now();
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// The one system call.
    #[inline]
    fn enter(
        &self,
        submit: usize,
        complete: u32,
        mut flags: EnterFlags,
        timeout: Option<&types::Timespec>,
    ) -> io::Result<usize> {
        if self.registered {
            flags |= EnterFlags::REGISTERED_RING;
        }
        if self.no_iowait {
            // Waiting for clients is idleness, not waiting for a disk.
            flags |= EnterFlags::NO_IOWAIT;
        }
        let mut arguments = types::SubmitArgs::new();
        let (pointer, size) = match timeout {
            None => (std::ptr::null(), 0),
            Some(timeout) => {
                flags |= EnterFlags::EXT_ARG;
                arguments = arguments.timespec(timeout);
                (&raw const arguments, size_of_val(&arguments))
            }
        };
        // SAFETY: `pointer` is null with size 0, or a live `SubmitArgs`, which is laid out as the
        // kernel's structure and points to a live timespec. What the entries point to is valid by
        // the contract of `push`.
        let count = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.enter_fd,
                submit as libc::c_uint,
                complete,
                flags.bits(),
                pointer,
                size,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.registered {
            // The registration holds the ring; it would keep it, and every socket in it, alive.
            let mut update = RingUpdate {
                offset: self.enter_fd as u32,
                reserved: 0,
                data: 0,
            };
            self.update_registration(IORING_UNREGISTER_RING_FDS, &mut update);
        }
    }
}

/// Whether a multishot operation goes on after this completion.
#[inline]
pub(crate) fn goes_on(completion: &Completion) -> bool {
    cqueue::more(completion.flags)
}

/// The provided buffer this completion used.
#[inline]
pub(crate) fn buffer_of(completion: &Completion) -> Option<u16> {
    cqueue::buffer_select(completion.flags)
}
