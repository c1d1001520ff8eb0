//! PING, ECHO, QUIT, SELECT, AUTH, HELLO, RESET: what a connection says about itself.

use tessera_core::number::parse_i64;
use tessera_core::resp::{Proto, Reply};
use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};

use crate::front::ReplyMode;
use crate::session::context::{SYNTAX_ERROR, quoting};
use crate::session::{REDIS_VERSION, Session, SessionFn, Then};

/// Flags of the commands that work in every state of a connection.
const ALWAYS: u32 =
    flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::NO_AUTH | flag::ALLOW_BUSY;

const BASE: Spec = Spec {
    categories: category::CONNECTION,
    group: "connection",
    complexity: "O(1)",
    ..Spec::NONE
};

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[
    (
        Spec {
            name: "ping",
            arity: -1,
            flags: flag::FAST,
            tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
            summary: "Returns PONG, or the argument: a sign of life.",
            ..BASE
        },
        cmd_ping,
    ),
    (
        Spec {
            name: "echo",
            arity: 2,
            flags: flag::LOADING | flag::STALE | flag::FAST,
            summary: "Returns its argument.",
            ..BASE
        },
        cmd_echo,
    ),
    (
        Spec {
            name: "quit",
            arity: -1,
            flags: ALWAYS | flag::AT_ONCE,
            summary: "Ends the connection once all replies have been sent.",
            ..BASE
        },
        cmd_quit,
    ),
    (
        Spec {
            name: "select",
            arity: 2,
            flags: flag::LOADING | flag::STALE | flag::FAST,
            summary: "Makes the connection work on another database.",
            ..BASE
        },
        cmd_select,
    ),
    (
        Spec {
            name: "auth",
            arity: -2,
            flags: ALWAYS,
            summary: "Says by a password who the client is.",
            complexity: "O(N) with N passwords of the user",
            ..BASE
        },
        cmd_auth,
    ),
    (
        Spec {
            name: "hello",
            arity: -1,
            flags: ALWAYS,
            since: "6.0.0",
            summary: "Chooses the version of the protocol; may authenticate and name the connection as well.",
            ..BASE
        },
        cmd_hello,
    ),
    (
        Spec {
            name: "reset",
            arity: 1,
            flags: ALWAYS | flag::AT_ONCE,
            since: "6.2.0",
            summary: "Puts the connection back into the state of a new one.",
            ..BASE
        },
        cmd_reset,
    ),
];

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. \
                           Are you sure your configuration is correct?";
const HELLO_NEEDS_AUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
                                <user> <pass> option can be used to authenticate the client and select the RESP protocol version \
                                at the same time";
pub(super) const BAD_NAME: &str =
    "ERR Client names cannot contain spaces, newlines or special characters.";

fn cmd_ping(session: &mut Session<'_>, args: &[&[u8]]) {
    let client = session.client();
    if client.listens.is_some() && client.proto == Proto::Resp2 {
        // A listener of RESP2 gets everything as an array.
        if args.len() > 2 {
            return session.wrong_arity("ping");
        }
        session.reply.array(2);
        session.reply.bulk(b"pong");
        return session.reply.bulk(args.get(1).copied().unwrap_or_default());
    }
    match args {
        [_] => session.reply.simple("PONG"),
        [_, text] => session.reply.bulk(text),
        _ => session.wrong_arity("ping"),
    }
}

fn cmd_echo(session: &mut Session<'_>, args: &[&[u8]]) {
    session.reply.bulk(args[1]);
}

fn cmd_quit(session: &mut Session<'_>, _: &[&[u8]]) {
    session.reply.ok();
    session.then = Then::Close;
}

fn cmd_select(session: &mut Session<'_>, args: &[&[u8]]) {
    let Some(number) = parse_i64(args[1]) else {
        return session.error("ERR value is not an integer or out of range");
    };
    let Ok(number) = i32::try_from(number) else {
        return session
            .error("ERR value is out of range, value must between -2147483648 and 2147483647");
    };
    let databases = session.front.engine.shard.databases();
    match usize::try_from(number).ok().filter(|db| *db < databases) {
        Some(db) => {
            session.client().db = db;
            session.reply.ok();
        }
        None => session.error("ERR DB index is out of range"),
    }
}

