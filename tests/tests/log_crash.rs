//! Does the log keep what it has acknowledged on every disk that a seed can make, is a snapshot always whole and of one moment, and would we notice if not?

use tessera_tests::crash::campaign::{Campaign, World};
use tessera_tests::crash::lies::{LIES, LIES_OF_SAVES, Lie};
use tessera_tests::crash::world::Account;
use tessera_tests::crash::{saves, world};

/// Seeds of the run in CI, and those within which every lie must be noticed.
const SEEDS: u64 = 1_000;
const LYING_SEEDS: u64 = 4_000;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

fn run_many(world: World, name: &str) -> (u64, Account) {
    let seeds = std::env::var("TESSERA_SIM_SEEDS");
    let seeds = seeds.map_or(SEEDS, |text| text.parse().expect("a number of seeds"));
    let campaign = Campaign::run(world, 0, seeds, cores(), 20, None);
    println!("{}", campaign.summary());
    for (seed, why) in &campaign.failures {
        println!("seed {seed}: {why}\n  replay: scripts/sim {name} {seed}");
    }
    assert!(campaign.failures.is_empty());
    (seeds, campaign.sums)
}

// What comes of many seeds must have been worth it.

#[test]
fn snapshots_on_many_disks() {
    let (seeds, sums) = run_many(saves::run_seed, "saves");
    assert!(sums.crashes > seeds && sums.torn > seeds / 2 && sums.rewrites > seeds);
    assert!(sums.failures > seeds / 4 && sums.made_good > seeds / 40);
}

#[test]
fn many_disks() {
    let (seeds, sums) = run_many(world::run_seed, "log");
    assert!(sums.crashes > seeds && sums.torn > seeds / 10 && sums.acked > seeds);
    assert!(sums.rewrites > seeds / 4 && sums.failures > seeds / 4 && sums.made_good > seeds / 40);
}

#[test]
fn a_seed_is_the_same_disk_twice() {
    for seed in 0..50 {
        for run in [world::run_seed, saves::run_seed] {
            assert_eq!(run(seed, None), run(seed, None), "seed {seed}");
        }
    }
}

#[test]
fn every_lie_of_the_disk_is_noticed() {
    let of_saves = LIES_OF_SAVES.map(|lie| (saves::run_seed as World, lie));
    let of_log = LIES.map(|lie| (world::run_seed as World, lie));
    for (world, lie) in of_log.into_iter().chain(of_saves) {
        let campaign = Campaign::run(world, 0, LYING_SEEDS, cores(), 1, Some(lie));
        let found = campaign.failures.first();
        let (seed, why) = found.unwrap_or_else(|| panic!("{lie:?}: unnoticed"));
        println!("{lie:?}: noticed in seed {seed}: {why}");
    }
    assert_eq!(LIES.len(), 1 + Lie::NothingRefreshed as usize);
}
