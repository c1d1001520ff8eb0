//! Ids as arguments. A reader that fails has written the error already.

use tessera_core::stream::StreamId;

use crate::command::Cx;

/// Text that is no id.
pub(super) const INVALID_ID: &str = "ERR Invalid stream ID specified as stream command argument";

/// An id; without a sequence, 0.
pub(super) fn id(cx: &mut Cx<'_>, arg: &[u8]) -> Option<StreamId> {
    let id = StreamId::parse(arg, 0);
    if id.is_none() {
        cx.error(INVALID_ID);
    }
    id
}

/// Several ids.
pub(super) fn ids(cx: &mut Cx<'_>, args: &[&[u8]]) -> Option<Vec<StreamId>> {
    let ids: Option<Vec<StreamId>> = args.iter().map(|arg| StreamId::parse(arg, 0)).collect();
    if ids.is_none() {
        cx.error(INVALID_ID);
    }
    ids
}

/// An id, `-` or `+`.
pub(super) fn edge(cx: &mut Cx<'_>, arg: &[u8]) -> Option<StreamId> {
    let id = StreamId::parse_edge(arg, 0);
    if id.is_none() {
        cx.error(INVALID_ID);
    }
    id
}

/// Where an interval starts: an id, `-`, `+`, or an id that is not part of it after `(`.
pub(super) fn start(cx: &mut Cx<'_>, arg: &[u8]) -> Option<StreamId> {
    bound(cx, arg, 0, StreamId::next, "start")
}

/// Where an interval ends.
pub(super) fn end(cx: &mut Cx<'_>, arg: &[u8]) -> Option<StreamId> {
    bound(cx, arg, u64::MAX, StreamId::prev, "end")
}

fn bound(
    cx: &mut Cx<'_>,
    arg: &[u8],
    seq: u64,
    inside: fn(StreamId) -> Option<StreamId>,
    which: &str,
) -> Option<StreamId> {
    let is_open = arg.len() > 1 && arg[0] == b'(';
    let id = if is_open {
        StreamId::parse(&arg[1..], seq)
    } else {
        StreamId::parse_edge(arg, seq)
    };
    let Some(id) = id else {
        cx.error(INVALID_ID);
        return None;
    };
    if !is_open {
        return Some(id);
    }
    let id = inside(id);
    if id.is_none() {
        cx.error(format!("ERR invalid {which} ID for the interval"));
    }
    id
}

/// Whether an argument is this sign (`$`, `>`), as C compares strings.
pub(super) fn is_sign(arg: &[u8], sign: u8) -> bool {
    matches!(arg, [first] | [first, 0, ..] if *first == sign)
}
