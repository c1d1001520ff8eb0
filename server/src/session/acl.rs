//! ACL: who one is, and which categories of commands there are. There is one user, `default`, who may do everything.

use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};

use crate::session::command::{category_bit, full_names, say_names};
use crate::session::context::quoting;
use crate::session::{Session, SessionFn, container};

const BASE: Spec = Spec {
    flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
    since: "6.0.0",
    group: "server",
    complexity: "O(1)",
    ..Spec::NONE
};

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "acl",
        arity: -2,
        since: "6.0.0",
        group: "server",
        summary: "Users and what they may do: a set of subcommands.",
        complexity: "That of the subcommand",
        subcommands: &container::specs(&SUBCOMMANDS),
        ..Spec::NONE
    },
    |session, args| container::run(session, args, "acl", &SUBCOMMANDS),
)];

const SUBCOMMANDS: [(Spec, SessionFn); 3] = [
    (
        Spec {
            name: "whoami",
            arity: 2,
            summary: "Returns the user as whom this connection is authenticated.",
            ..BASE
        },
        cmd_whoami,
    ),
    (
        Spec {
            name: "cat",
            arity: -2,
            summary: "Returns the command categories, or the commands of one of them.",
            complexity: "O(1)",
            ..BASE
        },
        cmd_cat,
    ),
    (
        Spec {
            name: "help",
            arity: 2,
            flags: flag::LOADING | flag::STALE,
            summary: "Returns a line or two about each subcommand.",
            ..BASE
        },
        cmd_help,
    ),
];

fn cmd_whoami(session: &mut Session<'_>, _: &[&[u8]]) {
    session.reply.bulk(b"default");
}

fn cmd_cat(session: &mut Session<'_>, args: &[&[u8]]) {
    match args {
        [_, _] => say_names(session, category::NAMES.iter().map(|(_, name)| *name)),
        [_, _, name] => match category_bit(name) {
            Some(bit) => {
                let mut rows = full_names(session);
                rows.retain(|(spec, _)| spec.all_categories() & bit != 0);
                say_names(session, rows.iter().map(|(_, name)| name.as_str()));
            }
            None => session.error(quoting("ERR Unknown category '", name, "'")),
        },
        _ => session.error(quoting(
            "ERR unknown subcommand or wrong number of arguments for '",
            args[1],
            "'. Try ACL HELP.",
        )),
    }
}

fn cmd_help(session: &mut Session<'_>, _: &[&[u8]]) {
    container::help(
        session,
        "acl",
        &[
            "CAT [<category>]",
            "    The commands of a category; without one, the categories.",
            "WHOAMI",
            "    The user as whom this connection is authenticated.",
        ],
    );
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;

    #[test]
    fn categories() {
        let mut rig = Rig::new();
        rig.says("ACL WHOAMI", "$7|default|");
        let all = rig.send("ACL CAT");
        assert!(
            all.starts_with("*21|$8|keyspace|$4|read|$5|write|$3|set|$9|sortedset|"),
            "{all}"
        );
        assert!(
            all.ends_with("|$10|connection|$11|transaction|$9|scripting|"),
            "{all}"
        );
        rig.says("ACL CAT foo", "-ERR Unknown category 'foo'|");
        let connection = rig.send("ACL CAT connection");
        assert!(
            connection.contains("|$9|client|id|") && !connection.contains("config"),
            "{connection}"
        );
        rig.says("ACL LIST", "-ERR unknown subcommand 'LIST'. Try ACL HELP.|");
    }
}
