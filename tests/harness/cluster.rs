//! A PostgreSQL cluster as `scripts/postgres-cluster` makes it, for tests that need one whatever the
//! engine of their lane is, and for those that break one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::engine::PostgresUrl;

/// A cluster that is there for everybody; nobody may break it.
const SHARED_VARIABLE: &str = "TIDELOCK_TEST_POSTGRES";

/// Three nodes: `s0`, the primary; `s1`, which it waits for; and `s2`.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    nodes: Vec<Node>,
}

/// A node as it was when the cluster started.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    pub port: u16,
}

impl Cluster {
    /// Starts a cluster that ends with this process at the latest.
    pub fn start() -> Self {
        // The script removes the directory itself.
        let directory = TempDir::new().unwrap().keep();
        let described = script("start", &directory, &["--watch", &std::process::id().to_string()]);
        let described: serde_json::Value = serde_json::from_str(&described).unwrap();
        let nodes = described["nodes"].as_array().unwrap().iter().map(|node| Node {
            name: node["name"].as_str().unwrap().to_owned(),
            port: node["port"].as_u64().unwrap().try_into().unwrap(),
        });
        Self { nodes: nodes.collect(), directory }
    }

    /// The URL of all nodes.
    pub fn url(&self) -> PostgresUrl {
        url_of(self.nodes.iter().map(|node| node.port))
    }

    /// The URL that knows these ports only: one node, or a proxy before it.
    pub fn url_of_ports(&self, ports: &[u16]) -> PostgresUrl {
        url_of(ports.iter().copied())
    }

    pub fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).unwrap()
    }

    /// Runs one statement as superuser on a node, whatever its role; its answer, one line a row.
    pub fn sql(&self, name: &str, statement: &str) -> Result<String, String> {
        let port = self.node(name).port.to_string();
        let done = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &port])
            .args(["-U", "postgres", "-d", "tidelock", "-c", statement])
            .env("PGCONNECT_TIMEOUT", "5")
            .output()
            .unwrap();
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
        Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
    }

    /// SIGKILL to all of a node.
    pub fn kill(&self, name: &str) {
        script("kill", &self.directory, &[name]);
    }

    /// Makes a standby the primary, with the other standby as its synchronous one.
    pub fn promote(&self, name: &str) {
        script("promote", &self.directory, &[name]);
    }

    /// Brings a node back as a standby.
    pub fn rejoin(&self, name: &str) {
        script("rejoin", &self.directory, &[name]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        script("stop", &self.directory, &[]);
    }
}

/// The cluster of this run: the one of the environment, or one for this process.
pub fn shared_url() -> PostgresUrl {
    static OWN: OnceLock<Cluster> = OnceLock::new();
    match std::env::var(SHARED_VARIABLE) {
        Ok(url) => PostgresUrl::new(&url),
        // A static is never dropped: the cluster ends when it sees this process gone.
        Err(_) => OWN.get_or_init(Cluster::start).url(),
    }
}

fn url_of(ports: impl Iterator<Item = u16>) -> PostgresUrl {
    let hosts: Vec<String> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
    PostgresUrl::new(&format!("postgres://tidelock@{}/tidelock", hosts.join(",")))
}

fn script(command: &str, directory: &Path, rest: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres-cluster");
    let done = Command::new(script).arg(command).arg(directory).args(rest).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "postgres-cluster {command} {rest:?}: {said}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}
