//! What the operator typed: the flags of `tidelock serve`, none of them filled in.
//!
//! Every setting has one name in three spellings: `--tls-cert`, `TIDELOCK_TLS_CERT` and, in the
//! TOML file, `tls_cert`. This file knows the names and the types; it does not know which spelling
//! wins, what the defaults are or which combinations make sense (`config` does).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Settings of the server; each also as `TIDELOCK_<NAME>` and as a key of the TOML file.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ServeArgs {
    /// Directory of all data [default: ./tidelock-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where rows are: local (in the data directory), memory (kept by nobody, for tests), or the URL
    /// of a PostgreSQL that several servers share, postgres://USER@HOST,HOST/DATABASE (with a
    /// password rather in TIDELOCK_META or --meta-file: flags show in process lists)
    /// [default: local]
    #[arg(long, value_name = "ENGINE")]
    pub meta: Option<String>,
    /// File that holds the value of --meta: a URL with a password shows in process lists otherwise
    #[arg(long, value_name = "FILE")]
    pub meta_file: Option<PathBuf>,
    /// Where bodies above 527 KiB (248 over PostgreSQL) are: local, memory, postgres (as rows),
    /// s3://BUCKET/PREFIX, gs://..., az://... or file:///DIR [default: with the rows]
    #[arg(long, value_name = "ENGINE")]
    pub blobs: Option<String>,
    /// Serve on a PostgreSQL whose replication may lose acknowledged writes in a fail-over
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub accept_unsafe_replication: Option<bool>,
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:9000]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// TOML file with the same settings; environment variables and flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// PEM file with the certificate chain; read again when it changes and on SIGHUP
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of the certificate
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Base host name of virtual-host style requests (`BUCKET.NAME`); may be repeated
    #[arg(long, value_name = "NAME")]
    pub domain: Vec<String>,
    /// Region that buckets are in [default: us-east-1]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Make this bucket and a user for it at start, and print a Terraform backend block
    #[arg(long, value_name = "BUCKET")]
    pub bootstrap: Option<String>,
    /// File with the keys that wrap all data keys [default: keyring among the credentials of systemd, if
    /// it is there, else in the data directory]
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// Answer conditional requests exactly as AWS does, 501 for unsupported ones included
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub strict_aws_conditions: Option<bool>,
    /// Make buckets with ACLs (object ownership ObjectWriter) where a request does not say
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub enable_acls: Option<bool>,
    /// Take requests signed with Signature Version 2 in their headers, as old S3 clients do
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_signature_v2: Option<bool>,
    /// Take ID tokens of this OpenID Connect provider for roles, if they are for AUDIENCE; `github` and
    /// `gitlab` stand for their URLs; may be repeated
    #[arg(long, value_name = "URL=AUDIENCE")]
    pub oidc_issuer: Vec<String>,
    /// Let people sign in to the console over this OpenID Connect provider, into a role whose trust
    /// policy says who may: issuer=URL,client-id=ID,role=ROLE[,client-secret-file=FILE][,name=NAME]
    /// [,scope=SCOPES] [default: with access keys only]
    #[arg(long, value_name = "NAME=VALUE,...")]
    pub console_oidc: Option<String>,
    /// Allow a listener without TLS on an address that other machines reach
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_plain_http: Option<bool>,
    /// Access key id of root; without one the first start generates a pair
    #[arg(long, value_name = "ID")]
    pub root_access_key: Option<String>,
    /// File that holds the access key id of root
    #[arg(long, value_name = "FILE")]
    pub root_access_key_file: Option<PathBuf>,
    /// Secret of root. Hidden: a flag shows in process lists, so use the variable or the file.
    #[arg(long, value_name = "SECRET", hide = true)]
    pub root_secret_key: Option<String>,
    /// File that holds the secret access key of root
    #[arg(long, value_name = "FILE")]
    pub root_secret_key_file: Option<PathBuf>,
    /// Bearer token that `/_/metrics` asks for [default: none, open to who reaches the listener]
    #[arg(long, value_name = "TOKEN")]
    pub metrics_token: Option<String>,
    /// File that holds the bearer token of `/_/metrics`
    #[arg(long, value_name = "FILE")]
    pub metrics_token_file: Option<PathBuf>,
    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// Log filter: error, warn, info, debug, trace, or directives per module [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Connections open at once; further ones wait to be accepted [default: 4096]
    #[arg(long, value_name = "COUNT")]
    pub connections_max: Option<usize>,
    /// Requests in work at once; further ones get 503 SlowDown [default: 1024]
    #[arg(long, value_name = "COUNT")]
    pub requests_max: Option<usize>,
    /// Requests in work at once that are signed with one access key other than root's; further ones get
    /// 503 SlowDown [default: a quarter of --requests-max]
    #[arg(long, value_name = "COUNT")]
    pub requests_max_per_key: Option<usize>,
    /// Requests in work at once from one address, or one IPv6 network of 64 bits; further ones get 503
    /// SlowDown [default: half of --requests-max]
    #[arg(long, value_name = "COUNT")]
    pub requests_max_per_client: Option<usize>,
    /// Believe `X-Forwarded-For` and `X-Forwarded-Proto` of requests that come from this address or
    /// network; may be repeated
    #[arg(long, value_name = "CIDR")]
    pub trusted_proxy: Vec<String>,
    /// Time for a TLS handshake and for the headers of a request, seconds [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub header_timeout_s: Option<u64>,
    /// Longest pause of a client in the middle of a body, sent or received, seconds [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub body_timeout_s: Option<u64>,
    /// Days that entries of the audit log are kept [default: 400]
    #[arg(long, value_name = "DAYS")]
    pub audit_retention: Option<u64>,
    /// Bytes of the audit log that are kept [default: 1073741824]
    #[arg(long, value_name = "BYTES")]
    pub audit_bytes_max: Option<u64>,
}

