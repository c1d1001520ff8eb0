//! The frame of a hammer: a server, threads that go on until the time is over, a count of what they did.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tessera_tests::client::Client;
use tessera_tests::deadline::{Deadline, PATIENCE};
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;
use tessera_tests::server::Server;

/// Shard counts that each hammer is swung at.
const SHARDS: [usize; 2] = [2, 4];
/// Rounds below which a hammer has shown nothing: it goes on until it has done as many.
const ROUNDS_MIN: u64 = 50;

/// One swing.
pub(crate) struct Hammer {
    server: Server,
    deadline: Deadline,
    limit: Deadline,
    rounds: AtomicU64,
}

/// Runs `body` on servers of each shard count.
pub(crate) fn hammer(body: impl Fn(&Hammer)) {
    for shards in SHARDS {
        let hammer = Hammer {
            server: Launch::tessera().shards(shards).start(),
            deadline: Deadline::after(span()),
            limit: Deadline::after(span() + PATIENCE),
            rounds: AtomicU64::new(0),
        };
        body(&hammer);
        let rounds = hammer.rounds.load(Ordering::Relaxed);
        println!("{shards} shards: {rounds} rounds");
        assert!(
            rounds >= ROUNDS_MIN,
            "only {rounds} rounds: nothing was shown"
        );
    }
}

fn span() -> Duration {
    let seconds = std::env::var("TESSERA_ATOMICITY_SECONDS").map_or(0.7, |text| {
        text.parse().expect("TESSERA_ATOMICITY_SECONDS is a number")
    });
    Duration::from_secs_f64(seconds)
}

impl Hammer {
    /// A new connection.
    pub(crate) fn client(&self) -> Client {
        self.server.client()
    }

    /// A new connection that speaks RESP3.
    pub(crate) fn client3(&self) -> Client {
        self.server.client3()
    }

    /// Whether there is time left for another round; counts it.
    pub(crate) fn another_round(&self) -> bool {
        let goes_on = self.goes_on();
        self.rounds.fetch_add(1, Ordering::Relaxed);
        goes_on
    }

    /// Whether there is time left; for those that only stir and check nothing.
    pub(crate) fn goes_on(&self) -> bool {
        let enough = self.rounds.load(Ordering::Relaxed) >= ROUNDS_MIN;
        !(enough && self.deadline.passed() || self.limit.passed())
    }
}

/// `count` keys that lie on all shards.
pub(crate) fn keys(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

/// A command over all keys.
pub(crate) fn over(command: &str, keys: &[String]) -> Vec<String> {
    [&[command.to_owned()], keys].concat()
}

/// MSET or MSETNX of one value to all keys.
pub(crate) fn write_all(command: &str, keys: &[String], value: &str) -> Vec<String> {
    let mut args = vec![command.to_owned()];
    for key in keys {
        args.extend([key.clone(), value.to_owned()]);
    }
    args
}

/// The one value that all elements have; panics when they differ.
#[track_caller]
pub(crate) fn one_value(reply: &Reply) -> Reply {
    let elements = reply.elements();
    assert!(
        elements.iter().all(|element| element == &elements[0]),
        "half a write was seen: {reply}"
    );
    elements[0].clone()
}

/// A number as stored; a missing key counts as 0.
#[track_caller]
pub(crate) fn number(reply: &Reply) -> u64 {
    match reply {
        Reply::Null => 0,
        other => other.text().parse().expect("a number was stored"),
    }
}
