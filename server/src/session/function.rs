//! FUNCTION: libraries of functions, the same on all shards.

use std::sync::Arc;

use tessera_core::glob::glob_match;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};
use tessera_shards::script::{Busy, Kill, Library, dump, restore};

use crate::session::context::quoting;
use crate::session::script::{is_flush_mode, kill};
use crate::session::{Session, SessionFn, container};

const BASE: Spec = Spec {
    arity: 2,
    flags: flag::NOSCRIPT,
    categories: category::SCRIPTING,
    since: "7.0.0",
    group: "scripting",
    complexity: "O(1)",
    ..Spec::NONE
};

const ALL: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const WRITES: Spec = Spec {
    flags: flag::NOSCRIPT | flag::WRITE,
    tips: ALL,
    ..BASE
};
const GROWS: Spec = Spec {
    arity: -3,
    flags: flag::NOSCRIPT | flag::WRITE | flag::DENYOOM,
    tips: ALL,
    ..BASE
};

const SUBCOMMANDS: [(Spec, SessionFn); 9] = [
    (
        Spec {
            name: "load",
            summary: "Loads a library.",
            complexity: "O(1) besides the library's own code",
            ..GROWS
        },
        load,
    ),
    (
        Spec {
            name: "restore",
            summary: "Loads all libraries of a payload.",
            complexity: "O(N) with N functions",
            ..GROWS
        },
        restore_all,
    ),
    (
        Spec {
            name: "delete",
            arity: 3,
            summary: "Removes a library with its functions.",
            ..WRITES
        },
        delete,
    ),
    (
        Spec {
            name: "flush",
            arity: -2,
            summary: "Removes all libraries.",
            complexity: "O(N) with N functions",
            ..WRITES
        },
        flush,
    ),
    (
        Spec {
            name: "dump",
            summary: "Returns all libraries as one payload.",
            complexity: "O(N) with N functions",
            ..BASE
        },
        dump_all,
    ),
    (
        Spec {
            name: "list",
            arity: -2,
            tips: &["nondeterministic_output_order"],
            summary: "Tells the libraries and their functions.",
            complexity: "O(N) with N functions",
            ..BASE
        },
        list,
    ),
    (
        Spec {
            name: "stats",
            flags: flag::NOSCRIPT | flag::ALLOW_BUSY,
            tips: &[
                "nondeterministic_output",
                "request_policy:all_shards",
                "response_policy:special",
            ],
            summary: "Tells which function runs, and how many there are.",
            ..BASE
        },
        stats,
    ),
    (
        Spec {
            name: "kill",
            flags: flag::NOSCRIPT | flag::ALLOW_BUSY,
            tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
            summary: "Ends the functions that run for long, if they have not written.",
            ..BASE
        },
        |session, _| kill(session, Kill::Function),
    ),
    (
        Spec {
            name: "help",
            flags: flag::LOADING | flag::STALE,
            summary: "Tells the subcommands.",
            ..BASE
        },
        |session, _| container::help(session, "function", HELP),
    ),
];

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "function",
        arity: -2,
        flags: 0,
        categories: 0,
        summary: "A container for commands about functions.",
        complexity: "Depends on subcommand.",
        subcommands: &container::specs(&SUBCOMMANDS),
        ..BASE
    },
    |session, args| container::run(session, args, "function", &SUBCOMMANDS),
)];

const HELP: &[&str] = &[
    "LOAD [REPLACE] <FUNCTION CODE>",
    "    Load a library: its first line is `#!lua name=<name>`.",
    "DELETE <LIBRARY NAME>",
    "    Remove a library.",
    "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
    "    Tell the libraries, all or those whose names match.",
    "STATS",
    "    Tell which function runs, and how many libraries and functions there are.",
    "KILL",
    "    End the functions that run for long, if they have not written.",
    "FLUSH [ASYNC|SYNC]",
    "    Remove all libraries.",
    "DUMP",
    "    Return all libraries as one payload.",
    "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
    "    Load the libraries of a payload: instead of all others, beside them, or in place of those of the same names.",
];

