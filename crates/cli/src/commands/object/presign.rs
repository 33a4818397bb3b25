//! `tidelock object presign`

use std::time::Duration;

use serde::Serialize;
use tidelock_client::{PRESIGN_EXPIRES_S_MAX, Presign, PresignedMethod};

use crate::address::ObjectAddress;
use crate::commands::lock::duration;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::text_or;

/// Make a URL with which anybody may read or write an object for a while
///
/// Nothing is sent to the endpoint: whether there is such an object shows when the URL is used. It may do
/// what your own key may do then, to this object only, and does not outlive a temporary key.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The object
    #[arg(value_name = "BUCKET/KEY")]
    object: ObjectAddress,
    /// How long it may be used: up to 168h, a week
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    expires: Duration,
    /// What it does
    #[arg(long, value_name = "METHOD", default_value = "GET", ignore_case = true)]
    method: Verb,
    /// This version instead of the latest
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    /// Reads it
    #[value(name = "GET")]
    Get,
    /// Writes it
    #[value(name = "PUT")]
    Put,
}

#[derive(Debug, Serialize)]
struct Presigned {
    method: &'static str,
    url: String,
    expires_seconds: u32,
}

impl Args {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let (method, word) = match self.method {
            Verb::Get => (PresignedMethod::Get, "GET"),
            Verb::Put => (PresignedMethod::Put, "PUT"),
        };
        if self.method == Verb::Put && self.version_id.is_some() {
            return Err(Failure::usage("a version is never written over: leave --version-id out"));
        }
        let expires_s = u32::try_from(self.expires.as_secs()).unwrap_or(u32::MAX);
        if !(1..=PRESIGN_EXPIRES_S_MAX).contains(&expires_s) {
            return Err(Failure::usage("--expires takes 1s to 168h, a week"));
        }
        let asked = Presign {
            method,
            bucket: &self.object.bucket,
            key: &self.object.key,
            version: self.version_id.as_deref(),
            file_name: None,
            expires_s,
        };
        let url = session.client.presign(&asked)?.to_string();
        let document = Presigned { method: word, url, expires_seconds: expires_s };
        text_or(session.format, &format!("{}\n", document.url), &document)
    }
}
