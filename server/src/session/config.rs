//! CONFIG: reads and changes the configuration of the running node.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tessera_core::glob::glob_match_nocase;
use tessera_persist::snapshot::Purpose;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::flag;

use crate::config::{Change, Config, Directive, ROWS as DIRECTIVES, find, rewritten, write_file};
use crate::front::{Front, Latencies, Tally};
use crate::limits;
use crate::session::context::{SYNTAX_ERROR, quoting};
use crate::session::{Session, SessionFn, Then, container};
use crate::shared::{Counters, Shared};

const BASE: Spec = Spec {
    flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
    since: "2.0.0",
    group: "server",
    complexity: "O(1)",
    ..Spec::NONE
};

const PER_PARAMETER: &str = "O(N) when N is the number of configuration parameters provided";

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[(
    Spec {
        name: "config",
        arity: -2,
        since: "2.0.0",
        group: "server",
        summary: "The configuration: a set of subcommands.",
        complexity: "That of the subcommand",
        subcommands: &container::specs(&SUBCOMMANDS),
        ..Spec::NONE
    },
    |session, args| container::run(session, args, "config", &SUBCOMMANDS),
)];

const SUBCOMMANDS: [(Spec, SessionFn); 5] = [
    (
        Spec {
            name: "get",
            arity: -3,
            summary: "Returns the directives that match, with their values.",
            complexity: PER_PARAMETER,
            ..BASE
        },
        cmd_get,
    ),
    (
        Spec {
            name: "set",
            arity: -4,
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            summary: "Gives directives new values, all of them or none.",
            complexity: PER_PARAMETER,
            ..BASE
        },
        cmd_set,
    ),
    (
        Spec {
            name: "resetstat",
            arity: 2,
            summary: "Starts the counters that INFO shows again from zero.",
            ..BASE
        },
        cmd_resetstat,
    ),
    (
        Spec {
            name: "rewrite",
            arity: 2,
            since: "2.8.0",
            summary: "Writes the configuration in force into the configuration file.",
            ..BASE
        },
        cmd_rewrite,
    ),
    (
        Spec {
            name: "help",
            arity: 2,
            flags: flag::LOADING | flag::STALE,
            since: "5.0.0",
            summary: "Returns a line or two about each subcommand.",
            ..BASE
        },
        cmd_help,
    ),
];

fn cmd_get(session: &mut Session<'_>, args: &[&[u8]]) {
    let patterns = &args[2..];
    let is_wanted = |row: &Directive, name: &str| {
        let fits = |pattern: &&[u8]| {
            if row.is_hidden {
                pattern.eq_ignore_ascii_case(name.as_bytes())
            } else {
                glob_match_nocase(pattern, name.as_bytes())
            }
        };
        !name.is_empty() && patterns.iter().any(fits)
    };
    // A name that was spelled out is shown as the client spelled it.
    let shown = |name: &'static str| {
        let spelled = patterns
            .iter()
            .find(|pattern| pattern.eq_ignore_ascii_case(name.as_bytes()));
        spelled.map_or(name.as_bytes(), |pattern| pattern)
    };
    // Not the shard's: a CONFIG SET before this in the same pipeline may not have come back from all shards yet.
    let config = session.front.shared.latest_config();
    let mut found: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for row in DIRECTIVES {
        for name in [row.name, row.alias] {
            if is_wanted(row, name) {
                found.push((shown(name), row.show(&row.get(&config))));
            }
        }
    }
    session.reply.map(found.len());
    for (name, value) in found {
        session.reply.bulk(name);
        session.reply.bulk(&value);
    }
}

