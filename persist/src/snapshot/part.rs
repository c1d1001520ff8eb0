//! One shard's part of a save: the sinks of its walks, and the chunks that they fill.
//!
//! A sink may travel: a table whose walk it belongs to may be at another shard for a while, or be freed there. So the part is shared, and it is complete when the last
//! walk has said that it is, wherever that happens.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use tessera_core::entry::Entry;
use tessera_core::table::WalkSink;

use super::file::Piece;
use super::packer::{Block, CHUNK_ROOM, Large, Packer};
use crate::rdb::Usage;

/// The shards stop walking while more than this waits for the disk. What is about to be changed is taken nevertheless.
const QUEUED_BYTES_MAX: usize = 2 << 20;
/// The least that each of many shards may have waiting.
const QUEUED_BYTES_MIN: usize = 256 << 10;
/// What waits for the disk above which commands that write wait as well, until it is half of that.
const BEHIND_BYTES: usize = 12 << 20;
/// Buffers that are kept for the next blocks.
const SPARE_MAX: usize = 16;
/// One that has become larger is not.
const SPARE_BYTES_MAX: usize = 2 * CHUNK_ROOM;

/// How a key has been used, told from its access bits: the part does not know the policy.
pub type UsageOf = Box<dyn Fn(&Entry) -> Usage + Send>;

/// See the head of this file.
#[derive(Clone)]
pub struct Part {
    inner: Arc<Mutex<Inner>>,
    queue: Arc<Queue>,
    number: usize,
}

/// What is on its way to the file.
pub(super) struct Queue {
    /// Per part, bytes that the file's thread has not written: of chunks, and of the large value in hand.
    waiting: Box<[[AtomicUsize; 2]]>,
    /// The sum of all.
    all: AtomicUsize,
    /// Whether that is too much: the node hears of it.
    is_behind: Arc<AtomicBool>,
    /// Buffers of blocks that are written.
    spare: Mutex<Vec<Vec<u8>>>,
    /// Large values that have been begun.
    larges: AtomicU64,
    /// The thread has ended.
    is_over: AtomicBool,
}

impl Queue {
    pub(super) fn new(parts: usize, is_behind: Arc<AtomicBool>) -> Self {
        Self {
            waiting: (0..parts).map(|_| Default::default()).collect(),
            all: AtomicUsize::new(0),
            is_behind,
            spare: Mutex::default(),
            larges: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// The thread has ended: nobody waits for it any more.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.is_behind.store(false, Ordering::SeqCst);
    }

    /// A buffer for the next block, if nobody is about to give one back.
    fn spare(&self) -> Option<Vec<u8>> {
        self.spare.try_lock().ok()?.pop()
    }

    /// A block is written.
    pub(super) fn give_back(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
            buffer.clear();
            spare.push(buffer);
        }
    }

    fn is_full(&self, part: usize, is_large: bool) -> bool {
        let share = (QUEUED_BYTES_MAX / self.waiting.len()).max(QUEUED_BYTES_MIN);
        self.waiting[part][usize::from(is_large)].load(Ordering::Relaxed) > share
    }

    fn put(&self, part: usize, is_large: bool, bytes: usize) {
        self.waiting[part][usize::from(is_large)].fetch_add(bytes, Ordering::Relaxed);
        let before = self.all.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > BEHIND_BYTES {
            self.is_behind.store(true, Ordering::SeqCst);
            // Nobody would take it back. In this order, as the thread may end in between.
            if self.is_over.load(Ordering::SeqCst) {
                self.is_behind.store(false, Ordering::SeqCst);
            }
        }
    }

    /// Bytes have been written.
    pub(super) fn take(&self, part: usize, is_large: bool, bytes: usize) {
        self.waiting[part][usize::from(is_large)].fetch_sub(bytes, Ordering::Relaxed);
        let before = self.all.fetch_sub(bytes, Ordering::Relaxed);
        if before - bytes < BEHIND_BYTES / 2 {
            self.is_behind.store(false, Ordering::Relaxed);
        }
    }
}

struct Inner {
    packer: Packer,
    /// Walks that have not finished.
    walks: usize,
    keys: u64,
    /// Those of them that the file's thread has heard of.
    sent: u64,
    /// The database of the key that is being written in pieces.
    in_hand: Option<usize>,
    to_file: Sender<Piece>,
    queue: Arc<Queue>,
    part: usize,
}

