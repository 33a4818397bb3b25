//! Roles in plain words: what a reader, a planner and an applier of states may do, and whom a repository or
//! a project on a known site is trusted as.
//!
//! Documents are written here, and read by nobody but the server.

use serde_json::{Value, json};

const ACCOUNT_ID: &str = "000000000000";
const GITHUB: &str = "https://token.actions.githubusercontent.com";
const GITLAB: &str = "https://gitlab.com";
/// Where Terraform keeps the states of workspaces, unless a backend block says otherwise.
const WORKSPACES: &str = "env:/";

/// What a role is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Reads states and their versions.
    StateReader,
    /// Reads states, takes and gives back locks; never writes a state.
    Planner,
    /// Reads and writes states, under locks.
    Applier,
}

/// Why a text names nobody to trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is none of github:OWNER/REPOSITORY[:REST], gitlab:GROUP/PROJECT[:REST], \
     issuer=URL,sub=PATTERN[,CLAIM=PATTERN...] and user:NAME"
)]
pub struct InvalidTrust(String);

/// The policy of a preset, for the states of `bucket` whose keys begin with `prefix`.
pub fn policy(preset: Preset, bucket: &str, prefix: &str) -> String {
    let arn = format!("arn:aws:s3:::{bucket}");
    let keys = |suffix: &str| {
        let mut keys = vec![format!("{arn}/{prefix}*{suffix}")];
        if !prefix.is_empty() {
            keys.push(format!("{arn}/{WORKSPACES}*/{prefix}*{suffix}"));
        }
        keys
    };
    let mut statements =
        vec![list(&arn, prefix), allow("read", &["s3:GetObject", "s3:GetObjectVersion"], keys(""))];
    let writes = ["s3:PutObject", "s3:DeleteObject"];
    match preset {
        Preset::StateReader => {}
        Preset::Planner => statements.push(allow("lock", &writes, keys(".tflock"))),
        Preset::Applier => {
            let uploads = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
            statements.push(allow("write", &[writes, uploads].concat(), keys("")));
        }
    }
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

fn list(arn: &str, prefix: &str) -> Value {
    let mut list = allow("list", &["s3:ListBucket", "s3:ListBucketVersions"], vec![arn.to_owned()]);
    if !prefix.is_empty() {
        let workspaces = format!("{WORKSPACES}*/{prefix}*");
        let prefixes = [format!("{prefix}*"), WORKSPACES.to_owned(), workspaces];
        list["Condition"] = json!({ "StringLike": { "s3:prefix": prefixes } });
    }
    list
}

fn allow(sid: &str, actions: &[&str], resources: Vec<String>) -> Value {
    json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources })
}

/// The trust policy for whoever `text` names.
///
/// # Errors
///
/// [`InvalidTrust`].
pub fn trust(text: &str) -> Result<String, InvalidTrust> {
    let invalid = || InvalidTrust(text.to_owned());
    if let Some(name) = text.strip_prefix("user:") {
        let arn = format!("arn:aws:iam::{ACCOUNT_ID}:user/{name}");
        return Ok(document(&json!({ "AWS": arn }), "sts:AssumeRole", &Value::Null));
    }
    let (issuer, claims) = if let Some(rest) = text.strip_prefix("github:") {
        (GITHUB, vec![("sub", format!("repo:{}", of_site(rest).ok_or_else(invalid)?))])
    } else if let Some(rest) = text.strip_prefix("gitlab:") {
        (GITLAB, vec![("sub", format!("project_path:{}", of_site(rest).ok_or_else(invalid)?))])
    } else {
        issuer_and_claims(text).ok_or_else(invalid)?
    };
    // A role for all that a provider vouches for is nobody's intent.
    if !claims.iter().any(|(name, value)| *name == "sub" && value != "*") {
        return Err(invalid());
    }
    let provider = issuer.split_once("://").map(|(_, rest)| rest).ok_or_else(invalid)?;
    let arn = format!("arn:aws:iam::{ACCOUNT_ID}:oidc-provider/{provider}");
    let patterns =
        claims.into_iter().map(|(name, value)| (format!("{provider}:{name}"), value.into()));
    let patterns: serde_json::Map<String, Value> = patterns.collect();
    let condition = json!({ "StringLike": patterns });
    Ok(document(&json!({ "Federated": arn }), "sts:AssumeRoleWithWebIdentity", &condition))
}

/// `OWNER/NAME`, or with what a subject has after it; then anything of it.
fn of_site(text: &str) -> Option<String> {
    let (path, rest) = text.split_once(':').map_or((text, "*"), |(path, rest)| (path, rest));
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let segments: Vec<&str> = path.split('/').collect();
    let are_names = segments.iter().all(|name| !name.is_empty() && name.bytes().all(legal));
    (segments.len() >= 2 && are_names && !rest.is_empty()).then(|| format!("{path}:{rest}"))
}

