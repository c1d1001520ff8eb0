//! RESULTS.md: the machine, the verdicts, the tables, where others are better, and the command behind every row.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::cells::{Cell, Metric, Skip};
use super::judge::{losses, shard_pairs, spread_pairs, verdicts};
use super::machine::Machine;
use super::plots::{Picture, loads};
use super::rows::{disturb_section, show, skip_section, workload_section};
use crate::table::OTHER_CORES_NOTED;

const MILLISECOND_US: f64 = 1000.0;
/// A client that uses this share of a core is what limits the rate.
const CLIENT_BOUND: f64 = 0.95;

/// Where the figures come from.
#[derive(Clone, Debug, Serialize)]
pub struct Provenance {
    /// The command that made the page.
    pub command: String,
    /// The commit measured.
    pub commit: String,
    /// The day.
    pub date: String,
    /// The machine.
    pub machine: Machine,
    /// What the reader should know besides.
    pub notes: Vec<String>,
}

/// The whole page.
#[must_use]
pub fn page(
    provenance: &Provenance,
    cells: &[Cell],
    skips: &[Skip],
    pictures: &[Picture],
) -> String {
    let mut text = head(provenance, cells);
    text.push_str(&verdict_section(cells));
    text.push_str(&single_section(cells));
    show(&mut text, pictures, "single");
    text.push_str(&shards_section(cells));
    text.push_str(&spread_section(cells));
    text.push_str(&open_section(cells));
    text.push_str(&workload_section(cells, pictures));
    text.push_str(&disturb_section(cells, pictures));
    text.push_str(&load_section(cells));
    text.push_str(&idle_section(cells));
    text.push_str(&loss_section(cells));
    text.push_str(&skip_section(skips));
    text.push_str(&fault_section(cells));
    text.push_str(&command_section(cells));
    text
}

/// The sections of a page that another script has written: between a line that begins with `<!-- section ` and one that begins with `<!-- end `, both included.
#[must_use]
pub fn kept_sections(page: &str) -> String {
    let (mut text, mut is_kept) = (String::new(), false);
    for line in page.lines() {
        if line.starts_with("<!-- section ") {
            is_kept = true;
            text.push('\n');
        }
        if is_kept {
            text.push_str(line);
            text.push('\n');
        }
        is_kept &= !line.starts_with("<!-- end ");
    }
    text
}

fn head(provenance: &Provenance, cells: &[Cell]) -> String {
    let machine = &provenance.machine;
    let mut text = format!(
        "# Results\n\nMeasured figures only, written by `{}` on {} at commit `{}`; the same data as JSON: \
         docs/results.json.\n\nMachine: {} x {}{}, {} MB, Linux {}.\n",
        provenance.command,
        provenance.date,
        provenance.commit,
        machine.cpus,
        machine.cpu,
        if machine.is_virtual { " (virtual)" } else { "" },
        machine.memory_mb,
        machine.kernel,
    );
    text.push_str(
        "\nEvery figure is the median over the rounds; a round starts the server fresh, loads the keys, warms up and \
         measures, and the servers take turns round by round. Persistence is off everywhere. CPU is the server's user \
         plus system time over the commands it answered; it says more than the rate, because server and client share \
         few cores. `*`: the client was the limit, so the rate is the client's.\n",
    );
    for note in &provenance.notes {
        let _ = writeln!(text, "\n{note}");
    }
    let others = cells
        .iter()
        .filter_map(|cell| cell.median(Metric::OtherCores));
    if let Some(cores) = others
        .reduce(f64::max)
        .filter(|cores| *cores > OTHER_CORES_NOTED)
    {
        let _ = writeln!(
            text,
            "\n**Disturbed**: other processes used up to {cores:.1} cores while this was measured. Do not rely on it."
        );
    }
    text
}

fn verdict_section(cells: &[Cell]) -> String {
    let verdicts = verdicts(cells);
    let mut text = String::from("\n## Targets\n\n");
    if verdicts.is_empty() {
        text.push_str("No figures to judge.\n");
        return text;
    }
    text.push_str("| Target | wanted at most | measured | |\n|---|--:|--:|---|\n");
    for verdict in &verdicts {
        let outcome = if verdict.met { "met" } else { "**missed**" };
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {outcome} |",
            verdict.what, verdict.target, verdict.measured
        );
    }
    text
}