/// Why a CONFIG SET is refused.
enum Refusal {
    /// There is no such directive.
    Unknown(Vec<u8>),
    /// This directive cannot get this value.
    Failed(&'static str, String),
}

fn cmd_set(session: &mut Session<'_>, args: &[&[u8]]) {
    let (pairs, rest) = args[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return session.error(SYNTAX_ERROR);
    }
    let is_local = session.is_local();
    let shared = Arc::clone(&session.front.shared);
    match change(&shared, pairs, is_local) {
        // A shard takes the latest version, not this one: two changes may reach it in either order.
        Ok(()) => {
            make_good(&shared, pairs);
            adopt_on_all(session, |front| {
                let config = front.shared.latest_config();
                adopt(front, config);
            });
        }
        Err(Refusal::Unknown(name)) => {
            session.error(quoting(
                "ERR Unknown option or number of arguments for CONFIG SET - '",
                &name,
                "'",
            ));
        }
        Err(Refusal::Failed(name, cause)) => session.error(format!(
            "ERR CONFIG SET failed (possibly related to argument '{name}') - {cause}"
        )),
    }
}

/// Whoever sets something about a log that could not be written says that it can be: it is written anew.
fn make_good(shared: &Shared, pairs: &[[&[u8]; 2]]) {
    let is_about = |[name, _]: &[&[u8]; 2]| {
        name.eq_ignore_ascii_case(b"appendonly") || name.eq_ignore_ascii_case(b"appendfsync")
    };
    if shared.log.has_failed() && pairs.iter().any(is_about) {
        shared.saver.schedule(Purpose::Base);
    }
}

/// Does something on every shard; a log that is to begin may do so when all have done it.
fn adopt_on_all(session: &mut Session<'_>, act: impl Fn(&mut Front) + Send + Sync + 'static) {
    let shared = Arc::clone(&session.front.shared);
    session.then = Then::AskAll(
        Arc::new(move |front, _| act(front)),
        Box::new(move |_, reply| {
            shared
                .log_adopted
                .store(true, std::sync::atomic::Ordering::Release);
            reply.ok();
        }),
    );
}

/// Changes all of the directives or none. The lock makes one change at a time.
fn change(shared: &Shared, pairs: &[[&[u8]; 2]], is_local: bool) -> Result<(), Refusal> {
    let mut latest = shared.config.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rows: Vec<&'static Directive> = Vec::with_capacity(pairs.len());
    for (at, [name, _]) in pairs.iter().enumerate() {
        let row = find(name).ok_or_else(|| Refusal::Unknown(name.to_vec()))?;
        let failed = |cause: &str| Err(Refusal::Failed(row.name, cause.to_owned()));
        match row.change {
            Change::AtStart => return failed("can't set immutable config"),
            Change::Protected if !latest.protected_allowed.allows(is_local) => {
                return failed("can't set protected config");
            }
            // By an older name it may be given again: so Redis has it.
            _ if pairs[..at]
                .iter()
                .any(|[other, _]| other.eq_ignore_ascii_case(name)) =>
            {
                return failed("duplicate parameter");
            }
            _ => rows.push(row),
        }
    }
    let mut config = Config::clone(&latest);
    for (row, [_, text]) in rows.into_iter().zip(pairs) {
        // Lines of a file add up; what is set here is all there is.
        if row.name == "save" {
            config.save_rules.clear();
        }
        let value = row
            .parse_one(text, &config)
            .map_err(|cause| Refusal::Failed(row.name, cause))?;
        row.put(&mut config, value);
    }
    if config.dir != latest.dir {
        enter(&mut config.dir).map_err(|error| Refusal::Failed("dir", reason(&error)))?;
    }
    if config.clients_max > latest.clients_max {
        limits::allow_clients(config.clients_max)
            .map_err(|cause| Refusal::Failed("maxclients", cause.for_client()))?;
    }
    // Last, as it has taken effect when it succeeds.
    if config.port != latest.port || config.bind != latest.bind {
        let mut addresses = lock(&shared.addresses);
        addresses
            .change(&latest, &config)
            .map_err(|(name, cause)| Refusal::Failed(name, cause.to_owned()))?;
    }
    shared.verbosity.set(config.log_level);
    *latest = Arc::new(config);
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Goes to a directory, which becomes absolute.
fn enter(dir: &mut PathBuf) -> io::Result<()> {
    std::env::set_current_dir(&*dir)?;
    *dir = std::env::current_dir()?;
    Ok(())
}

/// What the system says, without the number that Rust adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Puts a configuration into force on one shard.
fn adopt(front: &mut Front, config: Arc<Config>) {
    let shards = front.shared.mesh.shards();
    let settings = &mut front.engine.shard.settings;
    *settings = config.shard_settings(*settings, shards);
    front.shared.saver.set_target(config.snapshot_target());
    front.adopt_log(&config);
    if config.password.is_none() {
        // Nobody has to authenticate any more, and nobody who was let in without a password has to later.
        for client in front.clients.iter_mut() {
            client.authenticated = true;
        }
    }
    front.relistens = !lock(&front.shared.addresses).is_done(front.id);
    front.config = config;
    front.set_memory_limit();
    front.adopt_slowness();
    front.adopt_heat();
}

fn cmd_resetstat(session: &mut Session<'_>, _: &[&[u8]]) {
    session.on_all_shards(|front| {
        front.counters = Counters::default();
        front.tally = Tally::new(front.shared.registry.numbers());
        front.latencies = Latencies::default();
        front.engine.hops = 0;
        let stats = &mut front.engine.shard.stats;
        *stats = tessera_shards::shard::Stats {
            changes: stats.changes,
            ..Default::default()
        };
        front.sampler.reset(front.now_ns);
    });
}

fn cmd_rewrite(session: &mut Session<'_>, _: &[&[u8]]) {
    let shared = Arc::clone(&session.front.shared);
    let Some(path) = &shared.config_file else {
        return session.error("ERR The server is running without a config file");
    };
    // One at a time: the lock is that of changes.
    let latest = shared.config.lock().unwrap_or_else(PoisonError::into_inner);
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            return session.error(format!("ERR Rewriting config file: {}", reason(&error)));
        }
    };
    let outcome = rewritten(&text, path, &latest)
        .map_err(|error| error.to_string())
        .and_then(|text| write_file(path, &text).map_err(|error| reason(&error)));
    match outcome {
        Ok(()) => {
            tracing::info!("CONFIG REWRITE executed with success.");
            session.reply.ok();
        }
        Err(cause) => {
            tracing::warn!("CONFIG REWRITE failed: {cause}");
            session.error(format!("ERR Rewriting config file: {cause}"));
        }
    }
}

