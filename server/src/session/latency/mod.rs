//! LATENCY: spikes by event, and histograms of all commands.

mod graph;

use std::sync::{Arc, Mutex, PoisonError};

use tessera_core::resp::Reply;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::flag;

use crate::front::{Histogram, Latencies};
use crate::session::slowlog::when_all_told;
use crate::session::{Session, SessionFn, Then, container};
use crate::shared::Shared;
use crate::spikes::{COMMAND, EVICTION_CYCLE, EXPIRE_CYCLE, FAST_COMMAND, Series};

const BASE: Spec = Spec {
    arity: 2,
    flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::AFTER_REPLIES,
    tips: &[
        "nondeterministic_output",
        "request_policy:all_nodes",
        "response_policy:special",
    ],
    since: "2.8.13",
    group: "server",
    complexity: "O(1)",
    ..Spec::NONE
};

const SUBCOMMANDS: [(Spec, SessionFn); 7] = [
    (
        Spec {
            name: "doctor",
            summary: "Tells in words what took long.",
            ..BASE
        },
        doctor,
    ),
    (
        Spec {
            name: "graph",
            arity: 3,
            summary: "Draws the samples of an event.",
            ..BASE
        },
        |session, args| of_event(session, args[2], draw),
    ),
    (
        Spec {
            name: "help",
            flags: flag::LOADING | flag::STALE,
            tips: &[],
            summary: "Tells the subcommands.",
            ..BASE
        },
        |session, _| container::help(session, "latency", HELP),
    ),
    (
        Spec {
            name: "histogram",
            arity: -2,
            since: "7.0.0",
            summary: "Tells how many calls of commands took how long.",
            complexity: "O(N) with N commands that were called",
            ..BASE
        },
        histogram,
    ),
    (
        Spec {
            name: "history",
            arity: 3,
            summary: "Returns the samples of an event.",
            ..BASE
        },
        history,
    ),
    (
        Spec {
            name: "latest",
            summary: "Returns the latest sample of each event, and its worst ever.",
            ..BASE
        },
        |session, _| when_all_told(session, latest),
    ),
    (
        Spec {
            name: "reset",
            arity: -2,
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            summary: "Forgets the samples of events.",
            ..BASE
        },
        reset,
    ),
];

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "latency",
        arity: -2,
        flags: 0,
        tips: &[],
        summary: "A container for commands about what took long.",
        complexity: "Depends on subcommand.",
        subcommands: &container::specs(&SUBCOMMANDS),
        ..BASE
    },
    |session, args| container::run(session, args, "latency", &SUBCOMMANDS),
)];

const HELP: &[&str] = &[
    "DOCTOR",
    "    Tell in words what took long.",
    "GRAPH <event>",
    "    Draw the samples of an event: command, fast-command, expire-cycle or eviction-cycle.",
    "HISTOGRAM [<command> ...]",
    "    Tell how many calls of these commands, or of all, took at most how many microseconds.",
    "HISTORY <event>",
    "    Show the samples of an event: seconds since 1970, and milliseconds.",
    "LATEST",
    "    Show the latest and the worst sample of each event.",
    "RESET [<event> ...]",
    "    Forget the samples of these events, or of all.",
];

fn latest(shared: &Shared, reply: &mut Reply<'_>) {
    let all = shared.spikes.all();
    reply.array(all.len());
    for (event, series) in &all {
        let Some(last) = series.latest() else {
            continue;
        };
        reply.array(4);
        reply.bulk(event.as_bytes());
        reply.integer(last.unix_s as i64);
        reply.integer(last.ms as i64);
        reply.integer(series.worst_ms as i64);
    }
}

fn history(session: &mut Session<'_>, args: &[&[u8]]) {
    let event = args[2].to_vec();
    when_all_told(session, move |shared, reply| {
        let series = shared.spikes.of(&event).unwrap_or_default();
        reply.array(series.samples.len());
        for sample in &series.samples {
            reply.array(2);
            reply.integer(sample.unix_s as i64);
            reply.integer(sample.ms as i64);
        }
    });
}

fn reset(session: &mut Session<'_>, args: &[&[u8]]) {
    let events: Vec<Vec<u8>> = args[2..].iter().map(|event| event.to_vec()).collect();
    when_all_told(session, move |shared, reply| {
        let events: Vec<&[u8]> = events.iter().map(Vec::as_slice).collect();
        reply.integer(shared.spikes.forget(&events) as i64);
    });
}