/// Compares in a time that depends on the lengths only, so that a password cannot be found byte by byte.
fn same_secret(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |bits, (x, y)| bits | (x ^ y));
    a.len() == b.len() && differing == 0
}

/// Authenticates the client as a user. There is one, `default`.
fn authenticate(session: &mut Session<'_>, user: &[u8], password: &[u8]) -> bool {
    let is_right = match &session.front.config.password {
        Some(secret) => same_secret(secret, password),
        None => true,
    };
    if user != b"default" || !is_right {
        session.error(WRONG_PASSWORD);
        return false;
    }
    session.client().authenticated = true;
    true
}

fn cmd_auth(session: &mut Session<'_>, args: &[&[u8]]) {
    let (user, password) = match args {
        [_, _] if session.front.config.password.is_none() => return session.error(NO_PASSWORD),
        [_, password] => (&b"default"[..], password),
        [_, user, password] => (*user, password),
        _ => return session.error(SYNTAX_ERROR),
    };
    if authenticate(session, user, password) {
        session.reply.ok();
    }
}

/// Names the client; says so and returns false if it may not be named so.
pub(super) fn set_name(session: &mut Session<'_>, name: &[u8]) -> bool {
    let is_good = is_plain(name);
    if is_good {
        session.client().name = name.into();
    } else {
        session.error(BAD_NAME);
    }
    is_good
}

/// Whether a name has no byte that would upset the lines of CLIENT LIST.
pub(super) fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

fn cmd_hello(session: &mut Session<'_>, args: &[&[u8]]) {
    let mut proto = None;
    if let Some(version) = args.get(1) {
        proto = match parse_i64(version) {
            None => return session.error("ERR Protocol version is not an integer or out of range"),
            Some(2) => Some(Proto::Resp2),
            Some(3) => Some(Proto::Resp3),
            Some(_) => return session.error("NOPROTO unsupported protocol version"),
        };
    }
    let mut rest = args.get(2..).unwrap_or_default();
    while let Some(option) = rest.first() {
        rest = match rest {
            [_, user, password, after @ ..] if option.eq_ignore_ascii_case(b"auth") => {
                if !authenticate(session, user, password) {
                    return;
                }
                after
            }
            [_, name, after @ ..] if option.eq_ignore_ascii_case(b"setname") => {
                if !set_name(session, name) {
                    return;
                }
                after
            }
            _ => return session.error(quoting("ERR Syntax error in HELLO option '", option, "'")),
        };
    }
    if !session.client().authenticated {
        return session.error(HELLO_NEEDS_AUTH);
    }
    if let Some(proto) = proto {
        session.client().proto = proto;
    }
    say_hello(session);
}

