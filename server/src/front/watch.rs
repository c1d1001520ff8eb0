//! WATCH and UNWATCH: telling the owners.
//!
//! A watch has a position like any command of its connection: it travels in the turn's batches, so that the client's own earlier commands are not news to
//! it, and nobody who saw the reply comes before it.

use std::sync::Arc;

use tessera_io::ConnId;
use tessera_shards::mesh::CallFn;

use crate::front::Front;

impl Front {
    /// The client wants to know whether these keys change.
    pub(crate) fn watch(&mut self, conn: ConnId, keys: &[&[u8]]) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let (db, watcher) = (client.db, client.id);
        let mut shares: Vec<Vec<Box<[u8]>>> = vec![Vec::new(); self.shared.mesh.shards()];
        for key in keys {
            if client.remember_watched(db, key) {
                shares[self.engine.owner_of(key)].push((*key).into());
            }
        }
        for (target, keys) in shares.into_iter().enumerate() {
            if !keys.is_empty() {
                let watch = move |front: &mut Front, _: &mut Vec<u8>| {
                    for key in &keys {
                        front.engine.shard.watch(db, key, watcher);
                    }
                };
                self.tell(conn, target, Arc::new(watch));
            }
        }
    }

    /// The client does not want to know any more.
    pub(crate) fn unwatch(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        if !client.is_watching {
            return;
        }
        client.is_watching = false;
        client.forget_watched();
        let watcher = client.id;
        let unwatch: CallFn<Front> =
            Arc::new(move |front: &mut Front, _| front.engine.shard.unwatch(watcher));
        for target in 0..self.shared.mesh.shards() {
            self.tell(conn, target, unwatch.clone());
        }
    }

    /// Runs something on a shard, at this client's next position there.
    pub(crate) fn tell(&mut self, conn: ConnId, target: usize, call: CallFn<Front>) {
        let turn = self.turn;
        let batched = self
            .clients
            .get_mut(conn)
            .and_then(|client| (client.batched_turn == turn).then_some(client.batched_target));
        if target == self.id && batched.is_none() {
            call(self, &mut Vec::new());
            return;
        }
        self.engine.tell(target, batched, call);
        if let Some(client) = self.clients.get_mut(conn) {
            client.batched_turn = turn;
            client.batched_target = target;
        }
    }
}
