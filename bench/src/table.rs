//! The results as text: memtier's table and histogram, Markdown rows, and HdrHistogram percentile files.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use hdrhistogram::Histogram;

use crate::idle::IdleReport;
use crate::report::{Latency, PhaseReport, Results, Row};
use crate::tally::PhaseTally;

const MILLISECOND_US: f64 = 1000.0;
const MILLISECOND_NS: f64 = 1e6;
const MEGABYTE: f64 = 1024.0 * 1024.0;
/// Less than this is the system's own housekeeping.
pub(crate) const OTHER_CORES_NOTED: f64 = 0.1;
/// Steps of the printed histogram each time the distance to 100 % halves.
const HISTOGRAM_STEPS: u32 = 2;
const HGRM_STEPS: u32 = 5;

/// A table in memtier's columns.
#[must_use]
pub fn phase_table(title: &str, report: &PhaseReport, percentiles: &[f64]) -> String {
    let mut header = format!(
        "{:<12}{:>13}{:>13}{:>13}{:>17}",
        "Type", "Ops/sec", "Hits/sec", "Misses/sec", "Avg. Latency"
    );
    for percentile in percentiles {
        let _ = write!(header, "{:>17}", format!("p{percentile} Latency"));
    }
    let _ = write!(header, "{:>17}{:>13}", "Max. Latency", "KB/sec");
    let width = header.len();
    let mut text = format!(
        "\n{title}\n{}\n{header}\n{}\n",
        "=".repeat(width),
        "-".repeat(width)
    );
    for row in report.rows.iter().chain(std::iter::once(&report.totals)) {
        text.push_str(&table_row(row, percentiles.len()));
    }
    text.push_str(&notes(report));
    text
}

fn table_row(row: &Row, percentiles: usize) -> String {
    let missing = || "---".to_owned();
    let rate = |rate: Option<f64>| rate.map_or_else(missing, |rate| format!("{rate:.2}"));
    let milliseconds =
        |us: Option<f64>| us.map_or_else(missing, |us| format!("{:.5}", us / MILLISECOND_US));
    let latency = row.latency.as_ref();
    let mut text = format!(
        "{:<12}{:>13.2}{:>13}{:>13}{:>17}",
        row.label,
        row.ops_per_s,
        rate(row.hits_per_s),
        rate(row.misses_per_s),
        milliseconds(latency.map(|l| l.avg_us)),
    );
    for index in 0..percentiles {
        let value = latency
            .and_then(|l| l.percentiles.get(index))
            .map(|(_, us)| *us);
        let _ = write!(text, "{:>17}", milliseconds(value));
    }
    let _ = writeln!(
        text,
        "{:>17}{:>13.2}",
        milliseconds(latency.map(|l| l.max_us)),
        row.kb_per_s
    );
    text
}

/// What the columns have no room for.
fn notes(report: &PhaseReport) -> String {
    let server = &report.server;
    let mut text = String::new();
    let _ = write!(
        text,
        "\nServer: {}",
        server.version.as_deref().unwrap_or("unknown")
    );
    if let (Some(cpu), Some(source)) = (server.cpu_us_per_op, server.cpu_source.as_deref()) {
        let _ = write!(text, ", {cpu:.3} us CPU per command ({source})");
    }
    if let Some(rss) = server.rss_bytes {
        let _ = write!(text, ", {:.1} MB resident", rss as f64 / MEGABYTE);
    }
    if let Some(commands) = server.commands {
        let _ = write!(
            text,
            ", {commands} commands counted there and {} here",
            report.totals.replies
        );
    }
    let _ = writeln!(
        text,
        "\nClient: {:.3} us CPU per request, {:.3} s",
        report.client_cpu_us_per_op, report.elapsed_s
    );
    if let Some(memory) = &report.memory {
        let _ = writeln!(
            text,
            "Memory: {:.1} bytes resident per key, {:.1} of them beyond key and value ({} keys)",
            memory.rss_bytes_per_key, memory.overhead_bytes_per_key, memory.keys
        );
    }
    if let Some(cores) = report
        .other_cores
        .filter(|cores| *cores > OTHER_CORES_NOTED)
    {
        let _ = writeln!(
            text,
            "DISTURBED: other processes used {cores:.2} cores meanwhile"
        );
    }
    if report.unsent > 0 {
        let _ = writeln!(
            text,
            "{} requests were due and never sent: the server does not keep up with the rate",
            report.unsent
        );
    }
    for (error, count) in &report.errors {
        let _ = writeln!(text, "ERROR REPLIES: {count} x {error}");
    }
    text
}

