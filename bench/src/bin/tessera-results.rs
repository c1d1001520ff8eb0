//! Makes RESULTS.md and its JSON from the JSON files of many `tessera-bench` runs. `scripts/bench` calls it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use tessera_bench::results::{
    Cell, Loss, Machine, Provenance, Skip, Verdict, draw, gather, kept_sections, losses, page,
    read_runs, skips, verdicts,
};

/// Makes the results page from the JSON files of many runs.
#[derive(Debug, Parser)]
#[command(name = "tessera-results", version)]
struct Args {
    /// Folder with the JSON files
    #[arg(long, value_name = "FOLDER")]
    runs: PathBuf,
    /// The page to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The JSON to write beside it
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
    /// Folder for the plots, beside the JSON's
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// The command that made the runs
    #[arg(long)]
    command: String,
    /// The commit measured
    #[arg(long)]
    commit: String,
    /// The day
    #[arg(long)]
    date: String,
    /// A sentence the reader should know; may be given more than once
    #[arg(long)]
    note: Vec<String>,
}

#[derive(Serialize)]
struct Json<'a> {
    provenance: &'a Provenance,
    targets: Vec<Verdict>,
    losses: Vec<Loss>,
    skipped: &'a [Skip],
    cells: &'a [Cell],
}

fn main() -> ExitCode {
    match write(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tessera-results: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(args: Args) -> std::io::Result<()> {
    let runs = read_runs(&args.runs)?;
    let (cells, skipped) = (gather(&runs), skips(&runs));
    let pictures = match &args.plots {
        Some(folder) => {
            let page = args.out.parent().unwrap_or(folder);
            let from_page = folder.strip_prefix(page).unwrap_or(folder);
            draw(&cells, folder, &from_page.to_string_lossy()).map_err(std::io::Error::other)?
        }
        None => Vec::new(),
    };
    let provenance = Provenance {
        command: args.command,
        commit: args.commit,
        date: args.date,
        machine: Machine::this(),
        notes: args.note,
    };
    let json = Json {
        provenance: &provenance,
        targets: verdicts(&cells),
        losses: losses(&cells),
        skipped: &skipped,
        cells: &cells,
    };
    let text = serde_json::to_string_pretty(&json).map_err(std::io::Error::other)?;
    // Other scripts have sections of their own on the page.
    let before = std::fs::read_to_string(&args.out).unwrap_or_default();
    let page = page(&provenance, &cells, &skipped, &pictures) + &kept_sections(&before);
    std::fs::write(&args.out, page)?;
    std::fs::write(&args.json, text + "\n")
}
