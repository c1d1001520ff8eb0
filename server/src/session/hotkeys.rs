//! HOTKEYS: sessions that look for hot keys, as in Redis 8.6, and what the shards know without one. docs/design/hotkeys.md.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tessera_core::number::parse_i64;
use tessera_core::resp::Reply;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::flag;
use tessera_shards::shard::heat::{HotKey, Metric, Warmth, hottest};

use crate::front::{Front, Spending};
use crate::hot_keys::Tracking;
use crate::info::cpu_times;
use crate::session::context::SYNTAX_ERROR;
use crate::session::{Session, SessionFn, Then, container};

const BASE: Spec = Spec {
    arity: 2,
    flags: flag::ADMIN | flag::NOSCRIPT | flag::AFTER_REPLIES,
    tips: &["request_policy:special", "response_policy:special"],
    since: "8.6.0",
    group: "server",
    complexity: "O(1)",
    ..Spec::NONE
};

const SUBCOMMANDS: [(Spec, SessionFn); 5] = [
    (
        Spec {
            name: "get",
            summary: "Returns the hottest keys.",
            complexity: "O(K) with K keys returned",
            ..BASE
        },
        get,
    ),
    (
        Spec {
            name: "help",
            flags: flag::LOADING | flag::STALE,
            tips: &[],
            summary: "Tells the subcommands.",
            ..BASE
        },
        |session, _| container::help(session, "hotkeys", HELP),
    ),
    (
        Spec {
            name: "reset",
            summary: "Forgets what the last session has found.",
            ..BASE
        },
        reset,
    ),
    (
        Spec {
            name: "start",
            arity: -2,
            summary: "Begins a session that looks for hot keys.",
            ..BASE
        },
        start,
    ),
    (
        Spec {
            name: "stop",
            summary: "Ends the session; what it has found stays.",
            ..BASE
        },
        stop,
    ),
];

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "hotkeys",
        arity: -2,
        flags: 0,
        tips: &[],
        summary: "A container for commands about hot keys.",
        complexity: "Depends on subcommand.",
        subcommands: &container::specs(&SUBCOMMANDS),
        ..BASE
    },
    |session, args| container::run(session, args, "hotkeys", &SUBCOMMANDS),
)];

const HELP: &[&str] = &[
    "START METRICS <count> [CPU] [NET] [COUNT <k>] [DURATION <seconds>] [SAMPLE <ratio>]",
    "    Begin to look for the <k> keys (10 by default) whose commands take the most time (CPU)",
    "    or bytes (NET), at one command of <ratio> (at each by default), for so many seconds or",
    "    until STOP.",
    "STOP",
    "    End that; what was found stays.",
    "GET",
    "    What was found. Without a session: the hottest keys of the last minute or two, by",
    "    time, bytes and accesses, estimated from one command of hotkeys-sample-ratio.",
    "RESET",
    "    Forget what was found.",
];

/// Keys by each metric without COUNT.
const SHOWN: usize = 10;
/// The last slot of a cluster.
const SLOT_MAX: i64 = 16_383;

/// What START asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Request {
    cpu: bool,
    net: bool,
    count: usize,
    ratio: u32,
    seconds: Option<u64>,
}

/// A number within bounds, or the error.
fn number(arg: Option<&&[u8]>, min: i64, max: i64, error: &str) -> Result<i64, String> {
    let number = arg.ok_or(SYNTAX_ERROR.to_owned())?;
    let number = parse_i64(number).filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| format!("ERR {error}"))
}

