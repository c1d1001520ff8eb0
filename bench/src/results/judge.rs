//! What is wanted and what came out: the targets of this milestone, and every figure in which another server
//! is better.

use serde::Serialize;

use super::cells::{Cell, Metric};

/// A difference smaller than this is noise, not a loss.
const NOISE: f64 = 0.01;

/// Largest CPU per command, as a share of redis-server's, at a pipeline.
const CPU_OF_REDIS: [(u32, f64); 3] = [(1, 0.85), (16, 0.75), (64, 0.5)];
/// Largest CPU per command with two shards, as a multiple of one shard's, at a pipeline.
const CPU_OF_ONE_SHARD: [(u32, f64); 2] = [(1, 1.5), (16, 1.6)];
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
    for (ours, other) in pairs(cells, "single").filter(|(_, other)| other.server == "redis") {
        if let Some(target) = target_at(&CPU_OF_REDIS, ours.pipeline) {
            let what = format!(
                "{}: server CPU per command, ratio to redis-server",
                ours.load()
            );
            judge(what, ours.ratio(Metric::CpuUsPerOp, other), target);
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
    for table in ["single", "load", "idle"] {
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

/// One shard of ours and another server under the same load.
fn pairs<'a>(cells: &'a [Cell], table: &'a str) -> impl Iterator<Item = (&'a Cell, &'a Cell)> {
    let of_table = move || cells.iter().filter(move |cell| cell.table == table);
    of_table()
        .filter(|cell| cell.is_ours())
        .flat_map(move |ours| {
            of_table()
                .filter(|cell| !cell.is_ours())
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
    fn targets_are_judged_against_redis_alone() {
        let cells = gather(&[
            run_of("single", "redis", "", 1, 10.0),
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