fn cmd_help(session: &mut Session<'_>, _: &[&[u8]]) {
    container::help(
        session,
        "config",
        &[
            "GET <pattern>",
            "    The directives whose names match, with their values.",
            "SET <directive> <value>",
            "    Gives a directive a new value.",
            "RESETSTAT",
            "    Starts the counters of INFO again from zero.",
            "REWRITE",
            "    Writes what is in force into the configuration file.",
        ],
    );
}

#[cfg(test)]
mod tests {
    use crate::config::{Allowed, Config};
    use crate::session::rig::Rig;
    use crate::shared::Shared;

    #[test]
    fn get_takes_globs_and_older_names() {
        let mut rig = Rig::new();
        rig.says(
            "CONFIG",
            "-ERR wrong number of arguments for 'config' command|",
        );
        rig.says(
            "CONFIG foo",
            "-ERR unknown subcommand 'foo'. Try CONFIG HELP.|",
        );
        rig.says(
            "CONFIG GET",
            "-ERR wrong number of arguments for 'config|get' command|",
        );
        rig.says(
            "CONFIG GET port PORT maxcl*",
            "*4|$4|port|$4|6379|$10|maxclients|$5|10000|",
        );
        rig.says("CONFIG GET slave-priority", "*2|$14|slave-priority|$3|100|");
        rig.says(
            "CONFIG GET *priority",
            "*4|$16|replica-priority|$3|100|$14|slave-priority|$3|100|",
        );
        rig.says("CONFIG GET nosuch", "*0|");
        rig.says("CONFIG GET use-exit-on-pani?", "*0|");
        rig.says(
            "CONFIG GET USE-exit-on-panic",
            "*2|$17|USE-exit-on-panic|$2|no|",
        );
        rig.says("CONFIG GET save", "*2|$4|save|$0||");
    }

    /// In a pipeline GET follows SET before the shards have come back.
    #[test]
    fn get_shows_what_the_shards_have_not_adopted_yet() {
        let mut rig = Rig::new();
        let shared = rig.fronts[0].shared.clone();
        assert!(super::change(&shared, &[[b"timeout", b"7"]], true).is_ok());
        assert_eq!(rig.fronts[0].config.idle_timeout_s, 0);
        rig.says("CONFIG GET timeout", "*2|$7|timeout|$1|7|");
    }

