//! SLOWLOG: commands that took long.

use std::sync::Arc;

use tessera_core::number::parse_i64;
use tessera_core::resp::Reply;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::flag;

use crate::session::{Session, SessionFn, Then, container};
use crate::shared::Shared;
use crate::slow_log::Entry;

const BASE: Spec = Spec {
    arity: 2,
    flags: flag::ADMIN | flag::LOADING | flag::STALE | flag::AFTER_REPLIES,
    since: "2.2.12",
    group: "server",
    complexity: "O(1)",
    ..Spec::NONE
};

/// Entries that GET shows without a count.
const SHOWN: i64 = 10;

const SUBCOMMANDS: [(Spec, SessionFn); 4] = [
    (
        Spec {
            name: "get",
            arity: -2,
            tips: &["request_policy:all_nodes", "nondeterministic_output"],
            summary: "Returns the newest entries of the slow log.",
            complexity: "O(N) with N entries returned",
            ..BASE
        },
        get,
    ),
    (
        Spec {
            name: "len",
            tips: &[
                "request_policy:all_nodes",
                "response_policy:agg_sum",
                "nondeterministic_output",
            ],
            summary: "Counts the entries of the slow log.",
            ..BASE
        },
        |session, args| {
            then_itself(session, args, |shared, reply| {
                reply.integer(shared.slow_log.len() as i64);
            })
        },
    ),
    (
        Spec {
            name: "reset",
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            summary: "Forgets all entries of the slow log.",
            complexity: "O(N) with N entries",
            ..BASE
        },
        |session, args| {
            then_itself(session, args, |shared, reply| {
                shared.slow_log.clear();
                reply.ok();
            })
        },
    ),
    (
        Spec {
            name: "help",
            flags: flag::LOADING | flag::STALE,
            since: "6.2.0",
            summary: "Tells the subcommands.",
            ..BASE
        },
        |session, _| container::help(session, "slowlog", HELP),
    ),
];

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "slowlog",
        arity: -2,
        flags: 0,
        summary: "A container for commands about commands that took long.",
        complexity: "Depends on subcommand.",
        subcommands: &container::specs(&SUBCOMMANDS),
        ..BASE
    },
    |session, args| container::run(session, args, "slowlog", &SUBCOMMANDS),
)];

const HELP: &[&str] = &[
    "GET [<count>]",
    "    Show the newest entries (10 by default, -1 for all): number, time, microseconds,",
    "    arguments, address of the client, and its name with the shard that was busy.",
    "LEN",
    "    Count the entries.",
    "RESET",
    "    Forget all entries.",
];

/// Replies when every shard has told what it noted before this command.
pub(super) fn when_all_told(
    session: &mut Session<'_>,
    say: impl FnOnce(&Shared, &mut Reply<'_>) + 'static,
) {
    let shared = Arc::clone(&session.front.shared);
    session.then = Then::AskAll(
        Arc::new(|front, _| front.tell_slow()),
        Box::new(move |_, reply| say(&shared, reply)),
    );
}

/// The same, and then the command itself goes into the log, if everything does.
fn then_itself(
    session: &mut Session<'_>,
    args: &[&[u8]],
    say: impl FnOnce(&Shared, &mut Reply<'_>) + 'static,
) {
    let front = &session.front;
    let logs_all = front.config.slowlog_from_us == Some(0);
    let itself = logs_all.then(|| front.entry_of(session.conn, args, front.id, 0));
    let len_max = front.config.slowlog_len_max;
    when_all_told(session, move |shared, reply| {
        say(shared, reply);
        if let Some(entry) = itself {
            shared.slow_log.push(entry, len_max);
        }
    });
}

fn get(session: &mut Session<'_>, args: &[&[u8]]) {
    let count = match args[2..] {
        [] => Some(SHOWN),
        [count] => parse_i64(count).filter(|count| *count >= -1),
        _ => {
            let text = b"ERR unknown subcommand or wrong number of arguments for '";
            let name = &args[1][..args[1].len().min(128)];
            return session.error([text, name, b"'. Try SLOWLOG HELP."].concat());
        }
    };
    let Some(count) = count else {
        return session.error("ERR count should be greater than or equal to -1");
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    then_itself(session, args, move |shared, reply| {
        let entries = shared.slow_log.newest(count);
        reply.array(entries.len());
        entries.iter().for_each(|entry| show(entry, reply));
    });
}

fn show(entry: &Entry, reply: &mut Reply<'_>) {
    reply.array(6);
    reply.integer(entry.id as i64);
    reply.integer(entry.unix_s as i64);
    reply.integer(entry.spent_us as i64);
    reply.array(entry.args.len());
    entry.args.iter().for_each(|arg| reply.bulk(arg));
    reply.bulk(entry.address.as_bytes());
    reply.bulk(&entry.name);
}

#[cfg(test)]
mod tests {
    use tessera_shards::mesh::{Origin, Route};

    use crate::session::rig::{Rig, conn};

    #[test]
    fn entries_have_six_fields() {
        let mut rig = Rig::new();
        rig.says("SLOWLOG GET", "*0|");
        rig.client().name = b"me".as_slice().into();
        rig.says(
            "CONFIG SET slowlog-log-slower-than 100 slowlog-max-len 2",
            "+OK|",
        );
        let keys = rig.fronts[0].shared.registry.find(b"keys").unwrap().number;
        let origin = Origin {
            shard: 0,
            route: Route::Client(conn(0), 0),
        };
        for us in [100, 99, 300, 400] {
            let slow = &mut rig.fronts[0].engine.shard.slow;
            slow.note(keys, origin, &[b"KEYS".as_slice(), b"*"], us * 1000 + 999);
        }
        rig.says("SLOWLOG LEN", ":2|");
        let second = "*6|:1|:1700000000|:300|*2|$4|KEYS|$1|*|$15|127.0.0.1:50000|$10|me shard=0|";
        let first = second.replace(":1|:17", ":2|:17").replace(":300", ":400");
        rig.says("SLOWLOG GET", &format!("*2|{first}{second}"));
        rig.says("SLOWLOG GET 1", &format!("*1|{first}"));
        rig.says("SLOWLOG GET -1", &format!("*2|{first}{second}"));
        rig.says("SLOWLOG GET 0", "*0|");
        rig.says("SLOWLOG RESET", "+OK|");
        rig.says("SLOWLOG LEN", ":0|");
    }

    #[test]
    fn mistakes_get_the_texts_of_redis() {
        let mut rig = Rig::new();
        let range = "-ERR count should be greater than or equal to -1|";
        for count in ["-2", "x", "9223372036854775808"] {
            rig.says(&format!("SLOWLOG GET {count}"), range);
        }
        let text =
            "-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.|";
        rig.says("SLOWLOG get 1 2", text);
        rig.says(
            "SLOWLOG what",
            "-ERR unknown subcommand 'what'. Try SLOWLOG HELP.|",
        );
        rig.says(
            "SLOWLOG LEN 1",
            "-ERR wrong number of arguments for 'slowlog|len' command|",
        );
        assert!(
            rig.send("SLOWLOG HELP")
                .starts_with("*10|+SLOWLOG <subcommand>")
        );
    }
}
