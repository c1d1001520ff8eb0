//! MEMORY DOCTOR, MALLOC-STATS, PURGE and STATS: what concerns the node. KEYS is in `largest`; USAGE and HELP, and the row itself, are with the commands over keys.

use tessera_core::resp::Reply;

use crate::info::{Memory, Node};
use crate::session::info::{Wants, ask_figures};
use crate::session::largest;
use crate::session::{Session, SessionFn};
use crate::shared::Figures;

/// Bytes in use below which there is nothing to say about memory.
const WORTH_BYTES: u64 = 5 << 20;
const MIB: u64 = 1 << 20;

const OF_NODE: [(&[u8], SessionFn); 4] = [
    (b"doctor", cmd_doctor),
    (b"malloc-stats", cmd_malloc_stats),
    (b"purge", cmd_purge),
    (b"stats", cmd_stats),
];

/// The function of a MEMORY request that concerns the node; `None`: one over keys, or one with a mistake.
pub(crate) fn of_node(args: &[&[u8]]) -> Option<SessionFn> {
    let [_, name, options @ ..] = args else {
        return None;
    };
    if name.eq_ignore_ascii_case(b"keys") {
        return Some(largest::cmd_memory_keys);
    }
    if !options.is_empty() {
        return None;
    }
    let named = |(known, _): &&(&[u8], SessionFn)| known.eq_ignore_ascii_case(name);
    OF_NODE.iter().find(named).map(|(_, run)| *run)
}

/// What MEMORY STATS and DOCTOR go by.
struct Look {
    memory: Memory,
    /// `used_memory`.
    used: u64,
    peak: u64,
    start: u64,
    data: u64,
    clients: u64,
    keys: u64,
    limit: u64,
}