fn parse(args: &[&[u8]]) -> Result<Request, String> {
    let is = |arg: &[u8], word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
    let [word, count, rest @ ..] = args else {
        return Err("ERR METRICS parameter is required".to_owned());
    };
    if !is(word, "METRICS") {
        return Err("ERR METRICS parameter is required".to_owned());
    }
    let count = number(Some(count), 1, 2, "METRICS count must be > 0 and <= 2")? as usize;
    let mut request = Request {
        cpu: false,
        net: false,
        count: SHOWN,
        ratio: 1,
        seconds: None,
    };
    let metrics = rest.iter().take(count);
    let named = metrics.take_while(|arg| is(arg, "CPU") || is(arg, "NET"));
    let named: Vec<&&[u8]> = named.collect();
    for metric in &named {
        let (wanted, name) = if is(metric, "CPU") {
            (&mut request.cpu, "CPU")
        } else {
            (&mut request.net, "NET")
        };
        if std::mem::replace(wanted, true) {
            return Err(format!("ERR METRICS {name} defined more than once!"));
        }
    }
    if named.is_empty() {
        let text = "ERR METRICS no valid metrics passed. Supported: CPU|NET";
        return Err(text.to_owned());
    }
    if named.len() < count {
        let text = "ERR METRICS count does not match number of metric types provided";
        return Err(text.to_owned());
    }
    let mut options = rest[count..].iter();
    while let Some(word) = options.next() {
        if is(word, "COUNT") {
            let text = "COUNT must be between 1 and 64";
            request.count = number(options.next(), 1, 64, text)? as usize;
        } else if is(word, "DURATION") {
            let text = "DURATION must be between 1 and 1000000";
            request.seconds = Some(number(options.next(), 1, 1_000_000, text)? as u64);
        } else if is(word, "SAMPLE") {
            let text = "SAMPLE ratio must be positive";
            request.ratio = number(options.next(), 1, i64::from(u32::MAX), text)? as u32;
        } else if is(word, "SLOTS") {
            return Err("ERR SLOTS parameter cannot be used in non-cluster mode".to_owned());
        } else {
            return Err(SYNTAX_ERROR.to_owned());
        }
    }
    Ok(request)
}

fn now_ms(session: &Session<'_>) -> u64 {
    session.front.unix_us / 1000
}

fn start(session: &mut Session<'_>, args: &[&[u8]]) {
    const IN_PROGRESS: &str = "ERR hotkey tracking session already in progress";
    let from_ms = now_ms(session);
    let hot_keys = &session.front.shared.hot_keys;
    if hot_keys.get().is_some_and(|it| it.is_active(from_ms)) {
        return session.error(IN_PROGRESS);
    }
    let request = match parse(&args[2..]) {
        Ok(request) => request,
        Err(text) => return session.error(text),
    };
    let until_ms = request
        .seconds
        .map_or(u64::MAX, |seconds| from_ms + seconds * 1000);
    let tracking = Tracking {
        cpu: request.cpu,
        net: request.net,
        count: request.count,
        ratio: request.ratio,
        from_ms,
        until_ms,
        cpu_from: cpu_times(),
        ended: None,
    };
    if !session.front.shared.hot_keys.start(tracking) {
        return session.error(IN_PROGRESS);
    }
    session.on_all_shards(move |front| front.start_heat(tracking.ratio, until_ms));
}

fn stop(session: &mut Session<'_>, _: &[&[u8]]) {
    let now_ms = now_ms(session);
    if session.front.shared.hot_keys.stop(now_ms) {
        session.on_all_shards(Front::stop_heat);
    } else {
        session.error("ERR no hotkey tracking session in progress");
    }
}

fn reset(session: &mut Session<'_>, _: &[&[u8]]) {
    let now_ms = now_ms(session);
    if session.front.shared.hot_keys.reset(now_ms) {
        session.on_all_shards(Front::reset_heat);
    } else {
        session.error("ERR hotkey tracking session in progress, stop it first");
    }
}

fn get(session: &mut Session<'_>, _: &[&[u8]]) {
    let now_ms = now_ms(session);
    let tracking = session.front.shared.hot_keys.get();
    if tracking.is_none() && session.front.config.hot_ratio == 0 {
        return session.reply.null();
    }
    let found: Arc<Mutex<Vec<(Warmth, Spending)>>> = Arc::default();
    let told = Arc::clone(&found);
    let ask = move |front: &mut Front, _: &mut Vec<u8>| {
        let heat = &mut front.engine.shard.heat;
        // More than are shown: a key that was borrowed is counted where it was used.
        let warmth = match tracking {
            Some(tracking) => heat.session(4 * tracking.count).unwrap_or_default(),
            None => heat.lately(now_ms, 4 * SHOWN),
        };
        let of_shard = (warmth, front.heat_spending());
        let mut all = told.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(of_shard);
    };
    session.then = Then::AskAll(
        Arc::new(ask),
        Box::new(move |_, reply| {
            let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
            match tracking {
                Some(tracking) => show_session(&tracking, now_ms, &found, reply),
                None => show_lately(now_ms, &found, reply),
            }
        }),
    );
}

fn field(reply: &mut Reply<'_>, name: &str, value: u64) {
    reply.bulk(name.as_bytes());
    reply.integer(value as i64);
}

