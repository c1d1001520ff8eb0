//! A native file: a thread checks its chunks one after the other, and behind it every shard takes its own keys from where they lie.
//!
//! Invariant: a shard looks only at chunks whose checksums the thread has found right.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tessera_core::number::parse_u64;
use tessera_core::slot::SLOTS;
use tessera_io::{Mapped, Waker};
use tessera_persist::native::{
    ChunkKind, NativeError, NativeFile, Taken, Taker, chunk_at, chunks_begin,
};
use tessera_persist::rdb::{Limits, Usage};
use tessera_shards::shard::Shard;

use super::loader::{Obstacle, Progress, delay};
use super::status::{AHEAD, Cargo, Loading, Took};
use crate::shared::Shared;

/// What of a chunk is looked at in one go.
const BYTES_PER_LOOK: usize = 32 * 1024;
/// Goes per turn: a turn ends after a millisecond or so.
const LOOKS_PER_TURN: usize = 4;
/// Chunks of other shards passed over in one go.
const PASSED_PER_LOOK: usize = 64;
/// Chunks between two looks at the clock.
const CHUNKS_PER_LOOK: u64 = 64;
/// Checked bytes after which the shards hear of them.
const BYTES_PER_WAKE: usize = 1 << 20;

const TWICE: &str = "it has a key twice";

/// What thread and shards share.
struct Source {
    file: Mapped,
    /// Up to here the checksums are right.
    checked: AtomicUsize,
    /// That is all.
    is_checked: AtomicBool,
}

/// What a shard is sent.
pub struct NativeCargo {
    source: Arc<Source>,
    shard: usize,
    shards: usize,
    databases: usize,
    /// Where the first chunk is.
    at: usize,
    limits: Limits,
    now_ms: u64,
}

/// One shard's side.
pub struct NativeUnloading {
    source: Arc<Source>,
    shard: usize,
    shards: usize,
    databases: usize,
    /// The chunk that is looked at, and where in it.
    at: usize,
    from: usize,
    taker: Taker,
    /// Keys that are about to be put in their places.
    soon: Vec<Taken>,
}

/// The thread's side.
pub(super) struct Native {
    source: Arc<Source>,
    shared: Arc<Shared>,
    wakers: Vec<Waker>,
}

impl Native {
    /// Looks at header and footer.
    pub(super) fn open(
        file: &File,
        shared: &Arc<Shared>,
        wakers: &[Waker],
        limits: Limits,
        now_ms: u64,
    ) -> Result<(Self, Vec<Cargo>), Obstacle> {
        let unreadable = |error: io::Error| Obstacle::unreadable(&error);
        let source = Arc::new(Source {
            file: Mapped::of(file).map_err(unreadable)?,
            checked: AtomicUsize::new(0),
            is_checked: AtomicBool::new(false),
        });
        let opened = NativeFile::open(&source.file).map_err(|error| Obstacle::native(0, &error))?;
        let databases = shared.latest_config().databases;
        let used = opened.footer().databases as usize;
        if used > databases {
            return Err(Obstacle::database(used as u64 - 1, databases));
        }
        let facts = opened.facts().iter();
        let mut memory = facts.filter(|(name, _)| name == "used-mem");
        let bytes = memory
            .next()
            .and_then(|(_, value)| parse_u64(value.as_bytes()));
        shared
            .loading
            .used_bytes
            .store(bytes.unwrap_or(0), Ordering::Relaxed);
        let at = chunks_begin(&source.file).map_err(|error| Obstacle::native(0, &error))?;
        let cargo = |shard| {
            Cargo::Native(NativeCargo {
                source: Arc::clone(&source),
                shard,
                shards: wakers.len(),
                databases,
                at,
                limits,
                now_ms,
            })
        };
        let cargo = (0..wakers.len()).map(cargo).collect();
        let native = Self {
            source,
            shared: Arc::clone(shared),
            wakers: wakers.to_vec(),
        };
        Ok((native, cargo))
    }

    /// Checks the file to its end.
    pub(super) fn run(
        self,
        progress: &mut Progress,
        add_library: &mut dyn FnMut(&[u8]) -> Result<(), Obstacle>,
    ) -> Result<(), Obstacle> {
        let Self {
            source,
            shared,
            wakers,
        } = self;
        let mut file =
            NativeFile::open(&source.file).map_err(|error| Obstacle::native(0, &error))?;
        let mut library = Vec::new();
        let (is_delayed, mut owed_us) = (shared.latest_config().key_load_delay != 0, 0);
        let mut told = 0;
        loop {
            let at = file.offset() as u64;
            let chunk = file
                .next_chunk()
                .map_err(|error| Obstacle::native(at, &error))?;
            let Some(chunk) = chunk else { break };
            if chunk.head.kind == ChunkKind::Function {
                library.extend_from_slice(chunk.body);
                if chunk.head.is_last {
                    add_library(&std::mem::take(&mut library))?;
                }
            }
            if is_delayed {
                delay(&shared, u64::from(chunk.head.keys), &mut owed_us);
            }
            source.checked.store(file.offset(), Ordering::Release);
            if file.offset() - told >= BYTES_PER_WAKE {
                told = file.offset();
                wakers.iter().for_each(Waker::wake);
            }
            if file.seen().chunks.is_multiple_of(CHUNKS_PER_LOOK) {
                progress.tell(&shared.loading);
                Obstacle::of_shards(&shared.loading)?;
                if shared.is_shutting_down() {
                    return Ok(());
                }
            }
        }
        source.is_checked.store(true, Ordering::Release);
        wakers.iter().for_each(Waker::wake);
        Ok(())
    }
}

