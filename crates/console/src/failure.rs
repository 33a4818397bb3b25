//! Why a page cannot be shown, in the words of whoever has to act on it.

use http::StatusCode;
use tidelock_client::{ClientError, ErrorKind};

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody is signed in, or the session is over.
    SignedOut,
    /// The form is not one of this session's pages.
    Forged,
    /// There is no such page.
    NoPage,
    /// What was entered cannot be used.
    Entered(String),
    /// A state is larger than a page shows; what shows it is a command.
    TooLarge {
        /// The most that a page shows.
        bytes_max: usize,
        /// Which one.
        command: String,
    },
    /// The endpoint refuses, or fails.
    Client(ClientError),
}

/// The codes of credentials that are over, or were taken back.
const ENDED: &[&str] = &["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"];

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error.code() {
            Some(code) if ENDED.contains(&code) => Self::SignedOut,
            _ => Self::Client(error),
        }
    }
}

/// What a page says of a state that is too large for it.
pub(crate) fn too_large(bytes_max: usize, command: &str) -> String {
    let mib = bytes_max >> 20;
    format!(
        "The state is larger than {mib} MiB, which is the most that the console shows. The command \
         line takes it: {command}"
    )
}

impl Failure {
    /// The status of the page that tells of it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::Forged => StatusCode::FORBIDDEN,
            Self::NoPage => StatusCode::NOT_FOUND,
            Self::Entered(_) | Self::TooLarge { .. } => StatusCode::BAD_REQUEST,
            Self::Client(error) => match error.kind() {
                ErrorKind::NotFound => StatusCode::NOT_FOUND,
                ErrorKind::Denied => StatusCode::FORBIDDEN,
                ErrorKind::Conflict => StatusCode::CONFLICT,
                _ => match error {
                    ClientError::Service(error) if error.status.is_client_error() => {
                        StatusCode::BAD_REQUEST
                    }
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                },
            },
        }
    }

    /// What a form is told that the endpoint refuses for what was entered; anything else is a page of its own.
    pub(crate) fn refusal(error: ClientError) -> Result<(StatusCode, String), Self> {
        let failure = Self::from(error);
        match (failure.status(), &failure) {
            (StatusCode::BAD_REQUEST | StatusCode::CONFLICT, Self::Client(error)) => {
                Ok((failure.status(), error.to_string()))
            }
            _ => Err(failure),
        }
    }

    /// What is said of it, and what to do.
    pub(crate) fn words(&self) -> (String, String) {
        let text = str::to_owned;
        match self {
            Self::SignedOut => (text("You are signed out"), text("Sign in again.")),
            Self::Forged => (
                text("This form is not valid any more"),
                text(
                    "It was sent from another site or in another session. Go back, reload the page, and try again.",
                ),
            ),
            Self::NoPage => (text("There is no such page"), text("Start at the states.")),
            Self::Entered(what) => (text("This cannot be used"), what.clone()),
            Self::TooLarge { bytes_max, command } => {
                (text("This state is too large for a page"), too_large(*bytes_max, command))
            }
            Self::Client(error) => match error.kind() {
                ErrorKind::NotFound => (text("It is not there"), error.to_string()),
                ErrorKind::Denied => (text("You may not do this"), error.to_string()),
                ErrorKind::Conflict => (text("Somebody else was first"), error.to_string()),
                _ => (text("It did not work"), error.to_string()),
            },
        }
    }
}
