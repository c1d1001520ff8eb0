//! The text of INFO. Fields are named as in Redis 7, so that clients and dashboards find them; a field that Redis has and that
//! would be a guess here is left out.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tessera_core::number::human_bytes;
use tessera_persist::snapshot::SaveStatus;

use crate::config::Config;
use crate::front::{CommandTally, Latencies, Tally};
use crate::info::keys::{big_keys, hot_keys};
use crate::info::process::{cpu_times, executable, main_thread_times, system_name};
use crate::info::{Memory, Section};
use crate::loading::Loading;
use crate::session::{REDIS_VERSION, VERSION};
use crate::shared::{Figures, Shared};
use crate::start::wall_clock_s;

/// What the report is made of besides the shards' figures.
pub struct Node {
    /// The node.
    pub shared: Arc<Shared>,
    /// Its configuration.
    pub config: Arc<Config>,
    /// Wall clock, microseconds.
    pub unix_us: u64,
}

impl Node {
    /// Notes how much memory is in use, and returns the most that ever was.
    #[must_use]
    pub fn note_peak(&self, used: u64) -> u64 {
        let peak = &self.shared.peak_bytes;
        peak.fetch_max(used, Ordering::Relaxed).max(used)
    }
}

/// The text of these sections, from the figures of all shards in their order.
#[must_use]
pub fn report(node: &Node, sections: &[Section], shards: &[Figures]) -> String {
    let mut text = Text(String::new());
    for section in sections {
        if !text.0.is_empty() {
            text.0.push_str("\r\n");
        }
        // Writing to a string cannot fail.
        let _ = write!(text.0, "# {}\r\n", section.title());
        match section {
            Section::Server => server(&mut text, node),
            Section::Clients => clients(&mut text, node, shards),
            Section::Memory => memory(&mut text, node, shards),
            Section::Persistence => persistence(&mut text, node, shards),
            Section::Stats => stats(&mut text, shards),
            Section::Replication => replication(&mut text, node),
            Section::Cpu => cpu(&mut text),
            Section::Commandstats => command_stats(&mut text, node, shards),
            Section::Errorstats => error_stats(&mut text, shards),
            Section::Modules => {}
            Section::Latencystats => latency_stats(&mut text, node, shards),
            Section::Cluster => text.line("cluster_enabled", 0),
            Section::Keyspace => keyspace(&mut text, shards),
            Section::Shards => per_shard(&mut text, shards),
            Section::Bigkeys => text.0.push_str(&big_keys(shards)),
            Section::Hotkeys => text.0.push_str(&hot_keys(node.unix_us / 1000, shards)),
        }
    }
    text.0
}

/// What all shards' clients called and got.
fn tally(shards: &[Figures]) -> Tally {
    let mut sum = Tally::default();
    for shard in shards {
        sum.add(&shard.tally);
    }
    sum
}

/// Times per command.
fn command_stats(text: &mut Text, node: &Node, shards: &[Figures]) {
    for (number, figures) in tally(shards).commands.iter().enumerate() {
        if figures.calls + figures.rejected > 0
            && let Some(command) = node.shared.registry.get(number as u16)
        {
            // A subcommand that does not exist counts as no call.
            let has_parts = command.part.is_none() && !command.spec.subcommands.is_empty();
            if has_parts && figures.rejected == 0 {
                continue;
            }
            let CommandTally {
                calls,
                rejected,
                failed,
                spent_ns,
            } = figures;
            let usec = spent_ns / 1000;
            let per_call = usec as f64 / (*calls).max(1) as f64;
            let value = format_args!(
                "calls={calls},usec={usec},usec_per_call={per_call:.2},rejected_calls={rejected},failed_calls={failed}"
            );
            text.line(format_args!("cmdstat_{}", command.counted_name()), value);
        }
    }
}

/// How long commands took.
fn latency_stats(text: &mut Text, node: &Node, shards: &[Figures]) {
    let mut sum = Latencies::default();
    for shard in shards {
        sum.add(&shard.latencies);
    }
    let percentiles: Vec<f64> = node
        .config
        .latency_percentiles
        .iter()
        .filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
        .collect();
    for (number, times) in sum.iter() {
        let Some(command) = node.shared.registry.get(number) else {
            continue;
        };
        let value = |percent: &f64| {
            let name = format!("{percent:.6}");
            let name = name.trim_end_matches('0').trim_end_matches('.');
            format!("p{name}={:.3}", times.percentile(*percent) as f64 / 1000.0)
        };
        let values: Vec<String> = percentiles.iter().map(value).collect();
        text.line(
            format_args!("latency_percentiles_usec_{}", command.counted_name()),
            values.join(","),
        );
    }
}

