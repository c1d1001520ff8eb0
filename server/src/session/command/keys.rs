//! COMMAND GETKEYS and COMMAND GETKEYSANDFLAGS: which arguments of a request are keys.

use tessera_core::resp::Reply;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::{Bits, access, flag};

use crate::session::Session;
use crate::session::command::info::write_flags;

pub(super) fn cmd_getkeys(session: &mut Session<'_>, args: &[&[u8]]) {
    answer(session, &args[2..], |reply, key, _| reply.bulk(key));
}

pub(super) fn cmd_getkeysandflags(session: &mut Session<'_>, args: &[&[u8]]) {
    answer(session, &args[2..], |reply, key, flags| {
        reply.array(2);
        reply.bulk(key);
        write_flags(reply, flags, access::NAMES, "");
    });
}

fn answer(
    session: &mut Session<'_>,
    request: &[&[u8]],
    write: impl Fn(&mut Reply<'_>, &[u8], Bits),
) {
    let found = session
        .front
        .shared
        .registry
        .find(request[0])
        .map(|command| command.spec);
    let Some(spec) = found.filter(|spec| is_complete(spec, request)) else {
        return session.error("ERR Invalid command specified");
    };
    let row = spec.resolve(request);
    if !row.has_keys() {
        return session.error("ERR The command has no key arguments");
    }
    if !row.accepts(request.len()) {
        return session.error("ERR Invalid number of arguments specified for command");
    }
    let mut places = spec.keys_of(request);
    let mut is_sound = !places.is_empty() && spec.has_keys_for_all_rules(request);
    if !is_sound {
        places = row.counted_keys_of(request);
        is_sound = !places.is_empty();
    }
    if !is_sound && !row.has(flag::NO_MANDATORY_KEYS) {
        return session.error("ERR Invalid arguments specified for command");
    }
    session.reply.array(places.len());
    for (place, bits) in places {
        write(
            &mut session.reply,
            request[place],
            narrowed(row, request, bits),
        );
    }
}

/// Whether a container's subcommand is named and known.
fn is_complete(spec: &Spec, request: &[&[u8]]) -> bool {
    spec.subcommands.is_empty()
        || request.get(1).is_none_or(|name| {
            spec.subcommands
                .iter()
                .any(|sub| sub.name.as_bytes().eq_ignore_ascii_case(name))
        })
}

/// What the request does to its keys, where the row says that it depends on the arguments.
fn narrowed(row: &Spec, request: &[&[u8]], bits: Bits) -> Bits {
    if bits & access::VARIABLE == 0 {
        return bits;
    }
    let has = |word: &str| {
        request
            .iter()
            .skip(3)
            .any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    };
    match row.name {
        "set" if has("get") => access::RW | access::ACCESS | access::UPDATE,
        "set" => access::OW | access::UPDATE,
        "bitfield" if only_gets(&request[2..]) => access::RO | access::ACCESS,
        "delex" if request.len() == 2 => access::RM | access::DELETE,
        _ => bits & !access::VARIABLE,
    }
}

/// Whether no subcommand of BITFIELD writes.
fn only_gets(mut words: &[&[u8]]) -> bool {
    loop {
        words = match words {
            [] => return true,
            [word, _, _, rest @ ..] if word.eq_ignore_ascii_case(b"get") => rest,
            [word, _, rest @ ..] if word.eq_ignore_ascii_case(b"overflow") => rest,
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;

    #[test]
    fn commands_without_keys() {
        let mut rig = Rig::new();
        rig.says(
            "COMMAND GETKEYS",
            "-ERR wrong number of arguments for 'command|getkeys' command|",
        );
        rig.says(
            "COMMAND GETKEYS ping",
            "-ERR wrong number of arguments for 'command|getkeys' command|",
        );
        rig.says(
            "COMMAND GETKEYS ping a",
            "-ERR The command has no key arguments|",
        );
        rig.says(
            "COMMAND GETKEYS ssubscribe a",
            "-ERR The command has no key arguments|",
        );
        rig.says(
            "COMMAND GETKEYS nosuch a",
            "-ERR Invalid command specified|",
        );
        rig.says(
            "COMMAND GETKEYS config get a",
            "-ERR The command has no key arguments|",
        );
        rig.says(
            "COMMAND GETKEYS config foo x",
            "-ERR Invalid command specified|",
        );
        rig.says(
            "COMMAND GETKEYS pfmerge a",
            "-ERR Invalid arguments specified for command|",
        );
        rig.says("COMMAND GETKEYS pfmerge a b", "*2|$1|a|$1|b|");
        rig.says(
            "COMMAND GETKEYSANDFLAGS lmpop 01 a b left",
            "*1|*2|$1|a|*0|",
        );
        rig.says("COMMAND GETKEYS zunionstore d 2x a b", "*3|$1|a|$1|b|$1|d|");
        rig.says(
            "COMMAND GETKEYS lmpop 3 a left",
            "-ERR Invalid arguments specified for command|",
        );
        rig.says(
            "COMMAND GETKEYSANDFLAGS bitfield k overflow sat get u8 0",
            "*1|*2|$1|k|*2|+RO|+access|",
        );
        rig.says(
            "COMMAND GETKEYSANDFLAGS ping a",
            "-ERR The command has no key arguments|",
        );
    }
}
