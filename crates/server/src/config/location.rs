//! Where rows and bodies are, as the operator names it. A name is parsed and checked here; nothing is
//! opened. Printing one shows no password and no secret of a query.

use std::fmt;
use std::path::{Path, PathBuf};

use tidelock_meta::postgres::PostgresOptions;

use super::{ConfigError, Secret};

/// How PostgreSQL's URLs begin.
const POSTGRES_SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// How the URLs of object stores begin.
const OBJECT_STORE_SCHEMES: [&str; 4] = ["s3://", "gs://", "az://", "file://"];
/// Variables that object stores read, by how their names begin.
const OBJECT_STORE_VARIABLES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];
/// What the name of a query parameter that is nobody's business contains.
const SECRET_WORDS: [&str; 6] = ["secret", "password", "token", "key", "sig", "credential"];

/// Where rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetaLocation {
    /// In the data directory of this machine.
    Local,
    /// In memory, gone with the process.
    Memory,
    /// In a PostgreSQL that several servers share.
    Postgres(PostgresUrl),
}

/// Where bodies too large for a commit are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobLocation {
    /// In the data directory of this machine.
    Local,
    /// In memory, gone with the process.
    Memory,
    /// As rows, where all rows are.
    Postgres,
    /// In an object store, or in a directory that several servers share.
    ObjectStore(ObjectStoreUrl),
}

/// The URL of a PostgreSQL that was parsed once; printed without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    text: Secret,
    shown: String,
}

/// `s3://`, `gs://`, `az://` or `file://`; printed without what its query may hide.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectStoreUrl(Secret);

/// Variables of the environment that object stores read: credentials, regions, endpoints.
#[derive(Clone, Default)]
pub struct ObjectStoreVariables(Vec<(String, String)>);

impl MetaLocation {
    /// Reads the value of `--meta`.
    ///
    /// # Errors
    /// [`ConfigError::Value`]: no engine has that name, or PostgreSQL's URL is none.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        match text {
            "local" => Ok(Self::Local),
            "memory" => Ok(Self::Memory),
            url if is_postgres(url) => PostgresUrl::parse(url).map(Self::Postgres),
            other => Err(ConfigError::Value {
                name: "meta",
                reason: format!(
                    "'{}' is not local, memory or postgres://...",
                    without_secrets(other)
                ),
            }),
        }
    }
}

impl BlobLocation {
    /// Reads the value of `--blobs`.
    ///
    /// # Errors
    /// [`ConfigError::Value`]: no store has that name.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        match text {
            "local" => Ok(Self::Local),
            "memory" => Ok(Self::Memory),
            "postgres" => Ok(Self::Postgres),
            url if begins_with_any(url, &OBJECT_STORE_SCHEMES) => {
                Ok(Self::ObjectStore(ObjectStoreUrl(Secret::new(url.to_owned()))))
            }
            other => Err(ConfigError::Value {
                name: "blobs",
                reason: format!(
                    "'{}' is not local, memory, postgres, s3://, gs://, az:// or file://",
                    without_secrets(other)
                ),
            }),
        }
    }

    /// The given one, if it goes with `meta`; else the one that does.
    ///
    /// # Errors
    /// [`ConfigError::Value`] says why the two do not go together.
    pub fn beside(meta: &MetaLocation, given: Option<Self>) -> Result<Self, ConfigError> {
        let Some(blobs) = given else {
            return Ok(match meta {
                MetaLocation::Local => Self::Local,
                MetaLocation::Memory => Self::Memory,
                MetaLocation::Postgres(_) => Self::Postgres,
            });
        };
        let reason = match (meta, &blobs) {
            (_, Self::ObjectStore(_))
            | (MetaLocation::Local, Self::Local)
            | (MetaLocation::Memory, Self::Memory)
            | (MetaLocation::Postgres(_), Self::Postgres) => return Ok(blobs),
            (MetaLocation::Postgres(_), Self::Local | Self::Memory) => {
                "with PostgreSQL the bodies must be where every server reaches them: postgres, \
                 s3://, gs://, az:// or a file:// that all of them mount"
            }
            (MetaLocation::Local | MetaLocation::Memory, Self::Postgres) => {
                "postgres needs --meta postgres://..., whose rows the bodies become"
            }
            (MetaLocation::Local, Self::Memory) => {
                "memory would lose the bodies of rows that stay: it goes with --meta memory"
            }
            (MetaLocation::Memory, Self::Local) => {
                "local would keep bodies of rows that are lost: it goes with --meta local"
            }
        };
        Err(ConfigError::Value { name: "blobs", reason: reason.to_owned() })
    }
}

