//! Garage: one node, which is given a layout, a key and a bucket.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use tidelock_client::Client;

use super::peer::{endpoint, free_ports, spawn};
use super::{BUCKET, Kind, Process, START_PAUSE, START_TIMEOUT, client};

/// Its keys look like this.
const KEY_ID: &str = "GK0123456789abcdef01234567";
const KEY_SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const RPC_SECRET: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

/// Starts it.
pub async fn start(kind: Kind, program: &Path, data: &Path) -> Result<(Process, Client)> {
    let ports = free_ports(2)?;
    let (rpc, s3) = (ports[0], ports[1]);
    let syncs = kind == Kind::GarageFsync;
    let (meta, bodies) = (data.join("meta"), data.join("data"));
    let config = format!(
        "metadata_dir = \"{}\"\ndata_dir = \"{}\"\ndb_engine = \"lmdb\"\nreplication_factor = 1\n\
         metadata_fsync = {syncs}\ndata_fsync = {syncs}\nrpc_bind_addr = \"127.0.0.1:{rpc}\"\n\
         rpc_public_addr = \"127.0.0.1:{rpc}\"\nrpc_secret = \"{RPC_SECRET}\"\n[s3_api]\n\
         s3_region = \"us-east-1\"\napi_bind_addr = \"127.0.0.1:{s3}\"\nroot_domain = \".s3.localhost\"\n",
        meta.display(),
        bodies.display(),
    );
    let path = data.join("garage.toml");
    fs::write(&path, config)?;
    let server = spawn(Command::new(program).arg("-c").arg(&path).arg("server"), data)?;
    let garage = |arguments: &[&str]| -> Result<String> {
        let output = Command::new(program).arg("-c").arg(&path).args(arguments).output()?;
        if !output.status.success() {
            bail!("garage {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let node = wait_for_node(&garage).await?;
    garage(&["layout", "assign", "-z", "bench", "-c", "100G", &node])?;
    garage(&["layout", "apply", "--version", "1"])?;
    garage(&["key", "import", "--yes", "-n", "bench", KEY_ID, KEY_SECRET])?;
    garage(&["bucket", "create", BUCKET])?;
    garage(&["bucket", "allow", "--read", "--write", "--owner", BUCKET, "--key", KEY_ID])?;
    Ok((server, client(&endpoint(s3), KEY_ID, KEY_SECRET)?))
}

/// The node's name, once it answers.
async fn wait_for_node(garage: &impl Fn(&[&str]) -> Result<String>) -> Result<String> {
    let tries = START_TIMEOUT.as_millis() / START_PAUSE.as_millis();
    for _ in 0..tries {
        if let Ok(told) = garage(&["node", "id", "-q"])
            && let Some(node) = told.split('@').next().filter(|node| node.len() > 8)
            && garage(&["status"]).is_ok()
        {
            return Ok(node.trim().to_owned());
        }
        tokio::time::sleep(START_PAUSE).await;
    }
    bail!("garage did not start")
}
