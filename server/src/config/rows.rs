//! The table of directives: a row each, in groups by subject.
//!
//! Names, bounds, defaults and what may change when are those of redis-server 7.0; where Tessera departs from them, a comment says why.
//! A row without a field is accepted because what it asks for is so or does no harm. A row with `only` names something that does
//! not exist yet: a server must not pretend, so other values are refused.

use crate::config::directive::Setting;
use crate::config::{
    Allowed, Config, Directive, Home, IoBackend, Kind, LogLevel, LogSync, Policy, SnapshotFormat,
    Supervised, words,
};

use Kind::{Bool, Bytes, BytesOrPercent, Choice, Flags, Int, Near, Octal, Text, Title, Words};

/// The field of `Config` with this name.
macro_rules! field {
    ($($field:ident).+) => {
        Home::Field {
            get: |config: &Config| config.$($field).+.to_value(),
            put: |config: &mut Config, value| {
                if let Some(value) = Setting::from_value(value) {
                    config.$($field).+ = value;
                }
            },
        }
    };
}

const fn row(name: &'static str, kind: Kind, default: &'static str) -> Directive {
    Directive::new(name, kind, default)
}

const I32: i64 = i32::MAX as i64;
const U32: i64 = u32::MAX as i64;
const I64: i64 = i64::MAX;
const MIB: i64 = 1 << 20;

const NOT_YET: &str = "not supported yet in this version";
const NO_DAEMON: &str = "the server stays in the foreground: leave the background to the service manager, or to the shell's &";
const NO_SYSLOG: &str =
    "not supported: the service manager takes the log from standard output, or set logfile";

const ALLOWED: Kind = Choice(Allowed::WORDS);
const SHUTDOWN: Kind = Flags(&["default", "save", "nosave", "now", "force"]);
const FACILITIES: Kind = Choice(&[
    "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
]);
const ENDPOINTS: Kind = Choice(&["ip", "hostname", "unknown-endpoint"]);

