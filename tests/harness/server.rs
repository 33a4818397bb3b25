//! The `tidelock` binary as a process: started on a free port, killed when dropped.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::ask::Ask;
use super::client::Client;
use super::clock::wait_until;
use super::engine::Engine;
use super::process::Usage;
use super::sigv4::Keys;

pub const ROOT_ACCESS_KEY: &str = "ROOTROOTROOTROOT0001";
pub const ROOT_SECRET_KEY: &str = "root-secret-of-the-black-box-tests-0001";

/// A server that is not listening by then has failed.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that has not ended this long after SIGTERM has failed (issue: 30 s).
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Lines of a server's log that a failed test shows.
const LOG_LINES_SHOWN: usize = 40;

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    data: PathBuf,
    log: Arc<Mutex<Vec<String>>>,
    _owned_data: Option<TempDir>,
}

impl Server {
    /// Starts on a data directory of its own, over the engine of the lane, as all do that name none.
    pub fn start(arguments: &[&str]) -> Self {
        let data = TempDir::new().unwrap();
        let mut server = Self::start_on(data.path(), arguments);
        server._owned_data = Some(data);
        server
    }

    /// Starts on a data directory that outlives it.
    pub fn start_on(data: &Path, arguments: &[&str]) -> Self {
        Self::start_over(&Engine::of_lane(), data, arguments)
    }

    /// Starts over the local engine, whatever the engine of the lane is.
    pub fn start_local(data: &Path) -> Self {
        Self::start_over(&Engine::Local, data, &[])
    }

    /// As [`Server::start_on`], but a server that ends instead gives its log.
    pub fn try_start_on(data: &Path, arguments: &[&str]) -> Result<Self, String> {
        Self::try_start_over(&Engine::of_lane(), data, arguments)
    }

    /// Starts over an engine of the test's choice. Servers that share an engine share the data
    /// directory too: the keyring is there.
    pub fn start_over(engine: &Engine, data: &Path, arguments: &[&str]) -> Self {
        match Self::try_start_over(engine, data, arguments) {
            Ok(server) => server,
            Err(log) => panic!("the server did not start: {log}"),
        }
    }

    /// As [`Server::start_over`], but a server that ends instead gives its log.
    pub fn try_start_over(
        engine: &Engine,
        data: &Path,
        arguments: &[&str],
    ) -> Result<Self, String> {
        Self::try_spawn(serve(data).args(engine.flags(data)).args(arguments), data)
    }

    /// Starts under strace, which stands aside of it (`-D`): the child is the server itself. `trace` says what
    /// is traced, or made to fail. Over the local engine.
    pub fn start_traced(data: &Path, trace: &[&str]) -> Self {
        let plain = serve(data);
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-qq", "--seccomp-bpf"]).args(trace);
        command.arg(plain.get_program()).args(plain.get_args());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        match Self::try_spawn(&mut command, data) {
            Ok(server) => server,
            Err(log) => panic!("the server did not start under strace: {log}"),
        }
    }

    /// Starts over the engine of the lane; it dies, as by `kill -9`, when it comes to the failpoint.
    pub fn start_dying(data: &Path, failpoint: &str) -> Self {
        let mut command = serve(data);
        command.args(Engine::of_lane().flags(data)).env("TIDELOCK_FAILPOINT", failpoint);
        match Self::try_spawn(&mut command, data) {
            Ok(server) => server,
            Err(log) => panic!("the server did not start: {log}"),
        }
    }

