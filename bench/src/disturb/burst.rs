//! Many requests or many connections at once, from one blocking connection's point of view.

use crate::control::Control;
use crate::error::BenchError;
use crate::target::Target;

/// Requests that are sent before their replies are read.
const BATCH: u64 = 512;

/// A pipeline of requests whose replies only have to come.
#[derive(Debug)]
pub(super) struct Burst<'a> {
    control: &'a mut Control,
}

impl<'a> Burst<'a> {
    pub(super) fn new(control: &'a mut Control) -> Self {
        Self { control }
    }

    /// Sends `count` requests, numbered from 0.
    pub(super) fn run(
        &mut self,
        count: u64,
        request: impl Fn(u64) -> Vec<String>,
    ) -> Result<(), BenchError> {
        let mut at = 0;
        while at < count {
            let end = (at + BATCH).min(count);
            let batch: Vec<Vec<String>> = (at..end).map(&request).collect();
            self.control.call_many(&batch)?;
            at = end;
        }
        Ok(())
    }
}

/// Opens connections from several threads at once and has each served a PING; all stay open until the last has been.
pub(super) fn connect_many(target: &Target, count: usize) -> Result<String, BenchError> {
    const THREADS: usize = 8;
    let open = |number: usize| -> Result<Vec<Control>, BenchError> {
        let mut open = Vec::new();
        for _ in 0..number {
            let mut control = target.connect()?;
            control.call(&["PING"])?;
            open.push(control);
        }
        Ok(open)
    };
    let opened: Result<Vec<Vec<Control>>, BenchError> = std::thread::scope(|scope| {
        let share = |thread: usize| count / THREADS + usize::from(thread < count % THREADS);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || open(share(thread))))
            .collect();
        let joined = threads.into_iter().map(|thread| {
            let end = thread.join();
            end.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect()
    });
    Ok(format!(
        "{} served",
        opened?.iter().map(Vec::len).sum::<usize>()
    ))
}
