//! One plain invocation from the first connection to the exit status: populate, idle connections, warm-up, run.
//! Whatever was measured is shown and written, also when what comes after it fails.

use std::io::Write;
use std::process::ExitCode;

use crate::crew::{Crew, Task};
use crate::error::BenchError;
use crate::hgrm::write_hgrm_files;
use crate::idle::IdleConnections;
use crate::load::{Limit, Load};
use crate::markdown::markdown;
use crate::plan::Plan;
use crate::plot::write_plots;
use crate::process::{Process, allow_open_files, quoted, without_path};
use crate::report::{PhaseReport, Results, Setup};
use crate::server_stats::Probe;
use crate::table;
use crate::tally::{ErrorTally, PhaseTally};

/// Open files besides the connections: standard streams, epoll and timer of each thread, the results.
pub(crate) const OTHER_FILES: u64 = 32;

pub(crate) const EXIT_ERROR_REPLIES: u8 = 3;
pub(crate) const EXIT_PARTIAL: u8 = 4;

/// Does what the plan says, prints the results and returns the exit status.
///
/// # Errors
/// When there is nothing to show: the server is not there, or files cannot be written.
pub fn run(plan: &Plan, out: &mut dyn Write) -> Result<ExitCode, BenchError> {
    let files = plan.connections() + plan.args.idle_connections + 2 * plan.args.threads;
    allow_open_files(files + OTHER_FILES)?;
    let mut results = Results {
        command_line: own_command_line(),
        labels: plan.labels.iter().cloned().collect(),
        setup: setup(plan),
        ..Results::default()
    };
    if let Err(error) = measure(plan, &mut results, out) {
        if results.populate.is_none() && results.run.is_none() {
            return Err(error);
        }
        say_partial(&format!("{error}; what was measured until then is kept"));
        results.ended_early = Some(error.to_string());
    }
    finish(plan, &results, out)
}

fn measure(plan: &Plan, results: &mut Results, out: &mut dyn Write) -> Result<(), BenchError> {
    let mut probe = Probe::connect(&plan.target, plan.args.server_pid)?;
    let mut crew = Crew::connect(plan)?;
    if let Some(load) = &plan.populate {
        warn_of_memory(&mut probe, load);
        let task = task(plan, "populate", load, Limit::AllKeys);
        let (report, tally) = crew.measured(&mut probe, task, &ErrorTally::default(), None)?;
        let report = results.populate.insert(report.with_memory_of(load));
        show_phase(plan, "LOADING ALL KEYS", report, &tally, out)?;
        refuse_full_server(report, load)?;
    }
    if let Some(limit) = plan.limit {
        let idle = match plan.args.idle_connections {
            0 => None,
            count => Some(IdleConnections::open(&plan.target, count, &mut probe)?),
        };
        let warm_errors = warm_up(plan, &mut crew)?;
        let task = task(plan, "run", &plan.load, limit);
        let (report, tally) = crew.measured(&mut probe, task, &warm_errors, None)?;
        let report = results.run.insert(report);
        results.idle = idle.map(IdleConnections::close);
        show_phase(plan, "ALL STATS", report, &tally, out)?;
    }
    Ok(())
}

/// A phase of a plan.
pub(crate) fn task<'a>(plan: &'a Plan, title: &'a str, load: &'a Load, limit: Limit) -> Task<'a> {
    Task {
        title,
        load,
        limit,
        percentiles: &plan.percentiles,
    }
}

/// The load without counting it; only its error replies are kept.
pub(crate) fn warm_up(plan: &Plan, crew: &mut Crew) -> Result<ErrorTally, BenchError> {
    let seconds = plan.args.warmup_time;
    if seconds == 0.0 {
        return Ok(ErrorTally::default());
    }
    let limit = Limit::Time((seconds * crate::clock::SECOND_NS as f64) as u64);
    let (tally, _) = crew.phase(task(plan, "warm-up", &plan.load, limit), None)?;
    if let Some(reason) = tally.lost_reason {
        eprintln!("tessera-bench: a connection was lost during the warm-up: {reason}");
    }
    Ok(tally.errors)
}

/// Says beforehand when not even the payload of all keys fits where the server may keep it.
pub(crate) fn warn_of_memory(probe: &mut Probe, load: &Load) {
    let names = load.filling.keys.names_length() as f64;
    let payload = names + load.filling.values.length_mean() * load.filling.keys.count() as f64;
    if let Some(room) = probe
        .memory_room_bytes()
        .filter(|room| (*room as f64) < payload)
    {
        eprintln!(
            "tessera-bench: {} keys are at least {:.0} MB and the server has {:.0} MB left: it will refuse or evict",
            load.filling.keys.count(),
            payload / 1e6,
            room as f64 / 1e6
        );
    }
}

