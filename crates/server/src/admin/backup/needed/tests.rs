//! Which of the blobs that are not there a store cannot be without.

use std::collections::BTreeSet;

use tidelock_meta::record::part::{self, PartRow};
use tidelock_meta::record::upload::{self, UploadId, UploadRow, UploadState};
use tidelock_meta::record::version::{
    Body, ETag, ObjectFacts, ObjectVersion, VersionId, VersionKind,
};
use tidelock_meta::record::{BucketId, head};

use super::*;

const BUCKET: BucketId = BucketId([1; 16]);
const UPLOAD: UploadId = UploadId([2; 16]);
const PART: BlobId = BlobId([3; 16]);
const WHOLE: BlobId = BlobId([4; 16]);

fn head_with(body: Body) -> bytes::Bytes {
    let facts = ObjectFacts {
        size: 1,
        etag: ETag { md5: [0; 16], parts: None },
        headers: Vec::new(),
        metadata: Vec::new(),
        tags: Vec::new(),
        checksum: None,
        body,
        wrapped_key: Vec::new(),
        state: None,
        controls: Default::default(),
    };
    let current = ObjectVersion {
        id: VersionId { sequence: 1, random: 1 },
        is_null: true,
        modified_ms: 0,
        author: String::new(),
        kind: VersionKind::Object(Box::new(facts)),
    };
    head::HeadRow { current: Some(current), ..head::HeadRow::default() }.encode()
}

fn upload_row() -> bytes::Bytes {
    let row = UploadRow {
        initiated_ms: 0,
        initiator: String::new(),
        author: String::new(),
        mutations: 0,
        headers: Vec::new(),
        metadata: Vec::new(),
        tags: Vec::new(),
        checksum: None,
        wrapped_key: Vec::new(),
        state: UploadState::Open,
        controls: Default::default(),
    };
    row.encode()
}

fn part_row() -> bytes::Bytes {
    let row = PartRow {
        modified_ms: 0,
        size: 1,
        md5: [0; 16],
        checksum: None,
        body: Body::Blob { id: PART.0 },
        wrapped_key: Vec::new(),
    };
    row.encode()
}

#[test]
fn what_was_removed_by_rights_is_not_lost() {
    let whole = head_with(Body::Blob { id: WHOLE.0 });
    let parts = |ranges| head_with(Body::Parts { upload: UPLOAD.0, ranges });
    let (head, upload) = (head::key(BUCKET, "key"), upload::key(BUCKET, "key", UPLOAD));
    let part = part::key(UPLOAD, 7);
    let put = |key: &Key, value: &bytes::Bytes| (key.clone(), Some(value.clone()));
    type Rows = Vec<(Key, Option<bytes::Bytes>)>;
    let rows: Vec<(&str, bool, Rows, Vec<BlobId>)> = vec![
        ("an object has it", true, vec![put(&head, &whole)], vec![WHOLE]),
        (
            "an object had it",
            true,
            vec![put(&head, &whole), put(&head, &head_with(Body::Empty))],
            Vec::new(),
        ),
        (
            "an object that is gone had it",
            true,
            vec![put(&head, &whole), (head.clone(), None)],
            Vec::new(),
        ),
        (
            "an upload under way",
            true,
            vec![put(&upload, &upload_row()), put(&part, &part_row())],
            vec![PART],
        ),
        ("a part of no upload", true, vec![put(&part, &part_row())], Vec::new()),
        ("a part of an upload from before", false, vec![put(&part, &part_row())], vec![PART]),
        (
            "an upload from before that was given up",
            false,
            vec![put(&part, &part_row()), (upload.clone(), None)],
            Vec::new(),
        ),
        (
            "an object has the part",
            true,
            vec![put(&part, &part_row()), put(&head, &parts(vec![(7, 8)]))],
            vec![PART],
        ),
        (
            "an object has other parts",
            true,
            vec![put(&part, &part_row()), put(&head, &parts(vec![(1, 6), (8, 9)]))],
            Vec::new(),
        ),
    ];
    for (what, knows_all, records, expected) in rows {
        let mut needed = if knows_all { Needed::of_all() } else { Needed::default() };
        for (key, value) in records {
            let record = match &value {
                Some(value) => {
                    needed.put(&key, value).unwrap();
                    continue;
                }
                None => Record::Delete { key: &key, version: 1 },
            };
            needed.apply_record(&record).unwrap();
        }
        let missing = BTreeSet::from([PART, WHOLE]);
        assert_eq!(needed.lost(&missing), BTreeSet::from_iter(expected), "{what}");
        assert!(needed.named().iter().all(|id| missing.contains(id)), "{what}");
    }
}
