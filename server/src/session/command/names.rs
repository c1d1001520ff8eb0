//! Finding rows by their full names (`get`, `config|get`), and COMMAND LIST.

use tessera_core::glob::glob_match_nocase;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::category;

use crate::session::Session;
use crate::session::context::SYNTAX_ERROR;

/// All commands that can be called.
pub(super) fn commands(session: &Session<'_>) -> impl Iterator<Item = Spec> {
    let registry = &session.front.shared.registry;
    let callable = registry
        .all()
        .filter(|command| !registry.called(command.number).is_empty());
    let all: Vec<Spec> = callable.map(|command| command.spec).collect();
    all.into_iter()
}

/// The row with this full name, in any case, and that name.
pub(super) fn find(session: &Session<'_>, name: &[u8]) -> Option<(Spec, String)> {
    let mut parts = name.splitn(2, |&byte| byte == b'|');
    let spec = session.front.shared.registry.find(parts.next()?)?.spec;
    match parts.next() {
        None => Some((spec, spec.name.to_owned())),
        Some(sub) => {
            let sub = spec
                .subcommands
                .iter()
                .find(|row| row.name.as_bytes().eq_ignore_ascii_case(sub))?;
            Some((*sub, full_name(spec.name, sub)))
        }
    }
}

/// The full name of a subcommand.
pub(super) fn full_name(container: &str, sub: &Spec) -> String {
    format!("{container}|{}", sub.name)
}

/// All rows with their full names, subcommands after their container.
pub(crate) fn all(session: &Session<'_>) -> Vec<(Spec, String)> {
    let mut all = Vec::new();
    for spec in commands(session) {
        all.push((spec, spec.name.to_owned()));
        all.extend(
            spec.subcommands
                .iter()
                .map(|sub| (*sub, full_name(spec.name, sub))),
        );
    }
    all
}

/// The bit of a category, by its name.
pub(crate) fn category_bit(name: &[u8]) -> Option<u32> {
    category::NAMES
        .iter()
        .find(|(_, word)| word.as_bytes().eq_ignore_ascii_case(name))
        .map(|(bit, _)| *bit)
}

/// Replies with names.
pub(crate) fn say_names<'a>(session: &mut Session<'_>, names: impl Iterator<Item = &'a str>) {
    let names: Vec<&str> = names.collect();
    session.reply.array(names.len());
    for name in names {
        session.reply.bulk(name.as_bytes());
    }
}

pub(super) fn cmd_list(session: &mut Session<'_>, args: &[&[u8]]) {
    let mut rows = all(session);
    match args {
        [_, _] => {}
        [_, _, word, by, what] if word.eq_ignore_ascii_case(b"filterby") => {
            match by.to_ascii_lowercase().as_slice() {
                // There are no modules.
                b"module" => rows.clear(),
                b"aclcat" => {
                    let bit = category_bit(what).unwrap_or(0);
                    rows.retain(|(spec, _)| spec.all_categories() & bit != 0);
                }
                b"pattern" => rows.retain(|(_, name)| glob_match_nocase(what, name.as_bytes())),
                _ => return session.error(SYNTAX_ERROR),
            }
        }
        _ => return session.error(SYNTAX_ERROR),
    }
    say_names(session, rows.iter().map(|(_, name)| name.as_str()));
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;

    #[test]
    fn lists_and_filters() {
        let mut rig = Rig::new();
        rig.says(
            "COMMAND foo",
            "-ERR unknown subcommand 'foo'. Try COMMAND HELP.|",
        );
        rig.says(
            "COMMAND COUNT a",
            "-ERR wrong number of arguments for 'command|count' command|",
        );
        rig.says(
            "COMMAND LIST FILTERBY pattern conf*",
            "*6|$6|config|$10|config|get|$10|config|set|$16|config|resetstat|$14|config|rewrite|$11|config|help|",
        );
        rig.says("COMMAND LIST FILTERBY PATTERN ACL", "*1|$3|acl|");
        rig.says("COMMAND LIST FILTERBY MODULE foo", "*0|");
        rig.says("COMMAND LIST FILTERBY ACLCAT foo", "*0|");
        assert!(
            rig.send("COMMAND LIST FILTERBY ACLCAT connection")
                .contains("|$9|client|id|")
        );
        rig.says("COMMAND LIST FILTERBY", "-ERR syntax error|");
        rig.says("COMMAND LIST FILTERBY foo x", "-ERR syntax error|");
        rig.says("COMMAND LIST foo", "-ERR syntax error|");
        assert!(rig.send("COMMAND LIST").contains("|$4|ping|"));
        assert!(
            rig.send("COMMAND HELP")
                .starts_with("*17|+COMMAND <subcommand> and its arguments, one of:|")
        );
    }
}
