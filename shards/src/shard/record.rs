//! Commands whose record is not what was sent: those that say a time from now on, choose at random, or read and change at once.
//!
//! Most records are made of what the keys hold afterwards, so they do the same whenever they are run, and if they are run on what they have made already.

use tessera_core::entry::{Entry, ValueRef};
use tessera_core::hash::Hash;
use tessera_core::stream::{Stream, StreamId};

use super::Shard;
use super::effects::Mark;
use crate::command::Spec;
use crate::command::spec::flag;

type Put<'a> = &'a mut dyn FnMut(&[&[u8]]);

/// Commands whose record is, or may be, another one than what was sent. SET is one with options.
const REWRITTEN: &[&str] = &[
    "setex",
    "psetex",
    "msetex",
    "expire",
    "pexpire",
    "expireat",
    "pexpireat",
    "getex",
    "incrbyfloat",
    "hincrbyfloat",
    "hsetex",
    "hexpire",
    "hpexpire",
    "hexpireat",
    "hpexpireat",
    "hgetex",
    "restore",
    "blpop",
    "brpop",
    "bzpopmin",
    "bzpopmax",
    "blmpop",
    "bzmpop",
    "blmove",
    "brpoplpush",
    "xadd",
    "xtrim",
    "xreadgroup",
    "xclaim",
    "xautoclaim",
];
const SET_ARGS: usize = 3;

/// With how many arguments at most a command's record is what was sent; 0 if that is not certain.
pub(crate) fn plain_up_to(spec: &Spec) -> usize {
    if !spec.has(flag::WRITE) || !spec.subcommands.is_empty() || REWRITTEN.contains(&spec.name) {
        return 0;
    }
    match spec.name {
        "set" => SET_ARGS,
        _ => usize::MAX,
    }
}

/// Tells the record of a command that has run, if it is another one than what was sent. Says whether it is.
pub(super) fn rewrite(
    shard: &Shard,
    mark: Mark,
    name: &str,
    db: usize,
    args: &[&[u8]],
    put: Put<'_>,
) -> bool {
    if name != "set" && !REWRITTEN.contains(&name) {
        return false;
    }
    match name {
        "set" if args.len() > SET_ARGS => set(shard, db, args[1], args[2], put),
        "setex" | "psetex" => set(shard, db, args[1], args[3], put),
        "msetex" => set_several(shard, db, args, put),
        "expire" | "pexpire" | "expireat" | "pexpireat" | "getex" => end(shard, db, args[1], put),
        "incrbyfloat" => return float(shard, db, args[1], put),
        "hincrbyfloat" | "hsetex" => fields(shard, db, args, true, put),
        "hexpire" | "hpexpire" | "hexpireat" | "hpexpireat" | "hgetex" => {
            fields(shard, db, args, false, put);
        }
        "restore" => restore(shard, db, args, put),
        "blpop" => pop(args, [b"LMPOP", b"LEFT"], put),
        "brpop" => pop(args, [b"LMPOP", b"RIGHT"], put),
        "bzpopmin" => pop(args, [b"ZMPOP", b"MIN"], put),
        "bzpopmax" => pop(args, [b"ZMPOP", b"MAX"], put),
        "blmpop" => put(&[&[&b"LMPOP"[..]], &args[2..]].concat()),
        "bzmpop" => put(&[&[&b"ZMPOP"[..]], &args[2..]].concat()),
        "blmove" => put(&[&[&b"LMOVE"[..]], &args[1..5]].concat()),
        "brpoplpush" => put(&[&[&b"RPOPLPUSH"[..]], &args[1..3]].concat()),
        "xadd" => return add(shard, db, args, put),
        "xtrim" => trim(shard, db, args[1], put),
        "xreadgroup" => read(shard, mark, db, args, put),
        "xclaim" => claim(shard, db, args, put),
        "xautoclaim" => auto_claim(shard, mark, db, args, put),
        _ => return false,
    }
    true
}

fn entry<'a>(shard: &'a Shard, db: usize, key: &[u8]) -> Option<&'a Entry> {
    shard.table(db).get(shard.hash(key), key)
}

fn stream<'a>(shard: &'a Shard, db: usize, key: &[u8]) -> Option<&'a Stream> {
    use tessera_core::object::Collection;
    entry(shard, db, key)?.object().and_then(Stream::of)
}

fn hash<'a>(shard: &'a Shard, db: usize, key: &[u8]) -> Option<&'a Hash> {
    use tessera_core::object::Collection;
    entry(shard, db, key)?.object().and_then(Hash::of)
}

/// A string that was given a lifetime, or has kept one.
fn set(shard: &Shard, db: usize, key: &[u8], value: &[u8], put: Put<'_>) {
    match entry(shard, db, key).and_then(Entry::expire_at) {
        Some(at_ms) => put(&[b"SET", key, value, b"PXAT", at_ms.to_string().as_bytes()]),
        None => put(&[b"SET", key, value]),
    }
}