/// Replies with a text about an event that has samples.
fn of_event(
    session: &mut Session<'_>,
    event: &[u8],
    text: impl FnOnce(&str, &Series, u64) -> String + 'static,
) {
    let (event, now_s) = (event.to_vec(), session.front.unix_us / 1_000_000);
    when_all_told(session, move |shared, reply| {
        match shared.spikes.of(&event) {
            Some(series) => {
                let name = String::from_utf8_lossy(&event);
                reply.verbatim(*b"txt", text(&name, &series, now_s).as_bytes());
            }
            None => {
                let shown = event.strip_suffix(b"\n").unwrap_or(&event);
                let text = [b"ERR No samples available for event '", shown, b"'"].concat();
                reply.error(text);
            }
        }
    });
}

fn draw(event: &str, series: &Series, now_s: u64) -> String {
    let summary = series.summary(now_s);
    let head = format!(
        "{event} - high {} ms, low {} ms (all time high {} ms)\n{}\n",
        summary.high_ms,
        summary.low_ms,
        series.worst_ms,
        "-".repeat(graph::COLUMNS)
    );
    head + &graph::draw(series, now_s)
}

fn doctor(session: &mut Session<'_>, _: &[&[u8]]) {
    let (now_s, config) = (
        session.front.unix_us / 1_000_000,
        session.front.config.clone(),
    );
    let from_ms = config.spike_from_ms;
    when_all_told(session, move |shared, reply| {
        let all = shared.spikes.all();
        let logs_less = config.slowlog_from_us.is_none_or(|us| us / 1000 > from_ms);
        let mut text = String::new();
        if from_ms == 0 && all.is_empty() {
            text += "Nothing is measured: the monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> switches it on.\n";
        } else if all.is_empty() {
            text += &format!(
                "Nothing has taken {from_ms} ms or more since the monitor was switched on.\n"
            );
        }
        for (place, (event, series)) in all.iter().enumerate() {
            let summary = series.summary(now_s);
            text += &format!(
                "{}. {event}: {} latency spikes (average {}ms, mean deviation {}ms, period {:.2} sec). Worst all time event {}ms.\n",
                place + 1,
                summary.count,
                summary.mean_ms,
                summary.deviation_ms,
                summary.period_s as f64 / summary.count.max(1) as f64,
                series.worst_ms,
            );
        }
        for event in all.keys() {
            text += advice(event);
        }
        if all.contains_key(COMMAND) && logs_less {
            text += &format!(
                "- The slow log leaves out commands that are spikes here: CONFIG SET slowlog-log-slower-than {}.\n",
                from_ms.saturating_mul(1000)
            );
        }
        reply.verbatim(*b"txt", text.as_bytes());
    });
}

/// What to do about an event.
fn advice(event: &str) -> &'static str {
    match event {
        COMMAND => {
            "- SLOWLOG GET names the commands, their clients and their shards. Commands over large values or many keys take long; smaller values, or SCAN and its kin, do not.\n"
        }
        FAST_COMMAND => {
            "- A command that touches little took long: the machine has too few free cores, or had to fetch memory from swap.\n"
        }
        EVICTION_CYCLE => {
            "- Much is evicted at once, or large keys: raise maxmemory, or keep smaller values.\n"
        }
        EXPIRE_CYCLE => {
            "- Many keys expire at the same moment, or large ones: spread their times, or lower active-expire-effort.\n"
        }
        _ => "",
    }
}

/// `LATENCY HISTOGRAM [command ...]`. Those of all shards are added.
fn histogram(session: &mut Session<'_>, args: &[&[u8]]) {
    let shared = Arc::clone(&session.front.shared);
    let wanted: Vec<u16> = args[2..]
        .iter()
        .flat_map(|name| shared.registry.counted_as(name))
        .collect();
    let is_all = args.len() == 2;
    // Histograms are no bytes: the shards put them here, and answer with nothing.
    let sum: Arc<Mutex<Latencies>> = Arc::default();
    let gathered = Arc::clone(&sum);
    session.then = Then::AskAll(
        Arc::new(move |front, _| {
            let mut sum = gathered.lock().unwrap_or_else(PoisonError::into_inner);
            sum.add(&front.latencies);
        }),
        Box::new(move |_, reply| {
            let sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            let chosen: Vec<(u16, &Histogram)> = if is_all {
                sum.iter().collect()
            } else {
                let of = |number: &u16| Some((*number, sum.of(*number)?));
                wanted.iter().filter_map(of).collect()
            };
            reply.map(chosen.len());
            for (number, times) in chosen {
                let command = shared.registry.get(number);
                let name = command.map_or("?".into(), |it| it.counted_name());
                reply.bulk(name.as_bytes());
                show(times, reply);
            }
        }),
    );
}

