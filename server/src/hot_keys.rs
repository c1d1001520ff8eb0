//! The session of HOTKEYS START: what the node knows of it. The keys are counted by the shards.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::info::{CpuTimes, cpu_times};

/// What is to be tracked, and since when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracking {
    /// Keys by time.
    pub cpu: bool,
    /// Keys by bytes.
    pub net: bool,
    /// So many of each.
    pub count: usize,
    /// One command of so many is looked at.
    pub ratio: u32,
    /// When it began, ms since the Unix epoch.
    pub from_ms: u64,
    /// When it ends by itself; `u64::MAX`: never.
    pub until_ms: u64,
    /// What the process had spent when it began.
    pub cpu_from: CpuTimes,
    /// When it ended, and what the process had spent then.
    pub ended: Option<(u64, CpuTimes)>,
}

impl Tracking {
    /// Whether it goes on.
    #[must_use]
    pub fn is_active(&self, now_ms: u64) -> bool {
        self.ended.is_none() && now_ms < self.until_ms
    }

    /// How long it went on, ms.
    #[must_use]
    pub fn duration_ms(&self, now_ms: u64) -> u64 {
        let end_ms = self.ended.map_or(now_ms, |(end_ms, _)| end_ms);
        end_ms.min(self.until_ms).saturating_sub(self.from_ms)
    }

    /// What the process has spent meanwhile: in user mode and in the kernel, ms.
    #[must_use]
    pub fn cpu_ms(&self) -> (u64, u64) {
        let until = self.ended.map_or_else(cpu_times, |(_, times)| times);
        let ms = |until: f64, from: f64| ((until - from).max(0.0) * 1000.0).round() as u64;
        (
            ms(until.user_s, self.cpu_from.user_s),
            ms(until.system_s, self.cpu_from.system_s),
        )
    }
}

/// There is one session at most.
#[derive(Debug, Default)]
pub struct HotKeys(Mutex<Option<Tracking>>);

impl HotKeys {
    fn lock(&self) -> MutexGuard<'_, Option<Tracking>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session that goes on, or the last one.
    #[must_use]
    pub fn get(&self) -> Option<Tracking> {
        *self.lock()
    }

    /// Begins one, unless one goes on. Says whether it did.
    pub fn start(&self, tracking: Tracking) -> bool {
        let mut session = self.lock();
        if session.is_some_and(|it| it.is_active(tracking.from_ms)) {
            return false;
        }
        *session = Some(tracking);
        true
    }

    /// Ends the one that goes on. Says whether there was one.
    pub fn stop(&self, now_ms: u64) -> bool {
        match &mut *self.lock() {
            Some(tracking) if tracking.is_active(now_ms) => {
                tracking.ended = Some((now_ms, cpu_times()));
                true
            }
            _ => false,
        }
    }

    /// Its time is over.
    pub fn note_end(&self, now_ms: u64) {
        if let Some(tracking) = &mut *self.lock()
            && tracking.ended.is_none()
            && now_ms >= tracking.until_ms
        {
            tracking.ended = Some((tracking.until_ms, cpu_times()));
        }
    }

    /// Forgets the last one, unless it goes on. Says whether it did.
    pub fn reset(&self, now_ms: u64) -> bool {
        let mut session = self.lock();
        let is_active = session.is_some_and(|it| it.is_active(now_ms));
        if !is_active {
            *session = None;
        }
        !is_active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracking(from_ms: u64, until_ms: u64) -> Tracking {
        Tracking {
            cpu: true,
            net: false,
            count: 10,
            ratio: 1,
            from_ms,
            until_ms,
            cpu_from: CpuTimes::default(),
            ended: None,
        }
    }

    #[test]
    fn one_at_a_time() {
        let keys = HotKeys::default();
        assert!(!keys.stop(1) && keys.reset(1) && keys.get().is_none());
        assert!(keys.start(tracking(10, u64::MAX)) && !keys.start(tracking(11, 20)));
        assert!(!keys.reset(12) && keys.stop(15) && !keys.stop(16));
        assert_eq!(keys.get().map(|it| it.duration_ms(99)), Some(5));
        assert!(keys.start(tracking(20, 30)), "a new one takes its place");
        assert!(keys.reset(30) && keys.get().is_none());
    }

    #[test]
    fn one_that_ends_by_itself() {
        let keys = HotKeys::default();
        assert!(keys.start(tracking(10, 20)));
        keys.note_end(19);
        assert_eq!(keys.get().map(|it| it.is_active(19)), Some(true));
        assert_eq!(keys.get().map(|it| it.duration_ms(25)), Some(10));
        assert!(!keys.stop(21));
        keys.note_end(40);
        assert_eq!(keys.get().and_then(|it| it.ended).map(|it| it.0), Some(20));
    }
}
