//! The results as data: what is printed, written as JSON and read back by the results page. Units stand
//! last in the names.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::clock::SECOND_NS;
use crate::idle::IdleReport;
use crate::load::Load;
use crate::server_stats::ServerReport;
use crate::tally::{CommandTally, PhaseTally};
use crate::timeline::TimePoint;
use crate::workload::StepReport;

const MICROSECOND_NS: f64 = 1000.0;
const KILOBYTE: f64 = 1024.0;

/// Everything one invocation measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The command that made it.
    pub command_line: String,
    /// Labels given with --label.
    pub labels: BTreeMap<String, String>,
    /// The connections and how they were used.
    pub setup: Setup,
    /// The loading of all keys.
    pub populate: Option<PhaseReport>,
    /// The measured run.
    pub run: Option<PhaseReport>,
    /// The idle connections beside it.
    pub idle: Option<IdleReport>,
    /// The rows of named workloads.
    #[serde(default)]
    pub steps: Vec<StepReport>,
    /// Why it ended before everything was measured.
    #[serde(default)]
    pub ended_early: Option<String>,
}

/// The connections and how they were used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The server's address.
    pub address: String,
    /// Threads of the client.
    pub threads: u64,
    /// Connections of each.
    pub clients: u64,
    /// Requests in flight per connection.
    pub pipeline: u32,
    /// Whether the pipeline is filled only when it is empty.
    pub pipeline_batches: bool,
    /// Requests per second and connection of an open loop.
    pub rate_per_connection: Option<u64>,
    /// RESP version.
    pub resp: u8,
    /// CPUs the client may run on.
    pub client_cpus_allowed: Option<String>,
}

/// One phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseReport {
    /// Seconds from the first request to the last reply.
    pub elapsed_s: f64,
    /// One row per command.
    pub rows: Vec<Row>,
    /// All of them together.
    pub totals: Row,
    /// The server's side.
    pub server: ServerReport,
    /// CPU time of the client per request.
    pub client_cpu_us_per_op: f64,
    /// Cores that were busy with neither the client nor the server, on average; known when the server is local.
    pub other_cores: Option<f64>,
    /// Error replies by text.
    pub errors: BTreeMap<String, u64>,
    /// Something is missing: connections were lost, or replies did not come.
    pub partial: bool,
    /// Connections lost.
    pub lost_connections: u64,
    /// Why the first one was.
    pub lost_reason: Option<String>,
    /// Requests without a reply.
    pub unanswered: u64,
    /// Open loop: requests that were due and never sent, because the window was full.
    pub unsent: u64,
    /// What loading the keys cost in memory.
    pub memory: Option<MemoryReport>,
    /// Whether the commands were given one by one, and are not memtier's SET and GET.
    #[serde(default)]
    pub free_commands: bool,
    /// Commands in the requests that were answered: more than replies where a request is several commands.
    #[serde(default)]
    pub commands: u64,
    /// The longest time in which no reply came to a thread that waited for one.
    #[serde(default)]
    pub longest_gap_us: f64,
    /// Percentiles and latencies in microseconds of all requests, as a curve.
    #[serde(default)]
    pub curve: Vec<(f64, f64)>,
    /// The run over time.
    #[serde(default)]
    pub timeline: Vec<TimePoint>,
}

/// Rates and latencies of one command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What the tables call it.
    pub label: String,
    /// Replies, errors included.
    pub replies: u64,
    /// Error replies.
    pub errors: u64,
    /// Nulls among the replies of commands that have no hits and misses.
    #[serde(default)]
    pub nulls: u64,
    /// Replies per second.
    pub ops_per_s: f64,
    /// Hits and misses per second, for commands that have them.
    pub hits_per_s: Option<f64>,
    /// Misses per second.
    pub misses_per_s: Option<f64>,
    /// Requests and replies in KB (of 1,024 bytes) per second.
    pub kb_per_s: f64,
    /// Latencies; `None` without replies.
    pub latency: Option<Latency>,
}

/// Latencies in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Mean.
    pub avg_us: f64,
    /// Median.
    pub p50_us: f64,
    /// 90 %.
    pub p90_us: f64,
    /// 99 %.
    pub p99_us: f64,
    /// 99.9 %.
    pub p999_us: f64,
    /// 99.99 %.
    pub p9999_us: f64,
    /// Longest.
    pub max_us: f64,
    /// The percentiles asked for, and their values in microseconds.
    pub percentiles: Vec<(f64, f64)>,
}

