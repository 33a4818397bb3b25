//! A PostgreSQL cluster of three nodes for the tests of this crate, made by `scripts/postgres-cluster`.
//!
//! Tests that only need a database share one: that of `TIDELOCK_TEST_POSTGRES`, or one of their own
//! process. Tests that break it or change its settings start their own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::NoTls;

/// Three nodes. Dropping it stops them and removes all that they had.
pub struct Cluster {
    /// Keeps the parent of the cluster's own directory.
    directory: tempfile::TempDir,
    /// For the role that owns the database, with all hosts.
    pub url: String,
    /// `s0` is the primary at the start, `s1` its synchronous standby, `s2` follows asynchronously.
    pub ports: [u16; 3],
}

impl Cluster {
    /// Starts one; takes a few seconds.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("tl-pg-").tempdir().unwrap();
        // The nodes run as another user when the tests run as root.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(directory.path(), open).unwrap();
        }
        let watched = std::process::id().to_string();
        let printed = script(&["start", &own(&directory), "--watch", &watched]);
        let described: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let port = |index: usize| described["nodes"][index]["port"].as_u64().unwrap() as u16;
        Self {
            url: described["url"].as_str().unwrap().to_owned(),
            ports: [port(0), port(1), port(2)],
            directory,
        }
    }

    /// Runs a command of the script on this cluster: `promote`, `kill`, `rejoin`, `pause`, `resume`.
    pub fn command(&self, command: &str, node: &str) {
        script(&[command, &own(&self.directory), node]);
    }

    /// A URL with these nodes only, in this order.
    pub fn url_of(&self, nodes: &[usize]) -> String {
        let hosts: Vec<String> =
            nodes.iter().map(|node| format!("127.0.0.1:{}", self.ports[*node])).collect();
        format!("postgres://tidelock@{}/tidelock", hosts.join(","))
    }

    /// A client of the superuser at one node.
    pub async fn admin(&self, node: usize) -> tokio_postgres::Client {
        let port = self.ports[node];
        let settings = format!("host=127.0.0.1 port={port} user=postgres dbname=tidelock");
        let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Runs statements as superuser at one node, each in a transaction of its own.
    pub async fn sql(&self, node: usize, statements: &[&str]) {
        let client = self.admin(node).await;
        for statement in statements {
            client.batch_execute(statement).await.unwrap();
        }
    }

    /// Changes a setting of one node; `value` as SQL, `DEFAULT` to take it back.
    pub async fn set(&self, node: usize, name: &str, value: &str) {
        let change = format!("ALTER SYSTEM SET {name} = {value}");
        self.sql(node, &[&change, "SELECT pg_reload_conf()"]).await;
        // A reload has no end that one could wait for, but new sessions see it soon.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        script(&["stop", &own(&self.directory)]);
    }
}

/// The URL of a cluster that nobody breaks, for a schema that nobody else uses.
pub fn shared_url() -> String {
    static URL: OnceLock<String> = OnceLock::new();
    static SCHEMAS: AtomicU32 = AtomicU32::new(0);
    let url = URL.get_or_init(|| {
        std::env::var("TIDELOCK_TEST_POSTGRES").unwrap_or_else(|_| {
            // Never dropped: the script's watcher stops it when this process ends.
            let cluster = Cluster::start();
            let url = cluster.url.clone();
            std::mem::forget(cluster);
            url
        })
    });
    let number = SCHEMAS.fetch_add(1, Ordering::Relaxed);
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}schema=t{}_{number}", std::process::id())
}

fn own(directory: &tempfile::TempDir) -> String {
    directory.path().join("pg").display().to_string()
}

fn script(arguments: &[&str]) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let done = Command::new(root.join("scripts/postgres-cluster"))
        .args(arguments)
        .output()
        .expect("scripts/postgres-cluster needs Python 3");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "postgres-cluster {arguments:?}: {said}");
    String::from_utf8(done.stdout).unwrap()
}
