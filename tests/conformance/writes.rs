//! Conditions of PutObject, CompleteMultipartUpload and CopyObject's destination. Rows W are from the
//! S3 user guide ("Conditional writes") and AWS's recorded answers; rows M are the conflicts only a
//! multipart upload can meet. Where AWS refuses with 501, the default lane answers the superset.

use super::script::{
    Row, Step, complete, copy, create_upload, delete, get, head, put, row, upload_part, versioned,
};

const OTHER: &str = "\"00000000000000000000000000000000\"";
const REFUSED_IF_NONE_MATCH: &str =
    "We don't accept the provided value of If-None-Match header for this API";
const REFUSED_IF_MATCH: &str = "We don't accept the provided value of If-Match header for this API";
const REFUSED_BOTH: &str = "Multiple conditional request headers present in the request";

/// The write under test: a PUT of `two`, or a copy of `source` (whose body is `two`).
type WriteTo = fn(&str) -> Step;

fn put_two(key: &str) -> Step {
    put(key, "two")
}

fn copy_two(key: &str) -> Step {
    copy("source", key)
}

pub(crate) fn put_rows() -> Vec<Row> {
    single_rows(put_two)
}

pub(crate) fn copy_rows() -> Vec<Row> {
    let mut rows = single_rows(copy_two);
    rows.extend(copy_only_rows());
    rows
}

fn single_rows(write: WriteTo) -> Vec<Row> {
    [presence_rows(write), match_rows(write), refused_rows(write)].concat()
}

fn before() -> [Step; 2] {
    [put("source", "two"), put("k", "one").save_header("e", "etag")]
}

fn steps(after: impl IntoIterator<Item = Step>) -> Vec<Step> {
    before().into_iter().chain(after).collect()
}

fn presence_rows(write: WriteTo) -> Vec<Row> {
    let star = |step: Step| step.header("If-None-Match", "*");
    vec![
        row(
            "W1 If-None-Match:* on no object",
            steps([star(write("new")).gives(200), get("new").reads("two")]),
        ),
        row(
            "W2 If-None-Match:* on an object",
            steps([star(write("k")).precondition_failed("If-None-Match"), get("k").reads("one")]),
        ),
        row("W2 after a delete", steps([delete("k"), star(write("k")).gives(200)])),
        versioned(
            "W2 If-None-Match:* on a version",
            steps([star(write("k")).precondition_failed("If-None-Match")]),
        ),
        versioned(
            "W3 If-None-Match:* on a delete marker",
            steps([
                delete("k")
                    .shows("x-amz-delete-marker", "true")
                    .save_header("m", "x-amz-version-id"),
                star(write("k")).gives(200).save_header("v", "x-amz-version-id"),
                get("k").reads("two").shows("x-amz-version-id", "{v}"),
            ]),
        ),
        versioned(
            "W4 older versions do not matter",
            steps([
                put("k", "three").save_header("e3", "etag"),
                write("k").header("If-Match", "{e}").precondition_failed("If-Match"),
                write("k").header("If-Match", "{e3}").gives(200),
            ]),
        ),
        row(
            "W15 an upload in progress is no object",
            steps([create_upload("new", "u"), star(write("new")).gives(200)]),
        ),
    ]
}

fn match_rows(write: WriteTo) -> Vec<Row> {
    vec![
        row(
            "W6 If-Match of the current ETag",
            steps([write("k").header("If-Match", "{e}").gives(200), get("k").reads("two")]),
        ),
        row(
            "W7 If-Match of another ETag",
            steps([
                write("k").header("If-Match", OTHER).precondition_failed("If-Match"),
                get("k").reads("one"),
            ]),
        ),
        row(
            "W8 If-Match on no object",
            steps([write("new").header("If-Match", "{e}").no_such_key("new")]),
        ),
        versioned(
            "W9 If-Match on a delete marker",
            steps([delete("k"), write("k").header("If-Match", "{e}").no_such_key("k")]),
        ),
        row(
            "W12 an ETag without quotes",
            steps([write("k").header("If-Match", "f97c5d29941bfb1b2fdab0874906ab82").gives(200)]),
        ),
        row(
            "W12 garbage is compared",
            steps([
                write("k").header("If-Match", "bad-char_/").precondition_failed("If-Match"),
                write("new").header("If-Match", "bad-char_/").no_such_key("new"),
            ]),
        ),
    ]
}