/// What both answers begin with: one map in an array, and its first fields.
fn begin(reply: &mut Reply<'_>, fields: usize, is_active: bool, ratio: u32) {
    reply.array(1);
    reply.map(fields);
    field(reply, "tracking-active", is_active.into());
    field(reply, "sample-ratio", ratio.into());
    reply.bulk(b"selected-slots");
    reply.array(1);
    reply.array(2);
    reply.integer(0);
    reply.integer(SLOT_MAX);
}

/// A list of keys, each followed by its amount.
fn list(
    reply: &mut Reply<'_>,
    name: &str,
    found: &[(Warmth, Spending)],
    (metric, unit): (Metric, u64),
    count: usize,
) {
    let mut sums: HashMap<&[u8], u64> = HashMap::new();
    for (warmth, _) in found {
        for hot in &warmth.keys[metric as usize] {
            *sums.entry(&hot.key).or_default() += hot.amount;
        }
    }
    let keys = sums.into_iter().map(|(key, amount)| HotKey {
        db: 0,
        key: key.into(),
        amount,
    });
    let keys = hottest(keys.collect(), count);
    reply.bulk(name.as_bytes());
    reply.array(2 * keys.len());
    for hot in keys {
        reply.bulk(&hot.key);
        reply.integer((hot.amount / unit) as i64);
    }
}

const BY_TIME: (Metric, u64) = (Metric::Time, 1000);
const BY_BYTES: (Metric, u64) = (Metric::Bytes, 1);
const BY_ACCESSES: (Metric, u64) = (Metric::Accesses, 1);

fn show_session(
    tracking: &Tracking,
    now_ms: u64,
    found: &[(Warmth, Spending)],
    reply: &mut Reply<'_>,
) {
    let fields = 7 + 3 * usize::from(tracking.cpu) + 2 * usize::from(tracking.net);
    let ns: u64 = found.iter().map(|(_, spending)| spending.ns).sum();
    let net_bytes: u64 = found.iter().map(|(_, spending)| spending.net_bytes).sum();
    begin(reply, fields, tracking.is_active(now_ms), tracking.ratio);
    field(reply, "all-commands-all-slots-us", ns / 1000);
    field(reply, "net-bytes-all-commands-all-slots", net_bytes);
    field(reply, "collection-start-time-unix-ms", tracking.from_ms);
    let duration_ms = tracking.duration_ms(now_ms);
    field(reply, "collection-duration-ms", duration_ms);
    if tracking.cpu {
        let (user_ms, system_ms) = tracking.cpu_ms();
        field(reply, "total-cpu-time-user-ms", user_ms);
        field(reply, "total-cpu-time-sys-ms", system_ms);
    }
    if tracking.net {
        field(reply, "total-net-bytes", net_bytes);
    }
    if tracking.cpu {
        list(reply, "by-cpu-time-us", found, BY_TIME, tracking.count);
    }
    if tracking.net {
        list(reply, "by-net-bytes", found, BY_BYTES, tracking.count);
    }
}

