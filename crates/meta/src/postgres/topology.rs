//! What the database is, as it says itself, and whether an acknowledged write can be lost with it.
//!
//! A write is acknowledged when the primary and every listed standby have it on disk, and only a
//! listed standby may be promoted: that is what Patroni's synchronous mode keeps up, and what is asked
//! for here. With `ANY 1 (s1, s2)` or `*`, a promoted standby may be the one that has not seen a write,
//! and two servers could each acknowledge a lock.

use std::fmt;

use super::options::Dialect;
use super::standby_names::StandbyNames;

/// Which product answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// PostgreSQL, or a service that is PostgreSQL: one primary, replication by its log.
    PostgreSql,
    /// CockroachDB: consensus for each range of keys.
    CockroachDb,
    /// YugabyteDB: consensus for each tablet.
    YugabyteDb,
}

impl Database {
    /// By the answer to `SELECT version()`.
    pub(super) fn from_version(version: &str) -> Self {
        if version.contains("CockroachDB") {
            Self::CockroachDb
        } else if version.contains("-YB-") || version.contains("YugabyteDB") {
            Self::YugabyteDb
        } else {
            Self::PostgreSql
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PostgreSql => "PostgreSQL",
            Self::CockroachDb => "CockroachDB",
            Self::YugabyteDb => "YugabyteDB",
        })
    }
}

/// What one server says of itself. The settings are those of our session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) database: Database,
    pub(super) version: String,
    pub(super) in_recovery: bool,
    pub(super) read_only: bool,
    /// Tells servers apart that say the same otherwise.
    pub(super) started: String,
    /// Grows with each promotion; 0 where there is none or it may not be seen.
    pub(super) timeline: u32,
    /// Names the cluster: the same on a primary and its standbys; none where it may not be seen.
    pub(super) system: Option<String>,
    pub(super) synchronous_commit: String,
    pub(super) synchronous_standby_names: String,
    pub(super) fsync: String,
    pub(super) full_page_writes: String,
    /// Synchronous standbys that stream now; none where they may not be seen.
    pub(super) standbys_connected: Option<u64>,
}

impl Facts {
    /// A database that replicates by consensus.
    pub(super) fn without_replication(database: Database) -> Self {
        Self {
            database,
            version: String::new(),
            in_recovery: false,
            read_only: false,
            started: String::new(),
            timeline: 0,
            system: None,
            synchronous_commit: String::new(),
            synchronous_standby_names: String::new(),
            fsync: String::new(),
            full_page_writes: String::new(),
            standbys_connected: None,
        }
    }

    /// Whether commits wait for a standby, so that a barrier proves something.
    pub(super) fn waits_for_standby(&self) -> bool {
        self.database == Database::PostgreSql && !self.synchronous_standby_names.trim().is_empty()
    }

    /// How an acknowledged write could be lost, and what to do about it; none when it is safe.
    pub(super) fn danger(&self) -> Option<String> {
        if self.database != Database::PostgreSql {
            return None;
        }
        let dangers: Vec<String> =
            [self.standby_danger(), self.commit_danger(), self.disk_danger()]
                .into_iter()
                .flatten()
                .collect();
        (!dangers.is_empty()).then(|| dangers.join("; "))
    }

    fn standby_danger(&self) -> Option<String> {
        let text = &self.synchronous_standby_names;
        if text.trim().is_empty() {
            return Some(
                "synchronous_standby_names is empty, so an acknowledged write is on one server only: \
                 name a standby (synchronous_standby_names = 's1'; Patroni: synchronous_mode: true), or \
                 accept it where the storage below is replicated"
                    .to_owned(),
            );
        }
        let is_safe = StandbyNames::parse(text).is_some_and(|names| names.all_must_acknowledge());
        (!is_safe).then(|| {
            format!(
                "synchronous_standby_names is {text:?}, so a standby that lacks an acknowledged write may \
                 be promoted: name the standbys and wait for each of them ('s1', or 'ANY 2 (s1, s2)'), \
                 and promote only those"
            )
        })
    }

    fn commit_danger(&self) -> Option<String> {
        let is_safe = ["on", "remote_apply"].contains(&self.synchronous_commit.as_str());
        (!is_safe).then(|| {
            format!(
                "synchronous_commit is {:?} although the session set it to on: connect to the database \
                 itself, without a pooler between",
                self.synchronous_commit
            )
        })
    }

    fn disk_danger(&self) -> Option<String> {
        let off: Vec<&str> = [("fsync", &self.fsync), ("full_page_writes", &self.full_page_writes)]
            .into_iter()
            .filter(|(_, value)| *value != "on")
            .map(|(name, _)| name)
            .collect();
        (!off.is_empty()).then(|| {
            format!("{} is off, so a power cut damages the database: turn it on", off.join(" and "))
        })
    }
}