/// Times per error code.
fn error_stats(text: &mut Text, shards: &[Figures]) {
    for (code, count) in tally(shards).errors {
        text.line(
            format_args!("errorstat_{code}"),
            format_args!("count={count}"),
        );
    }
}

/// Lines `field:value`.
struct Text(String);

impl Text {
    fn line(&mut self, field: impl Display, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{field}:{value}\r\n");
    }

    /// An amount, and the same for human eyes.
    fn bytes(&mut self, field: &str, bytes: u64) {
        self.line(field, bytes);
        self.line(format_args!("{field}_human"), human_bytes(bytes));
    }

    fn zeros(&mut self, fields: &[&str]) {
        for field in fields {
            self.line(field, 0);
        }
    }
}

fn sum(shards: &[Figures], figure: impl Fn(&Figures) -> u64) -> u64 {
    shards.iter().map(figure).sum()
}

fn server(text: &mut Text, node: &Node) {
    let Node {
        shared,
        config,
        unix_us,
    } = node;
    let uptime_s = unix_us.saturating_sub(shared.started_us) / 1_000_000;
    text.line("redis_version", REDIS_VERSION);
    text.line("tessera_version", VERSION);
    text.line("tessera_shards", shared.mesh.shards());
    text.line("redis_git_sha1", "00000000");
    text.line("redis_git_dirty", 0);
    text.line("redis_build_id", 0);
    text.line("redis_mode", "standalone");
    text.line("os", system_name());
    text.line("arch_bits", usize::BITS);
    text.line("monotonic_clock", "POSIX clock_gettime");
    text.line("multiplexing_api", shared.backend);
    text.line("process_id", std::process::id());
    text.line("process_supervised", "no");
    text.line("run_id", &shared.run_id);
    text.line("tcp_port", config.port);
    text.line("server_time_usec", unix_us);
    text.line("uptime_in_seconds", uptime_s);
    text.line("uptime_in_days", uptime_s / 86_400);
    text.line("hz", config.hz);
    text.line("configured_hz", config.hz);
    text.line("lru_clock", (unix_us / 1_000_000) & 0xFF_FFFF);
    text.line("executable", executable());
    text.line(
        "config_file",
        shared
            .config_file
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default(),
    );
    text.line("io_threads_active", 0);
}

