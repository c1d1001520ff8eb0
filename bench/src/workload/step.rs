//! One row of a workload as a result, and as a line of text.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::report::{PhaseReport, Setup};

const MILLISECOND_US: f64 = 1000.0;
const MEGABYTE: f64 = 1024.0 * 1024.0;
const LABEL_WIDTH: usize = 34;

/// A row of a workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The workload's name.
    pub workload: String,
    /// The row's name.
    pub label: String,
    /// The command that repeats it.
    pub command_line: String,
    /// The connections.
    pub setup: Setup,
    /// What was measured.
    pub run: Option<PhaseReport>,
    /// Why nothing was.
    pub skipped: Option<String>,
    /// How long the thing beside it took.
    pub took_ms: Option<f64>,
    /// What else there is to say.
    pub facts: Vec<String>,
}

impl StepReport {
    /// The line above the rows.
    #[must_use]
    pub fn header(markdown: bool) -> String {
        if markdown {
            return "| Workload | Row | ops/s | avg ms | p50 | p90 | p99 | p99.9 | p99.99 | max | KB/s | server CPU us/op | RSS MB | longest stall ms | notes |\n\
                    |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n"
                .to_owned();
        }
        let mut text = format!("{:<LABEL_WIDTH$}", "Row");
        let names = [
            "Ops/sec", "avg ms", "p50", "p90", "p99", "p99.9", "p99.99", "max", "KB/sec", "CPU us",
            "RSS MB", "stall ms",
        ];
        for name in names {
            let _ = write!(text, " {name:>9}");
        }
        text.push('\n');
        text
    }

    /// The row as a line.
    #[must_use]
    pub fn line(&self, markdown: bool) -> String {
        let cells = self.cells();
        let notes = self.notes();
        if markdown {
            let cells = cells.join(" | ");
            return format!(
                "| {} | {} | {cells} | {notes} |\n",
                self.workload, self.label
            );
        }
        let mut text = format!("{:<LABEL_WIDTH$}", self.label);
        if self.run.is_some() {
            for cell in cells {
                let _ = write!(text, " {cell:>9}");
            }
        }
        if !notes.is_empty() {
            let _ = write!(
                text,
                "{}{notes}",
                if self.run.is_some() { "\n    " } else { " " }
            );
        }
        text.push('\n');
        text
    }

    fn cells(&self) -> Vec<String> {
        const COLUMNS: usize = 12;
        let Some(run) = &self.run else {
            return vec!["---".to_owned(); COLUMNS];
        };
        let latency = run.totals.latency.clone().unwrap_or_default();
        let optional = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "---".to_owned(), |v| format!("{v:.digits$}"))
        };
        let mut cells = vec![format!("{:.0}", run.totals.ops_per_s)];
        let times = [
            latency.avg_us,
            latency.p50_us,
            latency.p90_us,
            latency.p99_us,
            latency.p999_us,
            latency.p9999_us,
            latency.max_us,
        ];
        cells.extend(times.map(|us| format!("{:.3}", us / MILLISECOND_US)));
        cells.push(format!("{:.0}", run.totals.kb_per_s));
        cells.push(optional(run.server.cpu_us_per_op, 3));
        let rss = run.server.rss_bytes.map(|bytes| bytes as f64 / MEGABYTE);
        cells.push(optional(rss, 1));
        cells.push(format!("{:.1}", run.longest_gap_us / MILLISECOND_US));
        cells
    }

    /// Everything that is no figure of a column.
    fn notes(&self) -> String {
        let mut notes = Vec::new();
        if let Some(reason) = &self.skipped {
            notes.push(reason.clone());
        }
        notes.extend(self.took_ms.map(|ms| format!("took {ms:.1} ms")));
        notes.extend(self.facts.iter().cloned());
        if let Some(run) = &self.run {
            if run.partial {
                let reason = run.lost_reason.as_deref().unwrap_or("replies missing");
                notes.push(format!("PARTIAL: {reason}"));
            }
            if run.unsent > 0 {
                notes.push(format!("{} due requests never sent", run.unsent));
            }
            if run.totals.nulls > 0 {
                notes.push(format!("{} nulls", run.totals.nulls));
            }
            let errors = run.errors.iter();
            notes.extend(errors.map(|(text, count)| format!("ERROR REPLIES: {count} x {text}")));
        }
        notes.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_columns_of_their_header() {
        let mut step = StepReport {
            workload: "w".to_owned(),
            label: "r".to_owned(),
            run: Some(PhaseReport::default()),
            took_ms: Some(1.5),
            ..StepReport::default()
        };
        let columns = |text: &str| text.lines().map(|l| l.matches('|').count()).max();
        assert_eq!(
            columns(&step.line(true)),
            columns(&StepReport::header(true))
        );
        let words = |text: &str| text.lines().next().unwrap().len();
        assert_eq!(words(&step.line(false)), words(&StepReport::header(false)));
        step.run = None;
        step.skipped = Some("the server has no EVAL".to_owned());
        assert_eq!(
            columns(&step.line(true)),
            columns(&StepReport::header(true))
        );
        assert!(
            step.line(false)
                .contains("the server has no EVAL; took 1.5 ms")
        );
    }
}
