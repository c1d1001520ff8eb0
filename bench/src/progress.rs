//! The progress line on a terminal: share done, live rate and p99. Where stderr is no terminal there is none,
//! and the workers count nothing for it.

use std::io::IsTerminal;
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock::SECOND_NS;
use crate::live::{Live, LiveSum};
use crate::load::Limit;

const REFRESH: Duration = Duration::from_millis(250);
/// Rate and p99 are of the last second: shorter, and they flicker.
const REFRESHES_PER_INTERVAL: u32 = 4;

/// A progress line for one phase.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    by_time: bool,
}

impl Progress {
    /// Whether anyone would see it.
    #[must_use]
    pub fn is_wanted() -> bool {
        std::io::stderr().is_terminal()
    }

    /// A line named `title` for a phase of `limit`; `requests` is what a phase limited by requests will make.
    #[must_use]
    pub fn start(title: &str, limit: Limit, requests: u64) -> Self {
        let (length, by_time) = match limit {
            Limit::Time(duration_ns) => (duration_ns / (SECOND_NS / 1000), true),
            Limit::Requests(_) | Limit::AllKeys => (requests, false),
        };
        let bar = ProgressBar::new(length);
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:>9} {wide_bar} {percent:>3}% {msg}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        Self { bar, by_time }
    }

    /// Draws until `finished` says so.
    pub fn watch(&self, workers: &[Live], finished: impl Fn() -> bool) {
        let started = Instant::now();
        let mut since = (Instant::now(), LiveSum::of(workers), 0u64);
        let mut refreshes = 0;
        while !finished() {
            sleep(REFRESH);
            let replies: u64 = workers.iter().map(Live::replies).sum();
            let elapsed = started.elapsed().as_millis();
            self.bar.set_position(if self.by_time {
                u64::try_from(elapsed).unwrap_or(0)
            } else {
                replies
            });
            refreshes += 1;
            if refreshes % REFRESHES_PER_INTERVAL == 0 {
                let sum = LiveSum::of(workers);
                let rate = (replies - since.2) as f64 / since.0.elapsed().as_secs_f64();
                let p99_ms = sum
                    .quantile_since(&since.1, 0.99)
                    .map_or(0.0, |ns| ns as f64 / 1e6);
                self.bar
                    .set_message(format!("{rate:.0} ops/s, p99 {p99_ms:.3} ms"));
                since = (Instant::now(), sum, replies);
            }
        }
        self.bar.finish_and_clear();
    }
}
