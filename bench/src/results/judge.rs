//! What is wanted and what came out: the targets of this milestone, and every figure in which another server
//! is better.

use serde::Serialize;

use super::cells::{Cell, Metric};

/// A difference smaller than this is noise, not a loss.
const NOISE: f64 = 0.01;

/// Largest CPU per GET or SET, as a share of the cheapest other's, at a pipeline.
const CPU_OF_CHEAPEST: [(u32, f64); 3] = [(1, 0.8), (16, 0.75), (50, 0.5)];
/// `tessera-echo`: no server, but what any costs at least.
const FLOOR: &str = "echo";
/// The others that count.
const MEASURED_AGAINST: [&str; 2] = ["redis", "kevy"];
/// The same for the other common commands.
const CPU_OF_CHEAPEST_COMMON: f64 = 0.9;
const COMMON: &str = "common";
/// Largest CPU per command with two shards, as a multiple of one shard's, at a pipeline.
const CPU_OF_ONE_SHARD: [(u32, f64); 2] = [(1, 1.4), (16, 1.4)];
/// Largest CPU per request of a row of a workload, as a share of redis-server's.
const CPU_OF_REDIS: [(&str, &str, f64); 4] = [
    ("multi", "MULTI of 4 SETs, pipeline 1", 0.8),
    ("eval", "EVAL of a GET and a SET", 1.0),
    ("pubsub", "PUBLISH to 50", 0.6),
    ("pubsub", "PUBLISH to 50, 16 together", 0.6),
];
/// Largest p99 of one, likewise.
const P99_OF_REDIS: [(&str, &str, f64); 2] = [
    ("hand-over", "LPUSH to BRPOP, 1 pair", 1.0),
    ("hand-over", "LPUSH to BRPOP, 50 pairs", 1.0),
];
/// What several keys cost with two shards, as a multiple of one shard's: CPU per request, and p99.
const SPREAD: [(&str, Metric, f64); 3] = [
    ("MULTI of 4 SETs", Metric::CpuUsPerOp, 2.0),
    ("MULTI of 4 SETs at half load", Metric::P99Us, 2.0),
    ("MGET of 10", Metric::CpuUsPerOp, 1.6),
];
/// Largest p99.9 at a fixed rate, as a share of redis-server's.
const P999_OF_REDIS: f64 = 1.0;
const OVERHEAD_BYTES_PER_KEY: f64 = 40.0;
const IDLE_BYTES: f64 = 2048.0;

/// A target and whether it is met.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// What is judged.
    pub what: String,
    /// The figure.
    pub measured: f64,
    /// The highest figure that is good enough.
    pub target: f64,
    /// Whether it is.
    pub met: bool,
}

/// A figure in which another server is better.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// Under which load.
    pub load: String,
    /// Which figure.
    pub figure: String,
    /// Ours.
    pub ours: f64,
    /// Whose is better.
    pub other: String,
    /// Theirs.
    pub theirs: f64,
}

