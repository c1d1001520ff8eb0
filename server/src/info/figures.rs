//! What a shard says of itself when INFO asks, and its rates.

use std::collections::VecDeque;

use crate::front::{Client, Front};
use crate::shared::{ClientFigures, Counters, DbFigures, Figures};

/// Per second, over the last second or two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Commands.
    pub commands: f64,
    /// Bytes received.
    pub net_in_bytes: f64,
    /// Bytes sent.
    pub net_out_bytes: f64,
}

/// Samples of the counters, at least `INTERVAL_NS` apart, from which the rates come.
#[derive(Debug, Default)]
pub struct Sampler {
    samples: VecDeque<(u64, Counters)>,
}

/// As Redis has it: 16 samples, 100 ms apart.
const SAMPLES_MAX: usize = 16;
const INTERVAL_NS: u64 = 100_000_000;
const WINDOW_NS: u64 = SAMPLES_MAX as u64 * INTERVAL_NS;

impl Sampler {
    /// Takes a sample unless the last one is recent.
    pub fn sample(&mut self, now_ns: u64, counters: &Counters) {
        if self
            .samples
            .back()
            .is_some_and(|(at_ns, _)| now_ns.saturating_sub(*at_ns) < INTERVAL_NS)
        {
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((now_ns, *counters));
    }

    /// The counters start again from zero.
    pub fn reset(&mut self, now_ns: u64) {
        self.samples.clear();
        self.samples.push_back((now_ns, Counters::default()));
    }

    /// The rates since the oldest sample of the window, or since the newest one when all are older, as on an idle shard.
    #[must_use]
    pub fn rates(&self, now_ns: u64, counters: &Counters) -> Rates {
        let in_window = self
            .samples
            .iter()
            .find(|(at_ns, _)| now_ns.saturating_sub(*at_ns) <= WINDOW_NS);
        let Some((at_ns, before)) = in_window.or(self.samples.back()) else {
            return Rates::default();
        };
        let seconds = now_ns.saturating_sub(*at_ns) as f64 / 1e9;
        if seconds <= 0.0 {
            return Rates::default();
        }
        let per_second = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        Rates {
            commands: per_second(counters.commands, before.commands),
            net_in_bytes: per_second(counters.net_in_bytes, before.net_in_bytes),
            net_out_bytes: per_second(counters.net_out_bytes, before.net_out_bytes),
        }
    }
}

impl ClientFigures {
    /// Adds a client's.
    pub(crate) fn add(&mut self, client: &Client) {
        self.mem_bytes += client.memory_bytes() as u64;
        self.input_bytes_max = self.input_bytes_max.max(client.query_bytes() as u64);
        self.output_bytes_max = self.output_bytes_max.max(client.output_bytes() as u64);
    }
}

impl Front {
    /// This shard's figures, without what only some sections show. O(databases); of the clients there is what `of_clients` has added up.
    pub(crate) fn figures(&mut self, of_clients: ClientFigures) -> Figures {
        let rates = self.sampler.rates(self.now_ns, &self.counters);
        self.sampler.sample(self.now_ns, &self.counters);
        let shard = &self.engine.shard;
        let db = |db| DbFigures {
            keys: shard.table(db).len() as u64,
            ttls: shard.table(db).ttl_len() as u64,
        };
        let of_clients = ClientFigures {
            count: self.clients.len() as u64,
            blocked: self.blocked_clients() as u64,
            tracking: self.trackers.len() as u64,
            ..of_clients
        };
        Figures {
            stats: shard.stats,
            counters: Counters {
                hops: self.engine.hops,
                ..self.counters
            },
            clients: of_clients,
            tracked_keys: shard.tracked().0 as u64,
            tracked_items: shard.tracked().1 as u64,
            followed_prefixes: shard.followed_prefixes() as u64,
            mem_bytes: shard.mem_bytes() as u64,
            dbs: (0..shard.databases()).map(db).collect(),
            tally: self.tally.clone(),
            rates,
            ..Figures::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn after(commands: u64) -> Counters {
        Counters {
            commands,
            ..Counters::default()
        }
    }

    #[test]
    fn rates_follow_the_last_second_or_two() {
        let mut sampler = Sampler::default();
        assert_eq!(sampler.rates(5, &after(3)), Rates::default());
        for tick in 0..=100 {
            sampler.sample(tick * INTERVAL_NS, &after(tick * 10));
            sampler.sample(tick * INTERVAL_NS + 1, &after(tick * 10));
        }
        let now_ns = 100 * INTERVAL_NS;
        assert_eq!(sampler.rates(now_ns, &after(1000)).commands.round(), 100.0);
        // Nothing has happened for ten seconds.
        assert_eq!(
            sampler
                .rates(now_ns + 10 * SECOND_NS, &after(1000))
                .commands,
            0.0
        );
        sampler.reset(now_ns);
        assert_eq!(sampler.rates(now_ns + SECOND_NS, &after(7)).commands, 7.0);
    }
}
