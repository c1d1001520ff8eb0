//! What a front does about persistence between commands: keys that are loaded, saves that the rules ask for, and the save before the end.

use std::borrow::Cow;
use std::sync::Arc;

use tessera_core::resp::Proto;
use tessera_io::ConnId;
use tessera_persist::snapshot::{Outcome, Purpose};
use tessera_shards::command::Spec;
use tessera_shards::command::spec::flag;
use tessera_shards::commands::FAMILIES;
use tessera_shards::coordinator::Asker;
use tessera_shards::script::Refusal;

use crate::config::Config;
use crate::front::Front;
use crate::front::log::{misconf, script_misconf};
use crate::loading::Took;
use crate::shared::Shared;

/// The rules are looked at this often.
const LOOK_NS: u64 = 1_000_000_000;
/// After a save that failed, the rules wait.
const RETRY_S: u64 = 5;
/// A save takes this part of a turn.
const SAVE_SHARE: u64 = 8;
/// What has to be polled is polled this often.
pub(super) const POLL_NS: u64 = 1_000_000;

/// A connection that nobody has: replies to it vanish.
const NOBODY: ConnId = ConnId {
    index: u32::MAX,
    generation: u32::MAX,
};

const LOADING: &[u8] = b"LOADING Redis is loading the dataset in memory";
const MISCONF: &[u8] = b"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.";
const SCRIPT_MISCONF: &[u8] = b"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts.";
const NO_SHUTDOWN: &[u8] = b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n";

/// The number of a keyspace command, whatever it has been renamed to.
fn number_of(name: &str) -> Option<u16> {
    let mut rows = FAMILIES.iter().copied().flatten();
    let place = rows.position(|row| row.spec.name == name)?;
    u16::try_from(place).ok()
}

/// Whether nothing may be written because snapshots cannot be.
fn is_kept_back(shared: &Shared, config: &Config) -> bool {
    config.stops_writes_on_error && !config.save_rules.is_empty() && shared.saver.has_failed()
}

/// Why a command is refused where some are, if it is. `writes`: it is an EXEC of commands that write.
#[cold]
pub(super) fn restriction(
    shared: &Shared,
    spec: &Spec,
    args: &[&[u8]],
    writes: bool,
) -> Option<Cow<'static, [u8]>> {
    if shared.loading.is_on() {
        return (!spec.has(flag::LOADING)).then_some(Cow::Borrowed(LOADING));
    }
    let spec = spec.resolve(args);
    if !spec.has(flag::ALLOW_BUSY)
        && let Some(text) = shared.scripts.late_refusal()
    {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    // Redis refuses PING as well: whoever asks so learns that something is wrong.
    if !writes && !spec.has(flag::WRITE) && spec.name != "ping" {
        return None;
    }
    if is_kept_back(shared, &shared.latest_config()) {
        return Some(Cow::Borrowed(MISCONF));
    }
    let has_failed = shared.log.has_failed();
    has_failed.then(|| Cow::Owned(misconf(shared)))
}

impl Front {
    /// Looks at what restricts commands in this turn.
    pub(super) fn look_at_restrictions(&mut self) {
        let shared = &self.shared;
        let is_kept_back = is_kept_back(shared, &self.config);
        let has_failed = shared.log.has_failed();
        self.is_restricted =
            shared.loading.is_on() || has_failed || is_kept_back || shared.scripts.has_late();
        self.is_behind = shared.log.is_full() || shared.saver.is_behind();
        if self.is_restricted || self.engine.shard.scripts.refusal.is_some() {
            self.restrict_scripts(is_kept_back, has_failed);
        }
        if has_failed != self.gate.knows_failure {
            self.learn_of_failure(has_failed);
        }
    }

    /// What scripts that write are told.
    #[cold]
    fn restrict_scripts(&mut self, is_kept_back: bool, has_failed: bool) {
        let refusal = match (is_kept_back, has_failed) {
            (true, _) => Some(Refusal {
                command: MISCONF.to_vec(),
                script: SCRIPT_MISCONF.to_vec(),
            }),
            (false, true) => Some(Refusal {
                command: misconf(&self.shared),
                script: script_misconf(&self.shared),
            }),
            (false, false) => None,
        };
        self.engine.shard.scripts.refusal = refusal.map(Box::new);
    }

    /// Puts loaded keys in their places.
    pub(super) fn take_cargo(&mut self) {
        let Some(cargo) = &mut self.cargo else {
            return;
        };
        let took = cargo.take_some(&mut self.engine.shard, &self.shared.loading);
        self.cargo_goes_on = took == Took::Some;
        if took == Took::All {
            self.cargo = None;
        }
    }

    /// Whether something is under way that tells nobody when it goes on.
    pub(super) fn polls(&self) -> bool {
        self.cargo.is_some()
            || self.replay.is_some()
            || self.engine.is_saving()
            || self.shared.ending.is_on()
            || !self.gate.behind.is_empty()
    }

    /// Whether this shard's part of a save can go on at once.
    pub(crate) fn goes_on_saving(&self) -> bool {
        self.save_goes_on
    }

