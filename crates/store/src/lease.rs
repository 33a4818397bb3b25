//! Leases: which of several servers does what one at a time should do, and which servers run.
//!
//! A lease is a row that one server replaces at its version, so that of two who try, one wins. Its
//! holder relies on it for its term, counted from before it was asked for; others take it over only
//! once it has been expired for [`CLOCK_SKEW_MAX`]. As long as the servers' clocks are no further apart
//! than that, no two servers hold a lease at once. Clocks further apart cost work that is done twice,
//! never data: what is done under a lease must be right without it.

use std::collections::BTreeMap;
use std::time::Duration;

use tidelock_meta::record::lease::{self, LeaseRow};
use tidelock_meta::{
    Batch, Key, MetaStore, OpId, ReadLevel, UnixMillis, Version, Versioned, successor_of_key,
};

use crate::Store;
use crate::commit::Plan;
use crate::error::StorageError;

/// How far apart the servers' clocks may be.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);
/// The longest term of a lease.
pub const LEASE_TERM_MAX: Duration = Duration::from_secs(3 * 3600);
/// How long a server is taken to run after it was last heard of, besides [`CLOCK_SKEW_MAX`].
pub const ANNOUNCEMENT_TERM: Duration = Duration::from_secs(90);
/// How often a server says that it runs.
pub const ANNOUNCEMENT_INTERVAL: Duration = Duration::from_secs(15);
/// A server that has not said so for this long, by the clock of whoever watches, runs no more: several
/// announcements are missing. Its own clock does not matter.
pub const SILENCE: Duration = Duration::from_secs(60);
/// Pause between two looks of whoever watches.
const WATCH_PAUSE: Duration = Duration::from_secs(5);

/// What the names of the leases begin with that say that a server runs.
const SERVER_PREFIX: &str = "server/";
/// Rows of one step through the leases.
const LEASE_SCAN_ROWS: usize = 500;

/// A lease that this server holds, and until when it may rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerm {
    /// On the monotonic clock of this server.
    until: Duration,
}

/// A server that has said that it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncedServer {
    /// 32 hex digits, made when it started.
    pub owner: String,
    /// By its own clock.
    pub expires_ms: UnixMillis,
}

/// What all servers of a store had said at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcements(BTreeMap<Key, Version>);

/// What watching the servers of a store has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Some have said that they run.
    Running {
        /// How many were heard.
        servers: usize,
    },
    /// None has for [`SILENCE`]; what is left are announcements of servers that were killed.
    Silent(Announcements),
}

/// Watches a store until one of its servers says that it runs, or all have been silent for
/// [`SILENCE`]. At once where there is nobody to watch: servers that end withdraw.
///
/// # Errors
///
/// When the engine fails.
pub async fn watch_servers(meta: &dyn MetaStore) -> Result<Watched, StorageError> {
    watch(meta, tokio::time::sleep).await
}

async fn watch<F>(
    meta: &dyn MetaStore,
    pause: impl Fn(Duration) -> F,
) -> Result<Watched, StorageError>
where
    F: Future<Output = ()>,
{
    let before = Announcements::read(meta).await?;
    let (mut now, mut watched) = (before.clone(), Duration::ZERO);
    while !now.0.is_empty() && watched < SILENCE {
        pause(WATCH_PAUSE).await;
        watched += WATCH_PAUSE;
        now = Announcements::read(meta).await?;
        let servers = now.said_after(&before);
        if servers > 0 {
            return Ok(Watched::Running { servers });
        }
    }
    Ok(Watched::Silent(now))
}

impl Announcements {
    /// Servers that have said that they run since these were read.
    ///
    /// # Errors
    ///
    /// When the engine fails.
    pub async fn heard_since(&self, meta: &dyn MetaStore) -> Result<usize, StorageError> {
        Ok(Self::read(meta).await?.said_after(self))
    }

