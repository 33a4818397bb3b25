//! `/_/api/v1/server`: how the server is that answers.

use http::{Response, StatusCode};
use serde::Serialize;
use tidelock_meta::Health;
use tidelock_s3::ResponseBody;
use tidelock_store::{BucketError, Principal};

use super::error::ApiError;
use super::{iso8601, json};
use crate::status::{Facts, Status};

#[derive(Serialize)]
struct Server {
    version: &'static str,
    started: String,
    uptime_seconds: u64,
    health: &'static str,
    health_reason: Option<String>,
    engine: &'static str,
    bodies: &'static str,
    replication: Option<String>,
    servers: usize,
    disk: Option<Disk>,
    certificate: Option<Certificate>,
    requests_in_flight: u64,
    connections: u64,
    keys: Vec<String>,
    minutes: Vec<Minute>,
}

#[derive(Serialize)]
struct Disk {
    total_bytes: u64,
    free_bytes: u64,
    reserve_bytes: u64,
}

#[derive(Serialize)]
struct Certificate {
    names: Vec<String>,
    begins: String,
    ends: String,
}

#[derive(Serialize)]
struct Minute {
    start: String,
    requests: u64,
    failed: u64,
    locks: u64,
}

pub(super) async fn get(
    status: &Status,
    actor: &Principal,
) -> Result<Response<ResponseBody>, ApiError> {
    if !actor.is_root {
        return Err(BucketError::AccessDenied.into());
    }
    let facts = status.facts().await.map_err(BucketError::from)?;
    Ok(json(StatusCode::OK, &Server::from(facts)))
}

impl From<Facts> for Server {
    fn from(facts: Facts) -> Self {
        let (health, health_reason) = match facts.health {
            Health::Serving => ("serving", None),
            Health::ReadOnly(reason) => ("read-only", Some(reason)),
            Health::Unavailable(reason) => ("unavailable", Some(reason)),
        };
        let uptime_ms = u64::try_from(facts.now_ms - facts.started_ms).unwrap_or_default();
        let minutes = facts.minutes.into_iter().map(|minute| Minute {
            start: iso8601(minute.start_ms),
            requests: minute.requests,
            failed: minute.failed,
            locks: minute.locks,
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started: iso8601(facts.started_ms),
            uptime_seconds: uptime_ms / 1_000,
            health,
            health_reason,
            engine: facts.engine,
            bodies: facts.bodies,
            replication: facts.replication,
            servers: facts.servers,
            disk: facts.disk.map(|disk| Disk {
                total_bytes: disk.total_bytes,
                free_bytes: disk.free_bytes,
                reserve_bytes: disk.reserve_bytes(),
            }),
            certificate: facts.certificate.map(|certificate| Certificate {
                names: certificate.names,
                begins: iso8601(certificate.begins_ms),
                ends: iso8601(certificate.ends_ms),
            }),
            // Never negative: each is counted up before it is counted down.
            requests_in_flight: u64::try_from(facts.requests_in_flight).unwrap_or_default(),
            connections: u64::try_from(facts.connections).unwrap_or_default(),
            keys: facts.keys,
            minutes: minutes.collect(),
        }
    }
}