    /// Goes on with this shard's part of a save.
    pub(super) fn go_on_saving(&mut self) {
        self.engine.shard.publish_changes();
        if self.engine.is_saving() {
            let begun = self.engine.meter.begin(true);
            self.save_goes_on = self.engine.step_save(self.worked_ns / SAVE_SHARE);
            self.engine.meter.other(begun);
        } else {
            self.save_goes_on = false;
        }
    }

    /// Begins a save, in this turn's position.
    fn submit_save(&mut self) {
        self.submit_for_node("bgsave");
    }

    /// A command of the node itself, in this turn's position.
    pub(super) fn submit_for_node(&mut self, name: &'static str) {
        let Some(number) = number_of(name) else {
            return;
        };
        let asker = Asker {
            conn: NOBODY,
            seq: 0,
            db: 0,
            proto: Proto::Resp2,
            no_touch: true,
            tracker: None,
            batched: None,
        };
        let mut reply = Vec::new();
        self.engine
            .submit(number, &asker, &[name.as_bytes()], &mut reply);
    }

    /// The rules of `save`, which the first shard follows for all.
    pub(super) fn save_if_due(&mut self) {
        if self.id != 0 || self.now_ns < self.next_save_look_ns {
            return;
        }
        self.next_save_look_ns = self.now_ns + LOOK_NS;
        if self.shared.loading.is_on() || self.shared.ending.is_on() {
            return;
        }
        self.rewrite_if_due();
        self.save_if_scheduled();
        if self.config.save_rules.is_empty() {
            return;
        }
        let status = self.shared.saver.status();
        let now_s = self.unix_us / 1_000_000;
        let may_retry = !status.last_failed || now_s.saturating_sub(status.last_try_s) > RETRY_S;
        if status.is_saving || status.is_rewriting || !may_retry {
            return;
        }
        let age_s = now_s.saturating_sub(status.last_save_s);
        let due = self
            .config
            .save_points()
            .find(|(seconds, changes)| status.changes >= *changes && age_s > *seconds);
        if let Some((seconds, changes)) = due {
            tracing::info!("{changes} changes in {seconds} seconds. Saving...");
            self.submit_save();
        }
    }

    /// A save that was asked for while the log was written anew.
    fn save_if_scheduled(&mut self) {
        let shared = Arc::clone(&self.shared);
        if !shared.saver.has_scheduled() {
            return;
        }
        let status = shared.saver.status();
        let is_busy = status.is_saving || status.is_rewriting || shared.log.status().is_finishing;
        if !is_busy && shared.saver.take_scheduled(Purpose::Snapshot) {
            self.submit_save();
        }
    }

    /// When the first shard looks at the rules again; for ever if there are none.
    pub(super) fn next_save_look(&self) -> u64 {
        let looks = !self.config.save_rules.is_empty()
            || self.config.log_on
            || self.shared.saver.has_scheduled();
        if self.id == 0 && looks {
            self.next_save_look_ns
        } else {
            u64::MAX
        }
    }

    /// Before this turn's batches get their position: the save before the end.
    pub(super) fn step_ending(&mut self) {
        let shared = std::sync::Arc::clone(&self.shared);
        if self.id != 0 || !shared.ending.is_on() {
            return;
        }
        if shared.ending.may_save(shared.mesh.shards()) {
            let status = shared.saver.status();
            if !status.is_saving && !status.is_rewriting {
                tracing::info!("Saving the final snapshot before exiting.");
                shared.ending.save_after(shared.saver.last_number());
                self.submit_save();
            }
            return;
        }
        let Some(before) = shared.ending.saving_after() else {
            return;
        };
        let number = shared.saver.last_number();
        match shared.saver.outcome(number) {
            _ if number == before => {}
            Outcome::UnderWay => {}
            Outcome::Failed if !shared.ending.asker().forces => {
                tracing::error!("Error trying to save the DB, can't exit.");
                shared.ending.call_off();
                self.wake_others();
            }
            Outcome::Saved | Outcome::Failed => {
                shared.begin_shutdown();
                self.wake_others();
            }
        }
    }

    pub(crate) fn wake_others(&mut self) {
        let others = (0..self.shared.mesh.shards()).filter(|shard| *shard != self.id);
        self.wakes.extend(others);
    }

    /// After this turn's batches have got their position: nothing more of this shard's clients comes before the save.
    pub(super) fn go_quiet(&mut self) {
        let is_ending = self.shared.ending.is_on();
        if is_ending && !self.is_quiet {
            self.shared.ending.go_quiet();
        } else if !is_ending && self.is_quiet {
            self.tell_asker();
        }
        self.is_quiet = is_ending;
    }

    /// The end was called off.
    fn tell_asker(&mut self) {
        if let Some((shard, conn)) = self.shared.ending.asker().conn
            && shard == self.id
            && let Some(client) = self.clients.get_mut(conn)
        {
            client.reply_now(NO_SHUTDOWN);
            self.mark_dirty(conn);
        }
    }
}
