//! The results as Markdown: one row per command, with the server's side of it.

use std::fmt::Write as _;

use crate::report::{Latency, PhaseReport, Results, Row};

const MILLISECOND_US: f64 = 1000.0;
const MEGABYTE: f64 = 1024.0 * 1024.0;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_leaves_out_commands_that_were_not_sent_and_marks_partial_results() {
        let row = |label: &str, replies| Row {
            label: label.to_owned(),
            replies,
            ..Row::default()
        };
        let results = Results {
            run: Some(PhaseReport {
                totals: row("Totals", 10),
                rows: vec![row("Sets", 0), row("Gets", 10)],
                partial: true,
                ..PhaseReport::default()
            }),
            ..Results::default()
        };
        let text = markdown(&results);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[2].starts_with("| run (partial) | Gets | 0 |"));
        let columns = |line: &str| line.matches('|').count();
        assert!(lines.iter().all(|line| columns(line) == columns(lines[0])));
    }
}