fn single_section(cells: &[Cell]) -> String {
    let rows: Vec<&Cell> = cells.iter().filter(|cell| cell.table == "single").collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n## One core: one shard against the others\n\n");
    text.push_str(
        "50 connections, 64-byte values, random keys of a loaded range. Ratio: our CPU per command over theirs. echo is no server but the floor: a loop over the same reactor \
         that answers every frame with the same bytes.\n\n\
         | Load | Server | server CPU us/op | lowest to highest | ops/s | p50 ms | p99 ms | p99.9 ms | ratio |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for load in loads(&rows) {
        let of_load = || rows.iter().copied().filter(|cell| cell.load() == load);
        let ours = of_load().find(|cell| cell.is_ours());
        for cell in of_load() {
            let ratio = ours
                .filter(|_| !cell.is_ours())
                .and_then(|ours| ours.ratio(Metric::CpuUsPerOp, cell));
            let _ = writeln!(
                text,
                "| {load} | {} | {} | {} |",
                cell.name(),
                run_columns(cell),
                number(ratio, 2)
            );
        }
    }
    text
}

fn open_section(cells: &[Cell]) -> String {
    let rows: Vec<&Cell> = cells.iter().filter(|cell| cell.table == "open").collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n## At a fixed rate\n\n");
    text.push_str(
        "An open loop at half of what redis-server reached in a closed one: every request is due at a fixed time, whatever the \
         server does, and its latency counts from then.\n\n\
         | Load | Server | server CPU us/op | lowest to highest | ops/s | p50 ms | p99 ms | p99.9 ms | p99.99 ms | max ms |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for cell in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            cell.load(),
            cell.name(),
            run_columns(cell),
            milliseconds(cell, Metric::P9999Us),
            milliseconds(cell, Metric::MaxUs),
        );
    }
    text
}

fn shards_section(cells: &[Cell]) -> String {
    let pairs: Vec<(&Cell, &Cell)> = shard_pairs(cells).collect();
    if pairs.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n## Two shards against one\n\n");
    text.push_str(
        "The same load on one and two shards of ours. With two shards half of the keys are the other shard's, so half \
         of the commands are hops. Where server and client share cores, wake-ups and batches are others than where each \
         has its own, so a ratio means most within one placement; the single shard stands here in each. In batches: \
         the pipeline is filled only when all its replies are there, as client libraries do it; otherwise one more \
         request goes out with every reply, as with memtier. Ratio: CPU per command of two shards over this row's.\n\n\
         | Load | Server | server on CPU | client on CPU | server CPU us/op | lowest to highest | ops/s | p50 ms | p99 ms | p99.9 ms | ratio |\n\
         |---|---|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut seen: Vec<*const Cell> = Vec::new();
    for (two, _) in &pairs {
        if seen.contains(&std::ptr::from_ref(*two)) {
            continue;
        }
        seen.push(std::ptr::from_ref(*two));
        text.push_str(&shard_row(two, None));
        for (_, one) in pairs.iter().filter(|(other, _)| std::ptr::eq(*other, *two)) {
            text.push_str(&shard_row(one, two.ratio(Metric::CpuUsPerOp, one)));
        }
    }
    text
}

fn spread_section(cells: &[Cell]) -> String {
    let mut text = String::new();
    for (two, one) in spread_pairs(cells) {
        if text.is_empty() {
            text.push_str(
                "\n## Several keys at once, two shards against one\n\nRandom keys, which lie on both shards; the client on the same cores. Half load: \
                 requests are due at fixed times, at half of what one shard reached. Ratio: of CPU per request.\n\n\
                 | Load | Server | server on CPU | client on CPU | server CPU us/op | lowest to highest | ops/s | p50 ms | p99 ms | p99.9 ms | ratio |\n\
                 |---|---|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
            );
        }
        text.push_str(&shard_row(two, None));
        text.push_str(&shard_row(one, two.ratio(Metric::CpuUsPerOp, one)));
    }
    text
}

fn shard_row(cell: &Cell, ratio: Option<f64>) -> String {
    format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        cell.load(),
        cell.name(),
        cell.server_cpus,
        cell.client_cpus,
        run_columns(cell),
        number(ratio, 2)
    )
}