    async fn read(meta: &dyn MetaStore) -> Result<Self, StorageError> {
        let rows = announcement_rows(meta).await?;
        Ok(Self(rows.into_iter().map(|(key, seen)| (key, seen.version)).collect()))
    }

    fn said_after(&self, before: &Self) -> usize {
        self.0.iter().filter(|(key, version)| before.0.get(*key) != Some(*version)).count()
    }
}

async fn announcement_rows(meta: &dyn MetaStore) -> Result<Vec<(Key, Versioned)>, StorageError> {
    let mut all = Vec::new();
    let mut rest = lease::range(SERVER_PREFIX);
    loop {
        let direction = tidelock_meta::Direction::Forward;
        let rows = meta.scan(rest.clone(), LEASE_SCAN_ROWS, direction, ReadLevel::Latest).await?;
        let is_last = rows.len() < LEASE_SCAN_ROWS;
        all.extend(rows);
        match all.last() {
            Some((last, _)) if !is_last => rest = rest.starting_at(successor_of_key(last)),
            Some(_) | None => return Ok(all),
        }
    }
}

impl Store {
    /// Takes the lease `name`, or renews it, for `term` (at most [`LEASE_TERM_MAX`]); none if another
    /// server has it.
    ///
    /// # Errors
    ///
    /// When the store fails; then this server does not hold it.
    pub async fn lease(
        &self,
        name: &str,
        term: Duration,
    ) -> Result<Option<LeaseTerm>, StorageError> {
        let term = term.min(LEASE_TERM_MAX);
        let key = lease::key(name);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            // Asked again on every try: the term counts from before this commit.
            let (now, until) = (self.now(), self.clock.monotonic() + term);
            if let Some(seen) = &view.rows[0] {
                let row = LeaseRow::decode(&seen.value)?;
                if row.owner != self.owner && !is_over(&row, now) {
                    return Ok(Plan::Answer(None));
                }
            }
            let expires_ms = now.saturating_add(millis(term));
            let row = LeaseRow { owner: self.owner, expires_ms };
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), view.rows[0].as_ref());
            batch.put(key.clone(), row.encode());
            Ok(Plan::Commit(batch, Some(LeaseTerm { until })))
        })
        .await
    }

    /// Whether this server may still rely on a lease that it took.
    pub fn holds(&self, term: &LeaseTerm) -> bool {
        self.clock.monotonic() < term.until
    }

    /// Gives the lease `name` back, so that others need not wait for its end. Fine when another server
    /// has it, or nobody.
    ///
    /// # Errors
    ///
    /// When the store fails; then the lease ends by itself.
    pub async fn release(&self, name: &str) -> Result<(), StorageError> {
        let key = lease::key(name);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            let Some(seen) = &view.rows[0] else { return Ok(Plan::Answer(())) };
            if LeaseRow::decode(&seen.value)?.owner != self.owner {
                return Ok(Plan::Answer(()));
            }
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), Some(seen));
            batch.delete(key.clone());
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }

    /// Says that this server runs, for [`ANNOUNCEMENT_TERM`]: to be said again every
    /// [`ANNOUNCEMENT_INTERVAL`].
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn announce_server(&self) -> Result<(), StorageError> {
        self.lease(&self.announcement(), ANNOUNCEMENT_TERM).await.map(|_| ())
    }

    /// Says that this server runs no more.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn withdraw_server(&self) -> Result<(), StorageError> {
        self.release(&self.announcement()).await
    }

    /// The servers that run on this store, this one included, or that have not been silent for long
    /// enough to be sure that they do not.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn servers(&self) -> Result<Vec<AnnouncedServer>, StorageError> {
        let now = self.now();
        let read = self
            .rows
            .answer(|reading| async move { reading.all(lease::range(SERVER_PREFIX)).await });
        let mut servers = Vec::new();
        for (_, value) in read.await? {
            servers.extend(announced(&LeaseRow::decode(&value)?, now));
        }
        Ok(servers)
    }

    /// Forgets the servers that ended without saying so.
    pub(crate) async fn sweep_announcements(&self) -> Result<(), StorageError> {
        for (key, seen) in self.rows.latest().rows(lease::range(SERVER_PREFIX)).await? {
            if is_over(&LeaseRow::decode(&seen.value)?, self.now()) {
                let mut batch = Batch::new(OpId(self.random()));
                batch.expect(key.clone(), Some(&seen));
                batch.delete(key);
                // Where the check does not hold, it runs after all.
                self.try_commit(batch).await?;
            }
        }
        Ok(())
    }

    fn announcement(&self) -> String {
        format!("{SERVER_PREFIX}{}", hex::encode(self.owner))
    }
}

