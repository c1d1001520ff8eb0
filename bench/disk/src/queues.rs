//! One glommio executor: a queue that matters for the log, one that does not for the snapshot, and DMA files.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::io::DmaFile;
use glommio::{Latency, LocalExecutorBuilder, Placement, Shares, executor};

use crate::meter::Meter;
use crate::{CHUNK_BYTES, DEPTH, FILE_BYTES, Plan, RECORD_BYTES, SYNC_BYTES};

type Result<T> = std::result::Result<T, glommio::GlommioError<()>>;

async fn write_log(plan: &Plan, meter: &Meter) -> Result<()> {
    let file = DmaFile::create(plan.log()).await?;
    let (begun, mut at) = (Instant::now(), 0);
    while begun.elapsed() < plan.time {
        let since = Instant::now();
        let mut record = file.alloc_dma_buffer(RECORD_BYTES);
        record.as_bytes_mut().fill(7);
        file.write_at(record, at).await?;
        file.fdatasync().await?;
        meter.appended(since);
        at = (at + RECORD_BYTES as u64) % FILE_BYTES;
    }
    file.close().await
}

async fn write_chunk(file: Rc<DmaFile>, at: u64) -> Result<usize> {
    let mut chunk = file.alloc_dma_buffer(CHUNK_BYTES);
    chunk.as_bytes_mut().fill(7);
    file.write_at(chunk, at).await
}

async fn write_bulk(plan: &Plan, meter: &Meter) -> Result<()> {
    let file = Rc::new(DmaFile::create(plan.bulk()).await?);
    let (begun, mut at) = (Instant::now(), 0);
    while begun.elapsed() < plan.time {
        let mut under_way = Vec::new();
        for _ in 0..DEPTH {
            under_way.push(glommio::spawn_local(write_chunk(Rc::clone(&file), at)));
            at += CHUNK_BYTES as u64;
        }
        for chunk in under_way {
            meter.bulk(chunk.await?);
        }
        if at % SYNC_BYTES == 0 {
            file.fdatasync().await?;
        }
        if at >= FILE_BYTES {
            file.truncate(0).await?;
            at = 0;
        }
    }
    Ok(())
}

pub(crate) fn run(plan: &Plan, meter: &Meter) -> std::result::Result<(), String> {
    // The executor's thread is joined before this ends, but its tasks must own what they use.
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let executor = LocalExecutorBuilder::new(Placement::Unbound)
                .make()
                .map_err(|error| error.to_string())?;
            executor
                .run(both(plan, meter))
                .map_err(|error| error.to_string())
        });
        run.join().expect("it does not panic")
    })
}

async fn both(plan: &Plan, meter: &Meter) -> Result<()> {
    let matters = Latency::Matters(Duration::from_millis(1));
    let urgent = executor().create_task_queue(Shares::Static(1000), matters, "log");
    let patient = executor().create_task_queue(Shares::Static(100), Latency::NotImportant, "bulk");
    // SAFETY: both tasks are awaited here, before what they borrow ends.
    unsafe {
        let log = glommio::spawn_scoped_local_into(write_log(plan, meter), urgent)?;
        let bulk = glommio::spawn_scoped_local_into(
            async {
                match plan.has_bulk {
                    true => write_bulk(plan, meter).await,
                    false => Ok(()),
                }
            },
            patient,
        )?;
        log.await?;
        bulk.await
    }
}
