//! Time: one origin for all threads, and an alarm that wakes an event loop at a moment of it without costing
//! anything while the loop is busy.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::error::BenchError;

/// Nanoseconds in a second.
pub const SECOND_NS: u64 = 1_000_000_000;

/// Nanoseconds since an origin that all threads of a run share.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts at zero now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The time now.
    #[inline]
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A timer that makes a file descriptor readable.
#[derive(Debug)]
pub struct Alarm {
    timer: OwnedFd,
    due_ns: Option<u64>,
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// When the system has no timer to give.
    pub fn new() -> Result<Self, BenchError> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)
            .map_err(|errno| BenchError::system("no timer")(errno.into()))?;
        Ok(Self {
            timer,
            due_ns: None,
        })
    }

    /// Sets the alarm to `due_ns`, at once if that has passed.
    ///
    /// # Errors
    /// As the system reports them.
    pub fn set(&mut self, due_ns: u64, now_ns: u64) -> Result<(), BenchError> {
        if self.due_ns == Some(due_ns) {
            return Ok(());
        }
        self.due_ns = Some(due_ns);
        // A timer set to zero would never ring.
        let wait = Duration::from_nanos(due_ns.saturating_sub(now_ns).max(1));
        let value = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()) as _,
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)
            .map_err(|errno| BenchError::system("cannot set a timer")(errno.into()))?;
        Ok(())
    }

    /// Makes the descriptor unreadable again after it rang.
    pub fn quiet(&mut self) {
        self.due_ns = None;
        let mut count = [0u8; 8];
        // Nothing to read means that it did not ring: as good.
        let _ = rustix::io::read(&self.timer, &mut count);
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_rings_once_at_its_time() {
        let clock = Clock::start();
        let mut alarm = Alarm::new().unwrap();
        let due = clock.now_ns() + 5_000_000;
        alarm.set(due, clock.now_ns()).unwrap();
        let mut count = [0u8; 8];
        while rustix::io::read(&alarm, &mut count).is_err() {
            std::thread::yield_now();
        }
        assert!(clock.now_ns() >= due);
        alarm.quiet();
        assert!(rustix::io::read(&alarm, &mut count).is_err());
    }

    #[test]
    fn a_time_that_has_passed_rings_at_once() {
        let mut alarm = Alarm::new().unwrap();
        alarm.set(1, 2).unwrap();
        let mut count = [0u8; 8];
        while rustix::io::read(&alarm, &mut count).is_err() {
            std::thread::yield_now();
        }
    }
}