/// CPU, its spread, rate and latencies.
fn run_columns(cell: &Cell) -> String {
    let cpu = cell.figures.get(&Metric::CpuUsPerOp);
    let spread = cpu.map_or_else(dash, |cpu| format!("{:.2} to {:.2}", cpu.min, cpu.max));
    let bound = cell
        .median(Metric::ClientBusy)
        .is_some_and(|busy| busy > CLIENT_BOUND);
    format!(
        "{} | {spread} | {}{} | {} | {} | {}",
        number(cell.median(Metric::CpuUsPerOp), 2),
        number(cell.median(Metric::OpsPerS), 0),
        if bound { "*" } else { "" },
        milliseconds(cell, Metric::P50Us),
        milliseconds(cell, Metric::P99Us),
        milliseconds(cell, Metric::P999Us),
    )
}

fn load_section(cells: &[Cell]) -> String {
    let rows: Vec<&Cell> = cells.iter().filter(|cell| cell.table == "load").collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n## Loading\n\n");
    text.push_str(
        "Every key of a range is written once: 16-byte keys, 64-byte values, a fresh server. Bytes per key: growth of the \
         resident memory over the number of keys, less key and value. Longest insert: as the loading client saw it, \
         the time in the pipeline included.\n\n\
         | Load | Server | bytes per key beyond key and value | longest insert ms | p99.9 ms | inserts/s | server's own longest turn ms |\n\
         |---|---|--:|--:|--:|--:|--:|\n",
    );
    for cell in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            cell.load(),
            cell.name(),
            number(cell.median(Metric::OverheadBytesPerKey), 1),
            milliseconds(cell, Metric::MaxUs),
            milliseconds(cell, Metric::P999Us),
            number(cell.median(Metric::OpsPerS), 0),
            milliseconds(cell, Metric::LongestTurnUs),
        );
    }
    text
}

fn idle_section(cells: &[Cell]) -> String {
    let rows: Vec<&Cell> = cells.iter().filter(|cell| cell.table == "idle").collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n## Idle connections\n\n");
    text.push_str(
        "100 busy connections, first alone, then with idle ones beside them; each idle one has sent one PING. Bytes: growth of \
         the resident memory over the number of idle connections.\n\n\
         | Load | Server | bytes per idle connection | closed by the server | server CPU us/op | ops/s | p50 ms | p99 ms | p99.9 ms |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for cell in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            cell.load(),
            cell.name(),
            number(cell.median(Metric::IdleBytes), 0),
            number(cell.median(Metric::IdleClosed), 0),
            number(cell.median(Metric::CpuUsPerOp), 2),
            number(cell.median(Metric::OpsPerS), 0),
            milliseconds(cell, Metric::P50Us),
            milliseconds(cell, Metric::P99Us),
            milliseconds(cell, Metric::P999Us),
        );
    }
    text
}

fn loss_section(cells: &[Cell]) -> String {
    let losses = losses(cells);
    let mut text = String::from("\n## Where others are better\n\n");
    if cells.iter().all(Cell::is_ours) || !cells.iter().any(Cell::is_ours) {
        text.push_str("Nothing was compared.\n");
        return text;
    }
    if losses.is_empty() {
        text.push_str("In none of the figures above by more than 1 %.\n");
        return text;
    }
    text.push_str("| Load | Figure | Tessera | the other | |\n|---|---|--:|--:|---|\n");
    for loss in losses {
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {:.2} | {} |",
            loss.load, loss.figure, loss.ours, loss.theirs, loss.other
        );
    }
    text
}

