//! Buckets and objects through the command line.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::between;
use crate::harness::clock::wait_until;
use crate::harness::{Ask, Server};

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn succeeds(output: Output) -> Output {
    assert_eq!(output.status.code(), Some(0), "stderr: {}", stderr(&output));
    output
}

#[test]
fn the_life_of_an_object() {
    let server = Server::start(&[]);
    let files = TempDir::new().unwrap();
    let (given, taken) = (files.path().join("given"), files.path().join("taken"));
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    succeeds(server.cli(&["bucket", "create", "cupboard"]));
    assert!(stdout(&succeeds(server.cli(&["bucket", "list"]))).contains("cupboard"));
    for size in [0, 200_000] {
        let bytes = crate::harness::chance::body(3, size);
        fs::write(&given, &bytes).unwrap();
        succeeds(server.cli(&["object", "put", "cupboard/dir/a b", &path(&given)]));
        succeeds(server.cli(&["object", "get", "cupboard/dir/a b", &path(&taken)]));
        assert!(fs::read(&taken).unwrap() == bytes, "another file of {size} bytes came back");
    }
    let listed = stdout(&succeeds(server.cli(&["object", "list", "cupboard"])));
    assert!(listed.contains("dir/a b") && listed.contains("200000"), "{listed}");
    succeeds(server.cli(&["object", "delete", "cupboard/dir/a b", "--yes"]));
    let gone = server.root().send(&Ask::object("GET", "cupboard", "dir/a b"));
    assert_eq!(gone.status, 404);
    succeeds(server.cli(&["bucket", "delete", "cupboard", "--yes"]));
    assert_eq!(server.root().send(&Ask::bucket("HEAD", "cupboard")).status, 404);
}

#[test]
fn what_was_deleted_or_written_over_comes_back() {
    let server = Server::start(&[]);
    succeeds(server.cli(&["bucket", "create", "attic", "--versioning"]));
    let root = server.root();
    let put = |body: &str| {
        let answer = root.send(&Ask::object("PUT", "attic", "a/k").body(body)).expect(200);
        answer.header("x-amz-version-id").unwrap().to_owned()
    };
    let get = |key: &str| root.send(&Ask::object("GET", "attic", key));
    let first = put("one");
    let second = put("two");
    // Twice: both delete markers go.
    for _ in 0..2 {
        succeeds(server.cli(&["object", "delete", "attic/a/k", "--yes"]));
    }
    assert_eq!(get("a/k").status, 404);
    succeeds(server.cli(&["object", "version", "restore", "attic/a/k"]));
    assert_eq!(get("a/k").expect(200).text(), "two");
    let again = succeeds(server.cli(&["object", "version", "restore", "attic/a/k"]));
    assert!(stderr(&again).contains("is not deleted"), "{}", stderr(&again));
    let restore = ["object", "version", "restore", "attic/a/k", "--version-id"];
    succeeds(server.cli(&[&restore[..], &[first.as_str()]].concat()));
    assert_eq!(get("a/k").expect(200).text(), "one");
    let copy = ["object", "copy", "attic/a/k", "attic/b c", "--version-id"];
    succeeds(server.cli(&[&copy[..], &[second.as_str()]].concat()));
    assert_eq!(get("b c").expect(200).text(), "two");
    succeeds(server.cli(&["object", "version", "delete", "attic/a/k", &first, "--yes"]));
    let listed = stdout(&succeeds(server.cli(&["object", "version", "list", "attic/a/k"])));
    assert!(listed.contains(&second) && !listed.contains(&first), "{listed}");
    let missing = server.cli(&["object", "version", "restore", "attic/a/"]);
    assert_eq!(missing.status.code(), Some(3), "{}", stderr(&missing));
}

