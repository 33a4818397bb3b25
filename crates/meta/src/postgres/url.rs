//! The URL of a PostgreSQL store: several hosts, libpq's parameters that matter here, and ours.
//!
//! Written anew rather than left to the driver because that one ignores what it should refuse, has
//! no place for our parameters, and takes the user's name from the operating system.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::options::Dialect;

/// The port of PostgreSQL.
const PORT_DEFAULT: u16 = 5432;
/// Hosts that are probed at once; more would be a mistake.
const HOSTS_MAX: usize = 16;
/// PostgreSQL cuts longer names (NAMEDATALEN - 1).
const NAME_BYTES_MAX: usize = 63;
const CONNECT_TIMEOUT_SECONDS_DEFAULT: u64 = 5;
const CONNECT_TIMEOUT_SECONDS_MAX: u64 = 60;
const NAME_DEFAULT: &str = "tidelock";

/// What is wrong with a URL, without the secrets in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL of the database is not usable: {0}")]
pub struct InvalidPostgresUrl(pub(super) String);

/// A parsed URL. Displays without the password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) hosts: Vec<Host>,
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) database: String,
    /// None: decided for each host.
    pub(super) ssl_mode: Option<SslMode>,
    /// None: the machine's roots.
    pub(super) ssl_root: Option<PathBuf>,
    pub(super) schema: String,
    /// None: by what the server says it is.
    pub(super) dialect: Option<Dialect>,
    pub(super) connect_timeout: Duration,
    pub(super) application_name: String,
}

/// One server. Displays as `name:port`, or as the socket's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Tcp(String, u16),
    /// Directory and port; the port is part of the socket's name.
    Unix(PathBuf, u16),
}

/// When to use TLS. Certificate and host name are verified whenever it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    /// When the server offers it.
    Prefer,
    /// `require`, `verify-ca` and `verify-full` alike.
    VerifyFull,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, InvalidPostgresUrl> {
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or_else(|| invalid("it must begin with postgres://"))?;
        if rest.contains('#') {
            return Err(invalid("write # as %23"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(decode(password, "the password")?)),
            None => (credentials, None),
        };
        let user = decode(user, "the user")?;
        if user.is_empty() {
            return Err(invalid("it names no user: postgres://USER:PASSWORD@HOST/DATABASE"));
        }
        if path.contains('/') {
            return Err(invalid("the database's name has a slash, write it as %2F"));
        }
        let database = decode(path, "the database's name")?;
        let mut target = Self {
            hosts: parse_hosts(hosts)?,
            // As libpq: a database of the user's own name.
            database: if database.is_empty() { user.clone() } else { database },
            user,
            password,
            ssl_mode: None,
            ssl_root: None,
            schema: NAME_DEFAULT.to_owned(),
            dialect: None,
            connect_timeout: Duration::from_secs(CONNECT_TIMEOUT_SECONDS_DEFAULT),
            application_name: NAME_DEFAULT.to_owned(),
        };
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if seen.contains(&name) {
                return Err(invalid(format!("{name} is given twice")));
            }
            seen.push(name);
            target.set(name, decode(value, name)?)?;
        }
        if target.hosts.is_empty() {
            return Err(invalid("it names no host"));
        }
        Ok(target)
    }

    /// Whether and how to use TLS with this host.
    pub(super) fn ssl_mode(&self, host: &Host) -> SslMode {
        match (host, self.ssl_mode) {
            // PostgreSQL has no TLS on sockets.
            (Host::Unix(..), _) => SslMode::Disable,
            (Host::Tcp(..), Some(mode)) => mode,
            (Host::Tcp(name, _), None) if is_loopback(name) => SslMode::Disable,
            (Host::Tcp(..), None) => SslMode::VerifyFull,
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), InvalidPostgresUrl> {
        let refused = |expected: &str| Err(invalid(format!("{name} must be {expected}")));
        match name {
            "sslmode" => match SslMode::parse(&value) {
                Some(mode) => self.ssl_mode = Some(mode),
                None => return refused("disable, prefer, require, verify-ca or verify-full"),
            },
            // libpq's word for the machine's roots.
            "sslrootcert" if value == "system" => self.ssl_root = None,
            "sslrootcert" if value.is_empty() => return refused("a file"),
            "sslrootcert" => self.ssl_root = Some(PathBuf::from(value)),
            "schema" if is_schema_name(&value) => self.schema = value,
            "schema" => return refused("1 to 63 of a-z, 0-9 and _, and not begin with pg_"),
            "dialect" => match value.as_str() {
                "auto" => self.dialect = None,
                "postgres" => self.dialect = Some(Dialect::Postgres),
                "portable" => self.dialect = Some(Dialect::Portable),
                _ => return refused("auto, postgres or portable"),
            },
            "connect_timeout" => match value.parse() {
                Ok(seconds @ 1..=CONNECT_TIMEOUT_SECONDS_MAX) => {
                    self.connect_timeout = Duration::from_secs(seconds);
                }
                _ => return refused("1 to 60 seconds"),
            },
            "application_name" if (1..=NAME_BYTES_MAX).contains(&value.len()) => {
                self.application_name = value;
            }
            "application_name" => return refused("1 to 63 bytes"),
            // Drivers that read from standbys want to be told; here nothing else ever happens.
            "target_session_attrs" if matches!(value.as_str(), "read-write" | "primary") => {}
            "target_session_attrs" => return refused("read-write or primary"),
            "host" if self.hosts.is_empty() && value.starts_with('/') => {
                self.hosts.push(Host::Unix(PathBuf::from(value), PORT_DEFAULT));
            }
            "host" => return refused("a socket's directory, in a URL without hosts"),
            _ => return Err(invalid(format!("the parameter {name} is not known"))),
        }
        Ok(())
    }
}

