//! The phases of a turn that do not depend on the reactor. docs/design/transactions.md says why in this order.

use smallvec::SmallVec;
use tessera_io::Wait;

use crate::front::Front;
use crate::front::Replay;
use crate::front::save::POLL_NS;

/// Period of expiry and time-outs.
const TICK_NS: u64 = 100_000_000;

impl Front {
    /// Starts a turn: what the clocks say.
    pub fn begin(&mut self, now_ns: u64, unix_us: u64) {
        self.turn += 1;
        self.counters.turns += 1;
        self.now_ns = now_ns;
        self.unix_us = unix_us;
        self.engine.shard.now_ms = unix_us / 1000;
        self.look_at_log();
        self.look_at_restrictions();
        self.look_at_behind();
        if self.ledger.is_limited {
            self.open_ledger();
        }
    }

    /// Takes the inbox and carries it out.
    pub fn drain(&mut self) {
        if self.cargo.is_some() {
            self.take_cargo();
        }
        if self.shared.mesh.has_mail(self.id) {
            self.shared.mesh.take(self.id, &mut self.mail);
            self.carry_out_mail();
        }
        if self.replay.is_some() {
            self.step_replay();
        }
    }

    fn carry_out_mail(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        for batch in mail.drain(..) {
            self.carry_out(batch);
        }
        self.mail = mail;
        self.deliver_local();
    }

    /// Gives this turn's batches their position and carries out the own one.
    pub fn flush(&mut self) {
        self.tell_events();
        self.save_if_due();
        self.step_ending();
        self.tell_stale();
        self.tell_lines();
        self.engine.submit_again();
        self.hear_scripts();
        self.engine.shard.hand_over_records();
        let must_be_together = self.engine.take_spans();
        let own = self.take_batch(self.id);
        if must_be_together {
            let mut batches = SmallVec::new();
            for target in 0..self.shared.mesh.shards() {
                if target != self.id
                    && let Some(batch) = self.take_batch(target)
                {
                    batches.push((target, batch));
                }
            }
            let targets: SmallVec<[usize; 8]> = batches.iter().map(|(target, _)| *target).collect();
            self.shared
                .mesh
                .append_together(self.id, batches, &mut self.mail);
            targets
                .into_iter()
                .for_each(|target| self.after_append(target));
        } else {
            self.append_batches();
            if own.is_some() {
                self.shared.mesh.take(self.id, &mut self.mail);
            }
        }
        self.carry_out_mail();
        if let Some(own) = own {
            self.carry_out(own);
            self.deliver_local();
        }
    }

    fn append_batches(&mut self) {
        self.engine.shard.hand_over_records();
        for target in 0..self.shared.mesh.shards() {
            self.append_to(target);
        }
    }

    /// Appends the batch for another shard, if there is one, as a position of its own. Public so that the simulator can let
    /// other shards run between two of these.
    pub fn append_to(&mut self, target: usize) {
        if target != self.id
            && let Some(batch) = self.take_batch(target)
        {
            self.shared.mesh.append(target, batch);
            self.after_append(target);
        }
    }

    fn after_append(&mut self, target: usize) {
        self.counters.batches += 1;
        #[cfg(feature = "sabotage")]
        if self.engine.sabotage == Some(tessera_shards::coordinator::Sabotage::DropWake)
            && self.counters.batches.is_multiple_of(8)
        {
            return;
        }
        if self.shared.mesh.must_wake(target) {
            self.counters.wakes += 1;
            self.wakes.push(target);
        }
    }

    /// Slices of long commands, of freeing and of expiry.
    pub fn background(&mut self) {
        self.go_quiet();
        self.go_on_saving();
        if self.engine.has_work() {
            self.engine.run_tasks();
            self.deliver_local();
            self.hear_scripts();
        }
        self.step_rounds();
        if self.engine.shard.has_garbage() {
            let begun = self.engine.meter.begin(true);
            self.engine.shard.collect_garbage();
            self.engine.meter.other(begun);
        }
        if self.ledger.is_limited {
            self.relieve();
        }
        self.defragment();
        self.end_overdue();
        self.look_at_pause();
        self.answer_disk_waiters();
        let is_tick = self.now_ns >= self.next_tick_ns;
        self.looks_at_crowd |= is_tick && self.config.client_memory_max != 0;
        if is_tick {
            self.next_tick_ns = self.now_ns + TICK_NS;
            self.end_idle_clients();
            self.shared.huge_pages.consider();
            tessera_core::slab::collect();
            self.sampler.sample(self.now_ns, &self.counters);
            self.age();
            self.look_at_sizes();
            self.look_at_heat();
        }
        if self.engine.shard.wants_expiry() && (is_tick || self.engine.shard.expiry_is_busy()) {
            let begun = self.engine.meter.begin(true);
            self.engine.shard.expire_slice();
            let ns = self.engine.meter.other(begun);
            self.searched_expired(ns);
        }
    }

