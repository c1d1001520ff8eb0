//! Containers: commands such as CLIENT and CONFIG that are a set of subcommands, each a row with a function.

use tessera_shards::command::{Spec, find_subcommand};

use crate::session::{Session, SessionFn};

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
    match find_subcommand(container, rows.iter().map(|(spec, _)| spec), args) {
        Ok(place) => rows[place].1(session, args),
        Err(text) => session.error(text),
    }
}

/// Replies to HELP: the lines, framed by how to call the container and the line for HELP itself.
pub(super) fn help(session: &mut Session<'_>, container: &str, lines: &[&str]) {
    session.reply.array(lines.len() + 3);
    let name = container.to_ascii_uppercase();
    session
        .reply
        .simple(format!("{name} <subcommand> and its arguments, one of:"));
    for line in lines.iter().chain(&["HELP", "    What you are reading."]) {
        session.reply.simple(line);
    }
}