impl SslMode {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "disable" => Some(Self::Disable),
            "prefer" => Some(Self::Prefer),
            "require" | "verify-ca" | "verify-full" => Some(Self::VerifyFull),
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@", self.user)?;
        for (index, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if index == 0 { "" } else { "," })?;
        }
        write!(f, "/{}?schema={}", self.database, self.schema)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(name, port) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Tcp(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(directory, port) => write!(f, "{}:{port}", directory.display()),
        }
    }
}

fn parse_hosts(text: &str) -> Result<Vec<Host>, InvalidPostgresUrl> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let hosts = text.split(',').map(parse_host).collect::<Result<Vec<_>, _>>()?;
    if hosts.len() > HOSTS_MAX {
        return Err(invalid(format!("it names {} hosts, at most {HOSTS_MAX}", hosts.len())));
    }
    Ok(hosts)
}

fn parse_host(text: &str) -> Result<Host, InvalidPostgresUrl> {
    let wrong = || invalid(format!("the host {text} is not HOST:PORT"));
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            (address, if port.is_empty() { "" } else { port.strip_prefix(':').ok_or_else(wrong)? })
        }
        None => match text.split_once(':') {
            Some((_, "")) => return Err(wrong()),
            Some((name, port)) => (name, port),
            None => (text, ""),
        },
    };
    let port = match port {
        "" => PORT_DEFAULT,
        port => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
    };
    let name = decode(name, "a host")?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(wrong());
    }
    if name.starts_with('/') {
        return Ok(Host::Unix(PathBuf::from(name), port));
    }
    Ok(Host::Tcp(name, port))
}

fn decode(text: &str, what: &str) -> Result<String, InvalidPostgresUrl> {
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| invalid(format!("{what} is not UTF-8")))?;
    if text.contains('\0') {
        return Err(invalid(format!("{what} has a zero byte")));
    }
    Ok(text.into_owned())
}

fn is_schema_name(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with("pg_")
}

