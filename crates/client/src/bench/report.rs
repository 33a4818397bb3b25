//! What a run comes to, in figures.

use std::time::Duration;

use serde::Serialize;

use super::Order;
use super::load::Run;
use super::workload::Workload;

/// One workload, measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Name of the workload.
    pub workload: &'static str,
    /// Clients at once.
    pub clients: usize,
    /// Bytes of a body, where the workload has bodies of the size that was asked for.
    pub body_bytes: Option<usize>,
    /// How long it ran.
    pub seconds: f64,
    /// Operations whose every answer was right.
    pub operations: u64,
    /// The same, a second.
    pub operations_per_second: f64,
    /// Bytes of their bodies, a second.
    pub bytes_per_second: f64,
    /// Half of them took no longer, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 took no longer, in milliseconds.
    pub p99_ms: f64,
    /// The longest, in milliseconds.
    pub max_ms: f64,
    /// Answers that were not right, and requests without one.
    pub errors: Vec<ErrorCount>,
    /// CPU time of this process for an operation, in microseconds; of all of it where there was none.
    pub client_cpu_us_per_operation: f64,
    /// CPU time of the server's processes and their children for an operation, in microseconds; none where
    /// there was no operation.
    pub server_cpu_us_per_operation: Option<f64>,
    /// The same of each process.
    pub processes: Vec<ProcessCpu>,
}

/// What a process has used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ProcessCpu {
    /// The process.
    pub pid: u32,
    /// CPU time of it and its children for an operation, in microseconds.
    pub cpu_us_per_operation: f64,
}

/// Errors of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorCount {
    /// Status and S3's code, or a name for an answer that says something else than it must.
    pub code: String,
    /// How many.
    pub count: u64,
    /// What was seen of the first; may be empty.
    pub seen: String,
}

impl Measured {
    pub(super) fn of(order: &Order, workload: Workload, run: Run) -> Self {
        let Run { tally, wall, client_cpu, server_cpu } = run;
        let operations = tally.latencies.total();
        let per_second = |amount: u64| rounded(amount as f64 / wall.as_secs_f64());
        let each = |cpu: Duration| rounded(cpu.as_secs_f64() * 1e6 / operations.max(1) as f64);
        let has_bodies = matches!(workload, Workload::Put | Workload::Get | Workload::Mixed);
        let errors = tally.faults.into_iter().map(|(code, faults)| ErrorCount {
            code,
            count: faults.count,
            seen: faults.seen,
        });
        let used = server_cpu.filter(|used| !used.is_empty() && operations > 0);
        let total = used.as_ref().map(|used| used.iter().map(|(_, cpu)| *cpu).sum());
        let processes = used.into_iter().flatten();
        Self {
            workload: workload.name(),
            clients: order.clients,
            body_bytes: has_bodies.then_some(order.body_bytes),
            seconds: rounded(wall.as_secs_f64()),
            operations,
            operations_per_second: per_second(operations),
            bytes_per_second: per_second(tally.bytes),
            p50_ms: milliseconds(tally.latencies.percentile(50)),
            p99_ms: milliseconds(tally.latencies.percentile(99)),
            max_ms: milliseconds(tally.latencies.max()),
            errors: errors.collect(),
            client_cpu_us_per_operation: each(client_cpu),
            server_cpu_us_per_operation: total.map(each),
            processes: processes
                .map(|(pid, cpu)| ProcessCpu { pid, cpu_us_per_operation: each(cpu) })
                .collect(),
        }
    }

    /// Whether every answer was right, and there was one.
    pub fn is_right(&self) -> bool {
        self.errors.is_empty() && self.operations > 0
    }

    /// How many answers were not.
    pub fn error_count(&self) -> u64 {
        self.errors.iter().map(|error| error.count).sum()
    }
}

fn milliseconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3)
}

/// To three places.
fn rounded(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}
