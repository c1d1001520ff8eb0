//! XREAD and XREADGROUP: what they ask for. The reading itself is in `reading`.
//!
//! With BLOCK a read that finds nothing waits.

use tessera_core::stream::{Stream, StreamId};

use super::ROW;
use super::ids::{id, is_sign};
use super::reading::{ReadTask, Reader, Source, Wanted};
use crate::command::spec::{Begin, Find, KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::waiting::wait_as;
use crate::shard::WrongType;

/// The first half of what follows STREAMS.
const fn streams(from: i32) -> KeySpec {
    KeySpec {
        access: access::RO | access::ACCESS,
        notes: "",
        begin: Begin::Keyword("STREAMS", from),
        find: Find::Range {
            last: -1,
            step: 1,
            limit: 2,
        },
    }
}

pub(super) const XREAD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xread",
        arity: -4,
        flags: flag::READONLY | flag::BLOCKING | flag::MOVABLEKEYS,
        keys: &[streams(1)],
        summary: "Returns the entries of several streams behind given ids.",
        complexity: "O(N) with N entries returned; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| read(cx, args, false),
    spread: Spread::Borrow,
};

pub(super) const XREADGROUP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xreadgroup",
        arity: -7,
        flags: flag::WRITE | flag::BLOCKING | flag::MOVABLEKEYS,
        keys: &[streams(4)],
        summary: "Returns entries of several streams that no other consumer of the group got, or those that this one still has to acknowledge.",
        complexity: "O(N log M) with N entries returned and M pending; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| read(cx, args, true),
    spread: Spread::Borrow,
};

const UNBALANCED: &str =
    "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.";
const GROUP_ONLY: &str = "option is only supported by XREADGROUP. You called XREAD instead.";
const DOLLAR: &str = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
    consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.";
const NEW_ONLY: &str = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.";

/// What stands before the streams.
struct Options<'a> {
    count: u64,
    /// BLOCK: how long to wait for entries, milliseconds; 0 for ever.
    block_ms: Option<u64>,
    /// Group and consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    skips_pending: bool,
    /// Keys, and then as many ids.
    streams: &'a [&'a [u8]],
}

impl<'a> Options<'a> {
    fn parse(cx: &mut Cx<'_>, args: &'a [&'a [u8]], is_group: bool) -> Option<Self> {
        let mut options = Options {
            count: 0,
            block_ms: None,
            group: None,
            skips_pending: false,
            streams: &[],
        };
        let mut rest = &args[1..];
        while let [word, more @ ..] = rest {
            rest = match more {
                [time, more @ ..] if is(word, "BLOCK") => {
                    options.block_ms = Some(timeout(cx, time)?);
                    more
                }
                [count, more @ ..] if is(word, "COUNT") => {
                    options.count = u64::try_from(integer(cx, count)?).unwrap_or(0);
                    more
                }
                [_, ..] if is(word, "STREAMS") => {
                    options.streams = more;
                    break;
                }
                [group, consumer, more @ ..] if is(word, "GROUP") => {
                    options.group = Some((group, consumer));
                    group_only(cx, "GROUP", is_group)?;
                    more
                }
                more if is(word, "NOACK") => {
                    options.skips_pending = true;
                    group_only(cx, "NOACK", is_group)?;
                    more
                }
                _ => {
                    cx.error(SYNTAX);
                    return None;
                }
            };
        }
        let error = match options.streams.len() {
            0 => SYNTAX,
            count if !count.is_multiple_of(2) => UNBALANCED,
            _ if is_group && options.group.is_none() => "ERR Missing GROUP option for XREADGROUP",
            _ => return Some(options),
        };
        cx.error(error);
        None
    }
}

fn group_only(cx: &mut Cx<'_>, option: &str, is_group: bool) -> Option<()> {
    if !is_group {
        cx.error(format!("ERR The {option} {GROUP_ONLY}"));
    }
    is_group.then_some(())
}

fn timeout(cx: &mut Cx<'_>, arg: &[u8]) -> Option<u64> {
    let Some(time) = tessera_core::number::parse_i64(arg) else {
        cx.error("ERR timeout is not an integer or out of range");
        return None;
    };
    let time = u64::try_from(time).ok();
    if time.is_none() {
        cx.error("ERR timeout is negative");
    }
    time
}

fn read(cx: &mut Cx<'_>, args: &[&[u8]], is_group: bool) {
    let Some(options) = Options::parse(cx, args, is_group) else {
        return;
    };
    let (keys, ids) = options.streams.split_at(options.streams.len() / 2);
    let mut sources = Vec::with_capacity(keys.len());
    for (key, id) in keys.iter().zip(ids) {
        let Some(wanted) = wanted(cx, key, id, options.group) else {
            return;
        };
        sources.push(Source {
            key: (*key).into(),
            wanted,
        });
    }
    let reader = options.group.map(|(group, consumer)| Reader {
        group: group.into(),
        consumer: consumer.into(),
        skips_pending: options.skips_pending,
    });
    let mut task = ReadTask::new(cx.db, cx.reply.proto(), sources, reader, options.count);
    if task.advance(cx.shard) {
        if options.block_ms.is_some() && task.has_nothing() {
            let request = args.iter().map(|arg| Box::from(*arg)).collect();
            let request = with_ids(request, task.sources());
            return wait_as(cx, keys, request, |cx| cx.reply.null_array());
        }
        task.finish(&mut cx.reply);
    } else {
        cx.task = Some(Box::new(task));
    }
}

/// The request with the last entries' ids of this moment in place of `$`.
fn with_ids(mut request: Vec<Box<[u8]>>, sources: &[Source]) -> Vec<Box<[u8]>> {
    let ids = request.len() - sources.len();
    for (arg, source) in request[ids..].iter_mut().zip(sources) {
        if let (true, Wanted::After(id)) = (is_sign(arg, b'$'), source.wanted) {
            *arg = id.to_string().into_bytes().into();
        }
    }
    request
}

/// What is wanted of one stream. With a group, key and group must be there.
fn wanted(
    cx: &mut Cx<'_>,
    key: &[u8],
    text: &[u8],
    group: Option<(&[u8], &[u8])>,
) -> Option<Wanted> {
    let stream = match cx.shard.read_object::<Stream>(cx.db, key) {
        Ok(stream) => stream,
        Err(WrongType) => {
            cx.wrong_type();
            return None;
        }
    };
    let last_id = stream.map_or(StreamId::MIN, |stream| stream.entries.last_id());
    let has_group = |name| stream.is_some_and(|stream| stream.groups.get(name).is_some());
    let error: Vec<u8> = match group {
        Some((name, _)) if !has_group(name) => [
            b"NOGROUP No such key '",
            key,
            b"' or consumer group '",
            name,
            b"' in XREADGROUP with GROUP option",
        ]
        .concat(),
        Some(_) if is_sign(text, b'$') => DOLLAR.into(),
        Some(_) if is_sign(text, b'>') => return Some(Wanted::New),
        None if is_sign(text, b'$') => return Some(Wanted::After(last_id)),
        None if is_sign(text, b'>') => NEW_ONLY.into(),
        _ => {
            let id = id(cx, text)?;
            return Some(match group {
                None => Wanted::After(id),
                // Redis has no other sign for `>`.
                Some(_) if id == StreamId::MAX => Wanted::New,
                Some(_) => Wanted::History(id),
            });
        }
    };
    cx.error(error);
    None
}