impl Look {
    fn new(node: &Node, shards: &[Figures]) -> Self {
        let memory = Memory::now();
        let sum = |figure: fn(&Figures) -> u64| shards.iter().map(figure).sum::<u64>();
        let data = sum(|figures| figures.mem_bytes);
        let used = memory.allocated.max(data);
        Look {
            memory,
            used,
            peak: node.note_peak(used),
            start: node.shared.start_bytes,
            data,
            clients: sum(|figures| figures.clients.mem_bytes),
            keys: sum(|figures| figures.dbs.iter().map(|db| db.keys).sum()),
            limit: node.config.memory_bytes_max,
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn cmd_stats(session: &mut Session<'_>, _: &[&[u8]]) {
    ask_figures(session, Wants::default(), |node, shards, reply| {
        stats(&Look::new(node, shards), shards, reply);
    });
}

/// Fields and types of Redis 7.0. The tables of keys are data here: there is no overhead per database to report.
fn stats(look: &Look, shards: &[Figures], reply: &mut Reply<'_>) {
    let databases = shards.first().map_or(0, |figures| figures.dbs.len());
    let keys_of = |db: usize| shards.iter().map(|figures| figures.dbs[db].keys).sum();
    let filled: Vec<usize> = (0..databases)
        .filter(|db| {
            let keys: u64 = keys_of(*db);
            keys > 0
        })
        .collect();
    reply.map(27 + filled.len());
    let integer = |reply: &mut Reply<'_>, name: &str, value: u64| {
        reply.bulk(name.as_bytes());
        reply.integer(value as i64);
    };
    let net = look.used.saturating_sub(look.start);
    for (name, value) in [
        ("peak.allocated", look.peak),
        ("total.allocated", look.used),
        ("startup.allocated", look.start),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", look.clients),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("lua.caches", 0),
        ("functions.caches", 0),
    ] {
        integer(reply, name, value);
    }
    for db in filled {
        reply.bulk(format!("db.{db}").as_bytes());
        reply.map(3);
        integer(reply, "overhead.hashtable.main", 0);
        integer(reply, "overhead.hashtable.expires", 0);
        integer(reply, "overhead.hashtable.slot-to-keys", 0);
    }
    integer(reply, "overhead.total", look.used - look.data);
    integer(reply, "keys.count", look.keys);
    let per_key = net.checked_div(look.keys).unwrap_or(0);
    integer(reply, "keys.bytes-per-key", per_key);
    integer(reply, "dataset.bytes", look.data);
    let double = |reply: &mut Reply<'_>, name: &str, value: f64| {
        reply.bulk(name.as_bytes());
        reply.double(value);
    };
    let of_dataset = 100.0 * ratio(look.data, net).min(1.0);
    double(reply, "dataset.percentage", of_dataset);
    double(
        reply,
        "peak.percentage",
        100.0 * ratio(look.used, look.peak),
    );
    let memory = &look.memory;
    integer(reply, "allocator.allocated", memory.allocated);
    integer(reply, "allocator.active", memory.active);
    integer(reply, "allocator.resident", memory.resident);
    for (name, part, whole) in [
        ("allocator-fragmentation", memory.active, memory.allocated),
        ("allocator-rss", memory.resident, memory.active),
        ("rss-overhead", memory.rss, memory.resident),
    ] {
        double(reply, &format!("{name}.ratio"), ratio(part, whole));
        reply.bulk(format!("{name}.bytes").as_bytes());
        reply.integer(part as i64 - whole as i64);
    }
    double(reply, "fragmentation", ratio(memory.rss, look.used));
    reply.bulk(b"fragmentation.bytes");
    reply.integer(memory.rss as i64 - look.used as i64);
}

fn cmd_doctor(session: &mut Session<'_>, _: &[&[u8]]) {
    ask_figures(session, Wants::default(), |node, shards, reply| {
        let text = diagnosis(&Look::new(node, shards));
        reply.verbatim(*b"txt", text.as_bytes());
    });
}

fn diagnosis(look: &Look) -> String {
    if look.used < WORTH_BYTES {
        return "There is too little in memory to say anything about it.\n".to_owned();
    }
    let mut findings = Vec::new();
    if ratio(look.peak, look.used) > 1.5 {
        findings.push(format!(
            "Peak: {} MiB were in use at some time, {} MiB are now. Memory goes back to the system within seconds; MEMORY PURGE does it at once.",
            look.peak / MIB,
            look.used / MIB
        ));
    }
    let memory = &look.memory;
    let wasted = memory.active.saturating_sub(memory.allocated);
    if ratio(memory.active, memory.allocated) > 1.1 && wasted > 10 * MIB {
        findings.push(format!(
            "Fragmentation: the allocator keeps {} MiB in pages that are used in part. It comes from values that changed their size, and goes when new \
             values fill the gaps.",
            wasted / MIB
        ));
    }
    let held = memory.rss.saturating_sub(look.used);
    if ratio(memory.rss, look.used) > 1.5 && held > 10 * MIB {
        findings.push(format!(
            "Resident set: the process holds {} MiB more than is in use. MEMORY PURGE gives back what can be given back.",
            held / MIB
        ));
    }
    if look.limit > 0 && look.used > look.limit / 100 * 95 {
        findings.push(format!(
            "Limit: {} of {} MiB are in use: keys are being evicted or writes refused, as maxmemory-policy says.",
            look.used / MIB,
            look.limit / MIB
        ));
    }
    if look.clients > look.used / 4 {
        findings.push(format!(
            "Clients: their buffers take {} MiB. CLIENT LIST shows whose (qbuf, omem); client-output-buffer-limit bounds them.",
            look.clients / MIB
        ));
    }
    if findings.is_empty() {
        return "Nothing is wrong with the memory of this server.\n".to_owned();
    }
    let mut text = String::from("What there is to say about the memory of this server:\n\n");
    for finding in findings {
        text.push_str(&format!(" * {finding}\n"));
    }
    text
}

fn cmd_malloc_stats(session: &mut Session<'_>, _: &[&[u8]]) {
    let mut text = Vec::new();
    let options = tikv_jemalloc_ctl::stats_print::Options::default();
    match tikv_jemalloc_ctl::stats_print::stats_print(&mut text, options) {
        Ok(()) => session.reply.verbatim(*b"txt", &text),
        Err(_) => session.error("ERR The allocator does not tell"),
    }
}

fn cmd_purge(session: &mut Session<'_>, _: &[&[u8]]) {
    if tessera_io::allocator::purge() {
        session.reply.ok();
    } else {
        session.error("ERR Error purging dirty pages");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        Look {
            memory: Memory {
                allocated: 100 * MIB,
                active: 101 * MIB,
                resident: 102 * MIB,
                rss: 103 * MIB,
                system: 1 << 40,
            },
            used: 100 * MIB,
            peak: 100 * MIB,
            start: MIB,
            data: 90 * MIB,
            clients: MIB,
            keys: 10,
            limit: 0,
        }
    }

    #[test]
    fn the_doctor_names_what_is_wrong() {
        assert!(diagnosis(&look()).starts_with("Nothing is wrong"));
        let mut sick = look();
        (sick.peak, sick.limit, sick.clients) = (200 * MIB, 101 * MIB, 50 * MIB);
        (sick.memory.active, sick.memory.rss) = (150 * MIB, 200 * MIB);
        let text = diagnosis(&sick);
        for word in ["Peak", "Fragmentation", "Resident", "Limit", "Clients"] {
            assert!(text.contains(&format!(" * {word}")), "{word} in {text}");
        }
        sick.used = MIB;
        assert!(diagnosis(&sick).starts_with("There is too little"));
    }

    #[test]
    fn which_requests_concern_the_node() {
        assert!(of_node(&[b"memory", b"STATS"]).is_some());
        assert!(of_node(&[b"memory", b"stats", b"x"]).is_none());
        assert!(of_node(&[b"memory", b"usage"]).is_none());
        assert!(of_node(&[b"memory", b"Keys", b"COUNT", b"3"]).is_some());
        assert!(of_node(&[b"memory"]).is_none());
    }
}
