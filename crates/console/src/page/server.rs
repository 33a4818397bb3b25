//! How the server is: health, engine, disk, certificate, keys, and the last hour as charts.

use askama::Template;
use http::StatusCode;
use jiff::Timestamp;
use tidelock_client::server::{CertificateStatus, DiskStatus, MinuteStatus, ServerStatus};

use super::{Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::chart::{self, Chart};
use crate::view::{self, Moment, Told};

/// A certificate that ends within so many days is to be renewed: most are for 90, and renewed with a
/// third left.
const RENEWAL_DAYS: i64 = 21;
const DAY_S: i64 = 86_400;

#[derive(Template)]
#[template(path = "server.html")]
struct ServerPage {
    shell: Shell,
    /// None where this user may not see it.
    status: Option<Shown>,
}

struct Shown {
    is_serving: bool,
    health: String,
    reason: String,
    version: String,
    started: Told,
    requests: u64,
    connections: u64,
    keys: Vec<String>,
    engine: String,
    bodies: String,
    servers: u64,
    replication: Option<String>,
    disk: Option<Disk>,
    certificate: Option<Certificate>,
    charts: Vec<Chart>,
}

struct Disk {
    total: String,
    free: String,
    used: String,
    reserve: String,
    free_percent: u64,
    reserve_percent: u64,
    is_low: bool,
}

struct Certificate {
    names: Vec<String>,
    ends: String,
    days_left: i64,
    is_soon: bool,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    let status = match visit.client.server_status().await {
        Ok(status) => Some(Shown::new(status, visit.now())),
        Err(error) => unless_denied(error)?,
    };
    let shell = visit.shell("server", "Server", "tidelock admin status".to_owned());
    Ok(answer::html(StatusCode::OK, &ServerPage { shell, status }))
}

impl Shown {
    fn new(status: ServerStatus, now: Moment) -> Self {
        Self {
            is_serving: status.health == "serving",
            charts: charts(&status.minutes),
            started: now.told(&status.started),
            disk: status.disk.as_ref().map(Disk::new),
            certificate: status.certificate.map(|it| Certificate::new(it, now)),
            health: status.health,
            reason: status.health_reason.unwrap_or_default(),
            version: status.version,
            requests: status.requests_in_flight,
            connections: status.connections,
            keys: status.keys,
            engine: status.engine,
            bodies: status.bodies,
            servers: status.servers,
            replication: status.replication,
        }
    }
}

impl Disk {
    fn new(disk: &DiskStatus) -> Self {
        let percent = |part: u64| {
            let percent = u128::from(part) * 100 / u128::from(disk.total_bytes.max(1));
            u64::try_from(percent).unwrap_or(100)
        };
        Self {
            total: view::size(disk.total_bytes),
            free: view::size(disk.free_bytes),
            used: view::size(disk.total_bytes.saturating_sub(disk.free_bytes)),
            reserve: view::size(disk.reserve_bytes),
            free_percent: percent(disk.free_bytes),
            reserve_percent: percent(disk.reserve_bytes),
            is_low: disk.free_bytes < disk.reserve_bytes,
        }
    }
}

impl Certificate {
    fn new(certificate: CertificateStatus, now: Moment) -> Self {
        let ends_s = certificate.ends.parse::<Timestamp>().map_or(0, Timestamp::as_second);
        let days_left = (ends_s - now.0.as_second()).div_euclid(DAY_S);
        Self {
            names: certificate.names,
            ends: view::minute(&certificate.ends),
            days_left,
            is_soon: days_left < RENEWAL_DAYS,
        }
    }
}

fn charts(minutes: &[MinuteStatus]) -> Vec<Chart> {
    // `2026-11-21T20:35:00.000Z` is 20:35 of some day that everybody knows.
    let label = |minute: &MinuteStatus| minute.start.get(11..16).unwrap_or_default().to_owned();
    let of = |title, value: fn(&MinuteStatus) -> u64, unit: &str| {
        let bar = |minute: &MinuteStatus| {
            let value = value(minute);
            (label(minute), value, format!("{value} {unit}"))
        };
        chart::bars(title, minutes.iter().map(bar))
    };
    let mut charts = vec![
        of("Requests a minute", |minute| minute.requests, "requests"),
        of("Locks that are held", |minute| minute.locks, "locks"),
    ];
    if minutes.iter().any(|minute| minute.failed > 0) {
        charts.push(of("Requests that the server failed", |minute| minute.failed, "requests"));
    }
    charts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_to_be_renewed_in_time() {
        let now = Moment("2026-11-21T12:00:00Z".parse().unwrap());
        let rows = [
            ("2027-11-21T12:00:00Z", 365, false),
            ("2026-12-12T12:00:00Z", 21, false),
            ("2026-12-12T11:00:00Z", 20, true),
            ("2026-11-21T11:00:00Z", -1, true),
        ];
        for (ends, days, is_soon) in rows {
            let (names, begins) = (Vec::new(), String::new());
            let status = CertificateStatus { names, begins, ends: ends.to_owned() };
            let shown = Certificate::new(status, now);
            assert_eq!((shown.days_left, shown.is_soon), (days, is_soon), "{ends}");
        }
    }

    #[test]
    fn a_disk_is_low_below_its_reserve() {
        let rows = [((100, 50, 12), 50, false), ((100, 11, 12), 11, true), ((0, 0, 0), 0, false)];
        for ((total_bytes, free_bytes, reserve_bytes), percent, is_low) in rows {
            let disk = Disk::new(&DiskStatus { total_bytes, free_bytes, reserve_bytes });
            assert_eq!((disk.free_percent, disk.is_low), (percent, is_low), "{total_bytes}");
        }
    }
}