fn say_hello(session: &mut Session<'_>) {
    let (id, proto) = (session.client().id, session.client().proto);
    // The reply comes in the protocol that was just chosen.
    let mut bytes = Vec::new();
    let mut reply = Reply::new(&mut bytes, proto);
    reply.map(7);
    for (field, text) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(field.as_bytes());
        reply.bulk(text.as_bytes());
    }
    reply.bulk(b"proto");
    reply.integer(if proto == Proto::Resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.integer(id as i64);
    for (field, text) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(field.as_bytes());
        reply.bulk(text.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    session.reply.raw(&bytes);
}

fn cmd_reset(session: &mut Session<'_>, _: &[&[u8]]) {
    let is_open = session.front.config.password.is_none();
    session.front.unwatch(session.conn);
    session.front.unsubscribe_all(session.conn);
    session.front.end_tracking(session.conn);
    session.front.end_monitor(session.conn);
    let client = session.client();
    client.transaction = None;
    client.db = 0;
    client.proto = Proto::Resp2;
    client.authenticated = is_open;
    client.name = Box::default();
    client.reply_mode = ReplyMode::On;
    // NO-EVICT stays, as in the oracle.
    client.no_touch = false;
    session.reply.simple("RESET");
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;

    #[test]
    fn greetings() {
        let mut rig = Rig::new();
        rig.says("PING", "+PONG|");
        rig.says("PING a", "$1|a|");
        rig.says(
            "PING a b",
            "-ERR wrong number of arguments for 'ping' command|",
        );
        rig.says("ECHO abc", "$3|abc|");
        rig.says("ECHO", "-ERR wrong number of arguments for 'echo' command|");
        rig.says("QUIT a b", "+OK|<close>");
    }

    #[test]
    fn databases() {
        let mut rig = Rig::new();
        rig.says("SELECT 15", "+OK|");
        assert_eq!(rig.client().db, 15);
        rig.says("SELECT 16", "-ERR DB index is out of range|");
        rig.says("SELECT -1", "-ERR DB index is out of range|");
        rig.says("SELECT a", "-ERR value is not an integer or out of range|");
        rig.says(
            "SELECT 2147483648",
            "-ERR value is out of range, value must between -2147483648 and 2147483647|",
        );
        rig.says("RESET", "+RESET|");
        assert_eq!(rig.client().db, 0);
    }

    #[test]
    fn handshakes() {
        let mut rig = Rig::new();
        let hello = |proto| {
            format!(
                "$6|server|$5|redis|$7|version|$5|7.2.4|$5|proto|:{proto}|$2|id|:1|$4|mode|$10|standalone|$4|role|$6|master|$7|modules|*0|"
            )
        };
        rig.says("HELLO", &format!("*14|{}", hello(2)));
        rig.says("HELLO 4", "-NOPROTO unsupported protocol version|");
        rig.says(
            "HELLO a",
            "-ERR Protocol version is not an integer or out of range|",
        );
        rig.says("HELLO 3 foo", "-ERR Syntax error in HELLO option 'foo'|");
        rig.says(
            "HELLO 3 auth a",
            "-ERR Syntax error in HELLO option 'auth'|",
        );
        rig.says(
            "HELLO 3 auth a b",
            "-WRONGPASS invalid username-password pair or user is disabled.|",
        );
        rig.says(
            "HELLO 3 setname",
            "-ERR Syntax error in HELLO option 'setname'|",
        );
        rig.says(
            "HELLO 3 AUTH default x SETNAME me",
            &format!("%7|{}", hello(3)),
        );
        assert_eq!(&*rig.client().name, b"me");
        rig.says("HELLO", &format!("%7|{}", hello(3)));
        rig.says("RESET", "+RESET|");
        rig.says("HELLO", &format!("*14|{}", hello(2)));
        assert_eq!(&*rig.client().name, b"");
    }

    #[test]
    fn passwords() {
        let mut rig = Rig::new();
        rig.says(
            "AUTH a",
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration \
             is correct?|",
        );
        rig.says(
            "AUTH a b",
            "-WRONGPASS invalid username-password pair or user is disabled.|",
        );
        rig.says("AUTH default x", "+OK|");
        rig.says("AUTH a b c", "-ERR syntax error|");
        rig.says("CONFIG SET requirepass sec", "+OK|");
        rig.says("RESET", "+RESET|");
        assert!(!rig.client().authenticated);
        let needs_auth = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
                          option can be used to authenticate the client and select the RESP protocol version at the same time|";
        rig.says("HELLO", needs_auth);
        rig.says("HELLO 3 SETNAME x", needs_auth);
        rig.says(
            "HELLO 3 AUTH default bad",
            "-WRONGPASS invalid username-password pair or user is disabled.|",
        );
        rig.says(
            "AUTH bad",
            "-WRONGPASS invalid username-password pair or user is disabled.|",
        );
        rig.says("AUTH sec", "+OK|");
        assert!(rig.client().authenticated);
    }
}
