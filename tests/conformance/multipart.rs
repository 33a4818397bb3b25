//! Multipart uploads: the life of one, and everything a Complete must refuse.

use super::script::{
    Row, Step, bucket, complete, create_upload, get, head, object, put, row, upload_part,
};
use crate::harness::digest::{
    crc32_base64, crc32c_base64, crc64nvme_base64, sha1_base64, sha256_base64,
};

/// A checksum in the form of its header.
type Digest = fn(&[u8]) -> String;

pub(crate) fn rows() -> Vec<Row> {
    [life_rows(), refused_rows(), checksum_rows()].concat()
}

fn complete_with(parts: &[(&str, &str)]) -> Step {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        })
        .collect();
    object("POST", "k")
        .query("uploadId", "{u}")
        .body(&format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"))
}

fn part(number: &str, body: &str) -> Step {
    put("k", body).query("partNumber", number).query("uploadId", "{u}")
}

fn life_rows() -> Vec<Row> {
    let parts = || object("GET", "k").query("uploadId", "{u}");
    vec![
        row(
            "create, part, list, complete, read",
            [
                create_upload("k", "u").has("Bucket", "{bucket}").has("Key", "k"),
                bucket("GET").query("uploads", "").has("UploadId", "{u}").has("Key", "k"),
                upload_part("k", "u", "parted"),
                parts().has("PartNumber", "1").has("Size", "6").has("ETag", "{part}"),
                get("k").gives(404),
                complete("k", "u")
                    .has("Key", "k")
                    .has("Bucket", "{bucket}")
                    .save_element("e", "ETag"),
                get("k").reads("parted").shows("etag", "{e}"),
                bucket("GET").query("uploads", "").lacks("UploadId"),
                parts().fails(404, "NoSuchUpload"),
            ],
        ),
        row(
            "metadata is given at the start",
            [
                create_upload("k", "u")
                    .header("x-amz-meta-a", "b")
                    .header("Content-Type", "application/json"),
                upload_part("k", "u", "parted"),
                complete("k", "u"),
                head("k").shows("x-amz-meta-a", "b").shows("content-type", "application/json"),
            ],
        ),
        row(
            "the last upload of a part counts",
            [
                create_upload("k", "u"),
                upload_part("k", "u", "first"),
                upload_part("k", "u", "second"),
                complete("k", "u"),
                get("k").reads("second"),
            ],
        ),
        row(
            "abort",
            [
                create_upload("k", "u"),
                upload_part("k", "u", "parted"),
                object("DELETE", "k").query("uploadId", "{u}").gives(204),
                complete("k", "u").fails(404, "NoSuchUpload").has(
                    "Message",
                    "The specified upload does not exist. The upload ID may be invalid, or the \
                     upload may have been aborted or completed.",
                ),
                object("DELETE", "k").query("uploadId", "{u}").fails(404, "NoSuchUpload"),
                get("k").gives(404),
            ],
        ),
        row(
            "pages of parts",
            [
                create_upload("k", "u"),
                part("1", "one"),
                part("3", "three"),
                parts()
                    .query("max-parts", "1")
                    .has("IsTruncated", "true")
                    .has("NextPartNumberMarker", "1"),
                parts().query("part-number-marker", "1").has("PartNumber", "3"),
            ],
        ),
    ]
}

