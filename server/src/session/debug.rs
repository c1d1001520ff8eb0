//! DEBUG: what the tests of clients use, behind `enable-debug-command`.

use std::sync::Arc;

use tessera_core::resp::Proto;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::flag;
use tessera_shards::commands::generic::{encoding, references};
use tessera_shards::shard::Shard;

use crate::front::Front;
use crate::session::context::quoting;
use crate::session::{Session, SessionFn, Then, container, dataset};

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "debug",
        arity: -2,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
        group: "server",
        summary: "For tests of servers and clients: a set of subcommands.",
        complexity: "That of the subcommand",
        ..Spec::NONE
    },
    cmd_debug,
)];

const NOT_ALLOWED: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
                           from a local connection, otherwise you need to set this option in the configuration file, and then \
                           restart the server.";

/// Switches of things that exist in redis-server only: suites set them and go on.
const WITHOUT_EFFECT: &[&[u8]] = &[
    b"client-enforce-reply-list",
    b"dict-resizing",
    b"pause-cron",
    b"quicklist-packed-threshold",
    b"replybuffer",
    b"set-disable-deny-scripts",
];

/// The longest stand-still one may ask for: a day.
const SLEEP_S_MAX: f64 = 86_400.0;

/// The double of DEBUG PROTOCOL, as Redis sends it: no attempt at a circle.
#[allow(clippy::approx_constant)]
const DOUBLE: f64 = 3.141;

fn cmd_debug(session: &mut Session<'_>, args: &[&[u8]]) {
    let is_local = session.is_local();
    if !session.front.config.debug_allowed.allows(is_local) {
        return session.error(NOT_ALLOWED);
    }
    match (args[1].to_ascii_lowercase().as_slice(), &args[2..]) {
        (b"sleep", [seconds]) => {
            let sleep_us = (leading_number(seconds).clamp(0.0, SLEEP_S_MAX) * 1e6) as u64;
            let conn = session.conn;
            session.front.note_sleep(conn, args, sleep_us);
            session.on_all_shards(move |front| front.sleep_us = sleep_us);
        }
        (b"set-active-expire", [flag]) => {
            let is_active = leading_number(flag) as i64 != 0;
            session
                .on_all_shards(move |front| front.engine.shard.settings.active_expire = is_active);
        }
        (b"set-skip-checksum-validation", [flag]) => {
            let skips = leading_number(flag) as i64 != 0;
            session.on_all_shards(move |front| {
                front.engine.shard.settings.skips_checksums = skips;
            });
        }
        (b"aof-flush-sleep", [us]) => {
            let us = leading_number(us).clamp(0.0, SLEEP_S_MAX * 1e6) as u64;
            session.front.shared.log.set_write_pause(us);
            session.reply.ok();
        }
        (b"error", [text]) => session.error(text),
        (b"log", [text]) => {
            tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(text));
            session.reply.ok();
        }
        (b"protocol", [kind]) => protocol(session, kind),
        (b"object", [key]) => object(session, key),
        (b"digest", []) => dataset::digest(session),
        (b"digest-value", keys) => dataset::digest_values(session, keys),
        (b"populate", options @ ([_] | [_, _] | [_, _, _])) => dataset::populate(session, options),
        (name, [_, ..]) if WITHOUT_EFFECT.contains(&name) => session.reply.ok(),
        (b"reload", options) if options.iter().all(|option| is_reload_option(option)) => {
            reload(session);
        }
        (b"loadaof", []) => reload(session),
        (b"help", []) => help(session),
        _ => session.error(quoting(
            "ERR unknown subcommand or wrong number of arguments for '",
            args[1],
            "'. Try DEBUG HELP.",
        )),
    }
}

/// The number a text starts with, as C's `strtod` sees it; 0 if there is none.
fn leading_number(text: &[u8]) -> f64 {
    let is_part = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+');
    let digits: Vec<u8> = text.iter().take_while(is_part).copied().collect();
    std::str::from_utf8(&digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0.0)
}

fn is_reload_option(option: &[u8]) -> bool {
    [&b"merge"[..], b"noflush", b"nosave"]
        .iter()
        .any(|known| option.eq_ignore_ascii_case(known))
}

