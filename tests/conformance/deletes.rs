//! Conditions of DeleteObject and DeleteObjects (S3 user guide, "Conditional deletes"). Both lanes
//! answer as AWS does: a condition on a missing key is an error, not a success.

use super::script::{Row, Step, bucket, delete, get, put, row, suspended, versioned};
use crate::harness::digest::md5_base64;

const OTHER: &str = "\"00000000000000000000000000000000\"";

pub(crate) fn rows() -> Vec<Row> {
    [single_rows(), version_rows(), many_rows()].concat()
}

fn first() -> Step {
    put("k", "one").save_header("e", "etag")
}

fn delete_if(etag: &str) -> Step {
    delete("k").header("If-Match", etag)
}

fn single_rows() -> Vec<Row> {
    vec![
        row(
            "X1 the current ETag",
            [first(), delete_if("{e}").gives(204), get("k").no_such_key("k")],
        ),
        row(
            "X1 the current ETag without quotes",
            [first(), delete_if("f97c5d29941bfb1b2fdab0874906ab82").gives(204)],
        ),
        row(
            "X2 another ETag",
            [first(), delete_if(OTHER).precondition_failed("If-Match"), get("k").reads("one")],
        ),
        row("X3 any object", [first(), delete_if("*").gives(204), get("k").gives(404)]),
        row("X5 no object, an ETag", [delete_if(OTHER).no_such_key("k")]),
        row("X5 no object, any", [delete_if("*").gives_any(&[404, 412])]),
        row("no condition, no object", [delete("k").gives(204)]),
        row(
            "X6 the time condition is for directory buckets",
            [
                first(),
                delete("k")
                    .header("x-amz-if-match-last-modified-time", "{now}")
                    .not_implemented("x-amz-if-match-last-modified-time"),
            ],
        ),
        row(
            "X6 the size condition is for directory buckets",
            [
                first(),
                delete("k")
                    .header("x-amz-if-match-size", "3")
                    .not_implemented("x-amz-if-match-size"),
            ],
        ),
        row(
            "X6 of several the time condition is named",
            [
                first(),
                delete("k")
                    .header("If-Match", "{e}")
                    .header("x-amz-if-match-size", "3")
                    .header("x-amz-if-match-last-modified-time", "{now}")
                    .not_implemented("x-amz-if-match-last-modified-time"),
            ],
        ),
    ]
}

fn version_rows() -> Vec<Row> {
    let older = || put("k", "zero").save_header("e0", "etag").save_header("v0", "x-amz-version-id");
    vec![
        versioned(
            "X1 makes a delete marker",
            [
                first(),
                delete_if("{e}").gives(204).shows("x-amz-delete-marker", "true"),
                get("k").gives(404).shows("x-amz-delete-marker", "true"),
            ],
        ),
        versioned(
            "X4 any, on a delete marker",
            [first(), delete("k"), delete_if("*").precondition_failed("If-Match")],
        ),
        versioned(
            "X8 the current version decides",
            [
                older(),
                first(),
                delete_if("{e0}").precondition_failed("If-Match"),
                delete_if("{e}").gives(204),
            ],
        ),
        versioned(
            "no condition, a version by its id",
            [
                older(),
                first(),
                delete("k").query("versionId", "{v0}").shows("x-amz-version-id", "{v0}"),
                get("k").query("versionId", "{v0}").fails(404, "NoSuchVersion"),
                get("k").reads("one"),
            ],
        ),
        suspended(
            "X1 X2 in a suspended bucket",
            [
                first(),
                delete_if(OTHER).precondition_failed("If-Match"),
                delete_if("{e}").gives(204).shows("x-amz-version-id", "null"),
            ],
        ),
    ]
}

/// DeleteObjects needs a Content-MD5 (or another checksum) of its document.
fn delete_many(document: &str) -> Step {
    bucket("POST")
        .query("delete", "")
        .header("Content-MD5", &md5_base64(document.as_bytes()))
        .body(document)
}

fn many_rows() -> Vec<Row> {
    let one =
        |etag: &str| format!("<Delete><Object><Key>k</Key><ETag>{etag}</ETag></Object></Delete>");
    let current = "f97c5d29941bfb1b2fdab0874906ab82";
    vec![
        row(
            "X7 the current ETag",
            [first(), delete_many(&one(current)).gives(200).has("Key", "k").lacks("Error")],
        ),
        row(
            "X7 another ETag",
            [
                first(),
                delete_many(&one("00000000000000000000000000000000"))
                    .gives(200)
                    .lacks("Deleted")
                    .has("Code", "PreconditionFailed")
                    .has("Key", "k"),
                get("k").reads("one"),
            ],
        ),
        row("X7 any", [first(), delete_many(&one("*")).gives(200).lacks("Error")]),
        row("X7 no object", [delete_many(&one(current)).gives(200).lacks("Deleted")]),
        row(
            "one fails, the other goes",
            [
                first(),
                put("l", "two"),
                delete_many(
                    "<Delete><Object><Key>k</Key><ETag>abc</ETag></Object>\
                     <Object><Key>l</Key></Object></Delete>",
                )
                .gives(200)
                .has("Code", "PreconditionFailed"),
                get("k").reads("one"),
                get("l").gives(404),
            ],
        ),
        row(
            "quiet tells only errors",
            [
                first(),
                delete_many("<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>")
                    .gives(200)
                    .lacks("Deleted"),
            ],
        ),
        row(
            "a document without its checksum",
            [bucket("POST")
                .query("delete", "")
                .body("<Delete><Object><Key>k</Key></Object></Delete>")
                .gives(400)],
        ),
    ]
}
