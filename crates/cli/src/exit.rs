//! How a command fails: one line for people, one status for scripts.

use std::fmt;
use std::process::ExitCode;

use tidelock_client::migrate::{MigrateError, SourceError};
use tidelock_client::{ClientError, ErrorKind, SettingsError};
use tidelock_server::admin::backup::BackupError;
use tidelock_server::admin::copy::CopyError;
use tidelock_server::admin::extract::ExtractError;
use tidelock_server::config::ConfigError;
use tidelock_server::{FailureKind, ServeError};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What `--help` says of exit statuses; docs/operating.md says the same.
pub(crate) const HELP: &str = "\
Exit status:
  0  done
  1  the operation failed
       state diff: the states differ; doctor: locks are not safe; bench: an answer was wrong
  2  the command line or the settings are wrong
  3  the bucket, object, user or key does not exist
  4  access denied; of policy test, the policies deny the request
  5  it exists already, is not empty, is in use or is locked
  6  the endpoint cannot be reached or is overloaded
  130  interrupted by Ctrl-C
       commands that take a lock, doctor and bench: also by SIGTERM or SIGHUP; serve: by a second signal";

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    message: String,
}

impl Failure {
    /// Something that is nobody's mistake on the command line.
    pub(crate) fn other(error: &dyn fmt::Display) -> Self {
        Self { status: 1, message: error.to_string() }
    }

    /// The command line does not make sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: 2, message: message.into() }
    }

    /// What is to be made is there already.
    pub(crate) fn exists(what: &str) -> Self {
        Self { status: 5, message: format!("{what} exists already") }
    }

    /// The user said no.
    pub(crate) fn declined(what: &str) -> Self {
        Self { status: 1, message: what.to_owned() }
    }

    /// Two things were compared and are not the same, as diff(1) says it: no words.
    pub(crate) fn differs() -> Self {
        Self { status: 1, message: String::new() }
    }

    /// An endpoint was examined, and is not safe: no words.
    pub(crate) fn unsafe_endpoint() -> Self {
        Self { status: 1, message: String::new() }
    }

    /// An endpoint was measured, and has given a wrong answer: the words were said.
    pub(crate) fn wrong_answers() -> Self {
        Self { status: 1, message: String::new() }
    }

    /// Policies were asked, and say no: no words.
    pub(crate) fn denied() -> Self {
        Self { status: 4, message: String::new() }
    }

    /// A failure of a comparison, whose status 1 has a meaning of its own.
    pub(crate) fn of_comparison(self) -> Self {
        Self { status: if self.status == 1 { 2 } else { self.status }, ..self }
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(what: &str) -> Self {
        Self { status: 3, message: what.to_owned() }
    }

    /// The caller, or whom it speaks of, may not.
    pub(crate) fn access_denied(what: &str) -> Self {
        Self { status: 4, message: what.to_owned() }
    }

    /// Somebody else has it.
    pub(crate) fn in_use(what: &str) -> Self {
        Self { status: 5, message: what.to_owned() }
    }

    /// The status of a command that was run, which has said for itself why.
    pub(crate) fn of_child(status: u8) -> Self {
        Self { status, message: String::new() }
    }

    /// A command that cannot be run, as shells say it.
    pub(crate) fn no_command(what: &str) -> Self {
        Self { status: 127, message: what.to_owned() }
    }

    /// Ctrl-C.
    pub(crate) fn interrupted() -> Self {
        Self { status: 130, message: "interrupted".to_owned() }
    }

    /// Who reads stdout has had enough, as in `tidelock object list BUCKET | head`: the end of the
    /// command, and no failure.
    fn reader_gone() -> Self {
        Self { status: 0, message: String::new() }
    }

    /// Whether nothing failed but that nobody reads stdout any more.
    fn is_of_gone_reader(&self) -> bool {
        self.status == 0
    }

    /// Whether there is anything to tell the user.
    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status)
    }
}

