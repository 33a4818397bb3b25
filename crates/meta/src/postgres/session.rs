//! One connection to one host: its settings, what the server says of itself, and the task that drives
//! it. Refuses to know which host is the primary (`primary`) and what is safe (`topology`).

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_postgres::config::{Config, SslMode as DriverSslMode};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{AsyncMessage, Client, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::{ConnectError, Dialect, PostgresObserver, RoundTrip};
use super::topology::{Database, Facts};
use super::url::{Host, SslMode, Target};

/// The server gives up a statement after this.
const STATEMENT_SECONDS_MAX: u64 = 10;
/// The server gives up waiting for a row's lock after this.
const LOCK_WAIT_SECONDS_MAX: u64 = 5;
/// The server ends a transaction whose client has gone silent after this.
const IDLE_IN_TRANSACTION_SECONDS_MAX: u64 = 15;
/// A host that vanished without a word is given up after about this, busy or idle.
const VANISHED_AFTER: Duration = Duration::from_secs(10);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long an answer nobody waits for any more is awaited: a commit may wait for its standby, and
/// its backend lives on until then whether or not we are connected.
const ABANDONED_MAX: Duration = Duration::from_secs(60);

const POSTGRES_FACTS: &str = "SELECT pg_is_in_recovery(), \
    current_setting('transaction_read_only'), current_setting('server_version'), \
    pg_postmaster_start_time(), current_setting('synchronous_commit'), \
    current_setting('synchronous_standby_names'), current_setting('fsync'), \
    current_setting('full_page_writes'), \
    (SELECT count(*) FROM pg_stat_replication), \
    (SELECT count(sync_state) FROM pg_stat_replication), \
    (SELECT count(*) FROM pg_stat_replication \
     WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum'))";
/// Which timeline the server writes, and which cluster it belongs to: managed services forbid the one or
/// the other, so each is done without if need be.
const POSTGRES_IDENTITIES: [&str; 3] = [
    ", CASE WHEN pg_is_in_recovery() THEN '' \
     ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END, \
     (SELECT system_identifier FROM pg_control_system())",
    ", CASE WHEN pg_is_in_recovery() THEN '' \
     ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END",
    "",
];
const PORTABLE_FACTS: &str = "SELECT current_setting('transaction_read_only')";

/// Makes sessions with the hosts of one store.
pub(super) struct Connector {
    pub(super) target: Target,
    tls: MakeRustlsConnect,
    /// What the first host that answered was.
    database: OnceLock<Database>,
    /// Sessions with a primary of an older timeline than this end at once.
    floor: watch::Receiver<u32>,
    observer: Arc<dyn PostgresObserver>,
}

/// A connection that is set up. Its task ends when this is dropped and the server has answered what
/// it was asked.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) facts: Facts,
    /// A warning was heard since the session was set up; see [`note`].
    pub(super) wait_cancelled: Arc<AtomicBool>,
    /// While it lives, the session's task waits for answers without limit.
    pub(super) held: Held,
}

/// Tells the task of a session that somebody still wants its answers.
pub(super) struct Held(
    #[expect(dead_code, reason = "dropping it is the message")] oneshot::Sender<()>,
);

impl Connector {
    pub(super) fn new(
        target: Target,
        floor: watch::Receiver<u32>,
        observer: Arc<dyn PostgresObserver>,
    ) -> Result<Self, ConnectError> {
        let tls = super::tls::connector(&target)?;
        Ok(Self { target, tls, database: OnceLock::new(), floor, observer })
    }

