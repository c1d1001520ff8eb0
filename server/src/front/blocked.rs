//! Clients that wait for a key: their time, and how it ends.
//!
//! The claim of a waiting command decides who answers: an owner whose key got something, or this connection because the time is over, the client was
//! unblocked or has gone. Whoever comes second does nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tessera_core::number::{parse_double, parse_i64};
use tessera_core::resp::Proto;
use tessera_io::ConnId;
use tessera_shards::coordinator::{Asker, Claim, Said, Submitted};

use crate::front::Front;
use crate::front::client::Slot;

/// How long until the end of a claim is tried again that an owner holds for a moment, or whose command has not looked yet, ns.
const AGAIN_NS: u64 = 1_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// A client that waits.
#[derive(Debug)]
pub(crate) struct Blocked {
    /// The slot of the reply.
    seq: u32,
    claim: Claim,
    /// When its time is over, monotonic ns.
    deadline_ns: Option<u64>,
    /// What it replies then, if that is not null.
    nobody: Option<&'static [u8]>,
}

/// How the waiting ends if nothing came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// As when the time is over.
    Timeout,
    /// With an error.
    Error,
}

impl Front {
    /// A command that waits if it finds nothing.
    #[cold]
    pub(super) fn dispatch_blocking(
        &mut self,
        conn: ConnId,
        number: u16,
        asker: &Asker,
        args: &[&[u8]],
    ) {
        let turn = self.turn;
        let id = self.shared.next_claim.fetch_add(1, Ordering::Relaxed);
        let claim = Claim::new(id);
        let name = self
            .shared
            .registry
            .get(number)
            .map_or("", |command| command.spec.name);
        let timeout_ms = timeout_ms(name, args);
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let is_muted = super::dispatch::mute(client);
        let seq = client.next_seq();
        client.slots.push_back(if is_muted {
            Slot::Muted
        } else {
            Slot::Waiting(number)
        });
        let deadline_ns = timeout_ms
            .filter(|ms| *ms > 0)
            .map(|ms| self.now_ns.saturating_add(ms.saturating_mul(NS_PER_MS)));
        client.blocked = Some(Box::new(Blocked {
            seq,
            claim: claim.clone(),
            deadline_ns,
            nobody: None,
        }));
        client.is_waiting = true;
        if let Some(at_ns) = deadline_ns {
            self.deadlines.insert((at_ns, id), conn);
        }
        let mut reply = Vec::new();
        match self
            .engine
            .submit_blocking(number, asker, args, claim, &mut reply)
        {
            Submitted::Done => self.unblock(conn, seq, Said::Short(&reply)),
            Submitted::Batched(target) => {
                if let Some(client) = self.clients.get_mut(conn) {
                    client.batched_turn = turn;
                    client.batched_target = target;
                }
            }
            Submitted::Waiting => {}
        }
        let is_over =
            |client: &&crate::front::Client| client.half_closed && client.blocked.is_some();
        if self.clients.get(conn).filter(is_over).is_some() {
            // It would wait for somebody who has gone.
            self.doomed.push(conn);
        }
    }

    /// A command waits for something that does not come: replicas.
    pub(super) fn wait_in_vain(
        &mut self,
        conn: ConnId,
        number: u16,
        ms: u64,
        nobody: &'static [u8],
        is_muted: bool,
    ) {
        let id = self.shared.next_claim.fetch_add(1, Ordering::Relaxed);
        let deadline_ns = (ms > 0).then(|| {
            let ns = ms.saturating_mul(NS_PER_MS);
            self.now_ns.saturating_add(ns)
        });
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        client.blocked = Some(Box::new(Blocked {
            seq: client.next_seq(),
            claim: Claim::waiting(id),
            deadline_ns,
            nobody: Some(nobody),
        }));
        client.slots.push_back(if is_muted {
            Slot::Muted
        } else {
            Slot::Waiting(number)
        });
        client.is_waiting = true;
        if let Some(at_ns) = deadline_ns {
            self.deadlines.insert((at_ns, id), conn);
        }
    }