/// The server in a row, unless it has been silent for so long that it cannot run.
fn announced(row: &LeaseRow, now_ms: UnixMillis) -> Option<AnnouncedServer> {
    let server = AnnouncedServer { owner: hex::encode(row.owner), expires_ms: row.expires_ms };
    (!is_over(row, now_ms)).then_some(server)
}

/// Whether nobody can rely on a lease any more. One that ends later than any lease can was written by a
/// clock that is wrong, and would keep everybody out for as long as that clock is ahead.
fn is_over(row: &LeaseRow, now_ms: UnixMillis) -> bool {
    let skew = millis(CLOCK_SKEW_MAX);
    let latest_end = now_ms.saturating_add(millis(LEASE_TERM_MAX)).saturating_add(skew);
    row.expires_ms.saturating_add(skew) < now_ms || row.expires_ms > latest_end
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tidelock_meta::memory::MemoryStore;

    use super::*;

    const THIS: [u8; 16] = [1; 16];
    const OTHER: [u8; 16] = [2; 16];

    /// Announces each server by a clock of no meaning.
    async fn announce(meta: &MemoryStore, owner: Option<[u8; 16]>) {
        let Some(owner) = owner else { return };
        let mut batch = Batch::new(OpId([0; 16]));
        let key = lease::key(&format!("{SERVER_PREFIX}{}", hex::encode(owner)));
        batch.put(key, LeaseRow { owner, expires_ms: 0 }.encode());
        meta.commit(batch).await.unwrap();
    }

    /// What is found where `dead` had announced itself before and `alive` does so after a pause; and
    /// how long that takes.
    async fn check(dead: Option<[u8; 16]>, alive: Option<[u8; 16]>) -> (Watched, Duration) {
        let meta = MemoryStore::new();
        announce(&meta, dead).await;
        let watched = Mutex::new(Duration::ZERO);
        let pause = |pause: Duration| {
            *watched.lock().unwrap() += pause;
            announce(&meta, alive)
        };
        let found = watch(&meta, pause).await.unwrap();
        (found, watched.into_inner().unwrap())
    }

    #[tokio::test]
    async fn a_server_runs_if_it_is_heard() {
        assert!(matches!(check(None, Some(THIS)).await, (Watched::Silent(_), Duration::ZERO)));
        for (dead, alive) in [(THIS, THIS), (THIS, OTHER)] {
            let found = check(Some(dead), Some(alive)).await;
            assert_eq!(found, (Watched::Running { servers: 1 }, WATCH_PAUSE));
        }
        assert!(matches!(check(Some(THIS), None).await, (Watched::Silent(_), SILENCE)));
    }

    #[tokio::test]
    async fn what_was_silent_may_be_heard_later() {
        let meta = MemoryStore::new();
        announce(&meta, Some(THIS)).await;
        let found = watch(&meta, |_| std::future::ready(())).await.unwrap();
        let Watched::Silent(silence) = found else { panic!("{found:?}") };
        assert_eq!(silence.heard_since(&meta).await, Ok(0));
        announce(&meta, Some(OTHER)).await;
        assert_eq!(silence.heard_since(&meta).await, Ok(1));
    }
}
