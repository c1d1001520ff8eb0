//! The same stream of commands to the server under test and to redis-server: every reply is compared.
//!
//! `TESSERA_SEED` replays a run, `TESSERA_DIFFERENTIAL_COMMANDS` sets how many commands each run has.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests drive real processes in real time"
)]

use tessera_tests::differential::run::Run;
use tessera_tests::differential::scenes::author;
use tessera_tests::differential::scenes::stage::Stage;
use tessera_tests::launch::Launch;
use tessera_tests::rng;

/// Commands per run unless the environment says otherwise: the six runs take about 20 seconds.
const COMMANDS: usize = 40_000;

fn run(protocol: u8, shards: usize) {
    let commands = std::env::var("TESSERA_DIFFERENTIAL_COMMANDS").map_or(COMMANDS, |text| {
        text.parse()
            .expect("TESSERA_DIFFERENTIAL_COMMANDS is a number")
    });
    Run {
        seed: rng::seed(),
        protocol,
        shards,
        commands,
    }
    .check();
}

#[test]
fn resp2_on_one_shard() {
    run(2, 1);
}

#[test]
fn resp2_on_two_shards() {
    run(2, 2);
}

#[test]
fn resp2_on_four_shards() {
    run(2, 4);
}

#[test]
fn resp3_on_one_shard() {
    run(3, 1);
}

#[test]
fn resp3_on_two_shards() {
    run(3, 2);
}

#[test]
fn resp3_on_four_shards() {
    run(3, 4);
}

/// Killed at the end, a server with the log on has what redis-server has, which has run on.
#[test]
fn restarted_from_the_log() {
    for (number, (shards, then)) in [(1, 2), (2, 1), (4, 2)].into_iter().enumerate() {
        Run {
            seed: rng::seed() + number as u64,
            protocol: 2,
            shards,
            commands: COMMANDS / 8,
        }
        .check_recovery(then, number == 1);
    }
}

/// Acts of a scene, and scenes per run unless the environment says otherwise.
const ACTS: usize = 120;
const SCENES: u64 = 6;

/// Several connections that take turns: everybody hears the same on 1, 2 and 4 shards as from the oracle.
#[test]
fn scenes_of_several_connections() {
    let scenes = std::env::var("TESSERA_DIFFERENTIAL_SCENES").map_or(SCENES, |text| {
        text.parse()
            .expect("TESSERA_DIFFERENTIAL_SCENES is a number")
    });
    let oracle = Launch::oracle().start();
    let ours = [1, 2, 4].map(|shards| (shards, Launch::tessera().shards(shards).start()));
    let first = std::env::var("TESSERA_SEED").map_or(1, |_| rng::seed());
    for seed in first..first + scenes {
        let acts = author::write(seed, ACTS);
        let mut expected = Stage::new(&oracle);
        let expected: Vec<Vec<String>> = acts.iter().map(|act| expected.play(act)).collect();
        for (shards, server) in &ours {
            let mut stage = Stage::new(server);
            for (number, (act, expected)) in acts.iter().zip(&expected).enumerate() {
                let heard = stage.play(act);
                assert!(
                    heard == *expected,
                    "TESSERA_SEED={seed}, {shards} shards, act {number}, {act:?}\n  ours:   {heard:?}\n  theirs: {expected:?}\nbefore: {:?}",
                    &acts[number.saturating_sub(12)..number]
                );
            }
        }
    }
}