/// All directives but those that are no setting: `include` and `rename-command`.
#[rustfmt::skip] // a row is a line
pub const ROWS: &[Directive] = &[
    // Ours.
    row("shards", Int(0, 1024), "0").to(field!(shards)).at_start(),
    row("io-backend", Choice(IoBackend::WORDS), "auto").to(field!(io_backend)).at_start(),
    row("receive-buffers", Int(16, 32_768), "1024").to(field!(receive_buffers)).at_start(),
    row("stall-warning-ms", Int(0, I64), "100").to(field!(stall_warning_ms)),
    row("hotkeys-sample-ratio", Int(0, U32), "128").to(field!(hot_ratio)),

    // Network.
    row("port", Int(0, 65_535), "6379").to(field!(port)),
    row("bind", Words(words::bind), "* -::*").to(field!(bind)),
    row("bind-source-addr", Text, ""),
    row("protected-mode", Bool, "yes").to(field!(protected_mode)),
    row("tcp-backlog", Int(0, I32), "511").to(field!(tcp_backlog)).at_start(),
    row("unixsocket", Text, "").to(field!(unixsocket)).at_start(),
    row("unixsocketperm", Octal(0o777), "0").to(field!(unixsocket_mode)).at_start(),
    row("timeout", Int(0, I32), "0").to(field!(idle_timeout_s)),
    row("tcp-keepalive", Int(0, I32), "300").to(field!(keepalive_s)).at_start(),
    row("maxclients", Int(1, U32), "10000").to(field!(clients_max)),
    row("client-query-buffer-limit", Bytes(MIB, I64), "1gb").to(field!(query_buffer_bytes_max)),
    row("client-output-buffer-limit", Words(words::output_limits), "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60").to(field!(output_limits)),
    row("proto-max-bulk-len", Bytes(MIB, I64), "512mb").to(field!(bulk_bytes_max)),
    row("socket-mark-id", Int(0, U32), "0").only("0", NOT_YET),
    row("io-threads", Int(1, 128), "1").to(field!(io_threads)).at_start(),
    row("io-threads-do-reads", Bool, "no").at_start(),
    row("tls-port", Int(0, 65_535), "0").only("0", NOT_YET),
    row("tls-session-cache-size", Int(0, I32), "20480"),
    row("tls-session-cache-timeout", Int(0, I32), "300"),
    row("tls-cluster", Bool, "no"),
    row("tls-replication", Bool, "no"),
    row("tls-auth-clients", Choice(&["no", "yes", "optional"]), "yes"),
    row("tls-prefer-server-ciphers", Bool, "no"),
    row("tls-session-caching", Bool, "yes"),
    row("tls-cert-file", Text, ""),
    row("tls-key-file", Text, ""),
    row("tls-key-file-pass", Text, ""),
    row("tls-client-cert-file", Text, ""),
    row("tls-client-key-file", Text, ""),
    row("tls-client-key-file-pass", Text, ""),
    row("tls-dh-params-file", Text, ""),
    row("tls-ca-cert-file", Text, ""),
    row("tls-ca-cert-dir", Text, ""),
    row("tls-protocols", Text, ""),
    row("tls-ciphers", Text, ""),
    row("tls-ciphersuites", Text, ""),

    // The process.
    row("daemonize", Bool, "no").at_start().only("no", NO_DAEMON),
    row("supervised", Choice(Supervised::WORDS), "no").to(field!(supervised)).at_start(),
    row("pidfile", Text, "").to(field!(pidfile)).at_start(),
    row("loglevel", Choice(LogLevel::WORDS), "notice").to(field!(log_level)),
    row("logfile", Text, "").to(field!(logfile)).at_start(),
    row("syslog-enabled", Bool, "no").at_start().only("no", NO_SYSLOG),
    row("syslog-ident", Text, "redis").at_start(),
    row("syslog-facility", FACILITIES, "local0").at_start(),
    row("crash-log-enabled", Bool, "yes"),
    row("crash-memcheck-enabled", Bool, "yes"),
    // What Redis has for its own tests.
    row("use-exit-on-panic", Bool, "no").hidden(),
    row("watchdog-period", Int(0, I32), "0").hidden(),
    row("loading-process-events-interval-bytes", Int(1024, I64), "2097152").hidden(),
    row("always-show-logo", Bool, "no").to(field!(always_show_logo)).at_start(),
    row("set-proc-title", Bool, "yes").at_start(),
    row("proc-title-template", Title, "{title} {listen-addr} {server-mode}"),
    row("ignore-warnings", Text, ""),
    row("oom-score-adj", Choice(&["no", "yes", "relative", "absolute"]), "no").only("no", NOT_YET),
    row("oom-score-adj-values", Words(words::oom_values), "0 200 800"),
    row("disable-thp", Bool, "no").to(field!(disable_thp)).at_start(),
    row("server_cpulist", Text, "").at_start().only("", NOT_YET),
    row("bio_cpulist", Text, "").at_start(),
    row("aof_rewrite_cpulist", Text, "").at_start(),
    row("bgsave_cpulist", Text, "").at_start(),
    row("jemalloc-bg-thread", Bool, "yes"),
    row("shutdown-timeout", Int(0, I32), "10"),
    row("shutdown-on-sigint", SHUTDOWN, "default"),
    row("shutdown-on-sigterm", SHUTDOWN, "default"),
    row("hz", Near(1, 500), "10").to(field!(hz)),
    row("dynamic-hz", Bool, "yes"),
    row("busy-reply-threshold", Int(0, I64), "5000")
        .alias("lua-time-limit")
        .to(field!(busy_reply_ms)),

    // Security.
    row("requirepass", Text, "").to(field!(password)),
    row("aclfile", Text, "").at_start().only("", NOT_YET),
    row("acllog-max-len", Int(0, I64), "128"),
    row("acl-pubsub-default", Choice(&["allchannels", "resetchannels"]), "resetchannels"),
    row("enable-debug-command", ALLOWED, "no").to(field!(debug_allowed)).at_start(),
    row("enable-protected-configs", ALLOWED, "no").to(field!(protected_allowed)).at_start(),
    row("enable-module-command", ALLOWED, "no").at_start(),

    // Data and memory. Messages between shards have 16 bits for the number of a database.
    row("databases", Int(1, 65_536), "16").to(field!(databases)).at_start(),
    row("maxmemory", Bytes(0, I64), "0").to(field!(memory_bytes_max)),
    row("maxmemory-policy", Choice(Policy::WORDS), "noeviction").to(field!(policy)),
    row("maxmemory-samples", Int(1, I32), "5").to(field!(eviction_samples)),
    row("maxmemory-eviction-tenacity", Int(0, 100), "10"),
    row("maxmemory-clients", BytesOrPercent, "0").to(field!(client_memory_max)),
    row("lfu-log-factor", Int(0, I32), "10").to(field!(lfu_log_factor)),
    row("lfu-decay-time", Int(0, I32), "1").to(field!(lfu_decay_minutes)),
    row("active-expire-effort", Int(1, 10), "1").to(field!(expire_effort)),
    row("lazyfree-lazy-eviction", Bool, "no"),
    row("lazyfree-lazy-expire", Bool, "no"),
    row("lazyfree-lazy-server-del", Bool, "no"),
    row("lazyfree-lazy-user-del", Bool, "no"),
    row("lazyfree-lazy-user-flush", Bool, "no"),
    row("activerehashing", Bool, "yes"),
    row("activedefrag", Bool, "yes").to(field!(defrag)),
    row("active-defrag-cycle-min", Int(1, 99), "1"),
    row("active-defrag-cycle-max", Int(1, 99), "25"),
    row("active-defrag-threshold-lower", Int(0, 1000), "10").to(field!(defrag_percent)),
    row("active-defrag-threshold-upper", Int(0, 1000), "100"),
    row("active-defrag-ignore-bytes", Bytes(1, I64), "8mb").to(field!(defrag_ignore_bytes)),
    row("active-defrag-max-scan-fields", Int(1, I64), "1000"),
    row("hash-max-listpack-entries", Int(0, I64), "512").to(field!(thresholds.hash_entries_max)).alias("hash-max-ziplist-entries"),
    row("hash-max-listpack-value", Bytes(0, I64), "64").to(field!(thresholds.hash_value_bytes_max)).alias("hash-max-ziplist-value"),
    row("list-max-listpack-size", Int(i32::MIN as i64, I32), "-2").to(field!(thresholds.list_size)).alias("list-max-ziplist-size"),
    row("list-compress-depth", Int(0, I32), "0"),
    row("set-max-intset-entries", Int(0, I64), "512").to(field!(thresholds.set_integers_max)),
    row("set-max-listpack-entries", Int(0, I64), "128").to(field!(thresholds.set_entries_max)),
    row("set-max-listpack-value", Bytes(0, I64), "64").to(field!(thresholds.set_value_bytes_max)),
    row("zset-max-listpack-entries", Int(0, I64), "128").to(field!(thresholds.zset_entries_max)).alias("zset-max-ziplist-entries"),
    row("zset-max-listpack-value", Bytes(0, I64), "64").to(field!(thresholds.zset_value_bytes_max)).alias("zset-max-ziplist-value"),
    row("hll-sparse-max-bytes", Bytes(0, I64), "3000").to(field!(thresholds.hll_sparse_bytes_max)),
    row("stream-node-max-bytes", Bytes(0, I64), "4096").to(field!(thresholds.stream_node_bytes_max)),
    row("stream-node-max-entries", Int(0, I64), "100").to(field!(thresholds.stream_node_entries_max)),
    row("sanitize-dump-payload", Choice(&["no", "yes", "clients"]), "no"),

    // Observation.
    row("slowlog-log-slower-than", Int(-1, I64), "10000").to(field!(slowlog_from_us)),
    row("slowlog-max-len", Int(0, I64), "128").to(field!(slowlog_len_max)),
    row("latency-monitor-threshold", Int(0, I64), "0").to(field!(spike_from_ms)),
    row("latency-tracking", Bool, "yes").to(field!(latency_tracking)),
    row("latency-tracking-info-percentiles", Words(words::percentiles), "50 99 99.9").to(field!(latency_percentiles)),
    row("notify-keyspace-events", Words(words::notify_events), "").to(field!(notify_events)),
    row("tracking-table-max-keys", Int(0, I64), "1000000").to(field!(tracked_keys_max)),

    // Persistence. Redis saves by default (3600 1 300 100 60 10000); here nothing is written that nobody asked for.
    row("dir", Text, "").to(field!(dir)).protected(),
    row("save", Words(words::save), "").to(field!(save_rules)),
    row("dbfilename", Text, "dump.rdb").to(field!(snapshot_name)).protected(),
    row("snapshot-format", Choice(SnapshotFormat::WORDS), "rdb").to(field!(snapshot_format)),
    row("rdbcompression", Bool, "yes").to(field!(snapshot_compresses)),
    row("rdbchecksum", Bool, "yes").to(field!(snapshot_sums)).at_start(),
    row("rdb-key-save-delay", Int(-I32, I32), "0").to(field!(key_save_delay)).hidden(),
    row("key-load-delay", Int(-I32, I32), "0").to(field!(key_load_delay)).hidden(),
    row("rdb-save-incremental-fsync", Bool, "yes"),
    row("rdb-del-sync-files", Bool, "no"),
    row("stop-writes-on-bgsave-error", Bool, "yes").to(field!(stops_writes_on_error)),
    row("appendonly", Bool, "no").to(field!(log_on)),
    row("appendfilename", Text, "appendonly.aof").to(field!(log_name)).at_start(),
    row("appenddirname", Text, "appendonlydir").to(field!(log_dir)).at_start(),
    row("appendfsync", Choice(LogSync::WORDS), "everysec").to(field!(log_sync)),
    row("no-appendfsync-on-rewrite", Bool, "no"),
    row("auto-aof-rewrite-percentage", Int(0, I32), "100").to(field!(log_growth_percent)),
    row("auto-aof-rewrite-min-size", Bytes(0, I64), "64mb").to(field!(log_rewrite_bytes_min)),
    row("aof-load-truncated", Bool, "yes").to(field!(log_may_be_cut)),
    row("aof-use-rdb-preamble", Bool, "yes"),
    row("aof-rewrite-incremental-fsync", Bool, "yes"),
    row("aof-timestamp-enabled", Bool, "no"),
    row("aof-disable-auto-gc", Bool, "no"),

    // Replication.
    row("replicaof", Words(words::replica_of), "").alias("slaveof").at_start().only("", NOT_YET),
    row("masterauth", Text, ""),
    row("masteruser", Text, ""),
    row("replica-serve-stale-data", Bool, "yes").alias("slave-serve-stale-data"),
    row("replica-read-only", Bool, "yes").alias("slave-read-only"),
    row("replica-lazy-flush", Bool, "no").alias("slave-lazy-flush"),
    row("replica-ignore-maxmemory", Bool, "yes").alias("slave-ignore-maxmemory"),
    row("replica-ignore-disk-write-errors", Bool, "no"),
    row("replica-priority", Int(0, I32), "100").alias("slave-priority"),
    row("replica-announced", Bool, "yes"),
    row("replica-announce-ip", Text, "").alias("slave-announce-ip"),
    row("replica-announce-port", Int(0, 65_535), "0").alias("slave-announce-port"),
    row("repl-timeout", Int(1, I32), "60"),
    row("repl-ping-replica-period", Int(1, I32), "10").alias("repl-ping-slave-period"),
    row("repl-backlog-size", Bytes(1, I64), "1mb"),
    row("repl-backlog-ttl", Int(0, I64), "3600"),
    row("repl-disable-tcp-nodelay", Bool, "no"),
    row("repl-diskless-sync", Bool, "yes"),
    row("repl-diskless-sync-delay", Int(0, I32), "5"),
    row("repl-diskless-sync-max-replicas", Int(0, I32), "0"),
    row("repl-diskless-load", Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled"),
    row("min-replicas-to-write", Int(0, I32), "0").alias("min-slaves-to-write").only("0", NOT_YET),
    row("min-replicas-max-lag", Int(0, I32), "10").alias("min-slaves-max-lag"),
    row("propagation-error-behavior", Choice(&["ignore", "panic", "panic-on-replicas"]), "ignore"),

    // Cluster.
    row("cluster-enabled", Bool, "no").at_start().only("no", NOT_YET),
    row("cluster-config-file", Text, "nodes.conf").at_start(),
    row("cluster-node-timeout", Int(0, I64), "15000"),
    row("cluster-port", Int(0, 65_535), "0").at_start(),
    row("cluster-migration-barrier", Int(0, I32), "1"),
    row("cluster-replica-validity-factor", Int(0, I32), "10").alias("cluster-slave-validity-factor"),
    row("cluster-replica-no-failover", Bool, "no").alias("cluster-slave-no-failover"),
    row("cluster-require-full-coverage", Bool, "yes"),
    row("cluster-allow-replica-migration", Bool, "yes"),
    row("cluster-allow-reads-when-down", Bool, "no"),
    row("cluster-allow-pubsubshard-when-down", Bool, "yes"),
    row("cluster-link-sendbuf-limit", Bytes(0, I64), "0"),
    row("cluster-announce-ip", Text, ""),
    row("cluster-announce-hostname", Text, ""),
    row("cluster-announce-port", Int(0, 65_535), "0"),
    row("cluster-announce-tls-port", Int(0, 65_535), "0"),
    row("cluster-announce-bus-port", Int(0, 65_535), "0"),
    row("cluster-preferred-endpoint-type", ENDPOINTS, "ip"),
];

/// The directive of this name or older name, in any case.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Directive> {
    ROWS.iter().find(|row| {
        row.name.as_bytes().eq_ignore_ascii_case(name)
            || !row.alias.is_empty() && row.alias.as_bytes().eq_ignore_ascii_case(name)
    })
}

