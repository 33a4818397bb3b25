//! The table: a row for each workload, number of clients and subject, with ratios to the first
//! subject that keeps its data (`local`, where it takes part).

use std::fmt;
use std::time::Duration;

use crate::load::Measured;

/// The subject that others are compared with.
const REFERENCE: &str = "local";

/// All turns so far.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    workload: &'static str,
    clients: usize,
    subject: String,
    latencies: Vec<Duration>,
    wall: Duration,
    server_cpu: Duration,
    engine_cpu: Duration,
}

impl Report {
    /// Adds a turn to its row.
    pub fn add(
        &mut self,
        workload: &'static str,
        clients: usize,
        subject: &str,
        measured: Measured,
    ) {
        let same = |row: &&mut Row| {
            row.workload == workload && row.clients == clients && row.subject == subject
        };
        if let Some(row) = self.rows.iter_mut().find(same) {
            row.latencies.extend(measured.latencies);
            row.wall += measured.wall;
            row.server_cpu += measured.server_cpu;
            row.engine_cpu += measured.engine_cpu;
            return;
        }
        let Measured { latencies, wall, server_cpu, engine_cpu } = measured;
        let subject = subject.to_owned();
        let row = Row { workload, clients, subject, latencies, wall, server_cpu, engine_cpu };
        self.rows.push(row);
    }
}

impl Row {
    fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.wall.as_secs_f64()
    }

    fn percentile_ms(&self, share: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = (sorted.len() as f64 * share) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(0.0, |it| it.as_secs_f64() * 1e3)
    }

    fn per_operation_us(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.latencies.len().max(1) as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| workload | clients | engine | ops/s | p50 ms | p99 ms | server CPU µs/op | engine CPU \
             µs/op | ops/s to {REFERENCE} |"
        )?;
        writeln!(f, "|---|--:|---|--:|--:|--:|--:|--:|--:|")?;
        for row in &self.rows {
            let reference = self.rows.iter().find(|other| {
                other.workload == row.workload
                    && other.clients == row.clients
                    && other.subject == REFERENCE
            });
            let ratio = reference.map_or_else(String::new, |it| {
                format!("{:.2}", row.per_second() / it.per_second())
            });
            writeln!(
                f,
                "| {} | {} | {} | {:.0} | {:.2} | {:.2} | {:.0} | {:.0} | {ratio} |",
                row.workload,
                row.clients,
                row.subject,
                row.per_second(),
                row.percentile_ms(0.50),
                row.percentile_ms(0.99),
                row.per_operation_us(row.server_cpu),
                row.per_operation_us(row.engine_cpu),
            )?;
        }
        Ok(())
    }
}
