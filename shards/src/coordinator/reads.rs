//! What commands of clients that track have read: noted by the engine right after the command has run, on the owner of the keys.

use crate::command::spec::flag;
use crate::coordinator::engine::Row;
use crate::coordinator::route::owner;
use crate::shard::Shard;
use crate::shard::tracking::Tracker;

/// Notes what a script that has ended has read of this shard's keys.
pub(super) fn note_script_reads(shard: &mut Shard, shards: usize) {
    let id = shard.id;
    if let Some(track) = shard.take_script_reads(|key| owner(key, shards) == id) {
        shard.note_reads(track.tracker, track.keys.iter().map(|key| &**key));
    }
}

/// Notes what a command has read of this shard's keys, if its client wants to hear of changes.
#[cold]
pub(super) fn note_reads(
    shard: &mut Shard,
    row: &Row,
    shards: usize,
    tracker: Tracker,
    args: &[&[u8]],
) {
    if tracker.reads && row.row.spec.resolve(args).has(flag::READONLY) {
        let (id, places) = (shard.id, row.row.spec.keys_of(args));
        let keys = places.iter().map(|(at, _)| args[*at]);
        shard.note_reads(tracker, keys.filter(|key| owner(key, shards) == id));
    }
    note_script_reads(shard, shards);
}