/// How log lines look.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl fmt::Display for LogFormat {
    /// As it is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl ServeArgs {
    /// These settings, and those of `lower` where this one says nothing.
    ///
    /// A secret and its `*_file` are one setting: naming either hides both of the lower layer.
    #[must_use]
    pub fn or(self, lower: Self) -> Self {
        let (root_access_key, root_access_key_file) = secret_or(
            (self.root_access_key, self.root_access_key_file),
            (lower.root_access_key, lower.root_access_key_file),
        );
        let (root_secret_key, root_secret_key_file) = secret_or(
            (self.root_secret_key, self.root_secret_key_file),
            (lower.root_secret_key, lower.root_secret_key_file),
        );
        let (metrics_token, metrics_token_file) = secret_or(
            (self.metrics_token, self.metrics_token_file),
            (lower.metrics_token, lower.metrics_token_file),
        );
        let (meta, meta_file) =
            secret_or((self.meta, self.meta_file), (lower.meta, lower.meta_file));
        Self {
            data: self.data.or(lower.data),
            meta,
            meta_file,
            blobs: self.blobs.or(lower.blobs),
            accept_unsafe_replication: self
                .accept_unsafe_replication
                .or(lower.accept_unsafe_replication),
            listen: self.listen.or(lower.listen),
            config: self.config.or(lower.config),
            tls_cert: self.tls_cert.or(lower.tls_cert),
            tls_key: self.tls_key.or(lower.tls_key),
            domain: if self.domain.is_empty() { lower.domain } else { self.domain },
            oidc_issuer: match self.oidc_issuer.is_empty() {
                true => lower.oidc_issuer,
                false => self.oidc_issuer,
            },
            console_oidc: self.console_oidc.or(lower.console_oidc),
            region: self.region.or(lower.region),
            bootstrap: self.bootstrap.or(lower.bootstrap),
            keyring: self.keyring.or(lower.keyring),
            strict_aws_conditions: self.strict_aws_conditions.or(lower.strict_aws_conditions),
            enable_acls: self.enable_acls.or(lower.enable_acls),
            allow_signature_v2: self.allow_signature_v2.or(lower.allow_signature_v2),
            allow_plain_http: self.allow_plain_http.or(lower.allow_plain_http),
            root_access_key,
            root_access_key_file,
            root_secret_key,
            root_secret_key_file,
            metrics_token,
            metrics_token_file,
            log_format: self.log_format.or(lower.log_format),
            log_level: self.log_level.or(lower.log_level),
            connections_max: self.connections_max.or(lower.connections_max),
            requests_max: self.requests_max.or(lower.requests_max),
            requests_max_per_key: self.requests_max_per_key.or(lower.requests_max_per_key),
            requests_max_per_client: self.requests_max_per_client.or(lower.requests_max_per_client),
            trusted_proxy: match self.trusted_proxy.is_empty() {
                true => lower.trusted_proxy,
                false => self.trusted_proxy,
            },
            header_timeout_s: self.header_timeout_s.or(lower.header_timeout_s),
            body_timeout_s: self.body_timeout_s.or(lower.body_timeout_s),
            audit_retention: self.audit_retention.or(lower.audit_retention),
            audit_bytes_max: self.audit_bytes_max.or(lower.audit_bytes_max),
        }
    }

    /// The keys of what it says something about.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        let all = [
            ("data", self.data.is_some()),
            ("meta", self.meta.is_some()),
            ("meta_file", self.meta_file.is_some()),
            ("blobs", self.blobs.is_some()),
            ("accept_unsafe_replication", self.accept_unsafe_replication.is_some()),
            ("listen", self.listen.is_some()),
            ("config", self.config.is_some()),
            ("tls_cert", self.tls_cert.is_some()),
            ("tls_key", self.tls_key.is_some()),
            ("domain", !self.domain.is_empty()),
            ("region", self.region.is_some()),
            ("bootstrap", self.bootstrap.is_some()),
            ("keyring", self.keyring.is_some()),
            ("strict_aws_conditions", self.strict_aws_conditions.is_some()),
            ("enable_acls", self.enable_acls.is_some()),
            ("allow_signature_v2", self.allow_signature_v2.is_some()),
            ("oidc_issuer", !self.oidc_issuer.is_empty()),
            ("console_oidc", self.console_oidc.is_some()),
            ("allow_plain_http", self.allow_plain_http.is_some()),
            ("root_access_key", self.root_access_key.is_some()),
            ("root_access_key_file", self.root_access_key_file.is_some()),
            ("root_secret_key", self.root_secret_key.is_some()),
            ("root_secret_key_file", self.root_secret_key_file.is_some()),
            ("metrics_token", self.metrics_token.is_some()),
            ("metrics_token_file", self.metrics_token_file.is_some()),
            ("log_format", self.log_format.is_some()),
            ("log_level", self.log_level.is_some()),
            ("connections_max", self.connections_max.is_some()),
            ("requests_max", self.requests_max.is_some()),
            ("requests_max_per_key", self.requests_max_per_key.is_some()),
            ("requests_max_per_client", self.requests_max_per_client.is_some()),
            ("trusted_proxy", !self.trusted_proxy.is_empty()),
            ("header_timeout_s", self.header_timeout_s.is_some()),
            ("body_timeout_s", self.body_timeout_s.is_some()),
            ("audit_retention", self.audit_retention.is_some()),
            ("audit_bytes_max", self.audit_bytes_max.is_some()),
        ];
        all.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key).collect()
    }
}

type SecretOrFile = (Option<String>, Option<PathBuf>);

fn secret_or(own: SecretOrFile, lower: SecretOrFile) -> SecretOrFile {
    if own.0.is_some() || own.1.is_some() { own } else { lower }
}
