//! Runs one workload: each client a thread that asks as fast as it is answered, until the time is over.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::request::Request;
use super::tally::Tally;
use super::wire::Connection;
use super::worker::Worker;
use super::workload::{Operation, Script, Workload};
use super::{Job, cpu, race};
use crate::ClientError;

/// A signature is good for 15 minutes; requests that are sent over and over are signed anew before.
pub(super) const SIGN_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// What a run gave.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) tally: Tally,
    pub(super) wall: Duration,
    /// CPU time of this process.
    pub(super) client_cpu: Duration,
    /// CPU time of each process that was asked for; none where one has ended.
    pub(super) server_cpu: Option<Vec<(u32, Duration)>>,
}

/// Clocks at the beginning of a run.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    server_pids: &'a [u32],
    server_cpu: Option<Vec<Duration>>,
    client_cpu: Duration,
    begun: Instant,
}

impl<'a> Meter<'a> {
    /// Reads them.
    pub(super) fn start(server_pids: &'a [u32]) -> Self {
        let server_cpu = read(server_pids);
        Self { server_pids, server_cpu, client_cpu: cpu::used_by_self(), begun: Instant::now() }
    }

    /// Reads them again.
    pub(super) fn stop(self, tally: Tally) -> Run {
        let wall = self.begun.elapsed();
        let client_cpu = cpu::used_by_self().saturating_sub(self.client_cpu);
        let server_cpu = self.server_cpu.zip(read(self.server_pids)).map(|(before, after)| {
            let used = after.into_iter().zip(before).map(|(after, it)| after.saturating_sub(it));
            self.server_pids.iter().copied().zip(used).collect()
        });
        Run { tally, wall, client_cpu, server_cpu }
    }
}

fn read(pids: &[u32]) -> Option<Vec<Duration>> {
    pids.iter().map(|pid| cpu::used_by_tree(*pid)).collect()
}

/// Runs `workload` until its time is over or `stop` is set.
///
/// # Errors
/// The endpoint cannot be connected to.
pub(super) fn run(job: &Job, workload: Workload, stop: &AtomicBool) -> Result<Run, ClientError> {
    if workload == Workload::Race {
        return race::run(job, stop);
    }
    let clients = job.order.clients;
    // Everybody is connected and has signed before the clocks are read, and begins after it.
    let (ready, go) = (Barrier::new(clients + 1), Barrier::new(clients + 1));
    std::thread::scope(|scope| {
        let (ready, go) = (&ready, &go);
        let threads: Vec<_> = (0..clients)
            .map(|number| {
                scope.spawn(move || {
                    let prepared = prepare(job, workload, number, stop);
                    ready.wait();
                    go.wait();
                    ask(job, prepared?, stop)
                })
            })
            .collect();
        ready.wait();
        let meter = Meter::start(&job.order.server_pids);
        go.wait();
        let mut tally = Tally::new();
        for thread in threads {
            let ended =
                thread.join().map_err(|_| ClientError::Local(std::io::ErrorKind::Other.into()))?;
            tally.merge(ended?);
        }
        Ok(meter.stop(tally))
    })
}

/// A client that is ready.
struct Prepared {
    worker: Worker,
    operations: Vec<Operation>,
    /// When they were signed.
    signed: Instant,
    tally: Tally,
}

fn prepare(
    job: &Job,
    workload: Workload,
    number: usize,
    stop: &AtomicBool,
) -> Result<Prepared, ClientError> {
    let created = job.client.now();
    let clients = (number, job.order.clients);
    let bytes = job.order.body_bytes;
    let script = Script::of(&job.place, &job.filler, &job.listed, clients, bytes, created);
    let mut worker = Worker::new(Connection::to(&job.target), script.slots());
    worker.open().map_err(|error| error.into_client_error(&job.target))?;
    let mut tally = Tally::new();
    for mut operation in script.preparation(workload) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        sign(job, operation.iter_mut())?;
        if let Err(fault) = worker.perform(&operation) {
            tally.add_fault(fault);
        }
    }
    let mut operations = script.operations(workload);
    let signed = Instant::now();
    sign(job, operations.iter_mut().flatten())?;
    Ok(Prepared { worker, operations, signed, tally })
}

fn ask(job: &Job, prepared: Prepared, stop: &AtomicBool) -> Result<Tally, ClientError> {
    let Prepared { mut worker, mut operations, mut signed, mut tally } = prepared;
    let started = Instant::now();
    let mut begun = started;
    loop {
        if begun - signed > SIGN_AGAIN_AFTER {
            sign(job, operations.iter_mut().flatten())?;
            signed = begun;
        }
        for operation in &operations {
            if begun - started >= job.order.duration || stop.load(Ordering::Relaxed) {
                return Ok(tally);
            }
            let outcome = worker.perform(operation);
            let ended = Instant::now();
            tally.add(ended - begun, outcome);
            begun = ended;
        }
    }
}

/// Signs for the next minutes.
///
/// # Errors
/// The credentials are none.
pub(super) fn sign<'a>(
    job: &Job,
    requests: impl Iterator<Item = &'a mut Request>,
) -> Result<(), ClientError> {
    let now = job.client.now();
    for request in requests {
        request.sign(job.client.settings(), now)?;
    }
    Ok(())
}
