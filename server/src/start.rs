//! From arguments to a running node, and to its end: one line says what stands in the way of a start, and what to do about it.

use std::fmt::Display;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, SyncSender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tessera_io::{
    Backend, BackendChoice, Env, Options, ReactorGroup, ReactorSeed, StartError, Waker, allocator,
};

use crate::cli::{self, Arguments, Request};
use crate::config::{Config, IoBackend, Source, load_file, load_lines, read_lines};
use crate::driver::Driver;
use crate::front::{Front, Replay};
use crate::huge_pages::HugePages;
use crate::info::Memory;
use crate::listen::{Addresses, listen_of};
use crate::loading::{Cargo, Loader};
use crate::log::{LogStart, LogThread, Records, let_shards_record};
use crate::session::{REDIS_VERSION, VERSION};
use crate::shared::Shared;
use crate::supervisor::Supervisor;
use crate::{limits, logging, offline, signals};
use tessera_persist::log::Command;

/// Why there is no start: a line for standard error.
type Obstacle = String;

/// Between two looks at the shard that reads the log.
const LOAD_LOOK: Duration = Duration::from_millis(1);
/// Exit code after a panic: a fault of the program.
const PANIC_EXIT: i32 = 101;

/// Runs the program with the arguments behind its name.
#[must_use]
pub fn run(args: &[Vec<u8>]) -> ExitCode {
    let outcome = match cli::parse(args) {
        Ok(Request::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Request::Serve(arguments)) => serve(&arguments),
        Ok(Request::Check { path, fixes }) => offline::check(&path, fixes),
        Ok(Request::Convert {
            from,
            to,
            is_log: true,
            ..
        }) => offline::begin_log(&from, &to),
        Ok(Request::Convert {
            from, to, format, ..
        }) => offline::convert(&from, &to, format),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(obstacle) => {
            eprintln!("tessera-server: {obstacle}");
            ExitCode::FAILURE
        }
    }
}

/// Everything between reading the configuration and the last thread's end.
fn serve(arguments: &Arguments) -> Result<(), Obstacle> {
    let mut config = configure(arguments)?;
    let huge_pages = HugePages::later(config.disable_thp);
    allocator::share_first_arena();
    // Before the change of directory: afterwards a relative path means another file.
    let config_file = arguments.file.as_deref().map(absolute).transpose()?;
    enter_dir(&mut config)?;
    let shared_log = Arc::<logging::Verbosity>::default();
    shared_log.set(config.log_level);
    logging::start(&config.logfile, &shared_log)
        .map_err(|error| because("cannot write the log to", config.logfile.display(), error))?;
    exit_on_panic();
    if let Err(limit) = limits::allow_clients(config.clients_max) {
        tracing::warn!("{limit}");
        config.clients_max = limit.clients_max;
    }
    let group = reactors(&config)?;
    let (pidfile, supervised) = (config.pidfile.clone(), config.supervised);
    let shards = group.seeds.len();
    let shared = Arc::new(Shared {
        config_file,
        verbosity: shared_log,
        run_id: run_id()?,
        started_us: wall_clock_us(),
        backend: if group.report.backend == Backend::Uring {
            "io_uring"
        } else {
            "epoll"
        },
        start_bytes: Memory::now().allocated,
        huge_pages,
        addresses: Mutex::new(Addresses::new(group.addresses.clone(), shards)),
        ..Shared::with_renames(config, shards)?
    });
    announce(&shared, &group);
    let supervisor = Supervisor::find(supervised);
    write_pidfile(&pidfile);
    let outcome = run_shards(&shared, group.seeds, supervisor.as_ref());
    if let Some(supervisor) = supervisor {
        supervisor.tell("STOPPING=1");
    }
    if !pidfile.as_os_str().is_empty() {
        // The file of a process that is about to be no more: nothing to do about an error.
        let _ = std::fs::remove_file(pidfile);
    }
    outcome?;
    tracing::warn!("Tessera is now ready to exit, bye bye...");
    Ok(())
}

fn because(what: &str, which: impl Display, cause: impl Display) -> Obstacle {
    format!("{what} {which}: {cause}")
}

/// Defaults, then the file, then standard input, then the options.
fn configure(arguments: &Arguments) -> Result<Config, Obstacle> {
    let mut config = Config::default();
    if let Some(file) = &arguments.file {
        load_file(file, &mut config).map_err(|error| error.to_string())?;
    }
    if arguments.reads_stdin {
        let mut text = Vec::new();
        std::io::stdin()
            .read_to_end(&mut text)
            .map_err(|error| because("cannot read", "standard input", error))?;
        let lines = read_lines(&text, &Source::Stdin).map_err(|error| error.to_string())?;
        load_lines(&lines, &mut config).map_err(|error| error.to_string())?;
    }
    load_lines(&arguments.lines, &mut config).map_err(|error| error.to_string())?;
    Ok(config)
}

fn absolute(path: &Path) -> Result<PathBuf, Obstacle> {
    std::path::absolute(path).map_err(|error| because("cannot locate", path.display(), error))
}