/// What the database was when it was last asked. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The product.
    pub database: Database,
    /// Its version, as it says it; empty where it is not asked.
    pub version: String,
    /// Which statements are used with it.
    pub dialect: Dialect,
    /// `host:port` of the primary in use.
    pub primary: String,
    /// The primary's timeline, which grows with each promotion; none where there is none or the
    /// database does not let us see it.
    pub timeline: Option<u32>,
    /// `synchronous_standby_names` of the primary.
    pub synchronous_standby_names: String,
    /// Synchronous standbys that are connected. With none, commits wait, which is safe. None where
    /// the database does not let us see them (grant `pg_monitor`).
    pub standbys_connected: Option<u64>,
    /// Every host of the URL and what it was when all were last asked.
    pub hosts: Vec<(String, String)>,
    /// How an acknowledged write could be lost, and what to do about it; none when it is safe.
    pub danger: Option<String>,
    /// Whether commits wait for a standby.
    pub(super) waits_for_standby: bool,
}

impl Topology {
    pub(super) fn new(
        primary: String,
        facts: &Facts,
        dialect: Dialect,
        hosts: Vec<(String, String)>,
    ) -> Self {
        Self {
            database: facts.database,
            version: facts.version.clone(),
            dialect,
            primary,
            timeline: (facts.timeline > 0).then_some(facts.timeline),
            synchronous_standby_names: facts.synchronous_standby_names.clone(),
            standbys_connected: facts.standbys_connected,
            hosts,
            danger: facts.danger(),
            waits_for_standby: facts.waits_for_standby(),
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.database)?;
        if !self.version.is_empty() {
            write!(f, " {}", self.version)?;
        }
        write!(f, " at {}", self.primary)?;
        if self.database == Database::PostgreSql {
            match self.timeline {
                Some(timeline) => write!(f, ", timeline {timeline}")?,
                None => write!(f, ", timeline not visible")?,
            }
            match StandbyNames::parse(&self.synchronous_standby_names) {
                Some(names) => write!(f, ", waits for {names}")?,
                None => write!(f, ", waits for no standby")?,
            }
            match self.standbys_connected {
                Some(0) if self.waits_for_standby => write!(f, " (none connected: commits wait)")?,
                Some(count) => write!(f, " ({count} connected)")?,
                None => write!(f, " (not visible which are connected)")?,
            }
        }
        for (host, role) in self.hosts.iter().filter(|(host, _)| *host != self.primary) {
            write!(f, "; {host}: {role}")?;
        }
        match &self.danger {
            Some(danger) => write!(f, "; NOT SAFE: {danger}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            version: "15.18".into(),
            timeline: 3,
            system: Some("7".into()),
            synchronous_commit: "on".into(),
            synchronous_standby_names: "s1".into(),
            fsync: "on".into(),
            full_page_writes: "on".into(),
            standbys_connected: Some(1),
            ..Facts::without_replication(Database::PostgreSql)
        }
    }

    #[test]
    fn products_by_their_version() {
        for (version, database) in [
            (
                "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu",
                Database::PostgreSql,
            ),
            ("CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu)", Database::CockroachDb),
            ("PostgreSQL 11.2-YB-2.20.1.0-b0 on x86_64-pc-linux-gnu", Database::YugabyteDb),
        ] {
            assert_eq!(Database::from_version(version), database);
        }
    }

    #[test]
    fn each_danger_is_told() {
        type Change = fn(&mut Facts);
        let rows: [(Change, &str); 10] = [
            (|facts| facts.synchronous_standby_names.clear(), "synchronous_standby_names is empty"),
            (|facts| facts.synchronous_standby_names = "*".into(), "may be promoted"),
            (|facts| facts.synchronous_standby_names = "s1, s2".into(), "may be promoted"),
            (|facts| facts.synchronous_standby_names = "ANY 1 (s1, s2)".into(), "may be promoted"),
            (|facts| facts.synchronous_commit = "off".into(), "without a pooler"),
            (|facts| facts.synchronous_commit = "remote_write".into(), "without a pooler"),
            (|facts| facts.fsync = "off".into(), "fsync is off"),
            (|facts| facts.full_page_writes = "off".into(), "full_page_writes is off"),
            (|facts| facts.synchronous_commit = "remote_apply".into(), ""),
            (|facts| facts.standbys_connected = Some(0), ""),
        ];
        for (change, about) in rows {
            let mut facts = facts();
            change(&mut facts);
            let danger = facts.danger().unwrap_or_default();
            assert_eq!(danger.is_empty(), about.is_empty(), "{danger}");
            assert!(danger.contains(about), "{danger}");
        }
        assert_eq!(Facts::without_replication(Database::CockroachDb).danger(), None);
    }

    #[test]
    fn one_line_tells_it_all() {
        let hosts = vec![("a:1".into(), "primary".into()), ("b:2".into(), "standby".into())];
        let topology = Topology::new("a:1".into(), &facts(), Dialect::Postgres, hosts);
        let line =
            "PostgreSQL 15.18 at a:1, timeline 3, waits for 1 of s1 (1 connected); b:2: standby";
        assert_eq!(topology.to_string(), line);
    }
}
