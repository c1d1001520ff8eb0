//! The page's pictures: CPU and rate side by side, latency by percentile.

use std::path::Path;

use super::cells::{Cell, Metric};
use crate::error::BenchError;
use crate::hgrm::file_part;
use crate::plot::{Bar, Bars, Chart, latency_chart, write_figure};

const CHART_WIDTH: u32 = 860;
const CHART_HEIGHT: u32 = 400;
/// More bars side by side are no picture.
const ROWS_MAX: usize = 24;

/// A picture that the page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What it shows.
    pub title: String,
    /// Its file, from the page's folder, without the ending.
    pub file: String,
    /// The table it belongs to, or the workload.
    pub section: String,
}

/// Draws into `folder`, which the page finds at `from_page`.
///
/// # Errors
/// When a file cannot be written.
pub fn draw(cells: &[Cell], folder: &Path, from_page: &str) -> Result<Vec<Picture>, BenchError> {
    std::fs::create_dir_all(folder).map_err(BenchError::system(folder.display().to_string()))?;
    let mut pictures = Vec::new();
    let mut keep = |section: &str, title: String, figure| {
        let name = file_part(&title).to_lowercase();
        write_figure(&folder.join(&name), &figure)?;
        pictures.push(Picture {
            title,
            file: format!("{from_page}/{name}"),
            section: section.to_owned(),
        });
        Ok::<(), BenchError>(())
    };
    let single: Vec<&Cell> = cells.iter().filter(|cell| cell.table == "single").collect();
    let figures = [
        (Metric::CpuUsPerOp, "Server CPU per command", "us/op"),
        (Metric::OpsPerS, "Commands per second", "ops/s"),
    ];
    for (metric, title, y_label) in figures {
        if let Some(bars) = bars(&single, metric, title, y_label) {
            keep("single", title.to_owned(), bars.draw())?;
        }
    }
    for load in loads(&single) {
        let title = format!("Latency of {load}");
        let of_load = single.iter().filter(|cell| cell.load() == load);
        let curves: Vec<(String, &[(f64, f64)])> = of_load
            .map(|cell| (cell.server.clone(), &*cell.curve))
            .collect();
        let chart = latency_chart(&title, &curves);
        keep(
            "single",
            title,
            Chart::draw(&[chart], CHART_WIDTH, CHART_HEIGHT),
        )?;
    }
    let named: Vec<&Cell> = cells
        .iter()
        .filter(|cell| !cell.workload.is_empty())
        .collect();
    let mut workloads: Vec<&str> = Vec::new();
    for cell in &named {
        if !workloads.contains(&&*cell.workload) {
            workloads.push(&cell.workload);
        }
    }
    for workload in workloads {
        let rows: Vec<&Cell> = named
            .iter()
            .copied()
            .filter(|cell| cell.workload == workload)
            .collect();
        let (metric, what, y_label) = match rows.first().map(|cell| &*cell.table) {
            Some("disturb") => (Metric::StallUs, "longest stall", "us"),
            _ => (Metric::CpuUsPerOp, "server CPU per request", "us/op"),
        };
        let title = format!("{workload}: {what}");
        if let Some(bars) = bars(&rows, metric, &title, y_label)
            && rows.len() <= ROWS_MAX
        {
            keep(workload, title, bars.draw())?;
        }
    }
    Ok(pictures)
}

fn bars(cells: &[&Cell], metric: Metric, title: &str, y_label: &'static str) -> Option<Bars> {
    let bar = |cell: &&Cell| {
        Some(Bar {
            group: if cell.workload.is_empty() {
                cell.load()
            } else {
                cell.command.clone()
            },
            series: cell.server.clone(),
            value: cell.median(metric)?,
        })
    };
    let bars: Vec<Bar> = cells.iter().filter_map(bar).collect();
    (!bars.is_empty()).then(|| Bars {
        title: title.to_owned(),
        y_label,
        bars,
    })
}

/// The loads in the order of their first rows.
pub(super) fn loads(rows: &[&Cell]) -> Vec<String> {
    let mut loads: Vec<String> = Vec::new();
    for row in rows {
        if !loads.contains(&row.load()) {
            loads.push(row.load());
        }
    }
    loads
}

#[cfg(test)]
mod tests {
    use super::super::cells::gather;
    use super::super::cells::tests::run_of;
    use super::*;

    #[test]
    fn the_pictures_are_files_that_the_page_can_name() {
        let folder = std::env::temp_dir().join(format!("tessera-plots-{}", std::process::id()));
        let mut disturbed = run_of("disturb", "redis", "", 1, 5.0);
        disturbed
            .labels
            .insert("workload".to_owned(), "disturb-keys".to_owned());
        let cells = gather(&[
            run_of("single", "redis", "", 1, 5.0),
            run_of("single", "tessera", "1", 1, 6.0),
            disturbed,
        ]);
        let pictures = draw(&cells, &folder, "docs/plots").unwrap();
        let files: Vec<&str> = pictures.iter().map(|picture| &*picture.file).collect();
        assert_eq!(
            files,
            [
                "docs/plots/server_cpu_per_command",
                "docs/plots/commands_per_second",
                "docs/plots/latency_of_get__pipeline_1",
                "docs/plots/disturb_keys__longest_stall"
            ]
        );
        for file in files {
            let name = file.strip_prefix("docs/plots/").unwrap();
            for ending in ["svg", "png"] {
                let written = std::fs::metadata(folder.join(format!("{name}.{ending}"))).unwrap();
                assert!(written.len() > 500, "{name}.{ending}");
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
