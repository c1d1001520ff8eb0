//! What a front does about the log between commands: when it begins to record, when the log is to be written anew, and what is refused when it cannot be written.

use std::sync::atomic::Ordering;

use tessera_persist::log::SyncPolicy;
use tessera_persist::snapshot::Purpose;

use crate::config::{Config, LogSync};
use crate::front::Front;
use crate::shared::Shared;

/// Between two tries to write the log anew that nobody asked for, seconds.
const RETRY_S: u64 = 5;

/// The policy of a configuration.
pub(crate) fn sync_policy(config: &Config) -> SyncPolicy {
    match config.log_sync {
        LogSync::Always => SyncPolicy::Always,
        LogSync::EverySecond => SyncPolicy::EverySecond,
        LogSync::Never => SyncPolicy::Never,
    }
}

/// What is said to commands that write while the log cannot be written.
#[cold]
pub(super) fn misconf(shared: &Shared) -> Vec<u8> {
    let cause = cause(shared);
    format!("MISCONF Errors writing to the AOF file: {cause}").into_bytes()
}

/// The same to scripts that do not say that they never write.
#[cold]
pub(super) fn script_misconf(shared: &Shared) -> Vec<u8> {
    let cause = cause(shared);
    format!(
        "MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. Writable scripts are blocked. Use \
         'no-writes' flag for read only scripts. AOF error: {cause}"
    )
    .into_bytes()
}

/// The system's words for why the log cannot be written.
fn cause(shared: &Shared) -> String {
    let error = std::io::Error::from_raw_os_error(shared.log.errno()).to_string();
    let cause = error.split(" (os error").next();
    cause.unwrap_or_default().to_owned()
}

impl Front {
    /// What the clocks mean for the shard: while keys are loaded, no time passes, and before anybody is served, changes are recorded.
    #[inline]
    pub(super) fn look_at_log(&mut self) {
        if self.shared.loading.is_on() {
            self.load_a_turn();
        } else {
            self.engine.shard.replay_ms = 0;
        }
    }

    #[cold]
    fn load_a_turn(&mut self) {
        let shard = &mut self.engine.shard;
        let loading = &self.shared.loading;
        if !loading.records.load(Ordering::Acquire) {
            (shard.replay_ms, shard.now_ms) = (shard.now_ms, 0);
            self.has_prepared = false;
        } else if !self.has_prepared {
            self.has_prepared = true;
            shard.replay_ms = 0;
            shard.set_recording(self.shared.log.is_on());
            loading.recording.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The configuration has changed, at this position on every shard.
    pub(crate) fn adopt_log(&mut self, config: &Config) {
        self.shared.log.set_policy(sync_policy(config));
        match (self.config.log_on, config.log_on) {
            (true, false) => {
                self.engine.shard.set_recording(false);
                self.shared.log.turn_off();
            }
            // The log begins with a rewrite, when all shards have heard of it.
            (false, true) => self.shared.log.turn_on(),
            _ => {}
        }
    }

    /// The first shard begins a rewrite if one is due.
    pub(super) fn rewrite_if_due(&mut self) {
        let shared = std::sync::Arc::clone(&self.shared);
        if !self.config.log_on && !shared.saver.has_scheduled() {
            return;
        }
        let saves = shared.saver.status();
        let log = shared.log.status();
        if saves.is_saving || saves.is_rewriting || log.is_finishing {
            return;
        }
        let was_asked = shared.saver.take_scheduled(Purpose::Base);
        if !self.config.log_on {
            if was_asked {
                self.submit_for_node("bgrewriteaof");
            }
            return;
        }
        let now_s = self.unix_us / 1_000_000;
        let may_try = now_s.saturating_sub(self.rewrite_tried_s) > RETRY_S;
        let begins = !log.is_whole && shared.log_adopted.load(Ordering::Acquire);
        let (percent, bytes_min) = (
            u64::from(self.config.log_growth_percent),
            self.config.log_rewrite_bytes_min,
        );
        let growth = log.bytes.saturating_sub(log.base_bytes) * 100 / log.base_bytes.max(1);
        let has_grown = percent > 0 && log.bytes > bytes_min && growth >= percent;
        if was_asked || begins && (may_try || log.failed_rewrites == 0) || has_grown && may_try {
            self.rewrite_tried_s = now_s;
            if has_grown {
                tracing::info!("Starting automatic rewriting of AOF on {growth}% growth");
            }
            self.submit_for_node("bgrewriteaof");
        }
    }
}
