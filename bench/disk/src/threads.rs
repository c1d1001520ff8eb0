//! A thread for the log and one for the snapshot, with `write` and `fdatasync`: what the server does.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::thread;
use std::time::Instant;

use crate::meter::Meter;
use crate::{CHUNK_BYTES, FILE_BYTES, Plan, RECORD_BYTES, SYNC_BYTES};

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

fn write_bulk(plan: &Plan, meter: &Meter) -> io::Result<()> {
    let (mut file, begun) = (File::create(plan.bulk())?, Instant::now());
    let (chunk, mut length) = (vec![7; CHUNK_BYTES], 0);
    while begun.elapsed() < plan.time {
        file.write_all(&chunk)?;
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

pub(crate) fn run(plan: &Plan, meter: &Meter) -> Result<(), String> {
    let outcome: io::Result<()> = thread::scope(|scope| {
        let bulk = plan
            .has_bulk
            .then(|| scope.spawn(|| write_bulk(plan, meter)));
        write_log(plan, meter)?;
        bulk.map_or(Ok(()), |it| it.join().expect("it does not panic"))
    });
    outcome.map_err(|error| error.to_string())
}
