//! A client's share of a turn: whoever sends many commands at once gets some time per turn, and the others' come in between.
//!
//! Called while frames are carried out, every few KiB of them. What is left stays in the client's `query` until the next turn, which begins with it. That takes memory, so close
//! to a limit nobody waits.

use tessera_io::ConnId;

use crate::front::Front;

/// Nanoseconds of a turn for all those together who send so much, and for each of them at least, be the turn as old as it may.
const ALL_NS: u64 = 400_000;
const SHARE_MIN_NS: u64 = 100_000;
/// Bytes of requests from one look at the clock to the next.
pub(super) const LOOK_BYTES: usize = 2_048;

/// What a client has had of a turn.
#[derive(Debug, Default)]
pub(crate) struct Share {
    /// Which turn, its lower half.
    turn: u32,
    ns: u32,
    /// It is in `Front::next_turn`: nothing of what it sent is carried out before.
    is_up: bool,
}

impl Share {
    /// Whether the rest has to wait for the next turn.
    pub(super) fn is_up(&self) -> bool {
        self.is_up
    }

    /// Adds what it took in this turn, of which it may have so much. Returns whether that is all it gets.
    fn spend(&mut self, turn: u64, ns: u64, share_ns: u64) -> bool {
        if self.turn != turn as u32 {
            (self.turn, self.ns) = (turn as u32, 0);
        }
        self.ns = self.ns.saturating_add(ns.min(share_ns) as u32);
        self.is_up = u64::from(self.ns) >= share_ns;
        self.is_up
    }
}

impl Front {
    /// A client's commands took from one time to another. Returns whether the rest of them waits for the next turn.
    pub(super) fn spends(&mut self, conn: ConnId, from_ns: u64, to_ns: u64) -> bool {
        if !self.ledger.can_queue() {
            return false;
        }
        let ns = to_ns.saturating_sub(from_ns);
        let is_late = to_ns.saturating_sub(self.now_ns) > ALL_NS;
        let share_ns = if is_late {
            SHARE_MIN_NS
        } else {
            (ALL_NS / self.sharers.max(1) as u64).max(SHARE_MIN_NS)
        };
        let Some(client) = self.clients.get_mut(conn) else {
            return false;
        };
        let is_up = client.share.spend(self.turn, ns, share_ns);
        if is_up {
            client.stalled = true;
            self.next_turn.push(conn);
        }
        is_up
    }

    /// The next turn has come: as many of those who waited for it as it has shares for are held no longer, the others are next.
    pub(crate) fn share_anew(&mut self) {
        self.sharers = self.next_turn.len().min((ALL_NS / SHARE_MIN_NS) as usize);
        for conn in self.next_turn.drain(..self.sharers) {
            if let Some(client) = self.clients.get_mut(conn) {
                client.share.is_up = false;
                self.held.push(conn);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tessera_io::Wait;
    use tessera_shards::coordinator::Meter;

    use crate::config::Config;
    use crate::session::rig::{Rig, conn};

    const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

    /// Its clock goes on by 100 us from one look to the next.
    fn slow_meter() -> Meter {
        let now_ns = Cell::new(0);
        Meter::new(Box::new(move || now_ns.replace(now_ns.get() + 100_000)))
    }

    #[test]
    fn the_rest_of_a_long_pipeline_waits_for_the_next_turn() {
        let mut rig = Rig::new();
        rig.connect(0, conn(1), "127.0.0.1:50001");
        let front = &mut rig.fronts[0];
        front.engine.meter = slow_meter();
        let pongs = |front: &crate::front::Front, index| {
            front.clients.get(conn(index)).unwrap().out.len() / b"+PONG\r\n".len()
        };
        front.turn = 1;
        front.received(conn(0), &PING.repeat(4_000));
        let first = pongs(front, 0);
        assert!((200..1_500).contains(&first), "{first}");
        assert!(matches!(front.wait(), Wait::Never));
        front.received(conn(0), PING);
        front.received(conn(1), PING);
        front.run_query(conn(0));
        assert_eq!((pongs(front, 0), pongs(front, 1)), (first, 1));
        let mut turns = 1;
        while pongs(front, 0) < 4_001 {
            turns += 1;
            assert!(turns < 20, "{} of 4001", pongs(front, 0));
            front.turn = turns;
            front.share_anew();
            for conn in std::mem::take(&mut front.held) {
                front.run_query(conn);
            }
        }
        assert!(turns > 2 && front.next_turn.is_empty());
        let client = front.clients.get(conn(0)).unwrap();
        assert!(!client.stalled && client.query.is_empty());
    }

    #[test]
    fn a_short_pipeline_is_not_looked_at() {
        let mut rig = Rig::new();
        let front = &mut rig.fronts[0];
        let clock = || -> u64 { panic!("nobody asks") };
        front.engine.meter = Meter::new(Box::new(clock));
        front.received(conn(0), &PING.repeat(100));
        assert!(front.next_turn.is_empty());
        let out = &front.clients.get(conn(0)).unwrap().out;
        assert_eq!(out.len(), 100 * b"+PONG\r\n".len());
    }

    #[test]
    fn close_to_a_limit_of_memory_nobody_waits() {
        for (memory_bytes_max, waiting) in [(1 << 40, 1), (1, 0)] {
            let mut rig = Rig::with(Config {
                memory_bytes_max,
                ..Config::default()
            });
            let front = &mut rig.fronts[0];
            front.engine.meter = slow_meter();
            front.begin(0, 1);
            front.received(conn(0), &PING.repeat(4_000));
            assert_eq!(front.next_turn.len(), waiting);
        }
    }
}