/// Where a whole store is that `tidelock admin copy` reads or writes: a data directory, or the URL of
/// a PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// A data directory of this machine.
    Directory(PathBuf),
    /// Rows in PostgreSQL.
    Postgres(PostgresUrl),
}

impl StoreLocation {
    /// A URL of PostgreSQL, or else the path of a data directory.
    ///
    /// # Errors
    /// [`ConfigError::Value`]: the URL is none.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if is_postgres(text) {
            return PostgresUrl::parse(text).map(Self::Postgres);
        }
        if text.contains("://") {
            let shown = without_secrets(text);
            let reason = format!("'{shown}' is neither a data directory nor postgres://...");
            return Err(ConfigError::Value { name: "copy", reason });
        }
        Ok(Self::Directory(PathBuf::from(text)))
    }

    /// The same as `--meta` has it.
    pub fn meta(&self) -> MetaLocation {
        match self {
            Self::Directory(_) => MetaLocation::Local,
            Self::Postgres(url) => MetaLocation::Postgres(url.clone()),
        }
    }

    /// The data directory; none of a store that is in none.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

impl PostgresUrl {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let options = PostgresOptions::parse(text)
            .map_err(|error| ConfigError::Value { name: "meta", reason: error.to_string() })?;
        Ok(Self { text: Secret::new(text.to_owned()), shown: options.to_string() })
    }

    /// The URL with its password, for what connects.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }
}

impl ObjectStoreUrl {
    /// The URL as it was given, for what opens it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl ObjectStoreVariables {
    /// Those of `all` that object stores read.
    pub fn of(all: impl IntoIterator<Item = (String, String)>) -> Self {
        let wanted = |(name, _): &(String, String)| begins_with_any(name, &OBJECT_STORE_VARIABLES);
        Self(all.into_iter().filter(wanted).collect())
    }

    /// Names and values.
    pub fn expose(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.0.iter().cloned()
    }
}

impl fmt::Debug for ObjectStoreVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|(name, _)| name).collect();
        f.debug_tuple("ObjectStoreVariables").field(&names).finish()
    }
}

impl fmt::Display for MetaLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Memory => f.write_str("memory"),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for BlobLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Memory => f.write_str("memory"),
            Self::Postgres => f.write_str("postgres"),
            Self::ObjectStore(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for ObjectStoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(self.expose()))
    }
}

impl fmt::Debug for ObjectStoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_postgres(text: &str) -> bool {
    begins_with_any(text, &POSTGRES_SCHEMES)
}

fn begins_with_any(text: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| text.starts_with(beginning))
}

/// A URL without its user's password and without the values of parameters that sound secret. What is
/// neither a URL nor a plain word is not shown: nobody knows where its secrets are.
fn without_secrets(text: &str) -> String {
    if !text.contains("://") {
        let plain = |it: char| it.is_ascii_alphanumeric() || "-_./".contains(it);
        return if text.chars().all(plain) { text.to_owned() } else { "***".to_owned() };
    }
    let url = without_password(text);
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (url.as_str(), None),
    };
    let mut shown = address.to_owned();
    for (index, parameter) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, _)) if sounds_secret(name) => {
                shown.push_str(name);
                shown.push_str("=***");
            }
            Some(_) | None => shown.push_str(parameter),
        }
    }
    shown
}

