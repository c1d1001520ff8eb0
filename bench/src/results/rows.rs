//! The page's tables of named workloads and of disturbances, and what servers lack.

use std::fmt::Write as _;

use super::cells::{Cell, Metric, Skip};
use super::page::{milliseconds, number};
use super::plots::{Picture, loads};

/// One table per workload.
pub(super) fn workload_section(cells: &[Cell], pictures: &[Picture]) -> String {
    let rows: Vec<&Cell> = cells
        .iter()
        .filter(|cell| cell.table == "workload")
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Named workloads\n\nWhat each is and where it comes from: `tessera-bench --list`. Ratio: our CPU per request over \
         theirs. Latencies in ms.\n",
    );
    for workload in in_order(&rows) {
        let _ = writeln!(
            text,
            "\n### {workload}\n\n\
             | Row | Server | ops/s | avg | p50 | p90 | p99 | p99.9 | p99.99 | max | KB/s | server CPU us/op | RSS MB | ratio | notes |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|"
        );
        let of: Vec<&Cell> = rows
            .iter()
            .copied()
            .filter(|cell| cell.workload == workload)
            .collect();
        for load in loads(&of) {
            let ours = of.iter().find(|cell| cell.is_ours() && cell.load() == load);
            for cell in of.iter().filter(|cell| cell.load() == load) {
                let ratio = ours
                    .filter(|_| !cell.is_ours())
                    .and_then(|ours| ours.ratio(Metric::CpuUsPerOp, cell));
                text.push_str(&workload_row(cell, ratio));
            }
        }
        show(&mut text, pictures, &workload);
    }
    text
}

fn workload_row(cell: &Cell, ratio: Option<f64>) -> String {
    let times = [
        Metric::AvgUs,
        Metric::P50Us,
        Metric::P90Us,
        Metric::P99Us,
        Metric::P999Us,
        Metric::P9999Us,
        Metric::MaxUs,
    ];
    let times: Vec<String> = times
        .iter()
        .map(|metric| milliseconds(cell, *metric))
        .collect();
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        cell.command,
        cell.name(),
        number(cell.median(Metric::OpsPerS), 0),
        times.join(" | "),
        number(cell.median(Metric::KbPerS), 0),
        number(cell.median(Metric::CpuUsPerOp), 2),
        number(cell.median(Metric::RssMb), 1),
        number(ratio, 2),
        cell.notes.join("; ")
    )
}

/// One table of everything that happened beside a load.
pub(super) fn disturb_section(cells: &[Cell], pictures: &[Picture]) -> String {
    let rows: Vec<&Cell> = cells
        .iter()
        .filter(|cell| cell.table == "disturb")
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Disturbances\n\nBystanders read and write a range of their own at a fixed rate while something else happens. Longest \
         stall: the longest time in which no reply came to any of them. Latencies count from the moment a request was due.\n\n\
         | What happens | Server | took ms | longest stall ms | p50 ms | p99 ms | p99.9 ms | max ms | ops/s | notes |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for cell in &rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            cell.load(),
            cell.name(),
            number(cell.median(Metric::TookMs), 1),
            milliseconds(cell, Metric::StallUs),
            milliseconds(cell, Metric::P50Us),
            milliseconds(cell, Metric::P99Us),
            milliseconds(cell, Metric::P999Us),
            milliseconds(cell, Metric::MaxUs),
            number(cell.median(Metric::OpsPerS), 0),
            cell.notes.join("; ")
        );
    }
    for workload in in_order(&rows) {
        show(&mut text, pictures, &workload);
    }
    text
}

/// What was passed over.
pub(super) fn skip_section(skips: &[Skip]) -> String {
    if skips.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n## Passed over\n\n");
    for skip in skips {
        let _ = writeln!(
            text,
            "- {} on {}: {} ({} rows)",
            skip.workload,
            skip.server,
            skip.reason,
            skip.rows.len()
        );
    }
    text
}

/// The pictures of a section.
pub(super) fn show(text: &mut String, pictures: &[Picture], section: &str) {
    for picture in pictures.iter().filter(|picture| picture.section == section) {
        let _ = writeln!(text, "\n![{}]({}.svg)", picture.title, picture.file);
    }
}

fn in_order(rows: &[&Cell]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        if !names.contains(&row.workload) {
            names.push(row.workload.clone());
        }
    }
    names
}
