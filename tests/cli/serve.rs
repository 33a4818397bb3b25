//! The first run of `serve`, its credentials, `--bootstrap`, and a graceful end.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::clock::wait_until;
use crate::harness::http::Connection;
use crate::harness::server::{ROOT_SECRET_KEY, tidelock};
use crate::harness::sigv4::Keys;
use crate::harness::{Ask, Client, Server};
use crate::objects::{stderr, stdout};

#[test]
fn terminate_is_graceful() {
    let mut server = Server::start(&[]);
    server.make_bucket("ended", "");
    // A request that is in flight when the signal comes is still answered.
    let body = vec![b'x'; 64 << 10];
    let (head, body) = server.root().head_and_body(&Ask::object("PUT", "ended", "k").body(body));
    let mut connection = Connection::open(server.address).unwrap();
    connection.send(&head).unwrap();
    connection.send(&body[..1024]).unwrap();
    thread::sleep(Duration::from_millis(200));
    server.signal("TERM");
    thread::sleep(Duration::from_millis(300));
    connection.send(&body[1024..]).unwrap();
    assert_eq!(connection.receive(false).unwrap().status, 200);
    drop(connection);
    assert_eq!(server.ended().code(), Some(0), "log: {}", server.log());
}

#[test]
fn flags_that_are_refused() {
    let data = TempDir::new().unwrap();
    let rows: &[(&[&str], &str)] = &[
        (&["--listen", "0.0.0.0:0"], "allow-plain-http"),
        (&["--tls-cert", "none.pem", "--tls-key", "none.pem"], "none.pem"),
        (&["--bootstrap", "No_Name"], "'No_Name' is not a name for a bucket"),
        (&["--meta", "nothing"], "postgres://"),
        (&["--meta", "memory", "--blobs", "local"], "--meta local"),
        (&["--accept-unsafe-replication"], "needs --meta postgres"),
        (&["--blobs", "s3://"], "the name of a bucket"),
        (&["--blobs", "file://relative"], "absolute path"),
        (&["--tls-cert", "none.pem"], "tls-key"),
        (&["--config", "none.toml"], "none.toml"),
    ];
    for (arguments, named) in rows {
        let output = tidelock()
            .args(["serve", "--data"])
            .arg(data.path())
            .args(*arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(named), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "what is refused makes nothing");
}

/// Whatever is mistyped, a password is not shown.
#[test]
fn passwords_are_not_printed() {
    let files = TempDir::new().unwrap();
    let file = files.path().join("meta");
    let hidden = "hid/den";
    let values = [
        format!("postgre://u:{hidden}@h/d"),
        format!("postgres://u:{hidden}@h/d"),
        format!("postgres://u:{hidden}@h:1/d?sslmod=x"),
        format!("host=h user=u password={hidden}"),
        format!("u:{hidden}@h/d"),
    ];
    for value in &values {
        fs::write(&file, value).unwrap();
        for command in [&["serve"] as &[&str], &["admin", "config", "check"]] {
            let mut process = tidelock();
            process.args(command).arg("--data").arg(files.path().join("data"));
            let output = process.arg("--meta-file").arg(&file).output().unwrap();
            let shown = stdout(&output) + &stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{value}: {shown}");
            assert!(!shown.contains("hid") && !shown.contains("den@"), "{value}: {shown}");
        }
    }
}

/// A database may come up after its servers; a signal ends the wait, but not one to read the certificate
/// again, which a service manager may send at any time.
#[test]
fn a_start_waits_for_its_database() {
    let data = TempDir::new().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://u:hidden@{silent}/d");
    let (mut child, _, err) =
        serve_without_credentials(&data.path().join("data"), &["--meta", &url]);
    wait_until("the server waits", Duration::from_secs(30), || {
        read(&err).contains("waiting up to")
    });
    assert!(child.try_wait().unwrap().is_none());
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    stop(child);
    let log = read(&err);
    assert!(log.contains(&silent.to_string()) && !log.contains("hidden"), "{log}");
}

/// Starts `serve` without root credentials in its environment; stdout and stderr go to files.
fn serve_without_credentials(data: &Path, arguments: &[&str]) -> (Child, PathBuf, PathBuf) {
    let (out, err) = (data.with_extension("out"), data.with_extension("err"));
    let child = tidelock()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .args(arguments)
        .stdout(fs::File::create(&out).unwrap())
        .stderr(fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    (child, out, err)
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn listening(err: &Path) -> String {
    wait_until("the server listens", Duration::from_secs(60), || {
        read(err).contains("listening on")
    });
    let log = read(err);
    let (_, after) = log.split_once("listening on http://").unwrap();
    after.split_whitespace().next().unwrap().to_owned()
}

fn stop(mut child: Child) {
    let kill = format!("kill -TERM {}", child.id());
    assert!(
        Command::new("sh").args(["-c", &kill]).stdout(Stdio::null()).status().unwrap().success()
    );
    assert!(child.wait().unwrap().success());
}

/// A connection is a file: what a shell gives is less than `--connections-max`.
#[cfg(target_os = "linux")]
#[test]
fn a_server_opens_as_many_files_as_it_may() {
    let home = TempDir::new().unwrap();
    let err = home.path().join("err");
    let child = Command::new("sh")
        .args(["-c", r#"ulimit -S -n 128; exec "$0" "$@""#])
        .arg(tidelock().get_program())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(home.path().join("data"))
        .stdout(Stdio::null())
        .stderr(fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    listening(&err);
    let limits = read(Path::new(&format!("/proc/{}/limits", child.id())));
    stop(child);
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{limits}");
}

/// Its memory holds keys.
#[cfg(target_os = "linux")]
#[test]
fn a_server_leaves_no_core_dump() {
    let home = TempDir::new().unwrap();
    let (child, _, err) = serve_without_credentials(&home.path().join("data"), &[]);
    listening(&err);
    let limits = read(Path::new(&format!("/proc/{}/limits", child.id())));
    stop(child);
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{limits}");
}

#[test]
fn generated_credentials_stay_private() {
    let files = TempDir::new().unwrap();
    let data = files.path().join("data");
    let (child, out, err) = serve_without_credentials(&data, &[]);
    listening(&err);
    stop(child);
    let private: Vec<PathBuf> = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().contains("credentials"))
        .collect();
    assert!(!private.is_empty(), "a credentials file in the data directory");
    for path in &private {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    let secrets: Vec<String> = private.iter().flat_map(|path| long_words(&read(path))).collect();
    let shown = [read(&out), read(&err)].concat();
    for secret in secrets.iter().filter(|word| word.len() >= 30) {
        assert!(!shown.contains(secret), "a secret is printed though nobody sits at a terminal");
    }
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().contains("keyring") {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
    }
}

fn long_words(text: &str) -> Vec<String> {
    let split = |it: char| !(it.is_ascii_alphanumeric() || "+/-_".contains(it));
    text.split(split).filter(|word| word.len() >= 16).map(str::to_owned).collect()
}

/// `--bootstrap` makes the bucket and its user once, and prints the same block at every start.
#[test]
fn bootstrap_is_idempotent() {
    let files = TempDir::new().unwrap();
    let data = files.path().join("data");
    let mut printed = Vec::new();
    for _ in 0..2 {
        let (child, out, err) =
            serve_without_credentials(&data, &["--bootstrap", "terraform-state"]);
        let address = listening(&err);
        wait_until("the block is printed", Duration::from_secs(30), || {
            read(&out).contains("AWS_SECRET_ACCESS_KEY")
        });
        let text = read(&out);
        for wanted in ["backend \"s3\"", "use_lockfile", "terraform-state", "AWS_ACCESS_KEY_ID"] {
            assert!(text.contains(wanted), "no {wanted} in\n{text}");
        }
        let told = read(&err);
        assert!(told.contains("the block is for main.tf"), "{told}");
        assert!(
            told.contains(&format!("the console is at http://{address}/_/console\n")),
            "{told}"
        );
        let client = Client::new(address.parse().unwrap(), keys_in(&text));
        let versioning = Ask::bucket("GET", "terraform-state").query("versioning", "");
        let state = client.send(&versioning).expect(200).element("Status");
        assert_eq!(state.as_deref(), Some("Enabled"));
        client.send(&Ask::object("PUT", "terraform-state", "k").body("{}")).expect(200);
        stop(child);
        printed.push(text.replace(&address, "ADDRESS"));
    }
    assert_eq!(printed[0], printed[1], "a restart prints another block");
    assert!(!printed[0].contains(ROOT_SECRET_KEY));
}

fn keys_in(text: &str) -> Keys {
    let value = |name: &str| {
        let (_, after) = text.split_once(&format!("{name}=")).unwrap();
        let value = after.lines().next().unwrap().trim();
        value.trim_matches(['"', '\'']).to_owned()
    };
    Keys { access: value("AWS_ACCESS_KEY_ID"), secret: value("AWS_SECRET_ACCESS_KEY") }
}

/// `bootstrap BUCKET` as a client command: any number of times, and with `--write`.
#[test]
fn bootstrap_of_a_running_server() {
    let server = Server::start(&[]);
    let files = TempDir::new().unwrap();
    let block = files.path().join("backend.tf");
    for _ in 0..2 {
        let output = server.cli(&["bootstrap", "states"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stdout(&output).contains("use_lockfile"), "{}", stdout(&output));
    }
    let output = server.cli(&["bootstrap", "states", "--write", block.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(read(&block).contains("backend \"s3\""));
    let again = server.cli(&["bootstrap", "states", "--write", block.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    let ask = Ask::bucket("GET", "states").query("versioning", "");
    let state = server.root().send(&ask).expect(200).element("Status");
    assert_eq!(state.as_deref(), Some("Enabled"));
}

/// What is refused makes neither a bucket nor a user, and no key whose secret nobody has seen.
#[test]
fn bootstrap_that_is_refused() {
    let server = Server::start(&[]);
    server.make_bucket("taken", "");
    let files = TempDir::new().unwrap();
    let other = files.path().join("other.tf");
    fs::write(&other, "something else").unwrap();
    let rows: &[(&[&str], i32)] = &[
        (&["bootstrap", "fresh", "--write", other.to_str().unwrap()], 5),
        (&["bootstrap", "No_Name"], 1),
        (&["bootstrap", "taken"], 4),
    ];
    for (arguments, code) in rows {
        let output = server.cli(arguments);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
    assert_eq!(read(&other), "something else");
    assert_eq!(server.root().send(&Ask::bucket("HEAD", "fresh")).status, 404);
    assert_eq!(stdout(&server.cli(&["key", "list", "-o", "jsonl"])), "");
    let users = stdout(&server.cli(&["user", "list", "-o", "jsonl"]));
    let names = ["fresh", "No_Name", "taken"];
    assert!(names.iter().all(|name| !users.contains(name)), "{users}");
}

/// A bucket that somebody else made is made ready; whoever is to use it must be let in first.
#[test]
fn bootstrap_of_a_bucket_of_another() {
    let server = Server::start(&[]);
    server.make_bucket("taken", "");
    let refused = server.cli(&["bootstrap", "taken"]);
    assert_eq!(refused.status.code(), Some(4), "{}", stderr(&refused));
    let told = stderr(&refused);
    assert!(told.contains("another identity owns the bucket taken"), "{told}");
    let ask = Ask::bucket("GET", "taken").query("versioning", "");
    let versioning = server.root().send(&ask).expect(200).element("Status");
    assert_eq!(versioning.as_deref(), Some("Enabled"), "it is ready for states");
    // What it says between backquotes.
    for advice in told.split('`').skip(1).step_by(2) {
        let words: Vec<&str> = advice.split_whitespace().skip(1).collect();
        let followed = server.cli(&words);
        assert_eq!(followed.status.code(), Some(0), "{advice}: {}", stderr(&followed));
    }
    let made = server.cli(&["bootstrap", "taken"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert!(stdout(&made).contains("AWS_SECRET_ACCESS_KEY"), "{}", stdout(&made));
}

/// The log is for people and machines, never for secrets or query strings.
#[test]
fn logs_carry_no_secrets() {
    for format in ["text", "json"] {
        let mut server = Server::start(&["--log-format", format]);
        server.make_bucket("logged", "");
        let root = server.root();
        root.send(&Ask::object("PUT", "logged", "k").body("the body is private")).expect(200);
        let target = root.presign(&Ask::object("GET", "logged", "k"), 60);
        assert_eq!(root.send_target("GET", &target, b"").status, 200);
        assert!(server.terminate().success());
        let log = server.log();
        assert!(log.contains("PutObject"), "{format}: a line per request\n{log}");
        for private in ["X-Amz-Signature", "the body is private", ROOT_SECRET_KEY, "Signature="] {
            assert!(!log.contains(private), "{format}: the log shows {private}");
        }
        if format == "json" {
            let requests = log.lines().filter(|line| line.contains("PutObject"));
            for line in requests {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}