/// The same of several: `MSETEX numkeys key value ...`.
fn set_several(shard: &Shard, db: usize, args: &[&[u8]], put: Put<'_>) {
    let count = tessera_core::number::parse_u64(args[1]).unwrap_or(0) as usize;
    for pair in args[2..].chunks_exact(2).take(count) {
        set(shard, db, pair[0], pair[1], put);
    }
}

/// When a key ends now.
fn end(shard: &Shard, db: usize, key: &[u8], put: Put<'_>) {
    match entry(shard, db, key).map(Entry::expire_at) {
        Some(Some(at_ms)) => put(&[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]),
        Some(None) => put(&[b"PERSIST", key]),
        None => put(&[b"DEL", key]),
    }
}

fn float(shard: &Shard, db: usize, key: &[u8], put: Put<'_>) -> bool {
    let value = entry(shard, db, key).and_then(Entry::string);
    match value {
        Some(ValueRef::Bytes(text)) => put(&[b"SET", key, text, b"KEEPTTL"]),
        Some(ValueRef::Int(number)) => {
            put(&[b"SET", key, number.to_string().as_bytes(), b"KEEPTTL"]);
        }
        None => return false,
    }
    true
}

/// The fields that a command names.
fn named_fields<'a>(args: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let after = args
        .iter()
        .position(|arg| arg.eq_ignore_ascii_case(b"fields"));
    let Some(after) = after else {
        return args[2..3].to_vec();
    };
    let named = &args[(after + 2).min(args.len())..];
    match args[0].eq_ignore_ascii_case(b"hsetex") {
        true => named.chunks(2).map(|pair| pair[0]).collect(),
        false => named.to_vec(),
    }
}

/// Fields of a hash: their values, if these were changed, and when they end.
fn fields(shard: &Shard, db: usize, args: &[&[u8]], are_set: bool, put: Put<'_>) {
    let key = args[1];
    let Some(hash) = hash(shard, db, key) else {
        return put(&[b"DEL", key]);
    };
    for field in named_fields(args) {
        match (hash.expire_at(field), hash.get(field, 0)) {
            (Some(end), Some(value)) => {
                if are_set {
                    put(&[b"HSET", key, field, &value.to_vec()]);
                }
                match end {
                    Some(at_ms) => {
                        let at_ms = at_ms.to_string();
                        put(&[b"HPEXPIREAT", key, at_ms.as_bytes(), b"FIELDS", b"1", field]);
                    }
                    None if !are_set => put(&[b"HPERSIST", key, b"FIELDS", b"1", field]),
                    None => {}
                }
            }
            _ => put(&[b"HDEL", key, field]),
        }
    }
}

/// The fields of a hash whose time has come.
pub(super) fn due_fields(shard: &Shard, db: usize, key: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let (hash, now_ms) = (hash(shard, db, key)?, shard.now_ms);
    if !hash.has_due(now_ms) {
        return None;
    }
    let mut due: Vec<Box<[u8]>> = Vec::new();
    hash.for_each_timed(0, &mut |field, _, end| {
        if end.is_some_and(|at_ms| at_ms < now_ms) {
            due.push(field.to_vec().into());
        }
    });
    (!due.is_empty()).then_some(due)
}

fn restore(shard: &Shard, db: usize, args: &[&[u8]], put: Put<'_>) {
    let Some(entry) = entry(shard, db, args[1]) else {
        return put(&[b"DEL", args[1]]);
    };
    let end = entry.expire_at().unwrap_or(0).to_string();
    put(&[
        b"RESTORE",
        args[1],
        end.as_bytes(),
        args[3],
        b"REPLACE",
        b"ABSTTL",
    ]);
}

/// A pop from the first of several keys, without waiting.
fn pop(args: &[&[u8]], [name, side]: [&[u8]; 2], put: Put<'_>) {
    let keys = &args[1..args.len() - 1];
    let count = keys.len().to_string();
    put(&[&[name, count.as_bytes()], keys, &[side]].concat());
}

/// XADD with the id that the entry got, and a trim that leaves as much.
fn add(shard: &Shard, db: usize, args: &[&[u8]], put: Put<'_>) -> bool {
    let Some(stream) = stream(shard, db, args[1]) else {
        return false;
    };
    let (mut at, mut trims) = (2, false);
    loop {
        match args.get(at) {
            Some(word) if word.eq_ignore_ascii_case(b"nomkstream") => at += 1,
            Some(word) if word.eq_ignore_ascii_case(b"limit") => at += 2,
            Some(word)
                if word.eq_ignore_ascii_case(b"maxlen") || word.eq_ignore_ascii_case(b"minid") =>
            {
                trims = true;
                let has_sign = args
                    .get(at + 1)
                    .is_some_and(|sign| matches!(*sign, b"~" | b"="));
                at += if has_sign { 3 } else { 2 };
            }
            Some(_) => break,
            None => return false,
        }
    }
    let (id, length) = (
        stream.entries.last_id().to_string(),
        stream.len().to_string(),
    );
    let mut record: Vec<&[u8]> = vec![args[0], args[1]];
    if trims {
        record.extend([&b"MAXLEN"[..], b"=", length.as_bytes()]);
    }
    record.push(id.as_bytes());
    record.extend(&args[at + 1..]);
    put(&record);
    true
}

