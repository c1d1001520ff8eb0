//! The plots of a run, and files of a figure.

use super::chart::{Chart, Series};
use super::figure::Figure;
use crate::error::BenchError;
use crate::hgrm::file_part;
use crate::report::PhaseReport;

const WIDTH: u32 = 860;
const HEIGHT: u32 = 400;
const HEIGHT_OVER_TIME: u32 = 280;

/// Writes a figure as `path.svg` and `path.png`.
///
/// # Errors
/// As the system reports them.
pub fn write_figure(path: &std::path::Path, figure: &Figure) -> Result<(), BenchError> {
    let files = [
        ("svg", Ok(figure.svg().into_bytes())),
        ("png", figure.png()),
    ];
    for (ending, bytes) in files {
        // Not `with_extension`: a name may have a point in it.
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        let fail = BenchError::system(name.to_string_lossy());
        bytes
            .and_then(|bytes| std::fs::write(&name, bytes))
            .map_err(fail)?;
    }
    Ok(())
}

/// Latency by percentile of several runs.
#[must_use]
pub fn latency_chart(title: &str, runs: &[(String, &[(f64, f64)])]) -> Chart {
    let series = |(name, curve): &(String, &[(f64, f64)])| Series {
        name: name.clone(),
        points: curve.iter().map(|(at, us)| (*at, us / 1e3)).collect(),
    };
    Chart {
        title: title.to_owned(),
        x_label: "percentile",
        y_label: "ms",
        series: runs.iter().map(series).collect(),
        percentiles: true,
    }
}

/// Writes the plots of one run: latency by percentile, and throughput and p99 over time.
///
/// # Errors
/// When a file cannot be written.
pub fn write_plots(
    prefix: &str,
    name: Option<&str>,
    report: &PhaseReport,
) -> Result<(), BenchError> {
    let server = report.server.version.clone().unwrap_or_default();
    let title = match name {
        Some(name) => format!("{name}: {server}"),
        None => server,
    };
    let base = match name {
        Some(name) => format!("{prefix}_{}", file_part(name)),
        None => prefix.to_owned(),
    };
    let latency = latency_chart(
        &format!("Latency, {title}"),
        &[(String::new(), &report.curve)],
    );
    let figure = Chart::draw(&[latency], WIDTH, HEIGHT);
    write_figure(format!("{base}_latency").as_ref(), &figure)?;
    let over_time = |title: String, y_label, value: fn(&crate::timeline::TimePoint) -> f64| Chart {
        title,
        x_label: "seconds",
        y_label,
        series: vec![Series {
            name: String::new(),
            points: report.timeline.iter().map(|p| (p.at_s, value(p))).collect(),
        }],
        percentiles: false,
    };
    let charts = [
        over_time(format!("Throughput, {title}"), "ops/s", |point| {
            point.ops_per_s
        }),
        over_time(format!("p99, {title}"), "ms", |point| point.p99_us / 1e3),
    ];
    let figure = Chart::draw(&charts, WIDTH, HEIGHT_OVER_TIME);
    write_figure(format!("{base}_time").as_ref(), &figure)
}
