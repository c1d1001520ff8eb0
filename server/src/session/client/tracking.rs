//! CLIENT TRACKING, CACHING, TRACKINGINFO, GETREDIR.

use std::sync::Arc;

use tessera_core::number::parse_i64;
use tessera_io::ConnId;

use crate::front::{Front, Mode};
use crate::session::context::SYNTAX_ERROR;
use crate::session::{Session, Then};

/// The options as they were given.
#[derive(Default)]
struct Options<'a> {
    redirect: i64,
    mode: Mode,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(session: &mut Session<'_>, mut args: &[&'a [u8]]) -> Option<Self> {
        let mut options = Options::default();
        while let [word, rest @ ..] = args {
            args = rest;
            match (word.to_ascii_lowercase().as_slice(), rest) {
                (b"redirect", [id, rest @ ..]) => {
                    if options.redirect != 0 {
                        session.error("ERR A client can only redirect to a single other client");
                        return None;
                    }
                    let Some(id) = parse_i64(id) else {
                        session.error("ERR value is not an integer or out of range");
                        return None;
                    };
                    (options.redirect, args) = (id, rest);
                    if id == 0 {
                        session.error(NO_CLIENT);
                        return None;
                    }
                }
                (b"prefix", [prefix, rest @ ..]) => {
                    options.prefixes.push(prefix);
                    args = rest;
                }
                (b"bcast", _) => options.mode.broadcasts = true,
                (b"optin", _) => options.mode.opt_in = true,
                (b"optout", _) => options.mode.opt_out = true,
                (b"noloop", _) => options.mode.skips_own = true,
                _ => {
                    session.error(SYNTAX_ERROR);
                    return None;
                }
            }
        }
        Some(options)
    }

    /// What is wrong with them, given how the client tracks now.
    fn mistake(&self, now: Option<&Mode>) -> Option<&'static str> {
        let Mode {
            broadcasts,
            opt_in,
            opt_out,
            ..
        } = self.mode;
        let is_now = |what: fn(&Mode) -> bool| now.is_some_and(what);
        if !broadcasts && !self.prefixes.is_empty() {
            Some("ERR PREFIX option requires BCAST mode to be enabled")
        } else if now.is_some_and(|now| now.broadcasts != broadcasts) {
            Some(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
            )
        } else if broadcasts && (opt_in || opt_out) {
            Some("ERR OPTIN and OPTOUT are not compatible with BCAST")
        } else if opt_in && opt_out {
            Some("ERR You can't specify both OPTIN mode and OPTOUT mode")
        } else if opt_in && is_now(|now| now.opt_out) || opt_out && is_now(|now| now.opt_in) {
            Some(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
            )
        } else {
            None
        }
    }

    /// The error if one of the prefixes begins with another.
    fn collision(&self, now: Option<&Mode>) -> Option<Vec<u8>> {
        let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
        let error = |prefix: &[u8], kind: &str, other: &[u8]| {
            [
                b"ERR Prefix '",
                prefix,
                b"' overlaps with ",
                kind.as_bytes(),
                b" prefix '",
                other,
                b"'. Prefixes for a single client must not overlap.",
            ]
            .concat()
        };
        for (at, prefix) in self.prefixes.iter().enumerate() {
            let mut existing = now.iter().flat_map(|now| now.prefixes.iter());
            if let Some(other) = existing.find(|other| overlap(prefix, other)) {
                return Some(error(prefix, "an existing", other));
            }
            let mut others = self.prefixes[at + 1..].iter();
            if let Some(other) = others.find(|other| overlap(prefix, other)) {
                return Some(error(prefix, "another provided", other));
            }
        }
        None
    }
}

const NO_CLIENT: &str = "ERR The client ID you want redirect to does not exist";

pub(super) fn cmd_tracking(session: &mut Session<'_>, args: &[&[u8]]) {
    let Some(options) = Options::parse(session, &args[3..]) else {
        return;
    };
    let conn = session.conn;
    match args[2].to_ascii_lowercase().as_slice() {
        b"on" if options.redirect != 0 => find_target(session, conn, &options),
        b"on" => {
            if let Some(mode) = checked(session, &options) {
                session.front.track(conn, mode);
                session.reply.ok();
            }
        }
        b"off" => {
            session.front.end_tracking(conn);
            session.reply.ok();
        }
        _ => session.error(SYNTAX_ERROR),
    }
}

