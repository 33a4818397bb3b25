//! What an endpoint is besides a store of objects: a clock, a name for the caller, a way back.

use std::time::Duration;

use http::{Method, header};

use super::check::{Check, Made, Needs, Outcome, Weight};
use super::ward::Ward;
use crate::ClientError;
use crate::connection::Outgoing;
use crate::uri;

/// Name of the check that turns versions on.
pub(super) const VERSIONING: &str = "versioning";
/// Clocks further apart than this are worth a word; from 15 minutes on S3 refuses signatures.
const SKEW_S_MAX: i64 = 60;
/// Where S3 refuses signatures (RequestTimeTooSkewed).
const SKEW_REFUSED_S: i64 = 15 * 60;
/// Time for a setting of a bucket to come into force.
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "clock",
        weight: Weight::Locks,
        needs: Needs::Nothing,
        advice: "set both clocks by NTP: from 15 minutes on signatures are refused",
        run: |ward| -> Made<'_> { Box::pin(clock(ward)) },
    },
    Check {
        name: "caller-identity",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: "give the backend skip_credentials_validation and skip_requesting_account_id",
        run: |ward| -> Made<'_> { Box::pin(caller_identity(ward)) },
    },
];

pub(super) const VERSIONS: &[Check] = &[Check {
    name: VERSIONING,
    weight: Weight::Others,
    needs: Needs::Nothing,
    advice: "without old versions a damaged or deleted state is gone: turn versioning on, or make backups",
    run: |ward| -> Made<'_> { Box::pin(versioning(ward)) },
}];

async fn clock(ward: &Ward) -> Result<Outcome, ClientError> {
    let request = Outgoing::new(Method::GET, uri::bucket_path(&ward.bucket))
        .query(&[("list-type", "2"), ("max-keys", "1")]);
    let before = ward.client.now();
    let answer = ward.ask(&request).await?;
    let after = ward.client.now();
    let Some(text) = answer.header(header::DATE.as_str()) else {
        return Ok(Outcome::Odd("answers have no Date header".to_owned(), None));
    };
    let Ok(theirs) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text) else {
        return Ok(Outcome::Odd(format!("the Date header is '{text}'"), None));
    };
    // Its clock was read between our two looks at ours.
    let theirs = theirs.as_second();
    let skew = theirs - theirs.clamp(before.as_second(), after.as_second());
    let side = if skew < 0 { "behind" } else { "ahead" };
    let seen = format!("{} s {side}", skew.abs());
    Ok(match skew.abs() {
        0 => Outcome::Good("the same to the second".to_owned()),
        1..=SKEW_S_MAX => Outcome::Good(seen),
        SKEW_REFUSED_S.. => Outcome::Bad(seen),
        _ => Outcome::Odd(seen, None),
    })
}

async fn caller_identity(ward: &Ward) -> Result<Outcome, ClientError> {
    let arn = ward.client.caller_arn().await?;
    Ok(match arn.starts_with("arn:") {
        true => Outcome::Good(arn),
        false => Outcome::Odd(format!("the caller's ARN is '{arn}'"), None),
    })
}

async fn versioning(ward: &Ward) -> Result<Outcome, ClientError> {
    if ward.is_own {
        ward.client.enable_versioning(&ward.bucket).await?;
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
    if !super::ward::keeps_versions(&ward.client, &ward.bucket).await? {
        return Ok(Outcome::Bad("the bucket keeps no old versions".to_owned()));
    }
    let (name, bodies) = ("versioned", ["one", "two"]);
    for body in bodies {
        ward.put(name, body).await?;
    }
    let key = ward.key(name);
    let mut pages = ward.client.list_versions(&ward.bucket, &key);
    let mut versions = Vec::new();
    while let Some(page) = pages.next().await? {
        versions.extend(page);
    }
    let Some(oldest) = versions.last().filter(|_| versions.len() == bodies.len()) else {
        return Ok(Outcome::Bad(format!(
            "of {} writes {} versions are listed",
            bodies.len(),
            versions.len()
        )));
    };
    let request = ward.object(Method::GET, name).query(&[("versionId", &oldest.version_id)]);
    let answer = ward.client.document(request).await?;
    Ok(match answer.body == bodies[0] {
        true => Outcome::Good("the first of two writes can be read again".to_owned()),
        false => Outcome::Bad("the old version has another body".to_owned()),
    })
}
