//! `maxmemory` on one shard: whether a command may run, and what is evicted for it.
//!
//! Every turn begins with some room, this shard's share of what is free. A command that may need memory (`denyoom`) takes the bytes of its
//! arguments from it; when there is no more, the slow path looks at how the node stands, evicts, and lets the command run, wait or be refused.
//! The decision is made where the client is, before any part of the command runs anywhere, so that no command is carried out by
//! halves. At the end of a turn each shard evicts its share, by bytes, of what the node has above the limit: so the shards keep the proportions that
//! their writes give them, and a shard that has nothing to evict leaves it to the others.
//!
//! What evicts, evicts down to a little below the limit, so that commands find room while evictions go on. Invariants: without a limit nothing here runs;
//! a command waits only while some shard may evict something or is freeing something. docs/design/memory.md has the whole story.

use tessera_io::ConnId;
use tessera_shards::command::Run;
use tessera_shards::command::spec::flag;

use crate::budget::Standing;
use crate::front::Front;

/// Redis's words.
pub(crate) const OOM_ERROR: &[u8] = b"OOM command not allowed when used memory > 'maxmemory'.";

/// The part of the limit that an eviction leaves free, at least.
const SLACK: u64 = 256;
/// Below a limit of 256 MiB it leaves that much, as bursts of requests do not become smaller with the limit, but at most a 64th.
const SLACK_BYTES: u64 = 1 << 20;
const SLACK_MOST: u64 = 64;
/// What an argument takes besides its bytes.
const ARG_BYTES: u64 = 48;
/// Room for requests that had better wait.
const QUEUE_BYTES: u64 = 4 << 20;
/// Arguments of this many bytes make the allocator's figures worth a new look.
const LARGE_BYTES: u64 = 64 * 1024;
/// Keys looked at by the eviction that one command waits for, and by that at the end of a turn.
const KEYS_PER_COMMAND: usize = 64;
const KEYS_PER_TURN: usize = 512;

/// What becomes of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    /// It may run.
    Granted,
    /// Evictions are under way: it is tried again in the next turn.
    Waits,
    /// There is nothing to evict.
    Refused,
}

/// This shard's account of memory.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Whether there is a limit.
    pub(crate) is_limited: bool,
    /// Bytes that commands may still take in this turn without asking.
    room: u64,
    /// The most that a command of this turn waits for.
    wanted: u64,
    /// Bytes of arguments on their way to other shards: of this turn, and of the one before.
    sent: u64,
    sent_before: u64,
    /// Bytes received or queued since the allocator was last asked.
    grown: u64,
    /// Whether this shard has to go on evicting.
    pub(crate) is_pressed: bool,
}

impl Ledger {
    /// Bytes were received or queued: from time to time they make the figures worth a new look.
    #[inline]
    pub(crate) fn note_buffered(&mut self, bytes: usize) {
        self.grown += bytes as u64;
    }

    /// Whether there is room for requests that wait although they could be carried out.
    pub(super) fn can_queue(&self) -> bool {
        !self.is_limited || self.room >= QUEUE_BYTES
    }
}

impl Front {
    /// The configuration has changed, or is the first.
    pub(crate) fn set_memory_limit(&mut self) {
        self.ledger = Ledger {
            is_limited: self.config.memory_bytes_max > 0,
            ..Ledger::default()
        };
        if self.ledger.is_limited {
            self.publish_holdings();
            self.shared.budget.measure(self.now_ns);
        }
        self.tell_scripts(&self.shared.budget.standing());
    }

    /// Scripts refuse what may need memory while there is none and nothing will make room.
    fn tell_scripts(&mut self, standing: &Standing) {
        let is_stuck = standing.evictable == 0 && standing.leaving == 0;
        self.engine.shard.scripts.memory_is_out =
            self.ledger.is_limited && is_stuck && standing.used > self.config.memory_bytes_max;
    }

    /// Whether this shard has something to evict.
    fn may_evict(&self) -> bool {
        // What the log says of a key is read first.
        !self.shared.loading.is_on()
            && !self.engine.is_away()
            && !self.engine.shard.holdings().is_dry
    }

    /// Says what this shard holds.
    fn publish_holdings(&mut self) {
        let mut holdings = self.engine.shard.holdings();
        // Tables that are away come back.
        holdings.is_dry &= !self.engine.is_away();
        let wanted = self.ledger.wanted;
        self.shared.budget.publish(self.id, &holdings, wanted);
    }

    /// What evictions bring memory in use down to.
    fn goal(&self) -> u64 {
        let limit = self.config.memory_bytes_max;
        limit - (limit / SLACK).max(SLACK_BYTES.min(limit / SLACK_MOST))
    }

    /// A turn begins: this shard's share of what is free.
    pub(super) fn open_ledger(&mut self) {
        self.shared.budget.measure_now_and_then(self.now_ns);
        let ledger = &mut self.ledger;
        ledger.sent_before = std::mem::take(&mut ledger.sent);
        ledger.wanted = 0;
        let standing = self.shared.budget.standing();
        let taken = standing.used + standing.wanted + self.ledger.sent_before;
        self.tell_scripts(&standing);
        let shards = self.shared.mesh.shards() as u64;
        self.ledger.room = self.config.memory_bytes_max.saturating_sub(taken) / shards;
    }