#[test]
fn a_presigned_url_is_used_by_whoever_has_it() {
    let server = Server::start(&[]);
    server.make_bucket("shared", "");
    let root = server.root();
    let presign = |arguments: &[&str]| {
        let command = [&["object", "presign", "shared/a b/k"][..], arguments].concat();
        let url = stdout(&succeeds(server.cli(&command)));
        let url = url.trim().strip_prefix("http://").unwrap().to_owned();
        url[url.find('/').unwrap()..].to_owned()
    };
    root.send_target("PUT", &presign(&["--method", "PUT"]), b"body").expect(200);
    let url = presign(&["--expires", "5m"]);
    assert!(url.contains("X-Amz-Expires=300"), "{url}");
    assert_eq!(root.send_target("GET", &url, b"").expect(200).text(), "body");
    root.send_target("PUT", &url, b"other").expect(403);
    for wrong in [&["--expires", "169h"][..], &["--method", "PUT", "--version-id", "v"]] {
        let command = [&["object", "presign", "shared/k"][..], wrong].concat();
        assert_eq!(server.cli(&command).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn public_access_is_blocked_and_allowed() {
    let server = Server::start(&[]);
    succeeds(server.cli(&["bucket", "create", "hall"]));
    for (switch, expected) in
        [("true", "public      blocked"), ("false", "public      not blocked")]
    {
        succeeds(server.cli(&["bucket", "edit", "hall", "--block-public-access", switch]));
        let shown = stdout(&succeeds(server.cli(&["bucket", "get", "hall"])));
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn a_file_above_the_multipart_threshold() {
    let server = Server::start(&[]);
    server.make_bucket("large", "");
    let files = TempDir::new().unwrap();
    let (given, taken) = (files.path().join("given"), files.path().join("taken"));
    // Six parts: more than travel at once.
    let bytes = crate::harness::chance::body(4, 84 << 20);
    fs::write(&given, &bytes).unwrap();
    succeeds(server.cli(&["object", "put", "large/k", given.to_str().unwrap()]));
    succeeds(server.cli(&["object", "get", "large/k", taken.to_str().unwrap()]));
    assert!(fs::read(&taken).unwrap() == bytes, "another file came back");
}

/// Issue: the columns key and size in a bordered table.
#[test]
fn object_list_is_a_bordered_table() {
    let server = Server::start(&[]);
    server.make_bucket("tabled", "");
    for (key, body) in [("state", "12345"), ("state.tflock", "1")] {
        server.root().send(&Ask::object("PUT", "tabled", key).body(body)).expect(200);
    }
    let table = stdout(&succeeds(server.cli(&["object", "list", "tabled", "-o", "table"])));
    let lines: Vec<&str> = table.lines().collect();
    let border = |line: &str| {
        let first = line.chars().next();
        first.is_some_and(|it| "+|┌│├└╭╞╰".contains(it))
    };
    assert!(lines.iter().all(|line| border(line)), "{table}");
    let header = lines.iter().find(|line| line.to_lowercase().contains("key")).unwrap();
    assert!(header.to_lowercase().contains("size"), "{table}");
    let row = lines.iter().find(|line| line.contains("state ")).unwrap();
    assert!(row.contains('5'), "{table}");
}

#[test]
fn prefixes_pages_and_versions() {
    let server = Server::start(&[]);
    server.make_bucket("paged", "Enabled");
    let mut session = server.root().session();
    for number in 0..1005 {
        let key = format!("many/{number:04}");
        session.send(&Ask::object("PUT", "paged", &key).body("x")).expect(200);
    }
    for body in ["one", "two"] {
        session.send(&Ask::object("PUT", "paged", "few/k").body(body)).expect(200);
    }
    session.send(&Ask::object("DELETE", "paged", "few/k")).expect(204);
    let rows = |arguments: &[&str]| {
        let output = succeeds(server.cli(&[arguments, &["-o", "jsonl"]].concat()));
        stdout(&output).lines().filter(|line| !line.trim().is_empty()).count()
    };
    assert_eq!(rows(&["object", "list", "paged"]), 1005, "more than one page");
    assert_eq!(rows(&["object", "list", "paged/many/000"]), 10);
    assert_eq!(rows(&["object", "list", "paged", "--prefix", "many/100"]), 5);
    assert_eq!(rows(&["object", "list", "paged/few/"]), 0);
    assert_eq!(rows(&["object", "list", "paged/few/", "--with-versions"]), 3);
    assert_eq!(rows(&["object", "version", "list", "paged/few/k"]), 3);
}

#[test]
fn many_objects_are_deleted_only_with_a_yes() {
    let server = Server::start(&[]);
    server.make_bucket("careful", "");
    for key in ["a/1", "a/2", "b"] {
        server.root().send(&Ask::object("PUT", "careful", key).body("x")).expect(200);
    }
    let there = |key| server.root().send(&Ask::object("GET", "careful", key)).status == 200;
    let recursive = |more: &[&str]| {
        server.cli(&[&["object", "delete", "careful/a/", "--recursive"], more].concat())
    };
    succeeds(recursive(&["--yes", "--dry-run"]));
    assert!(there("a/1") && there("a/2"));
    let refused = recursive(&[]);
    assert_ne!(refused.status.code(), Some(0), "no terminal to ask, and no --yes");
    assert!(there("a/1") && there("a/2"));
    succeeds(recursive(&["--yes"]));
    assert!(!there("a/1") && !there("a/2") && there("b"));
    let versions = |more: &[&str]| {
        server.cli(&[&["object", "delete", "careful/b", "--with-versions"], more].concat())
    };
    assert_ne!(versions(&[]).status.code(), Some(0), "a history is more than one object");
    assert!(there("b"));
    succeeds(versions(&["--yes"]));
    assert!(!there("b"));
}

/// More than one request, and keys that its XML must escape or cannot hold.
#[test]
fn a_bucket_is_emptied_with_all_its_versions() {
    let server = Server::start(&[]);
    server.make_bucket("emptied", "Enabled");
    let mut session = server.root().session();
    let odd = ["a&b<c>", "line\nend\r", "tab\t\u{1}", " ü + %2F"].map(str::to_owned);
    let plain = (0..1005).map(|number| format!("many/{number:04}"));
    for key in plain.chain(odd) {
        session.send(&Ask::object("PUT", "emptied", &key).body("x")).expect(200);
    }
    let rows = || {
        let listed = server.cli(&["object", "list", "emptied", "--with-versions", "-o", "jsonl"]);
        stdout(&succeeds(listed)).lines().count()
    };
    succeeds(server.cli(&["object", "delete", "emptied", "--recursive", "--yes"]));
    assert_eq!(rows(), 2 * 1009, "each has a delete marker");
    let arguments = ["object", "delete", "emptied", "--recursive", "--with-versions", "--yes"];
    succeeds(server.cli(&arguments));
    assert_eq!(rows(), 0);
    succeeds(server.cli(&["bucket", "delete", "emptied"]));
}

#[test]
fn a_place_that_is_no_file() {
    let server = Server::start(&[]);
    server.make_bucket("placed", "");
    server.root().send(&Ask::object("PUT", "placed", "k").body("x")).expect(200);
    let files = TempDir::new().unwrap();
    let directory = files.path().to_str().unwrap();
    for arguments in
        [["object", "get", "placed/k", directory], ["object", "put", "placed/k", directory]]
    {
        let refused = server.cli(&arguments);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&refused).contains(directory), "{}", stderr(&refused));
    }
    // A pipe or a device is written to, not replaced.
    let written = succeeds(server.cli(&["object", "get", "placed/k", "/dev/stdout"]));
    assert_eq!(stdout(&written), "x");
}

/// Whatever becomes of it: done, refused, broken off.
#[test]
fn a_download_touches_no_file_but_its_own() {
    let server = Server::start(&[]);
    server.make_bucket("placed", "");
    server.root().send(&Ask::object("PUT", "placed", "k").body("new")).expect(200);
    let cut = between::before(server.address, |_, pass| {
        let mut answer = pass();
        answer.pop();
        Some(answer)
    });
    let whole = format!("http://{}", server.address);
    let rows = [
        ("placed/none", &whole, 3, "old"),
        ("placed/k", &cut, 6, "old"),
        ("placed/k", &whole, 0, "new"),
    ];
    for (object, endpoint, code, content) in rows {
        let files = TempDir::new().unwrap();
        let file = files.path().join("k");
        fs::write(&file, "old").unwrap();
        fs::write(files.path().join("k.part"), "mine").unwrap();
        let path = file.to_str().unwrap();
        let got = server.cli(&["object", "get", object, path, "--endpoint", endpoint]);
        assert_eq!(got.status.code(), Some(code), "{}", stderr(&got));
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
        assert_eq!(fs::read_to_string(files.path().join("k.part")).unwrap(), "mine");
        assert_eq!(fs::read_dir(files.path()).unwrap().count(), 2, "{object} {code}");
    }
}

#[test]
fn an_interrupted_upload_leaves_nothing() {
    let server = Server::start(&[]);
    server.make_bucket("broken", "");
    let mut put = server
        .command()
        .args(["object", "put", "broken/k", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = put.stdin.take().unwrap();
    stdin.write_all(&vec![b'x'; 20 << 20]).unwrap();
    let uploads = || {
        let listed = server.root().send(&Ask::bucket("GET", "broken").query("uploads", ""));
        listed.expect(200).element("UploadId")
    };
    wait_until("the upload begins", Duration::from_secs(30), || uploads().is_some());
    let kill = format!("kill -INT {}", put.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let ended = put.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", stderr(&ended));
    assert_eq!(uploads(), None);
    drop(stdin);
}
