//! Which keys are hot: by accesses, by the time that their commands take, and by the bytes that these receive and send.
//!
//! One command of `hotkeys-sample-ratio` is looked at (`coordinator/heat.rs`); the others pay a counter and a branch. Commands that go on in slices
//! are few and heavy, so that all of them are looked at, and count once. What is shown is of the last one or two [`WINDOW_MS`]. Beside that one
//! session of HOTKEYS START can run, with a ratio of its own. docs/design/hotkeys.md.

mod top;

use std::collections::HashMap;

use top::{Named, TopKeys};

use crate::shard::Rng;

/// How long a window is.
pub const WINDOW_MS: u64 = 60_000;

/// By what keys are hot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metric {
    /// How often commands name them.
    Accesses,
    /// Nanoseconds that these commands take.
    Time,
    /// Bytes of these commands and their replies.
    Bytes,
}

impl Metric {
    /// All of them.
    pub const ALL: [Metric; 3] = [Metric::Accesses, Metric::Time, Metric::Bytes];
}

/// Amounts by metric.
pub type Amounts = [u64; Metric::ALL.len()];

/// A key, and how hot it is by one metric.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HotKey {
    /// Its database.
    pub db: usize,
    /// Its name, or the beginning of a long one.
    pub key: Box<[u8]>,
    /// The amount.
    pub amount: u64,
}

/// What a shard tells of its hot keys.
#[derive(Clone, Debug, Default)]
pub struct Warmth {
    /// One command of so many was looked at; 0: none was.
    pub ratio: u32,
    /// When it began, ms since the Unix epoch.
    pub from_ms: u64,
    /// Of all keys together.
    pub totals: Amounts,
    /// The hottest keys by each metric, hottest first.
    pub keys: [Vec<HotKey>; Metric::ALL.len()],
}

/// The keys of a span of time.
#[derive(Clone, Debug, Default)]
struct Window {
    from_ms: u64,
    totals: Amounts,
    tops: [TopKeys; Metric::ALL.len()],
}

impl Window {
    fn add(&mut self, named: &Named<'_>, amounts: &Amounts, rng: &mut Rng) {
        let sums = self.tops.iter_mut().zip(&mut self.totals);
        for ((top, total), amount) in sums.zip(amounts) {
            *total = total.saturating_add(*amount);
            top.add(named, *amount, rng);
        }
    }
}

/// A session of HOTKEYS START.
#[derive(Clone, Debug)]
struct Session {
    ratio: u32,
    until_ms: u64,
    is_on: bool,
    window: Window,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Heat {
    /// Commands up to the next one that is looked at; 0 after it has wrapped when none is.
    left: u32,
    /// The ratio when no session runs; 0: nothing is looked at.
    ratio: u32,
    rng: Rng,
    now: Window,
    before: Window,
    session: Option<Box<Session>>,
}

/// A key's share of what a command cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// For how many commands this one stands.
    pub weight: u32,
    /// For how many keys of its command the key stands.
    pub keys: u32,
    /// How long it took.
    pub ns: u64,
    /// Bytes of the request and the reply.
    pub bytes: u64,
}

