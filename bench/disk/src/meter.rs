//! Counts appends, their latencies, bytes of bulk and the CPU that all of it took. Shared by the threads of one way.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) appends_per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) worst_ms: f64,
    pub(crate) bulk_mb_per_s: f64,
    /// CPU, user and system, of the whole process and the kernel's workers for it.
    pub(crate) cores: f64,
}

/// See the head of this file.
pub(crate) struct Meter {
    begun: Instant,
    cpu_s: f64,
    latencies: Mutex<Vec<Duration>>,
    bulk_bytes: AtomicU64,
}

/// Ticks of /proc per second.
const TICKS: f64 = 100.0;

fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let words: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |at: usize| words.get(at).and_then(|it| it.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / TICKS
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            cpu_s: cpu_s(),
            latencies: Mutex::default(),
            bulk_bytes: AtomicU64::new(0),
        }
    }

    /// An append that was begun then is on the disk.
    pub(crate) fn appended(&self, since: Instant) {
        let mut all = self.latencies.lock().expect("nobody panics with it");
        all.push(since.elapsed());
    }

    /// So much of the snapshot was written.
    pub(crate) fn bulk(&self, bytes: usize) {
        self.bulk_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self) -> Figures {
        let seconds = self.begun.elapsed().as_secs_f64();
        let mut all = self
            .latencies
            .lock()
            .expect("nobody panics with it")
            .clone();
        all.sort();
        let at = |share: f64| {
            let place = (all.len() as f64 * share) as usize;
            let found = all.get(place.min(all.len().saturating_sub(1)));
            found.map_or(0.0, |it| it.as_secs_f64() * 1e3)
        };
        Figures {
            appends_per_s: all.len() as f64 / seconds,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            worst_ms: at(1.0),
            bulk_mb_per_s: self.bulk_bytes.load(Ordering::Relaxed) as f64 / seconds / 1e6,
            cores: (cpu_s() - self.cpu_s) / seconds,
        }
    }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
