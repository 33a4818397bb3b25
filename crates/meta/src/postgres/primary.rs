//! Which host is the primary, and which must never be used again.
//!
//! A primary is a server that is not in recovery and takes writes. Of several, the one with the highest
//! timeline is the one that was promoted last; all others are deposed, even where they still answer.
//! What was once seen is remembered: a timeline below the highest one, or another cluster, is refused
//! for as long as this process lives, also while nothing better can be reached.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::options::{ConnectError, PostgresOptions};
use super::session::{Connector, Session};
use super::topology::{Database, Facts, Topology};
use super::url::Host;
use crate::{Clock, Epoch, Health};

/// After a search that found nothing, its result is given to all who ask for this long.
const SEARCH_PAUSE: Duration = Duration::from_millis(200);
/// Sessions for each connection of the pool, the abandoned ones included: those still wait for an
/// answer that nobody wants any more.
const SESSIONS_PER_CONNECTION_MAX: usize = 2;

/// The hosts of one store and what is known of them.
pub(super) struct Cluster {
    pub(super) connector: Connector,
    pub(super) clock: Arc<dyn Clock>,
    options: PostgresOptions,
    known: Mutex<Known>,
    /// Counts the incarnations that were adopted. Changed under the lock of `known` only.
    epoch: AtomicU64,
    /// The highest timeline seen; sessions below it end.
    floor: watch::Sender<u32>,
    /// Held by the one search for the primary that is under way.
    search: tokio::sync::Mutex<()>,
    sessions: Arc<Semaphore>,
    sessions_max: u32,
}

/// What outlives connections.
#[derive(Default)]
struct Known {
    past: Past,
    /// Index of the primary in use.
    current: Option<usize>,
    topology: Option<Arc<Topology>>,
    incarnation: Option<Incarnation>,
    /// Why no primary is to be trusted although some answer; only a look at all hosts changes it.
    conflict: Option<String>,
    /// The last failure to find the primary, and when; none since it was found.
    failure: Option<(Duration, ConnectError)>,
}

/// What no server may contradict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Past {
    system: Option<String>,
    timeline: u32,
}

/// What tells one primary from another. Two servers that share all of it are one: a service that hides
/// timelines still tells when its server was started.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Incarnation {
    host: usize,
    system: Option<String>,
    timeline: u32,
    started: String,
}

impl Incarnation {
    /// A database that replicates by consensus has only one: all its hosts are one database.
    fn of(host: usize, facts: &Facts) -> Self {
        Self {
            host: if facts.database == Database::PostgreSql { host } else { 0 },
            system: facts.system.clone(),
            timeline: facts.timeline,
            started: facts.started.clone(),
        }
    }
}

impl Known {
    fn refusal(&self, accepts_danger: bool) -> Option<String> {
        let danger = self.topology.as_ref().and_then(|topology| topology.danger.clone());
        let unsafe_replication = danger
            .filter(|_| !accepts_danger)
            .map(|danger| ConnectError::UnsafeReplication(danger).to_string());
        self.conflict.clone().or(unsafe_replication)
    }
}

impl Past {
    /// With what the primary says now.
    fn with(&self, facts: &Facts) -> Self {
        Self {
            system: facts.system.clone().or_else(|| self.system.clone()),
            timeline: facts.timeline.max(self.timeline),
        }
    }
}

/// What one host said when all were asked.
pub(super) type Sighting<'a> = Result<&'a Facts, &'a ConnectError>;

