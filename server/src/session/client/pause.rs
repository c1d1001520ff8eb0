//! CLIENT PAUSE and UNPAUSE: commands that wait, on all shards.

use tessera_core::number::parse_i64;

use crate::front::Pause;
use crate::session::Session;

pub(super) fn cmd_pause(session: &mut Session<'_>, args: &[&[u8]]) {
    let all = match args {
        [_, _, _] => true,
        [_, _, _, word] if word.eq_ignore_ascii_case(b"all") => true,
        [_, _, _, word] if word.eq_ignore_ascii_case(b"write") => false,
        [_, _, _, _] => return session.error("ERR CLIENT PAUSE mode must be WRITE or ALL"),
        _ => {
            return session.error(
                "ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.",
            );
        }
    };
    let Some(ms) = parse_i64(args[2]) else {
        return session.error("ERR timeout is not an integer or out of range");
    };
    let Ok(ms) = u64::try_from(ms) else {
        return session.error("ERR timeout is negative");
    };
    let until_ns = session
        .front
        .now_ns
        .saturating_add(ms.saturating_mul(1_000_000));
    session.on_all_shards(move |front| front.pause(Pause { until_ns, all }));
}

pub(super) fn cmd_unpause(session: &mut Session<'_>, _: &[&[u8]]) {
    session.on_all_shards(|front| front.end_pause());
}