    /// The reply to a waiting command is here.
    fn unblock(&mut self, conn: ConnId, seq: u32, reply: Said<'_>) {
        self.end_waiting(conn);
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        if let Said::Short(bytes @ [b'-', text @ ..]) = reply {
            if let Some(command) = client.fill(seq, bytes) {
                self.counters.errors += 1;
                self.tally.fail(command, text);
            }
        } else {
            client.fill_said(seq, reply);
        }
        self.mark_dirty(conn);
    }

    /// The client waits no more, and goes on with what it has sent meanwhile.
    fn end_waiting(&mut self, conn: ConnId) -> Option<Box<Blocked>> {
        let client = self.clients.get_mut(conn)?;
        let blocked = client.blocked.take()?;
        client.is_waiting = false;
        if client.stalled {
            self.held.push(conn);
        }
        if let Some(at_ns) = blocked.deadline_ns {
            self.deadlines.remove(&(at_ns, blocked.claim.id()));
        }
        Some(blocked)
    }

    /// A reply for this slot has come from an owner. Gives it back if it is not that of a waiting command.
    #[cold]
    pub(super) fn blocked_answered<'a>(
        &mut self,
        conn: ConnId,
        seq: u32,
        reply: Said<'a>,
    ) -> Option<Said<'a>> {
        let is_its = |client: &&crate::front::Client| {
            client
                .blocked
                .as_ref()
                .is_some_and(|blocked| blocked.seq == seq)
        };
        if self.clients.get(conn).filter(is_its).is_none() {
            return Some(reply);
        }
        let id = self
            .clients
            .get(conn)
            .and_then(|client| client.blocked.as_ref())
            .map(|blocked| blocked.claim.id());
        self.unblock(conn, seq, reply);
        // Other owners may have it among those who wait.
        if let Some(id) = id {
            self.tell_forget(conn, id);
        }
        None
    }

    /// Ends the waiting of those whose time is over.
    pub(super) fn end_overdue(&mut self) {
        while let Some((&(at_ns, id), &conn)) = self.deadlines.first_key_value() {
            if at_ns > self.now_ns {
                return;
            }
            self.deadlines.remove(&(at_ns, id));
            if !self.end_blocked(conn, End::Timeout) {
                // An owner is about to answer, or to look for the first time.
                let again = self.now_ns + AGAIN_NS;
                if let Some(client) = self.clients.get_mut(conn)
                    && let Some(blocked) = &mut client.blocked
                {
                    blocked.deadline_ns = Some(again);
                    self.deadlines.insert((again, id), conn);
                }
            }
        }
    }

    /// Ends a client's waiting. Says no if it does not wait, has not looked yet, or is being answered at this moment.
    pub(crate) fn end_blocked(&mut self, conn: ConnId, end: End) -> bool {
        let Some(claim) = self.claim_of(conn) else {
            return false;
        };
        let is_ended = claim.end();
        if is_ended {
            self.has_ended(conn, claim.id(), end);
        }
        is_ended
    }

    /// The claim of a client that waits.
    pub(crate) fn claim_of(&self, conn: ConnId) -> Option<Claim> {
        let blocked = self.clients.get(conn)?.blocked.as_ref()?;
        Some(blocked.claim.clone())
    }

    /// A client's waiting has been ended, by whoever took its claim: it is told.
    pub(crate) fn has_ended(&mut self, conn: ConnId, id: u64, end: End) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let proto = client.proto;
        let Some(blocked) = client.blocked.as_ref().filter(|it| it.claim.id() == id) else {
            return;
        };
        let seq = blocked.seq;
        let reply: &[u8] = match end {
            End::Error => b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n",
            End::Timeout => blocked.nobody.unwrap_or_else(|| nothing(proto)),
        };
        self.unblock(conn, seq, Said::Short(reply));
        self.tell_forget(conn, id);
    }

    /// What a client waits for on the disk is there.
    pub(super) fn end_disk_wait(&mut self, conn: ConnId, seq: u32) {
        let is_its = |blocked: &Blocked| blocked.seq == seq && blocked.claim.end();
        let blocked = self
            .clients
            .get(conn)
            .and_then(|client| client.blocked.as_deref());
        if blocked.is_some_and(is_its) {
            self.unblock(conn, seq, Said::Short(b"*2\r\n:1\r\n:0\r\n"));
        }
    }

    /// A client that waits has gone.
    pub(super) fn forget_blocked(&mut self, conn: ConnId) {
        if let Some(blocked) = self.end_waiting(conn) {
            #[cfg(feature = "sabotage")]
            if self.engine.sabotage == Some(tessera_shards::coordinator::Sabotage::KeepClaim) {
                return;
            }
            // If an owner has answered, its reply goes nowhere, as one does that was sent to a broken connection.
            blocked.claim.drop_it();
            self.tell_forget(conn, blocked.claim.id());
        }
    }

    fn tell_forget(&mut self, conn: ConnId, id: u64) {
        for target in 0..self.shared.mesh.shards() {
            self.tell(
                conn,
                target,
                Arc::new(move |front: &mut Front, _: &mut Vec<u8>| front.engine.forget_waiter(id)),
            );
        }
    }

    /// Number of clients of this shard that wait, for an element or for the end of a pause.
    #[must_use]
    pub fn blocked_clients(&self) -> usize {
        self.clients
            .iter()
            .filter(|client| {
                let blocked = client.blocked.as_ref();
                client.is_postponed || blocked.is_some_and(|it| it.claim.is_waiting())
            })
            .count()
    }
}

