//! Where to connect and as whom: the standard AWS variables and profile files.
//!
//! The caller passes the environment in, as a function, so this file reads none itself. Only the
//! files that the environment names are opened. Source of the names and their order: the AWS SDKs
//! and Tools Reference Guide, "Settings reference".

mod profile;

use std::path::{Path, PathBuf};

use http::Uri;
use profile::Profile;

/// Region of the credential scope when nobody names one.
const REGION_DEFAULT: &str = "us-east-1";

/// Everything a client needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Scheme and authority of the endpoint; a path on it is refused.
    pub endpoint: Uri,
    /// Region of the credential scope.
    pub region: String,
    /// Who signs.
    pub credentials: Credentials,
    /// PEM file with certificates to trust besides the machine's own.
    pub ca_bundle: Option<PathBuf>,
}

/// A key pair, with the token that temporary ones carry.
#[derive(Clone)]
pub struct Credentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish()
    }
}

/// What the command line says; wins over environment and files.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--endpoint`
    pub endpoint: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--ca-bundle`
    pub ca_bundle: Option<PathBuf>,
}

/// Why there are no settings to work with.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Nobody says where to connect.
    #[error("no endpoint: give --endpoint, AWS_ENDPOINT_URL_S3 or endpoint_url in the profile")]
    NoEndpoint,
    /// The endpoint is not `http://HOST[:PORT]` or `https://HOST[:PORT]`.
    #[error("endpoint '{0}' is not http://HOST[:PORT] or https://HOST[:PORT]")]
    Endpoint(String),
    /// Nobody says who signs.
    #[error(
        "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE and a \
         credentials file"
    )]
    NoCredentials,
    /// The profile that was asked for is in no file.
    #[error("profile '{0}' is neither in the credentials file nor in the config file")]
    NoProfile(String),
    /// A file that was named cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Looks up an environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// Overrides over environment over profile files.
    ///
    /// # Errors
    /// See [`SettingsError`]; each says what to set.
    pub fn resolve(overrides: Overrides, env: Env<'_>) -> Result<Self, SettingsError> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let profile = profile(overrides.profile.clone(), &env)?;
        let endpoint = overrides
            .endpoint
            .or_else(|| env("AWS_ENDPOINT_URL_S3"))
            .or_else(|| env("AWS_ENDPOINT_URL"))
            .or_else(|| profile.endpoint())
            .ok_or(SettingsError::NoEndpoint)?;
        let region = overrides
            .region
            .or_else(|| env("AWS_REGION"))
            .or_else(|| env("AWS_DEFAULT_REGION"))
            .or_else(|| profile.value("region"))
            .unwrap_or_else(|| REGION_DEFAULT.to_owned());
        // Like the AWS CLI: a profile named on the command line hides the variables' key pair.
        let from_env = if overrides.profile.is_some() { None } else { env_credentials(&env) };
        let ca_bundle = overrides
            .ca_bundle
            .or_else(|| env("AWS_CA_BUNDLE").map(PathBuf::from))
            .or_else(|| profile.value("ca_bundle").map(PathBuf::from));
        Ok(Self {
            endpoint: parse_endpoint(&endpoint)?,
            region,
            credentials: from_env
                .or_else(|| profile.credentials())
                .ok_or(SettingsError::NoCredentials)?,
            ca_bundle,
        })
    }
}

fn env_credentials(env: Env<'_>) -> Option<Credentials> {
    Some(Credentials {
        access_key_id: env("AWS_ACCESS_KEY_ID")?,
        secret_access_key: env("AWS_SECRET_ACCESS_KEY")?,
        session_token: env("AWS_SESSION_TOKEN"),
    })
}

fn profile(asked: Option<String>, env: Env<'_>) -> Result<Profile, SettingsError> {
    let asked = asked.or_else(|| env("AWS_PROFILE"));
    let home = env("HOME").map(PathBuf::from);
    let file = |variable: &str, name: &str| {
        let path = env(variable).map(PathBuf::from);
        path.or_else(|| home.as_ref().map(|home| home.join(".aws").join(name)))
    };
    let credentials = read(file("AWS_SHARED_CREDENTIALS_FILE", "credentials").as_deref())?;
    let config = read(file("AWS_CONFIG_FILE", "config").as_deref())?;
    let name = asked.as_deref().unwrap_or("default");
    let profile = Profile::parse(name, &credentials, &config);
    if asked.is_some() && profile.is_empty() {
        return Err(SettingsError::NoProfile(name.to_owned()));
    }
    Ok(profile)
}

/// A file that is not there is an empty one, as it is to the AWS tools.
fn read(path: Option<&Path>) -> Result<String, SettingsError> {
    let Some(path) = path else { return Ok(String::new()) };
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(SettingsError::Read { path: path.to_owned(), source }),
    }
}

fn parse_endpoint(text: &str) -> Result<Uri, SettingsError> {
    let refused = || SettingsError::Endpoint(text.to_owned());
    let uri: Uri = text.parse().map_err(|_invalid| refused())?;
    let scheme = uri.scheme_str().is_some_and(|scheme| scheme == "http" || scheme == "https");
    let bare = uri.path() == "/" && uri.query().is_none();
    let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if scheme && bare && plain { Ok(uri) } else { Err(refused()) }
}

#[cfg(test)]
mod tests;
