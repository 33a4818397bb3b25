//! `tidelock bench`

use std::pin::pin;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use ring::rand::{SecureRandom as _, SystemRandom};
use tidelock_client::bench::{
    BODY_BYTES_DEFAULT, BODY_BYTES_MAX, Bench, CLIENTS_DEFAULT, CLIENTS_MAX, LISTED_KEYS_DEFAULT,
    LISTED_KEYS_MAX, Measured, Order, Workload,
};

use super::lock::duration;
use crate::connect::ClientArgs;
use crate::exit::{Failure, shown, stopped};
use crate::output::{List, Row, printable};
use crate::progress;

/// What `--help` says at its end.
const HELP: &str = "\
Workloads: put, get; lock (PUT If-None-Match: *, GET, DELETE: one operation); list and list-delimited (a page of \
1,000 keys); race (all clients PUT If-None-Match: * on one key: a round is one operation); mixed.

Exit status: 0 if every answer was right, 1 if one was not.";

/// Measure an S3 endpoint, and check every answer while doing so
///
/// Everything is written below one random prefix, in a bucket that is made for it, and removed at the end,
/// also after SIGINT, SIGTERM and SIGHUP.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// What to run, one after another; else all
    #[arg(value_name = "WORKLOAD", value_parser = PossibleValuesParser::new(
        Workload::ALL.map(Workload::name)).map(|name| named(&name)))]
    workloads: Vec<Workload>,
    /// Clients at once, each with a connection
    #[arg(long, short, value_name = "COUNT", default_value_t = CLIENTS_DEFAULT, value_parser = clients)]
    clients: usize,
    /// Bytes of a body of put, get and mixed
    #[arg(long, short, value_name = "BYTES", default_value_t = BODY_BYTES_DEFAULT, value_parser = size)]
    size: usize,
    /// How long each workload runs, as 10s or 1m
    #[arg(long, short, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    duration: Duration,
    /// Keys to list
    #[arg(long, value_name = "COUNT", default_value_t = LISTED_KEYS_DEFAULT, value_parser = keys)]
    keys: usize,
    /// Use this bucket, and leave its settings as they are; else one is made and removed
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Leave what was written, and the bucket
    #[arg(long)]
    keep: bool,
    /// Process of the server, if it runs on this machine: its CPU time is told, that of its children
    /// included; may be given more than once
    #[arg(long = "server-pid", value_name = "PID")]
    server_pids: Vec<u32>,
    #[command(flatten)]
    client: ClientArgs,
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = self.client.clone().open()?;
        let mut stop = pin!(stopped()?);
        let mut bench = Bench::begin(&session.client, self.order()?).await?;
        let mut list = List::new(session.format);
        let (is_interrupted, ran) = {
            let stopper = bench.stopper();
            let mut ran = pin!(self.run_all(&mut bench, &mut list));
            tokio::select! {
                biased;
                () = stop.as_mut() => {
                    stopper.now();
                    (true, ran.await)
                }
                ran = ran.as_mut() => (false, ran),
            }
        };
        let (bucket, prefix) = (bench.bucket().to_owned(), bench.prefix().to_owned());
        let cleaned = if self.keep { Ok(()) } else { bench.clean_up().await };
        if let Err(error) = &cleaned {
            let left = format!("remove what is left in bucket {bucket} below {prefix}: {error}");
            eprintln!("tidelock: {}", printable(&left));
        }
        if is_interrupted {
            return Err(Failure::interrupted());
        }
        let is_right = ran?;
        shown(list.finish())?;
        if is_right { Ok(()) } else { Err(Failure::wrong_answers()) }
    }

    /// Runs what was asked for; whether every answer was right.
    async fn run_all(&self, bench: &mut Bench, list: &mut List<Measured>) -> Result<bool, Failure> {
        let all = if self.workloads.is_empty() { &Workload::ALL[..] } else { &self.workloads };
        let progress = progress::steps();
        let stopper = bench.stopper();
        let mut is_right = true;
        for workload in all.iter().take_while(|_| !stopper.is_set()) {
            progress.set_message(workload.name());
            let measured = bench.run(*workload).await?;
            is_right &= measured.is_right();
            progress.suspend(|| tell_errors(&measured));
            list.extend(vec![measured])?;
        }
        progress.finish_and_clear();
        Ok(is_right)
    }

    fn order(&self) -> Result<Order, Failure> {
        if self.duration.is_zero() {
            return Err(Failure::usage("--duration takes more than 0s"));
        }
        let mut random = [0; 8];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| Failure::other(&"the system gives no randomness"))?;
        Ok(Order {
            bucket: self.bucket.clone(),
            clients: self.clients,
            body_bytes: self.size,
            duration: self.duration,
            listed_keys: self.keys,
            server_pids: self.server_pids.clone(),
            random,
        })
    }
}

/// What was wrong, on stderr: a table has no room for it.
fn tell_errors(measured: &Measured) {
    for error in &measured.errors {
        let seen = if error.seen.is_empty() { "" } else { ": " };
        let line =
            format!("{}: {} x {}{seen}{}", measured.workload, error.count, error.code, error.seen);
        eprintln!("tidelock: {}", printable(&line));
    }
}

impl Row for Measured {
    const COLUMNS: &'static [&'static str] = &[
        "workload",
        "clients",
        "ops/s",
        "p50 ms",
        "p99 ms",
        "max ms",
        "MB/s",
        "errors",
        "client µs/op",
        "server µs/op",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.workload.to_owned(),
            self.clients.to_string(),
            format!("{:.0}", self.operations_per_second),
            format!("{:.2}", self.p50_ms),
            format!("{:.2}", self.p99_ms),
            format!("{:.2}", self.max_ms),
            format!("{:.1}", self.bytes_per_second / 1e6),
            self.error_count().to_string(),
            format!("{:.1}", self.client_cpu_us_per_operation),
            self.server_cpu_us_per_operation.map(|it| format!("{it:.1}")).unwrap_or_default(),
        ]
    }
}

/// The parser lets no other names through.
fn named(name: &str) -> Workload {
    let found = Workload::ALL.into_iter().find(|workload| workload.name() == name);
    found.unwrap_or(Workload::Put)
}

fn clients(text: &str) -> Result<usize, String> {
    within(text, 1, CLIENTS_MAX)
}

fn size(text: &str) -> Result<usize, String> {
    within(text, 0, BODY_BYTES_MAX)
}

fn keys(text: &str) -> Result<usize, String> {
    within(text, 1, LISTED_KEYS_MAX)
}

fn within(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("takes {least} to {most}"))
}
