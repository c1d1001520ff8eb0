//! The same stream of commands to the server under test and to redis-server: every reply is compared.
//!
//! `TESSERA_SEED` replays a run, `TESSERA_DIFFERENTIAL_COMMANDS` sets how many commands each run has.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests drive real processes in real time"
)]

use tessera_tests::differential::run::Run;
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
