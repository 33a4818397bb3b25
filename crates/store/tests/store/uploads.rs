//! Multipart uploads: the 409 window, repeated answers, parts that come in between, sweeping.

use std::time::Duration;

use crate::fixture::{Fixture, body, if_match, if_none_match};
use tidelock_store::*;

#[tokio::test]
async fn parts_become_an_object_that_reads_by_range() {
    let fixture = Fixture::new().await;
    let upload = fixture.begin_upload("key").await;
    let (one, two, three) = (body(300_000, 1), body(70_000, 2), body(5, 3));
    let second = fixture.put_part("key", upload, 2, body(20, 9)).await;
    assert_ne!(second, fixture.put_part("key", upload, 2, two.clone()).await);
    let parts = [
        fixture.put_part("key", upload, 1, one.clone()).await,
        fixture.put_part("key", upload, 2, two.clone()).await,
        fixture.put_part("key", upload, 7, three.clone()).await,
    ];
    fixture.put_part("key", upload, 9, body(1 << 20, 4)).await;
    let plain = WriteCondition::default();
    let stored = fixture.complete("key", upload, &parts, &plain).await.unwrap();
    assert_eq!(stored.etag.parts, Some(3));
    let whole = [one, two, three].concat();
    assert!(fixture.get("key").await.unwrap() == whole);
    for (start, end) in [(0, 1), (299_999, 300_001), (369_999, 370_005), (100, 370_000)] {
        let got = fixture.get_range("key", None, Some(start as u64..end as u64)).await.unwrap();
        assert!(got == whole[start..end], "{start}..{end}");
    }
    // Asked again it answers the same, for an hour; with other parts it is not there.
    let again = fixture.complete("key", upload, &parts, &plain).await.unwrap();
    assert_eq!((again.etag, again.version), (stored.etag, stored.version));
    assert!(fixture.complete("key", upload, &parts[..2], &plain).await.is_err());
    fixture.clock.advance(Duration::from_secs(3601));
    assert_eq!(fixture.store.sweep().await.unwrap().uploads, 1);
    assert!(fixture.complete("key", upload, &parts, &plain).await.is_err());
    assert!(fixture.get("key").await.unwrap() == whole);
    // The parts go with their object.
    fixture.delete("key", None).await;
    fixture.clock.advance(Duration::from_secs(601));
    assert_eq!(fixture.store.sweep().await.unwrap().uploads, 1);
    assert_eq!(fixture.store.sweep().await.unwrap(), SweepReport::default());
}

#[derive(Clone, Copy, Debug)]
enum During {
    Nothing,
    Put,
    PutSame,
    Delete,
    DeleteThenPut,
}

#[derive(Clone, Copy, Debug)]
enum Condition {
    NoneMatch,
    MatchOld,
    MatchCurrent,
}

#[tokio::test]
async fn the_window_of_an_upload() {
    use ConditionFailure::{ConflictIfMatch, ConflictIfNoneMatch, IfMatch, IfNoneMatch, NoSuchKey};
    let rows = [
        ("M1", false, During::Put, Condition::NoneMatch, Err(IfNoneMatch)),
        ("M2", true, During::Delete, Condition::NoneMatch, Err(ConflictIfNoneMatch)),
        ("M4", true, During::Put, Condition::MatchOld, Err(IfMatch)),
        ("M5", true, During::Put, Condition::MatchCurrent, Err(ConflictIfMatch)),
        ("M6", true, During::PutSame, Condition::MatchCurrent, Err(ConflictIfMatch)),
        ("M7", true, During::Delete, Condition::MatchOld, Err(NoSuchKey)),
        ("M8", true, During::DeleteThenPut, Condition::MatchCurrent, Err(ConflictIfMatch)),
        ("M10", true, During::Nothing, Condition::MatchCurrent, Ok(())),
        ("W1", false, During::Nothing, Condition::NoneMatch, Ok(())),
        ("W2", true, During::Nothing, Condition::NoneMatch, Err(IfNoneMatch)),
    ];
    for versioning in [None, Some(Versioning::Enabled), Some(Versioning::Suspended)] {
        for (name, exists, during, condition, expected) in rows {
            let fixture = Fixture::new().await;
            if let Some(versioning) = versioning {
                fixture.set_versioning(versioning).await;
            }
            let mut old = None;
            if exists {
                old = Some(fixture.put("key", "old").await.etag);
            }
            let upload = fixture.begin_upload("key").await;
            let parts = [fixture.put_part("key", upload, 1, "part").await];
            let mut current = old;
            match during {
                During::Nothing => {}
                During::Put => current = Some(fixture.put("key", "new").await.etag),
                During::PutSame => current = Some(fixture.put("key", "old").await.etag),
                During::Delete => {
                    fixture.delete("key", None).await;
                }
                During::DeleteThenPut => {
                    fixture.delete("key", None).await;
                    current = Some(fixture.put("key", "new").await.etag);
                }
            }
            let condition = match condition {
                Condition::NoneMatch => if_none_match(),
                Condition::MatchOld => if_match(&old.unwrap()),
                Condition::MatchCurrent => if_match(&current.unwrap()),
            };
            let got = fixture.complete("key", upload, &parts, &condition).await.map(drop);
            let expected = expected.map_err(CompleteError::Condition);
            assert_eq!(got, expected, "{name} {versioning:?}");
        }
    }
}

