//! `tidelock bucket get`

use serde::Serialize;
use tidelock_client::BucketSettings;
use tidelock_client::guard::{BucketGuard, GuardLevel, LockHistory};

use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{printable, text_or};

/// Show how a bucket is set up: versioning, encryption, public access, owner, and on Tidelock its guard
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name
    bucket: String,
}

/// What is not set or not known is null.
#[derive(Debug, Serialize)]
struct BucketDocument {
    name: String,
    #[serde(flatten)]
    settings: BucketSettings,
    guard: Option<BucketGuard>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let settings = session.client.bucket_settings(&self.bucket).await?;
        let is_tidelock = session.client.is_tidelock().await?;
        let guard =
            if is_tidelock { session.client.bucket_guard(&self.bucket).await? } else { None };
        let document = BucketDocument { name: self.bucket, settings, guard };
        text_or(session.format, &document.text(is_tidelock), &document)
    }
}

impl BucketDocument {
    fn text(&self, is_tidelock: bool) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        let blocked = match self.settings.public_access_blocked {
            Some(true) => "blocked",
            Some(false) => "partly blocked",
            None => "not blocked",
        };
        // Tidelock's objects are encrypted whatever the bucket says; of others that is not known.
        let encryption = match (&self.settings.encryption, is_tidelock) {
            (Some(default), _) => default.clone(),
            (None, true) => "AES256 (always; the bucket has no default of its own)".to_owned(),
            (None, false) => "none".to_owned(),
        };
        let lines = [
            ("bucket", self.name.clone()),
            ("owner", self.settings.owner.clone().unwrap_or_else(|| "not known".to_owned())),
            ("versioning", text(&self.settings.versioning).to_lowercase()),
            ("encryption", encryption),
            ("public", blocked.to_owned()),
            ("guard", self.guard.as_ref().map_or_else(|| "none".to_owned(), guard_line)),
        ];
        let line = |(name, value): (&str, String)| format!("{name:<12}{}\n", printable(&value));
        lines.into_iter().map(line).collect()
    }
}

/// `lock writes enforce, serial enforce, lock required, …`
pub(super) fn guard_line(guard: &BucketGuard) -> String {
    let level = |level| match level {
        GuardLevel::Off => "off",
        GuardLevel::Observe => "observe",
        GuardLevel::Enforce => "enforce",
    };
    let history = match guard.lock_history {
        LockHistory::Keep => "keep",
        LockHistory::Purge => "purge",
    };
    let size = guard.state_bytes_max.map_or_else(|| "any".to_owned(), |max| format!("{max} bytes"));
    format!(
        "lock writes {}, serial {}, lock {}required, lock history {history}, stale after {} s, \
         states of {size} size",
        level(guard.lock_writes),
        level(guard.serial),
        if guard.lock_required { "" } else { "not " },
        guard.stale_after_seconds,
    )
    .replace(" bytes size", " bytes at most")
}
