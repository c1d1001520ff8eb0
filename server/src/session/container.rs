//! Containers: commands such as CLIENT and CONFIG that are a set of subcommands, each a row with a function.

use tessera_shards::command::Spec;

use crate::session::context::quoting;
use crate::session::{Session, SessionFn};

/// How much of an unknown name an error repeats.
const NAME_SHOWN_BYTES: usize = 128;

/// The specs of a container's rows, for its own row.
pub(super) const fn specs<const N: usize>(rows: &[(Spec, SessionFn); N]) -> [Spec; N] {
    let mut specs = [Spec::NONE; N];
    let mut at = 0;
    while at < N {
        specs[at] = rows[at].0;
        at += 1;
    }
    specs
}

/// Carries out the subcommand that a request names.
pub(super) fn run(
    session: &mut Session<'_>,
    args: &[&[u8]],
    container: &str,
    rows: &[(Spec, SessionFn)],
) {
    let Some((spec, function)) = rows
        .iter()
        .find(|(spec, _)| spec.name.as_bytes().eq_ignore_ascii_case(args[1]))
    else {
        let name = &args[1][..args[1].len().min(NAME_SHOWN_BYTES)];
        let hint = format!("'. Try {} HELP.", container.to_ascii_uppercase());
        return session.error(quoting("ERR unknown subcommand '", name, &hint));
    };
    if spec.accepts(args.len()) {
        function(session, args);
    } else {
        session.wrong_arity(&format!("{container}|{}", spec.name));
    }
}

/// Replies to HELP: the lines, framed by how to call the container and the line for HELP itself.
pub(super) fn help(session: &mut Session<'_>, container: &str, lines: &[&str]) {
    session.reply.array(lines.len() + 3);
    let name = container.to_ascii_uppercase();
    session.reply.simple(format!(
        "{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for line in lines.iter().chain(&["HELP", "    Prints this help."]) {
        session.reply.simple(line);
    }
}
