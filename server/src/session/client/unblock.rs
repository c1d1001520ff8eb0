//! CLIENT UNBLOCK: ends another client's waiting for a key.

use std::sync::Arc;

use tessera_core::number::parse_i64;

use crate::front::End;
use crate::session::context::SYNTAX_ERROR;
use crate::session::{Session, Then};

pub(super) fn cmd_unblock(session: &mut Session<'_>, args: &[&[u8]]) {
    let end = match args {
        [_, _, _] => End::Timeout,
        [_, _, _, how] if how.eq_ignore_ascii_case(b"timeout") => End::Timeout,
        [_, _, _, how] if how.eq_ignore_ascii_case(b"error") => End::Error,
        [_, _, _, _] => {
            return session.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        }
        _ => return session.error(SYNTAX_ERROR),
    };
    let Some(id) = parse_i64(args[2]) else {
        return session.error("ERR value is not an integer or out of range");
    };
    session.then = Then::AskAll(
        Arc::new(move |front, said| {
            let meant = front
                .clients
                .iter()
                .find(|client| i64::try_from(client.id) == Ok(id))
                .map(|client| client.conn);
            if meant.is_some_and(|conn| front.end_blocked(conn, end)) {
                said.push(1);
            }
        }),
        Box::new(|parts, reply| {
            let is_done = parts.iter().any(|part| !part.is_empty());
            reply.integer(is_done.into());
        }),
    );
}
