//! CLIENT: what the server knows of its connections, and how to end them.

mod kill;
mod line;
mod list;
mod pause;
mod tracking;
mod unblock;

use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};

pub(crate) use line::address;

use crate::front::{Client, ReplyMode};
use crate::session::connection::{is_plain, set_name};
use crate::session::context::{SYNTAX_ERROR, quoting};
use crate::session::{Session, SessionFn, Then, container};

const QUIET: u32 = flag::NOSCRIPT | flag::LOADING | flag::STALE;

const BASE: Spec = Spec {
    flags: QUIET,
    categories: category::CONNECTION,
    group: "connection",
    complexity: "O(1)",
    ..Spec::NONE
};

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "client",
        arity: -2,
        since: "2.4.0",
        group: "connection",
        summary: "Connections: a set of subcommands.",
        complexity: "That of the subcommand",
        subcommands: &container::specs(&SUBCOMMANDS),
        ..Spec::NONE
    },
    |session, args| container::run(session, args, "client", &SUBCOMMANDS),
)];

const SUBCOMMANDS: [(Spec, SessionFn); 18] = [
    (
        Spec {
            name: "pause",
            arity: -3,
            flags: flag::ADMIN | QUIET,
            since: "2.9.50",
            summary: "Makes commands, or those that write, wait for a time.",
            ..BASE
        },
        pause::cmd_pause,
    ),
    (
        Spec {
            name: "unpause",
            arity: 2,
            flags: flag::ADMIN | QUIET,
            since: "6.2.0",
            summary: "Ends a pause.",
            complexity: "O(N) with N connections that wait",
            ..BASE
        },
        pause::cmd_unpause,
    ),
    (
        Spec {
            name: "tracking",
            arity: -3,
            since: "6.0.0",
            summary: "Says whether, and how, this connection is told when keys change.",
            complexity: "O(1); some options take O(N) with N prefixes",
            ..BASE
        },
        tracking::cmd_tracking,
    ),
    (
        Spec {
            name: "caching",
            arity: 3,
            since: "6.0.0",
            summary: "Says whether the keys that the next command reads are tracked.",
            ..BASE
        },
        tracking::cmd_caching,
    ),
    (
        Spec {
            name: "id",
            arity: 2,
            since: "5.0.0",
            summary: "Returns the number of this connection.",
            ..BASE
        },
        cmd_id,
    ),
    (
        Spec {
            name: "info",
            arity: 2,
            tips: &["nondeterministic_output"],
            since: "6.2.0",
            summary: "Returns what the server knows of this connection.",
            ..BASE
        },
        list::cmd_info,
    ),
    (
        Spec {
            name: "list",
            arity: -2,
            flags: flag::ADMIN | QUIET,
            tips: &["nondeterministic_output"],
            since: "2.4.0",
            summary: "Returns what the server knows of each connection, a line each.",
            complexity: "O(N) with N connections",
            ..BASE
        },
        list::cmd_list,
    ),
    (
        Spec {
            name: "kill",
            arity: -3,
            flags: flag::ADMIN | QUIET,
            since: "2.4.0",
            summary: "Ends one connection, or those that match.",
            complexity: "O(N) with N connections",
            ..BASE
        },
        kill::cmd_kill,
    ),
    (
        Spec {
            name: "getname",
            arity: 2,
            since: "2.6.9",
            summary: "Returns the name of this connection.",
            ..BASE
        },
        cmd_getname,
    ),
    (
        Spec {
            name: "setname",
            arity: 3,
            since: "2.6.9",
            summary: "Gives this connection a name.",
            ..BASE
        },
        cmd_setname,
    ),
    (
        Spec {
            name: "setinfo",
            arity: 4,
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            since: "7.2.0",
            summary: "Tells the server which library the client uses.",
            ..BASE
        },
        cmd_setinfo,
    ),
    (
        Spec {
            name: "reply",
            arity: 3,
            since: "3.2.0",
            summary: "Says whether commands of this connection get replies.",
            ..BASE
        },
        cmd_reply,
    ),
    (
        Spec {
            name: "no-evict",
            arity: 3,
            flags: flag::ADMIN | QUIET,
            since: "7.0.0",
            summary: "Says whether this connection may be ended when clients take too much memory.",
            ..BASE
        },
        cmd_no_evict,
    ),
    (
        Spec {
            name: "no-touch",
            arity: 3,
            since: "7.2.0",
            summary: "Says whether commands of this connection count as accesses of the keys.",
            ..BASE
        },
        cmd_no_touch,
    ),
    (
        Spec {
            name: "unblock",
            arity: -3,
            flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::AFTER_REPLIES,
            since: "5.0.0",
            summary: "Ends another client's waiting for a key.",
            complexity: "O(N) with N clients",
            ..BASE
        },
        unblock::cmd_unblock,
    ),
    (
        Spec {
            name: "getredir",
            arity: 2,
            since: "6.0.0",
            summary: "Returns the connection to which messages about tracked keys go, if there is one.",
            ..BASE
        },
        tracking::cmd_getredir,
    ),
    (
        Spec {
            name: "trackinginfo",
            arity: 2,
            since: "6.2.0",
            summary: "Returns how tracking of keys stands for this connection.",
            ..BASE
        },
        tracking::cmd_trackinginfo,
    ),
    (
        Spec {
            name: "help",
            arity: 2,
            flags: flag::LOADING | flag::STALE,
            since: "5.0.0",
            summary: "Returns a line or two about each subcommand.",
            ..BASE
        },
        cmd_help,
    ),
];

