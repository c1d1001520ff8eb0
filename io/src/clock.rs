//! The real clock and the real random numbers: the part of `Env` that is the same on every backend.
//!
//! Called by `real::Reactor` and by the backends for their own deadlines.

use std::time::Duration;

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the result. The two clocks used here always exist, so the
    // call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time
}

/// CLOCK_MONOTONIC in nanoseconds: a read of mapped memory, no system call.
#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    let time = read(libc::CLOCK_MONOTONIC);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CLOCK_REALTIME in microseconds.
#[inline]
pub(crate) fn unix_us() -> u64 {
    let time = read(libc::CLOCK_REALTIME);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

/// 64 bits of the kernel's random numbers.
pub(crate) fn random() -> u64 {
    let mut bytes = [0_u8; 8];
    // SAFETY: the kernel writes at most eight bytes into an array of eight.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if count == 8 {
        u64::from_ne_bytes(bytes)
    } else {
        // Only where the call is forbidden; seeds need to differ, not to be secret.
        let address = std::ptr::from_ref(&bytes) as u64;
        monotonic_ns().rotate_left(32) ^ unix_us() ^ address
    }
}

/// Blocks the thread.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the real implementation of Env::sleep"
)]
pub(crate) fn sleep(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::{monotonic_ns, random, unix_us};

    #[test]
    fn time_moves_forward_and_random_numbers_differ() {
        let first = monotonic_ns();
        assert!(monotonic_ns() >= first);
        assert!(unix_us() > 1_700_000_000_000_000, "after 2023");
        assert_ne!(random(), random());
    }
}
