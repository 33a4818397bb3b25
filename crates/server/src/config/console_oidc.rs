//! The identity provider over which people sign in to the console: `--console-oidc`.

use std::path::PathBuf;

use tidelock_store::ACCOUNT_ID;

use super::oidc::{self, URL_RULE};
use super::{ConfigError, Secret};

const NAME: &str = "console-oidc";
/// What is asked for unless told otherwise: who it is, with a name that people read.
const SCOPE_DEFAULT: &str = "openid email profile";
/// The scope without which there is no ID token (OpenID Connect Core, section 3.1.2.1).
const SCOPE_NEEDED: &str = "openid";
/// Longest name on the button, in characters.
const NAME_CHARS_MAX: usize = 64;
const PARTS: &str =
    "issuer=URL,client-id=ID,role=ROLE[,client-secret-file=FILE][,name=NAME][,scope=SCOPES]";

/// Over whom people sign in to the console, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleOidc {
    /// The provider's URL, as its tokens have it.
    pub issuer: String,
    /// What the console is called there.
    pub client_id: String,
    /// What it proves itself with there; none for a public client.
    pub client_secret: Option<Secret>,
    /// Where that was read.
    pub client_secret_file: Option<PathBuf>,
    /// The role that people get; its trust policy says who.
    pub role_arn: String,
    /// What people call the provider.
    pub name: String,
    /// What is asked for, separated by spaces.
    pub scope: String,
}

impl ConsoleOidc {
    /// Reads the setting, and the file of the secret.
    pub(super) fn read(text: &str) -> Result<Self, ConfigError> {
        let parts = Parts::of(text)?;
        let issuer = oidc::issuer_url(parts.required("issuer")?).to_owned();
        if !oidc::is_secure(&issuer) {
            return Err(wrong(&format!("issuer={issuer}: {URL_RULE}")));
        }
        let client_id = parts.required("client-id")?.to_owned();
        let role_arn = role_arn(parts.required("role")?)?;
        let client_secret_file = parts.get("client-secret-file").map(PathBuf::from);
        let client_secret = Secret::read(NAME, None, client_secret_file.as_deref())?;
        let host = issuer.split_once("://").map_or(issuer.as_str(), |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        let name = parts.get("name").unwrap_or(host).to_owned();
        if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            return Err(wrong(&format!("name: takes at most {NAME_CHARS_MAX} characters")));
        }
        let scope = scope(parts.get("scope").unwrap_or(SCOPE_DEFAULT))?;
        Ok(Self { issuer, client_id, client_secret, client_secret_file, role_arn, name, scope })
    }

    /// As it is given, with what was left out.
    pub(super) fn shown(&self) -> String {
        let Self { issuer, client_id, role_arn, name, scope, .. } = self;
        let file = self.client_secret_file.iter();
        let file: String = file.map(|it| format!(",client-secret-file={}", it.display())).collect();
        format!(
            "issuer={issuer},client-id={client_id}{file},role={role_arn},name={name},scope={scope}"
        )
    }
}

/// `NAME=VALUE` of the setting, each at most once.
struct Parts<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, ConfigError> {
        const KNOWN: [&str; 6] =
            ["issuer", "client-id", "client-secret-file", "role", "name", "scope"];
        let mut parts: Vec<(&str, &str)> = Vec::new();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            let is_twice = parts.iter().any(|(known, _)| *known == name);
            if !KNOWN.contains(&name) || value.is_empty() || is_twice {
                return Err(wrong(&format!("{name:?}: takes {PARTS}")));
            }
            parts.push((name, value));
        }
        Ok(Self(parts))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn required(&self, name: &str) -> Result<&'a str, ConfigError> {
        self.get(name).ok_or_else(|| wrong(&format!("{name} is missing: takes {PARTS}")))
    }
}

/// The ARN of a role that is given by it or by its name.
fn role_arn(text: &str) -> Result<String, ConfigError> {
    let prefix = format!("arn:aws:iam::{ACCOUNT_ID}:role/");
    let name = text.strip_prefix(&prefix).unwrap_or(text);
    if name.is_empty() || name.contains([':', '/']) {
        return Err(wrong(&format!("role={text}: takes a role's name, or {prefix}NAME")));
    }
    Ok(format!("{prefix}{name}"))
}

/// Scopes as OAuth writes them (RFC 6749, section 3.3).
fn scope(text: &str) -> Result<String, ConfigError> {
    let is_plain =
        text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte));
    if !is_plain || !text.split(' ').any(|scope| scope == SCOPE_NEEDED) {
        let rule = format!("takes scopes with spaces between, {SCOPE_NEEDED} among them");
        return Err(wrong(&format!("scope={text}: {rule}")));
    }
    Ok(text.to_owned())
}

fn wrong(reason: &str) -> ConfigError {
    ConfigError::Value { name: NAME, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn settings_are_whole_or_refused() {
        let all = "issuer=https://id.test/realm,client-id=console,role=viewer";
        let arn = "arn:aws:iam::000000000000:role/viewer";
        let shown = format!(
            "issuer=https://id.test/realm,client-id=console,role={arn},name=id.test,scope={SCOPE_DEFAULT}"
        );
        let more = |more: &str| format!("{all},{more}");
        let of_role = |role: &str| format!("issuer=gitlab,client-id=c,role={role}");
        let gitlab = format!(
            "issuer=https://gitlab.com,client-id=c,role={arn},name=gitlab.com,scope={SCOPE_DEFAULT}"
        );
        let rows = [
            (all.to_owned(), Some(shown.clone())),
            (all.replace(',', ", "), Some(shown.clone())),
            (of_role(arn), Some(gitlab)),
            (
                more("name=Our id,scope=openid groups"),
                Some(
                    shown
                        .replace("name=id.test", "name=Our id")
                        .replace(SCOPE_DEFAULT, "openid groups"),
                ),
            ),
            (more("scope=email"), None),
            (more("scope=openid \""), None),
            (more("name="), None),
            (more("client-id=twice"), None),
            (more("client_id=x"), None),
            (more(&format!("name={}", "n".repeat(NAME_CHARS_MAX + 1))), None),
            (more("client-secret-file=/nowhere/at/all"), None),
            (of_role("arn:aws:iam::111111111111:role/viewer"), None),
            (of_role("a/b"), None),
            (all.replace("https", "http"), None),
            ("issuer=https://id.test,role=viewer".to_owned(), None),
            ("client-id=c,role=viewer".to_owned(), None),
            ("issuer=https://id.test,client-id=c".to_owned(), None),
            (String::new(), None),
        ];
        for (text, expected) in rows {
            let read = ConsoleOidc::read(&text).map(|it| it.shown());
            assert_eq!(read.as_ref().ok(), expected.as_ref(), "{text}: {read:?}");
        }
    }

    #[test]
    fn the_secret_is_read_and_not_shown() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"correct horse\n").unwrap();
        let path = file.path().display();
        let text = format!("issuer=gitlab,client-id=c,role=r,client-secret-file={path}");
        let read = ConsoleOidc::read(&text).unwrap();
        assert_eq!(read.client_secret.as_ref().unwrap().expose(), "correct horse");
        assert!(read.shown().contains(&format!("client-secret-file={path},")));
        assert!(!format!("{read:?}{}", read.shown()).contains("horse"));
    }
}
