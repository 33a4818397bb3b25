//! Stores of others: each on free ports of the loopback address, in one process, with its data below one
//! directory.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use tidelock_client::Client;

use super::{ACCESS_KEY, BUCKET, Kind, Process, SECRET_KEY, client, garage, make_bucket};

/// Seconds that a program has to do what it is told.
const TELL_SECONDS_MAX: u32 = 30;

/// Starts one, as far as that it can be asked to make a bucket.
pub async fn start(kind: Kind, program: &Path, data: &Path) -> Result<(Process, Client)> {
    // They are started in the directory of their data.
    let program = &std::path::absolute(program)?;
    match kind {
        Kind::Seaweedfs | Kind::SeaweedfsFsync => seaweedfs(kind, program, data).await,
        Kind::S3sFs => {
            let ports = free_ports(1)?;
            let mut command = Command::new(program);
            command
                .args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY])
                .args(["--host", "127.0.0.1", "--port", &ports[0].to_string()])
                .arg(data);
            let server = spawn(&mut command, data)?;
            Ok((server, client(&endpoint(ports[0]), ACCESS_KEY, SECRET_KEY)?))
        }
        Kind::Garage | Kind::GarageFsync => garage::start(kind, program, data).await,
        Kind::Control | Kind::Tidelock | Kind::Memory | Kind::Postgres | Kind::Portable => {
            bail!("{kind} is no store of others")
        }
    }
}

async fn seaweedfs(kind: Kind, program: &Path, data: &Path) -> Result<(Process, Client)> {
    let identity = serde_json::json!({"identities": [{
        "name": "bench",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }]});
    let config = data.join("s3.json");
    fs::write(&config, identity.to_string())?;
    let volumes = data.join("volumes");
    fs::create_dir(&volumes)?;
    let ports = free_ports(8)?;
    let names = ["master", "volume", "filer", "s3"];
    let mut command = Command::new(program);
    command.arg("server").args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]);
    // Catalogs on ports that are the same for all.
    command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
    command.arg(format!("-dir={}", volumes.display()));
    command.arg(format!("-s3.config={}", config.display()));
    for (at, name) in names.iter().enumerate() {
        command.arg(format!("-{name}.port={}", ports[2 * at]));
        command.arg(format!("-{name}.port.grpc={}", ports[2 * at + 1]));
    }
    let server = spawn(&mut command, data)?;
    let client = client(&endpoint(ports[6]), ACCESS_KEY, SECRET_KEY)?;
    if kind == Kind::SeaweedfsFsync {
        make_bucket(&client, kind).await?;
        let shell = [
            "shell".to_owned(),
            format!("-master=127.0.0.1:{}.{}", ports[0], ports[1]),
            format!("-filer=127.0.0.1:{}.{}", ports[4], ports[5]),
        ];
        let prefix = format!("fs.configure -locationPrefix=/buckets/{BUCKET}/ -fsync -apply\n");
        tell(program, &shell, &prefix)?;
    }
    Ok((server, client))
}

/// Gives a program one line to read, and waits for its end. It may wait for a server that is gone, so `timeout`
/// of coreutils runs it.
fn tell(program: &Path, arguments: &[String], line: &str) -> Result<()> {
    let mut command = Command::new("timeout");
    command.arg(TELL_SECONDS_MAX.to_string()).arg(program).args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no stdin")?.write_all(line.as_bytes())?;
    let output = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !told.contains("fsync") {
        bail!("{command:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Starts a server whose words go to a file beside its data.
pub(super) fn spawn(command: &mut Command, data: &Path) -> Result<Process> {
    let log = File::create(data.join("log"))?;
    command.current_dir(data).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(Process(command.spawn().with_context(|| format!("cannot start {command:?}"))?))
}

pub(super) fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Ports that nobody listens on now, each another.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: Vec<_> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    Ok(listeners.iter().map(|it| Ok(it.local_addr()?.port())).collect::<std::io::Result<_>>()?)
}
