//! Which layer wins, and which combinations are refused, as rows.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;

use clap::{Args as _, FromArgMatches as _};

use super::*;

/// What a row gives: flags, variables, lines of the file.
#[derive(Clone, Copy, Default)]
struct Given<'a> {
    flags: &'a [&'a str],
    env: &'a [(&'a str, &'a str)],
    file: &'a str,
}

fn resolve(given: &Given<'_>) -> Result<Config, ConfigError> {
    let command = ServeArgs::augment_args(clap::Command::new("serve").no_binary_name(true));
    let matches = command.try_get_matches_from(given.flags).unwrap();
    let mut args = ServeArgs::from_arg_matches(&matches).unwrap();
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(given.file.as_bytes()).unwrap();
    args.config = Some(file.path().to_owned());
    Config::resolve(args, &|name| {
        given.env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

fn check(given: Given<'_>, line: &str) {
    match resolve(&given) {
        Ok(config) => {
            let printed = config.to_string();
            assert!(printed.lines().any(|printed| printed == line), "{line:?} not in\n{printed}");
        }
        Err(error) => assert!(error.to_string().contains(line), "{error}: expected {line:?}"),
    }
}

#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let file = "listen = \"127.0.0.1:3\"";
    let env = [("TIDELOCK_LISTEN", "127.0.0.1:2")];
    let flags = ["--listen", "127.0.0.1:1"];
    check(Given { flags: &flags, env: &env, file }, "listen = \"127.0.0.1:1\"");
    check(Given { env: &env, file, ..Given::default() }, "listen = \"127.0.0.1:2\"");
    check(Given { file, ..Given::default() }, "listen = \"127.0.0.1:3\"");
    check(Given::default(), "listen = \"127.0.0.1:9000\"");
}

/// A setting as a flag, a variable and a line of the file, and what is printed of it.
type Spellings<'a> = (&'a [&'a str], (&'a str, &'a str), &'a str, &'a str);

fn check_spellings(rows: &[Spellings<'_>]) {
    for (flags, variable, file, line) in rows {
        check(Given { flags, ..Given::default() }, line);
        check(Given { env: &[*variable], ..Given::default() }, line);
        check(Given { file, ..Given::default() }, line);
    }
}

#[test]
fn limits_and_proxies_have_all_spellings() {
    check_spellings(&[
        (
            &["--requests-max=8"],
            ("TIDELOCK_REQUESTS_MAX", "8"),
            "requests_max = 8",
            "requests_max_per_key = 2",
        ),
        (
            &["--requests-max=1"],
            ("TIDELOCK_REQUESTS_MAX", "1"),
            "requests_max = 1",
            "requests_max_per_client = 1",
        ),
        (
            &["--requests-max-per-key=7"],
            ("TIDELOCK_REQUESTS_MAX_PER_KEY", "7"),
            "requests_max_per_key = 7",
            "requests_max_per_key = 7",
        ),
        (
            &["--requests-max-per-client=7"],
            ("TIDELOCK_REQUESTS_MAX_PER_CLIENT", "7"),
            "requests_max_per_client = 7",
            "requests_max_per_client = 7",
        ),
        (
            &["--trusted-proxy=10.0.0.0/8", "--trusted-proxy=::1"],
            ("TIDELOCK_TRUSTED_PROXY", "10.0.0.0/8, ::1"),
            "trusted_proxy = [\"10.0.0.0/8\", \"::1\"]",
            "trusted_proxy = [\"10.0.0.0/8\", \"::1\"]",
        ),
    ]);
}

#[test]
fn every_kind_of_value_has_all_spellings() {
    check_spellings(&[
        (
            &["--audit-retention=7"],
            ("TIDELOCK_AUDIT_RETENTION", "7"),
            "audit_retention = 7",
            "audit_retention = 7",
        ),
        (
            &["--audit-bytes-max=1048576"],
            ("TIDELOCK_AUDIT_BYTES_MAX", "1048576"),
            "audit_bytes_max = 1048576",
            "audit_bytes_max = 1048576",
        ),
        (
            &["--domain=a.test", "--domain=b.test"],
            ("TIDELOCK_DOMAIN", "a.test, b.test"),
            "domain = [\"a.test\", \"B.test\"]",
            "domain = [\"a.test\", \"b.test\"]",
        ),
        (
            &["--oidc-issuer=github=a", "--oidc-issuer=https://id.test=b"],
            ("TIDELOCK_OIDC_ISSUER", "github=a, https://id.test=b"),
            "oidc_issuer = [\"github=a\", \"https://id.test=b\"]",
            "oidc_issuer = [\"https://token.actions.githubusercontent.com=a\", \"https://id.test=b\"]",
        ),
        (
            &["--console-oidc=issuer=https://id.test,client-id=c,role=viewer,name=Ours"],
            ("TIDELOCK_CONSOLE_OIDC", "issuer=https://id.test,client-id=c,role=viewer,name=Ours"),
            "console_oidc = \"issuer=https://id.test,client-id=c,role=viewer,name=Ours\"",
            "console_oidc = \"issuer=https://id.test,client-id=c,\
             role=arn:aws:iam::000000000000:role/viewer,name=Ours,scope=openid email profile\"",
        ),
        (
            &["--strict-aws-conditions"],
            ("TIDELOCK_STRICT_AWS_CONDITIONS", "true"),
            "strict_aws_conditions = true",
            "strict_aws_conditions = true",
        ),
        (
            &["--enable-acls"],
            ("TIDELOCK_ENABLE_ACLS", "true"),
            "enable_acls = true",
            "enable_acls = true",
        ),
        (
            &["--allow-signature-v2"],
            ("TIDELOCK_ALLOW_SIGNATURE_V2", "true"),
            "allow_signature_v2 = true",
            "allow_signature_v2 = true",
        ),
        (
            &["--connections-max", "7"],
            ("TIDELOCK_CONNECTIONS_MAX", "7"),
            "connections_max = 7",
            "connections_max = 7",
        ),
        (
            &["--log-format", "json"],
            ("TIDELOCK_LOG_FORMAT", "json"),
            "log_format = \"json\"",
            "log_format = \"json\"",
        ),
        (
            &["--metrics-token", "t"],
            ("TIDELOCK_METRICS_TOKEN", "t"),
            "metrics_token = \"t\"",
            "metrics_token = (set)",
        ),
        (&["--data", "d"], ("TIDELOCK_DATA", "d"), "data = \"d\"", "keyring = \"d/keyring\""),
    ]);
}

#[test]
fn the_keyring_may_be_a_credential_of_systemd() {
    const DEFAULT: &str = "keyring = \"./tidelock-data/keyring\"";

    let credentials = tempfile::tempdir().unwrap();
    let directory = credentials.path().to_str().unwrap();
    let env = [("CREDENTIALS_DIRECTORY", directory)];
    let (given, none) = (Given { env: &env, ..Given::default() }, Given::default());
    check(given, DEFAULT);
    std::fs::write(credentials.path().join("keyring"), "").unwrap();
    let (credential, flags) = (format!("keyring = \"{directory}/keyring\""), ["--keyring", "k"]);
    let variable = [env[0], ("TIDELOCK_KEYRING", "k")];
    let rows = [
        (given, credential.as_str()),
        (Given { flags: &flags, ..given }, "keyring = \"k\""),
        (Given { env: &variable, ..none }, "keyring = \"k\""),
        (Given { file: "keyring = \"k\"", ..given }, "keyring = \"k\""),
        (Given { flags: &["--data", "d"], ..given }, credential.as_str()),
        (Given { env: &[("CREDENTIALS_DIRECTORY", "")], ..none }, DEFAULT),
        (none, DEFAULT),
    ];
    for (given, line) in rows {
        check(given, line);
    }
}

#[test]
fn a_false_flag_wins_over_a_true_variable() {
    let env = [("TIDELOCK_STRICT_AWS_CONDITIONS", "true")];
    let flags = ["--strict-aws-conditions=false"];
    check(Given { flags: &flags, env: &env, ..Given::default() }, "strict_aws_conditions = false");
}

#[test]
fn nonsense_is_refused_with_what_to_do() {
    let rows: &[(Given<'_>, &str)] = &[
        (Given { flags: &["--listen", "0.0.0.0:9000"], ..Given::default() }, "--allow-plain-http"),
        (Given { flags: &["--tls-cert", "c"], ..Given::default() }, "tls-cert needs tls-key"),
        (Given { flags: &["--requests-max", "0"], ..Given::default() }, "requests-max"),
        (Given { flags: &["--requests-max-per-key", "0"], ..Given::default() }, "per-key"),
        (Given { flags: &["--trusted-proxy", "proxy"], ..Given::default() }, "trusted-proxy"),
        (Given { flags: &["--trusted-proxy", "0.0.0.0/0"], ..Given::default() }, "everybody"),
        (Given { flags: &["--header-timeout-s", "0"], ..Given::default() }, "header-timeout-s"),
        (Given { flags: &["--domain", "http://x"], ..Given::default() }, "not a host name"),
        (Given { env: &[("TIDELOCK_LISTEN", "x")], ..Given::default() }, "--listen"),
        (Given { file: "nope = 1", ..Given::default() }, "unknown key 'nope'"),
        (Given { file: "config = \"x\"", ..Given::default() }, "unknown key 'config'"),
        (Given { file: "listen = [1]", ..Given::default() }, "one plain value"),
        (Given { file: "nonsense = 1", ..Given::default() }, ".toml: unknown key 'nonsense'"),
        (Given { flags: &["--root-access-key", "root"], ..Given::default() }, "root-secret-key"),
        (
            Given {
                env: &[("TIDELOCK_ROOT_ACCESS_KEY", "root"), ("TIDELOCK_ROOT_SECRET_KEY", "short")],
                ..Given::default()
            },
            "at least 8",
        ),
        (
            Given {
                flags: &["--metrics-token", "t", "--metrics-token-file", "f"],
                ..Given::default()
            },
            "exclude each other",
        ),
    ];
    for (given, message) in rows {
        let error = resolve(given).unwrap_err().to_string();
        assert!(error.contains(message), "{error}: expected {message:?}");
    }
}

#[test]
fn a_secret_comes_from_its_file_without_the_line_end_and_is_never_printed() {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(b"correct horse battery\n").unwrap();
    let path = file.path().to_str().unwrap();
    let env = [("TIDELOCK_ROOT_ACCESS_KEY", "root"), ("TIDELOCK_ROOT_SECRET_KEY_FILE", path)];
    let config = resolve(&Given { env: &env, ..Given::default() }).unwrap();
    let root = config.root.clone().unwrap();
    assert_eq!(root.secret_key.expose(), "correct horse battery");
    assert!(!config.to_string().contains("horse"));
    assert!(!format!("{config:?}").contains("horse"));
}

#[test]
fn a_plain_listener_for_others_needs_a_word() {
    let flags = ["--listen", "0.0.0.0:9000", "--allow-plain-http"];
    check(Given { flags: &flags, ..Given::default() }, "listen = \"0.0.0.0:9000\"");
}