impl NativeCargo {
    pub(super) fn unload(self) -> NativeUnloading {
        NativeUnloading {
            source: self.source,
            shard: self.shard,
            shards: self.shards,
            databases: self.databases,
            at: self.at,
            from: 0,
            taker: Taker::new(self.limits, self.now_ms),
            soon: Vec::with_capacity(AHEAD),
        }
    }
}

impl NativeUnloading {
    /// Takes some keys of this shard.
    pub(super) fn take_some(&mut self, shard: &mut Shard, loading: &Loading) -> Took {
        for _ in 0..LOOKS_PER_TURN {
            match self.look(shard, loading) {
                Ok(Took::Some) => {}
                Ok(took) => return took,
                Err(error) => {
                    loading.find_fault(format!("at byte {}: {error}", self.at));
                    return Took::Nothing;
                }
            }
        }
        Took::Some
    }

    fn look(&mut self, shard: &mut Shard, loading: &Loading) -> Result<Took, NativeError> {
        let source = Arc::clone(&self.source);
        // In this order: what is checked is all there is only if it was so before.
        let is_checked = source.is_checked.load(Ordering::Acquire);
        let checked = source.checked.load(Ordering::Acquire);
        for _ in 0..PASSED_PER_LOOK {
            if self.at >= checked {
                if !is_checked {
                    return Ok(Took::Nothing);
                }
                if !self.taker.is_whole() {
                    return Err(NativeError::Corrupt("the end of a large value is missing"));
                }
                let expired = self.taker.expired();
                loading.expired.fetch_add(expired, Ordering::Relaxed);
                return Ok(Took::All);
            }
            let (chunk, next) = chunk_at(&source.file, self.at)?;
            let owner = |slot: u16| usize::from(slot) * self.shards / usize::from(SLOTS);
            let (first, last) = (owner(chunk.head.slot_first), owner(chunk.head.slot_last));
            let is_mine = (first..=last).contains(&self.shard);
            if is_mine {
                self.from = self.take(&chunk, shard, loading)?;
            }
            let is_done = !is_mine || self.from == chunk.body.len();
            if is_done {
                let bytes = (next - self.at) / self.shards;
                loading
                    .bytes_read
                    .fetch_add(bytes as u64, Ordering::Relaxed);
                (self.at, self.from) = (next, 0);
            }
            if is_mine {
                return Ok(Took::Some);
            }
        }
        Ok(Took::Some)
    }

    fn take(
        &mut self,
        chunk: &tessera_persist::native::Chunk<'_>,
        shard: &mut Shard,
        loading: &Loading,
    ) -> Result<usize, NativeError> {
        let (own, shards, databases) = (self.shard, self.shards, self.databases);
        let mine = |slot: u16| usize::from(slot) * shards / usize::from(SLOTS) == own;
        let (mut keys, mut wrong) = (0, None);
        let soon = &mut self.soon;
        let mut put = |taken: Taken| {
            let db = taken.db as usize;
            if db >= databases {
                wrong = Some("a key is in a database that the footer does not know");
                return;
            }
            shard.fetch_place(db, taken.entry.key());
            soon.push(taken);
            keys += 1;
            if soon.len() == AHEAD && !put_all(soon, shard) {
                wrong = Some(TWICE);
            }
        };
        let at = self
            .taker
            .take(chunk, self.from, BYTES_PER_LOOK, &mine, &mut put)?;
        if !put_all(&mut self.soon, shard) {
            wrong = Some(TWICE);
        }
        loading.keys.fetch_add(keys, Ordering::Relaxed);
        match wrong {
            Some(what) => Err(NativeError::Corrupt(what)),
            None => Ok(at),
        }
    }
}

/// Puts keys in their places, which have been fetched. Says whether all were new.
fn put_all(soon: &mut Vec<Taken>, shard: &mut Shard) -> bool {
    let mut are_new = true;
    for taken in soon.drain(..) {
        let (idle_s, frequency) = match taken.usage {
            Usage::Unknown => (None, None),
            Usage::Idle(idle_s) => (Some(u64::from(idle_s)), None),
            Usage::Frequency(frequency) => (None, Some(frequency)),
        };
        are_new &= !shard.restore(taken.db as usize, taken.entry, idle_s, frequency);
    }
    are_new
}
