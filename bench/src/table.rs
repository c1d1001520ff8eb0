//! The results as text: memtier's table and histogram, column for column, and below them what memtier does not
//! measure.

use std::fmt::Write as _;

use crate::idle::IdleReport;
use crate::report::{Latency, PhaseReport, Row};
use crate::tally::PhaseTally;

const MILLISECOND_US: f64 = 1000.0;
const MILLISECOND_NS: f64 = 1e6;
const MEGABYTE: f64 = 1024.0 * 1024.0;
/// Less than this is the system's own housekeeping.
pub(crate) const OTHER_CORES_NOTED: f64 = 0.1;
/// Steps of the printed histogram each time the distance to 100 % halves: memtier's.
const HISTOGRAM_STEPS: u32 = 10;
/// The narrowest that memtier's first column gets.
const TYPE_WIDTH_MIN: usize = 6;
const NONE: &str = "---";

/// What stands above a table: how many threads, connections and requests or seconds.
#[must_use]
pub fn preamble(threads: u64, clients: u64, limit: &str) -> String {
    format!("{threads:<9} Threads\n{clients:<9} Connections per thread\n{limit}\n\n")
}

/// A table in memtier's columns and widths. Loads of free commands have no hits and misses there.
#[must_use]
pub fn phase_table(title: &str, report: &PhaseReport, percentiles: &[f64]) -> String {
    let labels = report.rows.iter().map(|row| row.label.len()).max();
    let columns = Columns {
        type_width: labels.unwrap_or(0).max(TYPE_WIDTH_MIN) + 1,
        hits: !report.free_commands,
        percentiles,
    };
    let header = columns.header();
    let width = header.len();
    let mut text = format!(
        "\n{title}\n{}\n{header}\n{}\n",
        "=".repeat(width),
        "-".repeat(width)
    );
    for row in &report.rows {
        text.push_str(&columns.row(row));
    }
    if columns.hits {
        // memtier's WAIT requests, of which there are none.
        let waits = Row {
            label: "Waits".to_owned(),
            ..Row::default()
        };
        text.push_str(&columns.row(&waits));
    }
    text.push_str(&columns.row(&report.totals));
    text
}

struct Columns<'a> {
    type_width: usize,
    hits: bool,
    percentiles: &'a [f64],
}

impl Columns<'_> {
    fn header(&self) -> String {
        let mut text = format!("{:<1$} {2:>12} ", "Type", self.type_width, "Ops/sec");
        if self.hits {
            let _ = write!(text, "{:>12} {:>12} ", "Hits/sec", "Misses/sec");
        }
        let _ = write!(text, "{:>15} ", "Avg. Latency");
        for percentile in self.percentiles {
            let _ = write!(text, "{:>15} ", format!("p{percentile} Latency"));
        }
        let _ = write!(text, "{:>12} ", "KB/sec");
        text
    }

    fn row(&self, row: &Row) -> String {
        let rate = |rate: Option<f64>| rate.map_or(NONE.to_owned(), |rate| format!("{rate:.2}"));
        let latency = row.latency.as_ref();
        let milliseconds = |us: Option<f64>| match us {
            Some(us) => format!("{:.5}", us / MILLISECOND_US),
            None => NONE.to_owned(),
        };
        let mut text = format!(
            "{:<2$} {:>12.2} ",
            row.label, row.ops_per_s, self.type_width
        );
        if self.hits {
            let hits = [row.hits_per_s, row.misses_per_s];
            let _ = write!(text, "{:>12} {:>12} ", rate(hits[0]), rate(hits[1]));
        }
        let _ = write!(text, "{:>15} ", milliseconds(latency.map(|l| l.avg_us)));
        for index in 0..self.percentiles.len() {
            let value = latency.and_then(|l| l.percentiles.get(index));
            let _ = write!(text, "{:>15} ", milliseconds(value.map(|(_, us)| *us)));
        }
        let kb = (row.label != "Waits").then_some(row.kb_per_s);
        let _ = writeln!(text, "{:>12} ", rate(kb));
        text
    }
}

/// What memtier's columns have no room for: the rest of the latencies, the server's side, what went wrong.
#[must_use]
pub fn notes(report: &PhaseReport) -> String {
    let mut text = String::new();
    let rows = report.rows.iter().filter(|row| row.replies > 0);
    for row in rows {
        let Latency {
            p90_us,
            p9999_us,
            max_us,
            ..
        } = row.latency.clone().unwrap_or_default();
        let [p90, p9999, max] = [p90_us, p9999_us, max_us].map(|us| us / MILLISECOND_US);
        let _ = write!(
            text,
            "\n{}: p90 {p90:.3}, p99.99 {p9999:.3}, longest {max:.3} msec",
            row.label
        );
        if row.errors + row.nulls > 0 {
            let _ = write!(text, ", {} errors, {} nulls", row.errors, row.nulls);
        }
    }
    text.push_str(&server_note(report));
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
    text.push_str(&warnings(report));
    text
}