    /// Connects to `host`, sets the session up and asks what the server is. The `permit` is kept
    /// until the session's task ends.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unreachable`], [`ConnectError::Authentication`], [`ConnectError::Tls`] and
    /// [`ConnectError::Refused`], each beginning with the host.
    pub(super) async fn connect(
        &self,
        host: &Host,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Session, ConnectError> {
        match timeout(self.target.connect_timeout, self.attempt(host, permit)).await {
            Ok(result) => result.map_err(|error| classify(host, &error)),
            Err(_) => Err(ConnectError::Unreachable(format!("{host}: no answer in time"))),
        }
    }

    /// Asks again what the server of `session` is.
    pub(super) async fn refresh(&self, session: &mut Session) -> Result<(), ConnectError> {
        let database = session.facts.database;
        let asked = self.ask(&session.client, database, "");
        let late = || ConnectError::Unreachable("no answer in time".into());
        session.facts = timeout(self.target.connect_timeout, asked)
            .await
            .map_err(|_| late())?
            .map_err(|error| ConnectError::Unreachable(describe(&error)))?;
        Ok(())
    }

    /// Which statements to use with `database`.
    pub(super) fn dialect(&self, database: Database) -> Dialect {
        self.target.dialect.unwrap_or(match database {
            Database::PostgreSql => Dialect::Postgres,
            Database::CockroachDb | Database::YugabyteDb => Dialect::Portable,
        })
    }

    async fn attempt(
        &self,
        host: &Host,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Session, tokio_postgres::Error> {
        let (client, connection) = self.config(host).connect(self.tls.clone()).await?;
        let wait_cancelled = Arc::new(AtomicBool::new(false));
        // Not known yet: must not be taken for an old one.
        let timeline = Arc::new(AtomicU32::new(u32::MAX));
        let (held, released) = oneshot::channel();
        let until = ended(released, self.floor.clone(), Arc::clone(&timeline));
        tokio::spawn(drive(connection, Arc::clone(&wait_cancelled), until, permit));
        let database = self.database(&client).await?;
        let facts = self.ask(&client, database, &self.settings(database)).await?;
        // What was said on the way, of collations for example, is no answer to a commit.
        wait_cancelled.store(false, Ordering::SeqCst);
        timeline.store(facts.timeline, Ordering::SeqCst);
        Ok(Session { client, facts, wait_cancelled, held: Held(held) })
    }

    fn config(&self, host: &Host) -> Config {
        let target = &self.target;
        let mut config = Config::new();
        match host {
            Host::Tcp(name, port) => config.host(name).port(*port),
            Host::Unix(directory, port) => config.host_path(directory).port(*port),
        };
        config
            .user(&target.user)
            .dbname(&target.database)
            .application_name(&target.application_name)
            .ssl_mode(match target.ssl_mode(host) {
                SslMode::Disable => DriverSslMode::Disable,
                SslMode::Prefer => DriverSslMode::Prefer,
                SslMode::VerifyFull => DriverSslMode::Require,
            })
            .tcp_user_timeout(VANISHED_AFTER)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES);
        if let Some(password) = &target.password {
            config.password(password);
        }
        config
    }

    async fn database(&self, client: &Client) -> Result<Database, tokio_postgres::Error> {
        if let Some(database) = self.database.get() {
            return Ok(*database);
        }
        self.observer.round_trip(RoundTrip::Session);
        let messages = client.simple_query("SELECT version()").await?;
        let row = last_row(&messages);
        let version = row.and_then(|row| row.get(0)).unwrap_or_default();
        Ok(*self.database.get_or_init(|| Database::from_version(version)))
    }

    /// Statements that set a session up, ending in a semicolon.
    fn settings(&self, database: Database) -> String {
        // Of reads: a commit says its own. A read is one statement, that is one snapshot, and PostgreSQL
        // would refuse some at SERIALIZABLE for the sake of transactions that they have no part in.
        let isolation = match database {
            Database::PostgreSql => "read committed",
            Database::CockroachDb | Database::YugabyteDb => "serializable",
        };
        let mut settings = vec![
            ("search_path", format!("\"{}\"", self.target.schema)),
            ("statement_timeout", format!("{STATEMENT_SECONDS_MAX}s")),
            ("lock_timeout", format!("{LOCK_WAIT_SECONDS_MAX}s")),
            ("idle_in_transaction_session_timeout", format!("{IDLE_IN_TRANSACTION_SECONDS_MAX}s")),
            ("default_transaction_isolation", isolation.to_owned()),
        ];
        if database != Database::PostgreSql {
            let statement = |(name, value): &(&str, String)| match *name {
                "search_path" => format!("SET {name} = {value};"),
                _ => format!("SET {name} = '{value}';"),
            };
            return settings.iter().map(statement).collect();
        }
        // Every statement is a walk along the primary key, whatever the statistics say.
        for name in ["enable_seqscan", "enable_bitmapscan", "jit"] {
            settings.push((name, "off".to_owned()));
        }
        settings.push(("plan_cache_mode", "force_generic_plan".to_owned()));
        let calls: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("set_config('{name}', '{value}', false)"))
            .collect();
        // A commit waits for the standbys whatever the server's or the role's default is; a stronger
        // default stays.
        format!(
            "SELECT {}, set_config('synchronous_commit', \
             CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' \
             ELSE 'on' END, false);",
            calls.join(", ")
        )
    }