impl Inner {
    fn send(&mut self, blocks: Vec<Block>) {
        for block in blocks {
            self.queue.put(self.part, false, block.len());
            let (part, keys) = (self.part, self.keys - self.sent);
            self.sent = self.keys;
            // Nobody takes it any more only if writing has failed.
            let _ = self.to_file.send(Piece::Chunk { part, block, keys });
            if let Some(buffer) = self.queue.spare() {
                self.packer.supply(buffer);
            }
        }
    }
}

impl Part {
    pub(super) fn new(
        to_file: Sender<Piece>,
        queue: Arc<Queue>,
        packer: Packer,
        number: usize,
    ) -> Self {
        let inner = Inner {
            packer,
            walks: 1,
            keys: 0,
            sent: 0,
            in_hand: None,
            to_file,
            queue: Arc::clone(&queue),
            part: number,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            queue,
            number,
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sink of a walk over this database's table.
    #[must_use]
    pub fn sink(&self, db: usize, usage_of: UsageOf) -> PartSink {
        self.with(|inner| inner.walks += 1);
        PartSink {
            part: self.clone(),
            db,
            usage_of,
            in_hand: None,
            is_finished: false,
        }
    }

    /// All sinks have been made.
    pub fn seal(&self) {
        self.finish_one();
    }

    fn finish_one(&self) {
        self.with(|inner| {
            inner.walks -= 1;
            if inner.walks == 0 {
                let mut blocks = Vec::new();
                inner.packer.finish(&mut blocks);
                inner.send(blocks);
                // As above.
                let _ = inner.to_file.send(Piece::PartDone);
            }
        });
    }

    /// Whether the last walk has finished.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.with(|inner| inner.walks == 0)
    }

    /// The database of the key that is being written in pieces, if there is one: until it is whole no other may be begun, as its pieces could have to wait
    /// for those of this one.
    #[must_use]
    pub fn in_hand(&self) -> Option<usize> {
        self.with(|inner| inner.in_hand)
    }

    /// Whether so much waits for the disk that walking on makes no sense.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.queue.is_full(self.number, false)
    }

    /// The same for going on with the large value in hand.
    #[must_use]
    pub fn is_large_ahead(&self) -> bool {
        self.queue.is_full(self.number, true)
    }

    /// Whether the file is done with, one way or the other: what is not written yet never will be.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.queue.is_over.load(Ordering::Relaxed)
    }

    /// Keys written so far.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.with(|inner| inner.keys)
    }
}

/// Takes what a walk of one table finds.
pub struct PartSink {
    part: Part,
    db: usize,
    usage_of: UsageOf,
    /// The key that is being written in pieces, and its number.
    in_hand: Option<(u64, Large)>,
    is_finished: bool,
}

impl WalkSink for PartSink {
    fn entry(&mut self, entry: &Entry) {
        let (db, usage) = (self.db, (self.usage_of)(entry));
        self.part.with(|inner| {
            let mut blocks = Vec::new();
            inner.packer.key(db, entry, usage, &mut blocks);
            inner.keys += 1;
            inner.send(blocks);
        });
    }

    fn is_large(&self, entry: &Entry) -> bool {
        Packer::is_large(entry)
    }

    fn large(&mut self, entry: &Entry) -> bool {
        let (db, usage) = (self.db, (self.usage_of)(entry));
        let in_hand = self.in_hand.take();
        self.in_hand = self.part.with(|inner| {
            let (number, mut large) = in_hand.unwrap_or_else(|| {
                let number = inner.queue.larges.fetch_add(1, Ordering::Relaxed);
                (number, inner.packer.begin_large(db, entry, usage))
            });
            let mut blocks = Vec::new();
            let is_last = inner.packer.step_large(&mut large, entry, &mut blocks);
            let count = blocks.len();
            for (at, block) in blocks.into_iter().enumerate() {
                inner.queue.put(inner.part, true, block.len());
                let piece = Piece::Large {
                    part: inner.part,
                    number,
                    block,
                    is_last: is_last && at + 1 == count,
                };
                // As above.
                let _ = inner.to_file.send(piece);
            }
            inner.keys += u64::from(is_last);
            inner.sent += u64::from(is_last);
            inner.in_hand = (!is_last).then_some(db);
            (!is_last).then_some((number, large))
        });
        self.in_hand.is_none()
    }

    fn finish(&mut self) {
        self.is_finished = true;
        self.part.finish_one();
    }
}

impl Drop for PartSink {
    /// A walk that is abandoned leaves a save that can never be whole.
    fn drop(&mut self) {
        if !self.is_finished {
            self.part.with(|inner| {
                // Nobody listens any more only if it has failed already.
                let _ = inner.to_file.send(Piece::GivenUp);
            });
        }
    }
}