/// What loading the keys cost the server in memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// Keys of the range.
    pub keys: u64,
    /// Growth of the server's resident memory, per key.
    pub rss_bytes_per_key: f64,
    /// Bytes of the mean key and the mean value.
    pub payload_bytes_per_key: f64,
    /// The difference.
    pub overhead_bytes_per_key: f64,
}

/// What `PhaseReport::new` is made from besides the counts.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// The load.
    pub load: &'a Load,
    /// Nanoseconds from the first request to the last reply.
    pub elapsed_ns: u64,
    /// The server's side.
    pub server: ServerReport,
    /// CPU time of the client.
    pub client_cpu_ns: u64,
    /// CPU time of the whole machine meanwhile.
    pub machine_busy_us: Option<u64>,
    /// The percentiles to list.
    pub percentiles: &'a [f64],
}

impl PhaseReport {
    /// The report of one phase.
    #[must_use]
    pub fn new(tally: &PhaseTally, frame: Frame<'_>) -> Self {
        let elapsed_s = frame.elapsed_ns.max(1) as f64 / SECOND_NS as f64;
        let row = |label: &str, reads: bool, tally: &CommandTally| {
            Row::new(label, reads, tally, elapsed_s, frame.percentiles)
        };
        let totals = tally.totals();
        let any_reads = frame
            .load
            .commands
            .iter()
            .any(|command| command.template.reads());
        let other_cores = other_cores(&frame);
        let commands = frame.load.commands.iter().zip(&tally.commands);
        Self {
            free_commands: frame.load.free_commands,
            commands: commands
                .map(|(command, tally)| tally.replies() * u64::from(command.template.replies()))
                .sum(),
            longest_gap_us: tally.longest_gap_ns as f64 / MICROSECOND_NS,
            curve: curve(&totals.latency_ns),
            timeline: tally.timeline.points(frame.elapsed_ns),
            elapsed_s,
            other_cores,
            rows: frame
                .load
                .commands
                .iter()
                .zip(&tally.commands)
                .map(|(command, tally)| row(&command.label, command.template.reads(), tally))
                .collect(),
            totals: row("Totals", any_reads, &totals),
            server: frame.server,
            client_cpu_us_per_op: frame.client_cpu_ns as f64
                / MICROSECOND_NS
                / totals.replies().max(1) as f64,
            errors: tally
                .errors
                .iter()
                .map(|(text, count)| (text.to_owned(), count))
                .collect(),
            partial: tally.is_partial(),
            lost_connections: tally.lost_connections,
            lost_reason: tally.lost_reason.clone(),
            unanswered: tally.unanswered,
            unsent: tally.unsent,
            memory: None,
        }
    }

    /// The memory that loading the whole range of the load took.
    #[must_use]
    pub fn with_memory_of(mut self, load: &Load) -> Self {
        let keys = load.filling.keys.count();
        self.memory =
            self.server
                .rss_bytes
                .zip(self.server.rss_bytes_before)
                .map(|(after, before)| {
                    let rss_bytes_per_key = (after as f64 - before as f64) / keys as f64;
                    let names = load.filling.keys.names_length() as f64 / keys as f64;
                    let payload_bytes_per_key = names + load.filling.values.length_mean();
                    MemoryReport {
                        keys,
                        rss_bytes_per_key,
                        payload_bytes_per_key,
                        overhead_bytes_per_key: rss_bytes_per_key - payload_bytes_per_key,
                    }
                });
        self
    }