    /// Whether memory is so short that large unfinished requests had better not be read on.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        if !self.ledger.is_limited {
            return false;
        }
        let standing = self.shared.budget.standing();
        // Only what evicts may hold back what is below the limit: it comes to an end.
        let most = if self.ledger.is_pressed {
            self.goal()
        } else {
            self.config.memory_bytes_max
        };
        standing.evictable > 0 && standing.used > most
    }

    /// Whether a command of a client may run. If it is refused, the reply has been given.
    pub(super) fn check_memory(&mut self, conn: ConnId, args: &[&[u8]]) -> Admission {
        let (Some(client), Some(command)) = (
            self.clients.get_mut(conn),
            self.shared.registry.find(args[0]),
        ) else {
            return Admission::Granted;
        };
        if !client.authenticated || !command.spec.accepts(args.len()) {
            return Admission::Granted;
        }
        let mut need: u64 = args.iter().map(|arg| arg.len() as u64 + ARG_BYTES).sum();
        let is_exec = command.spec.name == "exec";
        match &client.transaction {
            Some(transaction) if is_exec => {
                if !transaction.may_need_memory || transaction.is_broken {
                    return Admission::Granted;
                }
                need += transaction.bytes as u64;
            }
            Some(_) if command.spec.has(flag::AT_ONCE) => return Admission::Granted,
            // What is queued takes memory, whatever it does.
            Some(_) => {}
            None if !command.spec.has(flag::DENYOOM) => return Admission::Granted,
            None => {}
        }
        if need <= self.ledger.room && need < LARGE_BYTES {
            self.ledger.room -= need;
            return Admission::Granted;
        }
        let (number, is_of_keys) = (command.number, matches!(command.run, Run::Keyspace { .. }));
        let is_elsewhere = self.shared.mesh.shards() > 1
            && is_of_keys
            && args.get(1).is_none_or(|key| !self.engine.owns(key));
        // What goes to another shard is there twice for a moment.
        let need = if is_elsewhere { 2 * need } else { need };
        let admission = self.make_room(need);
        match admission {
            Admission::Granted if is_elsewhere => self.ledger.sent += need,
            Admission::Granted | Admission::Waits => {}
            Admission::Refused => self.refuse(conn, Some(number), OOM_ERROR),
        }
        admission
    }

    /// Looks for so many bytes, evicting keys of this shard.
    fn make_room(&mut self, need: u64) -> Admission {
        let limit = self.config.memory_bytes_max;
        let is_large = need >= LARGE_BYTES;
        for is_last in [false, true] {
            self.publish_holdings();
            if is_large || self.ledger.grown >= LARGE_BYTES {
                self.ledger.grown = 0;
                self.shared.budget.measure(self.now_ns);
            }
            let standing = self.shared.budget.standing();
            let taken = standing.used + self.ledger.sent + self.ledger.sent_before;
            if taken + need <= limit {
                return Admission::Granted;
            }
            let never_fits = standing.overhead + need > limit;
            if standing.evictable == 0 && standing.leaving == 0 || never_fits {
                return Admission::Refused;
            }
            if is_last {
                break;
            }
            let over = (taken + need).saturating_sub(standing.leaving + self.goal());
            self.evict_share(over, KEYS_PER_COMMAND);
        }
        self.ledger.wanted = self.ledger.wanted.max(need);
        self.publish_holdings();
        self.wake_evictors();
        Admission::Waits
    }

    /// Evicts this shard's share of what is too much. Returns the bytes.
    fn evict_share(&mut self, over: u64, keys_max: usize) -> u64 {
        let standing = self.shared.budget.standing();
        let holdings = self.engine.shard.holdings();
        if holdings.is_dry || over == 0 {
            return 0;
        }
        let (mine, all) = (holdings.bytes as u64, standing.evictable.max(1));
        let share = u128::from(over) * u128::from(mine) / u128::from(all);
        let share = share.min(u128::from(over)) as u64;
        // Less than a key is a chance of a key: or the shard with the most turns would give most.
        let of_a_key = (mine / holdings.keys.max(1) as u64).max(1);
        let is_alone = mine >= all;
        if !is_alone && share < of_a_key && self.engine.shard.rng.below(of_a_key) >= share.max(1) {
            return 0;
        }
        let begun = self.engine.meter.begin(true);
        let freed = self.engine.evict(share.max(1) as usize, keys_max);
        let ns = self.engine.meter.other(begun);
        self.has_evicted(ns);
        freed as u64
    }

    /// Other shards sleep while there is something for them to evict.
    fn wake_evictors(&mut self) {
        for target in 0..self.shared.mesh.shards() {
            if target != self.id && self.shared.mesh.must_wake(target) {
                self.counters.wakes += 1;
                self.wakes.push(target);
            }
        }
    }

    /// At the end of a turn: evicts what is above the limit, a bounded number of keys at a time.
    pub(super) fn relieve(&mut self) {
        self.publish_holdings();
        if self.ledger.grown >= LARGE_BYTES {
            self.ledger.grown = 0;
            self.shared.budget.measure(self.now_ns);
        }
        let limit = self.config.memory_bytes_max;
        // What is loaded is loaded whole, and evicted afterwards.
        if self.shared.loading.is_on() {
            return self.shared.budget.measure_anew(self.now_ns);
        }
        let standing = self.shared.budget.standing();
        let taken = (standing.used + standing.wanted).saturating_sub(standing.leaving);
        // It begins at the limit, and goes on below it.
        let was_pressed = std::mem::take(&mut self.ledger.is_pressed);
        let from = if was_pressed { self.goal() } else { limit };
        if taken <= from || standing.evictable == 0 {
            return;
        }
        let over = taken - self.goal();
        let freed = self.evict_share(over, KEYS_PER_TURN);
        self.publish_holdings();
        self.ledger.is_pressed = freed < over && self.may_evict();
        if taken > limit + limit / (4 * SLACK) {
            self.wake_evictors();
        }
    }
}
