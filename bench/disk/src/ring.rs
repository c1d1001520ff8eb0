//! One thread with one io_uring: the log's writes are linked to their syncs, chunks of the snapshot are under way beside them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

use io_uring::squeue::{Entry, Flags};
use io_uring::{IoUring, opcode, types};

use crate::meter::Meter;
use crate::{CHUNK_BYTES, DEPTH, FILE_BYTES, Plan, RECORD_BYTES, SYNC_BYTES};

/// What a completion is of.
const LOG_WRITE: u64 = 1;
const LOG_SYNC: u64 = 2;
const BULK_WRITE: u64 = 3;
const BULK_SYNC: u64 = 4;

/// Memory as O_DIRECT wants it.
#[derive(Clone)]
#[repr(C, align(4096))]
struct Page([u8; 4096]);

struct Ring<'a> {
    ring: IoUring,
    plan: &'a Plan,
    meter: &'a Meter,
    log: File,
    bulk: File,
    pages: Vec<Page>,
    log_at: u64,
    bulk_at: u64,
    /// Chunks under way, and whether the next thing is a sync.
    chunks: usize,
    syncs: bool,
    since: Instant,
}

fn open(path: &Path, is_direct: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if is_direct {
        options.custom_flags(libc::O_DIRECT);
    }
    options.open(path)
}

impl Ring<'_> {
    fn push(&mut self, entry: &Entry) {
        // SAFETY: files and pages live as long as the ring, and nobody writes the pages.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.expect("the ring has room for all that is under way");
    }

    fn write(&self, file: &File, bytes: usize, at: u64, what: u64) -> Entry {
        let from = self.pages.as_ptr().cast();
        opcode::Write::new(types::Fd(file.as_raw_fd()), from, bytes as u32)
            .offset(at)
            .build()
            .user_data(what)
    }

    fn sync(file: &File, what: u64) -> Entry {
        opcode::Fsync::new(types::Fd(file.as_raw_fd()))
            .flags(types::FsyncFlags::DATASYNC)
            .build()
            .user_data(what)
    }

    fn append(&mut self) {
        self.since = Instant::now();
        let write = self.write(&self.log, RECORD_BYTES, self.log_at, LOG_WRITE);
        self.push(&write.flags(Flags::IO_LINK));
        let sync = Self::sync(&self.log, LOG_SYNC);
        self.push(&sync);
        self.log_at = (self.log_at + RECORD_BYTES as u64) % FILE_BYTES;
    }

    fn go_on_with_bulk(&mut self) -> io::Result<()> {
        if self.syncs && self.chunks == 0 {
            self.syncs = false;
            self.chunks = DEPTH;
            let sync = Self::sync(&self.bulk, BULK_SYNC);
            self.push(&sync);
            if self.bulk_at >= FILE_BYTES {
                self.bulk_at = 0;
            }
        }
        while self.chunks < DEPTH && !self.syncs {
            if self.bulk_at == 0 {
                self.bulk.set_len(0)?;
            }
            let write = self.write(&self.bulk, CHUNK_BYTES, self.bulk_at, BULK_WRITE);
            self.push(&write);
            self.chunks += 1;
            self.bulk_at += CHUNK_BYTES as u64;
            self.syncs = self.bulk_at % SYNC_BYTES == 0;
        }
        Ok(())
    }

    fn run(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        self.append();
        loop {
            if self.plan.has_bulk {
                self.go_on_with_bulk()?;
            }
            self.ring.submit_and_wait(1)?;
            let done: Vec<(u64, i32)> = self
                .ring
                .completion()
                .map(|it| (it.user_data(), it.result()))
                .collect();
            for (what, result) in done {
                if result < 0 {
                    return Err(io::Error::from_raw_os_error(-result));
                }
                match what {
                    LOG_SYNC => {
                        self.meter.appended(self.since);
                        if begun.elapsed() >= self.plan.time {
                            return Ok(());
                        }
                        self.append();
                    }
                    BULK_WRITE => {
                        self.meter.bulk(result as usize);
                        self.chunks -= 1;
                    }
                    BULK_SYNC => self.chunks = 0,
                    _ => {}
                }
            }
        }
    }
}

fn run(plan: &Plan, meter: &Meter, is_direct: bool) -> io::Result<()> {
    let mut ring = Ring {
        ring: IoUring::new(64)?,
        plan,
        meter,
        log: open(&plan.log(), is_direct)?,
        bulk: open(&plan.bulk(), is_direct)?,
        pages: vec![Page([7; 4096]); CHUNK_BYTES / 4096],
        log_at: 0,
        bulk_at: 0,
        chunks: 0,
        syncs: false,
        since: Instant::now(),
    };
    ring.run()
}

pub(crate) fn run_cached(plan: &Plan, meter: &Meter) -> Result<(), String> {
    run(plan, meter, false).map_err(|error| error.to_string())
}

pub(crate) fn run_direct(plan: &Plan, meter: &Meter) -> Result<(), String> {
    run(plan, meter, true).map_err(|error| error.to_string())
}
