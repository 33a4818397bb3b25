//! Whether conditions of writes are kept, one client at a time. What keeps them here may still lose races.
//!
//! Source of the rules: Amazon S3 User Guide, "How to prevent object overwrites with conditional writes".

use bytes::Bytes;
use http::Method;

use super::check::{Check, Made, Needs, Outcome, Weight};
use super::ward::{Answer, Ward};
use crate::ClientError;
use crate::connection::Outgoing;

/// An entity tag that no body has.
const ETAG_OF_NOTHING: &str = "\"00000000000000000000000000000000\"";
/// What to do where locks are not kept at all.
const NO_LOCKS: &str =
    "do not lock states here: two runs would both believe that they hold the lock";
/// What to do where only other tools are let down.
const NO_OTHERS: &str = "let no tool rely on it here; the locks of Terraform and OpenTofu do not";

/// What to do where a condition is refused with another status.
const OTHER_WORDS: &str = "nothing for locks: it is refused, if not with 412";

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "put-if-none-match",
        weight: Weight::Locks,
        needs: Needs::Nothing,
        advice: NO_LOCKS,
        run: |ward| -> Made<'_> { Box::pin(put_if_none_match(ward)) },
    },
    Check {
        name: "put-if-match",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: NO_OTHERS,
        run: |ward| -> Made<'_> { Box::pin(put_if_match(ward)) },
    },
    Check {
        name: "complete-if-none-match",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: NO_OTHERS,
        run: |ward| -> Made<'_> { Box::pin(complete_if_none_match(ward)) },
    },
    Check {
        name: "copy-if-none-match",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: NO_OTHERS,
        run: |ward| -> Made<'_> { Box::pin(copy_if_none_match(ward)) },
    },
    Check {
        name: "delete-if-match",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: NO_OTHERS,
        run: |ward| -> Made<'_> { Box::pin(delete_if_match(ward)) },
    },
];

pub(super) const ON_VERSIONS: &[Check] = &[Check {
    name: "put-over-delete-marker",
    weight: Weight::Locks,
    needs: Needs::Versions,
    advice: "do not keep versions in a bucket of states here: a lock could be taken only once, or twice",
    run: |ward| -> Made<'_> { Box::pin(put_over_delete_marker(ward)) },
}];

async fn put_if_none_match(ward: &Ward) -> Result<Outcome, ClientError> {
    only_once(ward, "once", "PUT").await
}

async fn put_over_delete_marker(ward: &Ward) -> Result<Outcome, ClientError> {
    ward.put("marked", "before").await?;
    ward.delete("marked").await?;
    only_once(ward, "marked", "over a delete marker PUT").await
}

/// The first conditional PUT of `name` makes it, the second is refused and changes nothing.
async fn only_once(ward: &Ward, name: &str, what: &str) -> Result<Outcome, ClientError> {
    let put = |body: &'static str| put(ward, name, body).header("if-none-match", "*");
    let first = ward.ask(&put("first")).await?;
    if !first.is_success() {
        return Ok(Outcome::Bad(format!("{what} with If-None-Match: * is {}", first.words())));
    }
    let second = ward.ask(&put("second")).await?;
    refused(ward, name, "first", &second, "If-None-Match: *").await
}

async fn put_if_match(ward: &Ward) -> Result<Outcome, ClientError> {
    let etag = ward.put("matched", "first").await?;
    let put = |body, etag: &str| put(ward, "matched", body).header("if-match", etag);
    let right = ward.ask(&put("second", &etag)).await?;
    if !right.is_success() {
        return Ok(Outcome::Bad(format!("If-Match with the right ETag is {}", right.words())));
    }
    let wrong = ward.ask(&put("third", &etag)).await?;
    refused(ward, "matched", "second", &wrong, "If-Match with an old ETag").await
}

async fn complete_if_none_match(ward: &Ward) -> Result<Outcome, ClientError> {
    let complete = ward.prepare_upload("completed", "first").await?;
    let first = ward.ask(&complete.header("if-none-match", "*")).await?;
    if !first.is_success() {
        return Ok(Outcome::Bad(format!("the first is {}", first.words())));
    }
    let complete = ward.prepare_upload("completed", "second").await?;
    let second = ward.ask(&complete.header("if-none-match", "*")).await?;
    refused(ward, "completed", "first", &second, "If-None-Match: *").await
}

async fn copy_if_none_match(ward: &Ward) -> Result<Outcome, ClientError> {
    ward.put("copied", "first").await?;
    ward.put("source", "second").await?;
    let copy = ward.copy("source", "copied").header("if-none-match", "*");
    let answer = ward.ask(&copy).await?;
    refused(ward, "copied", "first", &answer, "If-None-Match: *").await
}

async fn delete_if_match(ward: &Ward) -> Result<Outcome, ClientError> {
    let etag = ward.put("deleted", "first").await?;
    let delete = |etag: &str| ward.object(Method::DELETE, "deleted").header("if-match", etag);
    let wrong = ward.ask(&delete(ETAG_OF_NOTHING)).await?;
    let outcome = refused(ward, "deleted", "first", &wrong, "If-Match with a wrong ETag").await?;
    if !matches!(outcome, Outcome::Good(_)) {
        return Ok(outcome);
    }
    let right = ward.ask(&delete(&etag)).await?;
    Ok(match right.is_success() && ward.get("deleted").await?.is_none() {
        true => outcome,
        false => Outcome::Bad(format!("If-Match with the right ETag is {}", right.words())),
    })
}

/// Whether `answer` refuses, and the object still is what it was.
async fn refused(
    ward: &Ward,
    name: &str,
    body: &str,
    answer: &Answer,
    condition: &str,
) -> Result<Outcome, ClientError> {
    let found = ward.get(name).await?;
    Ok(match (answer.is_success(), found.as_deref() == Some(body)) {
        (true, _) => Outcome::Bad(format!("{condition} is ignored")),
        (false, false) => {
            Outcome::Bad(format!("{condition} is {}, and is done nevertheless", answer.words()))
        }
        (false, true) if answer.is_refused_condition() => {
            Outcome::Good(format!("{condition} is {}", answer.words()))
        }
        (false, true) => {
            Outcome::Odd(format!("{condition} is {}", answer.words()), Some(OTHER_WORDS))
        }
    })
}

fn put(ward: &Ward, name: &str, body: &'static str) -> Outgoing {
    ward.object(Method::PUT, name).body(Bytes::from_static(body.as_bytes()))
}
