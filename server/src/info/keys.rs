//! The sections of INFO that name keys: the largest, and the hottest of the last minute or two.
//!
//! A name stands last in its line, escaped so that the line stays one, and its fields what they are: what is no graphic ASCII, and `,`, `=`, `\`, is
//! written as `\x2c`.

use std::fmt::Write;

use tessera_shards::shard::heat::{HotKey, Metric, hottest};
use tessera_shards::shard::largest::{BigKey, NAME_BYTES_MAX};

use crate::shared::Figures;

/// Keys that a list shows.
pub(crate) const SHOWN: usize = 10;
/// Bytes of a name that are shown.
const SHOWN_BYTES: usize = 128;

/// A name as it stands in a line.
fn escaped(key: &[u8]) -> String {
    let mut text = String::new();
    for byte in &key[..key.len().min(SHOWN_BYTES)] {
        if byte.is_ascii_graphic() && !matches!(byte, b',' | b'=' | b'\\') {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    if key.len() > SHOWN_BYTES {
        text.push_str("...");
    }
    text
}

/// The lines of the largest keys.
pub(super) fn big_keys(shards: &[Figures]) -> String {
    let mut keys: Vec<&BigKey> = shards.iter().flat_map(|it| &it.census.0).collect();
    keys.sort_unstable_by(|a, b| b.cmp(a));
    let rounds = shards.iter().map(|it| it.census.1).min().unwrap_or(0);
    let mut text = format!("bigkeys_rounds:{rounds}\r\n");
    for (place, big) in keys.into_iter().take(SHOWN).enumerate() {
        let BigKey {
            bytes,
            db,
            kind,
            elements,
            key,
        } = big;
        let key = escaped(key);
        let _ = write!(
            text,
            "bigkey_{place}:db={db},type={kind},elements={elements},bytes={bytes},key={key}\r\n"
        );
    }
    text
}

/// The lines of the hottest keys.
pub(super) fn hot_keys(now_ms: u64, shards: &[Figures]) -> String {
    let ratio = shards.iter().map(|it| it.warmth.ratio).max().unwrap_or(0);
    let from_ms = shards.iter().map(|it| it.warmth.from_ms);
    let from_ms = from_ms.filter(|from_ms| *from_ms > 0).min();
    let window_ms = from_ms.map_or(0, |from_ms| now_ms.saturating_sub(from_ms));
    let mut text = format!("hotkeys_sample_ratio:{ratio}\r\nhotkeys_window_ms:{window_ms}\r\n");
    for (at, metric) in Metric::ALL.iter().enumerate() {
        let (name, unit) = match metric {
            Metric::Accesses => ("accesses", 1),
            Metric::Time => ("usec", 1000),
            Metric::Bytes => ("bytes", 1),
        };
        let total: u64 = shards.iter().map(|it| it.warmth.totals[at]).sum();
        let _ = write!(text, "hotkeys_{name}:{}\r\n", total / unit);
        for (place, hot) in merged(shards, at, SHOWN).into_iter().enumerate() {
            let HotKey { db, key, amount } = hot;
            let percent = amount as f64 * 100.0 / total.max(1) as f64;
            let (amount, key) = (amount / unit, escaped(&key));
            let _ = write!(
                text,
                "hotkey_by_{name}_{place}:db={db},{name}={amount},percent={percent:.2},key={key}\r\n"
            );
        }
    }
    text
}

/// The hottest keys of all shards by one metric. A shard that borrowed a key has counted it, too.
fn merged(shards: &[Figures], metric: usize, count: usize) -> Vec<HotKey> {
    let mut keys: Vec<HotKey> = Vec::new();
    let mut all: Vec<&HotKey> = shards
        .iter()
        .flat_map(|it| &it.warmth.keys[metric])
        .collect();
    all.sort_unstable_by_key(|hot| (hot.db, &hot.key));
    for hot in all {
        match keys.last_mut() {
            Some(last) if (last.db, &last.key) == (hot.db, &hot.key) => last.amount += hot.amount,
            _ => keys.push(hot.clone()),
        }
    }
    hottest(keys, count)
}

// A name that is cut must be seen to be.
const _: () = assert!(NAME_BYTES_MAX > SHOWN_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_break_lines() {
        assert_eq!(escaped(b"user:1{a}"), "user:1{a}");
        assert_eq!(
            escaped(b"a b,c=d\\e\r\n\xff"),
            "a\\x20b\\x2cc\\x3dd\\x5ce\\x0d\\x0a\\xff"
        );
        let long = escaped(&[b'k'; 129]);
        assert_eq!(long.len(), 128 + 3);
        assert!(long.ends_with("k..."));
    }

    #[test]
    fn shards_are_put_together() {
        let hot = |key: &[u8], amount| HotKey {
            db: 0,
            key: key.into(),
            amount,
        };
        let mut shards = [Figures::default(), Figures::default()];
        shards[0].warmth.keys[1] = vec![hot(b"a", 3_000), hot(b"b", 2_000)];
        shards[1].warmth.keys[1] = vec![hot(b"b", 4_000)];
        shards[0].warmth.totals[1] = 5_000;
        shards[1].warmth.totals[1] = 7_000;
        let text = hot_keys(0, &shards);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("usec")).collect();
        assert_eq!(
            lines,
            [
                "hotkeys_usec:12",
                "hotkey_by_usec_0:db=0,usec=6,percent=50.00,key=b",
                "hotkey_by_usec_1:db=0,usec=3,percent=25.00,key=a"
            ]
        );
    }
}
