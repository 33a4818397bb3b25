//! The numbers at `/_/metrics`, in the OpenMetrics text form that Prometheus reads.
//!
//! Names and labels are documented in docs/operating.md. This file counts what it is told; it does
//! not know what a request is.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tidelock_meta::local::{CommitObserver, LogSpace};
use tidelock_meta::postgres::{PostgresObserver, RoundTrip};
use tidelock_store::LockCounts;

use crate::history::History;

/// Seconds; from an in-memory answer to a slow upload.
const REQUEST_BUCKETS_S: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Seconds; from a disk with a write cache to one that is about to fail.
const SYNC_BUCKETS_S: [f64; 10] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];
/// Commits that shared a sync.
const BATCH_BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Seconds; how long a call waited for a connection to PostgreSQL.
const WAIT_BUCKETS_S: [f64; 8] = [0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0];

/// Labels of the request counter.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    code: &'static str,
}

/// Label of the latency histogram: the code would multiply the series for little insight.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

/// Label of the counter of exchanges with PostgreSQL.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RoundTripLabel {
    kind: &'static str,
}

/// Label of the leases that this server holds.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LeaseLabel {
    lease: &'static str,
}

/// All counters of one server.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<OperationLabel, Histogram>,
    /// Requests whose answer is not yet sent.
    pub requests_in_flight: Gauge,
    /// Connections open.
    pub connections: Gauge,
    received_bytes: Counter,
    sent_bytes: Counter,
    commits: Counter,
    syncs: Counter,
    batches: Histogram,
    sync_durations: Histogram,
    log: LogMetrics,
    certificate_reloads: Counter,
    certificate_reload_failures: Counter,
    leases: Family<LeaseLabel, Gauge>,
    locks_held: Gauge,
    locks_quiet: Gauge,
    postgres: PostgresMetrics,
    /// The last hour, for people.
    pub(crate) history: History,
}

/// What the commit log of the local engine takes; all zero without one.
#[derive(Default)]
struct LogMetrics {
    segments: Gauge,
    bytes: Family<LogBytesLabel, Gauge>,
    uncovered_bytes: Gauge,
    is_cleaning: Gauge,
}

/// Label of the bytes of the commit log.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LogBytesLabel {
    kind: &'static str,
}

/// What is counted of PostgreSQL; all zero without one.
struct PostgresMetrics {
    round_trips: Family<RoundTripLabel, Counter>,
    retries: Counter,
    connections: Counter,
    primary_changes: Counter,
    waits: Histogram,
}

