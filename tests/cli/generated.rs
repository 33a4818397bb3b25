//! What the binary says of itself: completions and man pages, one for every command.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::harness::server::tidelock;
use crate::objects::{stderr, stdout};

/// The names of all commands under `path`, itself included, as `--help` lists them.
fn commands(path: &[String], found: &mut BTreeSet<String>) {
    found.insert([&["tidelock".to_owned()], path].concat().join("-"));
    let help = stdout(&tidelock().args(path).arg("-h").output().unwrap());
    let Some((_, listed)) = help.split_once("\nCommands:\n") else { return };
    let names = listed.lines().take_while(|line| !line.is_empty());
    // A description that goes on in the next line stands further to the right.
    let names = names.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|it| *it != "help") {
        commands(&[path, &[name.to_owned()]].concat(), found);
    }
}

#[test]
fn every_command_has_a_man_page() {
    let files = TempDir::new().unwrap();
    let pages = files.path().join("made/man1");
    let made = tidelock().arg("man").arg(&pages).output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let mut expected = BTreeSet::new();
    commands(&[], &mut expected);
    assert!(expected.contains("tidelock-state-refused-list"), "{expected:?}");
    let names = fs::read_dir(&pages).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".1").unwrap().to_owned()
    });
    assert_eq!(names.collect::<BTreeSet<_>>(), expected);
    let serve = fs::read_to_string(pages.join("tidelock-serve.1")).unwrap();
    for said in [".TH tidelock-serve 1", "tls\\-cert", "Run a server"] {
        assert!(serve.contains(said), "no {said} in\n{serve}");
    }
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let rows = [
        ("bash", "complete -F _tidelock"),
        ("zsh", "#compdef tidelock"),
        ("fish", "complete -c tidelock"),
        ("powershell", "Register-ArgumentCompleter"),
    ];
    for (shell, said) in rows {
        let made = tidelock().args(["completions", shell]).output().unwrap();
        assert_eq!(made.status.code(), Some(0), "{shell}: {}", stderr(&made));
        let script = stdout(&made);
        assert!(script.contains(said) && script.contains("rollback"), "{shell}: {script}");
        if shell == "bash" {
            takes("bash", &script);
        }
    }
    let refused = tidelock().args(["completions", "csh"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

/// The shell reads the script and finds nothing wrong; it does not run it.
fn takes(shell: &str, script: &str) {
    let mut reading = Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    reading.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(reading.wait().unwrap().success());
}