/// Whether two rows are the same directive.
#[must_use]
pub fn is_same(a: &Directive, b: &Directive) -> bool {
    a.name == b.name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Value;

    #[test]
    fn every_default_parses_and_stays_what_it_is() {
        let config = Config::default();
        for row in ROWS {
            let value = row
                .parse_one(row.default.as_bytes(), &config)
                .expect(row.name);
            let mut copy = config.clone();
            row.put(&mut copy, value.clone());
            assert_eq!(row.get(&copy), value, "{}", row.name);
            let shown = row.show(&value);
            if let Some((only, _)) = row.only {
                assert_eq!(shown, only.as_bytes(), "{}", row.name);
            }
            assert_eq!(row.parse_one(&shown, &config), Ok(value), "{}", row.name);
        }
    }

    /// A bound that the field cannot hold would be dropped in silence.
    #[test]
    fn every_field_holds_its_bounds() {
        for row in ROWS {
            let (Int(min, max) | Bytes(min, max)) = row.kind else {
                continue;
            };
            for number in [min, max] {
                let mut config = Config::default();
                row.put(&mut config, Value::Int(number));
                assert_eq!(row.get(&config), Value::Int(number), "{}", row.name);
            }
        }
    }

    #[test]
    fn names_are_unique_and_lower_case() {
        let mut names: Vec<&str> = ROWS
            .iter()
            .flat_map(|row| [row.name, row.alias])
            .filter(|n| !n.is_empty())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
    }

    /// Errors as redis-server 7.0 sends them behind `CONFIG SET failed (...) - `.
    #[test]
    fn errors_as_the_oracle_words_them() {
        let config = Config::default();
        for (name, value, error) in [
            (
                "timeout",
                "foo",
                "argument couldn't be parsed into an integer",
            ),
            (
                "timeout",
                "-1",
                "argument must be between 0 and 2147483647 inclusive",
            ),
            (
                "port",
                "99999",
                "argument must be between 0 and 65535 inclusive",
            ),
            (
                "proto-max-bulk-len",
                "1",
                "argument must be between 1048576 and 9223372036854775807 inclusive",
            ),
            (
                "repl-backlog-size",
                "0",
                "argument must be between 1 and 9223372036854775807 inclusive",
            ),
            (
                "repl-backlog-size",
                "1.5gb",
                "argument must be a memory value",
            ),
            (
                "maxmemory-clients",
                "500%",
                "percentage argument must be less or equal to 100",
            ),
            (
                "maxmemory-clients",
                "x",
                "argument must be a memory or percent value",
            ),
            (
                "unixsocketperm",
                "9",
                "argument couldn't be parsed as an octal number",
            ),
            ("appendonly", "maybe", "argument must be 'yes' or 'no'"),
            (
                "loglevel",
                "foo",
                "argument(s) must be one of the following: debug, verbose, notice, warning",
            ),
            (
                "shutdown-on-sigterm",
                "foo",
                "argument(s) must be one of the following: default, save, nosave, now, force",
            ),
            ("save", "10", "Invalid save parameters"),
            (
                "client-output-buffer-limit",
                "foo",
                "Wrong number of arguments in buffer limit configuration.",
            ),
            (
                "client-output-buffer-limit",
                "foo 0 0 0",
                "Invalid client class specified in buffer limit configuration.",
            ),
            (
                "client-output-buffer-limit",
                "normal a 0 0",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
            (
                "notify-keyspace-events",
                "foo",
                "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
            ),
            ("oom-score-adj-values", "1 2", "wrong number of arguments"),
            (
                "latency-tracking-info-percentiles",
                "50 101",
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
            ),
            (
                "maxmemory-samples",
                "0",
                "argument must be between 1 and 2147483647 inclusive",
            ),
            ("tls-port", "6380", NOT_YET),
        ] {
            let row = find(name.as_bytes()).unwrap();
            assert_eq!(
                row.parse_one(value.as_bytes(), &config),
                Err(error.to_owned()),
                "{name} {value}"
            );
        }
    }

    #[test]
    fn values_as_the_oracle_shows_them() {
        let mut config = Config::default();
        for (name, value, shown) in [
            (
                "client-output-buffer-limit",
                "replica 1mb 0 0",
                "normal 0 0 0 slave 1048576 0 0 pubsub 33554432 8388608 60",
            ),
            ("shutdown-on-sigterm", "save now", "save now"),
            ("unixsocketperm", "700", "700"),
            ("repl-backlog-size", "5mb", "5242880"),
            ("LOGLEVEL", "Warning", "warning"),
            ("hz", "0", "1"),
            ("hz", "501", "500"),
            ("slave-priority", "7", "7"),
            ("bind", "127.0.0.1 -::1", "127.0.0.1 -::1"),
        ] {
            let row = find(name.as_bytes()).unwrap();
            let value = row.parse_one(value.as_bytes(), &config).unwrap();
            row.put(&mut config, value);
            assert_eq!(
                String::from_utf8(row.show(&row.get(&config))).unwrap(),
                shown
            );
        }
    }
}
