//! What policies say of requests whose document says what is asked for.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod fixture;

use fixture::Fixture;
use http::Method;
use tidelock_store::Principal;

const TARGET: &str = "/bucket/key";
const RETENTION: &str = "<Retention><Mode>MODE</Mode><RetainUntilDate>2040-01-01T00:00:00.000Z\
                         </RetainUntilDate></Retention>";
const HOLD: &str = "<LegalHold><Status>MODE</Status></LegalHold>";
const TAGGING: &str =
    "<Tagging><TagSet><Tag><Key>env</Key><Value>MODE</Value></Tag></TagSet></Tagging>";

/// A bucket with Object Lock and an object, and a user that may do one thing to it.
async fn with_user(action: &str, key: &str, value: &str) -> (Fixture, Fixture) {
    let root = Fixture::new();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    root.send(Method::PUT, "/bucket", &lock, b"").await;
    root.put(TARGET, b"body").await;
    let actor = Principal::root();
    root.store.create_user(&actor, "ci").await.unwrap();
    let policy = format!(
        "{{\"Statement\":{{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"*\",\
         \"Condition\":{{\"StringEquals\":{{\"{key}\":\"{value}\"}}}}}}}}"
    );
    root.store.put_user_policy(&actor, "ci", ("p", &policy)).await.unwrap();
    let made = root.store.create_access_key(&actor, "ci").await.unwrap();
    let ci = root.signing_as(&made.key.access_key_id, &made.secret_access_key);
    (root, ci)
}

/// A header that says something else than the document is not believed.
#[tokio::test]
async fn documents_say_what_is_asked_for() {
    // What is done, which condition key has to have which value, what the document says, and a header.
    let rows = [
        (
            "s3:PutObjectTagging",
            "tagging",
            "s3:RequestObjectTag/env",
            "dev",
            TAGGING,
            "x-amz-tagging",
        ),
        (
            "s3:PutObjectRetention",
            "retention",
            "s3:object-lock-mode",
            "GOVERNANCE",
            RETENTION,
            "x-amz-object-lock-mode",
        ),
        (
            "s3:PutObjectLegalHold",
            "legal-hold",
            "s3:object-lock-legal-hold",
            "ON",
            HOLD,
            "x-amz-object-lock-legal-hold",
        ),
    ];
    for (action, query, key, value, document, header) in rows {
        let (_root, ci) = with_user(action, key, value).await;
        let other = match value {
            "dev" => "prod",
            "ON" => "OFF",
            _ => "COMPLIANCE",
        };
        let claimed =
            if header == "x-amz-tagging" { format!("env={value}") } else { value.to_owned() };
        let target = format!("{TARGET}?{query}=");
        for (said, expected) in
            [(value, "200"), (other, "403 AccessDenied"), ("", "403 AccessDenied")]
        {
            for headers in [&[][..], &[(header, claimed.as_str())]] {
                let body = document.replace("MODE", said);
                let answer = ci.send(Method::PUT, &target, headers, body.as_bytes()).await;
                assert_eq!(answer.verdict(), expected, "{action} {said} {headers:?}");
            }
        }
    }
}
