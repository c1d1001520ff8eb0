//! One shard's part of a save: the sinks of its walks, and the chunks that they fill.
//!
//! A sink may travel: a table whose walk it belongs to may be at another shard for a while, or be freed there. So the part is shared, and it is complete when the last
//! walk has said that it is, wherever that happens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use tessera_core::entry::Entry;
use tessera_core::table::WalkSink;

use super::file::Piece;
use crate::rdb::{Encoder, select_database, write_key};

/// A chunk is handed over when it has this many bytes.
const CHUNK_BYTES: usize = 1 << 20;
/// A shard stops walking while more than this waits for the disk. What is about to be changed is taken nevertheless.
const QUEUED_BYTES_MAX: usize = 16 << 20;

/// See the head of this file.
#[derive(Clone)]
pub struct Part {
    inner: Arc<Mutex<Inner>>,
    queue: Arc<Queue>,
}

/// What is on its way to the file.
#[derive(Default)]
pub(super) struct Queue {
    /// Bytes that the file's thread has not written.
    pub(super) bytes: AtomicUsize,
    /// The thread has ended.
    pub(super) is_over: AtomicBool,
}

struct Inner {
    chunk: Vec<u8>,
    /// The database of the keys that come next in the file.
    db: Option<usize>,
    encoder: Encoder,
    /// Walks that have not finished.
    walks: usize,
    keys: u64,
    to_file: Sender<Piece>,
    queue: Arc<Queue>,
}

impl Inner {
    fn hand_over(&mut self) {
        if self.chunk.is_empty() {
            return;
        }
        let chunk = std::mem::take(&mut self.chunk);
        self.db = None;
        self.queue.bytes.fetch_add(chunk.len(), Ordering::Relaxed);
        // Nobody takes it any more only if writing has failed.
        let _ = self.to_file.send(Piece::Chunk(chunk));
    }
}

impl Part {
    pub(super) fn new(to_file: Sender<Piece>, queue: Arc<Queue>, compresses: bool) -> Self {
        let inner = Inner {
            chunk: Vec::new(),
            db: None,
            encoder: Encoder::new(compresses),
            walks: 1,
            keys: 0,
            to_file,
            queue: Arc::clone(&queue),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            queue,
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sink of a walk over this database's table.
    #[must_use]
    pub fn sink(&self, db: usize) -> PartSink {
        self.with(|inner| inner.walks += 1);
        PartSink {
            part: self.clone(),
            db,
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
                inner.hand_over();
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

    /// Whether so much waits for the disk that walking on makes no sense.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.queue.bytes.load(Ordering::Relaxed) > QUEUED_BYTES_MAX
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
    is_finished: bool,
}

impl WalkSink for PartSink {
    fn entry(&mut self, entry: &Entry) {
        let db = self.db;
        self.part.with(|inner| {
            if inner.db != Some(db) {
                inner.db = Some(db);
                select_database(db, &mut inner.chunk);
            }
            write_key(entry, &mut inner.encoder, &mut inner.chunk);
            inner.keys += 1;
            if inner.chunk.len() >= CHUNK_BYTES {
                inner.hand_over();
            }
        });
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
