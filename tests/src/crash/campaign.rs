//! Many seeds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::lies::Lie;
use super::world::Account;

/// Runs a seed of one kind of worlds.
pub type World = fn(u64, Option<Lie>) -> Result<Account, String>;

/// What they have come to.
#[derive(Debug, Default)]
pub struct Campaign {
    /// Seeds run.
    pub seeds: u64,
    /// Seeds that failed, and why.
    pub failures: Vec<(u64, String)>,
    /// Sums of the others.
    pub sums: Account,
}

impl Campaign {
    /// Runs seeds on so many threads, until so many have failed.
    #[must_use]
    pub fn run(
        world: World,
        from: u64,
        seeds: u64,
        threads: usize,
        failures_max: usize,
        lie: Option<Lie>,
    ) -> Self {
        let (next, campaign) = (AtomicU64::new(from), Mutex::new(Campaign::default()));
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let outcome = (seed < from + seeds).then(|| world(seed, lie));
                let mut all = campaign.lock().expect("no thread panics with it");
                match outcome {
                    None => return,
                    Some(Ok(account)) => all.sums.add(&account),
                    Some(Err(why)) => all.failures.push((seed, why)),
                }
                all.seeds += 1;
                if all.failures.len() >= failures_max {
                    next.store(from + seeds, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(work);
            }
        });
        campaign.into_inner().expect("no thread panics with it")
    }

    /// In a line.
    #[must_use]
    pub fn summary(&self) -> String {
        let Account {
            crashes,
            torn,
            units,
            acked,
            rewrites,
            failures,
            made_good,
        } = self.sums;
        format!(
            "{} seeds, {} failed; {crashes} crashes, {torn} torn, {units} units, {acked} of them acknowledged when it fell, {rewrites} snapshots and bases, \
             {failures} failures of the disk, {made_good} made good without a restart",
            self.seeds,
            self.failures.len()
        )
    }
}
