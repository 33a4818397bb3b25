//! `tidelock state …`: what is told of real states, and what never is.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Output;

use serde_json::Value;

use crate::harness::server::{ROOT_ACCESS_KEY, ROOT_SECRET_KEY, tidelock};
use crate::harness::{Ask, Server};
use crate::objects::{stderr, stdout};

const BEFORE: &[u8] = include_bytes!("../../crates/tfstate/tests/states/before.tfstate");
const AFTER: &[u8] = include_bytes!("../../crates/tfstate/tests/states/after.tfstate");
const TAINTED: &[u8] = include_bytes!("../../crates/tfstate/tests/states/tainted.tfstate");
const FORMAT_3: &[u8] = include_bytes!("../../crates/tfstate/tests/states/format3.tfstate");
const DEPOSED: &[u8] = include_bytes!("../../crates/tfstate/tests/states/deposed.tfstate");
const ENCRYPTED: &[u8] = br#"{"serial":7,"lineage":"sealed","meta":{"key_provider.x":"eyJ"},"encrypted_data":"AAAA","encryption_version":"v0"}"#;
const LOCK: &[u8] = br#"{"ID":"714c34bb","Operation":"OperationTypeApply","Info":"","Who":"me@host","Version":"1.11.4","Created":"2026-11-21T20:35:06Z","Path":"kept/app.tfstate"}"#;

/// Part of every secret of the states above.
const SECRET: &str = "hunter";

