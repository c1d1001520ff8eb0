//! XGROUP: consumer groups and their consumers.

use tessera_core::stream::{Group, Stream, StreamId};

use super::ROW;
use super::ids::{edge, id, is_sign};
use crate::command::spec::{Bits, KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{integer, is};
use crate::commands::container::{bad_subcommand, help, subcommand};
use crate::shard::WrongType;
use crate::shard::event;

const INSERTS: &[KeySpec] = &[KeySpec::range(access::RW | access::INSERT, 2, 0, 1)];
const DELETES: &[KeySpec] = &[KeySpec::range(access::RW | access::DELETE, 2, 0, 1)];
const CREATES: Bits = flag::WRITE | flag::DENYOOM;

pub(super) const XGROUP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xgroup",
        arity: -2,
        categories: 0,
        summary: "A container for commands about consumer groups.",
        complexity: "Depends on subcommand.",
        subcommands: &[
            Spec {
                name: "create",
                arity: -5,
                flags: CREATES,
                keys: INSERTS,
                summary: "Creates a consumer group.",
                ..ROW
            },
            Spec {
                name: "createconsumer",
                arity: 5,
                flags: CREATES,
                keys: INSERTS,
                since: "6.2.0",
                summary: "Creates a consumer in a group.",
                ..ROW
            },
            Spec {
                name: "delconsumer",
                arity: 5,
                flags: flag::WRITE,
                keys: DELETES,
                summary: "Removes a consumer from a group, with its pending entries.",
                ..ROW
            },
            Spec {
                name: "destroy",
                arity: 4,
                flags: flag::WRITE,
                keys: DELETES,
                summary: "Removes a consumer group.",
                complexity: "O(N) with N pending entries",
                ..ROW
            },
            Spec {
                name: "help",
                arity: 2,
                flags: flag::LOADING | flag::STALE,
                summary: "Describes the subcommands.",
                ..ROW
            },
            Spec {
                name: "setid",
                arity: -5,
                flags: flag::WRITE,
                keys: &[KeySpec::range(access::RW | access::UPDATE, 2, 0, 1)],
                summary: "Sets up to which entry a group has read.",
                ..ROW
            },
        ],
        ..ROW
    },
    op: op_xgroup,
    spread: Spread::One,
};

const HELP: &[&str] = &[
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
];

const NO_KEY: &str = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
    MKSTREAM option to create an empty stream automatically.";

fn op_xgroup(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(name) = subcommand(cx, &XGROUP.spec, args) else {
        return;
    };
    if name == "help" {
        return help(cx, &XGROUP.spec, HELP);
    }
    let Some(options) = Options::parse(cx, args, name) else {
        return;
    };
    let key = args[2];
    match cx.shard.check_object::<Stream>(cx.db, key) {
        Ok(false) if !options.makes_stream => return cx.error(NO_KEY),
        Ok(_) => {}
        Err(WrongType) => return cx.wrong_type(),
    }
    match name {
        "create" => create(cx, args, &options),
        "destroy" => destroy(cx, args),
        _ => change(cx, args, name, &options),
    }
}

/// MKSTREAM and ENTRIESREAD.
struct Options {
    makes_stream: bool,
    entries_read: Option<i64>,
}

impl Options {
    fn parse(cx: &mut Cx<'_>, args: &[&[u8]], name: &str) -> Option<Self> {
        let mut options = Options {
            makes_stream: false,
            entries_read: None,
        };
        let (is_create, is_set) = (name == "create", name == "setid");
        let mut rest = args.get(5..).unwrap_or_default();
        while let [word, more @ ..] = rest {
            rest = match more {
                _ if is_create && is(word, "MKSTREAM") => {
                    options.makes_stream = true;
                    more
                }
                [number, more @ ..] if (is_create || is_set) && is(word, "ENTRIESREAD") => {
                    options.entries_read = match integer(cx, number)? {
                        -1 => None,
                        ..-1 => {
                            cx.error("ERR value for ENTRIESREAD must be positive or -1");
                            return None;
                        }
                        read => Some(read),
                    };
                    more
                }
                _ => {
                    bad_subcommand(cx, &XGROUP.spec, args);
                    return None;
                }
            };
        }
        Some(options)
    }
}