/// DEBUG RELOAD and LOADAOF: every value becomes what a file would give back.
fn reload(session: &mut Session<'_>) {
    let reload = |front: &mut Front, answer: &mut Vec<u8>| {
        // What is under way between two slices goes on with the values that it knows.
        if front.engine.has_work() || front.engine.is_away() {
            return;
        }
        if let Err(key) = front.engine.shard.reload() {
            answer.extend_from_slice(&key);
        }
    };
    session.then = Then::AskAll(
        Arc::new(reload),
        Box::new(
            |answers, reply| match answers.iter().find(|answer| !answer.is_empty()) {
                Some(key) => {
                    tracing::error!("DEBUG RELOAD: {} did not survive", key.escape_ascii());
                    reply.error("ERR Error trying to load the RDB dump");
                }
                None => reply.ok(),
            },
        ),
    );
}

/// DEBUG OBJECT: the owner of the key tells about it.
fn object(session: &mut Session<'_>, key: &[u8]) {
    let (db, key) = (session.client().db, key.to_vec());
    session.then = Then::AskAll(
        Arc::new(move |front, answer| describe(&front.engine.shard, db, &key, answer)),
        Box::new(
            |answers, reply| match answers.iter().find(|answer| !answer.is_empty()) {
                Some(answer) => reply.simple(answer),
                None => reply.error("ERR no such key"),
            },
        ),
    );
}

/// The line about a key, if this shard has it. In place of the serialized length stands that of the value in memory.
fn describe(shard: &Shard, db: usize, key: &[u8], answer: &mut Vec<u8>) {
    let found = shard.table(db).get(shard.hash(key), key);
    let Some(entry) = found.filter(|entry| !shard.is_due(entry)) else {
        return;
    };
    let line = format!(
        "Value at:{:p} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
        entry,
        references(entry),
        encoding(entry),
        entry.heap_bytes(),
        entry.access(),
        shard.idle_s(entry),
    );
    answer.extend_from_slice(line.as_bytes());
}

