//! The flags, under memtier's names. `plan` makes a load of them.

use clap::Parser;

const EXIT_STATUS: &str = "Exit status: 0 the run is whole and every reply was a success; 1 it could not run; 2 wrong flags; \
3 there were error replies (they are counted by text and shown); 4 connections were lost or replies never came (what was \
measured until then is shown and marked as partial).";

/// A load generator for RESP servers, with memtier's flags.
#[derive(Clone, Debug, Parser)]
#[command(name = "tessera-bench", version, after_help = EXIT_STATUS, args_override_self = true)]
pub struct Args {
    /// Host of the server
    #[arg(short = 's', long, default_value = "127.0.0.1", value_name = "ADDR")]
    pub server: String,
    /// Port of the server
    #[arg(short = 'p', long, default_value_t = 6379)]
    pub port: u16,
    /// Socket file of the server, instead of host and port; also --unix
    #[arg(short = 'S', long, visible_alias = "unix", value_name = "PATH")]
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
    /// memtier's name for it: redis, resp2 or resp3
    #[arg(short = 'P', long, value_name = "PROTOCOL")]
    pub protocol: Option<String>,
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
    /// Draw keys and values from another seed each time
    #[arg(long)]
    pub randomize: bool,
    /// memtier's flag for what is always so here: every thread draws its own keys
    #[arg(long)]
    pub distinct_client_seed: bool,
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

    /// Print all named workloads and disturbances with their sources, and end
    #[arg(long)]
    pub list: bool,
    /// Run a named workload, or all; may be given more than once. The flags given beside it win over its own
    #[arg(long, value_name = "NAME")]
    pub workload: Vec<String>,
    /// Run a load beside which something else happens, or all of them; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub disturb: Vec<String>,

    /// SET:GET ratio
    #[arg(long, default_value = "1:10", value_name = "SET:GET")]
    pub ratio: String,
    /// Instead of SET and GET: a command with __key__ and __data__ in it; may be given more than once. Also __same_key__
    /// (the key before it again), __rand__ (a random number below the number of keys), __expiry__, and __then__
    /// between commands that are sent and timed as one
    #[arg(long, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// How often the --command before it is sent in a row [default: 1]
    #[arg(long, value_name = "RATIO")]
    pub command_ratio: Vec<u64>,
    /// The key pattern of the --command before it [default: R]
    #[arg(long, value_name = "PATTERN")]
    pub command_key_pattern: Vec<String>,
    /// What is sent with the same key when the --command before it is answered with a null
    #[arg(long, value_name = "COMMAND")]
    pub command_on_miss: Vec<String>,
    /// What a connection does between the null and that command: nothing, for so many milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub miss_delay: u64,

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
    /// Write the text there instead of to standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out_file: Option<std::path::PathBuf>,
    /// Print Markdown rows instead of the table
    #[arg(long)]
    pub markdown: bool,
    /// Write everything as JSON, too
    #[arg(long, value_name = "FILE")]
    pub json_out_file: Option<std::path::PathBuf>,
    /// Write HdrHistogram percentile files whose names begin with this
    #[arg(long, value_name = "PREFIX")]
    pub hdr_file_prefix: Option<String>,
    /// Draw latency by percentile, and throughput and p99 over time, as SVG and PNG files whose names begin with this
    #[arg(long, value_name = "PREFIX")]
    pub plot_prefix: Option<String>,
    /// NAME=VALUE to put into the JSON
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
}
