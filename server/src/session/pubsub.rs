//! SUBSCRIBE and its kin, PUBLISH, SPUBLISH, PUBSUB.

use std::collections::BTreeMap;
use std::sync::Arc;

use tessera_core::glob::glob_match;
use tessera_core::number::parse_i64;
use tessera_core::resp::Reply;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::{KeySpec, access, flag};

use crate::front::Kind;
use crate::session::context::{Call, quoting};
use crate::session::{Session, SessionFn, Then, container};

const FLAGS: u32 = flag::PUBSUB | flag::LOADING | flag::STALE;

const LISTENS: Spec = Spec {
    arity: -2,
    // A message of its own that is under way is for those names that it listened to when it sent that.
    flags: FLAGS | flag::NOSCRIPT | flag::AFTER_REPLIES,
    group: "pubsub",
    since: "2.0.0",
    complexity: "O(N) with N names",
    ..Spec::NONE
};

const PUBLISHES: Spec = Spec {
    arity: 3,
    flags: FLAGS | flag::FAST | flag::MAY_REPLICATE,
    complexity: "O(N+M) with N listeners and M patterns",
    ..LISTENS
};

/// Sharded channels are placed like keys.
const NOT_KEYS: &[KeySpec] = &[KeySpec::range(access::NOT_KEY, 1, -1, 1)];

/// A subcommand of PUBSUB.
const ASKS: Spec = Spec {
    flags: FLAGS,
    since: "2.8.0",
    complexity: "O(N) with N names",
    ..LISTENS
};

const SUBCOMMANDS: [(Spec, SessionFn); 6] = [
    (
        Spec {
            name: "channels",
            summary: "Returns the channels that somebody listens to.",
            ..ASKS
        },
        |session, args| channels(session, Kind::Channel, args),
    ),
    (
        Spec {
            name: "help",
            arity: 2,
            flags: flag::LOADING | flag::STALE,
            since: "6.2.0",
            summary: "Describes the subcommands.",
            ..ASKS
        },
        |session, _| container::help(session, "pubsub", HELP),
    ),
    (
        Spec {
            name: "numpat",
            arity: 2,
            summary: "Returns how many patterns somebody listens to.",
            ..ASKS
        },
        |session, _| count_patterns(session),
    ),
    (
        Spec {
            name: "numsub",
            summary: "Returns how many listen to each of some channels.",
            ..ASKS
        },
        |session, args| count_listeners(session, Kind::Channel, &args[2..]),
    ),
    (
        Spec {
            name: "shardchannels",
            since: "7.0.0",
            summary: "Returns the sharded channels that somebody listens to.",
            ..ASKS
        },
        |session, args| channels(session, Kind::Sharded, args),
    ),
    (
        Spec {
            name: "shardnumsub",
            since: "7.0.0",
            summary: "Returns how many listen to each of some sharded channels.",
            ..ASKS
        },
        |session, args| count_listeners(session, Kind::Sharded, &args[2..]),
    ),
];

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[
    (
        Spec {
            name: "subscribe",
            summary: "Listens to channels.",
            ..LISTENS
        },
        |session, args| subscribe(session, Kind::Channel, &args[1..]),
    ),
    (
        Spec {
            name: "psubscribe",
            summary: "Listens to all channels whose names match one of some patterns.",
            ..LISTENS
        },
        |session, args| subscribe(session, Kind::Pattern, &args[1..]),
    ),
    (
        Spec {
            name: "ssubscribe",
            keys: NOT_KEYS,
            since: "7.0.0",
            summary: "Listens to sharded channels.",
            ..LISTENS
        },
        |session, args| subscribe(session, Kind::Sharded, &args[1..]),
    ),
    (
        Spec {
            name: "unsubscribe",
            arity: -1,
            summary: "Stops listening to channels, without names to all.",
            ..LISTENS
        },
        |session, args| unsubscribe(session, Kind::Channel, &args[1..]),
    ),
    (
        Spec {
            name: "punsubscribe",
            arity: -1,
            summary: "Stops listening to patterns, without names to all.",
            ..LISTENS
        },
        |session, args| unsubscribe(session, Kind::Pattern, &args[1..]),
    ),
    (
        Spec {
            name: "sunsubscribe",
            arity: -1,
            keys: NOT_KEYS,
            since: "7.0.0",
            summary: "Stops listening to sharded channels, without names to all.",
            ..LISTENS
        },
        |session, args| unsubscribe(session, Kind::Sharded, &args[1..]),
    ),
    (
        Spec {
            name: "publish",
            summary: "Sends a message to all who listen to a channel.",
            ..PUBLISHES
        },
        |session, args| publish(session, Kind::Channel, args),
    ),
    (
        Spec {
            name: "spublish",
            keys: &[KeySpec::range(access::NOT_KEY, 1, 0, 1)],
            since: "7.0.0",
            summary: "Sends a message to all who listen to a sharded channel.",
            ..PUBLISHES
        },
        |session, args| publish(session, Kind::Sharded, args),
    ),
    (
        Spec {
            name: "pubsub",
            flags: 0,
            summary: "A container for commands about subscriptions.",
            complexity: "Depends on subcommand.",
            subcommands: &container::specs(&SUBCOMMANDS),
            ..ASKS
        },
        |session, args| container::run(session, args, "pubsub", &SUBCOMMANDS),
    ),
];

