//! COMMAND DOCS: the documentation of the rows, and what the families' texts (`docs.txt`) tell beyond them.

use tessera_core::resp::Reply;
use tessera_shards::command::Spec;
use tessera_shards::command::docs::{Argument, Docs, Sheets, arguments};
use tessera_shards::commands;

use crate::session::Session;
use crate::session::command::names;

/// The families whose rows are at the connection.
const DOCS: &[&str] = &[
    include_str!("../docs/connection.txt"),
    include_str!("../docs/server.txt"),
    include_str!("../docs/pubsub.txt"),
    include_str!("../docs/transactions.txt"),
    include_str!("../docs/scripting.txt"),
    include_str!("../docs/cluster.txt"),
];

fn sheets() -> Sheets {
    Sheets::new(commands::DOCS.iter().chain(DOCS).copied())
}

pub(super) fn cmd_docs(session: &mut Session<'_>, args: &[&[u8]]) {
    let rows: Vec<(Spec, String)> = if args.len() == 2 {
        names::commands(session)
            .map(|spec| (spec, spec.name.to_owned()))
            .collect()
    } else {
        args[2..]
            .iter()
            .filter_map(|name| names::find(session, name))
            .collect()
    };
    let sheets = sheets();
    session.reply.map(rows.len());
    for (spec, name) in rows {
        write(&mut session.reply, &sheets, &spec, &name);
    }
}

/// The name and what is known of it. What is empty is left out, as in Redis.
fn write(reply: &mut Reply<'_>, sheets: &Sheets, spec: &Spec, name: &str) {
    reply.bulk(name.as_bytes());
    let fields = reply.deferred_map();
    let mut count = 0;
    for (field, text) in [
        ("summary", spec.summary),
        ("since", spec.since),
        ("group", spec.group),
        ("complexity", spec.complexity),
    ] {
        if !text.is_empty() {
            reply.bulk(field.as_bytes());
            reply.bulk(text.as_bytes());
            count += 1;
        }
    }
    if let Some(docs) = sheets.of(name) {
        count += write_docs(reply, docs);
    }
    if !spec.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(spec.subcommands.len());
        for sub in spec.subcommands {
            write(reply, sheets, sub, &names::full_name(name, sub));
        }
        count += 1;
    }
    reply.set_len(fields, count);
}

/// What the text of the family says; the number of fields.
fn write_docs(reply: &mut Reply<'_>, docs: &Docs) -> usize {
    let mut count = 0;
    if docs.is_internal || docs.deprecated.is_some() {
        reply.bulk(b"doc_flags");
        let flag = if docs.is_internal {
            "syscmd"
        } else {
            "deprecated"
        };
        write_flags(reply, &[flag]);
        count += 1;
    }
    if let Some((since, instead)) = docs.deprecated {
        reply.bulk(b"deprecated_since");
        reply.bulk(since.as_bytes());
        reply.bulk(b"replaced_by");
        reply.bulk(instead.as_bytes());
        count += 2;
    }
    if !docs.history.is_empty() {
        reply.bulk(b"history");
        reply.set(docs.history.len());
        for (version, change) in &docs.history {
            reply.array(2);
            reply.bulk(version.as_bytes());
            reply.bulk(change.as_bytes());
        }
        count += 1;
    }
    let arguments = arguments(docs.syntax).unwrap_or_default();
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        write_arguments(reply, &arguments);
        count += 1;
    }
    count
}

fn write_flags(reply: &mut Reply<'_>, flags: &[&str]) {
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
}

fn write_arguments(reply: &mut Reply<'_>, arguments: &[Argument]) {
    reply.array(arguments.len());
    for argument in arguments {
        let fields = reply.deferred_map();
        let count = write_argument(reply, argument);
        reply.set_len(fields, count);
    }
}