fn load(session: &mut Session<'_>, args: &[&[u8]]) {
    let (mut replaces, last) = (false, args.len() - 1);
    for option in &args[2..last] {
        if !option.eq_ignore_ascii_case(b"replace") {
            return session.error(quoting("ERR Unknown option given: ", option, ""));
        }
        replaces = true;
    }
    let loaded = session.front.engine.shard.scripts.load_library(args[last]);
    let shared = Arc::clone(&session.front.shared);
    let _order = shared.order_libraries();
    let node = &shared.scripts;
    let added = loaded.and_then(|library| {
        let name = library.name.clone();
        // RESTORE words it without the quotes.
        if !replaces && node.has_library(&name) {
            return Err([b"ERR Library '", &name[..], b"' already exists"].concat());
        }
        node.add_libraries(vec![library], replaces, false)?;
        Ok(name)
    });
    match added {
        Ok(name) => {
            record(session, &[b"FUNCTION", b"LOAD", b"REPLACE", args[last]]);
            session.reply.bulk(&name);
        }
        Err(text) => session.error(text),
    }
}

/// Tells the log what has changed the libraries, in the order of the changes: the caller holds `order_libraries`.
fn record(session: &mut Session<'_>, args: &[&[u8]]) {
    session.front.engine.shard.record_of_node(args);
}

fn delete(session: &mut Session<'_>, args: &[&[u8]]) {
    let shared = Arc::clone(&session.front.shared);
    let _order = shared.order_libraries();
    if shared.scripts.remove_library(args[2]) {
        record(session, args);
        session.reply.ok();
    } else {
        session.error("ERR Library not found");
    }
}

/// What is said of a subcommand with too many arguments.
fn wrong_number(subcommand: &[u8]) -> Vec<u8> {
    let text = "ERR unknown subcommand or wrong number of arguments for '";
    quoting(text, subcommand, "'. Try FUNCTION HELP.")
}

fn flush(session: &mut Session<'_>, args: &[&[u8]]) {
    if args.len() > 3 {
        return session.error(wrong_number(args[1]));
    }
    if !is_flush_mode(&args[2..]) {
        return session.error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    }
    let shared = Arc::clone(&session.front.shared);
    let _order = shared.order_libraries();
    shared.scripts.flush_libraries();
    record(session, args);
    session.reply.ok();
}

fn dump_all(session: &mut Session<'_>, _: &[&[u8]]) {
    let libraries = session.front.shared.scripts.libraries();
    let payload = dump(libraries.iter().map(|library| &*library.source));
    session.reply.bulk(&payload);
}

fn restore_all(session: &mut Session<'_>, args: &[&[u8]]) {
    let policy = args.get(3).map(|policy| policy.to_ascii_lowercase());
    let (replaces, flushes) = match policy.as_deref() {
        None | Some(b"append") if args.len() <= 4 => (false, false),
        Some(b"replace") if args.len() == 4 => (true, false),
        Some(b"flush") if args.len() == 4 => (false, true),
        _ if args.len() > 4 => {
            return session.error(wrong_number(args[1]));
        }
        _ => {
            return session.error(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            );
        }
    };
    let Some(sources) = restore(args[2]) else {
        return session.error("ERR DUMP payload version or checksum are wrong");
    };
    let scripts = &mut session.front.engine.shard.scripts;
    let loaded: Result<Vec<Library>, Vec<u8>> = sources
        .iter()
        .map(|source| scripts.load_library(source))
        .collect();
    let shared = Arc::clone(&session.front.shared);
    let _order = shared.order_libraries();
    match loaded.and_then(|libraries| shared.scripts.add_libraries(libraries, replaces, flushes)) {
        Ok(()) => {
            // So that it does no harm to a base that has them already.
            let policy: &[u8] = if flushes { b"FLUSH" } else { b"REPLACE" };
            record(session, &[b"FUNCTION", b"RESTORE", args[2], policy]);
            session.reply.ok();
        }
        Err(text) => session.error(text),
    }
}

fn list(session: &mut Session<'_>, args: &[&[u8]]) {
    let (mut pattern, mut with_code) = (None, false);
    let mut words = args[2..].iter();
    while let Some(word) = words.next() {
        if !with_code && word.eq_ignore_ascii_case(b"withcode") {
            with_code = true;
        } else if pattern.is_none() && word.eq_ignore_ascii_case(b"libraryname") {
            let Some(name) = words.next() else {
                return session.error("ERR library name argument was not given");
            };
            pattern = Some(name.to_ascii_lowercase());
        } else {
            return session.error(quoting("ERR Unknown argument ", word, ""));
        }
    }
    let mut libraries = session.front.shared.scripts.libraries();
    libraries.retain(|library| {
        let name = library.name.to_ascii_lowercase();
        pattern
            .as_ref()
            .is_none_or(|pattern| glob_match(pattern, &name))
    });
    session.reply.array(libraries.len());
    for library in &libraries {
        show(session, library, with_code);
    }
}

