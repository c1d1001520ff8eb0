//! Runs grouped into cells: one server under one load in one placement, and the median of each figure over the
//! rounds.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::report::{PhaseReport, Results};
use crate::workload::StepReport;

const SECOND_US: f64 = 1e6;
const MEGABYTE: f64 = 1024.0 * 1024.0;
/// Client and server may differ by this share in the number of commands.
const MISCOUNT: f64 = 0.01;

/// A figure of a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// CPU time of the server per command.
    CpuUsPerOp,
    /// Commands per second.
    OpsPerS,
    /// Mean latency.
    AvgUs,
    /// Median latency.
    P50Us,
    /// 90 %.
    P90Us,
    /// 99 %.
    P99Us,
    /// 99.9 %.
    P999Us,
    /// 99.99 %.
    P9999Us,
    /// Longest latency.
    MaxUs,
    /// Requests and replies in KB per second.
    KbPerS,
    /// Resident memory of the server.
    RssMb,
    /// Longest time without a reply.
    StallUs,
    /// How long the thing beside the load took.
    TookMs,
    /// CPU time of the client per request.
    ClientCpuUsPerOp,
    /// Share of one core that the client used.
    ClientBusy,
    /// Memory per key beyond key and value.
    OverheadBytesPerKey,
    /// Longest turn of the server's loop.
    LongestTurnUs,
    /// Memory per idle connection.
    IdleBytes,
    /// Idle connections that the server closed.
    IdleClosed,
    /// Cores that were busy with something else.
    OtherCores,
}

/// A figure over the rounds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Spread {
    /// The middle one (the mean of the two middle ones of an even number).
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// The spread of some values; `None` of none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[half]
        } else {
            (values[half - 1] + values[half]) / 2.0
        };
        Some(Self { median, min, max })
    }
}

/// One server under one load in one placement.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cell {
    /// The table: `single`, `shards`, `spread`, `open`, `load`, `idle`, `workload` or `disturb`.
    pub table: String,
    /// The named workload, where there is one.
    pub workload: String,
    /// The server's short name.
    pub server: String,
    /// Its shards, when it has such.
    pub shards: Option<u32>,
    /// What was sent.
    pub command: String,
    /// Requests in flight per connection.
    pub pipeline: u32,
    /// CPUs of the server.
    pub server_cpus: String,
    /// CPUs of the client.
    pub client_cpus: String,
    /// Rounds that gave figures.
    pub rounds: usize,
    /// Error replies in all rounds.
    pub errors: u64,
    /// Rounds with something missing.
    pub partial_rounds: usize,
    /// Rounds in which the server counted other than the client.
    pub miscounted_rounds: usize,
    /// Name and version as the server says.
    pub version: String,
    /// How the server was started.
    pub server_command: String,
    /// How the client was started.
    pub client_command: String,
    /// The figures.
    pub figures: BTreeMap<Metric, Spread>,
    /// What was said besides in the last round.
    pub notes: Vec<String>,
    /// Latency by percentile in the last round.
    #[serde(skip)]
    pub curve: Vec<(f64, f64)>,
}

/// A row that a server could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Skip {
    /// The workload.
    pub workload: String,
    /// The server.
    pub server: String,
    /// Why.
    pub reason: String,
    /// Which rows.
    pub rows: Vec<String>,
}

impl Cell {
    /// The median of a figure.
    #[must_use]
    pub fn median(&self, metric: Metric) -> Option<f64> {
        self.figures.get(&metric).map(|spread| spread.median)
    }

    /// This cell's median over another's.
    #[must_use]
    pub fn ratio(&self, metric: Metric, other: &Self) -> Option<f64> {
        let below = other.median(metric).filter(|value| *value > 0.0)?;
        Some(self.median(metric)? / below)
    }

    /// Whether both had the same load.
    #[must_use]
    pub fn same_load(&self, other: &Self) -> bool {
        (&self.workload, &self.command, self.pipeline)
            == (&other.workload, &other.command, other.pipeline)
    }

    /// Whether it is ours.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.server == "tessera"
    }

    /// The load in words.
    #[must_use]
    pub fn load(&self) -> String {
        if self.workload.is_empty() {
            format!("{}, pipeline {}", self.command, self.pipeline)
        } else {
            format!("{}: {}", self.workload, self.command)
        }
    }

    /// The server in words.
    #[must_use]
    pub fn name(&self) -> String {
        let version = if self.version.is_empty() {
            &self.server
        } else {
            &self.version
        };
        match self.shards {
            Some(1) => format!("{version}, 1 shard"),
            Some(shards) => format!("{version}, {shards} shards"),
            None => version.clone(),
        }
    }
}

/// All runs in a folder, in the order of their file names.
///
/// # Errors
/// When a file cannot be read, or is no result.
pub fn read_runs(folder: &Path) -> io::Result<Vec<Results>> {
    let mut paths = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path)?;
        serde_json::from_str(&text)
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
    };
    paths.iter().map(read).collect()
}