fn subscribe(session: &mut Session<'_>, kind: Kind, names: &[&[u8]]) {
    session.then = Then::ReplyAnyway;
    for name in names {
        let count = session.front.subscribe(session.conn, kind, name);
        confirm(&mut session.reply, kind.words().0, Some(name), count);
    }
}

fn unsubscribe(session: &mut Session<'_>, kind: Kind, names: &[&[u8]]) {
    session.then = Then::ReplyAnyway;
    let all = session.front.names_of(session.conn, kind);
    let names: Vec<&[u8]> = if names.is_empty() {
        all.iter().map(|name| &**name).collect()
    } else {
        names.to_vec()
    };
    for name in &names {
        let count = session.front.unsubscribe(session.conn, kind, name);
        confirm(&mut session.reply, kind.words().1, Some(name), count);
    }
    if names.is_empty() {
        let listens = session.client().listens.as_ref();
        let count = listens.map_or(0, |listens| listens.count(kind));
        confirm(&mut session.reply, kind.words().1, None, count);
    }
}

fn confirm(reply: &mut Reply<'_>, word: &str, name: Option<&[u8]>, count: usize) {
    reply.push(3);
    reply.bulk(word.as_bytes());
    reply.bulk_or_null(name);
    reply.integer(count as i64);
}

/// Adds what the shards said, each one number.
fn sum(parts: &[Vec<u8>]) -> i64 {
    parts.iter().filter_map(|part| parse_i64(part)).sum()
}

fn publish(session: &mut Session<'_>, kind: Kind, args: &[&[u8]]) {
    if session.front.is_heard_here_alone(session.conn) {
        let count = session.front.publish_here(kind, args[1], args[2]);
        return session.reply.integer(count as i64);
    }
    let (channel, payload): (Box<[u8]>, Box<[u8]>) = (args[1].into(), args[2].into());
    let deliver: Call = Arc::new(move |front, said| {
        let count = front.deliver_message(kind, &channel, &payload);
        said.extend_from_slice(count.to_string().as_bytes());
    });
    #[cfg(feature = "sabotage")]
    let deliver = session.front.hurry(deliver);
    session.then = Then::AskAll(deliver, Box::new(|parts, reply| reply.integer(sum(&parts))));
}

const HELP: &[&str] = &[
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
    "SHARDCHANNELS [<pattern>]",
    "    Return the currently active shard level channels matching a <pattern> (default: '*').",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    Return the number of subscribers for the specified shard level channel(s)",
];

/// Names with a length before each, as the shards say them.
fn said_names(parts: &[Vec<u8>]) -> BTreeMap<Vec<u8>, ()> {
    let mut names = BTreeMap::new();
    for part in parts {
        let mut rest = &part[..];
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let (name, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
            names.insert(name.to_vec(), ());
            rest = tail;
        }
    }
    names
}

fn say_name(said: &mut Vec<u8>, name: &[u8]) {
    said.extend_from_slice(&(name.len() as u32).to_le_bytes());
    said.extend_from_slice(name);
}

fn channels(session: &mut Session<'_>, kind: Kind, args: &[&[u8]]) {
    if args.len() > 3 {
        let before = "ERR unknown subcommand or wrong number of arguments for '";
        return session.error(quoting(before, args[1], "'. Try PUBSUB HELP."));
    }
    let pattern: Option<Box<[u8]>> = args.get(2).map(|pattern| (*pattern).into());
    let ask: Call = Arc::new(move |front, said| {
        for (name, _) in front.subscriptions.names(kind) {
            if pattern
                .as_ref()
                .is_none_or(|pattern| glob_match(pattern, name))
            {
                say_name(said, name);
            }
        }
    });
    let merge = |parts: Vec<Vec<u8>>, reply: &mut Reply<'_>| {
        let names = said_names(&parts);
        reply.array(names.len());
        names.keys().for_each(|name| reply.bulk(name));
    };
    session.then = Then::AskAll(ask, Box::new(merge));
}

/// A pattern counts once, however many listen to it and on however many shards.
fn count_patterns(session: &mut Session<'_>) {
    let ask: Call = Arc::new(|front, said| {
        for (name, _) in front.subscriptions.names(Kind::Pattern) {
            say_name(said, name);
        }
    });
    let merge = |parts: Vec<Vec<u8>>, reply: &mut Reply<'_>| {
        reply.integer(said_names(&parts).len() as i64);
    };
    session.then = Then::AskAll(ask, Box::new(merge));
}

fn count_listeners(session: &mut Session<'_>, kind: Kind, names: &[&[u8]]) {
    let names: Arc<[Box<[u8]>]> = names.iter().map(|name| Box::from(*name)).collect();
    let asked = names.clone();
    let ask: Call = Arc::new(move |front, said| {
        for name in asked.iter() {
            let count = front.subscriptions.count(kind, name) as u32;
            said.extend_from_slice(&count.to_le_bytes());
        }
    });
    let merge = move |parts: Vec<Vec<u8>>, reply: &mut Reply<'_>| {
        // A list in RESP3, too.
        reply.array(2 * names.len());
        for (index, name) in names.iter().enumerate() {
            let count = |part: &Vec<u8>| {
                let bytes = part.get(4 * index..4 * index + 4)?;
                Some(u32::from_le_bytes(bytes.try_into().ok()?))
            };
            reply.bulk(name);
            reply.integer(parts.iter().filter_map(count).map(i64::from).sum());
        }
    };
    session.then = Then::AskAll(ask, Box::new(merge));
}
