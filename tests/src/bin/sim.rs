//! `scripts/sim`: runs seeds of the simulator and tells which fail.
//!
//! ```text
//! sim SEED [--trace]                 one seed, in full; --trace shows what the world did
//! sim --seeds N [--from S] [--threads T] [--failures F]
//! sim log SEED | sim log --seeds N ...     the log on a disk that fails, instead of whole nodes
//! sim saves SEED | sim saves --seeds N ... the same of snapshots
//! ```

use std::process::ExitCode;

use tessera_tests::crash;
use tessera_tests::crash::campaign::World;
use tessera_tests::simulator::node::Tampering;
use tessera_tests::simulator::plan::Plan;
use tessera_tests::simulator::run::Run;
use tessera_tests::simulator::seeds::{Campaign, run_seed};

const USAGE: &str = "usage: sim [log|saves] SEED [--trace] | sim [log|saves] --seeds N [--from S] [--threads T] [--failures F]";

/// What was asked for.
#[derive(Default)]
struct Request {
    /// Of disks: their worlds, and their name.
    disks: Option<(World, &'static str)>,
    seed: Option<u64>,
    trace: bool,
    seeds: Option<u64>,
    from: u64,
    threads: usize,
    failures_max: usize,
}

impl Request {
    fn parse(mut args: impl Iterator<Item = String>) -> Option<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let mut request = Self {
            threads: cores,
            failures_max: 20,
            ..Self::default()
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "log" => request.disks = Some((crash::world::run_seed, "log")),
                "saves" => request.disks = Some((crash::saves::run_seed, "saves")),
                "--trace" => request.trace = true,
                "--seeds" => request.seeds = Some(args.next()?.parse().ok()?),
                "--from" => request.from = args.next()?.parse().ok()?,
                "--threads" => request.threads = args.next()?.parse().ok()?,
                "--failures" => request.failures_max = args.next()?.parse().ok()?,
                seed => request.seed = Some(seed.parse().ok()?),
            }
        }
        (request.seed.is_some() != request.seeds.is_some()).then_some(request)
    }
}

fn one(seed: u64, has_trace: bool) -> bool {
    if has_trace {
        let mut run = Run::new(Plan::from_seed(seed), Tampering::default());
        run.keep_trace();
        let result = run.run();
        run.trace().iter().for_each(|line| println!("{line}"));
        return report(
            seed,
            result.is_ok(),
            result.err().map(|failure| failure.to_string()),
        );
    }
    let result = run_seed(seed, Tampering::default());
    if let Ok(account) = &result {
        let again = run_seed(seed, Tampering::default()).map(|account| account.hash);
        let is_same = again.is_ok_and(|hash| hash == account.hash);
        println!("{}\n{account:#?}", Plan::from_seed(seed).summary());
        if !is_same {
            println!("seed {seed} ran differently the second time");
            return false;
        }
    }
    report(
        seed,
        result.is_ok(),
        result.err().map(|failure| failure.to_string()),
    )
}

fn report(seed: u64, passed: bool, text: Option<String>) -> bool {
    match text {
        Some(text) => println!("{text}"),
        None => println!("seed {seed}: fine"),
    }
    passed
}

fn many(seeds: u64, request: &Request) -> bool {
    let campaign = Campaign::run(
        request.from,
        seeds,
        request.threads,
        request.failures_max,
        Tampering::default(),
        |failure| {
            let first = failure.complaint.lines().next().unwrap_or_default();
            println!(
                "seed {} FAILED ({}, {} operations): {first}\n  replay: scripts/sim {}",
                failure.seed, failure.judge, failure.operations, failure.seed
            );
        },
    );
    println!("{}", campaign.summary());
    campaign.failures.is_empty()
}

fn one_disk(world: World, seed: u64) -> bool {
    match world(seed, None) {
        Ok(account) => println!("{account:#?}\nseed {seed}: fine"),
        Err(why) => {
            println!("seed {seed}: {why}");
            return false;
        }
    }
    true
}

fn many_disks((world, name): (World, &str), seeds: u64, request: &Request) -> bool {
    let (from, threads, failures_max) = (request.from, request.threads, request.failures_max);
    let campaign = crash::campaign::Campaign::run(world, from, seeds, threads, failures_max, None);
    for (seed, why) in &campaign.failures {
        println!("seed {seed} FAILED: {why}\n  replay: scripts/sim {name} {seed}");
    }
    println!("{}", campaign.summary());
    campaign.failures.is_empty()
}

fn main() -> ExitCode {
    let Some(request) = Request::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let passed = match (request.seed, request.seeds, request.disks) {
        (Some(seed), _, Some((world, _))) => one_disk(world, seed),
        (None, seeds, Some(disks)) => many_disks(disks, seeds.unwrap_or_default(), &request),
        (Some(seed), _, None) => one(seed, request.trace),
        (None, seeds, None) => many(seeds.unwrap_or_default(), &request),
    };
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