/// # Errors
/// When the server had no memory for all keys: a run on them would measure something else.
pub(crate) fn refuse_full_server(report: &PhaseReport, load: &Load) -> Result<(), BenchError> {
    let refused: u64 = report
        .errors
        .iter()
        .filter(|(text, _)| text.starts_with("OOM"))
        .map(|(_, count)| count)
        .sum();
    if refused == 0 {
        return Ok(());
    }
    Err(BenchError::NoMemory {
        refused,
        keys: load.filling.keys.count(),
    })
}

pub(crate) fn setup(plan: &Plan) -> Setup {
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
pub(crate) fn own_command_line() -> String {
    let mut words: Vec<String> = Vec::new();
    let mut args = std::env::args();
    while let Some(word) = args.next() {
        match word.as_str() {
            "--label" | "--json-out-file" | "--server-pid" => drop(args.next()),
            "-a" | "--authenticate" => {
                drop(args.next());
                words.extend([word, "***".to_owned()]);
            }
            _ if word.starts_with("-a") || word.starts_with("--authenticate=") => {
                words.extend(["-a".to_owned(), "***".to_owned()]);
            }
            _ => words.push(quoted(&word)),
        }
    }
    without_path(words.join(" "))
}

pub(crate) fn say_partial(why: &str) {
    eprintln!("tessera-bench: PARTIAL RESULTS: {why}");
}

pub(crate) fn say_if_partial(plan: &Plan, report: &PhaseReport) {
    if report.partial {
        say_partial(&format!(
            "{} of {} connections lost, {} requests unanswered: {}",
            report.lost_connections,
            plan.connections(),
            report.unanswered,
            report.lost_reason.as_deref().unwrap_or("no reason known"),
        ));
    }
}

fn show_phase(
    plan: &Plan,
    title: &str,
    report: &PhaseReport,
    tally: &PhaseTally,
    out: &mut dyn Write,
) -> Result<(), BenchError> {
    say_if_partial(plan, report);
    if !plan.args.markdown {
        let partial = if report.partial { " (PARTIAL)" } else { "" };
        let limit = plan
            .limit
            .map_or_else(String::new, Limit::in_memtiers_words);
        let args = &plan.args;
        let mut text = table::preamble(args.threads, args.clients, &limit);
        text.push_str(&table::phase_table(
            &format!("{title}{partial}"),
            report,
            &plan.percentiles,
        ));
        if !args.hide_histogram {
            text.push_str(&table::histogram(report, tally));
        }
        text.push_str(&table::notes(report));
        print(out, &text)?;
    }
    if let Some(prefix) = &plan.args.plot_prefix {
        let name = (title != "ALL STATS").then_some("loading");
        write_plots(prefix, name, report)?;
    }
    if let Some(prefix) = &plan.args.hdr_file_prefix {
        write_hgrm_files(prefix, report, tally).map_err(|(path, source)| BenchError::System {
            action: path.display().to_string(),
            source,
        })?;
    }
    Ok(())
}

pub(crate) fn print(out: &mut dyn Write, text: &str) -> Result<(), BenchError> {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(BenchError::system("cannot write the results"))
}

/// What is said about all phases together.
fn finish(plan: &Plan, results: &Results, out: &mut dyn Write) -> Result<ExitCode, BenchError> {
    if plan.args.markdown {
        print(out, &markdown(results))?;
    }
    if let Some(idle) = &results.idle {
        print(out, &table::idle_line(idle))?;
    }
    write_json(plan, results)?;
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
    let idle = results.idle.as_ref();
    let closed = idle.is_some_and(|idle| idle.closed_by_server > 0);
    let early = results.ended_early.is_some();
    Ok(if closed || early || phases().any(|phase| phase.partial) {
        ExitCode::from(EXIT_PARTIAL)
    } else if errors > 0 {
        ExitCode::from(EXIT_ERROR_REPLIES)
    } else {
        ExitCode::SUCCESS
    })
}

pub(crate) fn write_json(plan: &Plan, results: &Results) -> Result<(), BenchError> {
    let Some(path) = &plan.args.json_out_file else {
        return Ok(());
    };
    let fail = BenchError::system(path.display().to_string());
    let text = serde_json::to_string_pretty(results).map_err(std::io::Error::other);
    text.and_then(|text| std::fs::write(path, text + "\n"))
        .map_err(fail)
}
