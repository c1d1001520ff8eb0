//! The binary: flags in, results out.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use tessera_bench::error::BenchError;
use tessera_bench::plan::Plan;
use tessera_bench::run::run;
use tessera_bench::workload::{self, run_workloads};

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
    if plan.args.list {
        return list(&mut out);
    }
    if plan.args.workload.is_empty() && plan.args.disturb.is_empty() {
        return run(&plan, &mut out);
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    run_workloads(&plan, &words, &mut out)
}

fn list(out: &mut dyn Write) -> Result<ExitCode, BenchError> {
    out.write_all(workload::list().as_bytes())
        .map_err(BenchError::system("cannot write the list"))?;
    Ok(ExitCode::SUCCESS)
}