/// The line about idle connections.
#[must_use]
pub fn idle_line(idle: &IdleReport) -> String {
    let bytes = idle
        .bytes_per_connection
        .map_or_else(|| "unknown".to_owned(), |b| format!("{b:.0}"));
    let mut text = format!(
        "Idle connections: {}, {bytes} bytes of server memory each",
        idle.connections
    );
    if idle.closed_by_server > 0 {
        let _ = write!(text, "; THE SERVER CLOSED {}", idle.closed_by_server);
    }
    text.push('\n');
    text
}

/// Header and rows in Markdown.
#[must_use]
pub fn markdown(results: &Results) -> String {
    let mut text = String::from(
        "| Phase | Type | ops/s | avg ms | p50 | p90 | p99 | p99.9 | p99.99 | max | KB/s | server CPU us/op | RSS MB |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (name, report) in [("populate", &results.populate), ("run", &results.run)] {
        let Some(report) = report else { continue };
        for row in report.rows.iter().filter(|row| row.replies > 0) {
            text.push_str(&markdown_row(name, row, report));
        }
        if report.rows.len() > 1 {
            text.push_str(&markdown_row(name, &report.totals, report));
        }
    }
    text
}

fn markdown_row(phase: &str, row: &Row, report: &PhaseReport) -> String {
    let mut text = format!(
        "| {phase}{} | {} | {:.0} |",
        if report.partial { " (partial)" } else { "" },
        row.label,
        row.ops_per_s
    );
    let latency = row.latency.clone().unwrap_or_default();
    let Latency {
        avg_us,
        p50_us,
        p90_us,
        p99_us,
        p999_us,
        p9999_us,
        max_us,
        ..
    } = latency;
    for us in [avg_us, p50_us, p90_us, p99_us, p999_us, p9999_us, max_us] {
        let _ = write!(text, " {:.3} |", us / MILLISECOND_US);
    }
    let optional = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "---".to_owned(), |v| format!("{v:.digits$}"))
    };
    let rss_mb = report.server.rss_bytes.map(|bytes| bytes as f64 / MEGABYTE);
    let _ = writeln!(
        text,
        " {:.0} | {} | {} |",
        row.kb_per_s,
        optional(report.server.cpu_us_per_op, 3),
        optional(rss_mb, 1)
    );
    text
}

/// memtier's latency distribution of every command.
#[must_use]
pub fn histogram(report: &PhaseReport, tally: &PhaseTally) -> String {
    let mut text = format!(
        "\nRequest Latency Distribution\n{:<12}{:>14}{:>14}\n{}\n",
        "Type",
        "<= msec",
        "Percent",
        "-".repeat(40)
    );
    for (row, command) in report
        .rows
        .iter()
        .zip(&tally.commands)
        .filter(|(row, _)| row.replies > 0)
    {
        for step in command.latency_ns.iter_quantiles(HISTOGRAM_STEPS) {
            let milliseconds = step.value_iterated_to() as f64 / MILLISECOND_NS;
            let percent = step.quantile() * 100.0;
            let _ = writeln!(text, "{:<12}{milliseconds:>14.5}{percent:>14.5}", row.label);
        }
        text.push_str("---\n");
    }
    text
}

/// Writes one percentile file per command and one for all, in the text format that the HdrHistogram plotter
/// reads; values in milliseconds.
///
/// # Errors
/// As the system reports them, with the file's name.
pub fn write_hgrm_files(
    prefix: &str,
    report: &PhaseReport,
    tally: &PhaseTally,
) -> Result<(), (PathBuf, io::Error)> {
    let totals = tally.totals();
    let commands = report.rows.iter().zip(&tally.commands);
    let named = commands
        .filter(|(row, _)| row.replies > 0)
        .map(|(row, command)| {
            (
                format!("{prefix}_{}_command_run_1.hgrm", file_part(&row.label)),
                &command.latency_ns,
            )
        });
    for (name, latency_ns) in
        named.chain([(format!("{prefix}_FULL_RUN_1.hgrm"), &totals.latency_ns)])
    {
        let path = PathBuf::from(name);
        std::fs::write(&path, hgrm(latency_ns)).map_err(|error| (path, error))?;
    }
    Ok(())
}

