//! `tidelock migrate ...`

mod edit;
mod files;
mod pg;
mod s3;

use std::pin::pin;

use clap::Subcommand;
use tidelock_client::migrate::{MigrateMode, Migration, Source, StateReport, Verdict};

use crate::address::BucketPrefix;
use crate::commands::lock::who;
use crate::connect::{ClientArgs, Session};
use crate::exit::{Failure, shown, stopped};
use crate::output::{List, Row, printable};
use crate::progress;

/// Move states with all their versions into a bucket, from files, S3, lock tables and PostgreSQL
///
/// The source is only read. Each state is written under its lock, oldest version first, and read again;
/// what is there already is left alone, so that a run that was interrupted is finished by running it
/// again. A state whose lock is held, and one where something else is at the destination, are refused.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    source: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Files(files::Args),
    S3(s3::Args),
    Pg(pg::Args),
}

/// Where states go, and whether they do.
#[derive(clap::Args, Clone, Debug)]
struct Target {
    /// Where they go; a prefix is a folder
    #[arg(value_name = "DEST_BUCKET[/PREFIX]")]
    destination: BucketPrefix,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.open()?;
        match self.source {
            Action::Files(args) => args.run(session).await,
            Action::S3(args) => args.run(session).await,
            Action::Pg(args) => args.run(session).await,
        }
    }
}

impl Target {
    /// Moves all that is at the source. A failure if any state is not where it should be.
    async fn migrate(&self, session: &Session, source: &Source) -> Result<(), Failure> {
        let mut stop = pin!(stopped()?);
        let place = (&session.client, self.destination.bucket.as_str());
        let migration = Migration::open(source, place, &who()).await?;
        if !migration.keeps_versions() {
            eprintln!(
                "tidelock: {} keeps no versions: only the current one of each state goes there",
                self.destination.bucket
            );
        }
        let mode = if self.dry_run { MigrateMode::DryRun } else { MigrateMode::Real };
        let states = migration.states().await?;
        let (line, mut list, mut counts) =
            (progress::steps(), List::new(session.format), Counts::default());
        for (number, state) in states.iter().enumerate() {
            let name = printable(&state.name);
            line.set_message(format!("{} of {}: {name}", number + 1, states.len()));
            line.tick();
            let report = migration.migrate(state, mode, stop.as_mut()).await?;
            counts.add(&report);
            shown(list.extend(vec![report]))?;
        }
        line.finish_and_clear();
        shown(list.finish())?;
        counts.tell()
    }
}

/// How the states fared.
#[derive(Default)]
struct Counts {
    all: usize,
    moved: usize,
    there: usize,
    no_states: usize,
    refused: usize,
}

impl Counts {
    fn add(&mut self, report: &StateReport) {
        self.all += 1;
        let count = match report.verdict {
            Verdict::Migrated | Verdict::WouldMigrate => &mut self.moved,
            Verdict::Same | Verdict::Ahead => &mut self.there,
            Verdict::NotAState => &mut self.no_states,
            Verdict::Locked | Verdict::Different | Verdict::Failed => &mut self.refused,
        };
        *count += 1;
    }

    fn tell(&self) -> Result<(), Failure> {
        let Self { all, moved, there, no_states, refused } = self;
        eprintln!(
            "tidelock: {moved} to move or moved, {there} there before, {no_states} no states, \
             {refused} refused"
        );
        if *refused == 0 {
            return Ok(());
        }
        Err(Failure::in_use(&format!("{refused} of {all} states were not moved")))
    }
}

impl Row for StateReport {
    const COLUMNS: &'static [&'static str] =
        &["source", "key", "versions", "written", "size", "verdict", "reason"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.source.clone(),
            self.key.clone(),
            self.versions.to_string(),
            self.written.to_string(),
            self.bytes.to_string(),
            self.verdict.as_str().to_owned(),
            self.reason.clone(),
        ]
    }
}