/// What a blocking command replies when its time is over.
fn nothing(proto: Proto) -> &'static [u8] {
    match proto {
        Proto::Resp3 => b"_\r\n",
        Proto::Resp2 => b"*-1\r\n",
    }
}

/// How long a blocking command may wait, 0 for ever. `None`: the command does not say, or says it wrong, which it will complain about itself.
fn timeout_ms(name: &str, args: &[&[u8]]) -> Option<u64> {
    let seconds = match name {
        "xread" | "xreadgroup" => {
            return u64::try_from(parse_i64(block_option(args)?)?).ok();
        }
        "blmpop" | "bzmpop" => args.get(1)?,
        _ => args.last()?,
    };
    let ms = (parse_double(seconds)? * 1000.0).ceil();
    (ms.is_finite() && ms >= 0.0).then_some(ms as u64)
}

/// Whether a blocking command waits if it finds nothing. A read of streams without BLOCK does not, and goes on in slices like any other long command.
pub(super) fn may_wait(name: &str, args: &[&[u8]]) -> bool {
    !matches!(name, "xread" | "xreadgroup") || block_option(args).is_some()
}

/// What follows the last BLOCK among the options of a read of streams.
fn block_option<'a>(args: &[&'a [u8]]) -> Option<&'a [u8]> {
    let (mut at, mut found) = (1, None);
    while let Some(option) = args.get(at) {
        at += match option.to_ascii_lowercase().as_slice() {
            b"streams" => break,
            b"group" => 3,
            b"block" => {
                found = args.get(at + 1).copied();
                2
            }
            b"count" => 2,
            _ => 1,
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{may_wait, timeout_ms};

    #[test]
    fn where_each_says_how_long() {
        let ms = |line: &str| {
            let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            timeout_ms(std::str::from_utf8(args[0]).unwrap(), &args)
        };
        assert_eq!(ms("blpop a b 0"), Some(0));
        assert_eq!(ms("brpop a 0.0001"), Some(1));
        assert_eq!(ms("blmove a b left right 1.5"), Some(1500));
        assert_eq!(ms("blmpop 2 1 a left"), Some(2000));
        assert_eq!(ms("xread count 1 block 70 streams s $"), Some(70));
        assert_eq!(ms("xread streams s $"), None);
        assert!(may_wait("blpop", &[b"blpop", b"k", b"0"]));
        assert!(!may_wait("xread", &[b"xread", b"streams", b"block", b"0"]));
        assert!(may_wait(
            "xread",
            &[b"xread", b"block", b"0", b"streams", b"s", b"0"]
        ));
        assert_eq!(ms("xread streams block 7"), None);
        assert_eq!(ms("xreadgroup group block 5 streams s >"), None);
        assert_eq!(
            ms("xreadgroup GROUP block 5 NOACK BLOCK 9 count 3 Block 70 streams s >"),
            Some(70)
        );
        assert_eq!(ms("blpop a x"), None);
        assert_eq!(ms("blpop a -1"), None);
        assert_eq!(ms("blpop a inf"), None);
    }
}