fn show(times: &Histogram, reply: &mut Reply<'_>) {
    let steps = times.doublings();
    reply.map(2);
    reply.bulk(b"calls");
    reply.integer(times.total() as i64);
    reply.bulk(b"histogram_usec");
    reply.map(steps.len());
    for (us, count) in steps {
        reply.integer(us as i64);
        reply.integer(count as i64);
    }
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;
    use crate::spikes::{COMMAND, FAST_COMMAND, Sample};

    fn spiky() -> Rig {
        let mut rig = Rig::new();
        rig.says("CONFIG SET latency-monitor-threshold 5", "+OK|");
        let spikes = &rig.fronts[0].shared.spikes;
        for (unix_s, ms) in [(1_699_999_990, 7), (1_699_999_999, 20)] {
            spikes.add(COMMAND, Sample { unix_s, ms });
        }
        let unix_s = 1_699_999_000;
        spikes.add(FAST_COMMAND, Sample { unix_s, ms: 6 });
        rig
    }

    #[test]
    fn samples_are_shown_and_forgotten() {
        let mut rig = spiky();
        rig.says(
            "LATENCY LATEST",
            "*2|*4|$7|command|:1699999999|:20|:20|*4|$12|fast-command|:1699999000|:6|:6|",
        );
        rig.says(
            "LATENCY HISTORY command",
            "*2|*2|:1699999990|:7|*2|:1699999999|:20|",
        );
        rig.says("LATENCY HISTORY nope", "*0|");
        rig.says("LATENCY RESET nope fast-command", ":1|");
        rig.says("LATENCY RESET", ":1|");
        rig.says("LATENCY LATEST", "*0|");
        let text = "-ERR No samples available for event 'command'|";
        rig.says("LATENCY GRAPH command", text);
        rig.says(
            "LATENCY GRAPH",
            "-ERR wrong number of arguments for 'latency|graph' command|",
        );
    }

    #[test]
    fn the_doctor_names_what_was_slow() {
        let mut rig = spiky();
        let told = rig.send("LATENCY DOCTOR");
        assert!(
            told.contains("1. command: 2 latency spikes (average 13ms, mean deviation 6ms, period 5.00 sec). Worst all time event 20ms."),
            "{told}"
        );
        assert!(told.contains("slowlog-log-slower-than 5000"), "{told}");
        rig.says("LATENCY RESET", ":2|");
        assert!(
            rig.send("LATENCY DOCTOR")
                .contains("Nothing has taken 5 ms")
        );
        rig.says("CONFIG SET latency-monitor-threshold 0", "+OK|");
        assert!(rig.send("LATENCY DOCTOR").contains("the monitor is off"));
        assert!(
            rig.send("LATENCY HELP")
                .starts_with("*15|+LATENCY <subcommand>")
        );
    }

    #[test]
    fn graphs_have_a_head() {
        let mut rig = spiky();
        let drawn = String::from_utf8(rig.send_raw("LATENCY GRAPH command")).unwrap();
        assert!(
            drawn.contains("command - high 20 ms, low 7 ms (all time high 20 ms)\n-----"),
            "{drawn}"
        );
    }

    #[test]
    fn histograms_of_all_shards_are_added() {
        let mut rig = Rig::new();
        let number =
            |rig: &Rig, name: &[u8]| rig.fronts[0].shared.registry.find(name).unwrap().number;
        let (get, config) = (number(&rig, b"get"), number(&rig, b"config"));
        rig.fronts[0].latencies.record_each(&[get; 3], 8_000);
        rig.fronts[1].latencies.record(get, 17_000);
        rig.fronts[1].latencies.record(config, 500);
        rig.says(
            "LATENCY HISTOGRAM get nope",
            "*2|$3|get|*4|$5|calls|:4|$14|histogram_usec|*4|:8|:3|:33|:4|",
        );
        rig.says("LATENCY HISTOGRAM nope", "*0|");
        let all = rig.send("LATENCY HISTOGRAM");
        assert!(all.starts_with("*4|"), "{all}");
        assert!(
            all.contains("$6|config|*4|$5|calls|:1|$14|histogram_usec|*2|:1|:1|"),
            "{all}"
        );
    }
}