/// All targets for which there are figures.
#[must_use]
pub fn verdicts(cells: &[Cell]) -> Vec<Verdict> {
    let mut list = Vec::new();
    let mut judge = |what: String, measured: Option<f64>, target: f64| {
        if let Some(measured) = measured {
            list.push(Verdict {
                what,
                measured,
                target,
                met: measured <= target,
            });
        }
    };
    for table in ["single", "workload"] {
        for (ours, other) in cheapest(cells, table) {
            let common = ours
                .workload
                .starts_with(COMMON)
                .then_some(CPU_OF_CHEAPEST_COMMON);
            let target = match table {
                "workload" => common,
                _ => target_at(&CPU_OF_CHEAPEST, ours.pipeline),
            };
            if let Some(target) = target {
                let what = format!(
                    "{}: server CPU per command over {}'s",
                    ours.load(),
                    other.server
                );
                judge(what, ours.ratio(Metric::CpuUsPerOp, other), target);
            }
        }
    }
    for (ours, other) in pairs(cells, "open").filter(|(_, other)| other.server == "redis") {
        let what = format!(
            "{}, {}: p99.9 over redis-server's",
            ours.load(),
            ours.name()
        );
        judge(what, ours.ratio(Metric::P999Us, other), P999_OF_REDIS);
    }
    for (ours, other) in pairs(cells, "workload").filter(|(_, other)| other.server == "redis") {
        let is_it = |row: &&(&str, &str, f64)| (row.0, row.1) == (&*ours.workload, &*ours.command);
        for (rows, metric, figure) in [
            (
                &CPU_OF_REDIS[..],
                Metric::CpuUsPerOp,
                "server CPU per request",
            ),
            (&P99_OF_REDIS[..], Metric::P99Us, "p99"),
        ] {
            if let Some((_, _, target)) = rows.iter().find(is_it) {
                let what = format!("{}: {figure} over redis-server's", ours.load());
                judge(what, ours.ratio(metric, other), *target);
            }
        }
    }
    for (two, one) in spread_pairs(cells) {
        for (_, metric, target) in SPREAD.iter().filter(|row| row.0 == two.command) {
            let figure = match metric {
                Metric::P99Us => "p99",
                _ => "server CPU per request",
            };
            let what = format!("{}: {figure}, 2 shards over 1 shard", two.command);
            judge(what, two.ratio(*metric, one), *target);
        }
    }
    for (two, one) in shard_pairs(cells) {
        if let Some(target) = target_at(&CPU_OF_ONE_SHARD, two.pipeline) {
            let placement = |cell: &Cell| {
                format!(
                    "server on {}, client on {}",
                    cell.server_cpus, cell.client_cpus
                )
            };
            let what = format!(
                "{}: server CPU per command, 2 shards ({}) over 1 shard ({})",
                two.load(),
                placement(two),
                placement(one)
            );
            judge(what, two.ratio(Metric::CpuUsPerOp, one), target);
        }
    }
    for cell in cells.iter().filter(|cell| cell.is_ours()) {
        let overhead = cell
            .median(Metric::OverheadBytesPerKey)
            .filter(|_| cell.table == "load");
        judge(
            "Bytes per key beyond key and value".to_owned(),
            overhead,
            OVERHEAD_BYTES_PER_KEY,
        );
        let idle = cell
            .median(Metric::IdleBytes)
            .filter(|_| cell.table == "idle");
        judge("Bytes per idle connection".to_owned(), idle, IDLE_BYTES);
    }
    list
}

/// Every figure of a table with other servers in which one of them is better.
#[must_use]
pub fn losses(cells: &[Cell]) -> Vec<Loss> {
    let mut list = Vec::new();
    for table in ["single", "open", "workload", "disturb", "load", "idle"] {
        for (ours, other) in pairs(cells, table) {
            for (metric, figure) in compared(table) {
                let (Some(mine), Some(theirs)) = (ours.median(*metric), other.median(*metric))
                else {
                    continue;
                };
                let more_is_better = *metric == Metric::OpsPerS;
                let worse = if more_is_better {
                    theirs - mine
                } else {
                    mine - theirs
                };
                if worse > NOISE * theirs.abs() {
                    list.push(Loss {
                        load: ours.load(),
                        figure: (*figure).to_owned(),
                        ours: mine,
                        other: other.name(),
                        theirs,
                    });
                }
            }
        }
    }
    list
}

/// Ours beside the one of the others that spends the least CPU on the same load.
fn cheapest<'a>(cells: &'a [Cell], table: &'a str) -> impl Iterator<Item = (&'a Cell, &'a Cell)> {
    let ours = move || {
        cells
            .iter()
            .filter(move |cell| cell.is_ours() && cell.table == table)
    };
    ours().filter_map(move |mine| {
        let others = cells.iter().filter(move |cell| {
            cell.table == table && mine.same_load(cell) && MEASURED_AGAINST.contains(&&*cell.server)
        });
        let cpu = |cell: &&Cell| cell.median(Metric::CpuUsPerOp).unwrap_or(f64::MAX);
        let least = others.min_by(|a, b| cpu(a).total_cmp(&cpu(b)))?;
        Some((mine, least))
    })
}

/// Ours and another server under the same load.
fn pairs<'a>(cells: &'a [Cell], table: &'a str) -> impl Iterator<Item = (&'a Cell, &'a Cell)> {
    let of_table = move || cells.iter().filter(move |cell| cell.table == table);
    of_table()
        .filter(|cell| cell.is_ours())
        .flat_map(move |ours| {
            of_table()
                .filter(|cell| !cell.is_ours() && cell.server != FLOOR)
                .filter(move |other| ours.same_load(other))
                .map(move |other| (ours, other))
        })
}

/// Two shards and one shard of ours under the same load, in every pair of placements.
pub(super) fn shard_pairs(cells: &[Cell]) -> impl Iterator<Item = (&Cell, &Cell)> {
    let ours = |cell: &&Cell| cell.is_ours() && matches!(cell.table.as_str(), "single" | "shards");
    let of = move |shards: u32| {
        cells
            .iter()
            .filter(ours)
            .filter(move |cell| cell.shards == Some(shards))
    };
    of(2).flat_map(move |two| {
        of(1)
            .filter(move |one| two.same_load(one))
            .map(move |one| (two, one))
    })
}

