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
        summary: "Returns what clients and proxies must know of every command.",
        complexity: "O(N) with N commands",
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
            summary: "Returns how many commands there are.",
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
            summary: "Returns what clients and proxies must know of some commands, or of all.",
            complexity: "O(N) with N commands asked for",
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
            summary: "Returns the documentation of some commands, or of all.",
            complexity: "O(N) with N commands asked for",
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
            summary: "Returns the names of all commands, or of those that a filter lets pass.",
            complexity: "O(N) with N commands",
            ..BASE
        },
        names::cmd_list,
    ),
    (
        Spec {
            name: "getkeys",
            arity: -4,
            summary: "Returns the keys in the arguments of a command.",
            complexity: "O(N) with N arguments",
            ..BASE
        },
        keys::cmd_getkeys,
    ),
    (
        Spec {
            name: "getkeysandflags",
            arity: -4,
            since: "7.0.0",
            summary: "Returns the keys in the arguments of a command, and what happens to each.",
            complexity: "O(N) with N arguments",
            ..BASE
        },
        keys::cmd_getkeysandflags,
    ),
    (
        Spec {
            name: "help",
            arity: 2,
            since: "5.0.0",
            summary: "Returns a line or two about each subcommand.",
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
            "    What clients must know of every command.",
            "COUNT",
            "    How many commands there are.",
            "LIST",
            "    The names of all commands.",
            "INFO [<command-name> ...]",
            "    What clients must know of these commands, or of all.",
            "DOCS [<command-name> ...]",
            "    The documentation of these commands, or of all.",
            "GETKEYS <full-command>",
            "    The keys in the arguments of a command.",
            "GETKEYSANDFLAGS <full-command>",
            "    The same, with what happens to each key.",
        ],
    );
}
