//! Runs workloads part by part. What a server lacks is said and passed over; when the server is gone, what was
//! measured until then is kept.

use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use super::catalogue::{WORKLOADS, find};
use super::fanout::fan_out;
use super::hand_over::hand_over;
use super::hit_ratio::hit_ratio;
use super::part::{Part, Workload};
use super::step::StepReport;
use super::words::{fill_words, row_words};
use crate::clock::SECOND_NS;
use crate::control::Control;
use crate::crew::Crew;
use crate::disturb::{Action, DISTURBANCES, Disturber};
use crate::error::BenchError;
use crate::hgrm::write_hgrm_files;
use crate::load::{Limit, Load};
use crate::plan::Plan;
use crate::plot::write_plots;
use crate::process::{allow_open_files, quoted};
use crate::report::{PhaseReport, Results};
use crate::run::{self, EXIT_ERROR_REPLIES, EXIT_PARTIAL, OTHER_FILES};
use crate::server_stats::Probe;
use crate::tally::ErrorTally;

/// Connections that a disturbance may open besides the load's.
const DISTURBING_FILES: u64 = 2_000;

/// Runs the workloads that the flags name.
///
/// # Errors
/// When a name is unknown, or nothing could be measured at all.
pub fn run_workloads(
    plan: &Plan,
    user: &[String],
    out: &mut dyn Write,
) -> Result<ExitCode, BenchError> {
    let workloads = chosen(plan)?;
    allow_open_files(plan.connections() + OTHER_FILES + DISTURBING_FILES)?;
    let mut course = Course {
        plan,
        user,
        probe: Probe::connect(&plan.target, plan.args.server_pid)?,
        control: plan.target.connect()?,
        known: HashMap::new(),
        missing: None,
        results: Results {
            command_line: run::own_command_line(),
            labels: plan.labels.iter().cloned().collect(),
            setup: run::setup(plan),
            ..Results::default()
        },
        out,
    };
    for workload in workloads {
        if let Err(error) = course.workload(&workload) {
            if course.results.steps.is_empty() {
                return Err(error);
            }
            run::say_partial(&format!(
                "{}: {error}; what was measured until then is kept",
                workload.name
            ));
            course.results.ended_early = Some(error.to_string());
            break;
        }
    }
    course.finish()
}

/// The workloads in the order in which they were named.
fn chosen(plan: &Plan) -> Result<Vec<Workload>, BenchError> {
    let mut workloads = Vec::new();
    for name in &plan.args.workload {
        match find(name) {
            _ if name == "all" => workloads.extend_from_slice(WORKLOADS),
            Some(workload) => workloads.push(workload),
            None => return Err(unknown("workload", name)),
        }
    }
    for name in &plan.args.disturb {
        match find(&format!("disturb-{name}")) {
            _ if name == "all" => workloads.extend_from_slice(DISTURBANCES),
            Some(workload) => workloads.push(workload),
            None => return Err(unknown("disturbance", name)),
        }
    }
    let taken = !plan.args.command.is_empty() || plan.populate.is_some();
    if taken {
        let text = "--workload and --disturb bring their own commands and keys: no --command, no --populate";
        return Err(BenchError::Usage(text.to_owned()));
    }
    Ok(workloads)
}

fn unknown(kind: &str, name: &str) -> BenchError {
    BenchError::Usage(format!("there is no {kind} {name}; --list shows them all"))
}

struct Course<'a> {
    plan: &'a Plan,
    user: &'a [String],
    probe: Probe,
    control: Control,
    /// Whether the server has a command.
    known: HashMap<String, bool>,
    /// Why what the next rows need is not there.
    missing: Option<String>,
    results: Results,
    out: &'a mut dyn Write,
}