fn cmd_id(session: &mut Session<'_>, _: &[&[u8]]) {
    let id = session.client().id;
    session.reply.integer(id as i64);
}

fn cmd_getname(session: &mut Session<'_>, _: &[&[u8]]) {
    let name = session.client().name.clone();
    session
        .reply
        .bulk_or_null((!name.is_empty()).then_some(&*name));
}

fn cmd_setname(session: &mut Session<'_>, args: &[&[u8]]) {
    if set_name(session, args[2]) {
        session.reply.ok();
    }
}

fn cmd_setinfo(session: &mut Session<'_>, args: &[&[u8]]) {
    let (option, text) = (args[2], args[3]);
    let field: fn(&mut Client) -> &mut Box<[u8]> = if option.eq_ignore_ascii_case(b"lib-name") {
        |client| &mut client.lib_name
    } else if option.eq_ignore_ascii_case(b"lib-ver") {
        |client| &mut client.lib_ver
    } else {
        return session.error(quoting("ERR Unrecognized option '", option, "'"));
    };
    if !is_plain(text) {
        return session.error(quoting(
            "ERR ",
            option,
            " cannot contain spaces, newlines or special characters.",
        ));
    }
    *field(session.client()) = text.into();
    session.reply.ok();
}

fn cmd_reply(session: &mut Session<'_>, args: &[&[u8]]) {
    let client = session.client();
    match args[2].to_ascii_lowercase().as_slice() {
        b"on" => {
            client.reply_mode = ReplyMode::On;
            session.reply.ok();
            session.then = Then::ReplyAnyway;
        }
        // No reply to these two: the dispatch sees the mode.
        b"off" => client.reply_mode = ReplyMode::Off,
        b"skip" if client.reply_mode == ReplyMode::Off => {}
        b"skip" => client.reply_mode = ReplyMode::SkipNext,
        _ => session.error(SYNTAX_ERROR),
    }
}

/// `ON` or `OFF`; replies with the error if it is neither.
fn switch(session: &mut Session<'_>, word: &[u8]) -> Option<bool> {
    let on = word.eq_ignore_ascii_case(b"on");
    if on || word.eq_ignore_ascii_case(b"off") {
        session.reply.ok();
        Some(on)
    } else {
        session.error(SYNTAX_ERROR);
        None
    }
}

fn cmd_no_evict(session: &mut Session<'_>, args: &[&[u8]]) {
    if let Some(on) = switch(session, args[2]) {
        session.client().no_evict = on;
    }
}

fn cmd_no_touch(session: &mut Session<'_>, args: &[&[u8]]) {
    if let Some(on) = switch(session, args[2]) {
        session.client().no_touch = on;
    }
}

