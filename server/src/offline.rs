//! `tessera-server check` and `tessera-server convert`: what is done with files while no server runs on them.
//!
//! What the records of a log mean only a shard knows: to make a snapshot of a log, one shard without a reactor reads it as a start does, and saves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tessera_io::Waker;
use tessera_persist::offline;
use tessera_persist::rdb::Limits;
use tessera_persist::snapshot::{Format, Outcome, Purpose, Target};
use tessera_shards::shard::Shard;

use crate::config::Config;
use crate::front::{Front, Replay};
use crate::loading::{Cargo, Loader};
use crate::log::{LogStart, Records};
use crate::shared::Shared;
use crate::start::wall_clock_us;

/// Databases that the keys of a log may be in.
const DATABASES: usize = 1024;
/// Between two looks at a thread that has nothing for the shard.
const LOOK: Duration = Duration::from_micros(100);
const SEED: u64 = 0x7e55_e7a0;

/// Limits of packed collections, and what a file says of who wrote it, by default: a server that loads the file goes by its own.
fn defaults() -> (Limits, Config) {
    let config = Config::default();
    let mut model = Shard::new(0, 1, 0, 0);
    model.settings = config.shard_settings(model.settings, 1);
    (model.limits(), config)
}

/// Verifies a snapshot, and cuts off what is damaged if it `fixes`.
///
/// # Errors
/// A line about what is wrong with it, and what can be done.
pub(crate) fn check(path: &Path, fixes: bool) -> Result<(), String> {
    let limits = defaults().0;
    if path.is_dir() {
        println!("{}", offline::check_log(path, fixes, limits)?);
    } else {
        println!("{}", offline::check(path, fixes, limits)?);
    }
    Ok(())
}

/// Writes a snapshot in another format.
///
/// # Errors
/// As `check`.
pub(crate) fn convert(from: &Path, to: &Path, format: Option<Format>) -> Result<(), String> {
    if from.is_dir() {
        return convert_log(from, to, format.unwrap_or(Format::Rdb));
    }
    let (limits, config) = defaults();
    let (keys, format) = offline::convert(from, to, format, limits, &config.snapshot_target())?;
    tell(to, format, keys);
    Ok(())
}

fn tell(to: &Path, format: Format, keys: u64) {
    let format = match format {
        Format::Rdb => "RDB",
        Format::Native => "native",
    };
    println!("{}: {format} snapshot, {keys} keys", to.display());
}

/// Makes a log whose base is a snapshot.
///
/// # Errors
/// As `check`.
pub(crate) fn begin_log(from: &Path, to: &Path) -> Result<(), String> {
    let (limits, config) = defaults();
    let keys = offline::begin_log(from, to, limits, &config.snapshot_target())?;
    println!("{}: append-only log, {keys} keys", to.display());
    Ok(())
}

/// Makes a snapshot of a log, which is left as it is.
fn convert_log(from: &Path, to: &Path, format: Format) -> Result<(), String> {
    let absent = |path: &Path| format!("cannot locate {}", path.display());
    if to.exists() {
        let place = to.display();
        return Err(format!("{place} is there already; name another file"));
    }
    let to = std::path::absolute(to).map_err(|_| absent(to))?;
    let (Some(dir), Some(name)) = (to.parent(), to.file_name()) else {
        return Err(absent(&to));
    };
    let folder = offline::log_of(from)?;
    let config = Config {
        databases: DATABASES,
        log_on: true,
        log_may_be_cut: false,
        log_dir: std::path::absolute(&folder.path).map_err(|_| absent(&folder.path))?,
        log_name: folder.name.into(),
        save_rules: Vec::new(),
        ..Config::default()
    };
    let target = Target {
        dir: dir.to_owned(),
        name: name.into(),
        format,
        ..config.snapshot_target()
    };
    let shared = Arc::new(Shared::new(config, 1));
    shared.saver.set_target(target);
    let keys = read_and_save(&shared)?;
    tell(&to, format, keys);
    Ok(())
}

/// This thread reads, another one is the shard. Returns how many keys there are.
fn read_and_save(shared: &Arc<Shared>) -> Result<u64, String> {
    let waker = Waker::new().map_err(|error| format!("cannot make an event: {error}"))?;
    let log = LogStart::find(shared)?;
    let wakers = [waker];
    let opened = Loader::open(shared, &wakers, SEED, 0, log.base())?;
    let (loader, cargo) = opened.map_or((None, None), |(loader, mut cargo)| {
        (Some(loader), cargo.pop())
    });
    if loader.is_none() {
        shared.loading.begin(0, 0, wall_clock_us() / 1_000_000);
    }
    let (to_shard, records) = LogStart::channel();
    thread::scope(|scope| {
        let shard = scope.spawn(move || serve(shared, cargo, records));
        let loaded = loader.map_or(Ok(()), Loader::run);
        let read = loaded.and_then(|()| log.replay(to_shard, &wakers[0]));
        if read.is_err() {
            shared.begin_shutdown();
        }
        let saved = shard.join();
        let saved = saved.unwrap_or_else(|_| Err("the shard has panicked".to_owned()));
        read.and(saved)
    })
}

/// Takes all that is read, and saves it.
fn serve(shared: &Arc<Shared>, cargo: Option<Cargo>, records: Records) -> Result<u64, String> {
    let mut front = Front::new(0, Arc::clone(shared), SEED, SEED);
    front.replay = Some(Replay::new(records));
    front.cargo = cargo.map(Cargo::unload);
    while !shared.loading.replayed.load(Ordering::Acquire) {
        if let Some(why) = shared.loading.fault() {
            return Err(why);
        }
        if shared.is_shutting_down() {
            return Err("the log could not be read".to_owned());
        }
        turn(&mut front);
        if !front.replay.as_ref().is_some_and(Replay::goes_on) {
            thread::park_timeout(LOOK);
        }
    }
    let number = front.engine.shard.begin_save(Purpose::Snapshot);
    let number = number.map_err(|_| "cannot begin to save".to_owned())?;
    while shared.saver.outcome(number) == Outcome::UnderWay {
        turn(&mut front);
        if !front.goes_on_saving() {
            thread::park_timeout(LOOK);
        }
    }
    if shared.saver.outcome(number) == Outcome::Failed {
        return Err(
            "cannot write the snapshot: is there room, and may the folder be written?".to_owned(),
        );
    }
    let databases = 0..front.engine.shard.databases();
    let keys = databases.map(|db| front.engine.shard.table(db).len() as u64);
    Ok(keys.sum())
}

/// A turn of a shard that serves nobody.
fn turn(front: &mut Front) {
    front.begin(0, wall_clock_us());
    front.drain();
    front.flush();
    front.background();
    front.settle();
}
