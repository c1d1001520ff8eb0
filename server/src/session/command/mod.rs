//! COMMAND: the tables of all commands as clients read them.

mod docs;
mod info;
mod keys;
mod names;
#[cfg(test)]
mod recorded;

use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};

use crate::session::{Session, SessionFn, container};

pub(super) use names::{all as full_names, category_bit, say_names};

const BASE: Spec = Spec {
    flags: flag::LOADING | flag::STALE,
    categories: category::CONNECTION,
    since: "2.8.13",
    group: "server",
    ..Spec::NONE
};

const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "command",
        arity: -1,
        tips: ANY_ORDER,
        summary: "Get array of Redis command details",
        complexity: "O(N) where N is the total number of Redis commands",
        subcommands: &container::specs(&SUBCOMMANDS),
        ..BASE
    },
    cmd_command,
)];

const SUBCOMMANDS: [(Spec, SessionFn); 7] = [
    (
        Spec {
            name: "count",
            arity: 2,
            summary: "Get total number of Redis commands",
            complexity: "O(1)",
            ..BASE
        },
        cmd_count,
    ),
    (
        Spec {
            name: "info",
            arity: -2,
            tips: ANY_ORDER,
            summary: "Get array of specific Redis command details, or all when no argument is given.",
            complexity: "O(N) where N is the number of commands to look up",
            ..BASE
        },
        info::cmd_info,
    ),
    (
        Spec {
            name: "docs",
            arity: -2,
            tips: ANY_ORDER,
            since: "7.0.0",
            summary: "Get array of specific Redis command documentation",
            complexity: "O(N) where N is the number of commands to look up",
            ..BASE
        },
        docs::cmd_docs,
    ),
    (
        Spec {
            name: "list",
            arity: -2,
            tips: ANY_ORDER,
            since: "7.0.0",
            summary: "Get an array of Redis command names",
            complexity: "O(N) where N is the total number of Redis commands",
            ..BASE
        },
        names::cmd_list,
    ),
    (
        Spec {
            name: "getkeys",
            arity: -4,
            summary: "Extract keys given a full Redis command",
            complexity: "O(N) where N is the number of arguments to the command",
            ..BASE
        },
        keys::cmd_getkeys,
    ),
    (
        Spec {
            name: "getkeysandflags",
            arity: -4,
            since: "7.0.0",
            summary: "Extract keys and access flags given a full Redis command",
            complexity: "O(N) where N is the number of arguments to the command",
            ..BASE
        },
        keys::cmd_getkeysandflags,
    ),
    (
        Spec {
            name: "help",
            arity: 2,
            since: "5.0.0",
            summary: "Show helpful text about the different subcommands",
            complexity: "O(1)",
            ..BASE
        },
        cmd_help,
    ),
];

fn cmd_command(session: &mut Session<'_>, args: &[&[u8]]) {
    if args.len() == 1 {
        info::all(session);
    } else {
        container::run(session, args, "command", &SUBCOMMANDS);
    }
}

fn cmd_count(session: &mut Session<'_>, _: &[&[u8]]) {
    let count = names::commands(session).count();
    session.reply.integer(count as i64);
}

fn cmd_help(session: &mut Session<'_>, _: &[&[u8]]) {
    container::help(
        session,
        "command",
        &[
            "(no subcommand)",
            "    Return details about all Redis commands.",
            "COUNT",
            "    Return the total number of commands in this Redis server.",
            "LIST",
            "    Return a list of all commands in this Redis server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "DOCS [<command-name> ...]",
            "    Return documentation details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "GETKEYS <full-command>",
            "    Return the keys from a full Redis command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys and the access flags from a full Redis command.",
        ],
    );
}
