//! HdrHistogram percentile files, one per command and one for all, in the text format that the HdrHistogram plotter
//! reads; the names are memtier's.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use hdrhistogram::Histogram;

use crate::report::PhaseReport;
use crate::tally::PhaseTally;

const MILLISECOND_NS: f64 = 1e6;
/// Steps each time the distance to 100 % halves.
const HGRM_STEPS: u32 = 5;

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

/// A label as part of a file name.
pub(crate) fn file_part(label: &str) -> String {
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