    /// Error replies of all texts.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// What the machine did besides. `proc` says that the server's CPU time is of this machine.
fn other_cores(frame: &Frame<'_>) -> Option<f64> {
    let server_us = frame
        .server
        .cpu_us
        .filter(|_| frame.server.cpu_source.as_deref() == Some("proc"))?;
    let client_us = frame.client_cpu_ns as f64 / MICROSECOND_NS;
    let others_us = (frame.machine_busy_us? as f64 - server_us - client_us).max(0.0);
    Some(others_us * MICROSECOND_NS / frame.elapsed_ns.max(1) as f64)
}

/// Steps of the curve each time the distance to 100 % halves.
const CURVE_STEPS: u32 = 4;

fn curve(latency_ns: &Histogram<u64>) -> Vec<(f64, f64)> {
    let steps = latency_ns.iter_quantiles(CURVE_STEPS);
    let point = |step: hdrhistogram::iterators::IterationValue<u64>| {
        let us = step.value_iterated_to() as f64 / MICROSECOND_NS;
        (step.quantile_iterated_to() * 100.0, us)
    };
    steps.map(point).collect()
}

impl Row {
    fn new(
        label: &str,
        reads: bool,
        tally: &CommandTally,
        elapsed_s: f64,
        percentiles: &[f64],
    ) -> Self {
        let per_s = |count: u64| count as f64 / elapsed_s;
        Self {
            label: label.to_owned(),
            replies: tally.replies(),
            errors: tally.errors,
            nulls: tally.nulls,
            ops_per_s: per_s(tally.replies()),
            hits_per_s: reads.then(|| per_s(tally.hits)),
            misses_per_s: reads.then(|| per_s(tally.misses)),
            kb_per_s: per_s(tally.bytes_sent + tally.bytes_received) / KILOBYTE,
            latency: Latency::of(&tally.latency_ns, percentiles),
        }
    }
}

impl Latency {
    /// Latencies of a histogram in nanoseconds; `None` when it is empty.
    #[must_use]
    pub fn of(latency_ns: &Histogram<u64>, percentiles: &[f64]) -> Option<Self> {
        if latency_ns.is_empty() {
            return None;
        }
        let at =
            |percentile: f64| latency_ns.value_at_percentile(percentile) as f64 / MICROSECOND_NS;
        Some(Self {
            avg_us: latency_ns.mean() / MICROSECOND_NS,
            p50_us: at(50.0),
            p90_us: at(90.0),
            p99_us: at(99.0),
            p999_us: at(99.9),
            p9999_us: at(99.99),
            max_us: latency_ns.max() as f64 / MICROSECOND_NS,
            percentiles: percentiles.iter().map(|p| (*p, at(*p))).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeySpace, Shape};
    use crate::template::Filling;
    use crate::values::Values;

    fn load() -> Load {
        let filling = Filling {
            keys: KeySpace::new(b"k", 0, 99, Some(16), Shape::default()).unwrap(),
            values: Values::new(64, 64, false).unwrap(),
            expiry: None,
        };
        Load::populating(filling, 1)
    }

    fn report(server: ServerReport) -> PhaseReport {
        let load = load();
        let mut tally = PhaseTally::new(1, 0);
        for i in 1..=100u64 {
            tally.commands[0].latency_ns.record(i * 10_000).unwrap();
        }
        tally.commands[0].bytes_sent = 1024;
        tally.errors.count(b"ERR x");
        let percentiles = [50.0, 99.5];
        let frame = Frame {
            load: &load,
            elapsed_ns: 2 * SECOND_NS,
            server,
            client_cpu_ns: 100_000,
            machine_busy_us: Some(600_000),
            percentiles: &percentiles,
        };
        PhaseReport::new(&tally, frame).with_memory_of(&load)
    }

    #[test]
    fn rates_and_latencies_are_of_the_elapsed_time() {
        let report = report(ServerReport::default());
        let row = &report.rows[0];
        assert!((row.ops_per_s - 50.0).abs() < 1e-9);
        assert!((row.kb_per_s - 0.5).abs() < 1e-9);
        assert_eq!(row.hits_per_s, None);
        let latency = row.latency.as_ref().unwrap();
        assert!((latency.p50_us - 500.0).abs() < 1.0, "{latency:?}");
        assert!((latency.max_us - 1000.0).abs() < 1.0);
        assert_eq!(latency.percentiles.len(), 2);
        assert!((report.client_cpu_us_per_op - 1.0).abs() < 1e-9);
        assert_eq!(report.error_count(), 1);
        assert_eq!(report.memory, None);
    }

    #[test]
    fn memory_is_told_apart_from_payload() {
        let server = ServerReport {
            rss_bytes_before: Some(1000),
            rss_bytes: Some(1000 + 100 * 120),
            ..ServerReport::default()
        };
        let memory = report(server).memory.unwrap();
        assert!((memory.rss_bytes_per_key - 120.0).abs() < 1e-9);
        assert!((memory.overhead_bytes_per_key - 40.0).abs() < 1e-9);
    }

    #[test]
    fn what_others_did_is_the_rest_of_the_machines_time() {
        let mut server = ServerReport {
            cpu_us: Some(299_900.0),
            ..ServerReport::default()
        };
        assert_eq!(report(server.clone()).other_cores, None);
        server.cpu_source = Some("proc".to_owned());
        let others = report(server).other_cores.unwrap();
        assert!((others - 0.15).abs() < 1e-9, "{others}");
    }

    #[test]
    fn results_survive_json() {
        let results = Results {
            run: Some(report(ServerReport::default())),
            ..Results::default()
        };
        let text = serde_json::to_string(&results).unwrap();
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results);
    }
}
