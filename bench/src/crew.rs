//! The threads of a load with their connections, and a phase run by all of them at once: from a common start,
//! with a progress line, with the server's side measured, and with somebody beside them if wanted.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::clock::Clock;
use crate::error::BenchError;
use crate::live::Live;
use crate::load::{Limit, Load};
use crate::plan::Plan;
use crate::process::{machine_busy_us, own_cpu_ns};
use crate::progress::Progress;
use crate::report::{Frame, PhaseReport};
use crate::server_stats::Probe;
use crate::tally::{ErrorTally, PhaseTally};
use crate::worker::{Phase, PhaseEnd, Worker};

/// What runs beside the load, in a thread of its own. A load that ends by time goes on until it is done.
pub type Beside<'a> = &'a mut (dyn FnMut() + Send);

/// The threads and their connections; they outlive the phases.
#[derive(Debug)]
pub struct Crew {
    clock: Clock,
    workers: Vec<Worker>,
    connections: u64,
}

/// A phase under its name.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// What the progress line calls it.
    pub title: &'a str,
    /// The load.
    pub load: &'a Load,
    /// When it ends.
    pub limit: Limit,
    /// The percentiles to list.
    pub percentiles: &'a [f64],
}

impl Crew {
    /// Opens the connections of a plan.
    ///
    /// # Errors
    /// When the server refuses one.
    pub fn connect(plan: &Plan) -> Result<Self, BenchError> {
        let clients = plan.args.clients;
        let connect = |thread| Worker::connect(&plan.target, thread * clients, clients, plan.seed);
        let workers: Result<Vec<Worker>, BenchError> =
            (0..plan.args.threads).map(connect).collect();
        Ok(Self {
            clock: Clock::start(),
            workers: workers?,
            connections: plan.connections(),
        })
    }

    /// A phase with the server's side of it.
    ///
    /// # Errors
    /// When the system refuses a wait; what goes wrong with the server is part of the report.
    pub fn measured(
        &mut self,
        probe: &mut Probe,
        task: Task<'_>,
        earlier_errors: &ErrorTally,
        beside: Option<Beside<'_>>,
    ) -> Result<(PhaseReport, PhaseTally), BenchError> {
        let before = probe.before();
        let busy_before_us = machine_busy_us();
        let cpu_before_ns = own_cpu_ns();
        let (mut tally, elapsed_ns) = self.phase(task, beside)?;
        let client_cpu_ns = own_cpu_ns() - cpu_before_ns;
        let machine_busy_us = machine_busy_us()
            .zip(busy_before_us)
            .map(|(after, before)| after - before);
        let server = probe.after(&before, tally.totals().replies());
        tally.errors.merge(earlier_errors);
        let frame = Frame {
            load: task.load,
            elapsed_ns,
            server,
            client_cpu_ns,
            machine_busy_us,
            percentiles: task.percentiles,
        };
        Ok((PhaseReport::new(&tally, frame), tally))
    }

    /// Lets all workers run a phase; their counts and the time from the first start to the last reply.
    ///
    /// # Errors
    /// When the system refuses a wait.
    pub fn phase(
        &mut self,
        task: Task<'_>,
        beside: Option<Beside<'_>>,
    ) -> Result<(PhaseTally, u64), BenchError> {
        let barrier = Barrier::new(self.workers.len());
        let lives: Vec<Live> = self.workers.iter().map(|_| Live::default()).collect();
        let watched = Progress::is_wanted();
        let (hold, going_on) = (beside.is_some(), AtomicBool::new(true));
        let Self {
            clock,
            workers,
            connections,
        } = self;
        let ends: Result<Vec<PhaseEnd>, BenchError> = thread::scope(|scope| {
            let mut threads = Vec::new();
            for (worker, live) in workers.iter_mut().zip(&lives) {
                let phase = Phase {
                    load: task.load,
                    limit: task.limit,
                    clock: *clock,
                    connections: *connections,
                    barrier: &barrier,
                    live: watched.then_some(live),
                    hold: hold.then_some(&going_on),
                };
                threads.push(scope.spawn(move || worker.run(&phase)));
            }
            if let Some(beside) = beside {
                let going_on = &going_on;
                scope.spawn(move || {
                    beside();
                    going_on.store(false, Ordering::Relaxed);
                });
            }
            if watched {
                let requests = match task.limit {
                    Limit::Requests(count) => count * *connections,
                    Limit::AllKeys | Limit::Time(_) => task.load.filling.keys.count(),
                };
                let finished = || threads.iter().all(thread::ScopedJoinHandle::is_finished);
                Progress::start(task.title, task.limit, requests).watch(&lives, finished);
            }
            let joined = threads.into_iter().map(|thread| {
                let end = thread.join();
                end.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            joined.collect()
        });
        let ends = ends?;
        let started_ns = ends.iter().map(|end| end.started_ns).min().unwrap_or(0);
        let ended_ns = ends.iter().map(|end| end.ended_ns).max().unwrap_or(0);
        let mut tally = PhaseTally::new(task.load.commands.len(), started_ns);
        for end in ends {
            tally.merge(end.tally);
        }
        Ok((tally, ended_ns - started_ns))
    }
}
