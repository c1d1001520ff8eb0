//! COMMAND DOCS: the documentation of the rows.

use tessera_core::resp::Reply;
use tessera_shards::command::Spec;

use crate::session::Session;
use crate::session::command::names;

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
    session.reply.map(rows.len());
    for (spec, name) in rows {
        write(&mut session.reply, &spec, &name);
    }
}

/// The name and what is known of it. What is empty is left out, as in Redis.
fn write(reply: &mut Reply<'_>, spec: &Spec, name: &str) {
    reply.bulk(name.as_bytes());
    let fields = [
        ("summary", spec.summary),
        ("since", spec.since),
        ("group", spec.group),
        ("complexity", spec.complexity),
    ];
    let fields = fields.iter().filter(|(_, text)| !text.is_empty());
    reply.map(fields.clone().count() + usize::from(!spec.subcommands.is_empty()));
    for (field, text) in fields {
        reply.bulk(field.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !spec.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(spec.subcommands.len());
        for sub in spec.subcommands {
            write(reply, sub, &names::full_name(name, sub));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;

    #[test]
    fn docs_of_commands_and_subcommands() {
        let mut rig = Rig::new();
        rig.says(
            "COMMAND DOCS ping nosuch",
            "*2|$4|ping|*8|$7|summary|$46|Returns PONG, or the argument: a sign of life.|$5|since|$5|1.0.0|$5|group|$10|connection|$10|complexity|$4|O(1)|",
        );
        rig.says(
            "COMMAND DOCS config|resetstat",
            "*2|$16|config|resetstat|*8|$7|summary|$52|Starts the counters that INFO shows again from zero.|$5|since|$5|2.0.0|$5|group|$6|server|\
             $10|complexity|$4|O(1)|",
        );
        assert!(
            rig.send("COMMAND DOCS config")
                .contains("|$11|subcommands|*10|$10|config|get|*8|$7|summary|")
        );
        assert!(rig.send("COMMAND DOCS").contains("|$6|config|*10|"));
    }
}