fn is_loopback(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn invalid(what: impl Into<String>) -> InvalidPostgresUrl {
    InvalidPostgresUrl(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_are_taken() {
        for (url, shown) in [
            ("postgres://u@h/d", "postgres://u@h:5432/d?schema=tidelock"),
            ("postgresql://u:p@h", "postgres://u@h:5432/u?schema=tidelock"),
            ("postgres://u:p@a:1,b,c:3/d", "postgres://u@a:1,b:5432,c:3/d?schema=tidelock"),
            ("postgres://u:p%40%2F:q@h/d", "postgres://u@h:5432/d?schema=tidelock"),
            ("postgres://u:a@b@h/d", "postgres://u@h:5432/d?schema=tidelock"),
            (
                "postgres://u@[::1]:7,[fe80::1]/d",
                "postgres://u@[::1]:7,[fe80::1]:5432/d?schema=tidelock",
            ),
            ("postgres://u@%2Frun%2Fpg:7/d", "postgres://u@/run/pg:7/d?schema=tidelock"),
            ("postgres://u@/d?host=/run/pg", "postgres://u@/run/pg:5432/d?schema=tidelock"),
            ("postgres://u@h/d%20e?schema=s_1&dialect=auto", "postgres://u@h:5432/d e?schema=s_1"),
            (
                "postgres://u@h/d?target_session_attrs=primary&",
                "postgres://u@h:5432/d?schema=tidelock",
            ),
        ] {
            assert_eq!(Target::parse(url).map(|target| target.to_string()).as_deref(), Ok(shown));
        }
    }

    #[test]
    fn urls_that_are_refused() {
        for (url, about) in [
            ("mysql://u@h/d", "postgres://"),
            ("postgres://h/d", "no user"),
            ("postgres://:secret@h/d", "no user"),
            ("postgres://u:secret@/d", "no host"),
            ("postgres://u:secret@h:port/d", "h:port"),
            ("postgres://u:secret@h:0/d", "h:0"),
            ("postgres://u:secret@h:/d", "h:"),
            ("postgres://u:secret@h,/d", "the host "),
            ("postgres://u:secret@[::1/d", "[::1"),
            ("postgres://u:secret@::1/d", "::1"),
            ("postgres://u:secret@h/d/e", "slash"),
            ("postgres://u:secret@h/d#f", "%23"),
            ("postgres://u:secret%FF@h/d", "the password is not UTF-8"),
            ("postgres://u:secret@h/d%00", "zero byte"),
            ("postgres://u:secret@h/d?sslmode=allow", "sslmode must be"),
            ("postgres://u:secret@h/d?sslrootcert=", "sslrootcert must be"),
            ("postgres://u:secret@h/d?schema=A", "schema must be"),
            ("postgres://u:secret@h/d?schema=", "schema must be"),
            ("postgres://u:secret@h/d?schema=pg_x", "schema must be"),
            ("postgres://u:secret@h/d?dialect=mysql", "dialect must be"),
            ("postgres://u:secret@h/d?connect_timeout=0", "connect_timeout must be"),
            ("postgres://u:secret@h/d?connect_timeout=61", "connect_timeout must be"),
            ("postgres://u:secret@h/d?application_name=", "application_name must be"),
            ("postgres://u:secret@h/d?target_session_attrs=any", "target_session_attrs must be"),
            ("postgres://u:secret@h/d?schema=a&schema=b", "schema is given twice"),
            ("postgres://u:secret@h/d?host=/run", "host must be"),
            ("postgres://u:secret@h/d?sslcert=x", "the parameter sslcert is not known"),
            ("postgres://u:secret@h/d?password=x", "the parameter password is not known"),
        ] {
            let error =
                Target::parse(url).map(|target| target.to_string()).unwrap_err().to_string();
            assert!(error.contains(about), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_password_is_kept_and_never_shown() {
        let target = Target::parse("postgres://u:se%3Acret@h/d").unwrap();
        assert_eq!(target.password.as_deref(), Some("se:cret"));
        assert!(!format!("{target} {target:?}").contains("cret"));
    }

    #[test]
    fn tls_is_the_default_beyond_this_machine() {
        for (url, mode) in [
            ("postgres://u@h/d", SslMode::VerifyFull),
            ("postgres://u@10.0.0.1/d", SslMode::VerifyFull),
            ("postgres://u@localhost/d", SslMode::Disable),
            ("postgres://u@127.0.0.2/d", SslMode::Disable),
            ("postgres://u@[::1]/d", SslMode::Disable),
            ("postgres://u@/d?host=/run&sslmode=require", SslMode::Disable),
            ("postgres://u@localhost/d?sslmode=require", SslMode::VerifyFull),
            ("postgres://u@h/d?sslmode=verify-ca", SslMode::VerifyFull),
            ("postgres://u@h/d?sslmode=prefer", SslMode::Prefer),
            ("postgres://u@h/d?sslmode=disable", SslMode::Disable),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.ssl_mode(&target.hosts[0]), mode, "{url}");
        }
    }
}
