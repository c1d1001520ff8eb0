//! The log: lines in the format that people who run Redis know, to standard output or a file.
//!
//! `12345:M 2026-11-22T23:17:44.893051Z * message`: process, role, time (UTC, so that no time zone is needed to compare it), and
//! level (`.` debug, `-` verbose, `*` notice, `#` warning).

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::config::LogLevel;

/// The level in force, which CONFIG SET changes.
#[derive(Debug)]
pub struct Verbosity(AtomicU8);

impl Default for Verbosity {
    fn default() -> Self {
        Verbosity(AtomicU8::new(LogLevel::Notice as u8))
    }
}

impl Verbosity {
    /// Changes it.
    pub fn set(&self, level: LogLevel) {
        self.0.store(level as u8, Ordering::Relaxed);
    }

    fn shows(&self, level: Level) -> bool {
        rank(level) >= self.0.load(Ordering::Relaxed)
    }
}

/// The place of a level in Redis's scale.
fn rank(level: Level) -> u8 {
    let level = match level {
        Level::ERROR | Level::WARN => LogLevel::Warning,
        Level::INFO => LogLevel::Notice,
        Level::DEBUG => LogLevel::Verbose,
        Level::TRACE => LogLevel::Debug,
    };
    level as u8
}

/// Lets through what the verbosity allows.
struct Threshold(Arc<Verbosity>);

impl<S> Filter<S> for Threshold {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.shows(*metadata.level())
    }
}

/// The format of a line.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(out, "{}:M ", std::process::id())?;
        SystemTime.format_time(&mut out)?;
        let mark = match *event.metadata().level() {
            Level::ERROR | Level::WARN => '#',
            Level::INFO => '*',
            Level::DEBUG => '-',
            Level::TRACE => '.',
        };
        write!(out, " {mark} ")?;
        context.field_format().format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

/// Where the lines go.
enum Sink {
    Stdout(io::Stdout),
    File(File),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Stdout(out) => out.write(bytes),
            Sink::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Stdout(out) => out.flush(),
            Sink::File(file) => file.flush(),
        }
    }
}

/// Starts the log of the process.
///
/// # Errors
/// When the file cannot be opened, or there is a log already.
pub fn start(file: &Path, verbosity: &Arc<Verbosity>) -> io::Result<()> {
    let sink = if file.as_os_str().is_empty() {
        Sink::Stdout(io::stdout())
    } else {
        Sink::File(OpenOptions::new().create(true).append(true).open(file)?)
    };
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Line)
        .with_writer(Mutex::new(sink));
    let subscriber = Registry::default().with(lines.with_filter(Threshold(Arc::clone(verbosity))));
    tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_in_the_scale_of_redis() {
        let verbosity = Verbosity::default();
        let shown = |verbosity: &Verbosity| {
            [
                Level::ERROR,
                Level::WARN,
                Level::INFO,
                Level::DEBUG,
                Level::TRACE,
            ]
            .map(|level| verbosity.shows(level))
        };
        assert_eq!(shown(&verbosity), [true, true, true, false, false]);
        verbosity.set(LogLevel::Warning);
        assert_eq!(shown(&verbosity), [true, true, false, false, false]);
        verbosity.set(LogLevel::Debug);
        assert_eq!(shown(&verbosity), [true; 5]);
    }
}
