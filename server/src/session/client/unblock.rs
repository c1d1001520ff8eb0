//! CLIENT UNBLOCK: ends another client's waiting for a key.
//!
//! All shards are asked, in one position, and the last one to come to it ends the waiting: by then every push that this command's client has sent before, or seen
//! the effects of, has served who waited for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tessera_core::number::parse_i64;
use tessera_io::ConnId;
use tessera_shards::coordinator::Claim;

use crate::front::{End, Front};
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
    let round = Round {
        id,
        end,
        left: AtomicUsize::new(session.front.shared.mesh.shards()),
        meant: Mutex::new(None),
    };
    // What the client does next could serve the one that is meant before the last shard has been asked.
    session.then = Then::AskAllFirst(
        Arc::new(move |front, said| round.come_to(front, said)),
        Box::new(|parts, reply| {
            let is_done = parts.iter().any(|part| !part.is_empty());
            reply.integer(is_done.into());
        }),
    );
}

/// One request on its way over the shards.
struct Round {
    /// The client that is meant.
    id: i64,
    end: End,
    /// Shards that have not come to it.
    left: AtomicUsize,
    /// The client's shard, its connection and its claim, if it waits.
    meant: Mutex<Option<(usize, ConnId, Claim)>>,
}

impl Round {
    /// A shard has come to it. Something is said if that ended the waiting.
    fn come_to(&self, front: &mut Front, said: &mut Vec<u8>) {
        let is_meant = |client: &&crate::front::Client| i64::try_from(client.id) == Ok(self.id);
        let conn = front.clients.iter().find(is_meant).map(|it| it.conn);
        if let Some(conn) = conn
            && let Some(claim) = front.claim_of(conn)
            // One that has not looked yet came after this request.
            && claim.is_waiting()
        {
            let mut meant = self.meant.lock().unwrap_or_else(PoisonError::into_inner);
            *meant = Some((front.id, conn, claim));
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let meant = self
            .meant
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some((home, conn, claim)) = meant.filter(|(_, _, claim)| claim.end_after_look()) else {
            return;
        };
        said.push(1);
        let (id, end) = (claim.id(), self.end);
        if home == front.id {
            front.has_ended(conn, id, end);
        } else {
            let tell = move |front: &mut Front, _: &mut Vec<u8>| front.has_ended(conn, id, end);
            front.engine.tell(home, None, Arc::new(tell));
        }
    }
}