impl Heat {
    /// Looks at nothing until a ratio is set.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Heat {
            left: 0,
            ratio: 0,
            rng: Rng::new(seed),
            now: Window::default(),
            before: Window::default(),
            session: None,
        }
    }

    /// `hotkeys-sample-ratio`.
    pub fn set_ratio(&mut self, ratio: u32) {
        if ratio != self.ratio {
            self.ratio = ratio;
            self.draw();
        }
    }

    /// Whether the command that begins is to be looked at.
    #[inline]
    #[must_use]
    pub fn is_next(&mut self) -> bool {
        self.left = self.left.wrapping_sub(1);
        self.left == 0 && self.draw()
    }

    /// Whether anything is looked at.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.current_ratio() != 0
    }

    /// One command of so many is looked at.
    #[inline]
    #[must_use]
    pub fn current_ratio(&self) -> u32 {
        match &self.session {
            Some(session) if session.is_on => session.ratio,
            _ => self.ratio,
        }
    }

    /// Draws how many commands pass until the next one, so that no rhythm of the clients' hides a key. Says whether one is looked at at all.
    #[cold]
    fn draw(&mut self) -> bool {
        let ratio = self.current_ratio();
        self.left = match u64::from(ratio) {
            ratio @ 0..=1 => ratio as u32,
            ratio => (1 + self.rng.below(2 * ratio - 1)).min(u64::from(u32::MAX)) as u32,
        };
        ratio != 0
    }

    /// A key had this share of what a command cost.
    pub fn note(&mut self, now_ms: u64, hash: u64, db: usize, key: &[u8], cost: Cost) {
        let weight = u64::from(cost.weight);
        let named = Named {
            hash: hash.wrapping_add((db as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            db,
            key,
        };
        let amounts = [1, cost.ns, cost.bytes].map(|amount| amount * u64::from(cost.keys));
        if self.ratio != 0 {
            self.turn_over(now_ms);
            let weighted = amounts.map(|amount| amount.saturating_mul(weight));
            self.now.add(&named, &weighted, &mut self.rng);
        }
        if let Some(session) = &mut self.session
            && session.is_on
        {
            if now_ms >= session.until_ms {
                session.is_on = false;
                self.draw();
            } else {
                session.window.add(&named, &amounts, &mut self.rng);
            }
        }
    }

    /// Begins a new window when the last one is old enough.
    fn turn_over(&mut self, now_ms: u64) {
        let age_ms = now_ms.saturating_sub(self.now.from_ms);
        if age_ms < WINDOW_MS {
            return;
        }
        let next = Window {
            from_ms: now_ms,
            ..Window::default()
        };
        let ended = std::mem::replace(&mut self.now, next);
        self.before = if age_ms < 2 * WINDOW_MS {
            ended
        } else {
            Window::default()
        };
    }

    /// Begins a session.
    pub fn start(&mut self, now_ms: u64, ratio: u32, until_ms: u64) {
        let window = Window {
            from_ms: now_ms,
            ..Window::default()
        };
        self.session = Some(Box::new(Session {
            ratio,
            until_ms,
            is_on: true,
            window,
        }));
        self.draw();
    }

    /// Ends the session; what it has found stays.
    pub fn stop(&mut self) {
        if let Some(session) = &mut self.session {
            session.is_on = false;
            self.draw();
        }
    }

    /// Forgets the session.
    pub fn reset(&mut self) {
        self.session = None;
        self.draw();
    }

    /// What the session has found: at most `count` keys by each metric, each command that was looked at counted once.
    #[must_use]
    pub fn session(&self, count: usize) -> Option<Warmth> {
        let session = self.session.as_ref()?;
        let warmth = warmth(&[&session.window], session.ratio, count);
        Some(warmth)
    }

    /// The hottest keys of the last minute or two, at most `count` by each metric; estimates of all commands, not only of those looked at.
    #[must_use]
    pub fn lately(&mut self, now_ms: u64, count: usize) -> Warmth {
        self.turn_over(now_ms);
        if self.before.from_ms == 0 {
            warmth(&[&self.now], self.ratio, count)
        } else {
            warmth(&[&self.before, &self.now], self.ratio, count)
        }
    }
}

/// Windows that follow each other as one.
fn warmth(windows: &[&Window], ratio: u32, count: usize) -> Warmth {
    let mut all = Warmth {
        ratio,
        from_ms: windows.first().map_or(0, |window| window.from_ms),
        ..Warmth::default()
    };
    for at in 0..Metric::ALL.len() {
        let mut sums: HashMap<(usize, &[u8]), u64> = HashMap::new();
        for window in windows {
            all.totals[at] = all.totals[at].saturating_add(window.totals[at]);
            for (db, key, sum) in window.tops[at].iter() {
                *sums.entry((db, key)).or_default() += sum;
            }
        }
        let keys = sums.into_iter().map(|((db, key), amount)| HotKey {
            db,
            key: key.into(),
            amount,
        });
        all.keys[at] = hottest(keys.collect(), count);
    }
    all
}

/// The hottest, hottest first.
#[must_use]
pub fn hottest(mut keys: Vec<HotKey>, count: usize) -> Vec<HotKey> {
    keys.sort_unstable_by(|a, b| {
        b.amount
            .cmp(&a.amount)
            .then_with(|| (a.db, &a.key).cmp(&(b.db, &b.key)))
    });
    keys.truncate(count);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Cost = Cost {
        weight: 4,
        keys: 1,
        ns: 10,
        bytes: 100,
    };

    fn names(keys: &[HotKey]) -> Vec<(usize, &str, u64)> {
        keys.iter()
            .map(|key| (key.db, std::str::from_utf8(&key.key).unwrap(), key.amount))
            .collect()
    }

    #[test]
    fn about_one_command_of_so_many_is_looked_at() {
        let mut heat = Heat::new(1);
        assert!((0..1_000).all(|_| !heat.is_next()) && !heat.is_on());
        heat.set_ratio(1);
        assert!((0..1_000).all(|_| heat.is_next()));
        heat.set_ratio(64);
        let seen: Vec<usize> = (0..64_000).filter(|_| heat.is_next()).collect();
        assert!((900..1_100).contains(&seen.len()), "{}", seen.len());
        let of_sixteen = seen.iter().filter(|at| **at % 16 == 3).count();
        assert!((30..100).contains(&of_sixteen), "{of_sixteen}");
        heat.set_ratio(0);
        assert!((0..1_000).all(|_| !heat.is_next()));
        heat.set_ratio(u32::MAX);
        assert!((0..1_000).all(|_| !heat.is_next()) && heat.is_on());
    }

    #[test]
    fn what_is_shown_is_of_the_last_two_windows() {
        let mut heat = Heat::new(1);
        heat.set_ratio(4);
        let from_ms = 1_000_000;
        heat.note(from_ms, 1, 0, b"first", COST);
        heat.note(from_ms + WINDOW_MS, 2, 0, b"second", COST);
        heat.note(from_ms + WINDOW_MS, 2, 0, b"second", COST);
        heat.note(from_ms + WINDOW_MS, 2, 3, b"second", COST);
        let warmth = heat.lately(from_ms + WINDOW_MS, 2);
        assert_eq!((warmth.ratio, warmth.from_ms), (4, from_ms));
        assert_eq!(warmth.totals, [16, 160, 1600]);
        assert_eq!(
            names(&warmth.keys[0]),
            [(0, "second", 8), (0, "first", 4)],
            "{warmth:?}"
        );
        assert_eq!(names(&warmth.keys[2])[0], (0, "second", 800));
        let warmth = heat.lately(from_ms + 2 * WINDOW_MS, 9);
        assert_eq!(warmth.from_ms, from_ms + WINDOW_MS);
        assert_eq!(
            names(&warmth.keys[1]),
            [(0, "second", 80), (3, "second", 40)]
        );
        heat.note(from_ms + 5 * WINDOW_MS, 1, 0, b"first", COST);
        let warmth = heat.lately(from_ms + 5 * WINDOW_MS, 9);
        assert_eq!(names(&warmth.keys[0]), [(0, "first", 4)]);
    }

    #[test]
    fn a_session_counts_what_it_looks_at() {
        let mut heat = Heat::new(1);
        heat.set_ratio(1_000);
        assert!(heat.session(9).is_none());
        heat.start(100, 1, 200);
        assert!(heat.is_next() && heat.current_ratio() == 1);
        heat.note(150, 1, 0, b"k", COST);
        heat.note(199, 1, 0, b"k", COST);
        heat.note(200, 1, 0, b"k", COST);
        let found = heat.session(9).unwrap();
        assert_eq!(names(&found.keys[0]), [(0, "k", 2)]);
        assert_eq!(found.totals, [2, 20, 200]);
        assert_eq!(heat.current_ratio(), 1_000, "its time is over");
        heat.reset();
        assert!(heat.session(9).is_none());
        heat.start(300, 2, u64::MAX);
        heat.stop();
        assert_eq!(heat.current_ratio(), 1_000);
        assert!(heat.session(9).unwrap().keys[0].is_empty());
    }
}
