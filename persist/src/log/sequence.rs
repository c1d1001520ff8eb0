//! The node's one sequence of records: shards put their chunks in, each push gives them their position; the keeper takes them out.
//!
//! A position is a number of chunks. What a reply shows is on the disk when `durable` has reached what was `handed` over before.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::chunk::Chunk;

/// When records are sent to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before any reply that shows them.
    Always,
    /// Once a second.
    EverySecond,
    /// When the system likes.
    Never,
}

/// What the keeper is told besides records.
#[derive(Debug)]
pub(super) enum Order {
    /// All shards have reached the position of this generation.
    Switched(u64),
    /// The new base is written, or not.
    Base(bool),
    /// The policy is another one.
    Look,
    /// No more records, for now.
    Off,
    /// No more records.
    Stop,
}

/// What the keeper takes.
#[derive(Default)]
pub(super) struct Work {
    pub(super) chunks: Vec<Chunk>,
    pub(super) orders: Vec<Order>,
}

/// For INFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogStatus {
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes when there was a new base, or at the start.
    pub base_bytes: u64,
    /// Whether there is a base and all records since.
    pub is_whole: bool,
    /// Times that a sync took longer than the time between two.
    pub delayed_syncs: u64,
    /// Whether records wait for a sync.
    pub is_unsynced: bool,
    /// Bases written.
    pub rewrites: u64,
    /// Rewrites that failed since the last that did not.
    pub failed_rewrites: u64,
    /// A base has been written and is not in place.
    pub is_finishing: bool,
}

#[derive(Default)]
struct State {
    work: Work,
    /// The keeper waits to be woken.
    is_idle: bool,
    /// Shards that have not reached the position of a generation.
    switching: Option<(u64, usize)>,
    status: LogStatus,
    /// Chunks that are written, for the next records.
    spare: Vec<Chunk>,
}

