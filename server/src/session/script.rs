//! SCRIPT: what the node knows of scripts.

use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};
use tessera_shards::script::{Kill, Killed};

use crate::session::{Session, SessionFn, container};

const BASE: Spec = Spec {
    arity: 2,
    flags: flag::NOSCRIPT,
    categories: category::SCRIPTING,
    since: "2.6.0",
    group: "scripting",
    complexity: "O(1)",
    ..Spec::NONE
};

const ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

const SUBCOMMANDS: [(Spec, SessionFn); 6] = [
    (
        Spec {
            name: "load",
            arity: 3,
            flags: flag::NOSCRIPT | flag::STALE,
            tips: ALL_NODES,
            summary: "Compiles a script and keeps it for EVALSHA.",
            complexity: "O(N) with N bytes of script",
            ..BASE
        },
        load,
    ),
    (
        Spec {
            name: "exists",
            arity: -3,
            tips: &[
                "request_policy:all_shards",
                "response_policy:agg_logical_and",
            ],
            summary: "Tells which scripts are known by their SHA-1 digests.",
            complexity: "O(N) with N scripts asked for",
            ..BASE
        },
        exists,
    ),
    (
        Spec {
            name: "flush",
            arity: -2,
            tips: ALL_NODES,
            summary: "Forgets all scripts.",
            complexity: "O(N) with N scripts",
            ..BASE
        },
        flush,
    ),
    (
        Spec {
            name: "kill",
            flags: flag::NOSCRIPT | flag::ALLOW_BUSY,
            tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
            summary: "Ends the scripts that run for long, if they have not written.",
            ..BASE
        },
        |session, _| kill(session, Kill::Script),
    ),
    (
        Spec {
            name: "debug",
            arity: 3,
            since: "3.2.0",
            summary: "Would set the mode of the script debugger, which there is not.",
            ..BASE
        },
        debug,
    ),
    (
        Spec {
            name: "help",
            flags: flag::LOADING | flag::STALE,
            since: "5.0.0",
            summary: "Tells the subcommands.",
            ..BASE
        },
        |session, _| container::help(session, "script", HELP),
    ),
];

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "script",
        arity: -2,
        flags: 0,
        categories: 0,
        summary: "A container for commands about scripts.",
        complexity: "Depends on subcommand.",
        subcommands: &container::specs(&SUBCOMMANDS),
        ..BASE
    },
    |session, args| container::run(session, args, "script", &SUBCOMMANDS),
)];

const HELP: &[&str] = &[
    "DEBUG (YES|SYNC|NO)",
    "    Refused unless NO: there is no debugger.",
    "EXISTS <sha1> [<sha1> ...]",
    "    Tell which of these scripts are known.",
    "FLUSH [ASYNC|SYNC]",
    "    Forget all scripts.",
    "KILL",
    "    End the scripts that run for long, if they have not written.",
    "LOAD <script>",
    "    Keep a script for EVALSHA without running it.",
];

fn load(session: &mut Session<'_>, args: &[&[u8]]) {
    match session.front.engine.shard.scripts.load(args[2]) {
        Ok(script) => session.reply.bulk(script.sha.as_bytes()),
        Err(text) => session.error(text),
    }
}

fn exists(session: &mut Session<'_>, args: &[&[u8]]) {
    session.reply.array(args.len() - 2);
    for sha in &args[2..] {
        let is_known = session.front.shared.scripts.script(sha).is_some();
        session.reply.integer(i64::from(is_known));
    }
}

/// Whether the mode of a flush, if there is one, is one of the two. Both are the same here.
pub(super) fn is_flush_mode(args: &[&[u8]]) -> bool {
    match args {
        [] => true,
        [mode] => mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async"),
        _ => false,
    }
}

fn flush(session: &mut Session<'_>, args: &[&[u8]]) {
    if !is_flush_mode(&args[2..]) {
        return session.error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
    }
    session.front.shared.scripts.flush_scripts();
    session.reply.ok();
}

/// Ends scripts or functions.
pub(super) fn kill(session: &mut Session<'_>, kill: Kill) {
    match session.front.shared.scripts.kill(kill) {
        Killed::Yes => session.reply.ok(),
        Killed::NotBusy => session.error("NOTBUSY No scripts in execution right now."),
        Killed::Unkillable => session.error(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        ),
        Killed::AreFunctions => session.error(
            "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
        ),
        Killed::AreScripts => session.error(
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        ),
    }
}

fn debug(session: &mut Session<'_>, args: &[&[u8]]) {
    match args[2].to_ascii_lowercase().as_slice() {
        b"no" => session.reply.ok(),
        b"yes" | b"sync" => session.error("ERR The script debugger is not supported"),
        _ => session.error("ERR Use SCRIPT DEBUG YES/SYNC/NO"),
    }
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;

    #[test]
    fn scripts_are_kept_and_forgotten() {
        let mut rig = Rig::new();
        let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
        rig.says("SCRIPT LOAD 'return 1'", &format!("$40|{sha}|"));
        rig.says(&format!("SCRIPT EXISTS {sha} ffff"), "*2|:1|:0|");
        let upper = sha.to_uppercase();
        rig.says(&format!("SCRIPT EXISTS {upper}"), "*1|:1|");
        rig.says(
            "SCRIPT FLUSH never",
            "-ERR SCRIPT FLUSH only support SYNC|ASYNC option|",
        );
        rig.says("SCRIPT FLUSH ASYNC", "+OK|");
        rig.says(&format!("SCRIPT EXISTS {sha}"), "*1|:0|");
        rig.says(
            "SCRIPT KILL",
            "-NOTBUSY No scripts in execution right now.|",
        );
        rig.says("SCRIPT DEBUG no", "+OK|");
        rig.says(
            "SCRIPT DEBUG yes",
            "-ERR The script debugger is not supported|",
        );
        rig.says("SCRIPT DEBUG x", "-ERR Use SCRIPT DEBUG YES/SYNC/NO|");
        let text =
            "-ERR Error compiling script (new function): user_script:1: '=' expected near 'x'|";
        rig.says("SCRIPT LOAD 'x x'", text);
    }
}
