//! Hot and large keys, as far as a shard's front end has to do with them: sampling, the session of HOTKEYS, the round that looks for large keys.

use crate::front::Front;

/// Buckets of the tables that a tick looks at: some 600 keys, a few hundredths of a millisecond.
const BUCKETS_PER_TICK: usize = 128;

/// What a shard has counted, at the beginning of a session of HOTKEYS and at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeatMarks {
    pub(crate) until_ms: u64,
    pub(crate) begun: Spending,
    pub(crate) ended: Option<Spending>,
}

/// What the commands of a shard have cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spending {
    pub(crate) ns: u64,
    pub(crate) net_bytes: u64,
}

impl Front {
    /// `hotkeys-sample-ratio`.
    pub(crate) fn adopt_heat(&mut self) {
        self.engine.shard.heat.set_ratio(self.config.hot_ratio);
    }

    /// What all commands have cost so far.
    pub(crate) fn spending(&self) -> Spending {
        let commands = self.tally.commands.iter();
        Spending {
            ns: commands.map(|command| command.spent_ns).sum(),
            net_bytes: self.counters.net_in_bytes + self.counters.net_out_bytes,
        }
    }

    /// A session of HOTKEYS begins.
    pub(crate) fn start_heat(&mut self, ratio: u32, until_ms: u64) {
        let shard = &mut self.engine.shard;
        shard.heat.start(shard.wall_ms(), ratio, until_ms);
        self.heat_marks = Some(HeatMarks {
            until_ms,
            begun: self.spending(),
            ended: None,
        });
    }

    /// It ends, if it has not yet.
    pub(crate) fn stop_heat(&mut self) {
        self.engine.shard.heat.stop();
        let now = self.spending();
        if let Some(marks) = &mut self.heat_marks {
            marks.ended.get_or_insert(now);
        }
    }

    /// It is forgotten.
    pub(crate) fn reset_heat(&mut self) {
        self.engine.shard.heat.reset();
        self.heat_marks = None;
    }

    /// What all commands have cost since it began, up to its end.
    pub(crate) fn heat_spending(&self) -> Spending {
        let Some(marks) = &self.heat_marks else {
            return Spending::default();
        };
        let until = marks.ended.unwrap_or_else(|| self.spending());
        Spending {
            ns: until.ns.saturating_sub(marks.begun.ns),
            net_bytes: until.net_bytes.saturating_sub(marks.begun.net_bytes),
        }
    }

    /// Ends the session when its time is over.
    pub(super) fn look_at_heat(&mut self) {
        let now_ms = self.unix_us / 1000;
        if let Some(marks) = &self.heat_marks
            && marks.ended.is_none()
            && now_ms >= marks.until_ms
        {
            self.stop_heat();
            self.shared.hot_keys.note_end(now_ms);
        }
    }

    /// Goes on with the round over all tables.
    pub(super) fn look_at_sizes(&mut self) {
        let begun = self.engine.meter.begin(true);
        self.engine.shard.census_slice(BUCKETS_PER_TICK);
        self.engine.meter.other(begun);
    }
}
