//! The flags, under memtier's names, and what they come to: a target, a load and its limits.

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};

use crate::clock::SECOND_NS;
use crate::error::BenchError;
use crate::keys::{KeySpace, Pattern, Shape};
use crate::load::{Command, Limit, Load};
use crate::target::{Address, Target};
use crate::template::{Filling, Template};
use crate::values::{Values, parse_range};

const REQUESTS: u64 = 10_000;
/// Requests in flight per connection while loading, when --pipeline does not say.
const POPULATE_PIPELINE: u32 = 32;

const EXIT_STATUS: &str = "Exit status: 0 the run is whole and every reply was a success; 1 it could not run; 2 wrong flags; \
3 there were error replies (they are counted by text and shown); 4 connections were lost or replies never came (what was \
measured until then is shown and marked as partial).";

/// A load generator for RESP servers, with memtier's flags.
#[derive(Clone, Debug, Parser)]
#[command(name = "tessera-bench", version, after_help = EXIT_STATUS)]
pub struct Args {
    /// Host of the server
    #[arg(short = 's', long, default_value = "127.0.0.1", value_name = "ADDR")]
    pub server: String,
    /// Port of the server
    #[arg(short = 'p', long, default_value_t = 6379)]
    pub port: u16,
    /// Socket file of the server, instead of host and port
    #[arg(short = 'S', long, alias = "unix", value_name = "PATH")]
    pub unix_socket: Option<std::path::PathBuf>,
    /// PASSWORD or USER:PASSWORD
    #[arg(short = 'a', long, value_name = "CREDENTIALS")]
    pub authenticate: Option<String>,
    /// Database to select
    #[arg(long, default_value_t = 0, value_name = "DB")]
    pub select_db: u32,
    /// RESP version: 3 is asked for with HELLO
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub resp: u8,
    /// Process of the server, for CPU time and memory [default: what INFO says, if it runs on this machine]
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,

    /// Threads
    #[arg(short = 't', long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub threads: u64,
    /// Connections per thread
    #[arg(short = 'c', long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub clients: u64,
    /// Requests in flight per connection [default: 1; while populating: 32]
    #[arg(long, value_name = "NUMBER")]
    pub pipeline: Option<u32>,
    /// Fill the pipeline only when all its replies are there, as client libraries do, not with every reply
    #[arg(long)]
    pub pipeline_batches: bool,
    /// Requests per connection, or `allkeys` for as many as there are keys [default: 10000]
    #[arg(short = 'n', long, value_name = "NUMBER", conflicts_with = "test_time")]
    pub requests: Option<String>,
    /// Seconds to run
    #[arg(long, value_name = "SECS")]
    pub test_time: Option<f64>,
    /// Seconds of the same load before the measured run, not counted
    #[arg(long, default_value_t = 0.0, value_name = "SECS")]
    pub warmup_time: f64,
    /// Open loop: requests per second of every connection, whatever the server does; latencies count from the
    /// moment a request was due, so waiting is never left out
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate_limiting: Option<u64>,
    /// First write every key of the range once and report it, longest latency and memory per key included; the
    /// measured run follows if -n or --test-time is given
    #[arg(long)]
    pub populate: bool,
    /// Idle connections that are opened before the run and held during it
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub idle_connections: u64,

    /// SET:GET ratio
    #[arg(long, default_value = "1:10", value_name = "SET:GET")]
    pub ratio: String,
    /// Instead of SET and GET: a command with __key__ and __data__ in it; may be given more than once
    #[arg(long, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// How often the --command before it is sent in a row [default: 1]
    #[arg(long, value_name = "RATIO")]
    pub command_ratio: Vec<u64>,
    /// The key pattern of the --command before it [default: R]
    #[arg(long, value_name = "PATTERN")]
    pub command_key_pattern: Vec<String>,

    /// Bytes of a value
    #[arg(short = 'd', long, default_value_t = 32, value_name = "SIZE")]
    pub data_size: usize,
    /// Random sizes from this range
    #[arg(long, value_name = "MIN-MAX")]
    pub data_size_range: Option<String>,
    /// Random bytes instead of x
    #[arg(short = 'R', long)]
    pub random_data: bool,
    /// Values expire after a random number of seconds from this range
    #[arg(long, value_name = "MIN-MAX")]
    pub expiry_range: Option<String>,

