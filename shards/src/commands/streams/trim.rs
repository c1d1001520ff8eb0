//! XTRIM, and the options that it shares with XADD. A long trim goes in slices while its key stays locked.

use tessera_core::resp::{Chain, Proto, Reply};
use tessera_core::stream::{NewId, Stream, StreamId, Trim, TrimTo};

use super::ids::{INVALID_ID, id, is_sign};
use super::{DELETES, ROW, reply_id};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::shard::event;
use crate::shard::{Shard, WrongType};

pub(super) const XTRIM: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xtrim",
        arity: -4,
        flags: flag::WRITE,
        keys: DELETES,
        tips: &["nondeterministic_output"],
        summary: "Removes the oldest entries of a stream, by number or by id.",
        complexity: "O(N) with N entries removed; whole blocks go at once",
        ..ROW
    },
    op: op_xtrim,
    spread: Spread::One,
};

/// Blocks that are removed at once.
pub(super) const BLOCKS_AT_ONCE: usize = 256;

fn op_xtrim(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(TrimOptions {
        trim: Some(mut trim),
        ..
    }) = TrimOptions::parse(cx, args, false)
    else {
        return;
    };
    let key = args[1];
    let is_done = cx.shard.change_object(cx.db, key, |stream: &mut Stream| {
        stream.entries.trim(&mut trim, BLOCKS_AT_ONCE)
    });
    match is_done {
        Ok(Some(false)) => TrimTask::start(cx, key, trim, TrimReply::Count),
        Ok(_) => {
            if trim.removed > 0 {
                cx.shard.changed_by(cx.db, key, event::XTRIM);
            }
            cx.reply.integer(trim.removed as i64);
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

/// What XADD and XTRIM have between the key and the fields.
pub(super) struct TrimOptions {
    /// The trim, if one is wanted.
    pub(super) trim: Option<Trim>,
    /// NOMKSTREAM.
    pub(super) keeps_absent: bool,
    /// The id of the new entry.
    pub(super) id: NewId,
    /// The argument after it.
    pub(super) next_arg: usize,
}

const TWICE: &str =
    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
const LIMIT_ALONE: &str =
    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
const LIMIT_EXACT: &str = "ERR syntax error, LIMIT cannot be used without the special ~ option";
const NO_STRATEGY: &str = "ERR syntax error, XTRIM must be called with a trimming strategy";

impl TrimOptions {
    /// Reads the options of XADD, up to the id, or those of XTRIM.
    pub(super) fn parse(cx: &mut Cx<'_>, args: &[&[u8]], is_add: bool) -> Option<Self> {
        let mut options = TrimOptions {
            trim: None,
            keeps_absent: false,
            id: NewId::Auto,
            next_arg: args.len() + 1,
        };
        let (mut at, mut limit) = (2, None);
        while let Some(&word) = args.get(at) {
            let has_more = at + 1 < args.len();
            if is_add && is_sign(word, b'*') {
                options.next_arg = at + 1;
                break;
            } else if (is(word, "MAXLEN") || is(word, "MINID")) && has_more {
                if options.trim.is_some() {
                    cx.error(TWICE);
                    return None;
                }
                options.trim = Some(strategy(cx, args, &mut at)?);
            } else if is(word, "LIMIT") && has_more {
                limit = Some(count(cx, args[at + 1], "LIMIT")?);
                at += 2;
            } else if is_add && is(word, "NOMKSTREAM") {
                options.keeps_absent = true;
                at += 1;
            } else if is_add {
                let Some(id) = NewId::parse(word) else {
                    cx.error(INVALID_ID);
                    return None;
                };
                (options.id, options.next_arg) = (id, at + 1);
                break;
            } else {
                cx.error(SYNTAX);
                return None;
            }
        }
        options.set_limit(cx, limit, is_add)?;
        Some(options)
    }

    fn set_limit(&mut self, cx: &mut Cx<'_>, limit: Option<u64>, is_add: bool) -> Option<()> {
        let entries_max = cx.shard.settings.thresholds.stream_node_entries_max;
        let error = match &mut self.trim {
            None if limit.is_some_and(|limit| limit > 0) => LIMIT_ALONE,
            None if !is_add => NO_STRATEGY,
            None if limit.is_some() => LIMIT_EXACT,
            Some(trim) if !trim.is_approximate && limit.is_some() => LIMIT_EXACT,
            Some(trim) if trim.is_approximate => {
                trim.limit = limit.unwrap_or_else(|| usual_limit(entries_max));
                return Some(());
            }
            _ => return Some(()),
        };
        cx.error(error);
        None
    }
}

/// How much an approximate trim removes at most, unless told.
fn usual_limit(entries_max: usize) -> u64 {
    const BLOCKS: i64 = 100;
    match BLOCKS.wrapping_mul(entries_max as i64) {
        ..=0 => 10_000,
        limit => limit.min(1_000_000) as u64,
    }
}

/// MAXLEN or MINID at `at`, which goes behind it.
fn strategy(cx: &mut Cx<'_>, args: &[&[u8]], at: &mut usize) -> Option<Trim> {
    let is_length = is(args[*at], "MAXLEN");
    *at += 1;
    let mut is_approximate = false;
    if *at + 1 < args.len() && (is_sign(args[*at], b'~') || is_sign(args[*at], b'=')) {
        is_approximate = is_sign(args[*at], b'~');
        *at += 1;
    }
    let to = if is_length {
        TrimTo::Length(count(cx, args[*at], "MAXLEN")?)
    } else {
        TrimTo::Id(id(cx, args[*at])?)
    };
    *at += 1;
    Some(Trim {
        to,
        is_approximate,
        limit: 0,
        removed: 0,
    })
}

/// A number that must not be negative.
fn count(cx: &mut Cx<'_>, arg: &[u8], option: &str) -> Option<u64> {
    let count = u64::try_from(integer(cx, arg)?).ok();
    if count.is_none() {
        cx.error(format!("ERR The {option} argument must be >= 0."));
    }
    count
}

/// What a trim in slices replies with at its end.
pub(super) enum TrimReply {
    /// How many entries went.
    Count,
    /// The id of the entry added before.
    Id(StreamId),
}

/// A stream that is being trimmed.
pub(super) struct TrimTask {
    db: usize,
    key: Box<[u8]>,
    trim: Trim,
    reply: TrimReply,
    proto: Proto,
}

impl TrimTask {
    /// Goes on with a trim.
    pub(super) fn start(cx: &mut Cx<'_>, key: &[u8], trim: Trim, reply: TrimReply) {
        cx.task = Some(Box::new(Self {
            db: cx.db,
            key: key.into(),
            trim,
            reply,
            proto: cx.reply.proto(),
        }));
    }
}

impl Task for TrimTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let trim = &mut self.trim;
        let is_done = shard.change_object(self.db, &self.key, |stream: &mut Stream| {
            stream.entries.trim(trim, BLOCKS_AT_ONCE)
        });
        if matches!(is_done, Ok(Some(false))) {
            return false;
        }
        let mut reply = Reply::new(reply.tail(), self.proto);
        match self.reply {
            TrimReply::Count => {
                shard.changed_by(self.db, &self.key, event::XTRIM);
                reply.integer(self.trim.removed as i64);
            }
            TrimReply::Id(id) => {
                shard.note(self.db, &self.key, event::XTRIM);
                reply_id(&mut reply, id);
            }
        }
        true
    }

    fn holds_keys(&self) -> bool {
        true
    }
}