/// A versioned bucket `kept` with a state of every kind, one of them with a history.
fn furnished() -> Server {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    let objects: &[(&str, &[u8])] = &[
        ("app.tfstate", BEFORE),
        ("app.tfstate", AFTER),
        ("app.tfstate.tflock", LOCK),
        ("damaged.tfstate", br#"{"version":4,"serial":1,"lineage":"#),
        ("deposed.tfstate", DEPOSED),
        ("empty.tfstate", b""),
        ("env:/dev/app.tfstate", TAINTED),
        ("notes.txt", b"hunter7 is no state"),
        ("old.tfstate", FORMAT_3),
        ("sealed.tfstate", ENCRYPTED),
        ("stuck.tfstate.tflock", b"not a lock"),
    ];
    let mut session = server.root().session();
    for (key, body) in objects {
        session.send(&Ask::object("PUT", "kept", key).body(*body)).expect(200);
    }
    server
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

#[track_caller]
fn shown(server: &Server, arguments: &[&str]) -> Value {
    let output = server.cli(&[&["state"], arguments, &["-o", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    json(&output)
}

/// The rows of a list by what one of their fields says.
fn column<'a>(rows: &'a Value, name: &str) -> Vec<&'a str> {
    rows.as_array().unwrap().iter().map(|row| row[name].as_str().unwrap()).collect()
}

/// Version ids of `key`, newest first.
fn versions(server: &Server, key: &str) -> Vec<String> {
    let rows = shown(server, &["versions", key]);
    column(&rows, "version_id").into_iter().map(str::to_owned).collect()
}

#[test]
fn list_tells_every_state_and_its_lock() {
    let server = furnished();
    let rows = shown(&server, &["list", "kept"]);
    let expected = [
        "app.tfstate",
        "deposed.tfstate",
        "env:/dev/app.tfstate",
        "old.tfstate",
        "sealed.tfstate",
        "stuck.tfstate",
    ];
    assert_eq!(column(&rows, "key"), expected);
    let app = &rows[0];
    assert_eq!((&app["serial"], &app["workspace"]), (&24.into(), &"default".into()));
    assert_eq!((&app["resources"], &app["outputs"]), (&12.into(), &4.into()));
    assert_eq!((&app["terraform_version"], &app["format_version"]), (&"1.11.4".into(), &4.into()));
    assert_eq!((&app["size"], &app["note"]), (&AFTER.len().into(), &Value::Null));
    assert!(app["last_modified"].as_str().unwrap().ends_with('Z'), "{app}");
    let lock = &app["lock"];
    assert_eq!((&lock["id"], &lock["who"]), (&"714c34bb".into(), &"me@host".into()));
    assert_eq!(lock["operation"], "OperationTypeApply");
    assert_eq!((&rows[2]["workspace"], &rows[2]["lock"]), (&"dev".into(), &Value::Null));
    assert_eq!(rows[3]["format_version"], 3);
    assert_eq!((&rows[4]["serial"], &rows[4]["resources"]), (&7.into(), &Value::Null));
    assert!(rows[4]["note"].as_str().unwrap().contains("encrypted"), "{}", rows[4]);
    assert!(rows[5]["note"].as_str().unwrap().contains("never written"), "{}", rows[5]);
    assert_eq!(rows[5]["lock"]["id"], "", "a lock that is no lock body still locks");

    let all = shown(&server, &["list", "kept", "--all"]);
    assert_eq!(all.as_array().unwrap().len(), expected.len() + 3);
    for key in ["damaged.tfstate", "empty.tfstate", "notes.txt"] {
        let row = all.as_array().unwrap().iter().find(|row| row["key"] == key).unwrap();
        assert!(row["note"].as_str().unwrap().starts_with("not a state: "), "{row}");
    }
    let some = shown(&server, &["list", "kept/env:/"]);
    assert_eq!(column(&some, "key"), ["env:/dev/app.tfstate"]);
    let exact = shown(&server, &["list", "kept/app.tfstate"]);
    assert_eq!(exact[0]["lock"]["who"], "me@host");
    let table = stdout(&server.cli(&["state", "list", "kept"]));
    assert!(table.contains("me@host, apply, since 2026-11-21T20:35:06Z"), "{table}");
    let lines = stdout(&server.cli(&["state", "list", "kept", "-o", "jsonl"]));
    assert_eq!(lines.lines().count(), expected.len());
    assert_eq!(shown(&server, &["list", "kept/none"]), Value::Array(Vec::new()));
}

#[test]
fn show_tells_what_a_state_holds() {
    let server = furnished();
    let state = shown(&server, &["show", "kept/app.tfstate"]);
    assert_eq!((&state["serial"], &state["counts"]["managed"]), (&24.into(), &12.into()));
    assert_eq!(state["lock"]["who"], "me@host");
    assert!(state["last_modified"].as_str().unwrap().ends_with('Z'), "{state}");
    let addresses = column(&state["resources"], "address");
    assert!(addresses.contains(&r#"module.net["eu"].module.inner.terraform_data.leaf"#));
    let output = |name: &str| {
        let outputs = state["outputs"].as_array().unwrap();
        outputs.iter().find(|output| output["name"] == name).unwrap().clone()
    };
    assert_eq!(output("rev")["value"], "2");
    assert_eq!(output("object")["value"]["a"][1], "two");
    assert_eq!(
        (&output("secret")["masked"], &output("secret")["value"]),
        (&true.into(), &Value::Null)
    );
    let older = &versions(&server, "kept/app.tfstate")[1];
    let before = shown(&server, &["show", "kept/app.tfstate", "--version", older]);
    assert_eq!((&before["serial"], &before["version_id"]), (&14.into(), &older.as_str().into()));
    let sealed = shown(&server, &["show", "kept/sealed.tfstate"]);
    assert_eq!((&sealed["serial"], &sealed["resources"]), (&7.into(), &Value::Null));
    assert!(sealed["note"].as_str().unwrap().contains("encrypted"), "{sealed}");
    let text = stdout(&server.cli(&["state", "show", "kept/env:/dev/app.tfstate"]));
    for line in [
        "workspace  dev",
        "lock       none",
        "  terraform_data.counted[1] (tainted)",
        "  secret = (sensitive value)",
        "  check.fine: pass",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
}

#[test]
fn versions_tell_what_each_changed() {
    let server = furnished();
    server.root().send(&Ask::object("DELETE", "kept", "app.tfstate")).expect(204);
    server.root().send(&Ask::object("PUT", "kept", "app.tfstate").body(TAINTED)).expect(200);
    let rows = shown(&server, &["versions", "kept/app.tfstate"]);
    let summary: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let changes = &row["changes"];
            let counts = ["added", "changed", "removed"].map(|name| changes[name].as_u64());
            (row["serial"].as_u64(), row["delete_marker"] == true, counts)
        })
        .collect();
    let none = [None; 3];
    assert_eq!(summary.len(), 4, "no version of the lock");
    assert_eq!(summary[0].2, [0, 1, 0].map(Some));
    assert_eq!(summary[1], (None, true, none));
    assert_eq!((summary[2].0, summary[2].2[0], summary[2].2[2]), (Some(24), Some(1), Some(2)));
    assert_eq!(summary[3], (Some(14), false, none));
    assert_eq!(rows[0]["is_latest"], true);
    let one = shown(&server, &["versions", "kept/app.tfstate", "--limit", "1"]);
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(one[0]["changes"]["changed"], 1, "the one before is read nevertheless");
    let sealed = shown(&server, &["versions", "kept/sealed.tfstate"]);
    assert_eq!((&sealed[0]["serial"], &sealed[0]["changes"]), (&7.into(), &Value::Null));
    let notes = shown(&server, &["versions", "kept/notes.txt"]);
    assert!(notes[0]["note"].as_str().unwrap().starts_with("not a state"), "{notes}");
}

#[test]
fn diff_exits_as_diff_does() {
    let server = furnished();
    let ids = versions(&server, "kept/app.tfstate");
    let (new, old) = (ids[0].as_str(), ids[1].as_str());
    let app = "kept/app.tfstate";
    let rows: &[(&[&str], i32)] = &[
        (&[app], 1),
        (&[app, old], 1),
        (&[app, new], 0),
        (&[app, old, new], 1),
        (&[app, old, old], 0),
        (&[app, app], 0),
        (&[app, "kept/env:/dev/app.tfstate"], 1),
        (&[app, "kept/old.tfstate"], 1),
        (&["kept/sealed.tfstate", app], 2),
        (&["kept/notes.txt", app], 2),
        (&["kept/empty.tfstate", app], 2),
        (&["kept/deposed.tfstate"], 3),
        (&["kept/none"], 3),
        (&[app, "kept/none"], 3),
        (&[], 2),
    ];
    for (arguments, code) in rows {
        let output = server.cli(&[&["state", "diff"], *arguments].concat());
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", stderr(&output));
        assert_eq!(output.stdout.is_empty(), *code > 1, "{arguments:?}");
        assert_eq!(output.stderr.is_empty(), *code < 2, "{arguments:?}: {}", stderr(&output));
    }
    let diff = json(&server.cli(&["state", "diff", app, "-o", "json"]));
    assert_eq!(diff["equal"], false);
    assert_eq!((&diff["old"]["serial"], &diff["new"]["serial"]), (&14.into(), &24.into()));
    assert_eq!(diff["old"]["version_id"], old);
    assert_eq!(diff["added"][0]["address"], r#"terraform_data.each["c"]"#);
    let changed = diff["changed"].as_array().unwrap().iter();
    let counted = changed.clone().find(|it| it["address"] == "terraform_data.counted[0]").unwrap();
    let expected: Value =
        serde_json::from_str(r#"{"path":"input.value","old":{"value":1},"new":{"value":2}}"#)
            .unwrap();
    assert_eq!(counted["attributes"][0], expected);
    let outputs = diff["outputs"].as_array().unwrap();
    let secret = outputs.iter().find(|output| output["name"] == "secret").unwrap();
    assert_eq!(secret["old"], serde_json::json!({"masked": true}));
    let text = stdout(&server.cli(&["state", "diff", app]));
    for line in [
        "+ terraform_data.each[\"c\"]",
        "- terraform_data.gone[0]",
        "    ~ input.value: 1 -> 2",
        "~ output secret: (sensitive value, changed)",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour where there is no terminal");
}

#[test]
fn pull_gives_every_byte() {
    let server = furnished();
    let ids = versions(&server, "kept/app.tfstate");
    let rows: &[(&[&str], &[u8])] = &[
        (&["kept/app.tfstate"], AFTER),
        (&["kept/app.tfstate", "--version", &ids[1]], BEFORE),
        (&["kept/sealed.tfstate"], ENCRYPTED),
        (&["kept/empty.tfstate"], b""),
    ];
    for (arguments, body) in rows {
        let output = server.cli(&[&["state", "pull"], *arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(output.stdout == *body, "{arguments:?}");
    }
    let help = stdout(&server.cli(&["state", "pull", "--help"]));
    assert!(help.contains("secret"), "{help}");
}

#[test]
fn resources_are_found_across_states() {
    let server = furnished();
    let rows: &[(&[&str], usize)] = &[
        (&["kept/app.tfstate"], 13),
        (&["kept", "--type", "aws_instance"], 3),
        (&["kept", "--type", "terraform_data", "--name", "leaf"], 2),
        (&["kept", "--address", "terraform_data.counted"], 4),
        (&["kept", "--address", "terraform_data.counted[0]"], 2),
        (&["kept", "--address", "module.net"], 6),
        (&["kept/env:/", "--address", "module.net"], 3),
        (&["kept", "--type", "none"], 0),
    ];
    for (arguments, count) in rows {
        let found = shown(&server, &[&["resources"], *arguments].concat());
        assert_eq!(found.as_array().unwrap().len(), *count, "{arguments:?}: {found}");
    }
    let output = server.cli(&["state", "resources", "kept", "--name", "mail", "-o", "jsonl"]);
    let left_out = stderr(&output);
    assert!(left_out.contains("kept/sealed.tfstate is left out"), "{left_out}");
    assert!(!left_out.contains("notes.txt"), "{left_out}");
    let deposed = stdout(&output).lines().filter(|line| line.contains("deadbeef")).count();
    assert_eq!(deposed, 1, "{}", stdout(&output));
}

#[test]
fn a_search_finds_what_is_in_the_bodies() {
    let server = furnished();
    let rows: &[(&[&str], usize)] = &[
        (&["kept", "--type", "aws_instance"], 3),
        (&["kept", "--type", "terraform_data", "--name", "leaf"], 2),
        (&["kept", "--address", "terraform_data.counted[0]"], 2),
        (&["kept/env:/", "--address", "module.net"], 3),
        (&["kept", "--provider", "aws"], 5),
        (&["kept", "--provider", "builtin/terraform", "--name", "leaf"], 2),
        (&["kept", "--name", "none"], 0),
    ];
    for (arguments, count) in rows {
        let found = shown(&server, &[&["search"], *arguments].concat());
        assert_eq!(found.as_array().unwrap().len(), *count, "{arguments:?}: {found}");
        let read = shown(&server, &[&["resources"], *arguments].concat());
        assert_eq!(found, read, "{arguments:?}");
    }
    let rows: &[(&[&str], usize)] = &[
        (&["kept/app.tfstate", "--attribute", "input.value=2"], 1),
        (&["kept/app.tfstate", "--attribute", "input.value.password=hunter3"], 0),
        (&["kept/app.tfstate", "--attribute", "input.value.password=hunter3", "--reveal"], 1),
    ];
    for (arguments, count) in rows {
        let output = server.cli(&[&["state", "search", "-o", "json"], *arguments].concat());
        let found = json(&output);
        assert_eq!(found.as_array().unwrap().len(), *count, "{arguments:?}: {found}");
        assert!(!stdout(&output).contains(SECRET), "addresses alone");
    }
    let mail = server.cli(&["state", "search", "kept", "--name", "mail", "-o", "jsonl"]);
    assert!(stderr(&mail).contains("kept/sealed.tfstate is left out"), "{}", stderr(&mail));
    assert!(!stderr(&mail).contains("notes.txt"), "{}", stderr(&mail));
    let rows: &[(&[&str], i32)] =
        &[(&["kept"], 2), (&["none-such", "--name", "x"], 3), (&["kept", "--attribute", "x"], 2)];
    for (arguments, code) in rows {
        let output = server.cli(&[&["state", "search"], *arguments].concat());
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn no_secret_is_told_unless_asked_for() {
    let server = furnished();
    let ids = versions(&server, "kept/app.tfstate");
    let commands: &[&[&str]] = &[
        &["list", "kept", "--all"],
        &["show", "kept/app.tfstate"],
        &["show", "kept/app.tfstate", "--version", &ids[1]],
        &["show", "kept/old.tfstate"],
        &["versions", "kept/app.tfstate"],
        &["versions", "kept/notes.txt"],
        &["diff", "kept/app.tfstate"],
        &["diff", "kept/app.tfstate", "kept/old.tfstate"],
        &["diff", "kept/notes.txt", "kept/old.tfstate"],
        &["resources", "kept"],
        &["search", "kept", "--type", "terraform_data"],
        &["show", "kept/notes.txt"],
    ];
    for command in commands {
        for format in ["table", "json", "jsonl", "yaml"] {
            let output = server.cli(&[&["state"], *command, &["-o", format]].concat());
            let told = stdout(&output) + &stderr(&output);
            assert!(!told.is_empty() && !told.contains(SECRET), "{command:?} {format}: {told}");
        }
    }
    for command in [["show", "kept/app.tfstate"], ["diff", "kept/app.tfstate"]] {
        let output = server.cli(&[&["state"], &command[..], &["--reveal"]].concat());
        assert!(stdout(&output).contains("hunter3"), "{command:?}");
        assert_eq!(stderr(&output), "tidelock: sensitive values are shown\n");
    }
}

#[test]
fn exit_codes_are_those_of_all_commands() {
    let server = furnished();
    let rows: &[(&[&str], i32, &str)] = &[
        (&["show", "kept/none"], 3, "NoSuchKey"),
        (&["show", "kept/app.tfstate", "--version", "none"], 1, "InvalidArgument"),
        (&["show", "kept/empty.tfstate"], 1, "the body is empty"),
        (&["show", "kept/damaged.tfstate"], 1, "not a state"),
        (&["show", "kept/notes.txt"], 1, "kept/notes.txt: not a state"),
        (&["versions", "kept/none"], 3, ""),
        (&["pull", "kept/none"], 3, ""),
        (&["list", "none-such"], 3, "NoSuchBucket"),
        (&["resources", "none-such"], 3, "NoSuchBucket"),
        (&["show", "kept"], 2, ""),
        (&["list", "kept", "-o", "xml"], 2, ""),
    ];
    for (arguments, code, words) in rows {
        let output = server.cli(&[&["state"], *arguments].concat());
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_bucket_without_versions_says_so() {
    let server = Server::start(&[]);
    server.make_bucket("plain", "");
    for body in [BEFORE, AFTER] {
        server.root().send(&Ask::object("PUT", "plain", "k").body(body)).expect(200);
    }
    let output = server.cli(&["state", "versions", "plain/k", "-o", "json"]);
    assert!(stderr(&output).contains("plain keeps no versions"), "{}", stderr(&output));
    let rows = json(&output);
    assert_eq!((&rows[0]["version_id"], &rows[0]["serial"]), (&"null".into(), &24.into()));
    let diff = server.cli(&["state", "diff", "plain/k"]);
    assert_eq!(diff.status.code(), Some(3));
    assert!(stderr(&diff).contains("no version before the current"), "{}", stderr(&diff));
}

/// A store that knows objects and nothing else, as some do.
#[test]
fn an_endpoint_without_versioning_says_what_it_cannot_do() {
    let address = plain_store();
    let endpoint = format!("http://{address}");
    let run = |arguments: &[&str]| {
        let mut command = tidelock();
        command
            .env("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_KEY)
            .arg("state")
            .args(arguments)
            .args(["--endpoint", &endpoint, "-o", "json"]);
        command.output().unwrap()
    };
    let versions = run(&["versions", "foreign/k"]);
    assert_eq!(versions.status.code(), Some(0), "{}", stderr(&versions));
    assert!(stderr(&versions).contains("lists no versions"), "{}", stderr(&versions));
    assert_eq!(json(&versions)[0]["serial"], 24);
    let diff = run(&["diff", "foreign/k"]);
    assert_eq!(diff.status.code(), Some(2));
    assert!(stderr(&diff).contains("lists no versions"), "{}", stderr(&diff));
    let show = run(&["show", "foreign/k"]);
    assert_eq!(
        (json(&show)["serial"].as_u64(), &json(&show)["version_id"]),
        (Some(24), &Value::Null)
    );
    let list = json(&run(&["list", "foreign"]));
    assert_eq!((&list[0]["serial"], &list[0]["written_by"]), (&24.into(), &Value::Null));
    let search = json(&run(&["search", "foreign", "--name", "leaf"]));
    assert_eq!(column(&search, "key"), ["k"]);
}

/// Answers until the process ends: the state under every key, no locks, no versions.
fn plain_store() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap());
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).unwrap() == 0 {
            return;
        }
    }
    let line = request.lines().next().unwrap();
    let (status, body) = if line.contains("versions=") {
        ("501 Not Implemented", &b"<Error><Code>NotImplemented</Code></Error>"[..])
    } else if line.contains("list-type=2") {
        let list = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key>\
            <LastModified>2026-11-21T20:35:06.000Z</LastModified><ETag>e</ETag><Size>1</Size>\
            </Contents></ListBucketResult>";
        ("200 OK", list.as_bytes())
    } else if line.contains(".tflock") {
        ("404 Not Found", &b"<Error><Code>NoSuchKey</Code></Error>"[..])
    } else {
        ("200 OK", AFTER)
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    // The other side closes.
    drop(reader.read_to_end(&mut Vec::new()));
}
