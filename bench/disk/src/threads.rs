//! A thread for the log and one for the snapshot, with `write` and `fdatasync`: what the server does.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::Instant;

use crate::meter::Meter;
use crate::{BLOCK_BYTES, CHUNK_BYTES, FILE_BYTES, Plan, RECORD_BYTES, SYNC_BYTES};

fn write_log(plan: &Plan, meter: &Meter) -> io::Result<()> {
    let (mut file, begun) = (File::create(plan.log())?, Instant::now());
    let (record, mut length) = ([7; RECORD_BYTES], 0);
    while begun.elapsed() < plan.time {
        let since = Instant::now();
        file.write_all(&record)?;
        file.sync_data()?;
        meter.appended(since);
        length += RECORD_BYTES as u64;
        if length >= FILE_BYTES {
            file.rewind()?;
            length = 0;
        }
    }
    Ok(())
}

fn write_bulk(plan: &Plan, meter: &Meter, flags: i32) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    let mut file = options.custom_flags(flags).open(plan.bulk())?;
    let begun = Instant::now();
    // O_DIRECT wants whole blocks of the disk, also in memory.
    let bytes = vec![7; CHUNK_BYTES + BLOCK_BYTES];
    let chunk = &bytes[bytes.as_ptr().align_offset(BLOCK_BYTES)..][..CHUNK_BYTES];
    let mut length = 0;
    while begun.elapsed() < plan.time {
        file.write_all(chunk)?;
        meter.bulk(CHUNK_BYTES);
        length += CHUNK_BYTES as u64;
        if length % SYNC_BYTES == 0 {
            file.sync_data()?;
        }
        if length >= FILE_BYTES {
            file.set_len(0)?;
            file.rewind()?;
            length = 0;
        }
    }
    Ok(())
}

/// Everything through the page cache.
pub(crate) fn run(plan: &Plan, meter: &Meter) -> Result<(), String> {
    run_with(plan, meter, 0)
}

/// The snapshot around it.
pub(crate) fn run_direct(plan: &Plan, meter: &Meter) -> Result<(), String> {
    run_with(plan, meter, libc::O_DIRECT)
}

fn run_with(plan: &Plan, meter: &Meter, flags: i32) -> Result<(), String> {
    let outcome: io::Result<()> = thread::scope(|scope| {
        let bulk = plan
            .has_bulk
            .then(|| scope.spawn(move || write_bulk(plan, meter, flags)));
        write_log(plan, meter)?;
        bulk.map_or(Ok(()), |it| it.join().expect("it does not panic"))
    });
    outcome.map_err(|error| error.to_string())
}
