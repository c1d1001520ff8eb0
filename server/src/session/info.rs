//! INFO: asks all shards for their figures and reports them.

use std::sync::{Arc, Mutex, PoisonError};

use tessera_core::resp::Reply;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};

use crate::front::{Front, Look, Places};
use crate::info::{Node, Section, report};
use crate::session::{Session, SessionFn, Then};
use crate::shared::{ClientFigures, Figures};

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
    let wants = Wants {
        latencies: session.front.config.latency_tracking
            && sections.contains(&Section::Latencystats),
        hot_keys: sections.contains(&Section::Hotkeys),
        big_keys: sections.contains(&Section::Bigkeys),
    };
    ask_figures(session, wants, move |node, shards, reply| {
        reply.verbatim(*b"txt", report(node, &sections, shards).as_bytes());
    });
}

/// Figures that are asked for beside the others: they take time to put together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wants {
    latencies: bool,
    hot_keys: bool,
    big_keys: bool,
}

/// Buckets that are looked at for large keys before these are shown: a few tenths of a millisecond's worth.
const BUCKETS_LOOKED_AT: usize = 512;
/// Clients that are looked at at once.
const CLIENTS_AT_ONCE: usize = 1024;

impl Wants {
    /// A shard's figures, with what is wanted beside them.
    fn of(self, front: &mut Front, of_clients: ClientFigures) -> Figures {
        let mut figures = front.figures(of_clients);
        if self.latencies {
            figures.latencies = front.latencies.clone();
        }
        let shard = &mut front.engine.shard;
        if self.hot_keys {
            let now_ms = shard.wall_ms();
            figures.warmth = shard.heat.lately(now_ms, HOT_KEYS_ASKED);
        }
        if self.big_keys {
            shard.census_slice(BUCKETS_LOOKED_AT);
            figures.census = shard.census();
        }
        figures
    }
}

/// Hot keys that a shard tells: what is borrowed is counted where it is used, so more than are shown.
const HOT_KEYS_ASKED: usize = 64;

/// Asks all shards for their figures, and makes a reply of them.
pub(super) fn ask_figures(
    session: &mut Session<'_>,
    wants: Wants,
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
            let gathered = Arc::clone(&gathered);
            let (mut places, mut of_clients) = (Places::default(), ClientFigures::default());
            front.look = Some(Look::Front(Box::new(move |front, _| {
                let (next, is_last) = places.take(front, CLIENTS_AT_ONCE);
                front
                    .clients
                    .among(next)
                    .for_each(|client| of_clients.add(client));
                if is_last {
                    let figures = wants.of(front, of_clients);
                    let mut all = gathered.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push((front.id, figures));
                }
                is_last
            })));
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
