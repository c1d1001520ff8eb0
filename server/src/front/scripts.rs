//! What scripts leave for the front end: messages that they have published, lines for the log, and
//! what they called for those who monitor.

use std::sync::Arc;

use tessera_shards::mesh::CallFn;

use crate::front::{Front, Kind};

impl Front {
    /// Sends on what scripts of this shard have left.
    pub(super) fn hear_scripts(&mut self) {
        if self.engine.shard.scripts.has_news() {
            self.hear_all_scripts();
        }
    }

    #[cold]
    fn hear_all_scripts(&mut self) {
        let scripts = &mut self.engine.shard.scripts;
        let lines = std::mem::take(&mut scripts.lines);
        let published = std::mem::take(&mut scripts.published);
        let calls = std::mem::take(&mut scripts.calls);
        for called in &calls {
            self.show_called(called);
        }
        for (level, line) in lines {
            let line = String::from_utf8_lossy(&line);
            match level {
                0 => tracing::trace!("{line}"),
                1 => tracing::debug!("{line}"),
                2 => tracing::info!("{line}"),
                _ => tracing::warn!("{line}"),
            }
        }
        for message in published {
            let kind = if message.is_sharded {
                Kind::Sharded
            } else {
                Kind::Channel
            };
            let call: CallFn<Front> = Arc::new(move |front: &mut Front, _: &mut Vec<u8>| {
                front.deliver_message(kind, &message.channel, &message.payload);
            });
            for target in 0..self.shared.mesh.shards() {
                if target == self.id {
                    call(self, &mut Vec::new());
                } else {
                    self.engine.tell(target, None, Arc::clone(&call));
                }
            }
        }
    }
}