    /// Sends `settings` and asks for the facts, in one round trip.
    async fn ask(
        &self,
        client: &Client,
        database: Database,
        settings: &str,
    ) -> Result<Facts, tokio_postgres::Error> {
        if database != Database::PostgreSql {
            self.observer.round_trip(RoundTrip::Session);
            let messages = client.simple_query(&format!("{settings}{PORTABLE_FACTS}")).await?;
            return Ok(portable_facts(database, &messages));
        }
        for identity in POSTGRES_IDENTITIES {
            self.observer.round_trip(RoundTrip::Session);
            // One that fails takes its settings with it.
            let statements = format!("{settings}{POSTGRES_FACTS}{identity}");
            match client.simple_query(&statements).await {
                Ok(messages) => return Ok(postgres_facts(&messages)),
                Err(error) if is_forbidden(&error) && !identity.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        // The last one asks for nothing that could be forbidden.
        Ok(postgres_facts(&[]))
    }
}

/// Drives a connection until it ends, or until `until` does.
///
/// The server's last word on a commit comes before it says that it is ready again, and is noted
/// before that is handed on: who has the answer of a commit can trust `wait_cancelled`.
async fn drive<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    wait_cancelled: Arc<AtomicBool>,
    until: impl Future<Output = ()>,
    _permit: Option<OwnedSemaphorePermit>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut until = pin!(until);
    loop {
        tokio::select! {
            message = poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notice(notice))) => note(&notice, &wait_cancelled),
                Some(Ok(_)) => {}
                // Whoever waits for an answer hears of it.
                Some(Err(_)) | None => return,
            },
            () = &mut until => return,
        }
    }
}

/// A commit whose wait for the standby is cancelled, by an administrator or because the server shuts
/// down, is answered as done, with a warning beside it (PostgreSQL, `syncrep.c`). Its words depend on
/// the version and the language, so every warning counts.
fn note(notice: &tokio_postgres::error::DbError, wait_cancelled: &AtomicBool) {
    if notice.parsed_severity() == Some(Severity::Warning) || notice.severity() == "WARNING" {
        wait_cancelled.store(true, Ordering::SeqCst);
        tracing::warn!(notice = %notice.message(), "the database warns");
    }
}

/// Ends when the session was dropped a while ago, or belongs to a deposed primary.
async fn ended(
    released: oneshot::Receiver<()>,
    mut floor: watch::Receiver<u32>,
    timeline: Arc<AtomicU32>,
) {
    let abandoned = async {
        let _ = released.await;
        sleep(ABANDONED_MAX).await;
    };
    let deposed = async {
        while floor.changed().await.is_ok() {
            if timeline.load(Ordering::SeqCst) < *floor.borrow() {
                return;
            }
        }
        // The store is closed: the sessions end with their owners.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = abandoned => {}
        () = deposed => {}
    }
}

impl Session {
    /// Whether calls can still be answered.
    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }
}

fn postgres_facts(messages: &[SimpleQueryMessage]) -> Facts {
    let row = last_row(messages);
    let text = |column: usize| {
        let value = row.filter(|row| column < row.len()).and_then(|row| row.get(column));
        value.unwrap_or_default().to_owned()
    };
    let count = |column| text(column).parse::<u64>().unwrap_or_default();
    // Without the right to see them, the rows are there and their columns are not.
    let is_visible = count(8) == 0 || count(9) > 0;
    Facts {
        database: Database::PostgreSql,
        in_recovery: text(0) != "f",
        read_only: text(1) != "off",
        version: text(2),
        started: text(3),
        synchronous_commit: text(4),
        synchronous_standby_names: text(5),
        fsync: text(6),
        full_page_writes: text(7),
        standbys_connected: is_visible.then(|| count(10)),
        timeline: u32::from_str_radix(&text(11), 16).unwrap_or_default(),
        system: Some(text(12)).filter(|system| !system.is_empty()),
    }
}

fn portable_facts(database: Database, messages: &[SimpleQueryMessage]) -> Facts {
    let read_only = last_row(messages).and_then(|row| row.get(0)).unwrap_or_default();
    Facts { read_only: read_only != "off", ..Facts::without_replication(database) }
}

fn last_row(messages: &[SimpleQueryMessage]) -> Option<&SimpleQueryRow> {
    messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}

/// Whether the server refused a function, rather than failed.
fn is_forbidden(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::INSUFFICIENT_PRIVILEGE
            || *code == SqlState::UNDEFINED_FUNCTION
            || *code == SqlState::FEATURE_NOT_SUPPORTED
    })
}

fn classify(host: &Host, error: &tokio_postgres::Error) -> ConnectError {
    let said = format!("{host}: {}", describe(error));
    let Some(code) = error.code() else {
        // The driver tells its kinds of error apart by their text only.
        let text = error.to_string();
        return match text.as_str() {
            "error performing TLS handshake" => ConnectError::Tls(said),
            "authentication error" | "invalid configuration" => ConnectError::Authentication(said),
            _ => ConnectError::Unreachable(said),
        };
    };
    match code.code().get(..2) {
        // Starting up, shutting down, too many connections, failing disks.
        Some("57" | "53" | "58" | "08" | "XX") => ConnectError::Unreachable(said),
        Some("28" | "3D") => ConnectError::Authentication(said),
        _ => ConnectError::Refused(said),
    }
}

/// The error with its cause: the driver's own text is the kind alone.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