/// Up to the last `@`, wherever it is: a password that was not encoded may have `/`, `?` and `@` in it.
fn without_password(url: &str) -> String {
    let hidden = url.split_once("://").and_then(|(scheme, rest)| {
        let (credentials, place) = rest.rsplit_once('@')?;
        let (user, _) = credentials.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{place}"))
    });
    hidden.unwrap_or_else(|| url.to_owned())
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTGRES: &str = "postgres://tide:lock@a.test,b.test/states";

    fn check(meta: &str, blobs: Option<&str>, expected: &str) {
        let settled = MetaLocation::parse(meta).and_then(|meta| {
            let blobs = blobs.map(BlobLocation::parse).transpose()?;
            BlobLocation::beside(&meta, blobs)
        });
        match settled {
            Ok(blobs) => assert_eq!(blobs.to_string(), expected, "{meta} {blobs:?}"),
            Err(error) => assert!(error.to_string().contains(expected), "{error}: {expected:?}"),
        }
    }

    #[test]
    fn bodies_are_where_the_rows_servers_reach_them() {
        let rows: &[(&str, Option<&str>, &str)] = &[
            ("local", None, "local"),
            ("memory", None, "memory"),
            (POSTGRES, None, "postgres"),
            ("local", Some("s3://bucket/prefix"), "s3://bucket/prefix"),
            (POSTGRES, Some("file:///shared"), "file:///shared"),
            (POSTGRES, Some("local"), "every server reaches"),
            (POSTGRES, Some("memory"), "every server reaches"),
            ("local", Some("postgres"), "needs --meta postgres://"),
            ("local", Some("memory"), "would lose the bodies"),
            ("memory", Some("local"), "goes with --meta local"),
            ("locl", None, "'locl' is not local, memory or postgres://"),
            ("mysql://u:secret@h/d", None, "'mysql://u:***@h/d'"),
            ("mysql://u:se/c?r@et@h/d", None, "'mysql://u:***@h/d'"),
            ("host=h password=secret", None, "'***' is not local"),
            ("u:secret@h/d", None, "'***' is not local"),
            ("local", Some("ftp://x"), "'ftp://x' is not local"),
            ("postgres://", None, "meta: "),
        ];
        for (meta, blobs, expected) in rows {
            check(meta, *blobs, expected);
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let rows = [
            (
                "s3://bucket/p?region=eu&endpoint=http://h",
                "s3://bucket/p?region=eu&endpoint=http://h",
            ),
            ("s3://id:hidden@bucket/p", "s3://id:***@bucket/p"),
            ("s3://id:hid/den@bucket/p?x=1", "s3://id:***@bucket/p?x=1"),
            ("s3://bucket/a@b", "s3://bucket/a@b"),
            ("az://c/p?sas_token=hidden&x=1", "az://c/p?sas_token=***&x=1"),
            ("s3://b?secret_access_key=hidden", "s3://b?secret_access_key=***"),
        ];
        for (url, shown) in rows {
            let location = BlobLocation::parse(url).unwrap();
            assert_eq!(location.to_string(), shown);
            assert!(!format!("{location:?}").contains("hidden"));
        }
        let meta = MetaLocation::parse(POSTGRES).unwrap();
        assert!(!meta.to_string().contains("lock@") && !format!("{meta:?}").contains("lock@"));
        let variables = ObjectStoreVariables::of([
            ("AWS_SECRET_ACCESS_KEY".to_owned(), "hidden".to_owned()),
            ("HOME".to_owned(), "x".to_owned()),
        ]);
        assert_eq!(variables.expose().count(), 1);
        assert!(!format!("{variables:?}").contains("hidden"));
    }

    #[test]
    fn a_store_is_a_directory_or_a_url() {
        let rows = [("./data", true), ("memory", true), (POSTGRES, false)];
        for (text, is_directory) in rows {
            let location = StoreLocation::parse(text).unwrap();
            assert_eq!(location.directory().is_some(), is_directory, "{text}");
        }
        StoreLocation::parse("s3://bucket").unwrap_err();
    }
}