impl Metrics {
    /// All at zero.
    #[allow(clippy::new_without_default, reason = "a registry is made once, on purpose")]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tidelock"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS_S)),
            requests_in_flight: Gauge::default(),
            connections: Gauge::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            commits: Counter::default(),
            syncs: Counter::<u64, AtomicU64>::default(),
            batches: Histogram::new(BATCH_BUCKETS),
            sync_durations: Histogram::new(SYNC_BUCKETS_S),
            log: LogMetrics::default(),
            certificate_reloads: Counter::default(),
            certificate_reload_failures: Counter::default(),
            leases: Family::default(),
            locks_held: Gauge::default(),
            locks_quiet: Gauge::default(),
            postgres: PostgresMetrics {
                round_trips: Family::default(),
                retries: Counter::default(),
                connections: Counter::default(),
                primary_changes: Counter::default(),
                waits: Histogram::new(WAIT_BUCKETS_S),
            },
            history: History::default(),
        };
        metrics.register_requests();
        metrics.register_engine();
        metrics.register_postgres();
        metrics
    }

    /// One request is over: answered, or given up by its client.
    pub fn request_finished(&self, finished: &Finished) {
        let labels = RequestLabels { operation: finished.operation, code: finished.code };
        self.requests.get_or_create(&labels).inc();
        let label = OperationLabel { operation: finished.operation };
        self.durations.get_or_create(&label).observe(finished.duration.as_secs_f64());
        self.received_bytes.inc_by(finished.received_bytes);
        self.sent_bytes.inc_by(finished.sent_bytes);
    }

    /// The locks of guarded buckets were counted.
    pub fn locks_counted(&self, counts: LockCounts) {
        self.locks_held.set(i64::try_from(counts.held).unwrap_or(i64::MAX));
        self.locks_quiet.set(i64::try_from(counts.quiet).unwrap_or(i64::MAX));
    }

    /// The certificate was read again.
    pub fn certificate_reloaded(&self, worked: bool) {
        if worked {
            self.certificate_reloads.inc();
        } else {
            self.certificate_reload_failures.inc();
        }
    }

    /// This server has or has not a lease that one server of a store holds at a time.
    pub fn lease_held(&self, lease: &'static str, held: bool) {
        self.leases.get_or_create(&LeaseLabel { lease }).set(i64::from(held));
    }

    /// The page.
    pub fn encode(&self) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        let _infallible = prometheus_client::encoding::text::encode(&mut page, &self.registry);
        page
    }

    fn register_requests(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "requests",
            "Requests finished, by operation and S3 error code or OK",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From the first byte of the headers' handling to the last byte of the answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests whose answer is not yet sent",
            self.requests_in_flight.clone(),
        );
        registry.register("connections", "Connections open", self.connections.clone());
        registry.register("locks_held", "Locks held in guarded buckets", self.locks_held.clone());
        registry.register(
            "locks_quiet",
            "Of these, those whose holder was not heard of for the bucket's stale_after",
            self.locks_quiet.clone(),
        );
        registry.register_with_unit(
            "received",
            "Body bytes read of requests",
            Unit::Bytes,
            self.received_bytes.clone(),
        );
        registry.register_with_unit(
            "sent",
            "Body bytes sent in answers",
            Unit::Bytes,
            self.sent_bytes.clone(),
        );
        registry.register(
            "certificate_reloads",
            "Certificates taken over while running",
            self.certificate_reloads.clone(),
        );
        registry.register(
            "certificate_reload_failures",
            "Certificates refused while running, the old one kept",
            self.certificate_reload_failures.clone(),
        );
    }

    fn register_engine(&mut self) {
        let registry = &mut self.registry;
        registry.register("meta_commits", "Metadata commits made", self.commits.clone());
        registry.register("meta_syncs", "Syncs to disk for commits", self.syncs.clone());
        registry.register(
            "meta_commit_batch_size",
            "Commits that shared one group",
            self.batches.clone(),
        );
        registry.register_with_unit(
            "meta_sync_duration",
            "Time of the syncs of one group",
            Unit::Seconds,
            self.sync_durations.clone(),
        );
        let log = &self.log;
        registry.register("log_segments", "Files of the commit log", log.segments.clone());
        registry.register(
            "log_bytes",
            "Bytes of the commit log that are current, and that nothing needs",
            log.bytes.clone(),
        );
        registry.register(
            "log_uncovered_bytes",
            "Bytes of the commit log behind the last checkpoint",
            log.uncovered_bytes.clone(),
        );
        registry.register(
            "log_cleaning",
            "1 while the commit log has more garbage than it should",
            log.is_cleaning.clone(),
        );
    }

    fn register_postgres(&mut self) {
        let (registry, postgres) = (&mut self.registry, &self.postgres);
        registry.register(
            "lease_held",
            "1 while this server holds the lease, of those that share the store",
            self.leases.clone(),
        );
        registry.register(
            "postgres_round_trips",
            "Exchanges with PostgreSQL, by what they were for",
            postgres.round_trips.clone(),
        );
        registry.register(
            "postgres_retries",
            "Commits tried again after a serialization failure or a deadlock",
            postgres.retries.clone(),
        );
        registry.register(
            "postgres_connects",
            "Connections made to the primary, the first ones included",
            postgres.connections.clone(),
        );
        registry.register(
            "postgres_primary_changes",
            "Times that the primary was found elsewhere",
            postgres.primary_changes.clone(),
        );
        registry.register_with_unit(
            "postgres_connection_wait",
            "Waits for a free connection",
            Unit::Seconds,
            postgres.waits.clone(),
        );
    }
}

