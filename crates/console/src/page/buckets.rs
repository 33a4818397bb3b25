//! The buckets, with what protects each, and a new one that is safe from the start.

use askama::Template;
use http::StatusCode;
use tidelock_client::guard::{BucketGuard, GuardEdit, GuardLevel};
use tidelock_client::{BucketSafety, Client, ClientError, Setting};

use super::{Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::failure::Failure;
use crate::view::{self, Told};

/// Buckets on one page; each takes four requests.
const BUCKETS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "buckets.html")]
struct Buckets {
    shell: Shell,
    /// None where this user may not list buckets: they say which.
    rows: Option<Vec<Row>>,
    /// Where the rest is.
    next: Option<String>,
    name: String,
    refusal: String,
}

struct Row {
    name: String,
    objects: String,
    settings: String,
    created: Told,
    badges: Vec<Badge>,
}

/// One thing that protects a bucket, or does not.
pub(super) struct Badge {
    /// Of the stylesheet.
    pub(super) class: &'static str,
    pub(super) text: &'static str,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    page(visit, StatusCode::OK, String::new()).await
}

async fn page(visit: &Visit<'_>, status: StatusCode, refusal: String) -> Page {
    let (after, now) = (visit.asked.query("after"), visit.now());
    let listed = match visit.client.list_buckets().await {
        Ok(buckets) => Some(buckets),
        Err(error) => unless_denied(error)?,
    };
    let mut next = None;
    let rows = match listed {
        None => None,
        Some(buckets) => {
            let mut rest = buckets.into_iter().filter(|bucket| bucket.name.as_str() > after);
            let mut rows = Vec::new();
            for bucket in rest.by_ref().take(BUCKETS_MAX) {
                // Deleted since it was listed, maybe.
                let Ok(safety) = visit.client.bucket_safety(&bucket.name).await else { continue };
                rows.push(Row::new(bucket.name, now.told(&bucket.created), &safety));
            }
            let last = rows.last().map(|row| row.name.clone()).unwrap_or_default();
            next = rest.next().map(|_| view::place("/buckets", &[("after", &last)]));
            Some(rows)
        }
    };
    let shell = visit.shell("buckets", "Buckets", "tidelock bucket list".to_owned());
    let name = visit.asked.form.text("name").to_owned();
    Ok(answer::html(status, &Buckets { shell, rows, next, name, refusal }))
}

/// Versioned, encrypted, closed to the public and guarded, as `tidelock bootstrap` makes one.
pub(super) async fn create(visit: &Visit<'_>) -> Page {
    let name = visit.asked.form.text("name").trim();
    let refused = |words: String| page(visit, StatusCode::BAD_REQUEST, words);
    if name.is_empty() {
        return refused("Enter a name.".to_owned()).await;
    }
    // In us-east-1 S3 answers a second CreateBucket with success: nothing of it is to be changed here.
    match visit.client.has_bucket(name).await {
        Ok(true) => return refused(format!("There is a bucket called {name} already.")).await,
        Ok(false) => {}
        // Somebody else's, or not for our eyes, or no name at all: creating it tells more.
        Err(error) => drop(unless_unavailable(error)?),
    }
    if let Err(error) = visit.client.create_bucket(name).await {
        return refused(unless_unavailable(error)?).await;
    }
    let place = view::place("/objects", &[("bucket", name)]);
    let done = match protect(&visit.client, name).await {
        Ok(()) => "The bucket is made: versioned, encrypted, closed to the public, guarded.".into(),
        Err(error) => format!("The bucket is made, but not all of it is set up: {error}"),
    };
    Ok(visit.done(&place, &done))
}

async fn protect(client: &Client, bucket: &str) -> Result<(), ClientError> {
    client.enable_versioning(bucket).await?;
    client.enable_encryption(bucket).await?;
    client.block_public_access(bucket).await?;
    client.edit_guard(bucket, &GuardEdit::all(GuardLevel::Enforce)).await.map(drop)
}

/// What the endpoint says against what was entered.
fn unless_unavailable(error: ClientError) -> Result<String, Failure> {
    match &error {
        ClientError::Service(answer) if answer.status.is_client_error() => {
            let words = answer.message.clone();
            match Failure::from(error) {
                Failure::SignedOut => Err(Failure::SignedOut),
                _ => Ok(words),
            }
        }
        _ => Err(error.into()),
    }
}