impl Course<'_> {
    fn workload(&mut self, workload: &Workload) -> Result<(), BenchError> {
        let markdown = self.plan.args.markdown;
        if !markdown {
            let mut text = format!("\n{}\n", workload.name.to_uppercase());
            for line in workload.about.lines() {
                text.push_str(line.trim_start());
                text.push('\n');
            }
            run::print(self.out, &format!("{text}\n"))?;
        }
        if !markdown || self.results.steps.is_empty() {
            run::print(self.out, &StepReport::header(markdown))?;
        }
        self.missing = None;
        for part in (workload.parts)() {
            self.part(workload, &part)?;
        }
        Ok(())
    }

    fn part(&mut self, workload: &Workload, part: &Part) -> Result<(), BenchError> {
        let (label, flags) = match part {
            Part::Call(line) => return self.call(line),
            Part::Fill(flags) => return self.fill(flags),
            Part::Row { label, flags, .. } | Part::Disturbed { label, flags, .. } => {
                (label, flags.as_str())
            }
            Part::FanOut { label, .. }
            | Part::HandOver { label, .. }
            | Part::HitRatio { label, .. } => (label, ""),
        };
        let plan = Plan::of_words(row_words(flags, self.user)?)?;
        let mut step = StepReport {
            workload: workload.name.to_owned(),
            label: label.clone(),
            command_line: command_line(flags, self.user)?,
            setup: run::setup(&plan),
            ..StepReport::default()
        };
        step.skipped = match self.lacks(part, &plan)? {
            Some(command) => Some(format!("skipped: the server has no {command}")),
            None => self.missing.clone(),
        };
        if step.skipped.is_none() {
            match self.measure(part, &plan, &mut step) {
                Ok(()) => {}
                // A refusal concerns this row; anything else the connection.
                Err(error @ BenchError::Refused { .. }) => step.skipped = Some(error.to_string()),
                Err(error) => {
                    if step.run.is_some() {
                        self.show(step)?;
                    }
                    return Err(error);
                }
            }
        }
        self.show(step)
    }

    fn show(&mut self, step: StepReport) -> Result<(), BenchError> {
        run::print(self.out, &step.line(self.plan.args.markdown))?;
        if let Some(prefix) = &self.plan.args.plot_prefix
            && let Some(report) = &step.run
        {
            let name = format!("{} {}", step.workload, step.label);
            write_plots(prefix, Some(&name), report)?;
        }
        self.results.steps.push(step);
        // A machine that is switched off in the middle of a long list keeps what is done.
        run::write_json(self.plan, &self.results)
    }

    fn call(&mut self, line: &str) -> Result<(), BenchError> {
        self.missing = None;
        let words: Vec<&str> = line.split(' ').collect();
        match self.control.call_and_skip(&words) {
            Err(error @ BenchError::Refused { .. }) => {
                self.missing = Some(format!("skipped: {error}"));
                Ok(())
            }
            other => other,
        }
    }

    fn fill(&mut self, flags: &str) -> Result<(), BenchError> {
        let plan = Plan::of_words(fill_words(flags, self.user)?)?;
        if let Some(command) = self.lacking(&plan.load)? {
            self.missing = Some(format!(
                "skipped: the server has no {command} to fill it with"
            ));
            return Ok(());
        }
        run::warn_of_memory(&mut self.probe, &plan.load);
        let mut crew = Crew::connect(&plan)?;
        let task = run::task(&plan, "fill", &plan.load, Limit::AllKeys);
        let (report, _) = crew.measured(&mut self.probe, task, &ErrorTally::default(), None)?;
        if report.partial {
            let reason = report.lost_reason.unwrap_or_default();
            return Err(BenchError::lost(&plan.target.address.to_string(), reason));
        }
        if let Err(error) = run::refuse_full_server(&report, &plan.load) {
            eprintln!("tessera-bench: {error}");
            self.missing = Some(format!("skipped: {error}"));
            self.results.ended_early = Some(error.to_string());
        } else if let Some((text, count)) = report.errors.iter().next() {
            self.missing = Some(format!(
                "skipped: filling was refused {count} times: {text}"
            ));
        }
        Ok(())
    }

    fn measure(
        &mut self,
        part: &Part,
        plan: &Plan,
        step: &mut StepReport,
    ) -> Result<(), BenchError> {
        match part {
            Part::Row { facts, .. } => {
                let report = self.row(plan, step)?;
                if let Some(facts) = facts
                    && !report.partial
                {
                    step.facts = facts(&mut self.control, plan, &report)?;
                }
                Ok(())
            }
            Part::Disturbed { action, .. } => self.disturbed(plan, action, step),
            Part::FanOut {
                subscribers,
                at_once,
                bytes,
                ..
            } => {
                let sizes = (*subscribers, *at_once, *bytes);
                let (report, facts) = fan_out(plan, &mut self.probe, sizes)?;
                step.run = Some(report);
                step.facts = facts;
                Ok(())
            }
            Part::HandOver { pairs, bytes, .. } => {
                step.run = Some(hand_over(plan, &mut self.probe, *pairs, *bytes)?);
                Ok(())
            }
            Part::HitRatio { policy, stream, .. } => {
                step.facts = hit_ratio(&plan.target, policy, *stream)?;
                Ok(())
            }
            Part::Call(_) | Part::Fill(_) => Ok(()),
        }
    }

    fn row(&mut self, plan: &Plan, step: &mut StepReport) -> Result<PhaseReport, BenchError> {
        let mut crew = Crew::connect(plan)?;
        let errors = run::warm_up(plan, &mut crew)?;
        let limit = plan.limit.unwrap_or(Limit::Time(SECOND_NS));
        let task = run::task(plan, &step.label, &plan.load, limit);
        let (report, tally) = crew.measured(&mut self.probe, task, &errors, None)?;
        run::say_if_partial(plan, &report);
        if let Some(prefix) = &self.plan.args.hdr_file_prefix {
            let prefix = format!(
                "{prefix}_{}_{}",
                step.workload,
                crate::hgrm::file_part(&step.label)
            );
            write_hgrm_files(&prefix, &report, &tally)
                .map_err(|(path, source)| BenchError::system(path.display().to_string())(source))?;
        }
        Ok(step.run.insert(report).clone())
    }

    fn disturbed(
        &mut self,
        plan: &Plan,
        action: &Action,
        step: &mut StepReport,
    ) -> Result<(), BenchError> {
        let mut crew = Crew::connect(plan)?;
        let errors = run::warm_up(plan, &mut crew)?;
        let mut disturber = Disturber::ready(action, &plan.target)?;
        let lead = disturber.lead()? + Duration::from_secs(1);
        let wanted = match plan.limit {
            Some(Limit::Time(duration_ns)) => Duration::from_nanos(duration_ns),
            _ => Duration::from_secs(3),
        };
        let duration = wanted.max(lead);
        let limit = Limit::Time(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        let mut outcome = None;
        let mut beside = || {
            sleep(wanted / 4);
            outcome = Some(disturber.act());
        };
        let task = run::task(plan, &step.label, &plan.load, limit);
        let (report, _) = crew.measured(&mut self.probe, task, &errors, Some(&mut beside))?;
        disturber.undo();
        run::say_if_partial(plan, &report);
        step.run = Some(report);
        match outcome {
            Some(Ok(outcome)) if *action != Action::Nothing => {
                step.took_ms = Some(outcome.took.as_secs_f64() * 1e3);
                step.facts.extend(outcome.note);
            }
            Some(Err(error)) => step.facts.push(format!("NOT DONE: {error}")),
            _ => {}
        }
        Ok(())
    }

    /// A command that the part needs and the server does not have.
    fn lacks(&mut self, part: &Part, plan: &Plan) -> Result<Option<String>, BenchError> {
        let verb = match part {
            Part::FanOut { .. } => return self.first_lacking(&["SUBSCRIBE", "PUBLISH"]),
            Part::HandOver { .. } => return self.first_lacking(&["BRPOP", "LPUSH"]),
            Part::Disturbed { action, .. } => action.verb(),
            _ => None,
        };
        match verb {
            Some(verb) if !self.has(verb)? => Ok(Some(verb.to_owned())),
            _ => self.lacking(&plan.load),
        }
    }

    fn lacking(&mut self, load: &Load) -> Result<Option<String>, BenchError> {
        let verbs: Vec<&str> = load
            .commands
            .iter()
            .flat_map(|command| command.template.verbs())
            .map(String::as_str)
            .collect();
        self.first_lacking(&verbs)
    }

    fn first_lacking(&mut self, verbs: &[&str]) -> Result<Option<String>, BenchError> {
        for verb in verbs {
            if !self.has(verb)? {
                return Ok(Some((*verb).to_owned()));
            }
        }
        Ok(None)
    }

    /// Whether the server has a command; a server that cannot be asked is taken at its word later.
    fn has(&mut self, verb: &str) -> Result<bool, BenchError> {
        if let Some(known) = self.known.get(verb) {
            return Ok(*known);
        }
        let has = match self.control.strings(&["COMMAND", "INFO", verb]) {
            Ok(described) => !described.is_empty(),
            Err(BenchError::Refused { .. }) => true,
            Err(error) => return Err(error),
        };
        self.known.insert(verb.to_owned(), has);
        Ok(has)
    }

    fn finish(self) -> Result<ExitCode, BenchError> {
        run::write_json(self.plan, &self.results)?;
        let runs = || {
            self.results
                .steps
                .iter()
                .filter_map(|step| step.run.as_ref())
        };
        let partial = self.results.ended_early.is_some() || runs().any(|run| run.partial);
        Ok(if partial {
            ExitCode::from(EXIT_PARTIAL)
        } else if runs().any(|run| run.error_count() > 0) {
            ExitCode::from(EXIT_ERROR_REPLIES)
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// The command that repeats a row by itself.
fn command_line(flags: &str, user: &[String]) -> Result<String, BenchError> {
    let mut words = vec!["tessera-bench".to_owned()];
    let mut row = row_words(flags, user)?.into_iter();
    while let Some(word) = row.next() {
        match word.as_str() {
            "--label" | "--json-out-file" | "--server-pid" | "--plot-prefix" => drop(row.next()),
            "--markdown" => {}
            "-a" | "--authenticate" => {
                drop(row.next());
                words.extend([word, "***".to_owned()]);
            }
            _ => words.push(quoted(&word)),
        }
    }
    Ok(words.join(" "))
}
