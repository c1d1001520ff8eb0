//! TIME and SHUTDOWN.

use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};

use crate::ending::Asker;
use crate::session::context::SYNTAX_ERROR;
use crate::session::{Session, SessionFn, Then, lolwut};

const BASE: Spec = Spec {
    group: "server",
    ..Spec::NONE
};

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[
    (
        Spec {
            name: "time",
            arity: 1,
            flags: flag::LOADING | flag::STALE | flag::FAST,
            tips: &["nondeterministic_output"],
            since: "2.6.0",
            summary: "Returns the wall clock of the server: seconds and microseconds.",
            complexity: "O(1)",
            ..BASE
        },
        cmd_time,
    ),
    (
        Spec {
            name: "shutdown",
            arity: -1,
            flags: flag::ADMIN
                | flag::NOSCRIPT
                | flag::LOADING
                | flag::STALE
                | flag::NO_MULTI
                | flag::ALLOW_BUSY,
            summary: "Ends the server, after saving the data where that is asked for.",
            complexity: "O(1), or O(N) with N keys when the data are saved",
            ..BASE
        },
        cmd_shutdown,
    ),
    (
        Spec {
            name: "lastsave",
            arity: 1,
            flags: flag::LOADING | flag::STALE | flag::FAST,
            categories: category::ADMIN | category::DANGEROUS,
            tips: &["nondeterministic_output"],
            summary: "Returns the time of the last successful save, in seconds since the Unix epoch.",
            complexity: "O(1)",
            ..BASE
        },
        |session, _| {
            let status = session.front.shared.saver.status();
            session.reply.integer(status.last_save_s as i64);
        },
    ),
    (
        Spec {
            name: "lolwut",
            arity: -1,
            flags: flag::READONLY | flag::FAST,
            categories: category::READ,
            since: "5.0.0",
            summary: "Returns a drawing and the version.",
            ..BASE
        },
        lolwut::cmd_lolwut,
    ),
];

fn cmd_time(session: &mut Session<'_>, _: &[&[u8]]) {
    let now_us = session.front.unix_us as i64;
    session.reply.array(2);
    session.reply.bulk_integer(now_us / 1_000_000);
    session.reply.bulk_integer(now_us % 1_000_000);
}

/// `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE]`, or `SHUTDOWN ABORT`.
fn cmd_shutdown(session: &mut Session<'_>, args: &[&[u8]]) {
    let (mut save, mut nosave, mut force, mut abort, mut others) =
        (false, false, false, false, false);
    for arg in &args[1..] {
        let seen = match arg.to_ascii_lowercase().as_slice() {
            b"save" => &mut save,
            b"nosave" => &mut nosave,
            b"force" => &mut force,
            b"now" => &mut others,
            b"abort" => &mut abort,
            _ => return session.error(SYNTAX_ERROR),
        };
        *seen = true;
    }
    if save && nosave || abort && (save || nosave || force || others) {
        return session.error(SYNTAX_ERROR);
    }
    if abort {
        // A shutdown waits for nobody, so that there is none to call off.
        return session.error("ERR No shutdown in progress.");
    }
    tracing::warn!("User requested shutdown...");
    let saves = save || !nosave && !session.front.config.save_rules.is_empty();
    if saves && !session.front.shared.loading.is_on() {
        let asker = Asker {
            conn: Some((session.front.id, session.conn)),
            forces: force,
        };
        // If somebody else has asked, this one waits for the same end.
        session.front.shared.ending.ask(asker);
        session.front.wake_others();
        return;
    }
    session.then = Then::Shutdown;
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;

    #[test]
    fn the_time_is_that_of_the_turn() {
        let mut rig = Rig::new();
        rig.says("TIME", "*2|$10|1700000000|$6|123456|");
        rig.says(
            "TIME a",
            "-ERR wrong number of arguments for 'time' command|",
        );
    }

    #[test]
    fn how_to_end() {
        let mut rig = Rig::new();
        for line in [
            "SHUTDOWN foo",
            "SHUTDOWN SAVE NOSAVE",
            "SHUTDOWN ABORT now",
            "SHUTDOWN SAVE ABORT",
        ] {
            rig.says(line, "-ERR syntax error|");
        }
        rig.says("SHUTDOWN ABORT", "-ERR No shutdown in progress.|");
        for line in ["SHUTDOWN", "SHUTDOWN NOSAVE", "shutdown nosave now force"] {
            rig.says(line, "<shutdown>");
        }
    }
}
