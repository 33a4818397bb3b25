//! Every check is seen to fail, against a store that is broken in just one way, and nothing is left behind.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod store;

use std::sync::Arc;

use futures_util::future::join_all;
use store::{Fault, Store};

use super::*;
use crate::settings::Credentials;
use crate::{Now, Settings};

/// The client's own time, and that of stores whose clock is right.
const NOW: &str = "2026-11-21T20:35:06Z";
const DATE: &str = "Sat, 21 Nov 2026 20:35:06 GMT";
const BUCKETLESS: Option<&str> = None;

fn client(store: &Store, endpoint: &str) -> Client {
    let settings = Settings {
        endpoint: endpoint.parse().unwrap(),
        region: "us-east-1".to_owned(),
        credentials: Credentials {
            access_key_id: "AKIDAKIDAKIDAKID".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: None,
        },
        ca_bundle: None,
    };
    let now: jiff::Timestamp = NOW.parse().unwrap();
    Client::over(Arc::new(store.clone()), settings, Now::new(move || now))
}

async fn examine(store: &Store, endpoint: &str, bucket: Option<&str>) -> Report {
    let client = client(store, endpoint);
    let bucket = bucket.map(str::to_owned);
    let order = Order { bucket, racers: 4, rounds: 2, random: [7; 16] };
    let mut examination = Examination::begin(&client, &order).await.unwrap();
    let mut findings = examination.run(&mut |_| {}).await;
    let (bucket, prefix) = (examination.bucket().to_owned(), examination.prefix().to_owned());
    if let Err(error) = examination.clean_up().await {
        findings.push(Finding::of_leftovers(&bucket, &prefix, &error));
    }
    Report::of(&client, findings)
}

/// The names of the checks that came to `verdict`.
fn with(report: &Report, verdict: Verdict) -> String {
    names(&report.checks, verdict).join(" ")
}

