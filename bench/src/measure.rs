//! Runs the cases: in each, every subject is started on an empty store, and they take turns, so that a noisy
//! moment of the machine hits all of them.

use std::time::Duration;

use anyhow::Result;
use ring::rand::{SecureRandom as _, SystemRandom};
use tidelock_client::bench::{Bench, Measured, Order};

use crate::case::Case;
use crate::report::{Report, Row};
use crate::subject::{BUCKET, Kind, Programs, Subject};

/// How it is measured.
#[derive(clap::Args, Clone, Debug)]
pub struct Turns {
    /// Turns of each subject in each case
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Length of one turn, in milliseconds
    #[arg(long, default_value_t = 2000)]
    turn_ms: u64,
    /// Keys in the bucket that is listed
    #[arg(long, default_value_t = 20_000)]
    listed_keys: usize,
}

/// Runs all of it.
pub async fn run(
    kinds: &[Kind],
    cases: &[Case],
    programs: &Programs,
    turns: &Turns,
) -> Result<Report> {
    let mut report = Report::default();
    for case in cases {
        let takers = kinds.iter().filter(|kind| kind.lists() || !case.lists());
        let mut subjects = Vec::new();
        for kind in takers {
            match Subject::start(*kind, programs).await {
                Ok(subject) => subjects.push(Taker { subject, bench: None, turns: Vec::new() }),
                // One of others that does not start is no reason to measure nothing.
                Err(error) if kind.is_peer() => eprintln!("{kind} is left out: {error}"),
                Err(error) => return Err(error),
            }
        }
        for turn in 0..turns.turns {
            for taker in &mut subjects {
                taker.turn(case, turns).await?;
            }
            eprintln!("{}: turn {} of {}", case.name, turn + 1, turns.turns);
        }
        for Taker { subject, turns, .. } in subjects {
            report.rows.push(Row::of(case, subject.kind, subject.pids[0], turns));
        }
    }
    Ok(report)
}

/// A subject in a case.
struct Taker {
    subject: Subject,
    bench: Option<Bench>,
    turns: Vec<Measured>,
}

impl Taker {
    async fn turn(&mut self, case: &Case, turns: &Turns) -> Result<()> {
        // Listed keys are put once. All else is written under other keys in each turn: some stores keep equal
        // bodies once.
        let mut bench = match self.bench.take() {
            Some(bench) => bench,
            None => Bench::begin(&self.subject.client, self.order(case, turns)?).await?,
        };
        match bench.run(case.workload).await {
            Ok(measured) => self.turns.push(measured),
            Err(error) if self.subject.kind.is_peer() => {
                eprintln!("{}: {error}", self.subject.kind)
            }
            Err(error) => return Err(error.into()),
        }
        self.bench = case.lists().then_some(bench);
        Ok(())
    }

    fn order(&self, case: &Case, turns: &Turns) -> Result<Order> {
        let mut random = [0; 8];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| anyhow::anyhow!("the system gives no randomness"))?;
        Ok(Order {
            bucket: Some(BUCKET.to_owned()),
            clients: case.clients,
            body_bytes: case.body_bytes,
            duration: Duration::from_millis(turns.turn_ms),
            listed_keys: turns.listed_keys,
            server_pids: self.subject.pids.clone(),
            random,
        })
    }
}