    /// Access times are written anew before their clock wraps.
    fn age(&mut self) {
        let now_ms = self.engine.shard.now_ms;
        let Some(period_ms) = self.engine.shard.aging_period_ms() else {
            (self.aged_ms, self.next_aging_ns) = (now_ms, u64::MAX);
            return;
        };
        let passed_ms = now_ms.saturating_sub(self.aged_ms);
        if passed_ms >= period_ms {
            self.aged_ms = now_ms;
            self.engine.shard.age_slice(passed_ms.min(2 * period_ms));
        }
        let left_ms = (self.aged_ms + period_ms).saturating_sub(now_ms).max(1);
        self.next_aging_ns = self.now_ns + left_ms * 1_000_000;
    }

    /// Sends what is owed to other shards.
    pub fn settle(&mut self) {
        self.tell_events();
        self.tell_stale();
        self.tell_lines();
        self.tell_slow();
        self.append_batches();
        while let Some(own) = self.take_batch(self.id) {
            self.carry_out(own);
            self.deliver_local();
            self.tell_events();
            self.tell_stale();
            self.tell_lines();
            self.tell_slow();
            self.append_batches();
        }
    }

    /// How long the next poll may wait. `Forever` and `Until` announce to the other shards that this one sleeps.
    #[must_use]
    pub fn wait(&mut self) -> Wait {
        let shard = &self.engine.shard;
        // What came up while replies were sent goes out in another turn.
        if !self.held.is_empty()
            || !self.next_turn.is_empty()
            || !self.dirty.is_empty()
            || self.engine.has_batches()
            || self.engine.has_work()
            || !self.rounds.is_empty()
            || shard.scripts.has_news()
            || self.save_goes_on
            || self.cargo_goes_on
            || self.replay.as_ref().is_some_and(Replay::goes_on)
            || shard.has_garbage()
            || shard.expiry_is_busy()
            || self.ledger.is_pressed
        {
            return Wait::Never;
        }
        if self.awaits_disk() {
            return Wait::Never;
        }
        if !self.shared.mesh.doze(self.id) {
            return Wait::Never;
        }
        let watches_clients = !self.above_soft.is_empty()
            || (self.config.idle_timeout_s > 0 || self.config.client_memory_max != 0)
                && !self.clients.is_empty();
        let tick_ns = if shard.wants_expiry() || watches_clients {
            self.next_tick_ns
        } else {
            u64::MAX
        };
        let deadline_ns = self
            .deadlines
            .first_key_value()
            .map_or(u64::MAX, |(key, _)| key.0);
        let poll_ns = if self.polls() {
            self.now_ns + POLL_NS
        } else {
            self.next_save_look()
        };
        let pause_ns = self.attention.pause_ends_ns().unwrap_or(u64::MAX);
        match tick_ns
            .min(deadline_ns)
            .min(pause_ns)
            .min(self.next_aging_ns.max(self.next_tick_ns))
            .min(self.next_defrag_ns())
            .min(poll_ns)
            .min(self.cork_deadline_ns())
        {
            u64::MAX => Wait::Forever,
            until => Wait::Until(until),
        }
    }

    /// Ends clients that have been idle for longer than `timeout`.
    fn end_idle_clients(&mut self) {
        let timeout_ms = u64::from(self.config.idle_timeout_s) * 1000;
        if timeout_ms == 0 {
            return;
        }
        let now_ms = self.unix_us / 1000;
        let idle = |client: &&crate::front::Client| {
            client.slots.is_empty() && now_ms.saturating_sub(client.last_ms) > timeout_ms
        };
        let idle: Vec<_> = self
            .clients
            .iter()
            .filter(idle)
            .map(|client| client.conn)
            .collect();
        self.doomed.extend(idle);
    }
}
