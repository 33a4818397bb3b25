//! Measures an S3 endpoint, and checks every answer while it does: throughput, latency and CPU time of
//! single operations, of lock cycles, lists and races.
//!
//! It speaks S3 and nothing that only Tidelock knows, and compares endpoints with nobody: it gives
//! figures. All that it writes is below one random prefix, in a bucket of its own unless it is given one.

mod content;
mod cpu;
mod fill;
mod histogram;
mod load;
mod page;
mod race;
mod report;
mod request;
mod tally;
mod wire;
mod worker;
mod workload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use content::{Filler, hex};
use page::Listed;
pub use report::{ErrorCount, Measured, ProcessCpu};
use wire::Target;
pub use workload::Workload;

use crate::sweep::Sweep;
use crate::{Client, ClientError};

/// Clients, unless the caller says otherwise.
pub const CLIENTS_DEFAULT: usize = 16;
/// Most clients; each has a thread and a connection.
pub const CLIENTS_MAX: usize = 1024;
/// Bytes of a body, unless the caller says otherwise: a state of a few resources.
pub const BODY_BYTES_DEFAULT: usize = 4096;
/// Most bytes of a body. None is held in memory, but each is hashed twice before the clocks start.
pub const BODY_BYTES_MAX: usize = 1 << 30;
/// Keys that are listed, unless the caller says otherwise.
pub const LISTED_KEYS_DEFAULT: usize = 10_000;
/// Most keys that are listed.
pub const LISTED_KEYS_MAX: usize = 10_000_000;
/// What the prefix and the bucket are called, before the random part.
const NAME: &str = "tidelock-bench-";

/// What is to be measured, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// A bucket that is there already; without one a bucket is made, and removed at the end.
    pub bucket: Option<String>,
    /// Clients at once, 1 to [`CLIENTS_MAX`].
    pub clients: usize,
    /// Bytes of a body, up to [`BODY_BYTES_MAX`].
    pub body_bytes: usize,
    /// How long a workload runs.
    pub duration: Duration,
    /// Keys that are listed, 1 to [`LISTED_KEYS_MAX`].
    pub listed_keys: usize,
    /// The server's processes, where it runs on this machine, and those of what is behind it.
    pub server_pids: Vec<u32>,
    /// What names and bodies are made of.
    pub random: [u8; 8],
}

/// Where everything is written.
#[derive(Clone, Debug)]
struct Place {
    bucket: String,
    /// Ends with a slash.
    prefix: String,
    /// The random part, as bodies have it.
    run: u64,
}

/// What the threads of a run share.
#[derive(Debug)]
struct Job {
    client: Client,
    target: Arc<Target>,
    order: Order,
    place: Place,
    filler: Filler,
    listed: Listed,
}

/// A benchmark that has begun: there is something to clean up.
#[derive(Debug)]
pub struct Bench {
    job: Arc<Job>,
    is_own_bucket: bool,
    has_listed: bool,
    stop: Stop,
}

/// Ends a run before its time.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends it once what is under way is answered.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was ended.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Bench {
    /// Makes the bucket, unless there is one.
    ///
    /// # Errors
    /// See [`ClientError`]: the endpoint cannot be reached, denies, or has no such bucket; there is no such
    /// process.
    pub async fn begin(client: &Client, order: Order) -> Result<Self, ClientError> {
        let is_gone = |pid: &&u32| cpu::used_by_tree(**pid).is_none();
        if let Some(pid) = order.server_pids.iter().find(is_gone) {
            let error = std::io::Error::other(format!("there is no process {pid}"));
            return Err(ClientError::Local(error));
        }
        let name = format!("{NAME}{}", hex(&order.random));
        let target = Arc::new(Target::of(client.settings())?);
        let bucket = match &order.bucket {
            Some(bucket) => {
                client.require_bucket(bucket).await?;
                bucket.clone()
            }
            None => {
                client.create_bucket(&name).await?;
                name.clone()
            }
        };
        let run = u64::from_be_bytes(order.random);
        let place = Place { bucket, prefix: format!("{name}/"), run };
        let listed = Listed { prefix: format!("{}listed/", place.prefix), keys: order.listed_keys };
        let (filler, is_own_bucket) = (Filler::new(run), order.bucket.is_none());
        let client = client.clone();
        let job = Arc::new(Job { client, target, order, place, filler, listed });
        Ok(Self { job, is_own_bucket, has_listed: false, stop: Stop::default() })
    }

    /// What ends the runs of this one.
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.job.place.bucket
    }

    /// What the keys of all that is written begin with; it ends with a slash.
    pub fn prefix(&self) -> &str {
        &self.job.place.prefix
    }

    /// Runs a workload. What is wrong with answers is part of what was measured.
    ///
    /// # Errors
    /// See [`ClientError`]: the endpoint cannot be reached, or what is read or listed cannot be put.
    pub async fn run(&mut self, workload: Workload) -> Result<Measured, ClientError> {
        let must_fill = workload.lists() && !self.has_listed;
        let (job, stop) = (Arc::clone(&self.job), self.stop.clone());
        let run = tokio::task::spawn_blocking(move || {
            if must_fill {
                fill::run(&job, &stop.0)?;
            }
            let run = load::run(&job, workload, &stop.0)?;
            Ok(Measured::of(&job.order, workload, run))
        });
        let measured =
            run.await.map_err(|error| ClientError::Local(std::io::Error::other(error)))?;
        self.has_listed |= must_fill && measured.is_ok();
        measured
    }

    /// Removes all that was written, and the bucket if it was made for this.
    ///
    /// # Errors
    /// See [`ClientError`]; what could not be removed is still there.
    pub async fn clean_up(self) -> Result<(), ClientError> {
        let Place { bucket, prefix, .. } = &self.job.place;
        let sweep =
            Sweep { client: &self.job.client, bucket, prefix, removes_bucket: self.is_own_bucket };
        sweep.run().await
    }
}