#[tokio::test]
async fn a_refused_upload_stays_alive_and_takes_more_parts() {
    let fixture = Fixture::new().await;
    let etag = fixture.put("key", "old").await.etag;
    let upload = fixture.begin_upload("key").await;
    let first = fixture.put_part("key", upload, 1, body(20, 1)).await;
    let wrong = if_none_match();
    assert!(fixture.complete("key", upload, std::slice::from_ref(&first), &wrong).await.is_err());
    let second = fixture.put_part("key", upload, 2, body(5, 2)).await;
    fixture.complete("key", upload, &[first, second], &if_match(&etag)).await.unwrap();
    assert_eq!(fixture.get("key").await.unwrap().len(), 25);
}

#[tokio::test]
async fn completions_race_with_one_winner() {
    let fixture = Fixture::new().await;
    let mut uploads = Vec::new();
    for writer in 0..16 {
        let upload = fixture.begin_upload("key").await;
        uploads.push((upload, fixture.put_part("key", upload, 1, body(30, writer)).await));
    }
    let condition = if_none_match();
    let completions = uploads.iter().map(|(upload, part)| {
        fixture.complete("key", *upload, std::slice::from_ref(part), &condition)
    });
    let won = futures_util::future::join_all(completions).await;
    assert_eq!(won.iter().filter(|it| it.is_ok()).count(), 1);
}

#[tokio::test]
async fn the_largest_legal_upload_fits_its_rows() {
    let fixture = Fixture::new().await;
    let key = "k".repeat(OBJECT_KEY_BYTES_MAX).parse().unwrap();
    // 2 KiB of metadata, 8 KiB of headers, ten tags of 128 + 256 characters, every other part.
    let long = |name: &str, bytes| (name.to_owned(), "v".repeat(bytes));
    let tag =
        |number| (format!("{number:0>3}{}", "\u{10348}".repeat(125)), "\u{10348}".repeat(256));
    let settings = ObjectSettings {
        headers: vec![long("cache-control", 4096), long("content-disposition", 4096)],
        metadata: vec![long("m", 2047)],
        tags: (0..10).map(tag).collect(),
        ..ObjectSettings::default()
    };
    let (principal, bucket, condition) =
        (&fixture.root, &fixture.bucket, &WriteCondition::default());
    let create = CreateUpload { principal, bucket, key: &key, settings: &settings, checksum: None };
    let upload = fixture.store.create_upload(&create).await.unwrap().upload;
    let mut parts = Vec::new();
    for number in (1..=10_000).step_by(2) {
        parts.push(fixture.put_part(key.as_str(), upload, number, "0123456789").await);
    }
    let request = CompleteUpload {
        principal,
        bucket,
        key: &key,
        upload,
        condition,
        parts: &parts,
        checksum: None,
        size: None,
        customer_key: None,
    };
    fixture.store.complete_upload(&request).await.unwrap();
    assert_eq!(fixture.get(key.as_str()).await.unwrap().len(), 50_000);
    fixture.set_versioning(Versioning::Enabled).await;
    fixture.put(key.as_str(), body(248 << 10, 1)).await;
    fixture.clock.advance(Duration::from_secs(3600));
    assert_eq!(fixture.store.sweep().await.unwrap().uploads, 1);
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let fixture = Fixture::new().await;
    let upload = fixture.begin_upload("key").await;
    let part = fixture.put_part("key", upload, 1, body(1 << 20, 1)).await;
    let key = "key".parse().unwrap();
    fixture.store.abort_upload(&fixture.root, &fixture.bucket, &key, upload).await.unwrap();
    let gone = fixture.complete("key", upload, &[part], &WriteCondition::default()).await;
    assert_eq!(gone, Err(CompleteError::Upload(UploadError::NoSuchUpload)));
    fixture.clock.advance(Duration::from_secs(601));
    assert_eq!(fixture.store.sweep().await.unwrap().uploads, 1);
    fixture.store.delete_bucket(&fixture.root, &fixture.bucket).await.unwrap();
}