type Wake = Box<dyn Fn(usize) + Send + Sync>;
type Tell = Box<dyn Fn(&'static str, u64) + Send + Sync>;

/// Bytes that wait to be written above which commands that write wait, and below which they go on. docs/design/log.md says what the node may take.
const QUEUE_BYTES_MAX: u64 = 64 << 20;
const QUEUE_BYTES_LOW: u64 = QUEUE_BYTES_MAX / 2;

/// Chunks that are kept for the next records, and the room that one of them may have.
const SPARE_CHUNKS_MAX: usize = 8;
const SPARE_BYTES_MAX: usize = 256 << 10;

/// See the head of this file.
pub struct Log {
    state: Mutex<State>,
    work: Condvar,
    handed: AtomicU64,
    durable: AtomicU64,
    is_on: AtomicBool,
    /// Replies wait.
    gates: AtomicBool,
    /// Bytes that were handed over and are not written.
    queued_bytes: AtomicU64,
    /// They are too many.
    is_full: AtomicBool,
    has_failed: AtomicBool,
    errno: AtomicI32,
    policy: AtomicU8,
    /// Which shards want to hear when `durable` moves.
    waiting: Box<[AtomicBool]>,
    wake: OnceLock<Wake>,
    tell: OnceLock<Tell>,
    /// For tests: how long the keeper waits before each write, us.
    write_pause: (Mutex<u64>, Condvar),
}

impl Log {
    /// The log of a node of so many shards, off.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            handed: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            is_on: AtomicBool::new(false),
            gates: AtomicBool::new(false),
            queued_bytes: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            errno: AtomicI32::new(0),
            policy: AtomicU8::new(1),
            waiting: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            wake: OnceLock::new(),
            tell: OnceLock::new(),
            write_pause: Default::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a shard is woken.
    pub fn wake_by(&self, wake: impl Fn(usize) + Send + Sync + 'static) {
        // A second start of the same node there is not.
        let _ = self.wake.set(Box::new(wake));
    }

    /// Who hears how long the disk took, in ms, for what: LATENCY's names.
    pub fn tell_by(&self, tell: impl Fn(&'static str, u64) + Send + Sync + 'static) {
        // As `wake_by`.
        let _ = self.tell.set(Box::new(tell));
    }

    pub(super) fn tell(&self, event: &'static str, ms: u64) {
        if ms > 0
            && let Some(tell) = self.tell.get()
        {
            tell(event, ms);
        }
    }

    /// Whether changes are to be recorded.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Records are wanted from the next rewrite on, or from the start.
    pub fn turn_on(&self) {
        self.is_on.store(true, Ordering::Release);
    }

    /// No records are wanted any more; what was handed over is written.
    pub fn turn_off(&self) {
        self.is_on.store(false, Ordering::Release);
        self.order(Order::Off);
    }

    /// Ends the keeper when all is written.
    pub fn stop(&self) {
        self.order(Order::Stop);
    }

    /// When records are sent to the disk, from now on.
    pub fn set_policy(&self, policy: SyncPolicy) {
        let number = match policy {
            SyncPolicy::Always => 0,
            SyncPolicy::EverySecond => 1,
            SyncPolicy::Never => 2,
        };
        self.policy.store(number, Ordering::Release);
        self.order(Order::Look);
    }

    /// Whether a reply promises that what it says is on the disk.
    #[inline]
    #[must_use]
    pub fn promises(&self) -> bool {
        self.policy() == SyncPolicy::Always && self.is_on()
    }

    /// Whether so much waits to be written that nothing should be added: the disk is behind.
    #[inline]
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Bytes that were handed over and are not written.
    #[must_use]
    pub fn queued_bytes(&self) -> u64 {
        self.queued_bytes.load(Ordering::Relaxed)
    }

    /// So many bytes are written, or will never be.
    pub(super) fn consumed(&self, bytes: u64) {
        let before = self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if before - bytes < QUEUE_BYTES_LOW {
            self.is_full.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn policy(&self) -> SyncPolicy {
        match self.policy.load(Ordering::Acquire) {
            0 => SyncPolicy::Always,
            1 => SyncPolicy::EverySecond,
            _ => SyncPolicy::Never,
        }
    }

    /// For tests, a disk that is slow: the keeper waits so long before each write, from now on and where it waits already.
    pub fn set_write_pause(&self, us: u64) {
        let (pause, changed) = &self.write_pause;
        *pause.lock().unwrap_or_else(PoisonError::into_inner) = us;
        changed.notify_all();
    }

    /// Waits as `set_write_pause` has it.
    pub(super) fn pause_before_write(&self) {
        let (pause, changed) = &self.write_pause;
        let guard = pause.lock().unwrap_or_else(PoisonError::into_inner);
        let us = *guard;
        if us > 0 {
            let is_same = |now: &mut u64| *now == us;
            // Who is woken early has no more to wait for.
            let _ = changed.wait_timeout_while(guard, Duration::from_micros(us), is_same);
        }
    }

    /// Hands a shard's records over: this is their position. The chunk is empty afterwards, with the room of one that has been written.
    pub fn push(&self, chunk: &mut Chunk) {
        if chunk.is_empty() {
            return;
        }
        let bytes = chunk.len() as u64;
        let mut state = self.lock();
        let spare = state.spare.pop().unwrap_or_default();
        let chunk = std::mem::replace(chunk, spare);
        if self.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > QUEUE_BYTES_MAX {
            self.is_full.store(true, Ordering::Relaxed);
        }
        state.work.chunks.push(chunk);
        self.handed.fetch_add(1, Ordering::SeqCst);
        let is_idle = std::mem::take(&mut state.is_idle);
        drop(state);
        if is_idle {
            self.work.notify_one();
        }
    }

    fn order(&self, order: Order) {
        let mut state = self.lock();
        state.work.orders.push(order);
        state.is_idle = false;
        drop(state);
        self.work.notify_one();
    }

    /// A shard has reached the position of a generation, having handed over all before. When all have, the keeper goes on to another file.
    pub fn switch(&self, generation: u64) {
        let mut state = self.lock();
        let shards = self.waiting.len();
        let left = match state.switching {
            Some((known, left)) if known == generation => left - 1,
            _ => shards - 1,
        };
        state.switching = (left > 0).then_some((generation, left));
        drop(state);
        if left == 0 {
            self.order(Order::Switched(generation));
        }
    }

    /// The file of a new base has been written, or cannot be.
    pub fn base_done(&self, is_written: bool) {
        self.lock().status.is_finishing = true;
        self.order(Order::Base(is_written));
    }

    /// Up to where a reply has to wait that is ready now; `None` if it may go.
    #[inline]
    #[must_use]
    pub fn must_wait(&self) -> Option<u64> {
        if !self.gates.load(Ordering::Acquire) {
            return None;
        }
        let handed = self.handed.load(Ordering::SeqCst);
        (self.durable() < handed).then_some(handed)
    }

    /// The position up to which everything has been handed over.
    #[must_use]
    pub fn handed(&self) -> u64 {
        self.handed.load(Ordering::SeqCst)
    }

    /// The position up to which everything is on the disk.
    #[inline]
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    /// A shard wants to be woken when `durable` moves. It looks at it once more afterwards, before it sleeps.
    pub fn ask_wake(&self, shard: usize) {
        self.waiting[shard].store(true, Ordering::SeqCst);
    }

    /// Whether something could not be written, and has not been made good.
    #[inline]
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// The system's number for why.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.errno.load(Ordering::Relaxed)
    }

    /// How things stand.
    #[must_use]
    pub fn status(&self) -> LogStatus {
        self.lock().status
    }

    /// Whether all shards have reached the position of the last rewrite.
    #[must_use]
    pub fn is_switching(&self) -> bool {
        self.lock().switching.is_some()
    }

    /// What there is to do. Waits for it at most this long, or, without a time, until there is some.
    pub(super) fn take(&self, wait: Option<Duration>, may_gather: bool) -> Work {
        let mut state = self.lock();
        let is_empty = |state: &State| state.work.chunks.is_empty() && state.work.orders.is_empty();
        if is_empty(&state) || may_gather && state.work.orders.is_empty() {
            state.is_idle = !may_gather;
            state = match wait {
                Some(time) => {
                    let waited = self.work.wait_timeout(state, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
            state.is_idle = false;
        }
        std::mem::take(&mut state.work)
    }

    /// Chunks whose records nobody needs any more.
    pub(super) fn give_back(&self, chunks: &mut Vec<Chunk>) {
        let mut state = self.lock();
        for mut chunk in chunks.drain(..) {
            if state.spare.len() < SPARE_CHUNKS_MAX && chunk.room() <= SPARE_BYTES_MAX {
                chunk.clear();
                state.spare.push(chunk);
            }
        }
    }

    /// What there is to do now.
    pub(super) fn take_now(&self) -> Work {
        std::mem::take(&mut self.lock().work)
    }

    /// Notes how things stand, and wakes those who wait for it.
    pub(super) fn publish(
        &self,
        durable: Option<u64>,
        gates: bool,
        change: impl FnOnce(&mut LogStatus),
    ) {
        change(&mut self.lock().status);
        self.gates.store(gates, Ordering::Release);
        if let Some(durable) = durable {
            self.durable.store(durable, Ordering::SeqCst);
        }
        for (shard, waits) in self.waiting.iter().enumerate() {
            if waits.swap(false, Ordering::SeqCst)
                && let Some(wake) = self.wake.get()
            {
                wake(shard);
            }
        }
    }

    pub(super) fn fail(&self, errno: i32) {
        self.errno.store(errno, Ordering::Relaxed);
        self.has_failed.store(true, Ordering::Release);
    }

    pub(super) fn make_good(&self) {
        self.has_failed.store(false, Ordering::Release);
    }
}
