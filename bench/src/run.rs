//! One invocation from the first connection to the exit status: populate, idle connections, warm-up, run.

use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;

use crate::args::Plan;
use crate::clock::Clock;
use crate::error::BenchError;
use crate::idle::IdleConnections;
use crate::live::Live;
use crate::load::{Limit, Load};
use crate::process::{
    Process, allow_open_files, machine_busy_us, own_cpu_ns, quoted, without_path,
};
use crate::progress::Progress;
use crate::report::{Frame, PhaseReport, Results, Setup};
use crate::server_stats::Probe;
use crate::table;
use crate::tally::{ErrorTally, PhaseTally};
use crate::worker::{Phase, PhaseEnd, Worker};

/// Open files besides the connections: standard streams, epoll and timer of each thread, the results.
const OTHER_FILES: u64 = 32;

const EXIT_ERROR_REPLIES: u8 = 3;
const EXIT_PARTIAL: u8 = 4;

/// What the measured connections are run with.
struct Bench<'a> {
    plan: &'a Plan,
    clock: Clock,
    workers: Vec<Worker>,
    probe: Probe,
}

/// Does what the plan says, prints the results and returns the exit status.
///
/// # Errors
/// When there is nothing to show: the server is not there, or files cannot be written.
pub fn run(plan: &Plan) -> Result<ExitCode, BenchError> {
    let connections = plan.connections();
    allow_open_files(
        connections + plan.args.idle_connections + 2 * plan.args.threads + OTHER_FILES,
    )?;
    let probe = Probe::connect(&plan.target, plan.args.server_pid)?;
    let mut bench = Bench {
        plan,
        clock: Clock::start(),
        workers: Vec::new(),
        probe,
    };
    for thread in 0..plan.args.threads {
        bench.workers.push(Worker::connect(
            &plan.target,
            thread * plan.args.clients,
            plan.args.clients,
        )?);
    }
    let mut results = Results {
        command_line: own_command_line(),
        labels: plan.labels.iter().cloned().collect(),
        setup: setup(plan),
        ..Results::default()
    };
    if let Some(load) = &plan.populate {
        let (report, tally) =
            bench.measured("populate", load, Limit::AllKeys, &ErrorTally::default())?;
        results.populate = Some(report.with_memory_of(load));
        show_phase(plan, "LOADING ALL KEYS", results.populate.as_ref(), &tally)?;
    }
    if let Some(limit) = plan.limit {
        let idle = match plan.args.idle_connections {
            0 => None,
            count => Some(IdleConnections::open(
                &plan.target,
                count,
                &mut bench.probe,
            )?),
        };
        let warm_errors = bench.warm_up()?;
        let (report, tally) = bench.measured("run", &plan.load, limit, &warm_errors)?;
        results.run = Some(report);
        results.idle = idle.map(IdleConnections::close);
        show_phase(plan, "ALL STATS", results.run.as_ref(), &tally)?;
    }
    finish(plan, &results)
}