/// The mode that the options ask for, or an error.
fn checked(session: &mut Session<'_>, options: &Options<'_>) -> Option<Mode> {
    let now = session.client().tracking.clone();
    if let Some(text) = options.mistake(now.as_deref()) {
        session.error(text);
        return None;
    }
    let mut mode = options.mode.clone();
    if mode.broadcasts {
        if let Some(text) = options.collision(now.as_deref()) {
            session.error(text);
            return None;
        }
        mode.prefixes = options
            .prefixes
            .iter()
            .map(|prefix| (*prefix).into())
            .collect();
        if mode.prefixes.is_empty() {
            mode.prefixes.insert(Box::default());
        }
    }
    Some(mode)
}

/// Looks for the client that shall get the messages; its shard says so to this one, before it answers.
fn find_target(session: &mut Session<'_>, conn: ConnId, options: &Options<'_>) {
    let id = u64::try_from(options.redirect).unwrap_or(u64::MAX);
    let now = session.client().tracking.clone();
    let collision = options.collision(now.as_deref());
    let mistake = options.mistake(now.as_deref());
    let mistake = mistake
        .map(|text| text.as_bytes().to_vec())
        .or_else(|| collision.filter(|_| options.mode.broadcasts));
    let mode = match mistake {
        Some(_) => None,
        None => checked(session, options),
    };
    let home = session.front.id;
    session.then = Then::AskAll(
        Arc::new(move |front: &mut Front, said: &mut Vec<u8>| {
            if !front.is_target(id) {
                return;
            }
            said.push(1);
            let Some(mut mode) = mode.clone() else {
                return;
            };
            mode.redirect = Some((id, front.id));
            if front.id == home {
                return front.track(conn, mode);
            }
            let track = move |front: &mut Front, _: &mut Vec<u8>| front.track(conn, mode.clone());
            front.engine.tell(home, None, Arc::new(track));
        }),
        Box::new(move |parts, reply| {
            if parts.iter().all(Vec::is_empty) {
                reply.error(NO_CLIENT);
            } else if let Some(text) = mistake {
                reply.error(text);
            } else {
                reply.ok();
            }
        }),
    );
}

pub(super) fn cmd_caching(session: &mut Session<'_>, args: &[&[u8]]) {
    let Some(mode) = &mut session.client().tracking else {
        return session.error(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        );
    };
    let error = match args[2].to_ascii_lowercase().as_slice() {
        b"yes" if mode.opt_in => None,
        b"yes" => {
            Some("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
        }
        b"no" if mode.opt_out => None,
        b"no" => {
            Some("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
        }
        _ => Some(SYNTAX_ERROR),
    };
    if error.is_none() {
        mode.is_exception = true;
    }
    match error {
        Some(text) => session.error(text),
        None => session.reply.ok(),
    }
}

pub(super) fn cmd_getredir(session: &mut Session<'_>, _: &[&[u8]]) {
    let id = redirect(session.client().tracking.as_deref());
    session.reply.integer(id);
}

/// As Redis shows it: -1 without tracking, 0 without another client.
pub(super) fn redirect(mode: Option<&Mode>) -> i64 {
    mode.map_or(-1, |mode| mode.redirect.map_or(0, |(id, _)| id as i64))
}

pub(super) fn cmd_trackinginfo(session: &mut Session<'_>, _: &[&[u8]]) {
    let mode = session.client().tracking.clone();
    let mut flags = vec![if mode.is_some() { "on" } else { "off" }];
    if let Some(mode) = &mode {
        let more = [
            (mode.broadcasts, "bcast"),
            (mode.opt_in, "optin"),
            (mode.opt_in && mode.is_exception, "caching-yes"),
            (mode.opt_out, "optout"),
            (mode.opt_out && mode.is_exception, "caching-no"),
            (mode.skips_own, "noloop"),
            (mode.is_broken, "broken_redirect"),
        ];
        flags.extend(
            more.iter()
                .filter(|(is_set, _)| *is_set)
                .map(|(_, name)| *name),
        );
    }
    session.reply.map(3);
    session.reply.bulk(b"flags");
    session.reply.set(flags.len());
    for flag in flags {
        session.reply.bulk(flag.as_bytes());
    }
    session.reply.bulk(b"redirect");
    session.reply.integer(redirect(mode.as_deref()));
    session.reply.bulk(b"prefixes");
    let prefixes = mode.map(|mode| mode.prefixes).unwrap_or_default();
    session.reply.array(prefixes.len());
    for prefix in &prefixes {
        session.reply.bulk(prefix);
    }
}