fn cmd_help(session: &mut Session<'_>, _: &[&[u8]]) {
    container::help(
        session,
        "client",
        &[
            "GETREDIR",
            "    The connection to which messages about tracked keys go.",
            "GETNAME",
            "    The name of this connection.",
            "ID",
            "    The number of this connection.",
            "INFO",
            "    What the server knows of this connection.",
            "KILL <ip:port>",
            "    Ends the connection that comes from this address.",
            "KILL <option> <value> [<option> <value> [...]]",
            "    Ends the connections to which all of these apply:",
            "    * ADDR (<ip:port>|<unixsocket>:0)",
            "      where they come from",
            "    * LADDR (<ip:port>|<unixsocket>:0)",
            "      at which of our addresses they arrived",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "      what they are",
            "    * USER <username>",
            "      as whom they are authenticated",
            "    * SKIPME (YES|NO)",
            "      whether this connection is spared; it is by default",
            "    * ID <client-id>",
            "      their number",
            "    * MAXAGE <maxage>",
            "      they are older than so many seconds",
            "LIST [options ...]",
            "    A line about each connection, or about some:",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "      those that are this",
            "NO-EVICT (ON|OFF)",
            "    Whether this connection is spared when clients take too much memory.",
            "NO-TOUCH (ON|OFF)",
            "    With ON, commands of this connection are no accesses of their keys.",
            "PAUSE <timeout> [WRITE|ALL]",
            "    Makes commands, or those that write, wait for so many milliseconds.",
            "UNPAUSE",
            "    Ends a pause.",
            "REPLY (ON|OFF|SKIP)",
            "    Whether commands of this connection get replies; SKIP: not the next one.",
            "SETNAME <name>",
            "    Gives this connection a name.",
            "SETINFO <option> <value>",
            "    Tells which library the client uses:",
            "    * LIB-NAME: its name",
            "    * LIB-VER: its version",
            "CACHING (YES|NO)",
            "    Whether what the next command reads is tracked, after OPTIN or OPTOUT.",
            "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
            "         [OPTIN | OPTOUT] [NOLOOP]",
            "    Whether this connection is told when keys change that it has read.",
            "TRACKINGINFO",
            "    How tracking of keys stands for this connection.",
        ],
    );
}

#[cfg(test)]
mod tests {
    use crate::front::ReplyMode;
    use crate::session::rig::Rig;

    #[test]
    fn names() {
        let mut rig = Rig::new();
        rig.says(
            "CLIENT",
            "-ERR wrong number of arguments for 'client' command|",
        );
        rig.says("CLIENT ID", ":1|");
        rig.says(
            "client id a",
            "-ERR wrong number of arguments for 'client|id' command|",
        );
        rig.says(
            "CLIENT foo",
            "-ERR unknown subcommand 'foo'. Try CLIENT HELP.|",
        );
        rig.says("CLIENT GETNAME", "$-1|");
        rig.says(
            "CLIENT SETNAME \"a b\"",
            "-ERR Client names cannot contain spaces, newlines or special characters.|",
        );
        rig.says("CLIENT SETNAME ab", "+OK|");
        rig.says("CLIENT GETNAME", "$2|ab|");
        rig.says("CLIENT SETNAME \"\"", "+OK|");
        rig.says("CLIENT GETNAME", "$-1|");
        rig.says("CLIENT SETINFO LIB-NAME redis-py", "+OK|");
        rig.says("CLIENT SETINFO lib-ver 1.2", "+OK|");
        assert_eq!(&*rig.client().lib_name, b"redis-py");
        assert_eq!(&*rig.client().lib_ver, b"1.2");
        rig.says("CLIENT SETINFO foo x", "-ERR Unrecognized option 'foo'|");
        rig.says(
            "CLIENT SETINFO LIB-NAME \"a b\"",
            "-ERR LIB-NAME cannot contain spaces, newlines or special characters.|",
        );
    }

    #[test]
    fn switches() {
        let mut rig = Rig::new();
        rig.says("CLIENT NO-EVICT on", "+OK|");
        rig.says("CLIENT NO-TOUCH ON", "+OK|");
        assert!(rig.client().no_evict && rig.client().no_touch);
        rig.says("CLIENT NO-EVICT foo", "-ERR syntax error|");
        rig.says("CLIENT NO-TOUCH off", "+OK|");
        assert!(!rig.client().no_touch);
        rig.says("CLIENT GETREDIR", ":-1|");
        rig.says(
            "CLIENT TRACKINGINFO",
            "*6|$5|flags|*1|$3|off|$8|redirect|:-1|$8|prefixes|*0|",
        );
        rig.says("CLIENT TRACKING on", "+OK|");
        rig.says("CLIENT REPLY foo", "-ERR syntax error|");
        rig.says("CLIENT REPLY skip", "");
        assert_eq!(rig.client().reply_mode, ReplyMode::SkipNext);
        rig.says("CLIENT REPLY off", "");
        rig.says("CLIENT REPLY skip", "");
        assert_eq!(rig.client().reply_mode, ReplyMode::Off);
        rig.says("CLIENT REPLY on", "+OK|");
        assert!(rig.send("CLIENT HELP").starts_with(
            "*56|+CLIENT <subcommand> and its arguments, one of:|+GETREDIR|+    The connection to which"
        ));
    }
}