/// Goes to `dir`, which becomes absolute: the files that the server writes are there.
fn enter_dir(config: &mut Config) -> Result<(), Obstacle> {
    if !config.dir.as_os_str().is_empty() {
        std::env::set_current_dir(&config.dir).map_err(|error| {
            because(
                "cannot use dir",
                config.dir.display(),
                format!("{error}; create it, or set dir"),
            )
        })?;
    }
    let is_named = !config.dir.as_os_str().is_empty();
    config.dir = std::env::current_dir()
        .map_err(|error| because("cannot locate", "the current directory", error))?;
    // Who keeps everything in memory may start anywhere.
    if is_named || config.log_on || !config.save_rules.is_empty() {
        rustix::fs::access(".", rustix::fs::Access::WRITE_OK).map_err(|error| {
            because(
                "cannot write to dir",
                config.dir.display(),
                format!("{error}; change its rights, or set dir"),
            )
        })?;
    }
    Ok(())
}

/// A panic is a fault of the program after which no promise about the data holds: it ends at once, and says where it broke. Not so what a
/// script does to its own machine.
fn exit_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let owned = payload.downcast_ref::<String>().map(String::as_str);
        let said = owned.or_else(|| payload.downcast_ref::<&str>().copied());
        if said.is_some_and(|text| text.starts_with(tessera_shards::script::REFUSAL)) {
            return;
        }
        let thread = thread::current();
        let name = thread.name().unwrap_or("unnamed").to_owned();
        tracing::error!("Tessera has a bug and ends: thread '{name}': {panic}");
        tracing::error!("{}", std::backtrace::Backtrace::force_capture());
        std::process::exit(PANIC_EXIT);
    }));
}

/// Listens, and chooses how to speak to the kernel.
fn reactors(config: &Config) -> Result<ReactorGroup, Obstacle> {
    let shards = match config.shards {
        0 => thread::available_parallelism().map_or(1, usize::from),
        shards => shards,
    };
    let listen = listen_of(config)?;
    let backend = match config.io_backend {
        IoBackend::Auto => BackendChoice::Auto,
        IoBackend::Uring => BackendChoice::Uring,
        IoBackend::Epoll => BackendChoice::Epoll,
    };
    let options = Options {
        backend,
        buffer_count: config.receive_buffers,
        ..Options::default()
    };
    ReactorGroup::new(shards, &listen, &options).map_err(|error| match &error {
        StartError::Listen(_) => {
            format!("{error}; stop who listens there, or set port, bind or unixsocket")
        }
        StartError::Uring(_) => format!("{error}; set io-backend auto or epoll"),
        StartError::System(_) => {
            format!("{error}; raise the limits of files and memory, or lower shards")
        }
    })
}

fn announce(shared: &Shared, group: &ReactorGroup) {
    let config = shared.latest_config();
    let pid = std::process::id();
    tracing::info!(
        "Tessera {VERSION} starts (speaks Redis {REDIS_VERSION}), PID: {pid}, {} shards",
        group.seeds.len()
    );
    match &shared.config_file {
        Some(file) => tracing::info!("Configuration loaded from {}", file.display()),
        None => {
            tracing::warn!("No config file specified, using the defaults and the options given")
        }
    }
    tracing::info!("Network I/O by {}", group.report);
    for address in &group.addresses {
        tracing::info!("Listening on {address}");
    }
    if !config.unixsocket.as_os_str().is_empty() {
        tracing::info!("Listening on {}", config.unixsocket.display());
    }
    if config.io_threads > 1 {
        tracing::warn!(
            "io-threads {} has no effect: every shard does its own network I/O; see shards",
            config.io_threads
        );
    }
}

