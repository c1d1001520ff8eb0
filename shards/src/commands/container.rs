//! Containers: commands like OBJECT that are a set of subcommands, each with a row of its own.
//!
//! The router has checked the container's arity only; which subcommand is meant, and its arity, is decided here.

use crate::command::{Cx, Spec, find_subcommand};

/// The subcommand that a request names. Writes the error if there is none, or if its number of arguments is wrong.
pub(crate) fn subcommand(
    cx: &mut Cx<'_>,
    container: &Spec,
    args: &[&[u8]],
) -> Option<&'static str> {
    match find_subcommand(container.name, container.subcommands, args) {
        Ok(place) => Some(container.subcommands[place].name),
        Err(text) => {
            cx.error(text);
            None
        }
    }
}

/// The error for a subcommand whose options are wrong.
pub(crate) fn bad_subcommand(cx: &mut Cx<'_>, container: &Spec, args: &[&[u8]]) {
    let name = &args[1][..args[1].len().min(NAME_SHOWN_BYTES)];
    let hint = format!("'. Try {} HELP.", container.name.to_ascii_uppercase());
    let text = b"ERR unknown subcommand or wrong number of arguments for '";
    cx.error([&text[..], name, hint.as_bytes()].concat());
}

/// How much of an unknown name an error repeats.
const NAME_SHOWN_BYTES: usize = 128;

/// Replies to HELP: the lines, framed by how to call the container and the line for HELP itself.
pub(crate) fn help(cx: &mut Cx<'_>, container: &Spec, lines: &[&str]) {
    cx.reply.array(lines.len() + 3);
    let name = container.name.to_ascii_uppercase();
    cx.reply
        .simple(format!("{name} <subcommand> and its arguments, one of:"));
    for line in lines.iter().chain(&["HELP", "    What you are reading."]) {
        cx.reply.simple(line);
    }
}