    /// What every key begins with
    #[arg(long, default_value = "memtier-", value_name = "PREFIX")]
    pub key_prefix: String,
    /// Lowest key
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub key_minimum: u64,
    /// Highest key
    #[arg(long, default_value_t = 10_000_000, value_name = "NUMBER")]
    pub key_maximum: u64,
    /// Pad the key's number with zeros so that every key has exactly this many bytes
    #[arg(long, value_name = "BYTES")]
    pub key_length: Option<usize>,
    /// SET:GET key patterns: R random, S sequential, P parallel (each connection walks its part of the
    /// range), G Gaussian, Z Zipf
    #[arg(long, default_value = "R:R", value_name = "SET:GET")]
    pub key_pattern: String,
    /// Exponent of Z, between 0 and 5 [default: 1]
    #[arg(long, value_name = "EXPONENT")]
    pub key_zipf_exp: Option<f64>,
    /// Deviation of G [default: a sixth of the range]
    #[arg(long, value_name = "KEYS")]
    pub key_stddev: Option<f64>,
    /// Middle of G [default: the middle of the range]
    #[arg(long, value_name = "KEY")]
    pub key_median: Option<u64>,

    /// Leave the latency distribution out
    #[arg(long)]
    pub hide_histogram: bool,
    /// Percentiles of the table
    #[arg(long, default_value = "50,99,99.9", value_name = "LIST")]
    pub print_percentiles: String,
    /// Print Markdown rows instead of the table
    #[arg(long)]
    pub markdown: bool,
    /// Write everything as JSON, too
    #[arg(long, value_name = "FILE")]
    pub json_out_file: Option<std::path::PathBuf>,
    /// Write HdrHistogram percentile files whose names begin with this
    #[arg(long, value_name = "PREFIX")]
    pub hdr_file_prefix: Option<String>,
    /// NAME=VALUE to put into the JSON
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
}

/// What the flags come to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The flags.
    pub args: Args,
    /// The server.
    pub target: Target,
    /// The load of the measured run.
    pub load: Load,
    /// The end of the measured run; `None`: there is none, only the populating.
    pub limit: Option<Limit>,
    /// The load that writes all keys, when that is asked for.
    pub populate: Option<Load>,
    /// Columns of the table.
    pub percentiles: Vec<f64>,
    /// Labels for the JSON.
    pub labels: Vec<(String, String)>,
}

impl Plan {
    /// Reads the flags; prints help or what is wrong with them and ends the process, as clap does.
    ///
    /// # Errors
    /// When flags that are right in themselves make no load.
    pub fn from_command_line() -> Result<Self, BenchError> {
        Self::new(&Args::command().get_matches())
    }

    fn new(matches: &ArgMatches) -> Result<Self, BenchError> {
        let args = Args::from_arg_matches(matches)
            .map_err(|error| BenchError::Usage(error.to_string()))?;
        let target = target(&args)?;
        Self::of(args, target, matches).map_err(BenchError::Usage)
    }

    fn of(args: Args, target: Target, matches: &ArgMatches) -> Result<Self, String> {
        let filling = filling(&args)?;
        let commands = if args.command.is_empty() {
            set_and_get(&args, &filling)?
        } else {
            free_commands(&args, matches, &filling)?
        };
        let mut load = Load::new(commands, filling.clone(), args.pipeline.unwrap_or(1))?;
        load.batches = args.pipeline_batches;
        load.rate = args.rate_limiting;
        let limit = limit(&args)?;
        if args.warmup_time < 0.0 || !args.warmup_time.is_finite() {
            return Err(format!("--warmup-time {} is no time", args.warmup_time));
        }
        let walks_parts = load
            .commands
            .iter()
            .any(|c| c.ratio > 0 && c.pattern == Pattern::Parallel);
        if walks_parts && filling.keys.count() < args.threads * args.clients {
            return Err("pattern P needs at least one key per connection".to_owned());
        }
        let populate = args.populate.then(|| {
            let pipeline = args.pipeline.unwrap_or(POPULATE_PIPELINE);
            Load::populating(filling, pipeline)
        });
        Ok(Self {
            target,
            load,
            limit,
            populate,
            percentiles: percentiles(&args.print_percentiles)?,
            labels: labels(&args.label)?,
            args,
        })
    }

