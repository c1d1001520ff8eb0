//! CLIENT KILL: the old form, an address, and the new one, filters.

use std::sync::Arc;

use tessera_core::number::parse_i64;

use crate::front::Client;
use crate::session::client::line::{address, local_address};
use crate::session::client::list::ClientType;
use crate::session::context::{SYNTAX_ERROR, quoting};
use crate::session::{Session, Then};

/// Which clients are meant: those for which every part that is there holds.
#[derive(Clone, Debug, Default)]
struct Filter {
    id: Option<u64>,
    address: Option<Vec<u8>>,
    local_address: Option<Vec<u8>>,
    client_type: Option<ClientType>,
    age_s_min: Option<u64>,
    skip: Option<u64>,
}

impl Filter {
    fn matches(&self, client: &Client, now_ms: u64) -> bool {
        self.skip != Some(client.id)
            && self.id.is_none_or(|id| id == client.id)
            && self
                .address
                .as_ref()
                .is_none_or(|wanted| *wanted == address(&client.peer).into_bytes())
            && self
                .local_address
                .as_ref()
                .is_none_or(|wanted| *wanted == local_address(&client.peer).into_bytes())
            && self.client_type.is_none_or(|wanted| wanted.has(client))
            && self
                .age_s_min
                .is_none_or(|age_s| now_ms.saturating_sub(client.created_ms) / 1000 >= age_s)
    }

    /// Takes up one option of the new form.
    fn add(&mut self, option: &[u8], value: &[u8], own_id: u64) -> Result<(), Vec<u8>> {
        match option.to_ascii_lowercase().as_slice() {
            b"id" => {
                self.id = Some(positive(value).ok_or("ERR client-id should be greater than 0")?)
            }
            b"addr" => self.address = Some(value.to_vec()),
            b"laddr" => self.local_address = Some(value.to_vec()),
            b"type" => {
                let known = ClientType::of(value)
                    .ok_or_else(|| quoting("ERR Unknown client type '", value, "'"))?;
                self.client_type = Some(known);
            }
            b"user" if value == b"default" => {}
            b"user" => return Err(quoting("ERR No such user '", value, "'")),
            b"maxage" => {
                parse_i64(value).ok_or("ERR maxage is not an integer or out of range")?;
                self.age_s_min =
                    Some(positive(value).ok_or("ERR maxage should be greater than 0")?);
            }
            b"skipme" if value.eq_ignore_ascii_case(b"yes") => self.skip = Some(own_id),
            b"skipme" if value.eq_ignore_ascii_case(b"no") => self.skip = None,
            _ => return Err(SYNTAX_ERROR.into()),
        }
        Ok(())
    }
}

fn positive(value: &[u8]) -> Option<u64> {
    parse_i64(value)
        .and_then(|number| u64::try_from(number).ok())
        .filter(|number| *number > 0)
}

pub(super) fn cmd_kill(session: &mut Session<'_>, args: &[&[u8]]) {
    let own_id = session.client().id;
    if let [_, _, wanted] = args {
        // The old form: one address, the own one included.
        let filter = Filter {
            address: Some(wanted.to_vec()),
            ..Filter::default()
        };
        return kill(session, filter, true);
    }
    let mut filter = Filter {
        skip: Some(own_id),
        ..Filter::default()
    };
    let (pairs, rest) = args[2..].as_chunks::<2>();
    for [option, value] in pairs {
        if let Err(text) = filter.add(option, value, own_id) {
            return session.error(text);
        }
    }
    if rest.is_empty() {
        kill(session, filter, false);
    } else {
        session.error(SYNTAX_ERROR);
    }
}

/// Ends the connections. Who kills itself gets its reply first.
fn kill(session: &mut Session<'_>, filter: Filter, is_old_form: bool) {
    let now_ms = session.front.unix_us / 1000;
    let own_id = session.client().id;
    let is_suicide = filter.matches(session.client(), now_ms);
    if is_suicide {
        session.client().closing = true;
    }
    session.then = Then::AskAll(
        Arc::new(move |front, out| {
            let now_ms = front.unix_us / 1000;
            let meant = |client: &&Client| client.id != own_id && filter.matches(client, now_ms);
            let doomed: Vec<_> = front
                .clients
                .iter()
                .filter(meant)
                .map(|client| client.conn)
                .collect();
            out.extend((doomed.len() as u64).to_le_bytes());
            front.doomed.extend(doomed);
        }),
        Box::new(move |parts, reply| {
            let counts = parts.iter().map(|part| {
                part.first_chunk()
                    .map_or(0, |count| u64::from_le_bytes(*count))
            });
            let killed = counts.sum::<u64>() + u64::from(is_suicide);
            match (is_old_form, killed) {
                (false, _) => reply.integer(killed as i64),
                (true, 0) => reply.error("ERR No such client"),
                (true, _) => reply.ok(),
            }
        }),
    );
}

#[cfg(test)]
mod tests {
    use crate::session::rig::{Rig, conn};

    #[test]
    fn errors_of_the_filters() {
        let mut rig = Rig::new();
        rig.says(
            "CLIENT KILL",
            "-ERR wrong number of arguments for 'client|kill' command|",
        );
        rig.says("CLIENT KILL a", "-ERR No such client|");
        rig.says("CLIENT KILL id", "-ERR No such client|");
        rig.says(
            "CLIENT KILL id a",
            "-ERR client-id should be greater than 0|",
        );
        rig.says(
            "CLIENT KILL id 0",
            "-ERR client-id should be greater than 0|",
        );
        rig.says("CLIENT KILL id 555", ":0|");
        rig.says("CLIENT KILL id 1 foo", "-ERR syntax error|");
        rig.says("CLIENT KILL type foo", "-ERR Unknown client type 'foo'|");
        rig.says("CLIENT KILL user bar", "-ERR No such user 'bar'|");
        rig.says("CLIENT KILL skipme maybe", "-ERR syntax error|");
        rig.says("CLIENT KILL foo bar", "-ERR syntax error|");
        rig.says(
            "CLIENT KILL maxage 0",
            "-ERR maxage should be greater than 0|",
        );
        rig.says("CLIENT KILL addr 1:1 skipme yes", ":0|");
        rig.says("CLIENT KILL 1:1", "-ERR No such client|");
        assert!(rig.fronts.iter().all(|front| front.doomed.is_empty()));
    }

    #[test]
    fn others_die_at_once_and_oneself_after_the_reply() {
        let mut rig = Rig::new();
        rig.connect(1, conn(3), "127.0.0.1:50001");
        rig.connect(0, conn(5), "10.0.0.1:50002");
        rig.says("CLIENT KILL 10.0.0.1:50002", "+OK|");
        assert_eq!(rig.fronts[0].doomed, [conn(5)]);
        rig.fronts[0].doomed.clear();
        rig.says("CLIENT KILL id 2 addr 10.0.0.1:50002", ":0|");
        rig.says(
            "CLIENT KILL id 2 type normal user default laddr 127.0.0.1:6379",
            ":1|",
        );
        assert_eq!(rig.fronts[1].doomed, [conn(3)]);
        rig.fronts[1].doomed.clear();
        rig.says("CLIENT KILL maxage 1", ":0|");
        rig.says("CLIENT KILL type normal", ":2|");
        assert!(!rig.client().closing);
        rig.says("CLIENT KILL id 1 skipme no", ":1|");
        assert!(rig.client().closing);
        rig.client().closing = false;
        rig.says("CLIENT KILL 127.0.0.1:50000", "+OK|");
        assert!(rig.client().closing);
    }
}
