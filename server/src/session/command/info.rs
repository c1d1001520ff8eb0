//! COMMAND and COMMAND INFO: the facts that clients and proxies route by.

use tessera_core::resp::Reply;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::{Begin, Bits, Find, KeySpec, access, category, flag};

use crate::session::Session;
use crate::session::command::names;

/// Replies with all commands.
pub(super) fn all(session: &mut Session<'_>) {
    let specs: Vec<Spec> = names::commands(session).collect();
    session.reply.array(specs.len());
    for spec in specs {
        write(&mut session.reply, &spec, spec.name);
    }
}

pub(super) fn cmd_info(session: &mut Session<'_>, args: &[&[u8]]) {
    if args.len() == 2 {
        return all(session);
    }
    session.reply.array(args.len() - 2);
    for name in &args[2..] {
        match names::find(session, name) {
            Some((spec, name)) => write(&mut session.reply, &spec, &name),
            None => session.reply.null(),
        }
    }
}

fn write(reply: &mut Reply<'_>, spec: &Spec, name: &str) {
    let (first, last, step) = spec.key_range();
    reply.array(10);
    reply.bulk(name.as_bytes());
    reply.integer(spec.arity.into());
    write_flags(reply, spec.flags, flag::NAMES, "");
    for place in [first, last, step] {
        reply.integer(place.into());
    }
    write_flags(reply, spec.all_categories(), category::NAMES, "@");
    reply.set(spec.tips.len());
    for tip in spec.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(spec.keys.len());
    for rule in spec.keys {
        write_rule(reply, rule);
    }
    if spec.subcommands.is_empty() {
        // A set when there is none, an array otherwise: so Redis has it.
        return reply.set(0);
    }
    reply.array(spec.subcommands.len());
    for sub in spec.subcommands {
        write(reply, sub, &names::full_name(name, sub));
    }
}

/// The names of the bits that are set.
pub(super) fn write_flags(reply: &mut Reply<'_>, bits: Bits, names: &[(Bits, &str)], prefix: &str) {
    let set: Vec<&str> = names
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    reply.set(set.len());
    for name in set {
        reply.simple(format!("{prefix}{name}"));
    }
}

fn write_rule(reply: &mut Reply<'_>, rule: &KeySpec) {
    reply.map(3 + usize::from(!rule.notes.is_empty()));
    if !rule.notes.is_empty() {
        reply.bulk(b"notes");
        reply.bulk(rule.notes.as_bytes());
    }
    reply.bulk(b"flags");
    write_flags(reply, rule.access, access::NAMES, "");
    reply.bulk(b"begin_search");
    match rule.begin {
        Begin::Index(index) => write_search(reply, "index", &[("index", index)], None),
        Begin::Keyword(word, from) => {
            write_search(reply, "keyword", &[("startfrom", from)], Some(word))
        }
        Begin::Unknown => write_search(reply, "unknown", &[], None),
    }
    reply.bulk(b"find_keys");
    match rule.find {
        Find::Range { last, step, limit } => {
            write_search(
                reply,
                "range",
                &[("lastkey", last), ("keystep", step), ("limit", limit)],
                None,
            );
        }
        Find::KeyNum { index, first, step } => {
            write_search(
                reply,
                "keynum",
                &[("keynumidx", index), ("firstkey", first), ("keystep", step)],
                None,
            );
        }
        Find::Unknown => write_search(reply, "unknown", &[], None),
    }
}

fn write_search(reply: &mut Reply<'_>, kind: &str, numbers: &[(&str, i32)], keyword: Option<&str>) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(numbers.len() + usize::from(keyword.is_some()));
    if let Some(word) = keyword {
        reply.bulk(b"keyword");
        reply.bulk(word.as_bytes());
    }
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.integer((*number).into());
    }
}