/// 40 hex digits of the kernel's random numbers.
fn run_id() -> Result<String, Obstacle> {
    let bytes: [u8; 20] = random()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random<const N: usize>() -> Result<[u8; N], Obstacle> {
    let mut bytes = [0; N];
    let filled =
        std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    filled.map_err(|error| because("cannot read", "/dev/urandom", error))?;
    Ok(bytes)
}

/// For what has no reactor: the threads that save and load.
pub(crate) fn wall_clock_s() -> u64 {
    wall_clock_us() / 1_000_000
}

/// Read here once, before there is a reactor whose clock all else uses.
pub(crate) fn wall_clock_us() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

fn write_pidfile(path: &Path) {
    if path.as_os_str().is_empty() {
        return;
    }
    if let Err(error) = std::fs::write(path, format!("{}\n", std::process::id())) {
        tracing::warn!(
            "Cannot write the pidfile {}: {error}; the server goes on without",
            path.display()
        );
    }
}

/// One thread per shard, until all have ended.
fn run_shards(
    shared: &Arc<Shared>,
    seeds: Vec<ReactorSeed>,
    supervisor: Option<&Supervisor>,
) -> Result<(), Obstacle> {
    let wakers: Vec<Waker> = seeds.iter().map(ReactorSeed::waker).collect();
    let hash_seed = u64::from_le_bytes(random()?);
    let log = LogStart::find(shared)?;
    // What the log says of a key may go back to before its time was over.
    let now_ms = if log.is_log() {
        0
    } else {
        wall_clock_us() / 1000
    };
    let (mut cargo, loader) = match Loader::open(shared, &wakers, hash_seed, now_ms, log.base())? {
        Some((loader, cargo)) => (cargo, Some(loader)),
        None => (Vec::new(), None),
    };
    let loads = loader.is_some() || log.is_wanted();
    if loads && loader.is_none() {
        shared.loading.begin(0, 0, wall_clock_s());
    }
    shared.log.wake_by({
        let wakers = wakers.clone();
        move |shard| wakers[shard].wake()
    });
    shared.log.tell_by({
        let node = Arc::downgrade(shared);
        move |event, ms| {
            if let Some(node) = node.upgrade() {
                node.note_disk(event, ms);
            }
        }
    });
    let (to_shard, records) = LogStart::channel();
    let mut records = loads.then_some(records);
    cargo.reverse();
    let (ready, readiness) = channel();
    let mut threads = Vec::with_capacity(seeds.len());
    for seed in seeds {
        threads.push(spawn(
            seed,
            hash_seed,
            Arc::clone(shared),
            cargo.pop(),
            records.take(),
            wakers.clone(),
            ready.clone(),
        )?);
    }
    drop(ready);
    let mut obstacle = None;
    for outcome in &readiness {
        obstacle = obstacle.or(outcome.err());
    }
    match obstacle {
        Some(obstacle) => {
            shared.begin_shutdown();
            wakers.iter().for_each(Waker::wake);
            join(threads)?;
            Err(obstacle)
        }
        None => {
            signals::listen(Arc::clone(shared), wakers.clone())
                .map_err(|error| because("cannot wait for", "signals", error))?;
            let log = match load(shared, loader, log, to_shard, &wakers) {
                Ok(log) => log,
                Err(obstacle) => {
                    tracing::error!("{obstacle}");
                    shared.begin_shutdown();
                    wakers.iter().for_each(Waker::wake);
                    join(threads)?;
                    return Err(obstacle);
                }
            };
            tracing::info!("Ready to accept connections");
            if let Some(supervisor) = supervisor {
                supervisor.tell("STATUS=Ready to accept connections\nREADY=1\n");
            }
            let outcome = join(threads);
            log.end();
            outcome
        }
    }
}

/// Loads what there is: keys, then the log's records; then the shards record what changes, and clients are served.
fn load(
    shared: &Arc<Shared>,
    loader: Option<Loader>,
    log: LogStart,
    to_shard: SyncSender<Vec<Command>>,
    wakers: &[Waker],
) -> Result<LogThread, Obstacle> {
    if !shared.loading.is_on() {
        return log.begin();
    }
    if let Some(loader) = loader {
        loader.run()?;
    }
    log.replay(to_shard, &wakers[0])?;
    let loading = &shared.loading;
    while !loading.replayed.load(Ordering::Acquire) && !shared.is_shutting_down() {
        if let Some(why) = loading.fault() {
            return Err(why);
        }
        wakers[0].wake();
        thread::park_timeout(LOAD_LOOK);
    }
    let thread = log.begin()?;
    let_shards_record(shared, wakers);
    Ok(thread)
}

/// Starts a shard. It says over `ready` whether it has what it needs, then drops its end.
fn spawn(
    seed: ReactorSeed,
    hash_seed: u64,
    shared: Arc<Shared>,
    cargo: Option<Cargo>,
    records: Option<Records>,
    wakers: Vec<Waker>,
    ready: Sender<Result<(), Obstacle>>,
) -> Result<JoinHandle<Result<(), Obstacle>>, Obstacle> {
    let id = seed.shard();
    let shard = move || {
        // The first shard shares its arena with the threads that allocate little.
        if id > 0 {
            allocator::own_arena();
        }
        let mut env = match seed.build() {
            Ok(env) => env,
            Err(error) => {
                let remedy = "raise the limits of locked memory (ulimit -l, LimitMEMLOCK) and files, or set io-backend epoll";
                // Nobody listens any more only if the start has failed already.
                let _ = ready.send(Err(format!("cannot start shard {id}: {error}; {remedy}")));
                return Ok(());
            }
        };
        let mut front = Front::new(id, Arc::clone(&shared), hash_seed, env.random());
        front.cargo = cargo.map(Cargo::unload);
        front.replay = records.map(Replay::new);
        let _ = ready.send(Ok(()));
        drop(ready);
        let outcome = Driver::new(front, env).run();
        // A shard never ends alone.
        shared.begin_shutdown();
        wakers.iter().for_each(Waker::wake);
        outcome.map_err(|error| because("network I/O failed on shard", id, error))
    };
    let thread = thread::Builder::new()
        .name(format!("shard-{id}"))
        .spawn(shard);
    thread.map_err(|error| because("cannot start a thread for shard", id, error))
}

fn join(threads: Vec<JoinHandle<Result<(), Obstacle>>>) -> Result<(), Obstacle> {
    let mut outcome = Ok(());
    for thread in threads {
        // A panic has ended the process already.
        let ended = thread
            .join()
            .unwrap_or_else(|_| Err("a shard has panicked".to_owned()));
        outcome = outcome.and(ended);
    }
    outcome
}