fn refused_rows() -> Vec<Row> {
    let started = |after: Vec<Step>| {
        let before = vec![
            create_upload("k", "u"),
            part("1", "one").save_header("e1", "etag"),
            part("2", "two").save_header("e2", "etag"),
        ];
        before.into_iter().chain(after).collect::<Vec<_>>()
    };
    vec![
        row(
            "a part that is too small and not the last",
            started(vec![
                complete_with(&[("1", "{e1}"), ("2", "{e2}")]).fails(400, "EntityTooSmall"),
                get("k").gives(404),
            ]),
        ),
        row("an ETag of another part", started(vec![complete_with(&[("1", "{e2}")])
            .fails(400, "InvalidPart")])),
        row("a part that was not sent", started(vec![complete_with(&[("7", "{e1}")])
            .fails(400, "InvalidPart")])),
        row("parts out of order", started(vec![complete_with(&[("2", "{e2}"), ("1", "{e1}")])
            .fails(400, "InvalidPartOrder")])),
        row("no parts", started(vec![complete_with(&[]).fails(400, "MalformedXML")])),
        row("a part number of nought", started(vec![part("0", "x").fails(400, "InvalidArgument")])),
        row("a part number too high", started(vec![part("10001", "x")
            .fails(400, "InvalidArgument")])),
        row(
            "an upload that is none",
            [put("k", "x")
                .query("partNumber", "1")
                .query("uploadId", "none")
                .fails(404, "NoSuchUpload")],
        ),
        row(
            "an upload of another key",
            started(vec![object("POST", "l")
                .query("uploadId", "{u}")
                .body("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{e1}</ETag></Part></CompleteMultipartUpload>")
                .fails(404, "NoSuchUpload")]),
        ),
    ]
}

fn checksum_rows() -> Vec<Row> {
    let sha = sha256_base64(b"one");
    let crc = crc32_base64(b"one");
    let wrong = sha256_base64(b"two");
    let algorithms: [(&str, Digest); 5] = [
        ("x-amz-checksum-crc32", crc32_base64),
        ("x-amz-checksum-crc32c", crc32c_base64),
        ("x-amz-checksum-crc64nvme", crc64nvme_base64),
        ("x-amz-checksum-sha1", sha1_base64),
        ("x-amz-checksum-sha256", sha256_base64),
    ];
    let each = algorithms.map(|(header, digest)| {
        row(
            header,
            [
                put("k", "one").header(header, &digest(b"one")),
                get("k").header("x-amz-checksum-mode", "ENABLED").shows(header, &digest(b"one")),
                put("k", "one").header(header, &digest(b"two")).fails(400, "BadDigest"),
            ],
        )
    });
    let rows = vec![
        row(
            "a checksum is verified, kept and shown when asked",
            [
                put("k", "one").header("x-amz-checksum-sha256", &sha).shows("x-amz-checksum-sha256", &sha),
                get("k").header("x-amz-checksum-mode", "ENABLED").shows("x-amz-checksum-sha256", &sha),
                head("k").header("x-amz-checksum-mode", "ENABLED").shows("x-amz-checksum-sha256", &sha),
                get("k").hides("x-amz-checksum-sha256"),
            ],
        ),
        row(
            "a wrong checksum",
            [
                put("k", "one")
                    .header("x-amz-checksum-sha256", &wrong)
                    .fails(400, "BadDigest")
                    .has("Message", "The SHA256 you specified did not match the calculated checksum."),
                get("k").gives(404),
            ],
        ),
        row(
            "a checksum that is none",
            [put("k", "one").header("x-amz-checksum-sha256", "!").fails(400, "BadDigest")],
        ),
        row(
            "two checksums",
            [put("k", "one")
                .header("x-amz-checksum-sha256", &sha)
                .header("x-amz-checksum-crc32", &crc)
                .fails(400, "InvalidRequest")],
        ),
        row(
            "a wrong Content-MD5",
            [put("k", "one")
                .header("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")
                .fails(400, "BadDigest")],
        ),
        row(
            "a Content-MD5 that is none",
            [put("k", "one")
                .header("Content-MD5", "x")
                .fails(400, "InvalidDigest")
                .has("Content-MD5", "x")],
        ),
        row(
            "part checksums make the object's composite one",
            [
                create_upload("k", "u").header("x-amz-checksum-algorithm", "SHA256"),
                upload_part("k", "u", "one").header("x-amz-checksum-sha256", &sha),
                object("POST", "k").query("uploadId", "{u}").body(&format!(
                    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{{part}}</ETag>\
                     <ChecksumSHA256>{sha}</ChecksumSHA256></Part></CompleteMultipartUpload>"
                ))
                .has("ChecksumType", "COMPOSITE"),
                head("k")
                    .header("x-amz-checksum-mode", "ENABLED")
                    .shows("x-amz-checksum-type", "COMPOSITE"),
            ],
        ),
    ];
    each.into_iter().chain(rows).collect()
}
