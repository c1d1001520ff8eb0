//! The binary: flags in, results out.

use std::process::ExitCode;

use tessera_bench::args::Plan;
use tessera_bench::error::BenchError;
use tessera_bench::run::run;

const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let result = Plan::from_command_line().and_then(|plan| run(&plan));
    result.unwrap_or_else(|error| {
        eprintln!("tessera-bench: {error}");
        match error {
            BenchError::Usage(_) => ExitCode::from(EXIT_USAGE),
            _ => ExitCode::FAILURE,
        }
    })
}
