//! XADD.

use tessera_core::stream::{AppendError, NewId, Stream, StreamId};

use super::trim::{BLOCKS_AT_ONCE, TrimOptions, TrimReply, TrimTask};
use super::{ROW, UPDATES, limits, reply_id};
use crate::command::spec::{KeySpec, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::wrong_arity;
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const XADD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xadd",
        arity: -5,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec {
            notes: "UPDATE instead of INSERT because of the optional trimming feature",
            ..UPDATES[0]
        }],
        tips: &["nondeterministic_output"],
        summary: "Adds an entry to a stream, which is created if need be, and may trim it.",
        complexity: "O(1) to add, O(N) to trim with N entries removed",
        ..ROW
    },
    op: op_xadd,
    spread: Spread::One,
};

fn op_xadd(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(options) = TrimOptions::parse(cx, args, true) else {
        return;
    };
    let fields = args.get(options.next_arg..).unwrap_or_default();
    if fields.len() < 2 || !fields.len().is_multiple_of(2) {
        return wrong_arity(cx, "xadd");
    }
    if options.id == NewId::Given(StreamId::MIN) {
        return cx.error("ERR The ID specified in XADD must be greater than 0-0");
    }
    let (key, limits, now_ms) = (args[1], limits(cx), cx.shard.now_ms);
    let mut trim = options.trim;
    let add = |stream: &mut Stream| {
        let id = stream.entries.append(options.id, fields, &limits, now_ms)?;
        let trim = trim.as_mut();
        let is_done = trim.is_none_or(|trim| stream.entries.trim(trim, BLOCKS_AT_ONCE));
        Ok((id, is_done))
    };
    let added = if options.keeps_absent {
        cx.shard.change_object(cx.db, key, add)
    } else {
        cx.shard.change_or_create(cx.db, key, add).map(Some)
    };
    match added {
        Ok(Some(Ok((id, is_done)))) => {
            cx.shard.changed_by(cx.db, key, event::XADD);
            match trim {
                Some(trim) if !is_done => TrimTask::start(cx, key, trim, TrimReply::Id(id)),
                trim => {
                    if trim.is_some_and(|trim| trim.removed > 0) {
                        cx.shard.note(cx.db, key, event::XTRIM);
                    }
                    reply_id(&mut cx.reply, id);
                }
            }
        }
        Ok(Some(Err(error))) => cx.error(text(error)),
        Ok(None) => cx.reply.null(),
        Err(WrongType) => cx.wrong_type(),
    }
}

fn text(error: AppendError) -> &'static str {
    match error {
        AppendError::Exhausted => {
            "ERR The stream has exhausted the last possible ID, unable to add more items"
        }
        AppendError::NotAbove => {
            "ERR The ID specified in XADD is equal or smaller than the target stream top item"
        }
        AppendError::TooLarge => "ERR Elements are too large to be stored",
    }
}
