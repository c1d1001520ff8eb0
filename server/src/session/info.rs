//! INFO: asks all shards for their figures and reports them.

use std::sync::{Arc, Mutex, PoisonError};

use tessera_core::resp::Reply;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};

use crate::info::{Node, Section, report};
use crate::session::{Session, SessionFn, Then};
use crate::shared::Figures;

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "info",
        arity: -1,
        flags: flag::LOADING | flag::STALE,
        categories: category::DANGEROUS,
        tips: &[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ],
        group: "server",
        summary: "Returns figures about the server, by section.",
        complexity: "O(1)",
        ..Spec::NONE
    },
    cmd_info,
)];

fn cmd_info(session: &mut Session<'_>, args: &[&[u8]]) {
    let sections = Section::chosen(&args[1..]);
    let wants_latencies =
        session.front.config.latency_tracking && sections.contains(&Section::Latencystats);
    ask_figures(session, wants_latencies, move |node, shards, reply| {
        reply.verbatim(*b"txt", report(node, &sections, shards).as_bytes());
    });
}

/// Asks all shards for their figures, and makes a reply of them.
pub(super) fn ask_figures(
    session: &mut Session<'_>,
    wants_latencies: bool,
    write: impl FnOnce(&Node, &[Figures], &mut Reply<'_>) + 'static,
) {
    let front = &session.front;
    let node = Node {
        shared: Arc::clone(&front.shared),
        config: Arc::clone(&front.config),
        unix_us: front.unix_us,
    };
    // Figures are no bytes: the shards put them here, and answer with nothing.
    let shards: Arc<Mutex<Vec<(usize, Figures)>>> = Arc::default();
    let gathered = Arc::clone(&shards);
    session.then = Then::AskAll(
        Arc::new(move |front, _| {
            let mut figures = front.figures();
            if wants_latencies {
                figures.latencies = front.latencies.clone();
            }
            gathered
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((front.id, figures));
        }),
        Box::new(move |_, reply| {
            let mut shards =
                std::mem::take(&mut *shards.lock().unwrap_or_else(PoisonError::into_inner));
            shards.sort_by_key(|(id, _)| *id);
            let shards: Vec<Figures> = shards.into_iter().map(|(_, figures)| figures).collect();
            write(&node, &shards, reply);
        }),
    );
}

#[cfg(test)]
mod tests {
    use crate::session::rig::{Rig, conn};

    /// The value of a field.
    fn field(text: &str, name: &str) -> String {
        let prefix = format!("{name}:");
        let line = text.split('|').find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .to_owned()
    }

    #[test]
    fn figures_of_all_shards_are_added() {
        let mut rig = Rig::new();
        rig.connect(1, conn(3), "127.0.0.1:50001");
        for front in &mut rig.fronts {
            front.counters.commands = 10;
            front.engine.shard.stats.keyspace_hits = 3;
        }
        let text = rig.send("INFO");
        for (name, value) in [
            ("redis_version", "7.2.4"),
            ("redis_mode", "standalone"),
            ("tcp_port", "6379"),
            ("connected_clients", "2"),
            ("maxclients", "10000"),
            ("maxmemory_policy", "noeviction"),
            ("total_commands_processed", "20"),
            ("keyspace_hits", "6"),
            ("role", "master"),
            ("cluster_enabled", "0"),
            ("loading", "0"),
            ("aof_enabled", "0"),
        ] {
            assert_eq!(field(&text, name), value, "{name}");
        }
        assert!(field(&text, "used_memory_rss").parse::<u64>().unwrap() > 0);
        assert!(text.contains("||# Clients|"), "{text}");
        assert!(text.ends_with("# Keyspace||"), "{text}");
    }

    #[test]
    fn sections_on_request() {
        let mut rig = Rig::new();
        rig.says("INFO nosuch", "$0||");
        rig.says(
            "INFO CLUSTER modules",
            "$43|# Modules||# Cluster|cluster_enabled:0||",
        );
        let shards = rig.send("INFO shards");
        assert!(
            field(&shards, "shard1").starts_with("keys=0,expires=0,mem_bytes="),
            "{shards}"
        );
        assert!(rig.send("INFO all").contains("|# Commandstats|"));
        rig.send("HELLO 3");
        rig.says("INFO cluster", "=34|txt:# Cluster|cluster_enabled:0||");
    }
}
