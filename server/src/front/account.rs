//! The end of a turn: what its commands cost, and whether it took too long.

use crate::front::Front;

impl Front {
    /// The turn took so long, without the wait. Commands that were not measured share what the others leave.
    pub fn account(&mut self, worked_ns: u64) {
        self.worked_ns = worked_ns;
        self.counters.turn_us_max = self.counters.turn_us_max.max(worked_ns / 1000);
        let warning_ns = self.config.stall_warning_ms.saturating_mul(1_000_000);
        if warning_ns > 0 && worked_ns > warning_ns {
            self.warn_of_stall(worked_ns);
        }
        let meter = &mut self.engine.meter;
        if !meter.cheap.is_empty() {
            let share_ns = worked_ns.saturating_sub(meter.busy_ns) / meter.cheap.len() as u64;
            self.tally.spend_each(&meter.cheap, share_ns);
            if self.config.latency_tracking {
                self.latencies.record_each(&meter.cheap, share_ns);
            }
        }
        for (command, ns, count) in &meter.measured {
            let count = u64::from(*count);
            self.tally.spend_each(&[*command], *ns * count);
            if self.config.latency_tracking {
                self.latencies.record_times(*command, *ns, count);
            }
        }
        if !self.engine.shard.scripts.counts.is_empty() {
            self.account_for_scripts();
        }
        self.engine.meter.clear();
    }

    /// What scripts that ended in this turn had called. The time of all of them is shared evenly by their commands.
    fn account_for_scripts(&mut self) {
        let counts = std::mem::take(&mut self.engine.shard.scripts.counts);
        let calls: u64 = counts.commands.iter().map(|count| count.calls).sum();
        let is_script = |command: u16| {
            let command = self.shared.registry.get(command);
            command.is_some_and(|command| command.spec.group == "scripting")
        };
        let measured = self.engine.meter.measured.iter();
        let ns: u64 = measured
            .filter(|(command, ..)| is_script(*command))
            .map(|(_, ns, count)| ns * u64::from(*count))
            .sum();
        let each_ns = ns / calls.max(1);
        self.counters.commands += calls;
        self.counters.errors += counts.errors.iter().map(|(_, times)| times).sum::<u64>();
        self.tally.add_of_scripts(&counts, each_ns);
        if self.config.latency_tracking {
            for count in &counts.commands {
                self.latencies
                    .record_times(count.command, each_ns, count.calls);
            }
        }
    }

    /// A line about a turn that kept everybody else waiting, with what took longest.
    #[cold]
    fn warn_of_stall(&self, worked_ns: u64) {
        let meter = &self.engine.meter;
        let name = |command| {
            let command = self.shared.registry.get(command);
            command.map_or("?", |command| command.spec.name)
        };
        let cause = match meter.longest {
            Some((command, ns)) if ns > worked_ns.saturating_sub(meter.busy_ns) => {
                format!("{} ms in '{}'", ns / 1_000_000, name(command))
            }
            _ => match most_frequent(&meter.cheap) {
                Some(command) => format!("most of them '{}'", name(command)),
                None => "none of them long".to_owned(),
            },
        };
        tracing::warn!(
            "Shard {} was busy for {} ms: {} commands, {cause}",
            self.id,
            worked_ns / 1_000_000,
            meter.cheap.len() + meter.measured.len(),
        );
    }
}

fn most_frequent(commands: &[u16]) -> Option<u16> {
    let mut sorted = commands.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|a, b| a == b);
    runs.max_by_key(|run| run.len()).map(|run| run[0])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::session::rig::Rig;
    use tessera_shards::coordinator::Meter;

    #[test]
    fn a_turn_is_shared_by_what_was_not_measured() {
        let mut rig = Rig::new();
        let time = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&time);
        let front = &mut rig.fronts[0];
        front.engine.meter = Meter::new(Box::new(move || clock.load(Ordering::Relaxed)));
        for _ in 0..3 {
            front.engine.meter.end(1, None);
        }
        let begun = front.engine.meter.begin(true);
        time.store(4_000, Ordering::Relaxed);
        front.engine.meter.end(2, begun);
        front.account(10_000);
        let spent: Vec<u64> = front.tally.commands[..3]
            .iter()
            .map(|c| c.spent_ns)
            .collect();
        assert_eq!(spent, [0, 6_000, 4_000]);
        let medians: Vec<_> = front
            .latencies
            .iter()
            .map(|(command, times)| (command, times.percentile(50.0)))
            .collect();
        assert_eq!(medians, [(1, 2_007), (2, 4_015)]);
        front.account(5_000);
        assert_eq!(
            front.tally.commands[1].spent_ns, 6_000,
            "a turn without commands"
        );
        assert_eq!(front.counters.turn_us_max, 10);
    }

    #[test]
    fn the_commonest_is_named() {
        assert_eq!(most_frequent(&[]), None);
        assert_eq!(most_frequent(&[4, 1, 4, 2, 1, 4]), Some(4));
    }
}
