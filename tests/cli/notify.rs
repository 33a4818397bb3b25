//! What a service manager is told over `NOTIFY_SOCKET`, and when.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::clock::wait_until;
use crate::harness::http::Connection;
use crate::harness::server::tidelock;
use crate::harness::{Ask, Client, sigv4::Keys};

/// A server that has not said anything by then has failed.
const TOLD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a message that must not come is waited for.
const SILENCE: Duration = Duration::from_millis(300);

/// The manager's end of the socket, and a server that was started with it.
struct Managed {
    manager: UnixDatagram,
    server: Child,
    files: TempDir,
}

impl Managed {
    fn start(arguments: &[&str]) -> Self {
        let files = TempDir::new().unwrap();
        let socket = files.path().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        let server = tidelock()
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(files.path().join("data"))
            .args(arguments)
            .env("NOTIFY_SOCKET", &socket)
            .env("TIDELOCK_ROOT_ACCESS_KEY", "rootroot")
            .env("TIDELOCK_ROOT_SECRET_KEY", "rootrootroot")
            .stderr(File::create(files.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { manager, server, files }
    }

    /// The next message; none if there is none for so long.
    fn told(&self, timeout: Duration) -> Option<String> {
        self.manager.set_read_timeout(Some(timeout)).unwrap();
        let mut message = [0; 256];
        match self.manager.recv(&mut message) {
            Ok(length) => Some(String::from_utf8(message[..length].to_vec()).unwrap()),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
                None
            }
        }
    }

    fn log(&self) -> String {
        read(&self.files.path().join("log"))
    }

    fn terminate(&self) {
        let id = self.server.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        // It has ended where the test went well.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn ready_is_said_when_it_listens_and_stopping_when_it_drains() {
    let mut managed = Managed::start(&[]);
    assert_eq!(managed.told(TOLD_TIMEOUT).as_deref(), Some("READY=1"));
    // Nothing is waited for: who was told may connect.
    let log = managed.log();
    let (_, after) = log.split_once("listening on http://").unwrap();
    let address = after.split_whitespace().next().unwrap().parse().unwrap();
    let client = Client::new(address, Keys::new("rootroot", "rootrootroot"));
    client.send(&Ask::new("GET", "/_/health/ready")).expect(200);
    client.send(&Ask::bucket("PUT", "told")).expect(200);
    // A request that is not over keeps the server; it says at once that it comes to its end.
    let (head, body) = client.head_and_body(&Ask::object("PUT", "told", "k").body("body"));
    let mut connection = Connection::open(address).unwrap();
    connection.send(&head).unwrap();
    std::thread::sleep(SILENCE);
    managed.terminate();
    assert_eq!(managed.told(TOLD_TIMEOUT).as_deref(), Some("STOPPING=1"));
    assert!(managed.server.try_wait().unwrap().is_none());
    connection.send(&body).unwrap();
    assert_eq!(connection.receive(false).unwrap().status, 200);
    drop(connection);
    assert!(managed.server.wait().unwrap().success());
    assert_eq!(managed.told(SILENCE), None);
}

#[test]
fn a_server_that_waits_for_its_database_is_not_ready() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut managed = Managed::start(&["--meta", &format!("postgres://u@{silent}/d")]);
    wait_until("the server waits", TOLD_TIMEOUT, || managed.log().contains("waiting up to"));
    assert_eq!(managed.told(SILENCE), None);
    managed.terminate();
    assert!(managed.server.wait().unwrap().success());
}
