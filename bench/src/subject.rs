//! What is measured: a server process and, behind some, a PostgreSQL cluster. Both end with it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::cpu;
use crate::wire::{ACCESS_KEY, SECRET_KEY};

/// One server.
pub struct Subject {
    /// `bare`, `memory`, `local`, `postgres` or `portable`.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    server: Child,
    cluster: Option<Cluster>,
    _data: TempDir,
}

impl Subject {
    /// Starts one.
    pub fn start(name: &str, binary: &Path, script: &Path) -> Result<Self> {
        let data = TempDir::new()?;
        let cluster = match name {
            "postgres" | "portable" => Some(Cluster::start(script)?),
            _ => None,
        };
        let mut command = match name {
            "bare" => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("bare");
                command
            }
            _ => {
                let mut command = Command::new(binary);
                command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--data"]);
                command.arg(data.path());
                command
            }
        };
        match (name, &cluster) {
            ("bare" | "local", _) => {}
            ("memory", _) => drop(command.args(["--meta", "memory"])),
            ("postgres", Some(cluster)) => drop(command.args(["--meta", &cluster.url])),
            ("portable", Some(cluster)) => {
                command.args(["--meta", &format!("{}?dialect=portable", cluster.url)]);
            }
            _ => bail!("no such subject: {name}"),
        }
        command
            .env("TIDELOCK_ROOT_ACCESS_KEY", ACCESS_KEY)
            .env("TIDELOCK_ROOT_SECRET_KEY", SECRET_KEY)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut server = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let address = listening(&mut server)?;
        Ok(Self { name: name.to_owned(), address, server, cluster, _data: data })
    }

    /// CPU time so far: of the server, and of the engine behind it.
    pub fn cpu(&self) -> (Duration, Duration) {
        let engine = self.cluster.as_ref().map_or(Duration::ZERO, |cluster| {
            cluster.postmasters.iter().map(|process| cpu::used_by_tree(*process)).sum()
        });
        (cpu::used_by_tree(self.server.id()), engine)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may be gone already, and nothing is kept.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// Waits for the line that says where the server listens; the rest of its log is passed on.
fn listening(server: &mut Child) -> Result<SocketAddr> {
    let stderr = server.stderr.take().context("no stderr")?;
    let mut lines = BufReader::new(stderr).lines();
    for line in &mut lines {
        let line = line?;
        if let Some((_, url)) = line.split_once("listening on http://") {
            let address = url.trim().parse()?;
            std::thread::spawn(move || {
                lines.map_while(Result::ok).for_each(|line| eprintln!("{line}"));
            });
            return Ok(address);
        }
        eprintln!("{line}");
    }
    bail!("the server did not start")
}

/// Three PostgreSQL nodes, one of them a synchronous standby.
struct Cluster {
    script: PathBuf,
    directory: TempDir,
    url: String,
    postmasters: Vec<u32>,
}

impl Cluster {
    fn start(script: &Path) -> Result<Self> {
        let directory = TempDir::new()?;
        let watched = std::process::id().to_string();
        let started = Command::new(script)
            .arg("start")
            .arg(directory.path().join("cluster"))
            .args(["--watch", &watched])
            .output()?;
        if !started.status.success() {
            bail!("the cluster did not start: {}", String::from_utf8_lossy(&started.stderr));
        }
        let told: serde_json::Value = serde_json::from_slice(&started.stdout)?;
        let nodes = told["nodes"].as_array().context("no nodes")?;
        let postmasters =
            nodes.iter().filter_map(|node| u32::try_from(node["pid"].as_u64()?).ok()).collect();
        let url = told["url"].as_str().context("no URL")?.to_owned();
        Ok(Self { script: script.to_owned(), directory, url, postmasters })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = Command::new(&self.script)
            .arg("stop")
            .arg(self.directory.path().join("cluster"))
            .stdout(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("the cluster did not stop");
        }
    }
}