    /// Connections of all threads.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.args.threads * self.args.clients
    }
}

fn target(args: &Args) -> Result<Target, BenchError> {
    let address = match &args.unix_socket {
        Some(path) => Address::Unix(path.clone()),
        None => Address::resolve(&args.server, args.port)?,
    };
    let credentials = args
        .authenticate
        .as_ref()
        .map(|text| match text.split_once(':') {
            Some((user, password)) => (Some(user.to_owned()), password.to_owned()),
            None => (None, text.clone()),
        });
    Ok(Target {
        address,
        credentials,
        resp: args.resp,
        database: args.select_db,
    })
}

fn filling(args: &Args) -> Result<Filling, String> {
    let shape = Shape {
        zipf_exponent: args.key_zipf_exp,
        stddev: args.key_stddev,
        median: args.key_median,
    };
    let prefix = args.key_prefix.as_bytes();
    let keys = KeySpace::new(
        prefix,
        args.key_minimum,
        args.key_maximum,
        args.key_length,
        shape,
    )?;
    let (low, high) = match &args.data_size_range {
        Some(text) => parse_range(text)?,
        None => (args.data_size as u64, args.data_size as u64),
    };
    let size = |bytes: u64| usize::try_from(bytes).map_err(|_| format!("a value of {bytes} bytes"));
    let values = Values::new(size(low)?, size(high)?, args.random_data)?;
    let expiry = args.expiry_range.as_deref().map(parse_range).transpose()?;
    if expiry.is_some_and(|(low, high)| low == 0 || high > u64::from(u32::MAX)) {
        return Err("--expiry-range must lie between 1 and 4294967295 seconds".to_owned());
    }
    Ok(Filling {
        keys,
        values,
        expiry,
    })
}

/// Splits `A:B`; a single `A` stands for both.
fn both(text: &str) -> (&str, &str) {
    text.split_once(':').unwrap_or((text, text))
}

fn set_and_get(args: &Args, filling: &Filling) -> Result<Vec<Command>, String> {
    let (set, get) = args
        .ratio
        .split_once(':')
        .ok_or_else(|| format!("--ratio {} is not SET:GET", args.ratio))?;
    let ratio = |text: &str| {
        text.parse::<u64>()
            .map_err(|error| format!("--ratio {}: {error}", args.ratio))
    };
    let (set_pattern, get_pattern) = both(&args.key_pattern);
    Ok(vec![
        Command {
            template: Template::set(filling),
            ratio: ratio(set)?,
            pattern: set_pattern.parse()?,
            label: "Sets".to_owned(),
        },
        Command {
            template: Template::get(filling),
            ratio: ratio(get)?,
            pattern: get_pattern.parse()?,
            label: "Gets".to_owned(),
        },
    ])
}

fn free_commands(
    args: &Args,
    matches: &ArgMatches,
    filling: &Filling,
) -> Result<Vec<Command>, String> {
    let places = |id: &str| {
        matches
            .indices_of(id)
            .map(Iterator::collect::<Vec<_>>)
            .unwrap_or_default()
    };
    let commands = places("command");
    // An option belongs to the last --command before it.
    let owner = |place: usize| commands.iter().rposition(|command| *command < place);
    let mut result = Vec::new();
    for line in &args.command {
        let template = Template::parse(line, filling)?;
        let label = if result.iter().any(|c: &Command| c.label == template.name()) {
            format!("{}{}", template.name(), result.len() + 1)
        } else {
            template.name().to_owned()
        };
        result.push(Command {
            template,
            ratio: 1,
            pattern: Pattern::Uniform,
            label,
        });
    }
    for (place, ratio) in places("command_ratio").into_iter().zip(&args.command_ratio) {
        let at = owner(place).ok_or("--command-ratio stands before every --command")?;
        result[at].ratio = *ratio;
    }
    for (place, pattern) in places("command_key_pattern")
        .into_iter()
        .zip(&args.command_key_pattern)
    {
        let at = owner(place).ok_or("--command-key-pattern stands before every --command")?;
        result[at].pattern = pattern.parse()?;
    }
    if matches.value_source("ratio") == Some(ValueSource::CommandLine) {
        return Err("--ratio is for SET and GET; with --command use --command-ratio".to_owned());
    }
    Ok(result)
}

