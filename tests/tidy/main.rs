//! Properties of the code itself: which crate may name which, that every file says what it is and stays
//! small, that dependencies give their reasons, that links in documents lead somewhere.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Longest file we accept, tests excluded. Split by noun before raising it.
const LINES_MAX: usize = 800;

/// Each crate with the crates it may name, from the socket down to the disk (ARCHITECTURE.md).
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("cli", &["server", "client"]),
    ("server", &["console", "s3", "auth", "store", "tfstate", "meta", "blob"]),
    ("console", &["client", "tfstate"]),
    ("s3", &["auth", "store"]),
    ("store", &["tfstate", "meta", "blob"]),
    ("meta", &["log"]),
    ("client", &["auth", "tfstate"]),
    ("auth", &[]),
    ("tfstate", &[]),
    ("blob", &[]),
    ("log", &[]),
];

/// Crates that do no I/O, and what they must not depend on for it.
const PURE: &[&str] = &["auth", "tfstate"];
const IO_PACKAGES: &[&str] = &["tokio", "hyper", "hyper-util", "redb", "tokio-rustls"];

/// Places no committed file may name: they exist on one machine only.
const MACHINE_PATHS: &[&str] = &["/root/", "/home/", "/work/", "/tmp/", "/Users/"];

/// Directories that are not ours to look at; in a worktree, `.git` is a file.
const NOT_OURS: &[&str] = &["target", ".git", ".cache", ".venv", "node_modules", "corpus"];

#[test]
fn dependencies_point_down() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_DEPEND_ON.iter().copied().collect();
    for (name, dependencies) in normal_dependencies() {
        let Some(crate_name) = name.strip_prefix("tidelock-") else { continue };
        let may =
            allowed.get(crate_name).unwrap_or_else(|| panic!("{name} has no row in the table"));
        for dependency in &dependencies {
            if let Some(other) = dependency.strip_prefix("tidelock-") {
                assert!(may.contains(&other), "{crate_name} must not depend on {other}");
            }
            let pure = PURE.contains(&crate_name) && IO_PACKAGES.contains(&dependency.as_str());
            assert!(!pure, "{crate_name} does no I/O but depends on {dependency}");
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for path in files(&["rs"]) {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
        assert!(first.starts_with("//!"), "{}: no module doc", path.display());
    }
    for path in files(&["py"]) {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
        assert!(first.starts_with("\"\"\""), "{}: no module doc", path.display());
    }
}

#[test]
fn every_file_stays_small() {
    for path in files(&["rs"]) {
        if path.starts_with(root().join("tests")) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = code.lines().count();
        assert!(lines <= LINES_MAX, "{}: {lines} lines", path.display());
    }
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let this = root().join("tests/tidy/main.rs");
    for path in files(&["rs", "py", "md", "toml", "sh", "yml", "yaml", "json", ""]) {
        if path == this {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            let found = MACHINE_PATHS.iter().find(|place| names_place(line, place));
            assert!(found.is_none(), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

/// A path from the root of the file system, not the tail of a longer path or URL.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|it| !(it.is_alphanumeric() || "._-/}>*~".contains(it)))
    })
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, after) = manifest.split_once("[workspace.dependencies]").unwrap();
    let section = after.split("\n[").next().unwrap_or_default();
    for line in section.lines().filter(|line| line.contains('=')) {
        let ours = line.starts_with("tidelock-");
        let reason = line.rsplit_once("# ").map(|(_, reason)| reason.trim());
        assert!(ours || reason.is_some_and(|it| it.len() >= 3), "no reason: {line}");
    }
}

/// Crates take versions from the workspace, so that each is decided once.
#[test]
fn crates_take_their_dependencies_from_the_workspace() {
    for path in files(&["toml"]) {
        let inside = path.strip_prefix(root()).unwrap();
        if !inside.starts_with("crates") || path.file_name().unwrap() != "Cargo.toml" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut in_dependencies = false;
        for line in text.lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
                continue;
            }
            let declares = in_dependencies && line.contains('=') && !line.starts_with('#');
            let shared = line.contains("workspace = true");
            assert!(!declares || shared, "{}: {line}", inside.display());
        }
    }
}

#[test]
fn every_package_is_used_once_by_its_crate() {
    for (name, dependencies) in normal_dependencies() {
        let unique: BTreeSet<&String> = dependencies.iter().collect();
        assert_eq!(unique.len(), dependencies.len(), "{name} lists a dependency twice");
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    for path in files(&["md"]) {
        let text = fs::read_to_string(&path).unwrap();
        for target in link_targets(&text) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let found = path.parent().unwrap().join(file);
            assert!(found.exists(), "{}: {target} leads nowhere", path.display());
        }
    }
}

/// Targets of `[text](target)`, outside code.
fn link_targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let outside_code: String = line.split('`').step_by(2).collect::<Vec<_>>().join("");
        for (at, _) in outside_code.match_indices("](") {
            let rest = &outside_code[at + 2..];
            if let Some(end) = rest.find(')') {
                targets.push(rest[..end].to_owned());
            }
        }
    }
    targets
}

/// Each workspace package with the packages it depends on outside of tests, `workspace = true` resolved.
fn normal_dependencies() -> Vec<(String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let dependencies = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|it| it["kind"].is_null())
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    packages
        .iter()
        .map(|package| (package["name"].as_str().unwrap().to_owned(), dependencies(package)))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Our files with one of these extensions (`""`: none).
fn files(extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![root()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if NOT_OURS.contains(&name.as_str()) || name.starts_with("__") {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let extension = path.extension().map(|it| it.to_string_lossy().into_owned());
            if extensions.contains(&extension.unwrap_or_default().as_str()) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