impl PostgresObserver for Metrics {
    fn round_trip(&self, kind: RoundTrip) {
        let kind = match kind {
            RoundTrip::Get => "get",
            RoundTrip::Scan => "scan",
            RoundTrip::ScanGrouped => "scan_grouped",
            RoundTrip::Commit => "commit",
            RoundTrip::Barrier => "barrier",
            RoundTrip::Session => "session",
        };
        self.postgres.round_trips.get_or_create(&RoundTripLabel { kind }).inc();
    }

    fn retried(&self) {
        self.postgres.retries.inc();
    }

    fn connected(&self) {
        self.postgres.connections.inc();
    }

    fn primary_changed(&self) {
        self.postgres.primary_changes.inc();
    }

    fn waited(&self, duration: Duration) {
        self.postgres.waits.observe(duration.as_secs_f64());
    }
}

impl CommitObserver for Metrics {
    fn group_committed(&self, batches: usize, sync_time: Duration, syncs: u64) {
        self.commits.inc_by(batches as u64);
        self.syncs.inc_by(syncs);
        self.batches.observe(batches as f64);
        self.sync_durations.observe(sync_time.as_secs_f64());
    }

    fn log_measured(&self, space: LogSpace) {
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let LogSpace { segments, live_bytes, garbage_bytes, uncovered_bytes, is_cleaning } = space;
        self.log.segments.set(gauge(segments));
        for (kind, bytes) in [("live", live_bytes), ("garbage", garbage_bytes)] {
            self.log.bytes.get_or_create(&LogBytesLabel { kind }).set(gauge(bytes));
        }
        self.log.uncovered_bytes.set(gauge(uncovered_bytes));
        self.log.is_cleaning.set(i64::from(is_cleaning));
    }
}

/// What is counted of a request that is over.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// S3 operation name, or the name of ours.
    pub operation: &'static str,
    /// Error code, or `OK`.
    pub code: &'static str,
    /// From the arrival of the headers to the last byte sent.
    pub duration: Duration,
    /// Body bytes read of the request.
    pub received_bytes: u64,
    /// Body bytes of the answer.
    pub sent_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_what_the_documentation_names() {
        let metrics = Metrics::new();
        metrics.group_committed(3, Duration::from_millis(2), 1);
        metrics.log_measured(LogSpace {
            segments: 2,
            live_bytes: 300,
            garbage_bytes: 40,
            uncovered_bytes: 5,
            is_cleaning: true,
        });
        metrics.request_finished(&Finished {
            operation: "PutObject",
            code: "OK",
            duration: Duration::from_millis(3),
            received_bytes: 10,
            sent_bytes: 20,
        });
        metrics.round_trip(RoundTrip::Barrier);
        metrics.retried();
        metrics.connected();
        metrics.primary_changed();
        metrics.waited(Duration::from_millis(2));
        metrics.lease_held("sweep", true);
        let page = metrics.encode();
        let expected = [
            "tidelock_lease_held{lease=\"sweep\"} 1",
            "tidelock_postgres_round_trips_total{kind=\"barrier\"} 1",
            "tidelock_postgres_retries_total 1",
            "tidelock_postgres_connects_total 1",
            "tidelock_postgres_primary_changes_total 1",
            "tidelock_postgres_connection_wait_seconds_count 1",
            "tidelock_requests_total{operation=\"PutObject\",code=\"OK\"} 1",
            "tidelock_request_duration_seconds_count{operation=\"PutObject\"} 1",
            "tidelock_requests_in_flight 0",
            "tidelock_connections 0",
            "tidelock_received_bytes_total 10",
            "tidelock_sent_bytes_total 20",
            "tidelock_meta_commits_total 3",
            "tidelock_meta_syncs_total 1",
            "tidelock_meta_commit_batch_size_sum 3.0",
            "tidelock_meta_sync_duration_seconds_count 1",
            "tidelock_log_segments 2",
            "tidelock_log_bytes{kind=\"live\"} 300",
            "tidelock_log_bytes{kind=\"garbage\"} 40",
            "tidelock_log_uncovered_bytes 5",
            "tidelock_log_cleaning 1",
        ];
        for line in expected {
            assert!(page.lines().any(|found| found == line), "{line} not in\n{page}");
        }
    }
}
