//! The binary: flags in, results out.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use tessera_bench::error::BenchError;
use tessera_bench::plan::Plan;
use tessera_bench::run::run;

const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    execute().unwrap_or_else(|error| {
        eprintln!("tessera-bench: {error}");
        match error {
            BenchError::Usage(_) => ExitCode::from(EXIT_USAGE),
            _ => ExitCode::FAILURE,
        }
    })
}

fn execute() -> Result<ExitCode, BenchError> {
    let plan = Plan::from_command_line()?;
    let mut out: Box<dyn Write> = match &plan.args.out_file {
        Some(path) => {
            Box::new(File::create(path).map_err(BenchError::system(path.display().to_string()))?)
        }
        None => Box::new(std::io::stdout()),
    };
    run(&plan, &mut out)
}