/// The fields of an argument; how many they are.
fn write_argument(reply: &mut Reply<'_>, argument: &Argument) -> usize {
    let mut count = 2;
    for (field, text) in [
        ("name", argument.name.as_str()),
        ("type", argument.kind.name()),
    ] {
        reply.bulk(field.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if let Some(place) = argument.key_spec {
        reply.bulk(b"key_spec_index");
        reply.integer(place);
        count += 1;
    }
    for (field, text) in [
        ("token", &argument.token),
        ("since", &argument.since),
        ("deprecated_since", &argument.deprecated_since),
    ] {
        if let Some(text) = text {
            reply.bulk(field.as_bytes());
            reply.bulk(text.as_bytes());
            count += 1;
        }
    }
    let flags: Vec<&str> = [
        (argument.is_optional, "optional"),
        (argument.is_multiple, "multiple"),
        (argument.repeats_token, "multiple_token"),
    ]
    .into_iter()
    .filter_map(|(is_set, name)| is_set.then_some(name))
    .collect();
    if !flags.is_empty() {
        reply.bulk(b"flags");
        write_flags(reply, &flags);
        count += 1;
    }
    if !argument.parts.is_empty() {
        reply.bulk(b"arguments");
        write_arguments(reply, &argument.parts);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use tessera_core::resp::parse_reply;
    use tessera_shards::command::docs::arguments;
    use tessera_shards::commands;

    use super::{DOCS, sheets};
    use crate::session::rig::Rig;

    #[test]
    fn docs_of_commands_and_subcommands() {
        let mut rig = Rig::new();
        rig.says(
            "COMMAND DOCS ping nosuch",
            "*2|$4|ping|*10|$7|summary|$46|Returns PONG, or the argument: a sign of life.|$5|since|$5|1.0.0|$5|group|$10|connection|$10|complexity|$4|O(1)|\
             $9|arguments|*1|*6|$4|name|$7|message|$4|type|$6|string|$5|flags|*1|+optional|",
        );
        rig.says(
            "COMMAND DOCS config|resetstat",
            "*2|$16|config|resetstat|*8|$7|summary|$52|Starts the counters that INFO shows again from zero.|$5|since|$5|2.0.0|$5|group|$6|server|\
             $10|complexity|$4|O(1)|",
        );
        assert!(
            rig.send("COMMAND DOCS config")
                .contains("|$11|subcommands|*10|$10|config|get|*12|$7|summary|")
        );
        assert!(rig.send("COMMAND DOCS").contains("|$6|config|*10|"));
    }
    #[test]
    fn arguments_and_history() {
        let mut rig = Rig::new();
        let docs = rig.send("COMMAND DOCS bitpos");
        let history = "|$7|history|*1|*2|$5|7.0.0|$25|The range may count bits.|$9|arguments|*3|*6|$4|name|$3|key|$4|type|$3|key|$14|key_spec_index|:0|";
        assert!(docs.contains(history), "{docs}");
        let unit = "|*8|$4|name|$4|unit|$4|type|$5|oneof|$5|since|$5|7.0.0|$5|flags|*1|+optional|";
        assert!(!docs.contains(unit), "{docs}");
        let docs = rig.send("COMMAND DOCS getset");
        let flags = "|$9|doc_flags|*1|+deprecated|$16|deprecated_since|$5|6.2.0|$11|replaced_by|$13|`SET` ... GET|$9|arguments|*2|";
        assert!(docs.contains(flags), "{docs}");
        let docs = rig.send("COMMAND DOCS pfselftest debug");
        assert!(docs.contains("|$9|doc_flags|*1|+syscmd|"), "{docs}");
    }

    #[test]
    fn every_row_is_told_of_and_every_text_is_understood() {
        let sheets = sheets();
        let listed = Rig::new().send_raw("COMMAND LIST");
        let (listed, _) = parse_reply(&listed).unwrap().expect("a whole reply");
        for name in listed.as_elements().expect("an array") {
            let name = std::str::from_utf8(name.as_bytes().expect("a name")).unwrap();
            assert!(sheets.of(name).is_some(), "nothing is told of {name}");
        }
        for name in sheets.names() {
            let docs = sheets.of(name).expect("its name is there");
            assert!(arguments(docs.syntax).is_ok(), "{name} {}", docs.syntax);
        }
        let lines = commands::DOCS
            .iter()
            .chain(DOCS)
            .flat_map(|text| text.lines());
        let paragraphs = lines.filter(|line| !line.starts_with(' ')).count();
        assert_eq!(
            paragraphs,
            sheets.names().count(),
            "a command is told of twice"
        );
    }
}