fn fault_section(cells: &[Cell]) -> String {
    let faulty = cells
        .iter()
        .filter(|cell| cell.errors > 0 || cell.partial_rounds + cell.miscounted_rounds > 0);
    let lines: Vec<String> = faulty
        .map(|cell| {
            format!(
                "- {} on {}: {} error replies; of {} rounds {} partial, {} counted differently by the server\n",
                cell.load(),
                cell.name(),
                cell.errors,
                cell.rounds,
                cell.partial_rounds,
                cell.miscounted_rounds
            )
        })
        .collect();
    if lines.is_empty() {
        "\nNo run had error replies or lost connections, and every server counted as many commands as the client to within \
         1 %.\n".to_owned()
    } else {
        format!("\n## Faults\n\n{}", lines.concat())
    }
}

fn command_section(cells: &[Cell]) -> String {
    let mut text = String::from("\n## Commands\n\nServers:\n\n```\n");
    let servers: BTreeSet<&str> = cells
        .iter()
        .map(|cell| cell.server_command.as_str())
        .collect();
    for command in servers.into_iter().filter(|command| !command.is_empty()) {
        let _ = writeln!(text, "{command}");
    }
    text.push_str(
        "```\n\nClients, with the CPU they were pinned to and the number of rounds:\n\n```\n",
    );
    let mut seen = BTreeSet::new();
    for cell in cells {
        let line = format!(
            "taskset -c {} {}   # {} x {}",
            cell.client_cpus,
            cell.client_command,
            cell.rounds,
            cell.name()
        );
        if seen.insert(line.clone()) {
            let _ = writeln!(text, "{line}");
        }
    }
    text.push_str("```\n");
    text
}

fn dash() -> String {
    "---".to_owned()
}

pub(super) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(dash, |value| format!("{value:.digits$}"))
}

pub(super) fn milliseconds(cell: &Cell, metric: Metric) -> String {
    number(cell.median(metric).map(|us| us / MILLISECOND_US), 3)
}

#[cfg(test)]
mod tests {
    use super::super::cells::gather;
    use super::super::cells::tests::run_of;
    use super::*;

    fn provenance() -> Provenance {
        Provenance {
            command: "scripts/bench".to_owned(),
            commit: "abc".to_owned(),
            date: "today".to_owned(),
            machine: Machine::this(),
            notes: vec!["One core only.".to_owned()],
        }
    }

    #[test]
    fn the_page_says_where_we_lose_and_every_table_is_regular() {
        let cells = gather(&[
            run_of("single", "redis", "", 1, 5.0),
            run_of("single", "tessera", "1", 1, 6.0),
            run_of("shards", "tessera", "2", 1, 12.0),
            run_of("load", "tessera", "1", 16, 1.0),
            run_of("idle", "tessera", "1", 1, 6.0),
            run_of("open", "redis", "", 1, 6.0),
            run_of("open", "tessera", "2", 1, 6.0),
            run_of("workload", "redis", "", 1, 6.0),
            run_of("disturb", "redis", "", 1, 6.0),
        ]);
        let text = page(&provenance(), &cells, &[], &[]);
        assert!(text.contains("| **missed** |"));
        assert!(text.contains("| GET, pipeline 1 | server CPU, us/op | 6.00 | 5.00 | redis |"));
        assert!(text.contains("One core only."));
        let mut width = 0;
        for line in text.lines() {
            let columns = line.matches('|').count();
            assert!(columns == 0 || width == 0 || columns == width, "{line}");
            width = columns;
        }
    }

    #[test]
    fn sections_of_others_are_kept() {
        let page = "# Results\n\n<!-- section disk -->\n## Disk\n<!-- end disk -->\nours\n<!-- section log -->\nx\n<!-- end log -->\n";
        let kept = "\n<!-- section disk -->\n## Disk\n<!-- end disk -->\n\n<!-- section log -->\nx\n<!-- end log -->\n";
        assert_eq!(kept_sections(page), kept);
        assert_eq!(kept_sections(kept), kept);
        assert_eq!(kept_sections("# Results\n"), "");
    }

    #[test]
    fn a_page_without_runs_says_so() {
        let text = page(&provenance(), &[], &[], &[]);
        assert!(text.contains("No figures to judge."));
    }
}