fn clients(text: &mut Text, node: &Node, shards: &[Figures]) {
    text.line(
        "connected_clients",
        sum(shards, |figures| figures.clients.count),
    );
    text.line("cluster_connections", 0);
    text.line("maxclients", node.config.clients_max);
    let max = |figure: fn(&Figures) -> u64| shards.iter().map(figure).max().unwrap_or(0);
    text.line(
        "client_recent_max_input_buffer",
        max(|figures| figures.clients.input_bytes_max),
    );
    text.line(
        "client_recent_max_output_buffer",
        max(|figures| figures.clients.output_bytes_max),
    );
    let sum = |figure: fn(&Figures) -> u64| shards.iter().map(figure).sum::<u64>();
    text.line("blocked_clients", sum(|figures| figures.clients.blocked));
    text.line("tracking_clients", sum(|figures| figures.clients.tracking));
    text.zeros(&["clients_in_timeout_table"]);
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn memory(text: &mut Text, node: &Node, shards: &[Figures]) {
    let memory = Memory::now();
    let data = sum(shards, |figures| figures.mem_bytes);
    // Under another allocator than ours, as in tests, only what the shards count is known.
    let used = memory.allocated.max(data);
    let peak = node.note_peak(used);
    let overhead = used - data;
    let start = node.shared.start_bytes;
    text.bytes("used_memory", used);
    text.bytes("used_memory_rss", memory.rss);
    text.bytes("used_memory_peak", peak);
    text.line(
        "used_memory_peak_perc",
        format_args!("{:.2}%", 100.0 * ratio(used, peak)),
    );
    text.line("used_memory_overhead", overhead);
    text.line("used_memory_startup", start);
    text.line("used_memory_dataset", data);
    let dataset = 100.0 * ratio(data, used.saturating_sub(start)).min(1.0);
    text.line("used_memory_dataset_perc", format_args!("{dataset:.2}%"));
    text.line("allocator_allocated", memory.allocated);
    text.line("allocator_active", memory.active);
    text.line("allocator_resident", memory.resident);
    text.bytes("total_system_memory", memory.system);
    let (scripts, script_bytes) = node.shared.scripts.script_figures();
    let (libraries, functions, library_bytes) = node.shared.scripts.library_figures();
    text.bytes("used_memory_lua", 0);
    text.bytes("used_memory_scripts", (script_bytes + library_bytes) as u64);
    text.line("number_of_cached_scripts", scripts);
    text.line("number_of_functions", functions);
    text.line("number_of_libraries", libraries);
    text.bytes("maxmemory", node.config.memory_bytes_max);
    text.line("maxmemory_policy", node.config.policy.word());
    let two = |text: &mut Text, name: &str, part: u64, whole: u64| {
        text.line(
            format_args!("{name}_ratio"),
            format_args!("{:.2}", ratio(part, whole)),
        );
        text.line(format_args!("{name}_bytes"), part as i64 - whole as i64);
    };
    two(text, "allocator_frag", memory.active, memory.allocated);
    two(text, "allocator_rss", memory.resident, memory.active);
    two(text, "rss_overhead", memory.rss, memory.resident);
    two(text, "mem_fragmentation", memory.rss, used);
    text.zeros(&[
        "mem_not_counted_for_evict",
        "mem_replication_backlog",
        "mem_total_replication_buffers",
    ]);
    text.line("mem_clients_slaves", 0);
    text.line(
        "mem_clients_normal",
        sum(shards, |figures| figures.clients.mem_bytes),
    );
    text.zeros(&["mem_cluster_links"]);
    text.line("mem_aof_buffer", node.shared.log.queued_bytes());
    text.line("mem_allocator", "jemalloc-5.3.0");
    text.zeros(&[
        "active_defrag_running",
        "lazyfree_pending_objects",
        "lazyfreed_objects",
    ]);
}

/// How far loading is, while it goes on.
fn loading_figures(text: &mut Text, loading: &Loading) {
    let load = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    let (read, all) = (load(&loading.bytes_read), load(&loading.bytes));
    text.line("loading_start_time", load(&loading.began_s));
    text.line("loading_total_bytes", all);
    text.line("loading_rdb_used_mem", load(&loading.used_bytes));
    text.line("loading_loaded_bytes", read);
    let percent = read as f64 * 100.0 / all.max(1) as f64;
    text.line("loading_loaded_perc", format_args!("{percent:.2}"));
    text.line("loading_eta_seconds", loading.left_s(wall_clock_s()));
}

fn persistence(text: &mut Text, node: &Node, shards: &[Figures]) {
    let saves = node.shared.saver.status();
    let loading = &node.shared.loading;
    let seconds = |time: Option<u64>| time.map_or(-1, |time| time as i64);
    text.line("loading", u8::from(loading.is_on()));
    if loading.is_on() {
        loading_figures(text, loading);
    }
    text.zeros(&[
        "async_loading",
        "current_cow_peak",
        "current_cow_size",
        "current_cow_size_age",
    ]);
    text.line("current_fork_perc", "0.00");
    let keys = sum(shards, |figures| {
        figures.dbs.iter().map(|db| db.keys).sum::<u64>()
    });
    text.line("current_save_keys_processed", saves.keys_written);
    text.line(
        "current_save_keys_total",
        if saves.is_saving { keys } else { 0 },
    );
    text.line("rdb_changes_since_last_save", saves.changes);
    text.line("rdb_bgsave_in_progress", u8::from(saves.is_saving));
    text.line("rdb_last_save_time", saves.last_save_s);
    text.line(
        "rdb_last_bgsave_status",
        if saves.last_failed { "err" } else { "ok" },
    );
    text.line("rdb_last_bgsave_time_sec", seconds(saves.last_s));
    text.line("rdb_current_bgsave_time_sec", seconds(saves.current_s));
    text.line("rdb_saves", saves.saves);
    text.zeros(&["rdb_last_cow_size"]);
    text.line(
        "rdb_last_load_keys_expired",
        loading.expired.load(Ordering::Relaxed),
    );
    text.line(
        "rdb_last_load_keys_loaded",
        loading.keys.load(Ordering::Relaxed),
    );
    log_fields(text, node, &saves);
    text.zeros(&["module_fork_in_progress", "module_fork_last_cow_size"]);
    if node.config.log_on {
        log_figures(text, node);
    }
}

/// The append-only log.
fn log_fields(text: &mut Text, node: &Node, saves: &SaveStatus) {
    let (log, status) = (&node.shared.log, node.shared.log.status());
    let seconds = |time: Option<u64>| time.map_or(-1, |time| time as i64);
    let ok = |is_ok: bool| if is_ok { "ok" } else { "err" };
    text.line("aof_enabled", u8::from(node.config.log_on));
    text.line(
        "aof_rewrite_in_progress",
        u8::from(saves.is_rewriting || status.is_finishing),
    );
    text.line("aof_rewrite_scheduled", u8::from(saves.rewrite_scheduled));
    text.line("aof_last_rewrite_time_sec", seconds(saves.last_rewrite_s));
    text.line("aof_current_rewrite_time_sec", seconds(saves.rewrite_s));
    text.line("aof_last_bgrewrite_status", ok(status.failed_rewrites == 0));
    text.line("aof_rewrites", status.rewrites);
    text.line("aof_rewrites_consecutive_failures", status.failed_rewrites);
    text.line("aof_last_write_status", ok(!log.has_failed()));
    text.zeros(&["aof_last_cow_size"]);
}

/// How large it is, and what waits.
fn log_figures(text: &mut Text, node: &Node) {
    let status = node.shared.log.status();
    text.line("aof_current_size", status.bytes);
    text.line("aof_base_size", status.base_bytes);
    text.line("aof_pending_rewrite", u8::from(!status.is_whole));
    text.line("aof_buffer_length", node.shared.log.queued_bytes());
    text.line("aof_pending_bio_fsync", u8::from(status.is_unsynced));
    text.line("aof_delayed_fsync", status.delayed_syncs);
}

fn stats(text: &mut Text, shards: &[Figures]) {
    text.line(
        "total_connections_received",
        sum(shards, |figures| figures.counters.connections_received),
    );
    text.line(
        "total_commands_processed",
        sum(shards, |figures| figures.counters.commands),
    );
    let rate = |rate: fn(&Figures) -> f64| shards.iter().map(rate).sum::<f64>();
    text.line(
        "instantaneous_ops_per_sec",
        rate(|figures| figures.rates.commands).round() as u64,
    );
    text.line(
        "total_net_input_bytes",
        sum(shards, |figures| figures.counters.net_in_bytes),
    );
    text.line(
        "total_net_output_bytes",
        sum(shards, |figures| figures.counters.net_out_bytes),
    );
    text.zeros(&["total_net_repl_input_bytes", "total_net_repl_output_bytes"]);
    for (field, bytes) in [
        (
            "instantaneous_input_kbps",
            rate(|figures| figures.rates.net_in_bytes),
        ),
        (
            "instantaneous_output_kbps",
            rate(|figures| figures.rates.net_out_bytes),
        ),
        ("instantaneous_input_repl_kbps", 0.0),
        ("instantaneous_output_repl_kbps", 0.0),
    ] {
        text.line(field, format_args!("{:.2}", bytes / 1024.0));
    }
    text.line(
        "rejected_connections",
        sum(shards, |figures| figures.counters.rejected_connections),
    );
    text.zeros(&["sync_full", "sync_partial_ok", "sync_partial_err"]);
    text.line(
        "expired_keys",
        sum(shards, |figures| figures.stats.expired_keys),
    );
    text.line(
        "expired_subkeys",
        sum(shards, |figures| figures.stats.expired_fields),
    );
    text.line(
        "expired_time_cap_reached_count",
        sum(shards, |figures| figures.stats.expired_time_cap_reached),
    );
    text.line(
        "evicted_keys",
        sum(shards, |figures| figures.stats.evicted_keys),
    );
    text.line(
        "evicted_clients",
        sum(shards, |figures| figures.counters.evicted_clients),
    );
    text.zeros(&[
        "total_eviction_exceeded_time",
        "current_eviction_exceeded_time",
    ]);
    text.line(
        "keyspace_hits",
        sum(shards, |figures| figures.stats.keyspace_hits),
    );
    text.line(
        "keyspace_misses",
        sum(shards, |figures| figures.stats.keyspace_misses),
    );
    text.zeros(&[
        "pubsub_channels",
        "pubsub_patterns",
        "pubsubshard_channels",
        "latest_fork_usec",
        "total_forks",
    ]);
    text.zeros(&["migrate_cached_sockets", "slave_expires_tracked_keys"]);
    let moved = |figure: fn(&Figures) -> u64| sum(shards, figure);
    text.line("active_defrag_hits", moved(|it| it.counters.defrag_hits));
    text.line(
        "active_defrag_misses",
        moved(|it| it.counters.defrag_misses),
    );
    text.zeros(&["active_defrag_key_hits", "active_defrag_key_misses"]);
    text.zeros(&["total_active_defrag_time", "current_active_defrag_time"]);
    let tracked = |figure: fn(&Figures) -> u64| sum(shards, figure);
    text.line("tracking_total_keys", tracked(|it| it.tracked_keys));
    text.line("tracking_total_items", tracked(|it| it.tracked_items));
    let prefixes = shards.iter().map(|it| it.followed_prefixes).max();
    text.line("tracking_total_prefixes", prefixes.unwrap_or(0));
    text.zeros(&["unexpected_error_replies"]);
    text.line(
        "total_error_replies",
        sum(shards, |figures| figures.counters.errors),
    );
    text.zeros(&[
        "dump_payload_sanitizations",
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
    ]);
}

fn replication(text: &mut Text, node: &Node) {
    text.line("role", "master");
    text.line("connected_slaves", 0);
    text.line("master_failover_state", "no-failover");
    text.line("master_replid", &node.shared.run_id);
    text.line("master_replid2", "0".repeat(40));
    text.line("master_repl_offset", 0);
    text.line("second_repl_offset", -1);
    text.line("repl_backlog_active", 0);
    text.line("repl_backlog_size", 0);
    text.zeros(&["repl_backlog_first_byte_offset", "repl_backlog_histlen"]);
}

fn cpu(text: &mut Text) {
    let (all, main) = (cpu_times(), main_thread_times());
    for (field, seconds) in [
        ("used_cpu_sys", all.system_s),
        ("used_cpu_user", all.user_s),
        ("used_cpu_sys_children", all.children_system_s),
        ("used_cpu_user_children", all.children_user_s),
        ("used_cpu_sys_main_thread", main.system_s),
        ("used_cpu_user_main_thread", main.user_s),
    ] {
        text.line(field, format_args!("{seconds:.6}"));
    }
}

fn keyspace(text: &mut Text, shards: &[Figures]) {
    let databases = shards
        .iter()
        .map(|figures| figures.dbs.len())
        .max()
        .unwrap_or(0);
    for db in 0..databases {
        let keys = sum(shards, |figures| {
            figures.dbs.get(db).map_or(0, |db| db.keys)
        });
        let ttls = sum(shards, |figures| {
            figures.dbs.get(db).map_or(0, |db| db.ttls)
        });
        if keys > 0 {
            text.line(
                format_args!("db{db}"),
                format_args!("keys={keys},expires={ttls},avg_ttl=0"),
            );
        }
    }
}

fn per_shard(text: &mut Text, shards: &[Figures]) {
    for (number, figures) in shards.iter().enumerate() {
        let Figures {
            counters,
            clients,
            mem_bytes,
            dbs,
            rates,
            ..
        } = figures;
        let keys: u64 = dbs.iter().map(|db| db.keys).sum();
        let ttls: u64 = dbs.iter().map(|db| db.ttls).sum();
        text.line(
            format_args!("shard{number}"),
            format_args!(
                "keys={keys},expires={ttls},mem_bytes={mem_bytes},clients={},commands={},ops_per_sec={:.0},hops={},batches={},\
                 wakes={},turns={},turn_us_max={}",
                clients.count,
                counters.commands,
                rates.commands,
                counters.hops,
                counters.batches,
                counters.wakes,
                counters.turns,
                counters.turn_us_max,
            ),
        );
    }
}
