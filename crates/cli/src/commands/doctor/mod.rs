//! `tidelock doctor`

mod terraform;

use std::path::PathBuf;
use std::pin::pin;

use indicatif::ProgressBar;
use ring::rand::{SecureRandom as _, SystemRandom};
use tidelock_client::doctor::{
    Examination, Finding, Order, RACERS_DEFAULT, RACERS_MAX, ROUNDS_DEFAULT, ROUNDS_MAX, Report,
    Verdict,
};

use crate::connect::{ClientArgs, Session};
use crate::exit::{Failure, shown, stopped};
use crate::output::{self, Row};
use crate::progress;

/// What `--help` says at its end.
const HELP: &str = "\
Exit status: 0 if locks are safe, 1 if they are not. Warnings do not change it: no lock of Terraform or \
OpenTofu rests on what they are about.";

/// Prove or disprove that locking with an S3 endpoint is safe
///
/// Does what locks rest on: conditional writes, one by one and raced by many clients, reads and lists after
/// writes, checksums, ranges. Everything is written below one random prefix, in a bucket that is made for
/// it, and removed at the end, also after SIGINT, SIGTERM and SIGHUP.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// URL of the endpoint; else it is found as by all commands
    #[arg(value_name = "ENDPOINT")]
    url: Option<String>,
    /// Use this bucket, and leave its settings as they are; else one is made and removed
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Clients of each race
    #[arg(long, value_name = "COUNT", default_value_t = RACERS_DEFAULT, value_parser = racers)]
    racers: usize,
    /// Rounds of each race; a slow endpoint gets fewer
    #[arg(long, value_name = "COUNT", default_value_t = ROUNDS_DEFAULT, value_parser = rounds)]
    rounds: u32,
    /// Run this Terraform or OpenTofu as well, twice at once: the second must be refused
    #[arg(long, value_name = "PATH")]
    terraform: Option<PathBuf>,
    #[command(flatten)]
    client: ClientArgs,
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.clone().at(self.url.clone()).open()?;
        let terraform = match &self.terraform {
            Some(program) => Some(terraform::find(program)?),
            None => None,
        };
        let mut stop = pin!(stopped()?);
        let order = self.order()?;
        let progress = progress::steps();
        let mut examination = Examination::begin(&session.client, &order).await?;
        let findings = tokio::select! {
            biased;
            () = stop.as_mut() => None,
            findings = examine(&session, &mut examination, terraform, &progress) => Some(findings),
        };
        progress.set_message("cleaning up");
        let (bucket, prefix) = (examination.bucket().to_owned(), examination.prefix().to_owned());
        let leftovers = match examination.clean_up().await {
            Ok(()) => None,
            Err(error) => Some(Finding::of_leftovers(&bucket, &prefix, &error)),
        };
        progress.finish_and_clear();
        let Some(mut findings) = findings else {
            if let Some(Finding { seen, advice, .. }) = leftovers {
                eprintln!("tidelock: {}", output::printable(&format!("{advice}: {seen}")));
            }
            return Err(Failure::interrupted());
        };
        findings.extend(leftovers);
        print(&session, findings)
    }

    fn order(&self) -> Result<Order, Failure> {
        let mut random = [0; 16];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| Failure::other(&"the system gives no randomness"))?;
        let (bucket, racers, rounds) = (self.bucket.clone(), self.racers, self.rounds);
        Ok(Order { bucket, racers, rounds, random })
    }
}

async fn examine(
    session: &Session,
    examination: &mut Examination,
    terraform: Option<PathBuf>,
    progress: &ProgressBar,
) -> Vec<Finding> {
    let mut told = |check: &'static str| progress.set_message(check);
    let mut findings = examination.run(&mut told).await;
    if let Some(program) = terraform {
        told(terraform::CHECK);
        findings.push(terraform::examine(session, examination, &program).await);
    }
    findings
}

fn print(session: &Session, findings: Vec<Finding>) -> Result<(), Failure> {
    let report = Report::of(&session.client, findings);
    shown(output::table_and_line(session.format, &report.checks, &report.verdict, &report))?;
    if report.safe { Ok(()) } else { Err(Failure::unsafe_endpoint()) }
}

impl Row for Finding {
    const COLUMNS: &'static [&'static str] = &["check", "verdict", "seen", "what to do"];

    fn cells(&self) -> Vec<String> {
        let verdict = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::Warn => "warn",
            Verdict::Skipped => "skipped",
        };
        vec![self.check.to_owned(), verdict.to_owned(), self.seen.clone(), self.advice.clone()]
    }
}

fn racers(text: &str) -> Result<usize, String> {
    let racers = text.parse().ok().filter(|racers| (2..=RACERS_MAX).contains(racers));
    racers.ok_or_else(|| format!("takes 2 to {RACERS_MAX}"))
}

fn rounds(text: &str) -> Result<u32, String> {
    let rounds = text.parse().ok().filter(|rounds| (1..=ROUNDS_MAX).contains(rounds));
    rounds.ok_or_else(|| format!("takes 1 to {ROUNDS_MAX}"))
}