/// The rows that were passed over, with the reasons.
#[must_use]
pub fn skips(runs: &[Results]) -> Vec<Skip> {
    let mut list: Vec<Skip> = Vec::new();
    for run in runs {
        let server = run.labels.get("server").cloned().unwrap_or_default();
        for step in &run.steps {
            let Some(reason) = &step.skipped else {
                continue;
            };
            let same = |skip: &&mut Skip| {
                (&skip.workload, &skip.server, &skip.reason) == (&step.workload, &server, reason)
            };
            match list.iter_mut().find(same) {
                Some(skip) if skip.rows.contains(&step.label) => {}
                Some(skip) => skip.rows.push(step.label.clone()),
                None => list.push(Skip {
                    workload: step.workload.clone(),
                    server: server.clone(),
                    reason: reason.clone(),
                    rows: vec![step.label.clone()],
                }),
            }
        }
    }
    list
}

/// A run as runs of one row each.
fn expand(run: &Results) -> Vec<Results> {
    if run.steps.is_empty() {
        return vec![run.clone()];
    }
    let alone = |step: &StepReport| {
        let mut labels = run.labels.clone();
        labels.insert("workload".to_owned(), step.workload.clone());
        labels.insert("command".to_owned(), step.label.clone());
        Results {
            command_line: step.command_line.clone(),
            labels,
            setup: step.setup.clone(),
            run: step.run.clone(),
            steps: vec![step.clone()],
            ..Results::default()
        }
    };
    run.steps.iter().map(alone).collect()
}

/// Groups runs into cells, in the order in which the cells first appear.
#[must_use]
pub fn gather(runs: &[Results]) -> Vec<Cell> {
    let mut cells: Vec<(Cell, BTreeMap<Metric, Vec<f64>>)> = Vec::new();
    for run in &runs.iter().flat_map(expand).collect::<Vec<_>>() {
        let Some(phase) = run.run.as_ref().or(run.populate.as_ref()) else {
            continue;
        };
        let new = describe(run, phase);
        let same = |cell: &Cell| {
            (
                &cell.table,
                &cell.server,
                cell.shards,
                &cell.server_cpus,
                &cell.client_cpus,
            ) == (
                &new.table,
                &new.server,
                new.shards,
                &new.server_cpus,
                &new.client_cpus,
            ) && cell.same_load(&new)
        };
        let at = cells
            .iter()
            .position(|(cell, _)| same(cell))
            .unwrap_or_else(|| {
                cells.push((new.clone(), BTreeMap::new()));
                cells.len() - 1
            });
        let (cell, values) = &mut cells[at];
        cell.rounds += 1;
        cell.curve.clone_from(&new.curve);
        cell.notes.clone_from(&new.notes);
        cell.errors += phase.error_count();
        cell.partial_rounds += usize::from(phase.partial);
        let plain = cell.workload.is_empty();
        cell.miscounted_rounds += usize::from(plain && is_miscounted(phase));
        for (metric, value) in figures(run, phase) {
            values.entry(metric).or_default().push(value);
        }
    }
    let finish = |(mut cell, values): (Cell, BTreeMap<Metric, Vec<f64>>)| {
        let spreads = values
            .into_iter()
            .filter_map(|(metric, list)| Some((metric, Spread::of(list)?)));
        cell.figures = spreads.collect();
        cell
    };
    cells.into_iter().map(finish).collect()
}

/// Whether the server's count of commands is off from the client's.
fn is_miscounted(phase: &PhaseReport) -> bool {
    // Commands inside transactions and scripts count there and not here; the plain loads must agree.
    let sent = phase.commands.max(phase.totals.replies);
    let off = |commands: u64| commands.abs_diff(sent) as f64 > MISCOUNT * sent as f64;
    phase.server.commands.is_some_and(off)
}

/// A cell without figures.
fn describe(run: &Results, phase: &PhaseReport) -> Cell {
    let label = |name: &str| run.labels.get(name).cloned().unwrap_or_default();
    Cell {
        table: label("table"),
        workload: label("workload"),
        notes: run
            .steps
            .iter()
            .flat_map(|step| step.facts.clone())
            .collect(),
        curve: phase.curve.clone(),
        server: label("server"),
        shards: label("shards").parse().ok(),
        command: label("command"),
        pipeline: run.setup.pipeline,
        server_cpus: phase.server.cpus_allowed.clone().unwrap_or_default(),
        client_cpus: run.setup.client_cpus_allowed.clone().unwrap_or_default(),
        version: phase.server.version.clone().unwrap_or_default(),
        server_command: label("server_command"),
        client_command: run.command_line.clone(),
        ..Cell::default()
    }
}

