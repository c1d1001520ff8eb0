//! Runs grouped into cells: one server under one load in one placement, and the median of each figure over the
//! rounds.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::report::{PhaseReport, Results};

const SECOND_US: f64 = 1e6;
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
    /// Median latency.
    P50Us,
    /// 99 %.
    P99Us,
    /// 99.9 %.
    P999Us,
    /// Longest latency.
    MaxUs,
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
    /// The table: `single`, `shards`, `load` or `idle`.
    pub table: String,
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
        (&self.command, self.pipeline) == (&other.command, other.pipeline)
    }

    /// Whether it is ours.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.server == "tessera"
    }

    /// The load in words.
    #[must_use]
    pub fn load(&self) -> String {
        format!("{}, pipeline {}", self.command, self.pipeline)
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

/// Groups runs into cells, in the order in which the cells first appear.
#[must_use]
pub fn gather(runs: &[Results]) -> Vec<Cell> {
    let mut cells: Vec<(Cell, BTreeMap<Metric, Vec<f64>>)> = Vec::new();
    for run in runs {
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
        cell.errors += phase.error_count();
        cell.partial_rounds += usize::from(phase.partial);
        cell.miscounted_rounds += usize::from(is_miscounted(phase));
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
    let replies = phase.totals.replies;
    let off = |commands: u64| commands.abs_diff(replies) as f64 > MISCOUNT * replies as f64;
    phase.server.commands.is_some_and(off)
}

/// A cell without figures.
fn describe(run: &Results, phase: &PhaseReport) -> Cell {
    let label = |name: &str| run.labels.get(name).cloned().unwrap_or_default();
    Cell {
        table: label("table"),
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
        (Metric::P50Us, latency.map(|l| l.p50_us)),
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