fn show(session: &mut Session<'_>, library: &Library, with_code: bool) {
    let reply = &mut session.reply;
    reply.map(if with_code { 4 } else { 3 });
    reply.bulk(b"library_name");
    reply.bulk(&library.name);
    reply.bulk(b"engine");
    reply.bulk(b"LUA");
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    for function in &library.functions {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(&function.name);
        reply.bulk(b"description");
        reply.bulk_or_null(function.description.as_deref());
        reply.bulk(b"flags");
        let flags: Vec<&str> = Library::flag_names(function.flags).collect();
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(&library.source);
    }
}

fn stats(session: &mut Session<'_>, _: &[&[u8]]) {
    let now_ms = session.front.unix_us / 1000;
    let node = Arc::clone(&session.front.shared.scripts);
    let busy: Option<Arc<Busy>> = node.busy().into_iter().next();
    let reply = &mut session.reply;
    reply.map(2);
    reply.bulk(b"running_script");
    match busy {
        None => reply.null(),
        Some(busy) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(&busy.name());
            reply.bulk(b"command");
            reply.array(busy.command.len());
            busy.command.iter().for_each(|word| reply.bulk(word));
            reply.bulk(b"duration_ms");
            reply.integer(now_ms.saturating_sub(busy.started_ms) as i64);
        }
    }
    let (libraries, functions, _) = node.library_figures();
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.integer(libraries as i64);
    reply.bulk(b"functions_count");
    reply.integer(functions as i64);
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;

    const CODE: &str = "#!lua name=lib\\nredis.register_function{function_name='f', callback=function(keys, args) return args[1] end, flags={'no-writes'}}";

    #[test]
    fn libraries_come_and_go() {
        let mut rig = Rig::new();
        rig.says(&format!("FUNCTION LOAD \"{CODE}\""), "$3|lib|");
        rig.says(
            &format!("FUNCTION LOAD \"{CODE}\""),
            "-ERR Library 'lib' already exists|",
        );
        rig.says(&format!("FUNCTION LOAD replace \"{CODE}\""), "$3|lib|");
        rig.says(
            &format!("FUNCTION LOAD foo \"{CODE}\""),
            "-ERR Unknown option given: foo|",
        );
        let listed = "*1|*6|$12|library_name|$3|lib|$6|engine|$3|LUA|$9|functions|*1|*6|$4|name|$1|f|$11|description|$-1|$5|flags|*1|+no-writes|";
        rig.says("FUNCTION LIST", listed);
        rig.says("FUNCTION LIST LIBRARYNAME L?B", listed);
        rig.says("FUNCTION LIST LIBRARYNAME x*", "*0|");
        rig.says("FUNCTION LIST foo", "-ERR Unknown argument foo|");
        let counted = "*4|$14|running_script|$-1|$7|engines|*2|$3|LUA|*4|$15|libraries_count|:1|$15|functions_count|:1|";
        rig.says("FUNCTION STATS", counted);
        rig.says("FUNCTION DELETE none", "-ERR Library not found|");
        rig.says("FUNCTION DELETE lib", "+OK|");
        rig.says("FUNCTION LIST", "*0|");
    }

    #[test]
    fn a_dump_is_restored() {
        let mut rig = Rig::new();
        rig.says(&format!("FUNCTION LOAD \"{CODE}\""), "$3|lib|");
        let raw = rig.send_raw("FUNCTION DUMP");
        let end = raw
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .expect("a length");
        let payload = &raw[end + 2..raw.len() - 2];
        let quoted: String = payload
            .iter()
            .map(|byte| format!("\\x{byte:02x}"))
            .collect();
        let taken = "-ERR Library lib already exists|";
        rig.says(&format!("FUNCTION RESTORE \"{quoted}\""), taken);
        rig.says(&format!("FUNCTION RESTORE \"{quoted}\" REPLACE"), "+OK|");
        rig.says(&format!("FUNCTION RESTORE \"{quoted}\" FLUSH"), "+OK|");
        rig.says("FUNCTION FLUSH", "+OK|");
        rig.says(&format!("FUNCTION RESTORE \"{quoted}\""), "+OK|");
        rig.says(
            "FUNCTION RESTORE abc",
            "-ERR DUMP payload version or checksum are wrong|",
        );
        let wrong =
            "-ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.|";
        rig.says(&format!("FUNCTION RESTORE \"{quoted}\" foo"), wrong);
    }
}
