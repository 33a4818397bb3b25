//! The tags that a session gets from the claims of an ID token: which repository, which run, where to look
//! at it.
//!
//! Claims: <https://docs.github.com/en/actions/reference/security/oidc> and
//! <https://docs.gitlab.com/ci/secrets/id_token_authentication/>.

use tidelock_auth::oidc::{ClaimValue, Claims};
use tidelock_store::{REPOSITORY_TAG, RUN_URL_TAG, SUBJECT_TAG};

use super::parameters::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, is_same_key};

/// Claims that become tags of the same name.
const TAGGED: [&str; 13] = [
    "repository",
    "ref",
    "run_id",
    "run_attempt",
    "actor",
    "workflow",
    "environment",
    "event_name",
    "project_path",
    "pipeline_id",
    "job_id",
    "user_login",
    RUN_URL_TAG,
];
const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
const GITHUB: &str = "https://github.com";
/// How the issuer of a GitHub of one's own ends; its pages are at the same host.
const GITHUB_ISSUER_PATH: &str = "/_services/token";

/// The tags of a session that begins with this token; the provider's own wish goes first.
pub(super) fn tags_of(claims: &Claims) -> Vec<(String, String)> {
    let mut tags: Vec<(String, String)> = Vec::new();
    let mut add = |key: &str, value: Option<String>| {
        let fits = |text: &String| {
            let is_short = text.chars().count() <= TAG_VALUE_CHARS_MAX;
            !text.is_empty() && is_short && !text.chars().any(char::is_control)
        };
        let is_new = tags.iter().all(|(known, _)| !is_same_key(known, key));
        if let Some(value) = value.filter(fits)
            && is_new
            && key.chars().count() <= TAG_KEY_CHARS_MAX
        {
            tags.push((key.to_owned(), value));
        }
    };
    for (key, value) in &claims.tags.principal_tags {
        add(key, Some(value.clone()));
    }
    add(SUBJECT_TAG, Some(claims.subject.clone()));
    for name in TAGGED {
        add(name, claim(claims, name).map(str::to_owned));
    }
    add(REPOSITORY_TAG, claim(claims, "project_path").map(str::to_owned));
    add(RUN_URL_TAG, run_url(claims));
    tags
}

/// Where the run of the token is shown.
fn run_url(claims: &Claims) -> Option<String> {
    let issuer = claims.issuer.as_str();
    if let (Some(repository), Some(run)) = (claim(claims, "repository"), claim(claims, "run_id")) {
        let site = match issuer {
            GITHUB_ISSUER => GITHUB,
            own => own.strip_suffix(GITHUB_ISSUER_PATH)?,
        };
        let attempt = match claim(claims, "run_attempt") {
            None | Some("1") => String::new(),
            Some(number) => format!("/attempts/{number}"),
        };
        return Some(format!("{site}/{repository}/actions/runs/{run}{attempt}"));
    }
    let (project, job) = (claim(claims, "project_path")?, claim(claims, "job_id")?);
    Some(format!("{}/{project}/-/jobs/{job}", issuer.trim_end_matches('/')))
}

fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    match claims.values.get(name) {
        Some(ClaimValue::One(text)) => Some(text),
        Some(ClaimValue::Many(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tidelock_auth::oidc::TokenTags;

    use super::*;

    /// An issuer, claims, and the repository and the address that follow.
    type RunRow<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a str>, Option<&'a str>);

    fn claims(issuer: &str, values: &[(&str, &str)]) -> Claims {
        let one = |text: &str| ClaimValue::One(text.to_owned());
        Claims {
            issuer: issuer.to_owned(),
            subject: "sub".to_owned(),
            audiences: vec!["aud".to_owned()],
            authorized_party: None,
            expires: Timestamp::UNIX_EPOCH,
            issued: Timestamp::UNIX_EPOCH,
            values: values.iter().map(|(name, text)| ((*name).to_owned(), one(text))).collect(),
            tags: TokenTags::default(),
        }
    }

    #[test]
    fn runs_are_named_and_have_an_address() {
        let github: &[(&str, &str)] =
            &[("repository", "a/b"), ("run_id", "7"), ("run_attempt", "1")];
        let again: &[(&str, &str)] =
            &[("repository", "a/b"), ("run_id", "7"), ("run_attempt", "2")];
        let gitlab: &[(&str, &str)] = &[("project_path", "g/s/p"), ("job_id", "9")];
        let own = "https://git.test/_services/token";
        let rows: [RunRow<'_>; 7] = [
            (GITHUB_ISSUER, github, Some("a/b"), Some("https://github.com/a/b/actions/runs/7")),
            (
                GITHUB_ISSUER,
                again,
                Some("a/b"),
                Some("https://github.com/a/b/actions/runs/7/attempts/2"),
            ),
            (own, github, Some("a/b"), Some("https://git.test/a/b/actions/runs/7")),
            ("https://id.test", github, Some("a/b"), None),
            (
                "https://gitlab.com",
                gitlab,
                Some("g/s/p"),
                Some("https://gitlab.com/g/s/p/-/jobs/9"),
            ),
            ("https://id.test", &[("run_url", "https://x/1")], None, Some("https://x/1")),
            ("https://id.test", &[("run_url", "https://x/\n1")], None, None),
        ];
        for (issuer, values, repository, run_url) in rows {
            let tags = tags_of(&claims(issuer, values));
            let tag = |key: &str| tags.iter().find(|(it, _)| it == key).map(|(_, it)| it.as_str());
            assert_eq!((tag(REPOSITORY_TAG), tag(RUN_URL_TAG)), (repository, run_url), "{issuer}");
            assert_eq!(tag(SUBJECT_TAG), Some("sub"));
        }
    }

    #[test]
    fn the_providers_tags_go_first() {
        for name in ["repository", "Repository"] {
            let mut claims = claims("https://id.test", &[("repository", "a/b")]);
            claims.tags.principal_tags.insert(name.to_owned(), "other".to_owned());
            let mut tags = tags_of(&claims);
            tags.retain(|(key, _)| key.eq_ignore_ascii_case("repository"));
            assert_eq!(tags, [(name.to_owned(), "other".to_owned())]);
        }
    }
}
