//! How often a cache at its limit has what is asked for: one connection looks keys up in a fixed order and stores what it misses, beside an exact
//! LRU of the same number of keys that is only counted.
//!
//! The limit is what the server itself takes for a hundredth of the keys, so that every server keeps about as many. Hits are counted after the first quarter.

use super::exact_lru::ExactLru;
use crate::control::Control;
use crate::error::BenchError;
use crate::random::{Random, Zipf};
use crate::target::Target;

/// Keys that are asked for.
const KEYS: u64 = 1_000_000;
/// Keys that fit.
const CACHED: u64 = KEYS / 100;
/// Keys asked for in one run.
const ACCESSES: usize = 1_000_000;
const VALUE_BYTES: usize = 256;
/// Keys looked up at once.
const BATCH: usize = 50;
/// A scan comes after so many accesses and asks for so many keys that nobody asks for again.
const SCAN_EVERY: usize = 50_000;
const SCANNED: u64 = 12_500;
/// The hot set moves so many times.
const MOVES: usize = 10;
/// Batches between two looks at the server's memory.
const LOOK_EVERY: usize = 200;
const SEED: u64 = 7;

/// Which keys are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stream {
    /// By Zipf's law with this exponent.
    Zipf(f64),
    /// The same with 0.99, and scans in between.
    Scans,
    /// The same with 0.99, and the hot keys are others ten times.
    Moves,
}

impl Stream {
    fn keys(self) -> Vec<u64> {
        let mut random = Random::new(SEED);
        let exponent = if let Stream::Zipf(exponent) = self {
            exponent
        } else {
            0.99
        };
        let zipf = Zipf::new(KEYS, exponent);
        let mut keys = Vec::with_capacity(ACCESSES);
        let mut fresh = KEYS;
        while keys.len() < ACCESSES {
            let at = keys.len();
            let rank = zipf.draw(&mut random) - 1;
            match self {
                Stream::Scans if at > 0 && at.is_multiple_of(SCAN_EVERY) => {
                    keys.extend(fresh..fresh + SCANNED);
                    fresh += SCANNED;
                }
                Stream::Moves => {
                    let moved = (at * MOVES / ACCESSES) as u64;
                    keys.push((rank + moved * KEYS / 20) % KEYS);
                }
                Stream::Zipf(_) | Stream::Scans => keys.push(rank),
            }
        }
        keys.truncate(ACCESSES);
        keys
    }
}

fn name(key: u64) -> String {
    format!("item:{key:010}")
}

fn store(control: &mut Control, keys: &[u64]) -> Result<(), BenchError> {
    let value = "x".repeat(VALUE_BYTES);
    let set = |key: &u64| vec!["SET".to_owned(), name(*key), value.clone()];
    let commands: Vec<_> = keys.iter().map(set).collect();
    control.call_many(&commands)
}

fn used_memory(control: &mut Control) -> Result<f64, BenchError> {
    let info = control.strings(&["INFO", "memory"])?.concat();
    let field = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let number = field.and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| BenchError::Refused {
        command: "INFO".to_owned(),
        reply: "no used_memory".to_owned(),
    })
}

/// Sets the limit to what so many keys take. The server is empty afterwards.
fn limit(control: &mut Control, policy: &str) -> Result<f64, BenchError> {
    control.call(&["CONFIG", "SET", "maxmemory", "0"])?;
    control.call(&["FLUSHALL"])?;
    let keys: Vec<u64> = (0..CACHED).collect();
    for batch in keys.chunks(BATCH) {
        store(control, batch)?;
    }
    let bytes = used_memory(control)?;
    control.call(&["FLUSHALL"])?;
    control.call(&["CONFIG", "SET", "maxmemory-samples", "10"])?;
    control.call(&["CONFIG", "SET", "maxmemory-policy", policy])?;
    control.call(&["CONFIG", "SET", "maxmemory", &format!("{bytes}")])?;
    Ok(bytes)
}

/// Runs a stream under a policy and says what came of it. The server's limit is lifted afterwards.
pub(super) fn hit_ratio(
    target: &Target,
    policy: &str,
    stream: Stream,
) -> Result<Vec<String>, BenchError> {
    let mut control = target.connect()?;
    let outcome = run(&mut control, policy, stream);
    for setting in [["maxmemory", "0"], ["maxmemory-policy", "noeviction"]] {
        control.call(&["CONFIG", "SET", setting[0], setting[1]])?;
    }
    control.call(&["FLUSHALL"])?;
    outcome
}

fn run(control: &mut Control, policy: &str, stream: Stream) -> Result<Vec<String>, BenchError> {
    let limit = limit(control, policy)?;
    let keys = stream.keys();
    let counted_from = keys.len() / 4;
    let (mut hits, mut most, mut sizes) = (0, 0f64, Vec::new());
    for (number, batch) in keys.chunks(BATCH).enumerate() {
        let names: Vec<String> = batch.iter().map(|key| name(*key)).collect();
        let found = control.found(&names)?;
        let missed: Vec<u64> = std::iter::zip(batch, &found)
            .filter(|(_, found)| !**found)
            .map(|(key, _)| *key)
            .collect();
        store(control, &missed)?;
        if number * BATCH >= counted_from {
            hits += found.len() - missed.len();
        }
        if number.is_multiple_of(LOOK_EVERY) {
            most = most.max(used_memory(control)? / limit);
            if number * BATCH >= counted_from {
                sizes.push(control.number(&["DBSIZE"])?);
            }
        }
    }
    let percent = |hits: usize| 100.0 * hits as f64 / (keys.len() - counted_from) as f64;
    let size = sizes.iter().sum::<i64>() / (sizes.len() as i64).max(1);
    let mut exact = ExactLru::new(usize::try_from(size).unwrap_or(1));
    let exact_hits = keys.iter().enumerate().filter(|(at, key)| {
        let hit = exact.access(**key);
        hit && *at >= counted_from
    });
    Ok(vec![
        format!("hit ratio {:.2} %", percent(hits)),
        format!(
            "exact LRU of {size} keys {:.2} %",
            percent(exact_hits.count())
        ),
        format!("used_memory at most {:.1} % of the limit", 100.0 * most),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_as_long_as_they_should_be_and_always_the_same() {
        for stream in [Stream::Zipf(0.99), Stream::Scans, Stream::Moves] {
            let keys = stream.keys();
            assert_eq!(keys.len(), ACCESSES);
            assert_eq!(keys, stream.keys());
        }
        let scanned = Stream::Scans
            .keys()
            .iter()
            .filter(|key| **key >= KEYS)
            .count();
        assert!((150_000..250_000).contains(&scanned), "{scanned}");
        let moved = Stream::Moves.keys();
        let hot = |part: &[u64]| part.iter().filter(|key| **key < 100).count();
        assert!(hot(&moved[..100_000]) > 10 * hot(&moved[900_000..]));
    }
}