fn limit(args: &Args) -> Result<Option<Limit>, String> {
    if let Some(seconds) = args.test_time {
        if !(seconds > 0.0 && seconds < 1e9) {
            return Err(format!("--test-time {seconds} is no time"));
        }
        return Ok(Some(Limit::Time((seconds * SECOND_NS as f64) as u64)));
    }
    match args.requests.as_deref() {
        Some("allkeys") => Ok(Some(Limit::AllKeys)),
        Some(number) => match number.parse() {
            Ok(count) if count > 0 => Ok(Some(Limit::Requests(count))),
            _ => Err(format!("-n {number} is no number of requests")),
        },
        None if args.populate => Ok(None),
        None => Ok(Some(Limit::Requests(REQUESTS))),
    }
}

fn percentiles(text: &str) -> Result<Vec<f64>, String> {
    text.split(',')
        .map(|part| match part.trim().parse::<f64>() {
            Ok(percentile) if (0.0..=100.0).contains(&percentile) => Ok(percentile),
            _ => Err(format!("--print-percentiles: '{part}' is no percentile")),
        })
        .collect()
}

fn labels(texts: &[String]) -> Result<Vec<(String, String)>, String> {
    let split = |text: &String| {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| format!("--label {text} is not NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    texts.iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<Plan, String> {
        let words = std::iter::once("tessera-bench").chain(line.split_whitespace());
        let matches = Args::command()
            .try_get_matches_from(words)
            .map_err(|error| error.to_string())?;
        Plan::new(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_memtiers() {
        let plan = plan("").unwrap();
        assert_eq!(plan.connections(), 200);
        assert_eq!(plan.limit, Some(Limit::Requests(10_000)));
        assert_eq!(plan.load.cycle.len(), 11);
        assert_eq!(plan.percentiles, [50.0, 99.0, 99.9]);
    }

    #[test]
    fn options_of_a_command_belong_to_the_one_before_them() {
        let line = "--command=PING --command-ratio=3 --command=DBSIZE --command=PING --command-key-pattern=Z";
        let plan = plan(line).unwrap();
        let commands = &plan.load.commands;
        assert_eq!(
            commands.iter().map(|c| c.ratio).collect::<Vec<_>>(),
            [3, 1, 1]
        );
        assert_eq!(commands[2].pattern, Pattern::Zipf);
        assert_eq!(commands[0].pattern, Pattern::Uniform);
        assert_eq!(commands[2].label, "PING3");
    }

    #[test]
    fn populating_alone_has_no_run() {
        let alone = plan("--populate --key-maximum=99 -t 1 -c 1").unwrap();
        assert_eq!(alone.limit, None);
        assert_eq!(alone.populate.unwrap().pipeline, POPULATE_PIPELINE);
        let with_run = plan("--populate --test-time 1 --pipeline 4").unwrap();
        assert_eq!(with_run.limit, Some(Limit::Time(SECOND_NS)));
        assert_eq!(with_run.populate.unwrap().pipeline, 4);
    }

    #[test]
    fn credentials_and_limits() {
        let with_user = plan("-a me:secret -n allkeys").unwrap();
        assert_eq!(
            with_user.target.credentials,
            Some((Some("me".to_owned()), "secret".to_owned()))
        );
        assert_eq!(with_user.limit, Some(Limit::AllKeys));
        assert_eq!(
            plan("-a secret").unwrap().target.credentials,
            Some((None, "secret".to_owned()))
        );
    }

    #[test]
    fn what_makes_no_load_is_refused() {
        for line in [
            "--ratio 0:0",
            "--ratio 1",
            "--key-pattern X:R",
            "--pipeline 0",
            "-n 0",
            "-n 5 --test-time 1",
            "--test-time 0",
            "--resp 4",
            "--command PING --ratio 1:1",
            "--command-ratio 2 --command PING",
            "--expiry-range 0-5",
            "--print-percentiles 50,101",
            "--key-pattern P:P --key-maximum 5",
            "--label x",
        ] {
            assert!(plan(line).is_err(), "{line}");
        }
    }
}
