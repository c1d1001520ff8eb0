//! `tessera-server check` and `tessera-server convert`: what is done with files while no server runs on them.

use std::path::Path;

use tessera_persist::offline;
use tessera_persist::rdb::Limits;
use tessera_persist::snapshot::Format;
use tessera_shards::shard::Shard;

use crate::config::Config;

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
    let checked = offline::check(path, fixes, defaults().0)?;
    println!("{checked}");
    Ok(())
}

/// Writes a snapshot in another format.
///
/// # Errors
/// As `check`.
pub(crate) fn convert(from: &Path, to: &Path, format: Option<Format>) -> Result<(), String> {
    let (limits, config) = defaults();
    let (keys, format) = offline::convert(from, to, format, limits, &config.snapshot_target())?;
    let format = match format {
        Format::Rdb => "RDB",
        Format::Native => "native",
    };
    println!("{}: {format} snapshot, {keys} keys", to.display());
    Ok(())
}