#[tokio::test]
async fn a_store_without_a_fault_passes_and_is_left_as_it_was() {
    let rows = [
        (BUCKETLESS, &["theirs"] as &[&str], ""),
        (
            Some("theirs"),
            &["theirs", "theirs/x"],
            "put-over-delete-marker race-put-over-delete-marker",
        ),
    ];
    for (bucket, contents, skipped) in rows {
        let store = Store::new(Fault::Nothing, DATE).with("theirs", &contents[1..]);
        let before = store.contents();
        let report = examine(&store, "http://s3.test", bucket).await;
        assert_eq!(with(&report, Verdict::Fail), "", "{report:#?}");
        assert_eq!(with(&report, Verdict::Skipped), skipped);
        // A bucket that is not ours keeps no versions because we ask.
        let warned = if skipped.is_empty() { "" } else { "versioning" };
        assert_eq!(with(&report, Verdict::Warn), warned);
        assert!(report.safe && report.verdict.starts_with(SAFE), "{}", report.verdict);
        assert_eq!(store.contents(), before);
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_not_made() {
    let store = Store::new(Fault::Nothing, DATE);
    let order = Order { bucket: Some("none".into()), racers: 2, rounds: 1, random: [7; 16] };
    let error = Examination::begin(&client(&store, "http://s3.test"), &order).await.unwrap_err();
    assert_eq!(error.code(), Some("NoSuchBucket"));
    assert!(store.contents().is_empty());
}

#[tokio::test]
async fn every_fault_is_found() {
    let over_marker = "put-over-delete-marker race-put-over-delete-marker";
    let rows: &[(Fault, &str, &str)] = &[
        (
            Fault::IgnoresIfNoneMatch,
            "put-if-none-match race-put put-over-delete-marker race-put-over-delete-marker",
            "complete-if-none-match copy-if-none-match race-complete race-put-or-complete race-copy",
        ),
        (Fault::IgnoresIfMatch, "", "put-if-match race-put-if-match"),
        (Fault::IgnoresIfMatchOnDelete, "", "delete-if-match race-delete"),
        (
            Fault::IgnoresConditionsOfComplete,
            "",
            "complete-if-none-match race-complete race-put-or-complete",
        ),
        (Fault::IgnoresConditionsOfCopy, "", "copy-if-none-match race-copy"),
        (
            Fault::RacesPut,
            "race-put race-put-over-delete-marker",
            "race-put-if-match race-put-or-complete race-copy",
        ),
        (Fault::RacesComplete, "", "race-complete"),
        (Fault::RacesDelete, "", "race-delete"),
        (
            Fault::WritesWhatItRefuses,
            "put-if-none-match race-put put-over-delete-marker race-put-over-delete-marker",
            "put-if-match complete-if-none-match copy-if-none-match delete-if-match \
             race-put-if-match race-complete race-put-or-complete race-copy",
        ),
        (Fault::CountsMarkers, over_marker, ""),
        (
            Fault::RefusesConditions,
            "put-if-none-match race-put put-over-delete-marker race-put-over-delete-marker",
            "put-if-match complete-if-none-match copy-if-none-match delete-if-match \
             race-put-if-match race-complete race-put-or-complete race-copy race-delete",
        ),
        (Fault::ListsLate, "list-after-write", ""),
        (Fault::KnowsNoRanges, "", "ranged-reads"),
        (Fault::CutsRangesWrong, "ranged-reads", ""),
        (Fault::ChecksNoSums, "", "checksum-header checksum-trailer"),
        (Fault::StoresChunks, "checksum-trailer", ""),
        (Fault::RefusesChunks, "", "checksum-trailer"),
        (Fault::ChecksNoHashes, "", "payload-hash"),
        (Fault::HasNoSts, "", "caller-identity"),
        (Fault::HasNoVersions, "", "versioning"),
        (Fault::ForgetsVersions, "", "versioning"),
        (Fault::KeepsTheBucket, "", "clean-up"),
    ];
    let reports = rows.iter().map(async |(fault, ..)| {
        let store = Store::new(*fault, DATE);
        (examine(&store, "http://s3.test", BUCKETLESS).await, store.contents())
    });
    for ((fault, failed, warned), (report, left)) in rows.iter().zip(join_all(reports).await) {
        assert_eq!(with(&report, Verdict::Fail), *failed, "{fault:?}: {report:#?}");
        assert_eq!(with(&report, Verdict::Warn), *warned, "{fault:?}: {report:#?}");
        assert_eq!(report.safe, failed.is_empty(), "{fault:?}");
        let is_left = *fault == Fault::KeepsTheBucket;
        assert_eq!(left.len(), usize::from(is_left), "{fault:?}: {left:?}");
        for finding in &report.checks {
            let is_advised = matches!(finding.verdict, Verdict::Fail | Verdict::Warn);
            assert_eq!(finding.advice.is_empty(), !is_advised, "{finding:?}");
        }
    }
}

/// What ruins reads or writes ruins other checks too: the one that is about it must be among them.
#[tokio::test]
async fn faults_that_much_rests_on_are_named() {
    let rows = [
        (Fault::ReadsLate, "read-after-write"),
        (Fault::RemembersAbsence, "read-after-write"),
        (Fault::RefusesSums, "checksum-header"),
    ];
    for (fault, check) in rows {
        let store = Store::new(fault, DATE);
        let report = examine(&store, "http://s3.test", BUCKETLESS).await;
        let failed = names(&report.checks, Verdict::Fail);
        assert!(failed.contains(&check) && !report.safe, "{fault:?}: {report:#?}");
        assert!(report.verdict.starts_with("NOT safe: "), "{}", report.verdict);
    }
}

/// Terraform sends trailers over TLS, so that is where one cannot do without.
#[tokio::test]
async fn trailers_count_where_they_are_sent() {
    for (endpoint, safe) in [("http://s3.test", true), ("https://s3.test", false)] {
        let store = Store::new(Fault::RefusesChunks, DATE);
        assert_eq!(examine(&store, endpoint, BUCKETLESS).await.safe, safe, "{endpoint}");
    }
}

#[tokio::test]
async fn clocks_are_compared() {
    let rows = [
        ("Sat, 21 Nov 2026 20:35:36 GMT", Verdict::Pass, "30 s ahead"),
        ("Sat, 21 Nov 2026 20:30:06 GMT", Verdict::Warn, "300 s behind"),
        ("Sat, 21 Nov 2026 21:35:06 GMT", Verdict::Fail, "3600 s ahead"),
        ("today", Verdict::Warn, "the Date header is 'today'"),
    ];
    let reports = rows.iter().map(async |(date, ..)| {
        examine(&Store::new(Fault::Nothing, date), "http://s3.test", BUCKETLESS).await
    });
    for ((date, verdict, seen), report) in rows.iter().zip(join_all(reports).await) {
        let clock = report.checks.iter().find(|finding| finding.check == "clock").unwrap();
        assert_eq!((clock.verdict, clock.seen.as_str()), (*verdict, *seen), "{date}");
    }
}