fn figures(run: &Results, phase: &PhaseReport) -> Vec<(Metric, f64)> {
    let latency = phase.totals.latency.as_ref();
    let ops_per_s = phase.totals.ops_per_s;
    let idle = run.idle.as_ref();
    let all = [
        (Metric::CpuUsPerOp, phase.server.cpu_us_per_op),
        (Metric::OpsPerS, Some(ops_per_s)),
        (Metric::AvgUs, latency.map(|l| l.avg_us)),
        (Metric::P50Us, latency.map(|l| l.p50_us)),
        (Metric::P90Us, latency.map(|l| l.p90_us)),
        (Metric::P9999Us, latency.map(|l| l.p9999_us)),
        (Metric::KbPerS, Some(phase.totals.kb_per_s)),
        (Metric::StallUs, Some(phase.longest_gap_us)),
        (
            Metric::TookMs,
            run.steps.first().and_then(|step| step.took_ms),
        ),
        (
            Metric::RssMb,
            phase.server.rss_bytes.map(|bytes| bytes as f64 / MEGABYTE),
        ),
        (Metric::P99Us, latency.map(|l| l.p99_us)),
        (Metric::P999Us, latency.map(|l| l.p999_us)),
        (Metric::MaxUs, latency.map(|l| l.max_us)),
        (Metric::ClientCpuUsPerOp, Some(phase.client_cpu_us_per_op)),
        (
            Metric::ClientBusy,
            Some(phase.client_cpu_us_per_op * ops_per_s / SECOND_US),
        ),
        (
            Metric::OverheadBytesPerKey,
            phase.memory.as_ref().map(|m| m.overhead_bytes_per_key),
        ),
        (Metric::LongestTurnUs, phase.server.longest_turn_us),
        (Metric::IdleBytes, idle.and_then(|i| i.bytes_per_connection)),
        (Metric::IdleClosed, idle.map(|i| i.closed_by_server as f64)),
        (Metric::OtherCores, phase.other_cores),
    ];
    all.into_iter()
        .filter_map(|(metric, value)| Some((metric, value?)))
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::{Latency, Row, Setup};
    use crate::server_stats::ServerReport;

    /// A run with the given server CPU per command.
    pub(crate) fn run_of(
        table: &str,
        server: &str,
        shards: &str,
        pipeline: u32,
        cpu: f64,
    ) -> Results {
        let labels = [
            ("table", table),
            ("server", server),
            ("shards", shards),
            ("command", "GET"),
        ];
        let latency = Latency {
            p50_us: cpu * 10.0,
            p99_us: cpu * 20.0,
            ..Latency::default()
        };
        let totals = Row {
            ops_per_s: 1e6 / cpu,
            latency: Some(latency),
            ..Row::default()
        };
        let server = ServerReport {
            cpu_us_per_op: Some(cpu),
            ..ServerReport::default()
        };
        Results {
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            setup: Setup {
                pipeline,
                ..Setup::default()
            },
            run: Some(PhaseReport {
                totals,
                server,
                ..PhaseReport::default()
            }),
            ..Results::default()
        }
    }

    #[test]
    fn medians_of_odd_and_even_numbers() {
        let median = |values: &[f64]| Spread::of(values.to_vec()).map(|s| s.median);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn rows_of_a_workload_become_cells_and_what_was_passed_over_is_kept() {
        let mut run = run_of("workload", "redis", "", 1, 7.0);
        let step = |label: &str| StepReport {
            workload: "recent".to_owned(),
            label: label.to_owned(),
            ..StepReport::default()
        };
        let measured = StepReport {
            run: run.run.take(),
            took_ms: Some(3.0),
            facts: vec!["a fact".to_owned()],
            ..step("push")
        };
        let skipped = StepReport {
            skipped: Some("no LRANGE".to_owned()),
            ..step("read")
        };
        run.steps = vec![measured, skipped.clone(), skipped];
        let cells = gather(&[run.clone(), run.clone()]);
        assert_eq!(cells.len(), 1);
        assert_eq!(
            (cells[0].rounds, cells[0].load()),
            (2, "recent: push".to_owned())
        );
        assert_eq!(cells[0].median(Metric::TookMs), Some(3.0));
        assert_eq!(cells[0].notes, ["a fact"]);
        let skips = skips(&[run]);
        assert_eq!(
            (skips.len(), skips[0].rows.as_slice()),
            (1, &["read".to_owned()][..])
        );
    }

    #[test]
    fn rounds_of_one_server_and_load_become_one_cell() {
        let mut broken = run_of("single", "redis", "", 1, 9.0);
        if let Some(run) = &mut broken.run {
            run.partial = true;
            run.errors.insert("ERR".to_owned(), 2);
            run.totals.replies = 1000;
            run.server.commands = Some(1011);
        }
        let runs = [
            run_of("single", "redis", "", 1, 7.0),
            run_of("single", "tessera", "1", 1, 6.0),
            run_of("single", "redis", "", 16, 1.0),
            run_of("single", "redis", "", 1, 8.0),
            broken,
        ];
        let cells = gather(&runs);
        assert_eq!(cells.len(), 3);
        assert_eq!(
            (cells[0].rounds, cells[0].errors, cells[0].partial_rounds),
            (3, 2, 1)
        );
        assert_eq!(
            (cells[0].miscounted_rounds, cells[1].miscounted_rounds),
            (1, 0)
        );
        assert_eq!(cells[0].median(Metric::CpuUsPerOp), Some(8.0));
        assert_eq!(cells[1].ratio(Metric::CpuUsPerOp, &cells[0]), Some(0.75));
        assert_eq!(cells[1].name(), "tessera, 1 shard");
    }
}