/// The last minute or two.
fn show_lately(now_ms: u64, found: &[(Warmth, Spending)], reply: &mut Reply<'_>) {
    let ratio = found.iter().map(|(warmth, _)| warmth.ratio).max();
    let from_ms = found.iter().map(|(warmth, _)| warmth.from_ms).min();
    let from_ms = from_ms.unwrap_or(now_ms).min(now_ms);
    let total = |metric: Metric| {
        let totals = found.iter().map(|(it, _)| it.totals[metric as usize]);
        totals.sum::<u64>()
    };
    begin(reply, 10, true, ratio.unwrap_or(0));
    let ns = total(Metric::Time);
    field(reply, "all-commands-all-slots-us", ns / 1000);
    let bytes = total(Metric::Bytes);
    field(reply, "net-bytes-all-commands-all-slots", bytes);
    field(reply, "collection-start-time-unix-ms", from_ms);
    field(reply, "collection-duration-ms", now_ms - from_ms);
    list(reply, "by-cpu-time-us", found, BY_TIME, SHOWN);
    list(reply, "by-net-bytes", found, BY_BYTES, SHOWN);
    list(reply, "by-accesses", found, BY_ACCESSES, SHOWN);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::rig::Rig;
    use tessera_shards::shard::heat::Cost;

    fn parsed(line: &str) -> Result<Request, String> {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        parse(&words)
    }

    #[test]
    fn what_start_asks_for() {
        assert_eq!(
            parsed("metrics 2 net CPU count 3 duration 5 sample 100"),
            Ok(Request {
                cpu: true,
                net: true,
                count: 3,
                ratio: 100,
                seconds: Some(5)
            })
        );
        for (line, error) in [
            ("", "METRICS parameter is required"),
            ("METRICS", "METRICS parameter is required"),
            ("COUNT 3 METRICS 1 CPU", "METRICS parameter is required"),
            ("METRICS 0 CPU", "METRICS count must be > 0 and <= 2"),
            ("METRICS 3 CPU NET", "METRICS count must be > 0 and <= 2"),
            (
                "METRICS 1 GPU",
                "METRICS no valid metrics passed. Supported: CPU|NET",
            ),
            (
                "METRICS 2 CPU COUNT 3",
                "METRICS count does not match number of metric types provided",
            ),
            ("METRICS 2 CPU CPU", "METRICS CPU defined more than once!"),
            ("METRICS 1 CPU NET", "syntax error"),
            ("METRICS 1 CPU COUNT", "syntax error"),
            ("METRICS 1 CPU COUNT 65", "COUNT must be between 1 and 64"),
            (
                "METRICS 1 CPU DURATION 0",
                "DURATION must be between 1 and 1000000",
            ),
            ("METRICS 1 CPU SAMPLE 0", "SAMPLE ratio must be positive"),
            (
                "METRICS 1 CPU SLOTS 1 5",
                "SLOTS parameter cannot be used in non-cluster mode",
            ),
        ] {
            assert_eq!(parsed(line), Err(format!("ERR {error}")), "{line}");
        }
    }

    fn note(rig: &mut Rig, shard: usize, key: &[u8], ns: u64) {
        let shard = &mut rig.fronts[shard].engine.shard;
        let hash = shard.hash(key);
        let cost = Cost {
            weight: 1,
            keys: 1,
            ns,
            bytes: 30,
        };
        shard.heat.note(1_700_000_000_123, hash, 0, key, cost);
    }

    #[test]
    fn a_session_from_start_to_reset() {
        let mut rig = Rig::new();
        rig.says(
            "HOTKEYS STOP",
            "-ERR no hotkey tracking session in progress|",
        );
        rig.says("HOTKEYS START METRICS 1 CPU COUNT 2", "+OK|");
        rig.says(
            "HOTKEYS START METRICS 1 CPU",
            "-ERR hotkey tracking session already in progress|",
        );
        rig.says(
            "HOTKEYS RESET",
            "-ERR hotkey tracking session in progress, stop it first|",
        );
        for (shard, key, ns) in [(0, b"a", 5_000), (1, b"b", 9_000), (1, b"a", 7_000)] {
            note(&mut rig, shard, key, ns);
        }
        note(&mut rig, 0, b"c", 1_000);
        rig.says("HOTKEYS STOP", "+OK|");
        note(&mut rig, 0, b"c", 1_000_000);
        let said = rig.send("HOTKEYS GET");
        assert!(
            said.starts_with("*1|*20|$15|tracking-active|:0|$12|sample-ratio|:1|"),
            "{said}"
        );
        assert!(
            said.contains("|$14|selected-slots|*1|*2|:0|:16383|"),
            "{said}"
        );
        assert!(
            said.ends_with("|$14|by-cpu-time-us|*4|$1|a|:12|$1|b|:9|"),
            "{said}"
        );
        rig.says("HOTKEYS RESET", "+OK|");
        rig.says("HOTKEYS START METRICS 2 CPU NET", "+OK|");
        assert!(
            rig.send("HOTKEYS GET")
                .starts_with("*1|*24|$15|tracking-active|:1|")
        );
        rig.send("HELLO 3");
        assert!(rig.send("HOTKEYS GET").starts_with("*1|%12|"));
    }

    #[test]
    fn without_a_session_the_last_minutes_are_shown() {
        let mut rig = Rig::new();
        note(&mut rig, 0, b"a", 5_000);
        note(&mut rig, 1, b"b", 5_000);
        note(&mut rig, 1, b"b", 5_000);
        let said = rig.send("HOTKEYS GET");
        assert!(said.contains("|sample-ratio|:128|"), "{said}");
        assert!(
            said.contains("|by-net-bytes|*4|$1|b|:60|$1|a|:30|"),
            "{said}"
        );
        assert!(said.ends_with("|by-accesses|*4|$1|b|:2|$1|a|:1|"), "{said}");
        rig.says("CONFIG SET hotkeys-sample-ratio 0", "+OK|");
        rig.says("HOTKEYS GET", "$-1|");
    }
}
