//! Waiting: on a condition, with a limit. Nothing in the tests sleeps and hopes; it polls here and
//! says what it waited for when the limit passes.

use std::time::{Duration, Instant};

/// How long anything that must happen may take on a busy two-core machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(2);

/// Polls `done` until it is true; panics naming `what` after [`PATIENCE`].
pub fn wait_until(what: &str, done: impl FnMut() -> bool) {
    assert!(
        happens_within(PATIENCE, done),
        "waited {PATIENCE:?} in vain until {what}"
    );
}

/// Polls `done` until it is true or `limit` has passed; says whether it became true.
pub fn happens_within(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if done() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Polls `look` until it finds something; panics naming `what` after [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    wait_until(what, || {
        found = look();
        found.is_some()
    });
    found.expect("wait_until returned, so there is one")
}

/// A moment in the future up to which a loop may run.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `span` from now.
    #[must_use]
    pub fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// Whether it has passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        Instant::now() >= self.0
    }
}
