//! Keyspace notifications: what has happened to this shard's keys, on its way to those who listen.
//!
//! The shard gathers its events in order. They are told before the batches of the same phase get their position, so they leave in front of or together
//! with the replies of the commands that made them, and whoever receives one sees the change. Events of one key come in order; those of keys of different
//! shards meet only at the listener.

use std::sync::Arc;

use tessera_shards::shard::event::{Happened, class};

use crate::front::{Front, Kind};

impl Front {
    /// Tells everybody who listens what has happened since the last call.
    #[inline]
    pub(super) fn tell_events(&mut self) {
        if self.engine.shard.has_happened() {
            self.tell_all_events();
        }
    }

    #[cold]
    fn tell_all_events(&mut self) {
        let happened: Arc<[Happened]> = self.engine.shard.take_happened().into();
        let channels = self.config.notify_events.0;
        for target in 0..self.shared.mesh.shards() {
            if !self.shared.is_listening(target) {
                continue;
            }
            if target == self.id {
                self.deliver_events(&happened, channels);
                continue;
            }
            #[cfg(feature = "sabotage")]
            if self.engine.sabotage == Some(tessera_shards::coordinator::Sabotage::TellHere) {
                continue;
            }
            let happened = Arc::clone(&happened);
            let deliver = move |front: &mut Front, _: &mut Vec<u8>| {
                front.deliver_events(&happened, channels);
            };
            self.engine.tell(target, None, Arc::new(deliver));
        }
    }

    /// Hands events to this shard's listeners.
    fn deliver_events(&mut self, happened: &[Happened], channels: u32) {
        for Happened { db, key, event } in happened {
            if channels & class::KEYSPACE != 0 {
                let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
                self.deliver_message(Kind::Channel, &channel, event.name.as_bytes());
            }
            if channels & class::KEYEVENT != 0 {
                let channel = format!("__keyevent@{db}__:{}", event.name);
                self.deliver_message(Kind::Channel, channel.as_bytes(), key);
            }
        }
    }
}
