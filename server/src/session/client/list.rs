//! CLIENT INFO and CLIENT LIST.

use std::collections::HashMap;
use std::sync::Arc;

use tessera_core::number::parse_i64;

use crate::front::{Client, Look, Places};
use crate::session::client::line::line;
use crate::session::context::{SYNTAX_ERROR, quoting};
use crate::session::{Session, Then};

/// Clients whose lines are written at once.
const LINES_AT_ONCE: usize = 128;

/// What a connection is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClientType {
    /// Sends commands.
    Normal,
    /// Listens to messages.
    Pubsub,
    /// Another server: nobody.
    Other,
}

impl ClientType {
    /// By Redis's word for it.
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        match word.to_ascii_lowercase().as_slice() {
            b"normal" => Some(ClientType::Normal),
            b"pubsub" => Some(ClientType::Pubsub),
            b"master" | b"replica" | b"slave" => Some(ClientType::Other),
            _ => None,
        }
    }

    /// Whether a client is of this type now.
    pub(super) fn has(self, client: &Client) -> bool {
        match self {
            ClientType::Normal => client.listens.is_none(),
            ClientType::Pubsub => client.listens.is_some(),
            ClientType::Other => false,
        }
    }
}

pub(super) fn cmd_info(session: &mut Session<'_>, _: &[&[u8]]) {
    let Some(client) = session.front.clients.get(session.conn) else {
        return;
    };
    let line = line(session.front, client);
    session.reply.verbatim(*b"txt", &line);
}

pub(super) fn cmd_list(session: &mut Session<'_>, args: &[&[u8]]) {
    // By id, the place in which it was asked for first.
    let mut ids: Option<Arc<HashMap<u64, usize>>> = None;
    let mut wanted_type = None;
    match &args[2..] {
        [] => {}
        [option, word] if option.eq_ignore_ascii_case(b"type") => match ClientType::of(word) {
            Some(known) => wanted_type = Some(known),
            None => return session.error(quoting("ERR Unknown client type '", word, "'")),
        },
        [option, numbers @ ..] if option.eq_ignore_ascii_case(b"id") && !numbers.is_empty() => {
            let mut wanted = HashMap::with_capacity(numbers.len());
            for (place, number) in numbers.iter().enumerate() {
                let Some(id) = parse_i64(number) else {
                    return session.error("ERR Invalid client ID");
                };
                if let Ok(id) = u64::try_from(id) {
                    wanted.entry(id).or_insert(place);
                }
            }
            ids = Some(Arc::new(wanted));
        }
        _ => return session.error(SYNTAX_ERROR),
    }
    let order = ids.clone();
    session.then = Then::AskAll(
        Arc::new(move |front, _| {
            let (ids, mut places) = (ids.clone(), Places::default());
            front.look = Some(Look::Front(Box::new(move |front, out| {
                let (next, is_last) = places.take(front, LINES_AT_ONCE);
                for client in front.clients.among(next) {
                    if ids.as_ref().is_none_or(|ids| ids.contains_key(&client.id))
                        && wanted_type.is_none_or(|wanted| wanted.has(client))
                    {
                        out.extend(line(front, client));
                    }
                }
                is_last
            })));
        }),
        Box::new(move |parts, reply| {
            let parts = parts.concat();
            let mut lines: Vec<&[u8]> = parts.split_inclusive(|&byte| byte == b'\n').collect();
            // By age, or in the order in which they were asked for.
            lines.sort_by_cached_key(|line| {
                let id = id_of(line);
                let place = order.as_ref().and_then(|ids| ids.get(&id).copied());
                (place, id)
            });
            reply.verbatim(*b"txt", &lines.concat());
        }),
    );
}

/// The number a line starts with (`id=7 ...`).
fn id_of(line: &[u8]) -> u64 {
    let digits = line
        .iter()
        .skip(b"id=".len())
        .take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |id, digit| id * 10 + u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use crate::session::rig::{Rig, conn};

    #[test]
    fn lines_of_all_shards_in_the_order_of_ids() {
        let mut rig = Rig::new();
        rig.connect(1, conn(0), "127.0.0.1:50001");
        rig.connect(0, conn(5), "[::1]:50002");
        rig.says("CLIENT SETNAME me", "+OK|");
        let list = rig.send("CLIENT LIST");
        let starts: Vec<&str> = list
            .lines()
            .map(|line| line.split(" laddr").next().unwrap())
            .collect();
        assert!(starts[0].ends_with("|id=1 addr=127.0.0.1:50000"), "{list}");
        assert_eq!(
            starts[1..3],
            ["id=2 addr=127.0.0.1:50001", "id=3 addr=[::1]:50002"]
        );
        assert!(rig.send("CLIENT LIST ID 3 1 9").starts_with('$'));
        assert_eq!(rig.send("CLIENT LIST ID 3 1 9").lines().count(), 3);
        rig.says("CLIENT LIST ID 0", "$0||");
        rig.says("CLIENT LIST ID a", "-ERR Invalid client ID|");
        rig.says("CLIENT LIST ID", "-ERR syntax error|");
        rig.says("CLIENT LIST TYPE", "-ERR syntax error|");
        rig.says("CLIENT LIST foo", "-ERR syntax error|");
        rig.says("CLIENT LIST TYPE normal ID 5", "-ERR syntax error|");
        rig.says("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'|");
        rig.says("CLIENT LIST TYPE pubsub", "$0||");
    }

    #[test]
    fn every_field_of_redis_7_2() {
        let mut rig = Rig::new();
        rig.client().last_ms -= 2_500;
        rig.client().created_ms -= 61_000;
        rig.says("CLIENT SETINFO lib-name lib", "+OK|");
        let info = rig.send("CLIENT INFO");
        let fields: Vec<&str> = info
            .split_once('|')
            .unwrap()
            .1
            .trim_end_matches(['|', '\n'])
            .split(' ')
            .collect();
        let names: Vec<&str> = fields
            .iter()
            .map(|field| field.split('=').next().unwrap())
            .collect();
        assert_eq!(
            names.join(" "),
            "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem \
             tot-mem events cmd user redir resp lib-name lib-ver"
        );
        for field in [
            "age=61",
            "idle=2",
            "flags=N",
            "cmd=client",
            "resp=2",
            "lib-name=lib",
            "lib-ver=",
        ] {
            assert!(fields.contains(&field), "{field} in {info}");
        }
    }
}