fn refused_rows(write: WriteTo) -> Vec<Row> {
    let refused_inm = |step: Step| {
        step.strict()
            .not_implemented("If-None-Match")
            .has("additionalMessage", REFUSED_IF_NONE_MATCH)
    };
    let refused_im = |step: Step| {
        step.strict().not_implemented("If-Match").has("additionalMessage", REFUSED_IF_MATCH)
    };
    let both = |key| write(key).header("If-Match", "{e}").header("If-None-Match", "*");
    let refused_both = |step: Step| {
        step.strict()
            .not_implemented("If-Match,If-None-Match")
            .has("additionalMessage", REFUSED_BOTH)
    };
    vec![
        row(
            "W5 If-None-Match of the current ETag",
            steps([refused_inm(
                write("k").header("If-None-Match", "{e}").precondition_failed("If-None-Match"),
            )]),
        ),
        row(
            "W5 If-None-Match of another ETag",
            steps([refused_inm(write("k").header("If-None-Match", OTHER).gives(200))]),
        ),
        row(
            "W5 W13 If-None-Match of an ETag on no object",
            steps([refused_inm(write("new").header("If-None-Match", OTHER).gives(200))]),
        ),
        row(
            "W10 If-Match:* on an object",
            steps([refused_im(write("k").header("If-Match", "*").gives(200))]),
        ),
        row(
            "W10 W13 If-Match:* on no object",
            steps([refused_im(write("new").header("If-Match", "*").no_such_key("new"))]),
        ),
        row(
            "W11 both at once never write over an object",
            steps([refused_both(both("k").gives_any(&[412, 501])), get("k").reads("one")]),
        ),
        row(
            "W11 W13 both at once on no object",
            steps([refused_both(both("new").gives_any(&[404, 412, 501]))]),
        ),
    ]
}

fn copy_only_rows() -> Vec<Row> {
    let source = |name: &str, value: &str| {
        copy("source", "k").header(&format!("x-amz-copy-source-{name}"), value)
    };
    let in_place =
        || copy("k", "k").header("x-amz-metadata-directive", "REPLACE").header("x-amz-meta-a", "b");
    vec![
        row(
            "W19 onto itself, If-None-Match:*",
            steps([in_place().header("If-None-Match", "*").precondition_failed("If-None-Match")]),
        ),
        row(
            "W19 onto itself, If-Match",
            steps([
                in_place().header("If-Match", "{e}").gives(200),
                head("k").shows("x-amz-meta-a", "b").shows("etag", "{e}"),
            ]),
        ),
        row(
            "W20 source and destination hold",
            steps([source("if-match", "b8a9f715dbb64fd5c56e7783c6820a61")
                .header("If-Match", "{e}")
                .gives(200)]),
        ),
        row(
            "W20 the source fails",
            steps([source("if-match", OTHER)
                .header("If-Match", "{e}")
                .precondition_failed("x-amz-copy-source-If-Match")]),
        ),
        row(
            "W20 the destination fails",
            steps([source("if-match", "b8a9f715dbb64fd5c56e7783c6820a61")
                .header("If-Match", OTHER)
                .precondition_failed("If-Match")]),
        ),
    ]
}

/// CompleteMultipartUpload: the W rows that hold for it, then the conflicts.
pub(crate) fn complete_rows() -> Vec<Row> {
    [complete_plain_rows(), complete_none_match_rows(), complete_match_rows()].concat()
}

fn upload(name: &'static str) -> [Step; 2] {
    [create_upload("k", name), upload_part("k", name, "parted")]
}

/// Steps before the upload, the upload, then steps after it.
fn around<const B: usize, const A: usize>(first: [Step; B], then: [Step; A]) -> Vec<Step> {
    first.into_iter().chain(upload("u")).chain(then).collect()
}