/// Two shards and one shard of ours under the same load over several keys.
pub(super) fn spread_pairs(cells: &[Cell]) -> impl Iterator<Item = (&Cell, &Cell)> {
    let of = move |shards: u32| {
        let ours = cells
            .iter()
            .filter(|cell| cell.is_ours() && cell.table == "spread");
        ours.filter(move |cell| cell.shards == Some(shards))
    };
    of(2).filter_map(move |two| Some((two, of(1).find(|one| two.same_load(one))?)))
}

pub(super) fn target_at(targets: &[(u32, f64)], pipeline: u32) -> Option<f64> {
    targets
        .iter()
        .find(|(at, _)| *at == pipeline)
        .map(|(_, target)| *target)
}

fn compared(table: &str) -> &'static [(Metric, &'static str)] {
    match table {
        "load" => &[
            (
                Metric::OverheadBytesPerKey,
                "bytes per key beyond key and value",
            ),
            (Metric::MaxUs, "longest insert, us"),
            (Metric::OpsPerS, "inserts/s"),
        ],
        "idle" => &[
            (Metric::IdleBytes, "bytes per idle connection"),
            (Metric::P99Us, "p99 of the busy connections, us"),
        ],
        "open" => &[
            (Metric::P50Us, "p50, us"),
            (Metric::P99Us, "p99, us"),
            (Metric::P999Us, "p99.9, us"),
        ],
        "disturb" => &[
            (Metric::StallUs, "longest stall, us"),
            (Metric::P999Us, "p99.9 of the bystanders, us"),
            (Metric::TookMs, "how long it takes, ms"),
        ],
        "workload" => &[
            (Metric::CpuUsPerOp, "server CPU, us/op"),
            (Metric::OpsPerS, "ops/s"),
            (Metric::P999Us, "p99.9, us"),
        ],
        _ => &[
            (Metric::CpuUsPerOp, "server CPU, us/op"),
            (Metric::OpsPerS, "ops/s"),
            (Metric::P50Us, "p50, us"),
            (Metric::P99Us, "p99, us"),
            (Metric::P999Us, "p99.9, us"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::gather;
    use super::super::cells::tests::run_of;
    use super::*;

    #[test]
    fn targets_are_judged_against_the_cheapest_of_redis_and_kevy() {
        let cells = gather(&[
            run_of("single", "redis", "", 1, 12.0),
            run_of("single", "kevy", "", 1, 10.0),
            run_of("single", "valkey", "", 1, 5.0),
            run_of("single", "tessera", "1", 1, 8.0),
            run_of("single", "redis", "", 16, 2.0),
            run_of("single", "tessera", "1", 16, 1.8),
        ]);
        let verdicts = verdicts(&cells);
        let judged: Vec<(f64, bool)> = verdicts.iter().map(|v| (v.measured, v.met)).collect();
        assert_eq!(judged, [(0.8, true), (0.9, false)]);
    }

    #[test]
    fn two_shards_are_judged_against_one_in_every_placement() {
        let cells = gather(&[
            run_of("single", "tessera", "1", 1, 6.0),
            run_of("shards", "tessera", "1", 1, 8.0),
            run_of("shards", "tessera", "2", 1, 9.6),
        ]);
        let judged: Vec<(f64, bool)> = verdicts(&cells)
            .iter()
            .map(|v| (v.measured, v.met))
            .collect();
        assert_eq!(judged.len(), 2);
        assert!(!judged[0].1 && judged[1].1, "{judged:?}");
    }

    #[test]
    fn losses_name_the_winner_and_ignore_noise() {
        let cells = gather(&[
            run_of("single", "redis", "", 1, 10.0),
            run_of("single", "valkey", "", 1, 8.05),
            run_of("single", "dragonfly", "", 1, 4.0),
            run_of("single", "tessera", "1", 1, 8.1),
        ]);
        let losses = losses(&cells);
        assert!(
            losses.iter().all(|loss| loss.other == "dragonfly"),
            "{losses:?}"
        );
        let figures: Vec<&str> = losses.iter().map(|loss| loss.figure.as_str()).collect();
        assert_eq!(
            figures,
            ["server CPU, us/op", "ops/s", "p50, us", "p99, us"]
        );
    }
}
