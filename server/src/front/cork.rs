//! Replies that wait for their neighbours.
//!
//! Of a pipeline some commands belong to other shards, so its replies come in two or three turns, and each would leave in a segment of its own,
//! which costs either side more than ten commands do. So replies wait, for a short time at most, while later ones of the same client are under way.

use std::collections::VecDeque;

use tessera_io::ConnId;

use crate::front::{Client, Front};

/// How long replies wait at most. Another shard answers within a turn, and no turn takes longer.
const HELD_NS_MAX: u64 = 1_000_000;
/// More bytes than these go at once: they fill segments anyway.
const HELD_BYTES_MAX: usize = 1 << 14;

/// Clients whose replies wait, the longest first, with the time since when. One whose replies have left meanwhile stays until its time is up or
/// it is the first.
#[derive(Debug, Default)]
pub(crate) struct Cork {
    held: VecDeque<(u64, ConnId)>,
}

impl Front {
    /// Whether a client's replies are to wait. Notes when they began to.
    #[inline]
    pub(crate) fn holds_back(&mut self, conn: ConnId) -> bool {
        let now_ns = self.now_ns;
        let Some(client) = self.clients.get_mut(conn) else {
            return false;
        };
        if client.slots.is_empty() || self.shared.mesh.shards() == 1 || !may_wait(client) {
            client.held_since_ns = None;
            return false;
        }
        match client.held_since_ns {
            Some(since_ns) if now_ns.saturating_sub(since_ns) >= HELD_NS_MAX => {
                client.held_since_ns = None;
                false
            }
            Some(_) => true,
            None => {
                client.held_since_ns = Some(now_ns);
                self.cork.held.push_back((now_ns, conn));
                true
            }
        }
    }

    /// Lets those go that have waited long enough, and forgets those that wait no more.
    pub(crate) fn uncork(&mut self) {
        while let Some(&(since_ns, conn)) = self.cork.held.front() {
            let client = self.clients.get_mut(conn);
            match client.filter(|client| client.held_since_ns == Some(since_ns)) {
                Some(_) if self.now_ns.saturating_sub(since_ns) < HELD_NS_MAX => return,
                Some(_) => self.mark_dirty(conn),
                None => {}
            }
            self.cork.held.pop_front();
        }
    }

    /// When the next ones have waited long enough.
    pub(super) fn cork_deadline_ns(&self) -> u64 {
        let first = self.cork.held.front();
        first.map_or(u64::MAX, |(since_ns, _)| since_ns + HELD_NS_MAX)
    }
}

/// Whether what is owed to a client will come soon.
fn may_wait(client: &Client) -> bool {
    client.out.len() <= HELD_BYTES_MAX
        && client.blocked.is_none()
        && client.listens.is_none()
        && !client.closing
}
