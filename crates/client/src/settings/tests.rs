//! Which source of a setting wins, as rows.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const CREDENTIALS: &str = "
[default]
aws_access_key_id = DEFAULT
aws_secret_access_key = s1
[ci]
aws_access_key_id=CI
aws_secret_access_key=s2
aws_session_token = t
";
const CONFIG: &str = "
[default]
region = eu-west-1
; a comment
[profile ci]
region = eu-west-2
services = local
[services local]
s3 =
  endpoint_url = https://services.test
";

fn resolve(overrides: Overrides, env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let directory = tempfile::tempdir().unwrap();
    let paths = [("AWS_SHARED_CREDENTIALS_FILE", CREDENTIALS), ("AWS_CONFIG_FILE", CONFIG)];
    let paths = paths.map(|(name, text)| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        (name, path.to_str().unwrap().to_owned())
    });
    Settings::resolve(overrides, &|name| {
        let given = env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        given.or_else(|| paths.iter().find(|(key, _)| *key == name).map(|(_, p)| p.clone()))
    })
}

fn check(overrides: Overrides, env: &[(&str, &str)], expected: [&str; 3]) {
    let found = match resolve(overrides, env) {
        Ok(settings) => [
            settings.endpoint.to_string(),
            settings.region.clone(),
            settings.credentials.access_key_id,
        ],
        Err(error) => [error.to_string(), String::new(), String::new()],
    };
    assert_eq!(found.each_ref().map(String::as_str), expected, "{env:?}");
}

#[test]
fn command_line_over_environment_over_profile() {
    let none = Overrides::default;
    let endpoint = || Overrides { endpoint: Some("http://flag:1".into()), ..none() };
    let profile = || Overrides { profile: Some("ci".into()), ..none() };
    let keys = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "x")];
    let env_s3 = ("AWS_ENDPOINT_URL_S3", "http://s3:2");
    let env_all = ("AWS_ENDPOINT_URL", "http://all:3");
    check(endpoint(), &[env_s3, env_all], ["http://flag:1/", "eu-west-1", "DEFAULT"]);
    check(none(), &[env_s3, env_all], ["http://s3:2/", "eu-west-1", "DEFAULT"]);
    check(none(), &[env_all], ["http://all:3/", "eu-west-1", "DEFAULT"]);
    check(none(), &[("AWS_PROFILE", "ci")], ["https://services.test/", "eu-west-2", "CI"]);
    check(
        none(),
        &[("AWS_PROFILE", "ci"), ("AWS_REGION", "r"), keys[0], keys[1]],
        ["https://services.test/", "r", "ENV"],
    );
    check(profile(), &keys, ["https://services.test/", "eu-west-2", "CI"]);
}

#[test]
fn what_is_missing_is_said() {
    let rows: &[(&[(&str, &str)], &str)] = &[
        (&[], "no endpoint"),
        (&[("AWS_PROFILE", "nope")], "profile 'nope'"),
        (&[("AWS_ENDPOINT_URL", "localhost:9000")], "is not http://HOST"),
        (&[("AWS_ENDPOINT_URL", "http://h/path")], "is not http://HOST"),
        (&[("AWS_ENDPOINT_URL", "http://u:p@h")], "is not http://HOST"),
        (
            &[("AWS_ENDPOINT_URL", "http://h"), ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")],
            "no credentials",
        ),
    ];
    for (env, message) in rows {
        let error = resolve(Overrides::default(), env).unwrap_err().to_string();
        assert!(error.contains(message), "{error}: expected {message}");
    }
}
