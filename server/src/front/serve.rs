//! Received bytes: frames are parsed where they lie and carried out one by one.
//!
//! A chunk that holds whole frames is never copied. What is left of an unfinished frame, and frames of a client whose replies
//! pile up or who has had its share of the turn, wait in the client's `query`.

use tessera_core::resp::{Limits, Parsed, Parser, try_append};
use tessera_io::ConnId;

use crate::front::Front;
use crate::front::ahead::Glanced;
use crate::front::dispatch::Taken;
use crate::front::share::LOOK_BYTES;

/// The end of a line of the protocol.
const LINE_END_BYTES: u64 = 2;
/// The longest frame, unless `client-query-buffer-limit` is larger.
const FRAME_BYTES_MAX: u64 = 1 << 30;

impl Front {
    /// Bytes of a client have come.
    pub fn received(&mut self, conn: ConnId, chunk: &[u8]) {
        let now_ms = self.unix_us / 1000;
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        client.last_ms = now_ms;
        client.net_in_bytes += chunk.len() as u64;
        self.counters.net_in_bytes += chunk.len() as u64;
        if client.closing {
            return;
        }
        if client.query.is_empty() {
            let mut parser = std::mem::take(&mut self.parser);
            let used = self.run_frames(conn, chunk, &mut parser);
            self.keep_rest(conn, &chunk[used..], parser);
            return;
        }
        if !try_append(&mut client.query, chunk) {
            return self.refuse_query(conn);
        }
        let is_stalled = client.stalled;
        self.ledger.note_buffered(chunk.len());
        if !is_stalled {
            self.run_query(conn);
        }
        self.end_if_too_long(conn);
    }

    /// There is no memory for what a client sends: it cannot go on, everybody else does.
    #[cold]
    fn refuse_query(&mut self, conn: ConnId) {
        if let Some(client) = self.clients.get_mut(conn) {
            tracing::warn!(
                "Closing client id={}: no memory for its query buffer ({} bytes so far)",
                client.id,
                client.query.len()
            );
            client.closing = true;
            client.query = Vec::new();
            client.parser = Parser::new();
            client.forget_replies();
            self.mark_dirty(conn);
        }
    }

    /// `client-query-buffer-limit`: ends a client whose unfinished argument is longer than that, as Redis does, or whose unfinished frame
    /// is longer than any sensible limit.
    fn end_if_too_long(&mut self, conn: ConnId) {
        let limit = self.config.query_buffer_bytes_max;
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let whole = client.query.len() as u64;
        let unfinished = whole.saturating_sub(client.parser.understood() as u64 + LINE_END_BYTES);
        if unfinished > limit || whole > limit.max(FRAME_BYTES_MAX) {
            client.closing = true;
            client.query = Vec::new();
            client.forget_replies();
            self.mark_dirty(conn);
        }
    }

    /// The client's whole input has come (it closed its side).
    pub fn half_closed(&mut self, conn: ConnId) {
        if let Some(client) = self.clients.get_mut(conn) {
            client.half_closed = true;
            if client.blocked.is_some() {
                // It would wait for ever for somebody who has gone.
                self.doomed.push(conn);
            }
            self.mark_dirty(conn);
        }
    }

    /// Carries out what waits in the client's `query`.
    pub(crate) fn run_query(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        if client.share.is_up() {
            return;
        }
        client.stalled = false;
        let query = std::mem::take(&mut client.query);
        let mut parser = std::mem::take(&mut client.parser);
        let used = self.run_frames(conn, &query, &mut parser);
        if used == 0 {
            if let Some(client) = self.clients.get_mut(conn) {
                client.query = query;
                client.parser = parser;
            }
        } else {
            self.keep_rest(conn, &query[used..], parser);
        }
        self.mark_dirty(conn);
    }

    /// Keeps an unfinished frame, with the parser that knows how far it got; without one, the parser serves the next chunk.
    fn keep_rest(&mut self, conn: ConnId, rest: &[u8], parser: Parser) {
        if !rest.is_empty()
            && let Some(client) = self.clients.get_mut(conn)
        {
            client.parser = parser;
            if !try_append(&mut client.query, rest) {
                self.refuse_query(conn);
            }
            self.ledger.note_buffered(rest.len());
        } else {
            self.parser = parser;
        }
    }

    /// Carries out the frames at the start of `bytes`. Returns how many bytes they took.
    fn run_frames(&mut self, conn: ConnId, bytes: &[u8], parser: &mut Parser) -> usize {
        let mut used = 0;
        // The driver has glanced at the first one.
        let mut ahead = 1;
        let (mut look_at, mut since_ns) = (LOOK_BYTES, None);
        while used < bytes.len() {
            let Some(client) = self.clients.get_mut(conn) else {
                return bytes.len();
            };
            if client.closing {
                return bytes.len();
            }
            if used >= look_at {
                look_at = used + LOOK_BYTES;
                let now_ns = self.engine.meter.now_ns();
                if let Some(since_ns) = since_ns.replace(now_ns)
                    && self.spends(conn, since_ns, now_ns)
                {
                    break;
                }
                continue;
            }
            if !client.may_run() || self.shared.ending.is_on() {
                client.stalled = true;
                // With unanswered commands, the last of their replies brings it back.
                if client.slots.is_empty() {
                    self.held.push(conn);
                }
                break;
            }
            if ahead == 0 {
                let glanced = Glanced {
                    db: client.db,
                    is_batched: client.batched_turn == self.turn,
                };
                ahead = self.glance_at_pipeline(&glanced, &bytes[used..]);
                continue;
            }
            ahead -= 1;
            let limits = Limits {
                bulk_bytes_max: self.config.bulk_bytes_max as i64,
                authenticated: client.authenticated,
            };
            match parser.parse(&bytes[used..], &limits) {
                Ok(Parsed::Complete { consumed }) => {
                    let args = parser.args(&bytes[used..]);
                    if self.dispatch(conn, &args) == Taken::Not {
                        if let Some(client) = self.clients.get_mut(conn) {
                            client.stalled = true;
                        }
                        break;
                    }
                    used += consumed;
                }
                Ok(Parsed::Empty { consumed }) => used += consumed,
                Ok(Parsed::Incomplete) => break,
                Err(error) => {
                    *parser = Parser::new();
                    self.refuse(conn, None, &error.text());
                    if let Some(client) = self.clients.get_mut(conn) {
                        client.closing = true;
                    }
                    return bytes.len();
                }
            }
        }
        used
    }
}