fn file_part(label: &str) -> String {
    label
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

fn hgrm(latency_ns: &Histogram<u64>) -> String {
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut seen = 0;
    for step in latency_ns.iter_quantiles(HGRM_STEPS) {
        seen += step.count_since_last_iteration();
        let milliseconds = step.value_iterated_to() as f64 / MILLISECOND_NS;
        let quantile = step.quantile_iterated_to();
        let _ = write!(text, "{milliseconds:>12.5} {quantile:>14.12} {seen:>10}");
        if quantile < 1.0 {
            let _ = write!(text, " {:>14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "#[Mean    = {:>12.5}, StdDeviation   = {:>12.5}]\n#[Max     = {:>12.5}, Total count    = {:>12}]",
        latency_ns.mean() / MILLISECOND_NS,
        latency_ns.stdev() / MILLISECOND_NS,
        latency_ns.max() as f64 / MILLISECOND_NS,
        latency_ns.len(),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_stats::ServerReport;

    fn results() -> Results {
        let latency = Latency {
            p50_us: 1500.0,
            percentiles: vec![(50.0, 1500.0)],
            ..Latency::default()
        };
        let gets = Row {
            label: "Gets".to_owned(),
            replies: 10,
            hits_per_s: Some(4.0),
            latency: Some(latency),
            ..Row::default()
        };
        let sets = Row {
            label: "Sets".to_owned(),
            ..Row::default()
        };
        let server = ServerReport {
            cpu_us_per_op: Some(1.25),
            cpu_source: Some("proc".to_owned()),
            ..ServerReport::default()
        };
        let mut run = PhaseReport {
            totals: gets.clone(),
            rows: vec![sets, gets],
            server,
            partial: true,
            ..PhaseReport::default()
        };
        run.errors.insert("ERR x".to_owned(), 3);
        Results {
            run: Some(run),
            ..Results::default()
        }
    }

    #[test]
    fn the_table_has_memtiers_columns_and_the_errors() {
        let results = results();
        let text = phase_table("ALL STATS", results.run.as_ref().unwrap(), &[50.0]);
        let line = |start: &str| {
            text.lines()
                .find(|line| line.starts_with(start))
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            line("Type")[..4],
            ["Type", "Ops/sec", "Hits/sec", "Misses/sec"]
        );
        assert_eq!(
            line("Gets")[1..6],
            ["0.00", "4.00", "---", "0.00000", "1.50000"]
        );
        assert_eq!(line("Sets")[1..6], ["0.00", "---", "---", "---", "---"]);
        assert!(text.contains("ERROR REPLIES: 3 x ERR x"));
        assert!(text.contains("1.250 us CPU per command (proc)"));
    }

    #[test]
    fn markdown_leaves_out_commands_that_were_not_sent_and_marks_partial_results() {
        let text = markdown(&results());
        assert_eq!(text.lines().count(), 4);
        assert!(
            text.lines()
                .nth(2)
                .unwrap()
                .starts_with("| run (partial) | Gets | 0 |")
        );
        let columns = |line: &str| line.matches('|').count();
        assert!(
            text.lines()
                .all(|line| columns(line) == columns(text.lines().next().unwrap()))
        );
    }

    #[test]
    fn percentile_files_end_with_everything() {
        let mut latency_ns = Histogram::<u64>::new(3).unwrap();
        for i in 1..=1000 {
            latency_ns.record(i * 1_000_000).unwrap();
        }
        let text = hgrm(&latency_ns);
        let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
        assert!(
            last.contains("1.000000000000") && last.contains("1000"),
            "{last}"
        );
        assert!(text.contains("Total count    =         1000"));
        assert_eq!(file_part("GET a:b"), "GET_a_b");
    }
}