fn create(cx: &mut Cx<'_>, args: &[&[u8]], options: &Options) {
    const ARGS_MAX: usize = 8;
    if args.len() > ARGS_MAX {
        return bad_subcommand(cx, &XGROUP.spec, args);
    }
    let (key, is_last) = (args[2], is_sign(args[4], b'$'));
    let start = if is_last {
        StreamId::MIN
    } else {
        let Some(start) = id(cx, args[4]) else {
            return;
        };
        start
    };
    let created = cx
        .shard
        .change_or_create(cx.db, key, |stream: &mut Stream| {
            let last_id = stream.entries.last_id();
            let start = if is_last { last_id } else { start };
            let group = Group::new(start, options.entries_read);
            stream.groups.insert(args[3], group)
        });
    match created {
        Ok(true) => {
            cx.shard.changed_by(cx.db, key, event::XGROUP_CREATE);
            cx.reply.ok();
        }
        Ok(false) => cx.error("BUSYGROUP Consumer Group name already exists"),
        Err(WrongType) => cx.wrong_type(),
    }
}

fn destroy(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[2];
    let destroyed = cx.shard.change_object(cx.db, key, |stream: &mut Stream| {
        stream.groups.remove(args[3])
    });
    let is_destroyed = matches!(destroyed, Ok(Some(true)));
    if is_destroyed {
        cx.shard.changed_by(cx.db, key, event::XGROUP_DESTROY);
    }
    cx.reply.integer(is_destroyed.into());
}

/// What changes a group that must be there: its reply, and whether it changed something.
fn change(cx: &mut Cx<'_>, args: &[&[u8]], name: &str, options: &Options) {
    let (key, group, now_ms) = (args[2], args[3], cx.shard.wall_ms());
    let found = cx.shard.change_object(cx.db, key, |stream: &mut Stream| {
        let found = stream.groups.get(group).is_some();
        found.then(|| stream.entries.last_id())
    });
    let Ok(Some(Some(last_id))) = found else {
        return no_group(cx, key, group);
    };
    let mut start = last_id;
    if name == "setid" {
        const ARGS: [usize; 2] = [5, 7];
        if !ARGS.contains(&args.len()) {
            return bad_subcommand(cx, &XGROUP.spec, args);
        }
        if !is_sign(args[4], b'$') {
            let Some(id) = edge(cx, args[4]) else {
                return;
            };
            start = id;
        }
    }
    let result = cx.shard.change_object(cx.db, key, |stream: &mut Stream| {
        stream.groups.change(group, |group| match name {
            "setid" => {
                (group.last_id, group.entries_read) = (start, options.entries_read);
                (true, 0)
            }
            "createconsumer" => {
                let (_, is_new) = group.consumer_or_new(args[4], now_ms);
                (is_new, i64::from(is_new))
            }
            _ => {
                let pending = group.remove_consumer(args[4]);
                (pending.is_some(), pending.unwrap_or(0) as i64)
            }
        })
    });
    let (is_changed, count) = result.ok().flatten().flatten().unwrap_or_default();
    if is_changed {
        let event = match name {
            "setid" => event::XGROUP_SETID,
            "createconsumer" => event::XGROUP_CREATECONSUMER,
            _ => event::XGROUP_DELCONSUMER,
        };
        cx.shard.changed_by(cx.db, key, event);
    }
    if name == "setid" {
        cx.reply.ok();
    } else {
        cx.reply.integer(count);
    }
}

/// The error for a group that is not there although its key is.
pub(super) fn no_group(cx: &mut Cx<'_>, key: &[u8], group: &[u8]) {
    let text = [
        b"NOGROUP No such consumer group '",
        group,
        b"' for key name '",
        key,
        b"'",
    ];
    cx.error(text.concat());
}
