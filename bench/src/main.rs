//! Measures Tidelock beside others in one run: beside a control and stores of others (`compare`), and on each
//! of its engines (`engines`). What counts is the ratio, not the figure.

mod case;
mod control;
mod goals;
mod measure;
mod report;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use case::Case;
use measure::Turns;
use subject::{Kind, Programs};

#[derive(Parser)]
#[command(about = "What an operation costs, one beside the other, in one run")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tidelock beside a control and beside stores of others
    Compare {
        /// Subjects, in the order of their turns
        #[arg(
            long,
            value_enum,
            value_delimiter = ',',
            default_value = "control,tidelock,seaweedfs,seaweedfs-fsync,s3s-fs,garage,garage-fsync"
        )]
        subjects: Vec<Kind>,
        /// Cases, in this order
        #[arg(long, value_delimiter = ',', value_parser = Case::parse, default_value = case::COMPARED)]
        cases: Vec<Case>,
        #[command(flatten)]
        measuring: Measuring,
    },
    /// Tidelock on each of its engines
    Engines {
        /// Subjects, in the order of their turns
        #[arg(
            long,
            value_enum,
            value_delimiter = ',',
            default_value = "control,memory,tidelock,postgres"
        )]
        subjects: Vec<Kind>,
        /// Cases, in this order
        #[arg(long, value_delimiter = ',', value_parser = Case::parse, default_value = case::OF_ENGINES)]
        cases: Vec<Case>,
        #[command(flatten)]
        measuring: Measuring,
    },
    /// Serves the control on a free port, with its log below a directory
    Control { directory: PathBuf },
}

#[derive(clap::Args)]
struct Measuring {
    #[command(flatten)]
    programs: Programs,
    #[command(flatten)]
    turns: Turns,
    /// Write the report as JSON, too, with every turn
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::Compare { subjects, cases, measuring }
        | Command::Engines { subjects, cases, measuring } => measure(subjects, &cases, &measuring),
        Command::Control { directory } => {
            control::serve(&directory)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[tokio::main]
async fn measure(
    mut subjects: Vec<Kind>,
    cases: &[Case],
    measuring: &Measuring,
) -> Result<ExitCode> {
    let Measuring { programs, turns, json } = measuring;
    subjects.retain(|kind| {
        let is_there = programs.have(*kind);
        if !is_there {
            eprintln!("{kind} is left out: it is not installed");
        }
        is_there
    });
    let report = measure::run(&subjects, cases, programs, turns).await?;
    if let Some(path) = json {
        let written = std::fs::write(path, report.json()?);
        written.with_context(|| path.display().to_string())?;
    }
    print!("{report}");
    Ok(if report.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
