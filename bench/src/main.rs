//! Measures what an operation costs on each engine, all in one run: wall time, and CPU time of the
//! server and of the engine behind it. Subjects take turns within each workload, so that a noisy
//! moment of the machine hits all of them; what counts is the ratio, not the figure.

mod bare;
mod cpu;
mod load;
mod report;
mod subject;
mod wire;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use report::Report;
use subject::Subject;

#[derive(Parser)]
#[command(about = "What an operation costs, engine beside engine, in one run")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The binary to measure
    #[arg(long, default_value = "../target/release/tidelock")]
    binary: PathBuf,
    /// The script that starts a PostgreSQL cluster
    #[arg(long, default_value = "../scripts/postgres-cluster")]
    cluster: PathBuf,
    /// Subjects, in the order of their turns
    #[arg(long, value_delimiter = ',', default_value = "bare,memory,local,postgres")]
    subjects: Vec<String>,
    /// Workloads to run; all when none is named
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Length of one turn, in milliseconds
    #[arg(long, default_value_t = 2000)]
    turn_ms: u64,
    /// Turns of each subject in each workload
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Keys in the bucket that is listed
    #[arg(long, default_value_t = 20_000)]
    listed_keys: usize,
}

#[derive(Subcommand)]
enum Command {
    /// Serves nothing but 200s on a free port: the floor of what HTTP costs
    Bare,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Command::Bare) = arguments.command {
        return bare::serve();
    }
    let mut subjects = Vec::new();
    for name in &arguments.subjects {
        eprintln!("starting {name}");
        subjects.push(Subject::start(name, &arguments.binary, &arguments.cluster)?);
    }
    let turn = Duration::from_millis(arguments.turn_ms);
    let mut report = Report::default();
    for workload in workload::all(arguments.listed_keys) {
        let named = arguments.workloads.iter().any(|name| name == workload.name);
        if !named && !arguments.workloads.is_empty() {
            continue;
        }
        let takers: Vec<&Subject> =
            subjects.iter().filter(|subject| workload.suits(subject)).collect();
        for subject in &takers {
            workload.prepare(subject)?;
        }
        for clients in workload.clients {
            for _ in 0..arguments.turns {
                for subject in &takers {
                    let measured = load::run(&workload, subject, *clients, turn)?;
                    report.add(workload.name, *clients, &subject.name, measured);
                }
            }
            eprintln!("{} at {clients}: done", workload.name);
        }
    }
    print!("{report}");
    Ok(())
}
