//! Does the log keep what it has acknowledged on every disk that a seed can make, and would we notice if it did not?

use tessera_tests::crash::campaign::Campaign;
use tessera_tests::crash::lies::{LIES, Lie};
use tessera_tests::crash::world::run_seed;

/// Seeds of the run in CI, and those within which every lie must be noticed.
const SEEDS: u64 = 1_000;
const LYING_SEEDS: u64 = 4_000;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

#[test]
fn many_disks() {
    let seeds = std::env::var("TESSERA_SIM_SEEDS");
    let seeds = seeds.map_or(SEEDS, |text| text.parse().expect("a number of seeds"));
    let campaign = Campaign::run(0, seeds, cores(), 20, None);
    println!("{}", campaign.summary());
    for (seed, why) in &campaign.failures {
        println!("seed {seed}: {why}\n  replay: scripts/sim log {seed}");
    }
    assert!(campaign.failures.is_empty());
    // It must have been worth it.
    let sums = campaign.sums;
    assert!(sums.crashes > seeds && sums.torn > seeds / 10 && sums.acked > seeds);
    assert!(sums.rewrites > seeds / 4 && sums.failures > seeds / 4 && sums.made_good > seeds / 40);
}

#[test]
fn a_seed_is_the_same_disk_twice() {
    for seed in 0..50 {
        assert_eq!(run_seed(seed, None), run_seed(seed, None), "seed {seed}");
    }
}

#[test]
fn every_lie_of_the_disk_is_noticed() {
    for lie in LIES {
        let campaign = Campaign::run(0, LYING_SEEDS, cores(), 1, Some(lie));
        let found = campaign.failures.first();
        let (seed, why) = found.unwrap_or_else(|| panic!("{lie:?}: unnoticed"));
        println!("{lie:?}: noticed in seed {seed}: {why}");
    }
    assert_eq!(LIES.len(), 1 + Lie::NothingRefreshed as usize);
}
