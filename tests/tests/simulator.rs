//! Does the server keep its promises in every world that a seed can make, and would we notice if it did not?

use tessera_server::front::Front;
use tessera_shards::coordinator::Sabotage;
use tessera_tests::simulator::node::Tampering;
use tessera_tests::simulator::seeds::{Campaign, run_seed};

/// Seeds of the run in CI.
const SEEDS: u64 = 1_000;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

#[test]
fn many_worlds() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number of seeds"))
    };
    let (from, seeds) = (
        number("TESSERA_SIM_FROM", 0),
        number("TESSERA_SIM_SEEDS", SEEDS),
    );
    let campaign = Campaign::run(from, seeds, cores(), 20, Tampering::default(), |_| {});
    println!("{}", campaign.summary());
    for failure in &campaign.failures {
        println!("{failure}replay: scripts/sim {}\n", failure.seed);
    }
    assert!(campaign.failures.is_empty());
    // A search that gives up judges nothing.
    assert!(campaign.sums.undecided * 200 <= campaign.sums.epochs);
    assert!(campaign.sums.cut > 0 && campaign.sums.scans * 20 > seeds);
    assert!(campaign.sums.waited > 0 && campaign.sums.messages > 0);
    assert!(campaign.sums.reads > 0);
    // Most transactions run.
    assert!(campaign.sums.transactions > campaign.sums.refused * 2);
}

#[test]
fn a_seed_is_the_same_world_twice() {
    for seed in 0..40 {
        let hash = || run_seed(seed, Tampering::default()).map(|account| account.hash);
        let (first, second) = (hash(), hash());
        assert_eq!(first.ok(), second.ok(), "seed {seed}");
    }
    let hashes = [1, 2].map(|seed| run_seed(seed, Tampering::default()).map(|run| run.hash));
    let [first, second] = hashes.map(Result::ok);
    assert_ne!(first, second);
}

/// Every broken rule must be noticed within this many seeds.
const SABOTAGED_SEEDS: u64 = 4000;

/// Runs seeds until one fails and says which, and who noticed.
fn noticed(name: &str, tampering: Tampering) {
    let campaign = Campaign::run(0, SABOTAGED_SEEDS, 1, 1, tampering, |_| {});
    let failure = campaign.failures.first();
    let failure = failure.unwrap_or_else(|| panic!("{name}: unnoticed in {SABOTAGED_SEEDS} seeds"));
    println!(
        "{name}: noticed by the judge of {} in seed {}",
        failure.judge, failure.seed
    );
    assert_ne!(failure.judge, "panics", "{name}: {}", failure.complaint);
}

fn broken(front: fn(&mut Front)) -> Tampering {
    Tampering {
        front: Some(front),
        ..Tampering::default()
    }
}

#[test]
fn batches_appended_one_by_one_are_noticed() {
    noticed(
        "append one by one",
        broken(|front| front.engine.sabotage = Some(Sabotage::AppendOneByOne)),
    );
}

#[test]
fn a_local_command_that_overtakes_is_noticed() {
    noticed(
        "run at once",
        broken(|front| front.engine.sabotage = Some(Sabotage::RunAtOnce)),
    );
}

#[test]
fn a_missing_lock_is_noticed() {
    noticed(
        "skip a lock",
        broken(|front| front.engine.sabotage = Some(Sabotage::SkipLock)),
    );
}

#[test]
fn an_open_gate_is_noticed() {
    noticed(
        "ignore the gate",
        broken(|front| front.engine.sabotage = Some(Sabotage::IgnoreGate)),
    );
}

#[test]
fn a_lost_wake_up_is_noticed() {
    noticed(
        "drop a wake-up",
        broken(|front| front.engine.sabotage = Some(Sabotage::DropWake)),
    );
}

#[test]
fn a_message_before_its_writes_is_noticed() {
    noticed(
        "publish early",
        broken(|front| front.engine.sabotage = Some(Sabotage::PublishEarly)),
    );
}

#[test]
fn a_waiter_served_twice_is_noticed() {
    noticed(
        "serve twice",
        broken(|front| front.engine.sabotage = Some(Sabotage::ServeTwice)),
    );
}

#[test]
fn a_change_that_no_watcher_hears_of_is_noticed() {
    noticed(
        "forget changes",
        broken(|front| front.engine.sabotage = Some(Sabotage::ForgetChanges)),
    );
}

#[test]
fn a_claim_of_one_who_has_gone_is_noticed() {
    noticed(
        "keep a claim",
        broken(|front| front.engine.sabotage = Some(Sabotage::KeepClaim)),
    );
}

#[test]
fn waiters_that_nobody_looks_at_are_noticed() {
    noticed(
        "skip waiters",
        broken(|front| front.engine.sabotage = Some(Sabotage::SkipWaiters)),
    );
}

#[test]
fn a_queue_served_from_its_end_is_noticed() {
    noticed(
        "serve the last",
        broken(|front| front.engine.sabotage = Some(Sabotage::ServeLast)),
    );
}

#[test]
fn keys_that_are_not_locked_together_are_noticed() {
    noticed(
        "lock untied keys",
        broken(|front| front.engine.sabotage = Some(Sabotage::LockUntied)),
    );
}

#[test]
fn a_watch_that_is_not_asked_is_noticed() {
    noticed(
        "skip a watch",
        broken(|front| front.engine.sabotage = Some(Sabotage::SkipWatch)),
    );
}

#[test]
fn news_that_overtakes_a_value_is_noticed() {
    noticed(
        "tell ahead",
        broken(|front| front.engine.sabotage = Some(Sabotage::TellAhead)),
    );
}

#[test]
fn events_that_do_not_travel_are_noticed() {
    noticed(
        "tell here",
        broken(|front| front.engine.sabotage = Some(Sabotage::TellHere)),
    );
}

#[test]
fn serving_before_draining_is_noticed() {
    let tampering = Tampering {
        serves_first: true,
        ..Tampering::default()
    };
    noticed("serve before drain", tampering);
}
