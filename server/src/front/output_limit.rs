//! `client-output-buffer-limit`: when a client with too many replies waiting is disconnected.
//!
//! Counted is what was made and the kernel has not taken. A client that listens to a channel is of the class `pubsub`, every other
//! one is `normal`.

use tessera_io::ConnId;

use crate::config::OutputLimit;
use crate::front::{Client, Front};

/// Places of the classes in `CLIENT_CLASSES`.
const NORMAL: usize = 0;
const PUBSUB: usize = 2;

impl Front {
    /// The limit that holds for a client, if there is one.
    #[inline]
    fn output_limit(&self, client: &Client) -> Option<OutputLimit> {
        let class = if client.listens.is_some() {
            PUBSUB
        } else {
            NORMAL
        };
        let limit = self.config.output_limits[class];
        (limit.hard_bytes > 0 || limit.soft_bytes > 0).then_some(limit)
    }

    /// Whether a client must go, for which the reactor holds what `backlog` says. Remembers since when it is above the soft limit;
    /// such clients are in `above_soft`, to be asked about again.
    #[inline]
    pub(crate) fn is_over_output_limit(
        &mut self,
        conn: ConnId,
        backlog: impl FnOnce() -> usize,
    ) -> bool {
        let limit = self
            .clients
            .get(conn)
            .and_then(|client| self.output_limit(client));
        limit.is_some_and(|limit| self.is_over(conn, backlog(), limit))
    }

    fn is_over(&mut self, conn: ConnId, backlog: usize, limit: OutputLimit) -> bool {
        let now_ns = self.now_ns;
        let Some(client) = self.clients.get_mut(conn) else {
            return false;
        };
        let bytes = (backlog + client.output_bytes()) as u64;
        let is_above = |max: u64| max > 0 && bytes > max;
        let since_ns =
            is_above(limit.soft_bytes).then(|| client.above_soft_since_ns.unwrap_or(now_ns));
        client.above_soft_since_ns = since_ns;
        let for_ns = since_ns.map_or(0, |since_ns| now_ns.saturating_sub(since_ns));
        if is_above(limit.hard_bytes) || for_ns > limit.soft_s.saturating_mul(1_000_000_000) {
            tracing::warn!(
                "Closing client id={}: {bytes} bytes of replies wait, client-output-buffer-limit is {limit}",
                client.id
            );
            return true;
        }
        if since_ns.is_some() && !self.above_soft.contains(&conn) {
            self.above_soft.push(conn);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::rig::{Rig, conn};

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn hard_at_once_and_soft_after_a_while() {
        let mut rig = Rig::new();
        let front = &mut rig.fronts[0];
        let limit = OutputLimit {
            hard_bytes: 1000,
            soft_bytes: 100,
            soft_s: 2,
        };
        let mut over = |now_s: u64, backlog| {
            front.now_ns = now_s * SECOND_NS;
            front.is_over(conn(0), backlog, limit)
        };
        assert!(!over(1, 100));
        assert!(over(1, 1001));
        assert!(!over(1, 1000));
        assert!(!over(3, 101));
        assert!(!over(4, 100), "below in between");
        assert!(!over(5, 101));
        assert!(!over(7, 101));
        assert!(over(8, 101));
        assert_eq!(front.above_soft, [conn(0)]);
    }

    #[test]
    fn by_default_only_listeners_have_one() {
        let mut rig = Rig::new();
        let front = &mut rig.fronts[0];
        let huge = || 1 << 40;
        assert!(!front.is_over_output_limit(conn(0), huge));
        let client = front.clients.get_mut(conn(0)).unwrap();
        client.listens = Some(Box::default());
        assert!(front.is_over_output_limit(conn(0), huge));
        assert!(!front.is_over_output_limit(conn(0), || 1 << 20));
    }
}