fn server_note(report: &PhaseReport) -> String {
    let server = &report.server;
    let mut text = format!(
        "\nServer: {}",
        server.version.as_deref().unwrap_or("unknown")
    );
    if let (Some(cpu), Some(source)) = (server.cpu_us_per_op, server.cpu_source.as_deref()) {
        let _ = write!(text, ", {cpu:.3} us CPU per request ({source})");
    }
    if let Some(rss) = server.rss_bytes {
        let _ = write!(text, ", {:.1} MB resident", rss as f64 / MEGABYTE);
    }
    if let Some(commands) = server.commands {
        let _ = write!(
            text,
            ", {commands} commands counted there and {} here",
            report.commands
        );
    }
    text
}

fn warnings(report: &PhaseReport) -> String {
    let mut text = String::new();
    let others = report.other_cores;
    if let Some(cores) = others.filter(|cores| *cores > OTHER_CORES_NOTED) {
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

/// memtier's latency distribution of every command.
#[must_use]
pub fn histogram(report: &PhaseReport, tally: &PhaseTally) -> String {
    let mut text = format!(
        "\n\nRequest Latency Distribution\n{:<6} {:>12} {:>12}\n{}\n",
        "Type",
        "<= msec   ",
        "Percent",
        "-".repeat(72)
    );
    for (row, command) in report.rows.iter().zip(&tally.commands) {
        let name = row.label.trim_end_matches('s').to_uppercase();
        for step in command.latency_ns.iter_quantiles(HISTOGRAM_STEPS) {
            let milliseconds = step.value_iterated_to() as f64 / MILLISECOND_NS;
            let percent = step.quantile_iterated_to() * 100.0;
            let _ = writeln!(text, "{name:<6} {milliseconds:>8.3} {percent:>12.2}");
        }
        text.push_str("---\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Results;
    use crate::server_stats::ServerReport;

    pub(crate) fn results() -> Results {
        let latency = Latency {
            p50_us: 1500.0,
            percentiles: vec![(50.0, 1500.0), (99.9, 2500.0)],
            ..Latency::default()
        };
        let gets = Row {
            label: "Gets".to_owned(),
            replies: 10,
            ops_per_s: 4.0,
            hits_per_s: Some(4.0),
            misses_per_s: Some(0.0),
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
        let totals = Row {
            label: "Totals".to_owned(),
            ..gets.clone()
        };
        let mut run = PhaseReport {
            totals,
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

    /// The lines are memtier's own, with the figures changed.
    #[test]
    fn the_table_is_memtiers_byte_for_byte() {
        let text = phase_table("ALL STATS", results().run.as_ref().unwrap(), &[50.0, 99.9]);
        let expected = "\nALL STATS\n\
            ============================================================================================================\n\
            Type         Ops/sec     Hits/sec   Misses/sec    Avg. Latency     p50 Latency   p99.9 Latency       KB/sec \n\
            ------------------------------------------------------------------------------------------------------------\n\
            Sets            0.00          ---          ---             ---             ---             ---         0.00 \n\
            Gets            4.00         4.00         0.00         0.00000         1.50000         2.50000         0.00 \n\
            Waits           0.00          ---          ---             ---             ---             ---          --- \n\
            Totals          4.00         4.00         0.00         0.00000         1.50000         2.50000         0.00 \n";
        assert_eq!(text, expected);
    }

    #[test]
    fn free_commands_have_no_hits_and_a_wider_first_column() {
        let mut report = results().run.unwrap();
        report.free_commands = true;
        report.rows.truncate(1);
        report.rows[0].label = "Zrevranges".to_owned();
        let text = phase_table("ALL STATS", &report, &[99.0]);
        let header = text.lines().nth(3).unwrap();
        assert_eq!(
            header,
            "Type             Ops/sec    Avg. Latency     p99 Latency       KB/sec "
        );
        assert!(!text.contains("Waits"));
    }

    #[test]
    fn the_notes_hold_the_servers_side_and_the_errors() {
        let text = notes(results().run.as_ref().unwrap());
        assert!(text.contains("ERROR REPLIES: 3 x ERR x"));
        assert!(text.contains("1.250 us CPU per request (proc)"));
        assert!(text.contains("Gets: p90 0.000, p99.99 0.000, longest 0.000 msec"));
    }
}