/// `issuer=URL,sub=PATTERN,...`
fn issuer_and_claims(text: &str) -> Option<(&str, Vec<(&str, String)>)> {
    let mut parts = text.split(',').map(|part| part.split_once('='));
    let (_, issuer) = parts.next()?.filter(|(name, url)| *name == "issuer" && !url.is_empty())?;
    let claims = parts.map(|part| part.map(|(name, value)| (name, value.to_owned())));
    let claims = claims.collect::<Option<Vec<_>>>()?;
    let is_wrong = |at: usize| {
        let (name, value) = &claims[at];
        let is_twice = claims[..at].iter().any(|(earlier, _)| earlier == name);
        name.is_empty() || value.is_empty() || is_twice
    };
    (!(0..claims.len()).any(is_wrong)).then_some((issuer, claims))
}

fn document(principal: &Value, action: &str, condition: &Value) -> String {
    let mut statement = json!({ "Effect": "Allow", "Principal": principal, "Action": action });
    if !condition.is_null() {
        statement["Condition"] = condition.clone();
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

#[cfg(test)]
mod tests {
    use tidelock_auth::policy::{
        ConditionKeys, Policies, Policy, PolicyKind, Request, Requester, decide,
    };

    use super::*;

    /// Whether each preset allows it: reader, planner, applier.
    type Row = (&'static str, &'static str, Option<&'static str>, [bool; 3]);

    #[test]
    fn presets_allow_what_their_names_say() {
        let rows: &[Row] = &[
            ("s3:GetObject", "/app/one.tfstate", None, [true; 3]),
            ("s3:GetObject", "/app/one.tfstate.tflock", None, [true; 3]),
            ("s3:GetObject", "/env:/dev/app/one.tfstate", None, [true; 3]),
            ("s3:GetObject", "/other/one.tfstate", None, [false; 3]),
            ("s3:ListBucket", "", Some("app/"), [true; 3]),
            ("s3:ListBucket", "", Some("env:/"), [true; 3]),
            ("s3:ListBucket", "", Some(""), [false; 3]),
            ("s3:ListBucket", "", Some("other/"), [false; 3]),
            ("s3:PutObject", "/app/one.tfstate.tflock", None, [false, true, true]),
            ("s3:DeleteObject", "/app/one.tfstate.tflock", None, [false, true, true]),
            ("s3:PutObject", "/env:/dev/app/one.tfstate.tflock", None, [false, true, true]),
            ("s3:PutObject", "/app/one.tfstate", None, [false, false, true]),
            ("s3:DeleteObject", "/app/one.tfstate", None, [false, false, true]),
            ("s3:PutObject", "/other/one.tfstate", None, [false; 3]),
            ("s3:DeleteObjectVersion", "/app/one.tfstate", None, [false; 3]),
            ("s3:PutBucketPolicy", "", None, [false; 3]),
        ];
        for (action, key, prefix, expected) in rows {
            let found = [Preset::StateReader, Preset::Planner, Preset::Applier].map(|preset| {
                let text = policy(preset, "states", "app/");
                let policy = Policy::parse(&text, PolicyKind::Identity).unwrap();
                let mut keys = ConditionKeys::new();
                prefix.iter().for_each(|prefix| keys.add("s3:prefix", *prefix));
                let request = Request {
                    requester: Requester::Anonymous,
                    action,
                    resource: &format!("arn:aws:s3:::states{key}"),
                    keys: &keys,
                };
                let policies = Policies { identity: &[&policy], ..Policies::default() };
                decide(&policies, &request).is_allowed()
            });
            assert_eq!(found, *expected, "{action} {key} {prefix:?}");
        }
        assert!(!policy(Preset::Planner, "states", "").contains("Condition"));
    }

    #[test]
    fn trust_is_for_somebody() {
        let rows = [
            ("github:acme/infra", Some("repo:acme/infra:*")),
            ("github:acme/infra:ref:refs/heads/main", Some("repo:acme/infra:ref:refs/heads/main")),
            ("gitlab:acme/sub/infra", Some("project_path:acme/sub/infra:*")),
            ("issuer=http://127.0.0.1:1/x,sub=repo:a/b:*", Some("repo:a/b:*")),
            ("user:ann", Some("user/ann")),
            ("github:acme", None),
            ("github:acme/*", None),
            ("github:acme/", None),
            ("gitlab:*/x", None),
            ("issuer=https://id.test", None),
            ("issuer=https://id.test,sub=*", None),
            ("issuer=https://id.test,repository=a/b", None),
            ("issuer=https://id.test,sub=a,sub=b", None),
            ("sub=x", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let found = trust(text);
            assert_eq!(found.is_ok(), expected.is_some(), "{text}");
            if let (Ok(document), Some(part)) = (found, expected) {
                Policy::parse(&document, PolicyKind::Trust).unwrap();
                assert!(document.contains(part), "{document}");
            }
        }
    }
}
