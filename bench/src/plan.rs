//! What the flags come to: a target, a load and its limit. Every way to run the tool, a named workload's parts
//! included, goes through `Plan::of_words`.

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::args::Args;
use crate::clock::SECOND_NS;
use crate::error::BenchError;
use crate::keys::{KeySpace, Pattern, Shape};
use crate::load::{Command, Limit, Load};
use crate::random::Random;
use crate::target::{Address, Target};
use crate::template::{Filling, Template};
use crate::values::{Values, parse_range};

const REQUESTS: u64 = 10_000;
/// Requests in flight per connection while loading, when --pipeline does not say.
const POPULATE_PIPELINE: u32 = 32;

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
    /// What keys and values are drawn from.
    pub seed: u64,
}

impl Plan {
    /// Reads the flags; prints help or what is wrong with them and ends the process, as clap does.
    ///
    /// # Errors
    /// When flags that are right in themselves make no load.
    pub fn from_command_line() -> Result<Self, BenchError> {
        Self::new(&Args::command().get_matches())
    }

    /// The plan of other words than the command line's.
    ///
    /// # Errors
    /// When they are no flags, or make no load.
    pub fn of_words<I: IntoIterator<Item = String>>(words: I) -> Result<Self, BenchError> {
        let words = std::iter::once("tessera-bench".to_owned()).chain(words);
        let matches = Args::command().try_get_matches_from(words);
        Self::new(&matches.map_err(|error| BenchError::Usage(error.to_string()))?)
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
        load.free_commands = !args.command.is_empty();
        load.miss_delay_ns = args.miss_delay.saturating_mul(SECOND_NS / 1000);
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
            seed: if args.randomize {
                Random::from_time().bits()
            } else {
                0
            },
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
    let resp = match args.protocol.as_deref() {
        None => args.resp,
        Some("redis" | "resp2") => 2,
        Some("resp3") => 3,
        Some(other) => {
            let text = format!("--protocol {other}: this speaks redis, resp2 and resp3");
            return Err(BenchError::Usage(text));
        }
    };
    Ok(Target {
        address,
        credentials,
        resp,
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
            on_miss: None,
        },
        Command {
            template: Template::get(filling),
            ratio: ratio(get)?,
            pattern: get_pattern.parse()?,
            label: "Gets".to_owned(),
            on_miss: None,
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
    let mut result: Vec<Command> = Vec::new();
    for line in &args.command {
        let template = Template::parse(line, filling)?;
        result.push(free_command(template, &result));
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
    for (place, line) in places("command_on_miss")
        .into_iter()
        .zip(&args.command_on_miss)
    {
        let at = owner(place).ok_or("--command-on-miss stands before every --command")?;
        let template = Template::parse(line, filling)?;
        result[at].on_miss = u16::try_from(result.len()).ok();
        let mut command = free_command(template, &result);
        command.ratio = 0;
        result.push(command);
    }
    if matches.value_source("ratio") == Some(ValueSource::CommandLine) {
        return Err("--ratio is for SET and GET; with --command use --command-ratio".to_owned());
    }
    Ok(result)
}

/// A command with memtier's name for it (`Hsets`); one whose name is taken gets a number.
fn free_command(template: Template, others: &[Command]) -> Command {
    let mut letters = template.name().chars();
    let first: String = letters.by_ref().take(1).collect();
    let mut label = format!("{first}{}s", letters.as_str().to_lowercase());
    if others.iter().any(|other| other.label == label) {
        label = format!("{label}_{}", others.len() + 1);
    }
    Command {
        template,
        ratio: 1,
        pattern: Pattern::Uniform,
        label,
        on_miss: None,
    }
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
        let words = line.split_whitespace().map(str::to_owned);
        Plan::of_words(words).map_err(|error| error.to_string())
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
        let labels: Vec<&str> = commands.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(labels, ["Pings", "Dbsizes", "Pings_3"]);
    }

    #[test]
    fn a_command_on_a_miss_is_never_sent_by_itself() {
        let line = "--command=GET --command=PING --command-on-miss=DBSIZE --miss-delay 3";
        let plan = plan(line).unwrap();
        assert_eq!(plan.load.commands[1].on_miss, Some(2));
        assert_eq!(plan.load.cycle, [0, 1]);
        assert_eq!(plan.load.miss_delay_ns, 3_000_000);
    }

    #[test]
    fn the_last_of_two_equal_flags_counts_and_memtiers_protocols_are_known() {
        assert_eq!(plan("-c 3 -c 5 -t 1").unwrap().connections(), 5);
        assert_eq!(plan("-P resp3").unwrap().target.resp, 3);
        assert!(plan("-P memcache_text").is_err());
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
