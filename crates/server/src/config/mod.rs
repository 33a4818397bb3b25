//! What the operator meant: flags over environment over file over defaults, checked as a whole.
//!
//! Settings are data here; nothing is opened, bound or generated. Printing a [`Config`] shows no
//! secret.

mod console_oidc;
mod effective;
mod layer;
mod location;
mod network;
mod oidc;
mod secret;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidelock_store::BucketName;

pub use console_oidc::ConsoleOidc;
pub use effective::{EffectiveSetting, SettingSource};
pub use location::{
    BlobLocation, MetaLocation, ObjectStoreUrl, ObjectStoreVariables, PostgresUrl, StoreLocation,
};
pub use network::Network;
pub use oidc::OidcIssuer;
pub(crate) use oidc::is_secure as is_secure_url;
pub use secret::Secret;

use crate::args::{LogFormat, ServeArgs};
use crate::private_file::CREDENTIALS_DIRECTORY;

/// Where a server keeps its data unless told otherwise, below the directory that it is started in.
pub const DATA_DEFAULT: &str = "./tidelock-data";
/// Loopback, because nothing is safe on a network before TLS is set up.
const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);
/// The region clients name when they have no opinion.
const REGION_DEFAULT: &str = "us-east-1";
/// Name of the keyring file in the data directory, and among the credentials of systemd.
const KEYRING_FILE: &str = "keyring";
/// Enough for a large CI fleet with pooled connections, below usual descriptor limits.
const CONNECTIONS_MAX_DEFAULT: usize = 4096;
/// Bounds memory: each request in work holds a few buffers of at most 1 MiB.
const REQUESTS_MAX_DEFAULT: usize = 1024;
/// No client uses a server up alone; many may be behind one address.
const CLIENT_FRACTION_DEFAULT: usize = 2;
/// No key does, and neither do two or three.
const KEY_FRACTION_DEFAULT: usize = 4;
const HEADER_TIMEOUT_S_DEFAULT: u64 = 60;
const BODY_TIMEOUT_S_DEFAULT: u64 = 60;
const AUDIT_RETENTION_DAYS_DEFAULT: u64 = 400;
/// A hundred years: nobody means more.
const AUDIT_RETENTION_DAYS_MAX: u64 = 36_500;
const AUDIT_BYTES_MAX_DEFAULT: u64 = 1 << 30;
/// Less would drop what was just written.
const AUDIT_BYTES_MAX_LEAST: u64 = 1 << 20;
const DAY_S: u64 = 24 * 3600;
/// Nobody means a timeout of more than an hour.
const TIMEOUT_S_MAX: u64 = 3600;
/// AWS: access key ids have 16-128 characters; shorter root ids are allowed for home labs.
const ACCESS_KEY_LENGTH: std::ops::RangeInclusive<usize> = 3..=128;
/// A root secret shorter than this is refused.
const SECRET_LENGTH_MIN: usize = 8;

/// A checked configuration of one server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of all data; of one server's own files where the data is elsewhere.
    pub data: PathBuf,
    /// Where rows are.
    pub meta: MetaLocation,
    /// Where bodies too large for a commit are.
    pub blobs: BlobLocation,
    /// What the environment says about object stores; `serve` fills it.
    pub object_store_variables: ObjectStoreVariables,
    /// Whether a PostgreSQL may be used whose replication can lose acknowledged writes.
    pub accept_unsafe_replication: bool,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Certificate and key, when the listener speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Base host names of virtual-host style requests, lowercase.
    pub domains: Vec<String>,
    /// Region that buckets are in.
    pub region: String,
    /// Bucket to make at start.
    pub bootstrap: Option<BucketName>,
    /// File with the keys that wrap all data keys.
    pub keyring: PathBuf,
    /// Whether conditional requests are answered exactly as AWS does.
    pub strict_aws_conditions: bool,
    /// Whether buckets are made with access control lists where a request does not say.
    pub enable_acls: bool,
    /// Whether Signature Version 2 is taken in headers.
    pub allow_signature_v2: bool,
    /// Identity providers whose tokens are taken for roles.
    pub oidc_issuers: Vec<OidcIssuer>,
    /// Over whom people sign in to the console without a key.
    pub console_oidc: Option<ConsoleOidc>,
    /// Proxies whose word is taken for where a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// Root's key pair, when the operator gives one.
    pub root: Option<RootCredentials>,
    /// Bearer token of `/_/metrics`.
    pub metrics_token: Option<Secret>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Log filter directives.
    pub log_level: String,
    /// What the listener takes on at once, and for how long.
    pub limits: ListenerLimits,
    /// What is kept of the audit log.
    pub audit: AuditLimits,
}

/// What is kept of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLimits {
    /// Entries are kept for this long,
    pub retention: Duration,
    /// and no more than so many bytes of them.
    pub bytes_max: u64,
}