    #[test]
    fn set_is_all_or_nothing() {
        let mut rig = Rig::new();
        let failed = |name: &str, cause: &str| {
            format!("-ERR CONFIG SET failed (possibly related to argument '{name}') - {cause}|")
        };
        rig.says(
            "CONFIG SET port",
            "-ERR wrong number of arguments for 'config|set' command|",
        );
        rig.says("CONFIG SET timeout 1 hz", "-ERR syntax error|");
        let unknown = "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'|";
        rig.says("CONFIG SET nosuch 1", unknown);
        rig.says("CONFIG SET timeout 10 nosuch 20", unknown);
        rig.says(
            "CONFIG SET timeout 10 timeout 20",
            &failed("timeout", "duplicate parameter"),
        );
        rig.says(
            "CONFIG SET databases 5",
            &failed("databases", "can't set immutable config"),
        );
        rig.says(
            "CONFIG SET dir /tmp",
            &failed("dir", "can't set protected config"),
        );
        rig.says(
            "CONFIG SET timeout 10 maxmemory x",
            &failed("maxmemory", "argument must be a memory value"),
        );
        rig.says("CONFIG GET timeout", "*2|$7|timeout|$1|0|");
        rig.says(
            "CONFIG SET TIMEOUT 10 maxmemory-policy allkeys-lfu lfu-log-factor 3",
            "+OK|",
        );
        for front in &rig.fronts {
            assert_eq!(front.config.idle_timeout_s, 10);
            assert_eq!(
                front.engine.shard.settings.tracks,
                tessera_shards::shard::Tracks::Counts
            );
            assert_eq!(front.engine.shard.settings.lfu_log_factor, 3);
        }
        rig.says(
            "CONFIG SET hash-max-listpack-entries 1 hash-max-ziplist-entries 129",
            "+OK|",
        );
        rig.says(
            "CONFIG GET hash-max-*entries",
            "*4|$25|hash-max-listpack-entries|$3|129|$24|hash-max-ziplist-entries|$3|129|",
        );
    }

    #[test]
    fn protected_directives_follow_their_switch() {
        let mut rig = Rig::with(Config {
            protected_allowed: Allowed::Local,
            ..Config::default()
        });
        rig.says("CONFIG SET dbfilename x", "+OK|");
        rig.says(
            "CONFIG SET dir /nosuch",
            "-ERR CONFIG SET failed (possibly related to argument 'dir') - No such file or directory|",
        );
        rig.says("CONFIG GET dbfilename", "*2|$10|dbfilename|$1|x|");
    }

    #[test]
    fn statistics_start_anew() {
        let mut rig = Rig::new();
        rig.fronts[1].counters.commands = 7;
        rig.fronts[1].engine.shard.stats.keyspace_hits = 5;
        rig.fronts[1].engine.shard.stats.changes = 3;
        rig.says(
            "CONFIG RESETSTAT a",
            "-ERR wrong number of arguments for 'config|resetstat' command|",
        );
        rig.says("CONFIG RESETSTAT", "+OK|");
        let front = &rig.fronts[1];
        assert_eq!(front.counters.commands, 0);
        assert_eq!(
            (
                front.engine.shard.stats.keyspace_hits,
                front.engine.shard.stats.changes
            ),
            (0, 3)
        );
        assert!(
            rig.send("CONFIG HELP")
                .starts_with("*11|+CONFIG <subcommand>")
        );
    }

    #[test]
    fn rewrite_writes_what_was_set() {
        let mut rig = Rig::new();
        rig.says(
            "CONFIG REWRITE",
            "-ERR The server is running without a config file|",
        );
        let path = std::env::temp_dir().join(format!("tessera-config-{}.conf", std::process::id()));
        std::fs::write(&path, "# mine\ntimeout 5\n").unwrap();
        let shared = Shared {
            config_file: Some(path.clone()),
            ..Shared::new(Config::default(), 2)
        };
        let mut rig = Rig::on(shared);
        rig.says("CONFIG SET timeout 7 maxclients 9", "+OK|");
        rig.says("CONFIG REWRITE", "+OK|");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "# mine\ntimeout 7\n\n# Generated by CONFIG REWRITE\nmaxclients 9\n"
        );
        std::fs::remove_file(&path).unwrap();
    }
}
