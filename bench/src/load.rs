//! Runs one workload on one subject for one turn: each client a thread, as fast as answers come.

#![allow(clippy::disallowed_methods, reason = "a benchmark runs on the machine's clock")]

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::subject::Subject;
use crate::wire::Connection;
use crate::workload::Workload;

/// What one turn gave.
pub struct Measured {
    /// Time from sending an operation to its last answer, of each operation.
    pub latencies: Vec<Duration>,
    /// Length of the turn.
    pub wall: Duration,
    /// CPU time of the server.
    pub server_cpu: Duration,
    /// CPU time of the engine behind it.
    pub engine_cpu: Duration,
}

/// Runs one turn.
pub fn run(
    workload: &Workload,
    subject: &Subject,
    clients: usize,
    turn: Duration,
) -> Result<Measured> {
    // Signing is not what is measured.
    let prepared: Vec<_> = (0..clients)
        .map(|client| {
            Ok((workload.operations(subject, client)?, Connection::open(subject.address)?))
        })
        .collect::<Result<_>>()?;
    let (server_before, engine_before) = subject.cpu();
    let started = Instant::now();
    let latencies: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = prepared
            .into_iter()
            .map(|(operations, mut connection)| {
                scope.spawn(move || -> Result<Vec<Duration>> {
                    let mut latencies = Vec::new();
                    for operation in operations.iter().cycle() {
                        let begun = Instant::now();
                        if begun - started >= turn {
                            break;
                        }
                        for (wire, statuses) in operation {
                            connection.expect(wire, statuses)?;
                        }
                        latencies.push(begun.elapsed());
                    }
                    Ok(latencies)
                })
            })
            .collect();
        let ended = clients.into_iter().map(|client| client.join().expect("a client panicked"));
        ended.collect::<Result<Vec<_>>>().map(|all| all.into_iter().flatten().collect())
    })?;
    let wall = started.elapsed();
    let (server_after, engine_after) = subject.cpu();
    Ok(Measured {
        latencies,
        wall,
        server_cpu: server_after - server_before,
        engine_cpu: engine_after - engine_before,
    })
}