/// What became of output that is not all that a command does: whoever has read enough of it still wants
/// the rest of the work, and its verdict.
pub(crate) fn shown(output: Result<(), Failure>) -> Result<(), Failure> {
    match output {
        Err(failure) if failure.is_of_gone_reader() => Ok(()),
        output => output,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let error = match error {
            ClientError::Local(error) => return error.into(),
            error => error,
        };
        let status = match error.kind() {
            // A CA bundle is a setting.
            ErrorKind::Other if matches!(error, ClientError::Trust { .. }) => 2,
            ErrorKind::Other => 1,
            ErrorKind::NotFound => 3,
            ErrorKind::Denied => 4,
            ErrorKind::Conflict => 5,
            ErrorKind::Unavailable => 6,
            ErrorKind::Interrupted => 130,
        };
        Self { status, message: error.to_string() }
    }
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        let message = error.to_string();
        match error {
            MigrateError::LockLeft { error, .. } => Self { message, ..error.into() },
            MigrateError::Source(error) => error.into(),
            MigrateError::Destination(error) => error.into(),
            MigrateError::SameKey(_) => Self::usage(message),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let message = format!("the source: {error}");
        let status = match error {
            SourceError::Client(error) | SourceError::LockTable(_, error) => {
                Self::from(error).status
            }
            SourceError::File { error, .. } if error.kind() == std::io::ErrorKind::NotFound => 3,
            SourceError::File { .. } | SourceError::Postgres(_) | SourceError::Unordered(_) => 1,
        };
        Self { status, message }
    }
}

/// Ends when the user presses Ctrl-C; never where that cannot be found out.
pub(crate) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Listens from now on, and ends with the first SIGINT, SIGTERM or SIGHUP: for commands that must not
/// leave anything behind.
pub(crate) fn stopped() -> Result<impl Future<Output = ()> + Send, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = Hangup::listen()?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = hangup.recv() => {}
        }
    })
}

/// SIGHUP, as when a terminal is closed or a connection to it breaks.
pub(crate) struct Hangup(Option<Signal>);

impl Hangup {
    /// Listens from now on; not where it is ignored, as nohup(1) has it for commands that are to go on.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let status = std::fs::read_to_string(PROCESS_STATUS).unwrap_or_default();
        let kind = SignalKind::hangup();
        let is_ignored = ignored_signals(&status) & signal_bit(kind) != 0;
        Ok(Self(if is_ignored { None } else { Some(signal(kind)?) }))
    }

    /// Ends with the next one.
    pub(crate) async fn recv(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// Where Linux tells which signals a process ignores.
const PROCESS_STATUS: &str = "/proc/self/status";

/// The mask of ignored signals in a process's status (proc_pid_status(5)); none where it is not told.
fn ignored_signals(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn signal_bit(kind: SignalKind) -> u64 {
    1 << (kind.as_raw_value() - 1)
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self { status: status(error.kind()), message: error.to_string() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        Self { status: status(error.kind()), message: error.to_string() }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Self { status: status(error.kind()), message: error.to_string() }
    }
}

impl From<ExtractError> for Failure {
    fn from(error: ExtractError) -> Self {
        match error {
            ExtractError::Open(error) => error.into(),
            ExtractError::Name(message) => Self::usage(message),
            ExtractError::NotFound(message) => Self::not_found(&message),
            error @ (ExtractError::Unreadable(_) | ExtractError::Differs | ExtractError::Io(_)) => {
                Self::other(&error)
            }
        }
    }
}

fn status(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Other => 1,
        FailureKind::Settings => 2,
        FailureKind::NotFound => 3,
        FailureKind::Exists => 5,
        FailureKind::Unavailable => 6,
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::reader_gone(),
            _ => Self::other(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_told_by_their_bits() {
        let rows = [
            ("SigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n", true),
            ("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n", false),
            ("", false),
        ];
        for (status, expected) in rows {
            let is_ignored = ignored_signals(status) & signal_bit(SignalKind::hangup()) != 0;
            assert_eq!(is_ignored, expected, "{status}");
        }
    }
}