fn trim(shard: &Shard, db: usize, key: &[u8], put: Put<'_>) {
    let length = stream(shard, db, key).map_or(0, Stream::len).to_string();
    put(&[b"XTRIM", key, b"MAXLEN", b"=", length.as_bytes()]);
}

/// Makes entries pending as they are.
fn tell_pending(stream: &Stream, key: &[u8], group: &[u8], ids: &[StreamId], put: Put<'_>) {
    let Some(it) = stream.groups.get(group) else {
        return;
    };
    let last = it.last_id.to_string();
    for id in ids {
        let text = id.to_string();
        let pending = it.pending().get(id);
        let owner = pending.and_then(|pending| it.consumer(pending.consumer));
        let (Some(pending), Some(owner)) = (pending, owner) else {
            put(&[b"XACK", key, group, text.as_bytes()]);
            continue;
        };
        let (time, count) = (
            pending.delivered_ms.to_string(),
            pending.deliveries.to_string(),
        );
        put(&[
            b"XCLAIM",
            key,
            group,
            &owner.name,
            b"0",
            text.as_bytes(),
            b"TIME",
            time.as_bytes(),
            b"RETRYCOUNT",
            count.as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            last.as_bytes(),
        ]);
    }
}

/// Entries that a group has given out: those of the consumer that it got since the command began, and how far the group has read.
fn read(shard: &Shard, mark: Mark, db: usize, args: &[&[u8]], put: Put<'_>) {
    let is = |word: &'static [u8]| move |arg: &&[u8]| arg.eq_ignore_ascii_case(word);
    let place = |word| args.iter().position(is(word));
    let (Some(group), Some(streams)) = (place(b"group"), place(b"streams")) else {
        return;
    };
    let [group, name] = [args[group + 1], args[group + 2]];
    let keys = &args[streams + 1..];
    for key in &keys[..keys.len() / 2] {
        let Some(stream) = stream(shard, db, key) else {
            continue;
        };
        let Some(it) = stream.groups.get(group) else {
            continue;
        };
        let Some(consumer) = it.find(name).and_then(|number| it.consumer(number)) else {
            continue;
        };
        put(&[b"XGROUP", b"CREATECONSUMER", key, group, name]);
        let is_fresh = |id: &&StreamId| {
            let pending = it.pending().get(id);
            pending.is_some_and(|pending| pending.delivered_ms >= mark.since_ms)
        };
        let fresh: Vec<StreamId> = consumer
            .pending()
            .iter()
            .rev()
            .take_while(is_fresh)
            .copied()
            .collect();
        let fresh: Vec<StreamId> = fresh.into_iter().rev().collect();
        tell_pending(stream, key, group, &fresh, put);
        let (last, count) = (
            it.last_id.to_string(),
            it.entries_read.unwrap_or(-1).to_string(),
        );
        put(&[
            b"XGROUP",
            b"SETID",
            key,
            group,
            last.as_bytes(),
            b"ENTRIESREAD",
            count.as_bytes(),
        ]);
    }
}

fn claim(shard: &Shard, db: usize, args: &[&[u8]], put: Put<'_>) {
    let Some(stream) = stream(shard, db, args[1]) else {
        return;
    };
    let ids: Vec<StreamId> = args[5..]
        .iter()
        .map_while(|id| StreamId::parse(id, 0))
        .collect();
    put(&[b"XGROUP", b"CREATECONSUMER", args[1], args[2], args[3]]);
    tell_pending(stream, args[1], args[2], &ids, put);
}

fn auto_claim(shard: &Shard, mark: Mark, db: usize, args: &[&[u8]], put: Put<'_>) {
    let Some(stream) = stream(shard, db, args[1]) else {
        return;
    };
    let Some(group) = stream.groups.get(args[2]) else {
        return;
    };
    put(&[b"XGROUP", b"CREATECONSUMER", args[1], args[2], args[3]]);
    let consumer = group
        .find(args[3])
        .and_then(|number| group.consumer(number));
    let ids: Vec<StreamId> = consumer
        .iter()
        .flat_map(|consumer| consumer.pending())
        .filter(|id| {
            let pending = group.pending().get(id);
            pending.is_some_and(|pending| pending.delivered_ms >= mark.since_ms)
        })
        .copied()
        .collect();
    tell_pending(stream, args[1], args[2], &ids, put);
}