impl Cluster {
    pub(super) fn new(
        options: PostgresOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectError> {
        let (floor, floor_seen) = watch::channel(0);
        let connector =
            Connector::new(options.target.clone(), floor_seen, Arc::clone(&options.observer))?;
        let sessions_max = options.connections_max.max(1) * SESSIONS_PER_CONNECTION_MAX;
        Ok(Self {
            connector,
            clock,
            options,
            known: Mutex::default(),
            epoch: AtomicU64::default(),
            floor,
            search: tokio::sync::Mutex::default(),
            sessions: Arc::new(Semaphore::new(sessions_max)),
            sessions_max: u32::try_from(sessions_max).unwrap_or(u32::MAX),
        })
    }

    /// A session with the primary: where it was last seen, or else wherever it is now.
    ///
    /// # Errors
    ///
    /// What keeps the best candidate from being used.
    pub(super) async fn connect(&self) -> Result<(Session, Epoch), ConnectError> {
        let permit = self.permit().await?;
        let tried = self.current();
        let permit = match tried {
            Some(index) => match self.reconnect(index, permit).await {
                Ok(found) => return Ok(found),
                Err(error) => {
                    tracing::debug!(error = %error, "the primary is not where it was");
                    self.permit().await?
                }
            },
            None => permit,
        };
        let _search = self.search.lock().await;
        // Whoever held the lock before may have found it, or may just have failed to.
        if let Some(index) = self.current().filter(|index| Some(*index) != tried) {
            return self.reconnect(index, permit).await;
        }
        if let Some(error) = self.recent_failure() {
            return Err(error);
        }
        self.find(permit).await
    }

    /// Takes what all hosts said: remembers the primary, or why there is none.
    pub(super) fn observe(&self, sightings: &[Sighting<'_>]) -> Result<usize, ConnectError> {
        let hosts = &self.connector.target.hosts;
        let mut known = self.known();
        let chosen = choose(hosts, sightings, &known.past, known.current);
        match &chosen {
            Ok(index) => {
                if let Ok(facts) = sightings[*index] {
                    known.conflict = None;
                    let past = known.past.with(facts);
                    let roles = roles(hosts, sightings, &past, *index);
                    self.take(&mut known, *index, facts, Some(roles));
                }
            }
            Err(error) => {
                if known.failure.is_none() {
                    tracing::error!(error = %error, "there is no usable primary");
                }
                known.failure = Some((self.clock.monotonic(), error.clone()));
                if matches!(error, ConnectError::TwoPrimaries(_) | ConnectError::OtherCluster(_)) {
                    known.conflict = Some(error.to_string());
                }
            }
        }
        chosen
    }

    pub(super) fn topology(&self) -> Option<Arc<Topology>> {
        self.known().topology.clone()
    }

    /// Why nothing may be served now, although the primary may answer.
    pub(super) fn refusal(&self) -> Option<String> {
        self.known().refusal(self.options.accept_unsafe_replication)
    }

    pub(super) fn health(&self) -> Health {
        let known = self.known();
        let failure = known.failure.as_ref().map(|(_, error)| error.to_string());
        let refusal = known.refusal(self.options.accept_unsafe_replication);
        refusal.or(failure).map_or(Health::Serving, Health::Unavailable)
    }

    /// The number of the incarnation that was adopted last.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    /// Waits until the last session's task has ended.
    pub(super) async fn drain(&self) {
        let _ = self.sessions.acquire_many(self.sessions_max).await;
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, ConnectError> {
        let permit = Arc::clone(&self.sessions).acquire_owned().await;
        permit.map_err(|_| ConnectError::Unreachable("the store is closed".into()))
    }

    /// Connects to the host that was the primary; forgets it when it is not.
    async fn reconnect(
        &self,
        index: usize,
        permit: OwnedSemaphorePermit,
    ) -> Result<(Session, Epoch), ConnectError> {
        let host = &self.connector.target.hosts[index];
        let session = self.connector.connect(host, Some(permit)).await;
        let mut known = self.known();
        let error = match session {
            Ok(session) => match refuse(&session.facts, &known.past) {
                None => {
                    let epoch = self.take(&mut known, index, &session.facts, None);
                    self.options.observer.connected();
                    return Ok((session, epoch));
                }
                Some(role) => ConnectError::NoPrimary(format!("{host}: {role}")),
            },
            Err(error) => error,
        };
        if known.current == Some(index) {
            known.current = None;
        }
        Err(error)
    }

    /// Asks all hosts at once and keeps the session with the primary.
    async fn find(&self, permit: OwnedSemaphorePermit) -> Result<(Session, Epoch), ConnectError> {
        let hosts = &self.connector.target.hosts;
        let answers = join_all(hosts.iter().map(|host| self.connector.connect(host, None))).await;
        let sightings: Vec<Sighting<'_>> =
            answers.iter().map(|answer| answer.as_ref().map(|session| &session.facts)).collect();
        let index = self.observe(&sightings)?;
        drop(answers);
        // Once more, with the permit: the probes are not counted, so that they go through always.
        self.reconnect(index, permit).await
    }

    /// Remembers the primary in use and what it says. Answers the epoch of what it said.
    fn take(
        &self,
        known: &mut Known,
        index: usize,
        facts: &Facts,
        roles: Option<Vec<(String, String)>>,
    ) -> Epoch {
        let host = self.connector.target.hosts[index].to_string();
        let before = known.topology.take();
        if known.failure.take().is_some() {
            tracing::info!(host, timeline = facts.timeline, "there is a primary again");
        }
        if before.as_ref().is_some_and(|before| before.primary != host) {
            tracing::warn!(host, timeline = facts.timeline, "another primary is used from now on");
            self.options.observer.primary_changed();
        }
        known.past = known.past.with(facts);
        self.floor.send_if_modified(|floor| {
            let is_later = facts.timeline > *floor;
            *floor = facts.timeline.max(*floor);
            is_later
        });
        let roles = roles
            .or_else(|| before.as_ref().map(|before| before.hosts.clone()))
            .unwrap_or_default();
        let dialect = self.connector.dialect(facts.database);
        let topology = Topology::new(host, facts, dialect, roles);
        let danger_before = before.and_then(|before| before.danger.clone());
        if topology.danger != danger_before {
            match &topology.danger {
                Some(danger) => tracing::warn!(danger, "replication is not safe"),
                None => tracing::info!("replication is safe again"),
            }
        }
        known.current = Some(index);
        known.topology = Some(Arc::new(topology));
        self.adopt(known, Incarnation::of(index, facts))
    }

    /// Begins an epoch unless `incarnation` is that of the present one.
    fn adopt(&self, known: &mut Known, incarnation: Incarnation) -> Epoch {
        if known.incarnation.as_ref() != Some(&incarnation) {
            known.incarnation = Some(incarnation);
            self.epoch.fetch_add(1, Ordering::SeqCst);
        }
        self.epoch()
    }

    fn current(&self) -> Option<usize> {
        self.known().current
    }

    fn recent_failure(&self) -> Option<ConnectError> {
        let known = self.known();
        let (at, error) = known.failure.as_ref()?;
        (self.clock.monotonic().saturating_sub(*at) < SEARCH_PAUSE).then(|| error.clone())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a server is not to be used as the primary: what it is instead.
fn refuse(facts: &Facts, past: &Past) -> Option<String> {
    let is_other = |system: &String| facts.system.as_ref().is_some_and(|this| this != system);
    if past.system.as_ref().is_some_and(is_other) {
        return Some("belongs to another database cluster".to_owned());
    }
    if facts.in_recovery {
        return Some("standby".to_owned());
    }
    if facts.timeline < past.timeline {
        let (timeline, seen) = (facts.timeline, past.timeline);
        return Some(format!("deposed primary of timeline {timeline}, {seen} was seen"));
    }
    facts.read_only.then(|| "read-only".to_owned())
}

/// The primary among the hosts.
fn choose(
    hosts: &[Host],
    sightings: &[Sighting<'_>],
    past: &Past,
    current: Option<usize>,
) -> Result<usize, ConnectError> {
    let candidates: Vec<(usize, &Facts)> = sightings
        .iter()
        .enumerate()
        .filter_map(|(index, sighting)| sighting.ok().map(|facts| (index, facts)))
        .filter(|(_, facts)| refuse(facts, past).is_none())
        .collect();
    let Some(timeline) = candidates.iter().map(|(_, facts)| facts.timeline).max() else {
        return Err(no_primary(hosts, sightings, past));
    };
    let told = |found: &[(usize, &Facts)]| {
        let names: Vec<String> = found.iter().map(|(index, _)| hosts[*index].to_string()).collect();
        names.join(" and ")
    };
    if candidates.iter().any(|(_, facts)| facts.system != candidates[0].1.system) {
        return Err(ConnectError::OtherCluster(told(&candidates)));
    }
    let mut latest = candidates;
    latest.retain(|(_, facts)| facts.timeline == timeline);
    let (first, facts) = latest[0];
    // One server may be listed under two names.
    let is_one = latest.iter().all(|(_, other)| other.started == facts.started);
    if facts.database == Database::PostgreSql && !is_one {
        return Err(ConnectError::TwoPrimaries(told(&latest)));
    }
    let keeps = current.filter(|current| latest.iter().any(|(index, _)| index == current));
    Ok(keeps.unwrap_or(first))
}

/// The error that says most: what a person must change before what may pass.
fn no_primary(hosts: &[Host], sightings: &[Sighting<'_>], past: &Past) -> ConnectError {
    let mut errors = sightings.iter().filter_map(|sighting| sighting.err());
    let told: Vec<String> = hosts
        .iter()
        .zip(sightings)
        .map(|(host, sighting)| match sighting {
            Ok(facts) => format!("{host}: {}", refuse(facts, past).unwrap_or_default()),
            Err(error) => reason(error),
        })
        .collect();
    let told = told.join("; ");
    let answered: Vec<&Facts> = sightings.iter().filter_map(|sighting| sighting.ok()).collect();
    let is_other = |facts: &&&Facts| {
        past.system.is_some() && facts.system.is_some() && facts.system != past.system
    };
    if answered.iter().any(|facts| is_other(&facts) && !facts.in_recovery) {
        return ConnectError::OtherCluster(told);
    }
    if !answered.is_empty() {
        return ConnectError::NoPrimary(told);
    }
    match errors.find(|error| error.is_permanent()) {
        Some(error) => error.clone(),
        None => ConnectError::Unreachable(told),
    }
}

/// What an error says, without the sentence around it: a host and what it said.
fn reason(error: &ConnectError) -> String {
    match error {
        ConnectError::Unreachable(said)
        | ConnectError::Authentication(said)
        | ConnectError::Tls(said)
        | ConnectError::Refused(said) => said.clone(),
        other => other.to_string(),
    }
}

/// What each host is, for people.
fn roles(
    hosts: &[Host],
    sightings: &[Sighting<'_>],
    past: &Past,
    primary: usize,
) -> Vec<(String, String)> {
    let role = |index: usize, host: &Host, sighting: &Sighting<'_>| match sighting {
        _ if index == primary => "primary".to_owned(),
        Ok(facts) => refuse(facts, past).unwrap_or_else(|| "not used".to_owned()),
        Err(error) => {
            let said = reason(error);
            said.strip_prefix(&format!("{host}: ")).unwrap_or(&said).to_owned()
        }
    };
    let rows = hosts.iter().zip(sightings).enumerate();
    rows.map(|(index, (host, sighting))| (host.to_string(), role(index, host, sighting))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server says in the rows below: `P3` a primary of timeline 3, `P3'` another one, `S` a
    /// standby, `R3` a read-only primary, `X3` a primary of another cluster, `-` no answer.
    fn answer(text: &str) -> Result<Facts, ConnectError> {
        let mut facts = Facts::without_replication(Database::PostgreSql);
        let (kind, rest) = text.split_at(1);
        facts.timeline = rest.trim_end_matches('\'').parse().unwrap_or_default();
        facts.started = rest.to_owned();
        facts.system = Some(if kind == "X" { "other" } else { "ours" }.to_owned());
        facts.in_recovery = kind == "S";
        facts.read_only = kind == "R" || kind == "S";
        match kind {
            "-" => Err(ConnectError::Unreachable("no answer".into())),
            "A" => Err(ConnectError::Authentication("wrong password".into())),
            _ => Ok(facts),
        }
    }

    fn check(past: &Past, current: Option<usize>, row: &str) -> String {
        let answers: Vec<_> = row.split(' ').map(answer).collect();
        let sightings: Vec<Sighting<'_>> = answers.iter().map(Result::as_ref).collect();
        let hosts: Vec<Host> =
            (0..answers.len()).map(|index| Host::Tcp(format!("h{index}"), 1)).collect();
        match choose(&hosts, &sightings, past, current) {
            Ok(index) => index.to_string(),
            Err(ConnectError::NoPrimary(_)) => "none".to_owned(),
            Err(ConnectError::TwoPrimaries(_)) => "two".to_owned(),
            Err(ConnectError::OtherCluster(_)) => "other".to_owned(),
            Err(ConnectError::Unreachable(_)) => "silence".to_owned(),
            Err(ConnectError::Authentication(_)) => "password".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_latest_primary_is_chosen_and_a_deposed_one_never() {
        let new = Past::default();
        let seen = Past { system: Some("ours".into()), timeline: 2 };
        for (past, current, row, chosen) in [
            (&new, None, "P1 S S", "0"),
            (&new, None, "S - P1", "2"),
            (&new, None, "P1 P2 S", "1"),
            (&new, None, "P2 P2 S", "0"),
            (&new, None, "P2 P2' S", "two"),
            (&new, None, "P2 P2' P3", "2"),
            (&new, None, "P1 X1", "other"),
            (&new, None, "R1 S", "none"),
            (&new, None, "S S -", "none"),
            (&new, None, "- -", "silence"),
            (&new, None, "- A", "password"),
            (&new, None, "S A", "none"),
            (&seen, None, "P1 - -", "none"),
            (&seen, None, "P1 S P2", "2"),
            (&seen, Some(1), "P2 P2", "1"),
            (&seen, Some(0), "P1 P2", "1"),
            (&seen, Some(0), "P2 P3", "1"),
            (&seen, Some(0), "X5 P2", "1"),
            (&seen, Some(0), "X5 S", "other"),
        ] {
            assert_eq!(check(past, current, row), chosen, "{row} after {past:?}");
        }
    }

    #[test]
    fn an_epoch_ends_with_its_primary() {
        let url = "postgres://u@127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/db";
        let options = PostgresOptions::parse(url).unwrap();
        let cluster = Cluster::new(options, Arc::new(crate::SystemClock::new())).unwrap();
        // P is a primary that hides its timeline, named by the time of its start.
        for (row, epoch) in [
            ("S S -", 0),
            ("P S -", 1),
            ("P S S", 1),
            ("Pa S S", 2),
            ("- - -", 2),
            ("Pa S S", 2),
            ("Pb S S", 3),
            ("- P S", 4),
            ("P1 S S", 5),
            ("P1 P2 S", 6),
            ("P1 P2 S", 6),
            ("P1 - -", 6),
            ("S P2' S", 7),
            ("P2' S S", 8),
            ("P3 P2 S", 9),
        ] {
            let answers: Vec<_> = row.split(' ').map(answer).collect();
            let sightings: Vec<Sighting<'_>> = answers.iter().map(Result::as_ref).collect();
            let _ = cluster.observe(&sightings);
            assert_eq!(cluster.epoch(), Epoch(epoch), "{row}");
        }
    }
}
