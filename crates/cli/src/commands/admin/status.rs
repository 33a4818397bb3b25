//! `tidelock admin status`

use indicatif::HumanBytes;
use tidelock_client::server::ServerStatus;

use crate::connect::Endpoint;
use crate::exit::Failure;
use crate::output::{self, Format, printable};

/// Ask a running server how it is: engine, replication, disk, certificate, keys (root only)
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Args {
    pub(crate) async fn run(self, output: Format) -> Result<(), Failure> {
        let session = self.endpoint.open(output)?;
        let status = session.client.server_status().await?;
        output::text_or(session.format, &text(&status), &status)
    }
}

fn text(status: &ServerStatus) -> String {
    let health = match &status.health_reason {
        Some(reason) => format!("{}: {reason}", status.health),
        None => status.health.clone(),
    };
    let disk = status.disk.as_ref().map(|disk| {
        let (free, total) = (HumanBytes(disk.free_bytes), HumanBytes(disk.total_bytes));
        format!("{free} of {total} free, {} kept in reserve", HumanBytes(disk.reserve_bytes))
    });
    let certificate = status
        .certificate
        .as_ref()
        .map(|certificate| format!("{} until {}", certificate.names.join(", "), certificate.ends));
    let last = status.minutes.iter().rev().nth(1);
    let lines = [
        ("health", health),
        ("version", status.version.clone()),
        ("started", status.started.clone()),
        ("engine", format!("{}, bodies: {}", status.engine, status.bodies)),
        ("replication", status.replication.clone().unwrap_or_else(|| "none".to_owned())),
        ("servers", status.servers.to_string()),
        ("disk", disk.unwrap_or_else(|| "none of this server's".to_owned())),
        ("certificate", certificate.unwrap_or_else(|| "none: no TLS".to_owned())),
        ("keys", status.keys.join(", ")),
        ("in flight", status.requests_in_flight.to_string()),
        ("last minute", last.map(|it| format!("{} requests", it.requests)).unwrap_or_default()),
    ];
    let shown = lines.iter().filter(|(_, value)| !value.is_empty());
    shown.map(|(name, value)| format!("{name:<12} {}\n", printable(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_as_well() {
        let status = ServerStatus {
            version: "1".to_owned(),
            started: "2026-01-01T00:00:00Z".to_owned(),
            uptime_seconds: 1,
            health: "read-only".to_owned(),
            health_reason: Some("the standby is gone".to_owned()),
            engine: "postgres".to_owned(),
            bodies: "object store".to_owned(),
            replication: None,
            servers: 2,
            disk: None,
            certificate: None,
            requests_in_flight: 1,
            connections: 1,
            keys: vec!["2".to_owned(), "1".to_owned()],
            minutes: Vec::new(),
        };
        let text = text(&status);
        let rows = [
            "health       read-only: the standby is gone",
            "engine       postgres, bodies: object store",
            "certificate  none: no TLS",
            "keys         2, 1",
        ];
        for row in rows {
            assert!(text.lines().any(|line| line == row), "{row} in {text}");
        }
        assert!(!text.contains("last minute"));
    }
}
