//! Which executor should own the disk? A log that is appended and synced, alone and beside a snapshot that is written as fast as the disk takes it, by
//!
//! - a thread per file with `write` and `fdatasync`, as the server has it, and the same with O_DIRECT for the snapshot,
//! - one thread with an io_uring ring for both, through the page cache and with O_DIRECT,
//! - one glommio executor with a latency queue for the log and a bulk queue for the snapshot, with DMA files.
//!
//! Usage: `tessera-bench-disk FOLDER [SECONDS] [ROUNDS]`. Prints a Markdown table of medians. `scripts/disk` runs it.

mod meter;
mod queues;
mod ring;
mod threads;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use meter::{Figures, Meter, median};

/// An append to the log: what a group of commands makes.
const RECORD_BYTES: usize = 4096;
/// A chunk of the snapshot.
const CHUNK_BYTES: usize = 256 * 1024;
/// The snapshot is synced after so many bytes, as the server does it.
const SYNC_BYTES: u64 = 8 << 20;
/// What O_DIRECT counts in.
const BLOCK_BYTES: usize = 4096;
/// Either file begins anew when it is so long.
const FILE_BYTES: u64 = 512 << 20;
/// Chunks under way, where several may be.
const DEPTH: usize = 4;

/// How much longer than asked a run may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is measured.
pub(crate) struct Plan {
    folder: PathBuf,
    time: Duration,
    /// Whether a snapshot is written beside the log.
    has_bulk: bool,
}

impl Plan {
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("disk-bench.log")
    }

    pub(crate) fn bulk(&self) -> PathBuf {
        self.folder.join("disk-bench.bulk")
    }
}

type Way = fn(&Plan, &Meter) -> Result<(), String>;

const WAYS: [(&str, Way); 5] = [
    ("threads, write and fdatasync", threads::run),
    ("threads, snapshot with O_DIRECT", threads::run_direct),
    ("io_uring, one ring", ring::run_cached),
    ("io_uring, one ring, O_DIRECT", ring::run_direct),
    ("glommio, DMA files", queues::run),
];

fn measure(way: Way, folder: &Path, time: Duration, has_bulk: bool) -> Result<Figures, String> {
    let plan = Plan {
        folder: folder.to_owned(),
        time,
        has_bulk,
    };
    let (plan, meter) = (Arc::new(plan), Arc::new(Meter::new()));
    let (tell, told) = channel();
    let (plan_there, meter_there) = (Arc::clone(&plan), Arc::clone(&meter));
    // Nobody listens any more if it took too long.
    std::thread::spawn(move || drop(tell.send(way(&plan_there, &meter_there))));
    let outcome = told.recv_timeout(time + PATIENCE);
    let figures = meter.figures();
    for path in [plan.log(), plan.bulk()] {
        // One of them may not have been made.
        let _ = std::fs::remove_file(path);
    }
    match outcome {
        Ok(outcome) => outcome.map(|()| figures),
        Err(_) => Err("it does not end".to_owned()),
    }
}

fn row(name: &str, alone: &[Figures], beside: &[Figures]) {
    let of = |figures: &[Figures], pick: fn(&Figures) -> f64| median(figures.iter().map(pick));
    println!(
        "| {name} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} | {:.2} |",
        of(alone, |it| it.appends_per_s),
        of(alone, |it| it.p50_ms),
        of(alone, |it| it.p99_ms),
        of(beside, |it| it.appends_per_s),
        of(beside, |it| it.p50_ms),
        of(beside, |it| it.p99_ms),
        of(beside, |it| it.worst_ms),
        of(beside, |it| it.bulk_mb_per_s),
        of(beside, |it| it.cores),
    );
}

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(folder) = args.next().map(PathBuf::from) else {
        eprintln!("usage: tessera-bench-disk FOLDER [SECONDS] [ROUNDS]");
        std::process::exit(2);
    };
    let mut number = |otherwise: u64| {
        args.next()
            .and_then(|it| it.parse().ok())
            .unwrap_or(otherwise)
    };
    let (time, rounds) = (Duration::from_secs(number(5)), number(3));
    let mut found = WAYS.map(|_| (Vec::new(), Vec::new()));
    for round in 1..=rounds {
        for ((name, way), (alone, beside)) in WAYS.iter().zip(&mut found) {
            eprintln!("round {round} of {rounds}: {name}");
            for (has_bulk, figures) in [(false, alone), (true, beside)] {
                match measure(*way, &folder, time, has_bulk) {
                    Ok(it) => figures.push(it),
                    Err(why) => eprintln!("{name}: {why}"),
                }
            }
        }
    }
    println!(
        "| | log alone, appends/s | p50 ms | p99 ms | log beside a snapshot, appends/s | p50 ms | p99 ms | worst ms | snapshot MB/s | cores |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for ((name, _), (alone, beside)) in WAYS.iter().zip(&found) {
        match alone.is_empty() || beside.is_empty() {
            true => println!("| {name} | cannot be run here |||||||||"),
            false => row(name, alone, beside),
        }
    }
}
