//! DEBUG's subcommands about the data as a whole: DIGEST, DIGEST-VALUE and POPULATE. Called by `debug`.
//!
//! Each shard walks its keys in one go, so the node stands still meanwhile, as Redis does: they are for tests.

use std::sync::Arc;

use tessera_core::entry::{OutOfMemory, StrValue};
use tessera_core::number::parse_i64;
use tessera_core::table::ExpireChange;
use tessera_shards::commands::generic::Digest;
use tessera_shards::coordinator::owner;

use crate::front::Front;
use crate::session::{Session, Then};

/// Bytes of a fingerprint.
const DIGEST_BYTES: usize = 20;

/// DEBUG DIGEST: one fingerprint of all keys of all databases.
pub(super) fn digest(session: &mut Session<'_>) {
    session.then = Then::AskAll(
        Arc::new(digest_databases),
        Box::new(|answers, reply| {
            let databases = answers.iter().map(Vec::len).max().unwrap_or(0) / (1 + DIGEST_BYTES);
            let mut whole = Digest::default();
            for db in 0..databases {
                let at = db * (1 + DIGEST_BYTES);
                let mut parts = answers
                    .iter()
                    .filter_map(|answer| answer[at..].split_first_chunk())
                    .filter(|([is_there], _)| *is_there != 0)
                    .filter_map(|(_, digest)| digest.first_chunk())
                    .peekable();
                if parts.peek().is_some() {
                    whole.mix(&(db as u32).to_be_bytes());
                    parts.for_each(|part| whole.merge(&Digest(*part)));
                }
            }
            reply.simple(whole.to_hex().as_bytes());
        }),
    );
}

/// A shard's part: per database whether there is any key, and the fingerprint of its keys.
fn digest_databases(front: &mut Front, answer: &mut Vec<u8>) {
    let shard = &front.engine.shard;
    for db in 0..shard.databases() {
        let digest = Digest::of_database(shard, db);
        answer.push(u8::from(digest.is_some()));
        answer.extend_from_slice(&digest.unwrap_or_default().0);
    }
}

/// DEBUG DIGEST-VALUE: a fingerprint of each key's value, zeros for keys that are not there.
pub(super) fn digest_values(session: &mut Session<'_>, keys: &[&[u8]]) {
    let db = session.client().db;
    let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
    session.then = Then::AskAll(
        Arc::new(move |front, answer| {
            let shard = &front.engine.shard;
            for key in &keys {
                let found = shard.table(db).get(shard.hash(key), key);
                let digest = found
                    .filter(|entry| !shard.is_due(entry))
                    .map(|entry| Digest::of_value(entry, shard.now_ms));
                answer.extend_from_slice(&digest.unwrap_or_default().0);
            }
        }),
        Box::new(|answers, reply| {
            let keys = answers.first().map_or(0, Vec::len) / DIGEST_BYTES;
            reply.array(keys);
            for key in 0..keys {
                let mut digest = Digest::default();
                for part in answers
                    .iter()
                    .filter_map(|answer| answer[key * DIGEST_BYTES..].first_chunk())
                {
                    digest.merge(&Digest(*part));
                }
                reply.simple(digest.to_hex().as_bytes());
            }
        }),
    );
}

/// DEBUG POPULATE count [prefix] [size]: strings `prefix:0` to `prefix:count-1` with the values `value:0`, ..., filled up with zero bytes to
/// the size. Keys that exist stay as they are.
pub(super) fn populate(session: &mut Session<'_>, args: &[&[u8]]) {
    let (Some(count), Some(size)) = (
        args.first().and_then(|count| parse_i64(count)),
        args.get(2).map_or(Some(0), |size| parse_i64(size)),
    ) else {
        return session.error("ERR value is not an integer or out of range");
    };
    let limit = session.front.config.bulk_bytes_max as usize;
    let Some(size) = usize::try_from(size).ok().filter(|size| *size <= limit) else {
        return session.error("ERR value is out of range, must be positive");
    };
    let prefix = args
        .get(1)
        .map_or(b"key".to_vec(), |prefix| prefix.to_vec());
    let db = session.client().db;
    session.then = Then::AskAll(
        Arc::new(move |front, answer| {
            if fill(front, db, &prefix, count, size).is_err() {
                answer.push(1);
            }
        }),
        Box::new(|answers, reply| {
            if answers.iter().all(Vec::is_empty) {
                reply.ok();
            } else {
                reply.error("ERR out of memory: not all keys were made");
            }
        }),
    );
}

/// A shard's part of POPULATE.
fn fill(
    front: &mut Front,
    db: usize,
    prefix: &[u8],
    count: i64,
    size: usize,
) -> Result<(), OutOfMemory> {
    let shards = front.shared.mesh.shards();
    let shard = &mut front.engine.shard;
    for number in 0..count {
        let key = [prefix, format!(":{number}").as_bytes()].concat();
        if owner(&key, shards) == front.id && !shard.exists(db, &key) {
            let mut value = format!("value:{number}").into_bytes();
            if size > 0 {
                value.resize(size, 0);
            }
            shard.set(db, &key, StrValue::Bytes(&value), ExpireChange::Clear)?;
        }
    }
    Ok(())
}