fn first() -> Step {
    put("k", "one").save_header("e", "etag")
}

fn complete_if_none_match() -> Step {
    complete("k", "u").header("If-None-Match", "*")
}

fn complete_if_match(etag: &str) -> Step {
    complete("k", "u").header("If-Match", etag)
}

fn complete_plain_rows() -> Vec<Row> {
    vec![
        row(
            "W1 Complete, no object",
            around([], [complete_if_none_match().gives(200), get("k").reads("parted")]),
        ),
        row(
            "W2 Complete, an object",
            around(
                [first()],
                [
                    complete_if_none_match().precondition_failed("If-None-Match"),
                    get("k").reads("one"),
                ],
            ),
        ),
        versioned(
            "W3 Complete, a delete marker since before the upload",
            around([first(), delete("k")], [complete_if_none_match().gives(200)]),
        ),
        row(
            "W8 Complete, If-Match on no object",
            around([], [complete_if_match("\"abc\"").no_such_key("k")]),
        ),
        row(
            "M10 Complete, If-Match of the current ETag, then of the multipart ETag",
            around(
                [first()],
                [
                    complete_if_match("{e}").gives(200).save_element("m", "ETag"),
                    put("k", "two").header("If-Match", "{e}").precondition_failed("If-Match"),
                    put("k", "two").header("If-Match", "{m}").gives(200),
                ],
            ),
        ),
        row(
            "a repeated Complete answers its first 200",
            around(
                [],
                [
                    complete_if_none_match().gives(200).save_element("m", "ETag"),
                    complete_if_none_match().gives(200).has("ETag", "{m}"),
                ],
            ),
        ),
    ]
}

fn complete_none_match_rows() -> Vec<Row> {
    vec![
        row(
            "M1 PUT during the upload",
            around([], [first(), complete_if_none_match().precondition_failed("If-None-Match")]),
        ),
        row(
            "M2 DELETE during the upload",
            around([first()], [delete("k"), complete_if_none_match().conflict("If-None-Match")]),
        ),
        versioned(
            "M2 delete marker during the upload",
            around([first()], [delete("k"), complete_if_none_match().conflict("If-None-Match")]),
        ),
        row(
            "M3 412, DELETE, 409, and a new upload",
            around(
                [first()],
                [
                    complete_if_none_match().precondition_failed("If-None-Match"),
                    delete("k"),
                    complete_if_none_match().conflict("If-None-Match"),
                    create_upload("k", "u2"),
                    upload_part("k", "u2", "again"),
                    complete("k", "u2").header("If-None-Match", "*").gives(200),
                ],
            ),
        ),
    ]
}

fn complete_match_rows() -> Vec<Row> {
    let second = || put("k", "two").save_header("e2", "etag");
    vec![
        row(
            "M4 M5 PUT during the upload: the stale ETag, then the new one",
            around(
                [first()],
                [
                    second(),
                    complete_if_match("{e}").precondition_failed("If-Match"),
                    complete_if_match("{e2}").conflict("If-Match"),
                    create_upload("k", "u2"),
                    upload_part("k", "u2", "again"),
                    complete("k", "u2").header("If-Match", "{e2}").gives(200),
                ],
            ),
        ),
        row(
            "M6 PUT of the same bytes during the upload",
            around([first()], [first(), complete_if_match("{e}").conflict("If-Match")]),
        ),
        row(
            "M7 M8 DELETE during the upload, then PUT",
            around(
                [first()],
                [
                    delete("k"),
                    complete_if_match("{e}").no_such_key("k"),
                    first(),
                    complete_if_match("{e}").conflict("If-Match"),
                ],
            ),
        ),
        row(
            "M9 a 412 leaves the upload alive",
            around(
                [first()],
                [
                    complete_if_match("\"abc\"").precondition_failed("If-Match"),
                    complete_if_match("{e}").gives(200),
                    get("k").reads("parted"),
                ],
            ),
        ),
    ]
}
