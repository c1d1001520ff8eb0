//! `rdb-key-save-delay`: for tests, a save that takes its time. Called by the thread that writes the file, for the keys that it has written.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Microseconds per key; negative: keys per microsecond.
    delay: Mutex<i64>,
    changed: Condvar,
}

impl Pace {
    /// From now on, for whoever waits as well.
    pub(super) fn set(&self, delay: i64) {
        *self.delay.lock().unwrap_or_else(PoisonError::into_inner) = delay;
        self.changed.notify_all();
    }

    /// So many keys were written.
    pub(super) fn hold(&self, keys: u64) {
        let guard = self.delay.lock().unwrap_or_else(PoisonError::into_inner);
        let delay = *guard;
        let us = match u64::try_from(delay) {
            Ok(us) => us.saturating_mul(keys),
            Err(_) => keys / delay.unsigned_abs(),
        };
        if us > 0 {
            let is_same = |now: &mut i64| *now == delay;
            // Who is woken early has no more to wait for.
            let _ = self
                .changed
                .wait_timeout_while(guard, Duration::from_micros(us), is_same);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_goes_on_when_the_delay_goes() {
        let pace = Pace::default();
        pace.hold(u64::MAX);
        pace.set(-1_000);
        pace.hold(999);
        pace.set(1_000_000_000);
        std::thread::scope(|scope| {
            let held = scope.spawn(|| pace.hold(1_000_000));
            pace.set(0);
            held.join().expect("it goes on");
        });
    }
}
