//! The named workloads, each with its source. The text above an entry is what `--list` prints.
//!
//! The connections are those of the source where it states them; `-t` is 1 everywhere, because one thread of this tool
//! outruns a core of any server known to us: give `-t` (and `-c`, which is per thread) on a larger machine.

use super::everyday;
use super::part::{Part, Workload};
use super::published;

macro_rules! catalogue {
    ($($(#[doc = $line:literal])+ $name:literal => $parts:path;)+) => {
        /// All of them, in the order of `--list`.
        pub const WORKLOADS: &[Workload] = &[$(Workload {
            name: $name,
            about: concat!($($line, "\n"),+),
            parts: $parts,
        }),+];
    };
}

catalogue! {
    /// The commands that most applications live on, without pipelining: INCR, LPUSH, RPOP, SADD, HSET, HGET, ZADD, MGET of
    /// ten and others; 64-byte values.
    /// Source: ours; the commands are those of redis-benchmark's default list and their counterparts.
    "common" => everyday::common;
    /// The same at a pipeline of 16.
    /// Source: ours.
    "common-16" => everyday::common_16;
    /// SET, GET and SETEX with 256-byte values, pipelines of 1 and 30.
    /// Source: Dragonfly's README, "Benchmarks" (github.com/dragonflydb/dragonfly): memtier_benchmark -d 256,
    /// --ratio 1:0 and 0:1, --expiry-range for SETEX, --pipeline 30.
    "dragonfly-readme" => published::dragonfly_readme;
    /// SET and GET with 32-byte values, 20 connections a thread, and GET at a pipeline of 10.
    /// Source: Dragonfly's documentation, "Benchmarking Dragonfly" (dragonflydb.io/docs/getting-started/benchmark).
    "dragonfly-docs" => published::dragonfly_docs;
    /// SET of 512 bytes over 3 million keys from 650 connections, and GET of the same.
    /// Source: Valkey's blog, "Unlock 1 Million RPS" (valkey.io/blog/unlock-one-million-rps), of Valkey 8.0.
    "valkey-8" => published::valkey_8;
    /// SET GET RPUSH LPUSH LPOP SADD SPOP HSET MGET LRANGE ZPOPMIN XADD XRANGE with 16, 128, 512 and 2,048 bytes at
    /// pipelines of 1 and 10: 104 rows.
    /// Source: Valkey's performance matrix (github.com/valkey-io/valkey-perf-benchmark, valkey.io/performance).
    "valkey-matrix" => published::valkey_matrix;
    /// One SET to ten GETs with 1 KiB.
    /// Source: the caching scenario of Redis's blog posts on 8.x (redis.io/blog, Redis 8.6): 1:10 with 1 KB values.
    "redis-8" => published::redis_8;
    /// SET and GET at pipelines of 1, 10, 25 and 50, with 1 to 1,024 bytes, 256 connections.
    /// Source: github.com/tidwall/cache-benchmarks, which uses Unix sockets: give --unix to do as it does.
    "cache-benchmarks" => published::cache_benchmarks;
    /// GET and SET with 8-byte values, each in batches of 1 and 64.
    /// Source: Garnet's site, "Evaluating Garnet" (microsoft.github.io/garnet/docs/benchmarking): Resp.benchmark
    /// with 8-byte keys and values.
    "garnet" => published::garnet;
    /// A: 50 % SET, 50 % GET, Zipf 0.9. B: 5 % SET, 95 % GET, Zipf 1.4. 1 KiB values.
    /// Source: arXiv 2510.19805, "Next Generation Cloud-native In-Memory Stores". The paper loads 4.8 M keys; here it is
    /// 1 M unless --key-maximum says more.
    "zipf" => published::zipf;
    /// MGET and MSET of 1, 10 and 100 keys, which lie on all shards.
    /// Source: ours; what a server over shards pays for commands that span them.
    "multi-key" => everyday::multi_key;
    /// Transactions of four SETs: MULTI, four SETs, EXEC, sent and timed as one.
    /// Source: ours, after the transactions of Redis's documentation.
    "multi" => everyday::multi;
    /// EVAL: a script that only answers, one that reads and one that reads and writes.
    /// Source: ours, after the scripts of Redis's documentation.
    "eval" => everyday::eval;
    /// Elements handed from LPUSH to a BRPOP that waits, by one pair of connections and by 50: the time from push to arrival.
    /// Source: ours, after the queues of Redis's documentation of BRPOP.
    "hand-over" => everyday::hand_over;
    /// One channel to 1, 10, 50 and 100 subscribers: messages delivered per second, and the time from publish to receipt.
    /// Source: ours.
    "pubsub" => everyday::pubsub;
    /// Look-aside cache: GET, and after a miss 1 ms of work and SETEX of the same key; hot keys by Zipf. Says the hit ratio.
    /// Source: ours; the pattern as in Redis's documentation, "Cache-aside".
    "cache-aside" => everyday::cache_aside;
    /// Hit ratios under maxmemory: 1 M keys, a hundredth of which fits, looked up by Zipf's law, with scans in between and with a hot set that moves;
    /// allkeys-lru, allkeys-lfu and, where there is one, allkeys-s3fifo, with 10 samples, beside an exact LRU of the same number of keys.
    /// Source: ours; the streams after the papers on S3-FIFO and W-TinyLFU.
    "hit-ratio" => everyday::hit_ratio;
    /// A leaderboard of 1 M members: change a score, top ten, a member's rank; one by one and mixed.
    /// Source: ours; the pattern as in Redis's documentation, "Sorted sets: leaderboards".
    "leaderboard" => everyday::leaderboard;
    /// Unique visitors, 1 M of them, with HyperLogLog and with a Set: error and bytes of both.
    /// Source: ours; the pattern as in Redis's documentation, "HyperLogLog".
    "visitors" => everyday::visitors;
    /// Recent activity: push to a user's list and trim it to 100; read the newest ten.
    /// Source: ours; the pattern as in Redis's documentation, "Lists: capped lists".
    "recent" => everyday::recent;
    /// Rate limiting: INCR of a user's window with EXPIRE, as two commands sent as one.
    /// Source: ours; the pattern as in Redis's documentation of INCR, "Pattern: rate limiter".
    "rate-limit" => everyday::rate_limit;
    /// Coupons: everyone takes from one counter. Checks that it went down by exactly as many as were given.
    /// Source: ours.
    "coupons" => everyday::coupons;
    /// A stampede: 50 connections read one key that lives for 100 ms, and who misses computes for 10 ms and writes it. Once
    /// without protection and once with a lock that lets one writer through. Says the writes per expiry.
    /// Source: ours.
    "stampede" => everyday::stampede;
    /// KEYS against SCAN over 1 M keys, beside readers at a fixed rate: how long each takes and what the readers notice.
    /// Source: ours.
    "scan-keys" => everyday::scan_keys;
}

/// The workload of this name, disturbances included.
#[must_use]
pub fn find(name: &str) -> Option<Workload> {
    let all = WORKLOADS.iter().chain(crate::disturb::DISTURBANCES);
    all.copied().find(|workload| workload.name == name)
}

/// What `--list` prints.
#[must_use]
pub fn list() -> String {
    let mut text =
        String::from("Workloads (--workload NAME, more than one may be given, or all):\n");
    let entry = |workload: &Workload, text: &mut String| {
        let rows = (workload.parts)()
            .iter()
            .filter(|part| !matches!(part, Part::Call(_) | Part::Fill(_)))
            .count();
        text.push_str(&format!("\n  {} ({rows} rows)\n", workload.name));
        for line in workload.about.lines() {
            text.push_str(&format!("     {}\n", line.trim_start()));
        }
    };
    for workload in WORKLOADS {
        entry(workload, &mut text);
    }
    text.push_str("\nDisturbances (--disturb NAME without disturb-, or all):\n");
    for workload in crate::disturb::DISTURBANCES {
        entry(workload, &mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::workload::words_of;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_every_entry_states_its_source() {
        let names: BTreeSet<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
        assert!(WORKLOADS.iter().all(|w| w.about.contains("Source: ")));
        assert!(find("zipf").is_some() && find("disturb-keys").is_some());
        assert!(find("zip").is_none());
        assert!(list().contains("\n  zipf (2 rows)\n"));
    }

    #[test]
    fn the_flags_of_every_part_make_a_load() {
        for workload in WORKLOADS.iter().chain(crate::disturb::DISTURBANCES) {
            for part in (workload.parts)() {
                let flags = match part {
                    Part::Call(_)
                    | Part::FanOut { .. }
                    | Part::HandOver { .. }
                    | Part::HitRatio { .. } => continue,
                    Part::Fill(flags) | Part::Row { flags, .. } | Part::Disturbed { flags, .. } => {
                        flags
                    }
                };
                let words = words_of(&flags).unwrap();
                Plan::of_words(words).unwrap_or_else(|error| panic!("{flags}: {error}"));
            }
        }
    }
}
