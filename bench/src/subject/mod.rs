//! What is measured: a server process and, behind some, a PostgreSQL cluster. Both end with it.

mod garage;
mod peer;
mod postgres;

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use tempfile::TempDir;
use tidelock_client::settings::Credentials;
use tidelock_client::{Client, Now, Settings};

use postgres::Cluster;

const ACCESS_KEY: &str = "ROOTROOTROOTROOT0001";
const SECRET_KEY: &str = "root-secret-of-the-benchmarks-0001";
/// The bucket that everything is written to.
pub const BUCKET: &str = "bench";
/// Time until a store has made its first bucket.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// Pause between two looks at whether it has.
const START_PAUSE: Duration = Duration::from_millis(200);

/// Which server.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bare hyper with the same hashes and a group commit: no S3
    Control,
    /// Tidelock as it starts by default, on the local engine
    Tidelock,
    /// Tidelock on the engine that keeps nothing
    Memory,
    /// Tidelock on three PostgreSQL nodes, one a synchronous standby; bodies in PostgreSQL
    Postgres,
    /// The same in the dialect for CockroachDB and YugabyteDB
    Portable,
    /// SeaweedFS as it starts by default: it does not sync
    Seaweedfs,
    /// SeaweedFS that syncs bodies, not names
    SeaweedfsFsync,
    /// s3s-fs: it does not sync
    S3sFs,
    /// Garage on LMDB as it starts by default: it does not sync
    Garage,
    /// Garage that syncs
    GarageFsync,
}

/// Where the programs are.
#[derive(clap::Args, Clone, Debug)]
pub struct Programs {
    /// The binary to measure
    #[arg(long, default_value = "target/release/tidelock")]
    binary: PathBuf,
    /// The script that starts a PostgreSQL cluster
    #[arg(long, default_value = "scripts/postgres-cluster")]
    cluster: PathBuf,
    /// SeaweedFS
    #[arg(long, value_name = "PATH")]
    weed: Option<PathBuf>,
    /// s3s-fs
    #[arg(long, value_name = "PATH")]
    s3s_fs: Option<PathBuf>,
    /// Garage
    #[arg(long, value_name = "PATH")]
    garage: Option<PathBuf>,
}

/// One server that runs.
pub struct Subject {
    pub kind: Kind,
    pub client: Client,
    /// Its process first, then those behind it.
    pub pids: Vec<u32>,
    // In the order they end.
    _server: Process,
    _cluster: Option<Cluster>,
    _data: TempDir,
}

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already, and nothing is kept.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Kind {
    /// Whether it is a store of others.
    pub fn is_peer(self) -> bool {
        match self {
            Self::Seaweedfs
            | Self::SeaweedfsFsync
            | Self::S3sFs
            | Self::Garage
            | Self::GarageFsync => true,
            Self::Control | Self::Tidelock | Self::Memory | Self::Postgres | Self::Portable => {
                false
            }
        }
    }

    /// Whether it lists keys.
    pub fn lists(self) -> bool {
        self != Self::Control
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = clap::ValueEnum::to_possible_value(self);
        f.write_str(value.as_ref().map_or("", clap::builder::PossibleValue::get_name))
    }
}

impl Programs {
    /// Which program of others a subject needs; none of ours.
    fn of_peer(&self, kind: Kind) -> Option<&Path> {
        match kind {
            Kind::Seaweedfs | Kind::SeaweedfsFsync => self.weed.as_deref(),
            Kind::S3sFs => self.s3s_fs.as_deref(),
            Kind::Garage | Kind::GarageFsync => self.garage.as_deref(),
            Kind::Control | Kind::Tidelock | Kind::Memory | Kind::Postgres | Kind::Portable => None,
        }
    }

    /// Whether the subject can be started.
    pub fn have(&self, kind: Kind) -> bool {
        !kind.is_peer() || self.of_peer(kind).is_some_and(Path::exists)
    }
}

impl Subject {
    /// Starts one with an empty store, and makes the bucket.
    pub async fn start(kind: Kind, programs: &Programs) -> Result<Self> {
        let data = TempDir::new()?;
        let cluster = match kind {
            Kind::Postgres | Kind::Portable => Some(Cluster::start(&programs.cluster)?),
            _ => None,
        };
        let (server, client) = match programs.of_peer(kind) {
            Some(program) => peer::start(kind, program, data.path()).await?,
            None => start(kind, &programs.binary, cluster.as_ref(), data.path())?,
        };
        make_bucket(&client, kind).await?;
        let mut pids = vec![server.0.id()];
        pids.extend(cluster.iter().flat_map(|cluster| &cluster.postmasters));
        Ok(Self { kind, client, pids, _server: server, _cluster: cluster, _data: data })
    }
}

/// Starts a server of ours.
fn start(
    kind: Kind,
    binary: &Path,
    cluster: Option<&Cluster>,
    data: &Path,
) -> Result<(Process, Client)> {
    let mut command = match kind {
        Kind::Control => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("control");
            command
        }
        _ => {
            let mut command = Command::new(binary);
            command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--data"]);
            command
        }
    };
    command.arg(data);
    if kind == Kind::Memory {
        command.args(["--meta", "memory"]);
    }
    if let Some(cluster) = cluster {
        let dialect = if kind == Kind::Portable { "?dialect=portable" } else { "" };
        command.args(["--meta", &format!("{}{dialect}", cluster.url)]);
    }
    command
        .env("TIDELOCK_ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("TIDELOCK_ROOT_SECRET_KEY", SECRET_KEY)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut server = Process(command.spawn().with_context(|| format!("cannot start {command:?}"))?);
    let endpoint = listening(&mut server.0)?;
    Ok((server, client(&endpoint, ACCESS_KEY, SECRET_KEY)?))
}

/// Waits for the line that says where the server listens; the rest of its log is read, so that it never
/// waits for us.
fn listening(server: &mut Child) -> Result<String> {
    let stderr = server.stderr.take().context("no stderr")?;
    let mut lines = BufReader::new(stderr).lines();
    let mut log = Vec::new();
    for line in &mut lines {
        let line = line?;
        if let Some((_, endpoint)) = line.split_once("listening on ") {
            let endpoint = endpoint.trim().to_owned();
            std::thread::spawn(move || {
                lines.map_while(Result::ok).for_each(|line| eprintln!("{line}"));
            });
            return Ok(endpoint);
        }
        log.push(line);
    }
    bail!("the server did not start: {}", log.join("\n"))
}

fn client(endpoint: &str, access_key_id: &str, secret_access_key: &str) -> Result<Client> {
    let settings = Settings {
        endpoint: endpoint.parse()?,
        region: "us-east-1".to_owned(),
        credentials: Credentials {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.to_owned(),
            session_token: None,
        },
        ca_bundle: None,
    };
    Ok(Client::new(settings, Now::new(Timestamp::now))?)
}

/// Makes it as soon as the store is ready for that.
async fn make_bucket(client: &Client, kind: Kind) -> Result<()> {
    let end = tokio::time::Instant::now() + START_TIMEOUT;
    loop {
        let Err(error) = client.create_bucket(BUCKET).await else { return Ok(()) };
        if client.has_bucket(BUCKET).await.unwrap_or(false) {
            return Ok(());
        }
        if tokio::time::Instant::now() > end {
            bail!("{kind} makes no bucket: {error}");
        }
        tokio::time::sleep(START_PAUSE).await;
    }
}
