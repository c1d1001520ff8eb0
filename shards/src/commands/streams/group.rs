//! XGROUP: consumer groups and their consumers. One with many pending entries goes in slices.

use tessera_core::object::Collection;
use tessera_core::resp::{Chain, Proto, Reply};
use tessera_core::stream::{Group, Stream, StreamId};

use super::ids::{edge, id, is_sign};
use super::{ENTRIES_AT_ONCE, ROW};
use crate::command::spec::{Bits, KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{integer, is};
use crate::commands::container::{bad_subcommand, help, subcommand};
use crate::shard::event;
use crate::shard::{Shard, WrongType};

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
                complexity: "O(N) with N pending entries; commands on other keys go on meanwhile",
                ..ROW
            },
            Spec {
                name: "destroy",
                arity: 4,
                flags: flag::WRITE,
                keys: DELETES,
                summary: "Removes a consumer group.",
                complexity: "O(1); N pending entries are freed later",
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
        "delconsumer" => delete_consumer(cx, args),
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
        stream.groups.take(args[3])
    });
    let Ok(Some(Some(group))) = destroyed else {
        return cx.reply.integer(0);
    };
    cx.shard.changed_by(cx.db, key, event::XGROUP_DESTROY);
    cx.reply.integer(1);
    // Its pending entries are freed as those of a stream that has nothing else.
    let mut husk = Stream::default();
    husk.groups.insert(args[3], group);
    cx.shard.discard_object(husk.into_object());
}

fn delete_consumer(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, group) = (args[2], args[3]);
    let found = cx.shard.read_object::<Stream>(cx.db, key);
    let Ok(Some(true)) = found.map(|it| it.map(|stream| stream.groups.get(group).is_some())) else {
        return no_group(cx, key, group);
    };
    let mut deletion = Deletion {
        db: cx.db,
        key: key.into(),
        group: group.into(),
        consumer: args[4].into(),
        proto: cx.reply.proto(),
        removed: 0,
    };
    if deletion.delete_some(cx.shard) {
        cx.reply.integer(deletion.removed as i64);
    } else {
        cx.task = Some(Box::new(deletion));
    }
}

/// A consumer of a locked key that is being deleted.
struct Deletion {
    db: usize,
    key: Box<[u8]>,
    group: Box<[u8]>,
    consumer: Box<[u8]>,
    proto: Proto,
    /// Pending entries that have gone with it.
    removed: usize,
}

impl Deletion {
    /// Deletes some more and says whether that was all.
    fn delete_some(&mut self, shard: &mut Shard) -> bool {
        let name = &self.consumer;
        let removed = shard.change_object(self.db, &self.key, |stream: &mut Stream| {
            stream.groups.change(&self.group, |group| {
                let removed = group.remove_consumer(name, ENTRIES_AT_ONCE)?;
                Some((removed, group.find(name).is_none()))
            })
        });
        let Some((removed, is_gone)) = removed.ok().flatten().flatten().flatten() else {
            return true;
        };
        self.removed += removed;
        if is_gone {
            shard.changed_by(self.db, &self.key, event::XGROUP_DELCONSUMER);
        }
        is_gone
    }
}

impl Task for Deletion {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.delete_some(shard);
        if is_done {
            Reply::new(reply.tail(), self.proto).integer(self.removed as i64);
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

/// SETID and CREATECONSUMER: what changes a group that must be there.
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
                true
            }
            _ => group.consumer_or_new(args[4], now_ms).1,
        })
    });
    let is_changed = result.ok().flatten().flatten().unwrap_or_default();
    if is_changed {
        let event = match name {
            "setid" => event::XGROUP_SETID,
            _ => event::XGROUP_CREATECONSUMER,
        };
        cx.shard.changed_by(cx.db, key, event);
    }
    if name == "setid" {
        cx.reply.ok();
    } else {
        cx.reply.integer(is_changed.into());
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
