//! `client-output-buffer-limit`: when a client with too many replies waiting is disconnected.
//!
//! Counted is what was made and the kernel has not taken. There is no other class than `normal` yet.

use tessera_io::ConnId;

use crate::config::OutputLimit;
use crate::front::Front;

impl Front {
    /// The limit of normal clients, if there is one.
    pub(crate) fn output_limit(&self) -> Option<OutputLimit> {
        let [normal, ..] = self.config.output_limits;
        (normal.hard_bytes > 0 || normal.soft_bytes > 0).then_some(normal)
    }

    /// Whether a client must go, for which the reactor holds so many bytes. Remembers since when it is above the soft limit; such
    /// clients are in `watched`, to be asked about again.
    pub(crate) fn is_over_output_limit(
        &mut self,
        conn: ConnId,
        backlog: usize,
        limit: OutputLimit,
    ) -> bool {
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
        if since_ns.is_some() && !self.watched.contains(&conn) {
            self.watched.push(conn);
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
            front.is_over_output_limit(conn(0), backlog, limit)
        };
        assert!(!over(1, 100));
        assert!(over(1, 1001));
        assert!(!over(1, 1000));
        assert!(!over(3, 101));
        assert!(!over(4, 100), "below in between");
        assert!(!over(5, 101));
        assert!(!over(7, 101));
        assert!(over(8, 101));
        assert_eq!(front.watched, [conn(0)]);
    }

    #[test]
    fn by_default_there_is_none() {
        let rig = Rig::new();
        assert!(rig.fronts[0].output_limit().is_none());
    }
}