    fn try_spawn(command: &mut Command, data: &Path) -> Result<Self, String> {
        let mut child = command.spawn().unwrap();
        let (lines, log) = follow(&mut child);
        while let Ok(line) = lines.recv_timeout(START_TIMEOUT) {
            let Some((_, url)) = line.split_once("tidelock: listening on ") else { continue };
            let address = url.trim().split_once("://").unwrap().1.parse().unwrap();
            return Ok(Self { child, address, data: data.to_owned(), log, _owned_data: None });
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let log = log.lock().unwrap().join("\n");
        Err(log)
    }

    /// A client with root's keys.
    pub fn root(&self) -> Client {
        Client::new(self.address, Keys::new(ROOT_ACCESS_KEY, ROOT_SECRET_KEY))
    }

    /// Makes a user with one key, through the command line; a client with that key.
    pub fn user(&self, name: &str) -> Client {
        let made = self.cli(&["user", "create", name]);
        assert!(made.status.success(), "user create: {}", String::from_utf8_lossy(&made.stderr));
        let made = self.cli(&["key", "create", "--user", name, "-o", "json"]);
        assert!(made.status.success(), "key create: {}", String::from_utf8_lossy(&made.stderr));
        let key: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        let field = |names: &[&str]| {
            let found = names.iter().find_map(|name| key.get(name).and_then(|it| it.as_str()));
            found.unwrap_or_else(|| panic!("no {names:?} in {key}")).to_owned()
        };
        let access = field(&["access_key_id", "access_key"]);
        let secret = field(&["secret_access_key", "secret_key"]);
        Client::new(self.address, Keys { access, secret })
    }

    /// Runs the command line as root against this server.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// The command line, set up as root against this server.
    pub fn command(&self) -> Command {
        let mut command = tidelock();
        command
            .env("AWS_ENDPOINT_URL_S3", format!("http://{}", self.address))
            .env("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_KEY)
            .env("AWS_REGION", "us-east-1");
        command
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What it has written to stderr so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// What was not as it should be, for whoever reads why a test failed.
    fn print_warnings(&self) {
        let log = self.log.lock().unwrap();
        let mut lines: Vec<&String> = log
            .iter()
            .rev()
            .filter(|line| !line.contains(" INFO "))
            .take(LOG_LINES_SHOWN)
            .collect();
        lines.reverse();
        eprintln!("-- what the server at {} said last:", self.address);
        for line in lines {
            eprintln!("{line}");
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL, and waits.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it has used of the machine so far.
    pub fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Sends a signal by name (`TERM`, `HUP`).
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for the end of a server that was told to end.
    pub fn ended(&mut self) -> ExitStatus {
        wait_until("the server ends after SIGTERM", STOP_TIMEOUT, || !self.is_running());
        self.child.wait().unwrap()
    }

    /// Makes a bucket whose states are guarded by every rule.
    pub fn make_guarded_bucket(&self, name: &str, versioning: &str) {
        self.make_bucket(name, versioning);
        let rules = r#"{"lock_writes":"enforce","serial":"enforce","lock_required":true}"#;
        let path = format!("/_/api/v1/buckets/{name}/guard");
        self.root().send(&Ask::new("PUT", &path).body(rules)).expect(200);
    }

    /// Makes a bucket with that versioning state (`""`, `Enabled` or `Suspended`).
    pub fn make_bucket(&self, name: &str, versioning: &str) {
        let root = self.root();
        root.send(&Ask::bucket("PUT", name)).expect(200);
        set_versioning(&root, name, versioning);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already: a test that kills it has said so.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            self.print_warnings();
        }
    }
}

/// Puts a bucket's versioning state; `Suspended` by way of `Enabled`, as in life.
pub fn set_versioning(client: &Client, bucket: &str, versioning: &str) {
    let states: &[&str] = match versioning {
        "" => &[],
        "Suspended" => &["Enabled", "Suspended"],
        _ => &["Enabled"],
    };
    for state in states {
        let document = format!(
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Status>{state}</Status></VersioningConfiguration>"
        );
        let ask = Ask::bucket("PUT", bucket).query("versioning", "").body(document);
        client.send(&ask).expect(200);
    }
}

/// Another binary to test than the one that cargo has built for the lane: one that is optimized.
pub const BINARY_VARIABLE: &str = "TIDELOCK_TEST_BINARY";

/// The binary without any credentials or settings of the machine.
pub fn tidelock() -> Command {
    let binary = std::env::var(BINARY_VARIABLE);
    let mut command = Command::new(binary.as_deref().unwrap_or(env!("CARGO_BIN_EXE_tidelock")));
    for (name, _) in std::env::vars() {
        if name.starts_with("AWS_") || name.starts_with("TIDELOCK_") {
            command.env_remove(name);
        }
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true").stdin(Stdio::null());
    command
}

fn serve(data: &Path) -> Command {
    let mut command = tidelock();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .env("TIDELOCK_ROOT_ACCESS_KEY", ROOT_ACCESS_KEY)
        .env("TIDELOCK_ROOT_SECRET_KEY", ROOT_SECRET_KEY)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Reads stderr for as long as the process lives, so that it never blocks on a full pipe.
fn follow(child: &mut Child) -> (Receiver<String>, Arc<Mutex<Vec<String>>>) {
    let stderr = child.stderr.take().unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let (sender, lines) = mpsc::channel();
    let kept = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            kept.lock().unwrap().push(line.clone());
            // The receiver is gone once the server listens.
            drop(sender.send(line));
        }
    });
    (lines, log)
}