/// Where certificate chain and private key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file with the certificate chain, the server's own first.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// The key pair of root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCredentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: Secret,
}

/// What the listener takes on at once, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections open at once.
    pub connections_max: usize,
    /// Requests in work at once,
    pub requests_max: usize,
    /// of these from one client,
    pub requests_max_per_client: usize,
    /// and signed with one access key other than root's.
    pub requests_max_per_key: usize,
    /// Time for a TLS handshake and for the headers of a request.
    pub header_timeout: Duration,
    /// Longest pause of a client in the middle of a body, sent or received.
    pub body_timeout: Duration,
}

/// Why the settings make no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable has a value that its flag would refuse.
    #[error("environment: {reason}")]
    Environment {
        /// What the flag's parser said.
        reason: String,
    },
    /// The TOML file is malformed or has an unknown key.
    #[error("configuration file {}: {reason}", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file named by a setting cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A secret's file is empty.
    #[error("{name}: {} is empty", path.display())]
    Empty {
        /// The setting.
        name: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Two settings exclude each other.
    #[error("{first} and {second} exclude each other")]
    Both {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A setting needs another one.
    #[error("{first} needs {second}")]
    Needs {
        /// The setting that was given.
        first: &'static str,
        /// The setting that is missing.
        second: &'static str,
    },
    /// The listener would send credentials and state over a network in the clear.
    #[error(
        "{listen} is reachable by other machines and has no TLS: give --tls-cert and --tls-key, or \
         --allow-plain-http if something in front of it speaks TLS"
    )]
    PlainHttp {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// A value is out of its range.
    #[error("{name}: {reason}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Config {
    /// Settles `args` with the environment and the file they name.
    ///
    /// # Errors
    /// [`ConfigError`] says which setting is wrong and what to do about it.
    pub fn resolve(
        args: ServeArgs,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let above_file = args.or(layer::from_env(env)?);
        let file = Self::file_layer(above_file.config.as_ref())?;
        Self::from_layers(above_file.or(file), env)
    }

    fn from_layers(
        mut args: ServeArgs,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        args.keyring = args.keyring.or_else(|| credential(env));
        Self::from_args(args)
    }

    fn file_layer(path: Option<&PathBuf>) -> Result<ServeArgs, ConfigError> {
        let Some(path) = path else { return Ok(ServeArgs::default()) };
        let reason = |reason| ConfigError::File { path: path.clone(), reason };
        layer::from_toml(&read_text(path)?).map_err(reason)
    }

    fn from_args(args: ServeArgs) -> Result<Self, ConfigError> {
        let root = root_credentials(&args)?;
        let metrics_token = Secret::read(
            "metrics-token",
            args.metrics_token.clone(),
            args.metrics_token_file.as_deref(),
        )?;
        let limits = listener_limits(&args)?;
        let audit = audit_limits(&args)?;
        let tls = match (args.tls_cert, args.tls_key) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (Some(_), None) => return Err(needs("tls-cert", "tls-key")),
            (None, Some(_)) => return Err(needs("tls-key", "tls-cert")),
            (None, None) => None,
        };
        let listen = args.listen.unwrap_or(LISTEN_DEFAULT);
        let plain_allowed = args.allow_plain_http.unwrap_or(false);
        if tls.is_none() && !listen.ip().is_loopback() && !plain_allowed {
            return Err(ConfigError::PlainHttp { listen });
        }
        let meta = meta(args.meta.clone(), args.meta_file.as_deref())?;
        let blobs = args.blobs.as_deref().map(BlobLocation::parse).transpose()?;
        let blobs = BlobLocation::beside(&meta, blobs)?;
        let accept_unsafe_replication = args.accept_unsafe_replication.unwrap_or(false);
        if accept_unsafe_replication && !matches!(meta, MetaLocation::Postgres(_)) {
            return Err(needs("accept-unsafe-replication", "--meta postgres://..."));
        }
        let data = args.data.unwrap_or_else(|| PathBuf::from(DATA_DEFAULT));
        Ok(Self {
            keyring: args.keyring.unwrap_or_else(|| data.join(KEYRING_FILE)),
            data,
            meta,
            blobs,
            object_store_variables: ObjectStoreVariables::default(),
            accept_unsafe_replication,
            listen,
            tls,
            domains: args.domain.into_iter().map(domain).collect::<Result<_, _>>()?,
            region: region(args.region.unwrap_or_else(|| REGION_DEFAULT.to_owned()))?,
            bootstrap: args.bootstrap.as_deref().map(bucket).transpose()?,
            strict_aws_conditions: args.strict_aws_conditions.unwrap_or(false),
            enable_acls: args.enable_acls.unwrap_or(false),
            allow_signature_v2: args.allow_signature_v2.unwrap_or(false),
            oidc_issuers: oidc::issuers(&args.oidc_issuer)?,
            console_oidc: args.console_oidc.as_deref().map(ConsoleOidc::read).transpose()?,
            trusted_proxies: network::proxies(&args.trusted_proxy)?,
            root,
            metrics_token,
            log_format: args.log_format.unwrap_or_default(),
            log_level: args.log_level.unwrap_or_else(|| "info".to_owned()),
            limits,
            audit,
        })
    }

    /// The settings that are in force, under the keys of the TOML file and in its form; secrets as
    /// `(set)`.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("data", format!("{:?}", self.data)),
            ("meta", format!("{:?}", self.meta.to_string())),
            ("blobs", format!("{:?}", self.blobs.to_string())),
        ];
        let mut set = |key, value: String| settings.push((key, value));
        if self.accept_unsafe_replication {
            set("accept_unsafe_replication", "true".to_owned());
        }
        set("listen", format!("\"{}\"", self.listen));
        if let Some(tls) = &self.tls {
            set("tls_cert", format!("{:?}", tls.cert));
            set("tls_key", format!("{:?}", tls.key));
        }
        set("domain", format!("{:?}", self.domains));
        set("region", format!("{:?}", self.region));
        if let Some(bucket) = &self.bootstrap {
            set("bootstrap", format!("{:?}", bucket.as_str()));
        }
        set("keyring", format!("{:?}", self.keyring));
        set("strict_aws_conditions", self.strict_aws_conditions.to_string());
        set("enable_acls", self.enable_acls.to_string());
        set("allow_signature_v2", self.allow_signature_v2.to_string());
        if !self.oidc_issuers.is_empty() {
            let named = self.oidc_issuers.iter();
            let one = |it: &OidcIssuer| {
                it.audiences.iter().map(move |to| format!("{}={to}", it.url)).collect::<Vec<_>>()
            };
            set("oidc_issuer", format!("{:?}", named.flat_map(one).collect::<Vec<_>>()));
        }
        if let Some(console) = &self.console_oidc {
            set("console_oidc", format!("{:?}", console.shown()));
        }
        if !self.trusted_proxies.is_empty() {
            let shown: Vec<_> = self.trusted_proxies.iter().map(Network::to_string).collect();
            set("trusted_proxy", format!("{shown:?}"));
        }
        if let Some(root) = &self.root {
            set("root_access_key", format!("{:?}", root.access_key));
            set("root_secret_key", format!("{:?}", root.secret_key));
        }
        if let Some(token) = &self.metrics_token {
            set("metrics_token", format!("{token:?}"));
        }
        set("log_format", format!("\"{}\"", self.log_format));
        set("log_level", format!("{:?}", self.log_level));
        set("connections_max", self.limits.connections_max.to_string());
        set("requests_max", self.limits.requests_max.to_string());
        set("requests_max_per_client", self.limits.requests_max_per_client.to_string());
        set("requests_max_per_key", self.limits.requests_max_per_key.to_string());
        set("header_timeout_s", self.limits.header_timeout.as_secs().to_string());
        set("body_timeout_s", self.limits.body_timeout.as_secs().to_string());
        set("audit_retention", (self.audit.retention.as_secs() / DAY_S).to_string());
        set("audit_bytes_max", self.audit.bytes_max.to_string());
        settings
    }

    /// All providers whose tokens are taken: those that are named, and the console's for the console.
    pub(crate) fn token_issuers(&self) -> Vec<OidcIssuer> {
        let mut issuers = self.oidc_issuers.clone();
        if let Some(console) = &self.console_oidc {
            oidc::add(&mut issuers, &console.issuer, &console.client_id);
        }
        issuers
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

impl fmt::Display for Config {
    /// One `key = value` line per setting, in the form of the TOML file; secrets as `(set)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings().iter().try_for_each(|(key, value)| writeln!(f, "{key} = {value}"))
    }
}

