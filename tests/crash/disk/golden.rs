//! Data directories that earlier builds have written, as they are on the disk: a server takes them over, and what was
//! stored is there. `golden/format-1.tar.gz` is of the last build that had no log.
//!
//! `TIDELOCK_WRITE_GOLDEN=format-2 cargo test --workspace --test crash golden` writes a directory of the binary
//! under test (`TIDELOCK_TEST_BINARY` names another one). One that was released is not written again.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::chance::body;
use crate::harness::server::tidelock;
use crate::harness::{Ask, Client, Engine, Server, xml};

const DIRECTORIES: [&str; 2] = ["format-1", "format-2"];
const WRITE: &str = "TIDELOCK_WRITE_GOLDEN";
const PLAIN: &str = "plain";
const VERSIONED: &str = "versioned";
const DELETED: &str = "deleted";
/// Nothing, within a row of the index, above it, of two chunks.
const LENGTHS_BYTES: [usize; 4] = [0, 100, 3000, 40_000];
const VERSIONS: usize = 3;
const UPLOADED: &str = "uploaded";
const UPLOADED_BYTES: usize = 5000;
const LOCK: &str = "app.tfstate.tflock";

#[test]
fn stores_of_every_format_are_opened() {
    if let Some(name) = std::env::var_os(WRITE) {
        write(&name.into_string().unwrap());
    }
    for name in DIRECTORIES {
        let directory = TempDir::new().unwrap();
        run(Command::new("tar").arg("-xzf").arg(archive(name)).arg("-C").arg(directory.path()));
        let data = directory.path().join("data");
        for life in 0..2 {
            let mut server = Server::start_local(&data);
            check(&server.root(), &format!("{name}, life {life}"));
            assert!(server.terminate().success());
            run(tidelock().args(["admin", "verify", "--data"]).arg(&data));
        }
    }
}

fn archive(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/crash/golden")
        .join(format!("{name}.tar.gz"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn write(name: &str) {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start_over(&Engine::Local, &data, &[]);
    fill(&server);
    assert!(server.terminate().success());
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--sparse", "-C"]);
    tar.arg(directory.path()).arg("-czf").arg(archive(name)).arg("data");
    run(&mut tar);
}

fn fill(server: &Server) {
    let root = server.root();
    server.make_bucket(PLAIN, "");
    server.make_bucket(VERSIONED, "Enabled");
    for bucket in [PLAIN, VERSIONED] {
        for (number, bytes) in versions() {
            for version in 0..VERSIONS {
                let ask = Ask::object("PUT", bucket, &number.to_string());
                root.send(&ask.body(content(number, version, bytes))).expect(200);
            }
        }
        root.send(&Ask::object("PUT", bucket, DELETED).body("was here")).expect(200);
        root.send(&Ask::object("DELETE", bucket, DELETED)).expect(204);
        root.send(&lock(bucket)).expect(200);
        upload(&root, bucket);
    }
}

fn check(root: &Client, name: &str) {
    for bucket in [PLAIN, VERSIONED] {
        for (number, bytes) in versions() {
            let got = root.send(&Ask::object("GET", bucket, &number.to_string())).expect(200);
            assert!(got.body == content(number, VERSIONS - 1, bytes), "{name}: {bucket}/{number}");
        }
        root.send(&Ask::object("GET", bucket, DELETED)).expect(404);
        // The lock is held, and by whom is known: their own retry is answered as the first time.
        root.send(&lock(bucket).body("another's")).expect(412);
        root.send(&lock(bucket)).expect(200);
        let got = root.send(&Ask::object("GET", bucket, UPLOADED)).expect(200);
        assert!(got.body == body(9, UPLOADED_BYTES), "{name}: {bucket}/{UPLOADED}");
    }
    let listing = root.send(&Ask::bucket("GET", VERSIONED).query("versions", "")).expect(200);
    let listing = listing.text();
    let ids = |key: &str| -> Vec<String> {
        let versions = xml::elements(&listing, "Version");
        let of_key = versions.iter().filter(|it| xml::text(it, "Key").as_deref() == Some(key));
        of_key.map(|it| xml::text(it, "VersionId").unwrap()).collect()
    };
    for (number, bytes) in versions() {
        let key = number.to_string();
        let ids = ids(&key);
        assert_eq!(ids.len(), VERSIONS, "{name}: {key}");
        for (version, id) in (0..VERSIONS).rev().zip(ids) {
            let ask = Ask::object("GET", VERSIONED, &key).query("versionId", &id);
            let got = root.send(&ask).expect(200);
            assert!(got.body == content(number, version, bytes), "{name}: {key}, {version}");
        }
    }
    assert_eq!(xml::elements(&listing, "DeleteMarker").len(), 1, "{name}");
}

fn versions() -> impl Iterator<Item = (usize, usize)> {
    LENGTHS_BYTES.into_iter().enumerate()
}

/// Only the last version is long: the archives are small.
fn content(number: usize, version: usize, bytes: usize) -> Vec<u8> {
    let bytes = if version == VERSIONS - 1 { bytes } else { bytes % 1024 };
    body((number * 10 + version) as u64, bytes)
}

fn lock(bucket: &str) -> Ask {
    let ask = Ask::object("PUT", bucket, LOCK).header("If-None-Match", "*");
    ask.body(r#"{"ID":"f0e1d2c3-0000-4000-8000-000000000001"}"#)
}

/// An upload of one part.
fn upload(root: &Client, bucket: &str) {
    let created = root.send(&Ask::object("POST", bucket, UPLOADED).query("uploads", ""));
    let id = created.expect(200).element("UploadId").unwrap();
    let part = Ask::object("PUT", bucket, UPLOADED).query("partNumber", "1");
    let part = part.query("uploadId", &id).body(body(9, UPLOADED_BYTES));
    let sent = root.send(&part).expect(200);
    let etag = sent.header("etag").unwrap();
    let document = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let ask = Ask::object("POST", bucket, UPLOADED).query("uploadId", &id).body(document);
    root.send(&ask).expect(200);
}