/// What protects a bucket, as badges; what this user may not see is said once.
pub(super) fn badges(safety: &BucketSafety) -> Vec<Badge> {
    let versioning = match &safety.versioning {
        Setting::Set(status) if status == "Enabled" => ("alive", "versioned"),
        Setting::Set(_) => ("quiet", "versioning suspended"),
        Setting::NotSet => ("bad", "not versioned"),
        Setting::Hidden => ("", ""),
    };
    let encryption = match &safety.encryption {
        Setting::Set(algorithm) if algorithm.starts_with("aws:kms") => {
            ("alive", "encrypted with KMS")
        }
        // Without a default objects are encrypted with the store's keys, as on AWS.
        Setting::Set(_) | Setting::NotSet => ("alive", "encrypted"),
        Setting::Hidden => ("", ""),
    };
    let public = match &safety.public_access_blocked {
        Setting::Set(true) => ("alive", "public access blocked"),
        Setting::Set(false) | Setting::NotSet => ("quiet", "public access not blocked"),
        Setting::Hidden => ("", ""),
    };
    let guard = match &safety.guard {
        Setting::Set(guard) => match level(guard) {
            Some(GuardLevel::Enforce) => ("alive", "guarded"),
            Some(GuardLevel::Observe) => ("quiet", "guard observes"),
            Some(GuardLevel::Off) => ("quiet", "guard off"),
            None => ("quiet", "guarded in part"),
        },
        Setting::NotSet => ("quiet", "not guarded"),
        Setting::Hidden => ("", ""),
    };
    let all = [versioning, encryption, public, guard];
    let seen = all.into_iter().filter(|(_, text)| !text.is_empty());
    let mut badges: Vec<_> = seen.map(|(class, text)| Badge { class, text }).collect();
    match badges.len() {
        0 => badges.push(Badge { class: "", text: "not for you to see" }),
        1..4 => badges.push(Badge { class: "", text: "others not for you to see" }),
        _ => {}
    }
    badges
}

/// The level of all rules of a guard; none where they differ.
pub(super) fn level(guard: &BucketGuard) -> Option<GuardLevel> {
    (guard.lock_writes == guard.serial).then_some(guard.serial)
}

impl Row {
    fn new(name: String, created: Told, safety: &BucketSafety) -> Self {
        let fields = [("bucket", name.as_str())];
        Self {
            objects: view::place("/objects", &fields),
            settings: view::place("/bucket", &fields),
            created,
            badges: badges(safety),
            name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badges_say_what_protects_and_what_is_hidden() {
        let guard = BucketGuard {
            lock_writes: GuardLevel::Enforce,
            serial: GuardLevel::Enforce,
            lock_required: true,
            lock_history: tidelock_client::guard::LockHistory::Purge,
            stale_after_seconds: 60,
            state_bytes_max: None,
        };
        let observed = BucketGuard { serial: GuardLevel::Observe, ..guard.clone() };
        let safe = BucketSafety {
            versioning: Setting::Set("Enabled".to_owned()),
            encryption: Setting::NotSet,
            public_access_blocked: Setting::Set(true),
            guard: Setting::Set(guard),
        };
        let bare = BucketSafety {
            versioning: Setting::NotSet,
            encryption: Setting::Set("aws:kms".to_owned()),
            public_access_blocked: Setting::NotSet,
            guard: Setting::Set(observed),
        };
        let hidden = BucketSafety {
            versioning: Setting::Hidden,
            encryption: Setting::Hidden,
            public_access_blocked: Setting::Hidden,
            guard: Setting::Hidden,
        };
        let in_part =
            BucketSafety { versioning: Setting::Set("Suspended".into()), ..hidden.clone() };
        let rows = [
            (safe, "versioned, encrypted, public access blocked, guarded"),
            (bare, "not versioned, encrypted with KMS, public access not blocked, guarded in part"),
            (hidden, "not for you to see"),
            (in_part, "versioning suspended, others not for you to see"),
        ];
        for (safety, expected) in rows {
            let texts: Vec<_> = badges(&safety).into_iter().map(|badge| badge.text).collect();
            assert_eq!(texts.join(", "), expected);
        }
    }
}