/// The keyring that systemd hands to the service, if it does.
fn credential(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let directory = env(CREDENTIALS_DIRECTORY).filter(|directory| !directory.is_empty())?;
    Some(PathBuf::from(directory).join(KEYRING_FILE)).filter(|path| path.exists())
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

fn meta(value: Option<String>, file: Option<&Path>) -> Result<MetaLocation, ConfigError> {
    let given = Secret::read("meta", value, file)?;
    given.map_or(Ok(MetaLocation::Local), |given| MetaLocation::parse(given.expose()))
}

fn root_credentials(args: &ServeArgs) -> Result<Option<RootCredentials>, ConfigError> {
    let access = Secret::read(
        "root-access-key",
        args.root_access_key.clone(),
        args.root_access_key_file.as_deref(),
    )?;
    let secret = Secret::read(
        "root-secret-key",
        args.root_secret_key.clone(),
        args.root_secret_key_file.as_deref(),
    )?;
    match (access, secret) {
        (Some(access), Some(secret)) => {
            let access_key = access.expose().to_owned();
            let plain = access_key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !plain || !ACCESS_KEY_LENGTH.contains(&access_key.len()) {
                let reason = format!("takes {ACCESS_KEY_LENGTH:?} letters, digits and '_'");
                return Err(ConfigError::Value { name: "root-access-key", reason });
            }
            if secret.expose().len() < SECRET_LENGTH_MIN {
                let reason = format!("must have at least {SECRET_LENGTH_MIN} characters");
                return Err(ConfigError::Value { name: "root-secret-key", reason });
            }
            Ok(Some(RootCredentials { access_key, secret_key: secret }))
        }
        (Some(_), None) => Err(needs("root-access-key", "root-secret-key")),
        (None, Some(_)) => Err(needs("root-secret-key", "root-access-key")),
        (None, None) => Ok(None),
    }
}

fn needs(first: &'static str, second: &'static str) -> ConfigError {
    ConfigError::Needs { first, second }
}

fn listener_limits(args: &ServeArgs) -> Result<ListenerLimits, ConfigError> {
    let requests_max = positive("requests-max", args.requests_max)?.unwrap_or(REQUESTS_MAX_DEFAULT);
    let share = |name, given, fraction: usize| {
        Ok::<_, ConfigError>(positive(name, given)?.unwrap_or((requests_max / fraction).max(1)))
    };
    Ok(ListenerLimits {
        connections_max: positive("connections-max", args.connections_max)?
            .unwrap_or(CONNECTIONS_MAX_DEFAULT),
        requests_max,
        requests_max_per_client: share(
            "requests-max-per-client",
            args.requests_max_per_client,
            CLIENT_FRACTION_DEFAULT,
        )?,
        requests_max_per_key: share(
            "requests-max-per-key",
            args.requests_max_per_key,
            KEY_FRACTION_DEFAULT,
        )?,
        header_timeout: timeout(
            "header-timeout-s",
            args.header_timeout_s.unwrap_or(HEADER_TIMEOUT_S_DEFAULT),
        )?,
        body_timeout: timeout(
            "body-timeout-s",
            args.body_timeout_s.unwrap_or(BODY_TIMEOUT_S_DEFAULT),
        )?,
    })
}

fn audit_limits(args: &ServeArgs) -> Result<AuditLimits, ConfigError> {
    let days = args.audit_retention.unwrap_or(AUDIT_RETENTION_DAYS_DEFAULT);
    if !(1..=AUDIT_RETENTION_DAYS_MAX).contains(&days) {
        let reason = format!("must be 1 to {AUDIT_RETENTION_DAYS_MAX} days");
        return Err(ConfigError::Value { name: "audit-retention", reason });
    }
    let bytes_max = args.audit_bytes_max.unwrap_or(AUDIT_BYTES_MAX_DEFAULT);
    if bytes_max < AUDIT_BYTES_MAX_LEAST {
        let reason = format!("must be {AUDIT_BYTES_MAX_LEAST} or more");
        return Err(ConfigError::Value { name: "audit-bytes-max", reason });
    }
    Ok(AuditLimits { retention: Duration::from_secs(days * DAY_S), bytes_max })
}

fn positive(name: &'static str, value: Option<usize>) -> Result<Option<usize>, ConfigError> {
    // A semaphore counts to this; nobody needs more.
    let most = u32::MAX as usize;
    if value.is_some_and(|value| value == 0 || value > most) {
        return Err(ConfigError::Value { name, reason: format!("must be 1 to {most}") });
    }
    Ok(value)
}

fn timeout(name: &'static str, seconds: u64) -> Result<Duration, ConfigError> {
    if seconds == 0 || seconds > TIMEOUT_S_MAX {
        return Err(ConfigError::Value { name, reason: format!("must be 1 to {TIMEOUT_S_MAX}") });
    }
    Ok(Duration::from_secs(seconds))
}

fn domain(name: String) -> Result<String, ConfigError> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    if !plain || name.is_empty() || name.starts_with('.') || name.ends_with('.') {
        let reason = format!("'{name}' is not a host name (no port, no scheme)");
        return Err(ConfigError::Value { name: "domain", reason });
    }
    Ok(name.to_ascii_lowercase())
}

fn region(name: String) -> Result<String, ConfigError> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !plain || name.is_empty() {
        let reason = format!("'{name}' takes letters, digits, '-' and '_'");
        return Err(ConfigError::Value { name: "region", reason });
    }
    Ok(name)
}

fn bucket(name: &str) -> Result<BucketName, ConfigError> {
    name.parse().map_err(|error| ConfigError::Value {
        name: "bootstrap",
        reason: format!("'{name}' is not a name for a bucket: {error}"),
    })
}

#[cfg(test)]
mod tests;
