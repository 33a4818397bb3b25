//! Three PostgreSQL nodes, one of them a synchronous standby.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// A cluster that ends with it.
pub struct Cluster {
    script: PathBuf,
    directory: TempDir,
    /// Where it is, as `--meta` takes it.
    pub url: String,
    /// The processes of its nodes.
    pub postmasters: Vec<u32>,
}

impl Cluster {
    /// Starts one.
    pub fn start(script: &Path) -> Result<Self> {
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
