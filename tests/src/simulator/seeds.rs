//! Many seeds: one world per thread, failures collected.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::node::Tampering;
use super::plan::Plan;
use super::run::{Account, Failure, Run};

/// What many runs did together.
#[derive(Debug, Default)]
pub struct Campaign {
    /// Seeds run.
    pub seeds: u64,
    /// Sums over the seeds that passed; the hash stands for all of them in any order.
    pub sums: Account,
    /// The seeds that failed, in order.
    pub failures: Vec<Failure>,
}

/// Runs one seed.
///
/// # Errors
/// What the first judge to complain says. A panic of the code under test is a complaint, too.
pub fn run_seed(seed: u64, tampering: Tampering) -> Result<Account, Failure> {
    run_plan(Plan::from_seed(seed), tampering)
}

/// Runs one plan.
///
/// # Errors
/// As `run_seed`.
pub fn run_plan(plan: Plan, tampering: Tampering) -> Result<Account, Failure> {
    let mut run = Run::new(plan, tampering);
    match catch_unwind(AssertUnwindSafe(|| run.run())) {
        Ok(result) => result,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic that says nothing");
            let failure = run.failure("panics", text.to_owned());
            // Its parts may be in any state: nothing of it is to be touched again.
            std::mem::forget(run);
            Err(failure)
        }
    }
}

impl Campaign {
    /// Runs the seeds from `from` on in so many threads; stops after `failures_max` failures. `each` hears of every seed that
    /// fails, as soon as it does.
    pub fn run(
        from: u64,
        seeds: u64,
        threads: usize,
        failures_max: usize,
        tampering: Tampering,
        each: impl Fn(&Failure) + Sync,
    ) -> Self {
        let next = AtomicU64::new(from);
        let stop = AtomicBool::new(false);
        let campaign = Mutex::new(Self::default());
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= from + seeds {
                            break;
                        }
                        let result = run_seed(seed, tampering);
                        if let Err(failure) = &result {
                            each(failure);
                        }
                        let mut campaign = campaign.lock().expect("no thread panics with the lock");
                        campaign.add(result);
                        if campaign.failures.len() >= failures_max {
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let mut campaign = campaign
            .into_inner()
            .expect("no thread panics with the lock");
        campaign.failures.sort_by_key(|failure| failure.seed);
        campaign
    }

    fn add(&mut self, result: Result<Account, Failure>) {
        self.seeds += 1;
        match result {
            Err(failure) => self.failures.push(failure),
            Ok(account) => {
                let sums = &mut self.sums;
                sums.hash ^= account.hash;
                sums.commands += account.commands;
                sums.cut += account.cut;
                sums.scans += account.scans;
                sums.waited += account.waited;
                sums.transactions += account.transactions;
                sums.refused += account.refused;
                sums.messages += account.messages;
                sums.reads += account.reads;
                sums.epochs += account.epochs;
                sums.undecided += account.undecided;
                sums.steps += account.steps;
            }
        }
    }

    /// The sums on a line.
    #[must_use]
    pub fn summary(&self) -> String {
        let Account {
            commands,
            cut,
            scans,
            waited,
            transactions,
            refused,
            messages,
            reads,
            epochs,
            undecided,
            steps,
            ..
        } = self.sums;
        format!(
            "{} seeds, {} failed; {epochs} epochs, {commands} commands ({cut} on cut connections), {scans} whole scans, {waited} waits, \
             {transactions} transactions ({refused} refused), {messages} messages, {reads} reads for groups, {steps} steps, {undecided} undecided",
            self.seeds,
            self.failures.len(),
        )
    }
}