impl Bench<'_> {
    /// The load without counting it; only its error replies are kept.
    fn warm_up(&mut self) -> Result<ErrorTally, BenchError> {
        let seconds = self.plan.args.warmup_time;
        if seconds == 0.0 {
            return Ok(ErrorTally::default());
        }
        let limit = Limit::Time((seconds * crate::clock::SECOND_NS as f64) as u64);
        let (tally, _) = self.phase("warm-up", &self.plan.load, limit)?;
        if let Some(reason) = tally.lost_reason {
            eprintln!("tessera-bench: a connection was lost during the warm-up: {reason}");
        }
        Ok(tally.errors)
    }

    /// A phase with the server's side of it.
    fn measured(
        &mut self,
        title: &str,
        load: &Load,
        limit: Limit,
        earlier_errors: &ErrorTally,
    ) -> Result<(PhaseReport, PhaseTally), BenchError> {
        let before = self.probe.before();
        let busy_before_us = machine_busy_us();
        let cpu_before_ns = own_cpu_ns();
        let (mut tally, elapsed_ns) = self.phase(title, load, limit)?;
        let client_cpu_ns = own_cpu_ns() - cpu_before_ns;
        let machine_busy_us = machine_busy_us()
            .zip(busy_before_us)
            .map(|(after, before)| after - before);
        let server = self.probe.after(&before, tally.totals().replies());
        tally.errors.merge(earlier_errors);
        let frame = Frame {
            load,
            elapsed_ns,
            server,
            client_cpu_ns,
            machine_busy_us,
            percentiles: &self.plan.percentiles,
        };
        Ok((PhaseReport::new(&tally, frame), tally))
    }

    /// Lets all workers run a phase; their counts and the time from the first start to the last reply.
    fn phase(
        &mut self,
        title: &str,
        load: &Load,
        limit: Limit,
    ) -> Result<(PhaseTally, u64), BenchError> {
        let barrier = Barrier::new(self.workers.len());
        let lives: Vec<Live> = self.workers.iter().map(|_| Live::default()).collect();
        let watched = Progress::is_wanted();
        let connections = self.plan.connections();
        let clock = self.clock;
        let ends: Result<Vec<PhaseEnd>, BenchError> = thread::scope(|scope| {
            let threads: Vec<_> = self
                .workers
                .iter_mut()
                .zip(&lives)
                .map(|(worker, live)| {
                    let live = watched.then_some(live);
                    let phase = Phase {
                        load,
                        limit,
                        clock,
                        connections,
                        barrier: &barrier,
                        live,
                    };
                    scope.spawn(move || worker.run(&phase))
                })
                .collect();
            if watched {
                let requests = match limit {
                    Limit::Requests(count) => count * connections,
                    Limit::AllKeys | Limit::Time(_) => load.filling.keys.count(),
                };
                let finished = || threads.iter().all(thread::ScopedJoinHandle::is_finished);
                Progress::start(title, limit, requests).watch(&lives, finished);
            }
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        let ends = ends?;
        let started_ns = ends.iter().map(|end| end.started_ns).min().unwrap_or(0);
        let ended_ns = ends.iter().map(|end| end.ended_ns).max().unwrap_or(0);
        let mut tally = PhaseTally::new(load.commands.len());
        for end in ends {
            tally.merge(end.tally);
        }
        Ok((tally, ended_ns - started_ns))
    }
}

fn setup(plan: &Plan) -> Setup {
    Setup {
        address: plan.target.address.to_string(),
        threads: plan.args.threads,
        clients: plan.args.clients,
        pipeline: plan.load.pipeline,
        pipeline_batches: plan.load.batches,
        rate_per_connection: plan.load.rate,
        resp: plan.target.resp,
        client_cpus_allowed: Process::own().cpus_allowed(),
    }
}

/// The command that was given, without what differs from run to run and with the password blanked.
fn own_command_line() -> String {
    let mut words: Vec<String> = Vec::new();
    let mut args = std::env::args();
    while let Some(word) = args.next() {
        match word.as_str() {
            "--label" | "--json-out-file" | "--server-pid" => drop(args.next()),
            "-a" | "--authenticate" => {
                drop(args.next());
                words.extend([word, "***".to_owned()]);
            }
            _ => words.push(quoted(&word)),
        }
    }
    without_path(words.join(" "))
}

fn show_phase(
    plan: &Plan,
    title: &str,
    report: Option<&PhaseReport>,
    tally: &PhaseTally,
) -> Result<(), BenchError> {
    let Some(report) = report else { return Ok(()) };
    if report.partial {
        eprintln!(
            "tessera-bench: PARTIAL RESULTS: {} of {} connections lost, {} requests unanswered: {}",
            report.lost_connections,
            plan.connections(),
            report.unanswered,
            report.lost_reason.as_deref().unwrap_or("no reason known"),
        );
    }
    if !plan.args.markdown {
        let args = &plan.args;
        println!(
            "{:<10}Threads\n{:<10}Connections per thread\n{:<10}Requests in flight per connection",
            args.threads,
            args.clients,
            plan.populate
                .as_ref()
                .filter(|_| title != "ALL STATS")
                .unwrap_or(&plan.load)
                .pipeline
        );
        let title = if report.partial {
            format!("{title} (PARTIAL)")
        } else {
            title.to_owned()
        };
        print!("{}", table::phase_table(&title, report, &plan.percentiles));
        if !args.hide_histogram {
            print!("{}", table::histogram(report, tally));
        }
    }
    if let Some(prefix) = &plan.args.hdr_file_prefix {
        table::write_hgrm_files(prefix, report, tally).map_err(|(path, source)| {
            BenchError::System {
                action: path.display().to_string(),
                source,
            }
        })?;
    }
    Ok(())
}

/// What is said about all phases together.
fn finish(plan: &Plan, results: &Results) -> Result<ExitCode, BenchError> {
    if plan.args.markdown {
        print!("{}", table::markdown(results));
    }
    if let Some(idle) = &results.idle {
        print!("{}", table::idle_line(idle));
    }
    if let Some(path) = &plan.args.json_out_file {
        let fail = BenchError::system(path.display().to_string());
        let text = serde_json::to_string_pretty(results).map_err(std::io::Error::other);
        text.and_then(|text| std::fs::write(path, text + "\n"))
            .map_err(fail)?;
    }
    let phases = || results.populate.iter().chain(&results.run);
    let errors: u64 = phases().map(PhaseReport::error_count).sum();
    if errors > 0 {
        eprintln!("tessera-bench: {errors} error replies");
        if plan.args.markdown {
            for (text, count) in phases().flat_map(|phase| &phase.errors) {
                eprintln!("tessera-bench: {count} x {text}");
            }
        }
    }
    let closed = results
        .idle
        .as_ref()
        .is_some_and(|idle| idle.closed_by_server > 0);
    Ok(if closed || phases().any(|phase| phase.partial) {
        ExitCode::from(EXIT_PARTIAL)
    } else if errors > 0 {
        ExitCode::from(EXIT_ERROR_REPLIES)
    } else {
        ExitCode::SUCCESS
    })
}