/// DEBUG PROTOCOL: a reply of each type of RESP3.
fn protocol(session: &mut Session<'_>, kind: &[u8]) {
    let reply = &mut session.reply;
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12_345),
        b"double" => reply.double(DOUBLE),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"push" if reply.proto() == Proto::Resp2 => {
            reply.error("ERR RESP2 is not supported by this command");
        }
        b"push" => {
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        b"attrib" => {
            if reply.proto() == Proto::Resp3 {
                reply.raw(b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n");
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"verbatim" => reply.verbatim(*b"txt", b"This is a verbatim\nstring"),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => reply.error(
            "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|\
             attrib|push|verbatim|true|false",
        ),
    }
}

fn help(session: &mut Session<'_>) {
    container::help(
        session,
        "debug",
        &[
            "AOF-FLUSH-SLEEP <microseconds>",
            "    The log waits for this long before each write, as on a slow disk.",
            "DIGEST",
            "    A fingerprint of all keys with their values, the same as redis-server's.",
            "DIGEST-VALUE <key> [<key> ...]",
            "    A fingerprint of each key's value.",
            "ERROR <string>",
            "    Replies with an error of this text, for tests of clients.",
            "LOG <message>",
            "    Writes a line into the log.",
            "OBJECT <key>",
            "    How the value of a key is kept and when it was used last.",
            "POPULATE <count> [<prefix>] [<size>]",
            "    Makes strings of keys that do not exist.",
            "PROTOCOL <type>",
            "    Replies with a sample of a type of the protocol: string, integer, double,",
            "    null, array, set, map, attrib, push, verbatim, bignum, true, false.",
            "RELOAD [MERGE] [NOFLUSH] [NOSAVE], LOADAOF",
            "    Every value goes through the encoding of files and back.",
            "SET-ACTIVE-EXPIRE <0|1>",
            "    With 0, keys whose time has come go only when somebody asks for them.",
            "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
            "    With 1, RESTORE does not look at the checksums of payloads.",
            "SLEEP <seconds>",
            "    All shards stand still for this long; a fraction will do.",
            "CLIENT-ENFORCE-REPLY-LIST, DICT-RESIZING, PAUSE-CRON, QUICKLIST-PACKED-THRESHOLD, REPLYBUFFER, SET-DISABLE-DENY-SCRIPTS <value>",
            "    Accepted without effect.",
        ],
    );
}

#[cfg(test)]
mod tests {
    use tessera_core::entry::StrValue;
    use tessera_core::table::ExpireChange;

    use crate::config::{Allowed, Config};
    use crate::session::rig::Rig;

    fn open() -> Rig {
        Rig::with(Config {
            debug_allowed: Allowed::Local,
            ..Config::default()
        })
    }

    #[test]
    fn closed_by_default() {
        let mut rig = Rig::new();
        let refused = "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
                       local connection, otherwise you need to set this option in the configuration file, and then restart the \
                       server.|";
        rig.says("DEBUG SLEEP 0", refused);
        rig.says("DEBUG HELP", refused);
        rig.says(
            "DEBUG",
            "-ERR wrong number of arguments for 'debug' command|",
        );
    }

    #[test]
    fn what_suites_set_is_accepted() {
        let mut rig = open();
        rig.says("DEBUG DICT-RESIZING 0", "+OK|");
        rig.says("DEBUG REPLYBUFFER PEAK-RESET-TIME 100", "+OK|");
        rig.says(
            "DEBUG POPULATE x",
            "-ERR value is not an integer or out of range|",
        );
        rig.says(
            "DEBUG POPULATE 1 p -1",
            "-ERR value is out of range, must be positive|",
        );
    }

    #[test]
    fn every_shard_sleeps_and_switches() {
        let mut rig = open();
        rig.says("DEBUG SLEEP 0.25", "+OK|");
        assert!(rig.fronts.iter().all(|front| front.sleep_us == 250_000));
        rig.says("DEBUG SLEEP a", "+OK|");
        assert!(rig.fronts.iter().all(|front| front.sleep_us == 0));
        rig.says("DEBUG SET-ACTIVE-EXPIRE 0", "+OK|");
        assert!(
            rig.fronts
                .iter()
                .all(|front| !front.engine.shard.settings.active_expire)
        );
        rig.says("CONFIG SET hz 20", "+OK|");
        assert!(
            rig.fronts
                .iter()
                .all(|front| !front.engine.shard.settings.active_expire)
        );
    }

    #[test]
    fn the_owner_tells_about_a_key() {
        let mut rig = open();
        rig.says("DEBUG OBJECT none", "-ERR no such key|");
        let last = rig.fronts.len() - 1;
        let shard = &mut rig.fronts[last].engine.shard;
        shard
            .set(0, b"k", StrValue::Int(100_000), ExpireChange::Clear)
            .unwrap();
        let told = rig.send("DEBUG OBJECT k");
        assert!(told.starts_with("+Value at:0x"), "{told}");
        assert!(
            told.contains(" refcount:1 encoding:int serializedlength:"),
            "{told}"
        );
    }

    #[test]
    fn small_things() {
        let mut rig = open();
        rig.says(
            "DEBUG foo",
            "-ERR unknown subcommand or wrong number of arguments for 'foo'. Try DEBUG HELP.|",
        );
        rig.says(
            "DEBUG SLEEP",
            "-ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP.|",
        );
        rig.says("DEBUG ERROR \"FOO bar\"", "-FOO bar|");
        rig.says("DEBUG PROTOCOL string", "$11|Hello World|");
        rig.says(
            "DEBUG PROTOCOL push",
            "-ERR RESP2 is not supported by this command|",
        );
        rig.says(
            "DEBUG PROTOCOL foo",
            "-ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|\
             push|verbatim|true|false|",
        );
        rig.send("HELLO 3");
        rig.says("DEBUG PROTOCOL map", "%3|:0|#f|:1|#t|:2|#f|");
        rig.says("DEBUG PROTOCOL set", "~3|:0|:1|:2|");
        rig.says(
            "DEBUG PROTOCOL verbatim",
            "=29|txt:This is a verbatim\nstring|",
        );
        rig.says(
            "DEBUG PROTOCOL bignum",
            "(1234567999999999999999999999999999999|",
        );
        rig.says("DEBUG PROTOCOL null", "_|");
    }
}
