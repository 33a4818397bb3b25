//! `tidelock role`, `tidelock group` and `tidelock user policy`: made, shown, taken.

use serde_json::Value;

use crate::harness::Server;

#[test]
fn roles_have_a_life() {
    let server = Server::start(&[]);
    let preset = ["--preset", "planner", "--bucket", "states", "--prefix", "app/"];
    let rows: [(&[&str], i32); 7] = [
        (&["role", "create", "plan", "--trust", "github:acme/infra"], 2),
        (&["role", "create", "plan", "--preset", "planner", "--trust", "user:ann"], 2),
        (&["role", "create", "plan", "--preset", "owner", "--bucket", "b", "--trust", "user:a"], 2),
        (&[&["role", "create", "plan"], preset.as_slice()].concat(), 2),
        (&[&["role", "create", "plan", "--trust", "github:acme"], preset.as_slice()].concat(), 2),
        (&["role", "get", "plan"], 3),
        (&["role", "delete", "plan"], 3),
    ];
    for (arguments, code) in rows {
        let done = server.cli(arguments);
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {told}");
    }
    let make = [&["role", "create", "plan", "--trust", "github:acme/infra"], preset.as_slice()];
    let dry = server.cli(&[make.concat().as_slice(), &["--dry-run"]].concat());
    assert!(dry.status.success() && json(&server, &["role", "list"]) == Value::Array(Vec::new()));
    assert!(server.cli(&make.concat()).status.success());
    let role = json(&server, &["role", "get", "plan"]);
    assert_eq!(role["arn"], "arn:aws:iam::000000000000:role/plan");
    assert_eq!(role["policies"][0]["name"], "planner");
    assert!(role["trust_policy"].as_str().unwrap().contains("repo:acme/infra:*"), "{role}");
    let table = String::from_utf8(server.cli(&["role", "list"]).stdout).unwrap();
    assert!(table.contains("planner") && table.contains("3600 s"), "{table}");
    assert!(server.cli(&["role", "delete", "plan"]).status.success());
    assert_eq!(json(&server, &["role", "list"]), Value::Array(Vec::new()));
}

#[test]
fn policies_of_a_user_have_a_life() {
    let server = Server::start(&[]);
    server.user("ann");
    let file = server.data().join("policy.json");
    let policy = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
    std::fs::write(&file, policy).unwrap();
    let file = file.to_str().unwrap();
    let put = ["user", "policy", "put", "ann", "all", file];
    assert!(server.cli(&put).status.success());
    let listed = json(&server, &["user", "policy", "list", "ann"]);
    assert_eq!((&listed[0]["name"], &listed[0]["document"]), (&"all".into(), &policy.into()));
    assert!(server.cli(&["user", "policy", "delete", "ann", "all"]).status.success());
    assert_eq!(server.cli(&["user", "policy", "delete", "ann", "all"]).status.code(), Some(3));
    assert_eq!(server.cli(&["user", "policy", "put", "bob", "all", file]).status.code(), Some(3));
    std::fs::write(file, "{}").unwrap();
    assert!(!server.cli(&put).status.success(), "no policy");
}

#[test]
fn groups_have_a_life() {
    let server = Server::start(&[]);
    server.user("ann");
    let preset = ["--preset", "planner", "--bucket", "states", "--prefix", "app/"];
    let file = server.data().join("policy.json");
    let policy = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
    std::fs::write(&file, policy).unwrap();
    let file = file.to_str().unwrap();
    let rows: &[(&[&str], i32)] = &[
        (&["group", "create", "plan", "--preset", "planner"], 2),
        (&[&["group", "create", "plan"], preset.as_slice(), &["--dry-run"]].concat(), 0),
        (&["group", "show", "plan"], 3),
        (&[&["group", "create", "plan"], preset.as_slice()].concat(), 0),
        (&["group", "create", "plan"], 5),
        (&["group", "add", "plan", "ann"], 0),
        (&["group", "add", "plan", "bob"], 3),
        (&["group", "add", "none", "ann"], 3),
        (&["group", "policy", "put", "plan", "all"], 2),
        (&[&["group", "policy", "put", "plan", "p", file], preset.as_slice()].concat(), 2),
        (&["group", "policy", "put", "plan", "all", file], 0),
        (&[&["group", "policy", "put", "plan", "more"], preset.as_slice()].concat(), 0),
        (&[&["user", "policy", "put", "ann", "plan"], preset.as_slice()].concat(), 0),
        (&["group", "policy", "delete", "plan", "more"], 0),
        (&["group", "policy", "delete", "plan", "more"], 3),
        (&["group", "delete", "plan"], 5),
    ];
    for (arguments, code) in rows {
        let done = server.cli(arguments);
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(*code), "{arguments:?}: {told}");
    }
    let told = server.cli(&["group", "delete", "plan"]).stderr;
    assert!(String::from_utf8(told).unwrap().contains("tidelock group show"));
    let group = json(&server, &["group", "show", "plan"]);
    assert_eq!(group["arn"], "arn:aws:iam::000000000000:group/plan");
    assert_eq!(group["members"], serde_json::json!(["ann"]));
    let listed = json(&server, &["group", "policy", "list", "plan"]);
    assert_eq!((&listed[0]["name"], &listed[0]["document"]), (&"all".into(), &policy.into()));
    assert_eq!(listed[1]["name"], "planner");
    assert_eq!(json(&server, &["user", "show", "ann"])["groups"], serde_json::json!(["plan"]));
    for arguments in [["group", "list"], ["user", "list"]] {
        let table = String::from_utf8(server.cli(&arguments).stdout).unwrap();
        assert!(table.contains("plan") && table.contains("ann"), "{table}");
    }
    for arguments in [["group", "remove", "plan", "ann"].as_slice(), &["group", "delete", "plan"]] {
        assert!(server.cli(arguments).status.success(), "{arguments:?}");
    }
    assert_eq!(json(&server, &["group", "list"]), Value::Array(Vec::new()));
}

/// Nobody has to remember which of them is shown, and which got.
#[test]
fn one_of_a_kind_is_shown_by_either_word() {
    let server = Server::start(&[]);
    for kind in ["bucket", "group", "role", "user"] {
        for word in ["get", "show"] {
            let done = server.cli(&[kind, word, "none"]);
            let told = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(done.status.code(), Some(3), "{kind} {word}: {told}");
        }
    }
}

fn json(server: &Server, arguments: &[&str]) -> Value {
    let done = server.cli(&[arguments, &["-o", "json"]].concat());
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {told}"))
}
