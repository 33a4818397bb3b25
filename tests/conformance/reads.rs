//! Conditions of GetObject, HeadObject and of the source of a copy, in AWS's order: If-Match,
//! If-Unmodified-Since, If-None-Match, If-Modified-Since. A read answers 412 or 304; a copy's source
//! always 412. And the ranges of a read.

use super::script::{Row, Step, copy, create_upload, get, head, object, put, row, upload_part};

const OTHER: &str = "\"00000000000000000000000000000000\"";

/// Conditions by short names, in AWS's order, and what a read and a copy source answer.
const CONDITIONS: &[Condition] = &[
    ("R1 If-Match holds", &[("If-Match", "{e}")], Answer::Holds),
    (
        "R1 If-Match without quotes",
        &[("If-Match", "f97c5d29941bfb1b2fdab0874906ab82")],
        Answer::Holds,
    ),
    ("R1 If-Match:*", &[("If-Match", "*")], Answer::Holds),
    ("R1 If-Match fails", &[("If-Match", OTHER)], Answer::Fails("If-Match")),
    ("R2 If-None-Match holds", &[("If-None-Match", OTHER)], Answer::Holds),
    ("R2 If-None-Match fails", &[("If-None-Match", "{e}")], Answer::Same("If-None-Match")),
    ("R3 If-Unmodified-Since at the second", &[("If-Unmodified-Since", "{lm}")], Answer::Holds),
    ("R3 If-Unmodified-Since later", &[("If-Unmodified-Since", "{future}")], Answer::Holds),
    (
        "R3 If-Unmodified-Since earlier",
        &[("If-Unmodified-Since", "{past}")],
        Answer::Fails("If-Unmodified-Since"),
    ),
    ("R4 If-Modified-Since earlier", &[("If-Modified-Since", "{past}")], Answer::Holds),
    (
        "R4 If-Modified-Since at the second",
        &[("If-Modified-Since", "{lm}")],
        Answer::Same("If-Modified-Since"),
    ),
    (
        "R4 If-Modified-Since in the future is ignored",
        &[("If-Modified-Since", "{future}")],
        Answer::Holds,
    ),
    (
        "R5 If-Match true silences If-Unmodified-Since",
        &[("If-Match", "{e}"), ("If-Unmodified-Since", "{past}")],
        Answer::Holds,
    ),
    (
        "R6 If-None-Match false decides over If-Modified-Since",
        &[("If-None-Match", "{e}"), ("If-Modified-Since", "{past}")],
        Answer::Same("If-None-Match"),
    ),
    (
        "R7 If-Match false comes before If-None-Match false",
        &[("If-Match", OTHER), ("If-None-Match", "{e}")],
        Answer::Fails("If-Match"),
    ),
    (
        "R8 If-Unmodified-Since false comes before If-None-Match false",
        &[("If-None-Match", "{e}"), ("If-Unmodified-Since", "{past}")],
        Answer::Fails("If-Unmodified-Since"),
    ),
];

/// The rule, its headers, and the answer.
type Condition = (&'static str, &'static [(&'static str, &'static str)], Answer);

#[derive(Clone, Copy)]
enum Answer {
    /// The request goes on.
    Holds,
    /// 412, naming this condition.
    Fails(&'static str),
    /// 304 for a read; 412 for a copy, naming this condition.
    Same(&'static str),
}

fn first() -> Step {
    put("k", "one").save_header("e", "etag")
}

fn dated() -> Step {
    head("k").save_header("lm", "last-modified")
}

pub(crate) fn get_rows() -> Vec<Row> {
    let answered = |step: Step, answer| match answer {
        Answer::Holds => step.gives(200).reads("one"),
        Answer::Fails(name) => step.precondition_failed(name),
        Answer::Same(_) => {
            step.gives(304).reads("").shows("etag", "{e}").shows("last-modified", "{lm}")
        }
    };
    rows_of(|step| answered(step.0, step.1), || get("k"), |name| name.to_owned())
}

pub(crate) fn head_rows() -> Vec<Row> {
    let answered = |step: Step, answer| match answer {
        Answer::Holds => step.gives(200).shows("etag", "{e}").shows("content-length", "3"),
        Answer::Fails(_) => step.gives(412).reads(""),
        Answer::Same(_) => step.gives(304).shows("etag", "{e}"),
    };
    rows_of(|step| answered(step.0, step.1), || head("k"), |name| name.to_owned())
}

pub(crate) fn copy_source_rows() -> Vec<Row> {
    let source_header = |name: &str| format!("x-amz-copy-source-{name}");
    rows_of(|step| source_answered(step.0, step.1), || copy("k", "d"), source_header)
}

pub(crate) fn part_copy_source_rows() -> Vec<Row> {
    let part_copy = || copy("k", "d").query("partNumber", "1").query("uploadId", "{u}");
    let source_header = |name: &str| format!("x-amz-copy-source-{name}");
    CONDITIONS
        .iter()
        .map(|(rule, conditions, answer)| {
            let mut step = part_copy();
            for (name, value) in *conditions {
                step = step.header(&source_header(name), value);
            }
            row(rule, [create_upload("d", "u"), first(), dated(), source_answered(step, *answer)])
        })
        .collect()
}

fn source_answered(step: Step, answer: Answer) -> Step {
    match answer {
        Answer::Holds => step.gives(200),
        Answer::Fails(name) | Answer::Same(name) => {
            step.precondition_failed(&format!("x-amz-copy-source-{name}"))
        }
    }
}

fn rows_of(
    answered: impl Fn((Step, Answer)) -> Step,
    request: impl Fn() -> Step,
    header: impl Fn(&str) -> String,
) -> Vec<Row> {
    CONDITIONS
        .iter()
        .map(|(rule, conditions, answer)| {
            let mut step = request();
            for (name, value) in *conditions {
                step = step.header(&header(name), value);
            }
            row(rule, [first(), dated(), answered((step, *answer))])
        })
        .collect()
}

/// Ranges of an object of ten bytes, and what AWS was recorded to answer.
const RANGES: &[(&str, Part)] = &[
    ("bytes=0-8", Part::Of("012345678", "bytes 0-8/10")),
    ("bytes=1-1", Part::Of("1", "bytes 1-1/10")),
    ("bytes=1-", Part::Of("123456789", "bytes 1-9/10")),
    ("bytes=-2", Part::Of("89", "bytes 8-9/10")),
    ("bytes=-9", Part::Of("123456789", "bytes 1-9/10")),
    ("bytes=-15", Part::Of("0123456789", "bytes 0-9/10")),
    ("bytes=0-100", Part::Of("0123456789", "bytes 0-9/10")),
    ("bytes=0-0", Part::Of("0", "bytes 0-0/10")),
    ("bytes=1-0", Part::Whole),
    ("bytes=-1-", Part::Whole),
    ("bytes=0--1", Part::Whole),
    ("bytes=0-1,3-4,7-9", Part::Whole),
    ("0-1", Part::Whole),
    ("bytes=-", Part::Whole),
    ("bytes=-0", Part::Nothing),
    ("bytes=100-200", Part::Nothing),
];

#[derive(Clone, Copy)]
enum Part {
    Of(&'static str, &'static str),
    Whole,
    Nothing,
}

pub(crate) fn range_rows() -> Vec<Row> {
    RANGES
        .iter()
        .map(|(range, part)| {
            let step = get("k").header("Range", range);
            let step = match part {
                Part::Of(body, shown) => step.gives(206).reads(body).shows("content-range", shown),
                Part::Whole => step.gives(200).reads("0123456789").hides("content-range"),
                Part::Nothing => step
                    .fails(416, "InvalidRange")
                    .has("Message", "The requested range is not satisfiable")
                    .has("ActualObjectSize", "10")
                    .has("RangeRequested", range),
            };
            row(range, [put("k", "0123456789"), step])
        })
        .chain([
            row(
                "a range of this object only",
                [
                    put("k", "0123456789"),
                    get("k")
                        .header("Range", "bytes=0-1")
                        .header("If-Range", "\"781e5e245d69b566979b86e28d23f2c7\"")
                        .gives(206)
                        .reads("01"),
                    get("k")
                        .header("Range", "bytes=0-1")
                        .header("If-Range", "\"none\"")
                        .gives(200)
                        .reads("0123456789"),
                    get("k")
                        .header("Range", "bytes=0-1")
                        .header("If-Range", "Thu, 01 Jan 1970 00:00:00 GMT")
                        .gives(200)
                        .reads("0123456789"),
                ],
            ),
            row(
                "nothing of an empty object",
                [put("k", ""), nothing("bytes=0-"), nothing("bytes=-5")],
            ),
        ])
        .collect()
}

fn nothing(range: &str) -> Step {
    let step = get("k").header("Range", range);
    step.fails(416, "InvalidRange").has("ActualObjectSize", "0").has("RangeRequested", range)
}

/// Ranges of UploadPartCopy: only `bytes=first-last` within the source will do.
pub(crate) fn part_copy_range_rows() -> Vec<Row> {
    let good = [("bytes=0-8", "\"22975d8a5ed1b91445f6c55ac121505b\"")];
    let malformed = [
        "bytes=1-0",
        "0-1",
        "bytes=-1-",
        "bytes=0--1",
        "bytes=0-1,3-4,7-9",
        "bytes=-",
        "bytes=-0",
        "bytes=1-",
        "bytes=-2",
        "bytes=-15",
    ];
    let ask = |range: &str| {
        copy("k", "d")
            .query("partNumber", "1")
            .query("uploadId", "{u}")
            .header("x-amz-copy-source-range", range)
    };
    let mut rows = Vec::new();
    let mut add = |rule, step| {
        rows.push(row(rule, [put("k", "0123456789"), create_upload("d", "u"), step]));
    };
    for (range, etag) in good {
        add(range, ask(range).gives(200).has("ETag", etag));
    }
    for range in malformed {
        let step = ask(range)
            .fails(400, "InvalidArgument")
            .has("ArgumentName", "x-amz-copy-source-range")
            .has("ArgumentValue", range);
        add(range, step);
    }
    add(
        "bytes=0-100",
        ask("bytes=0-100")
            .fails(400, "InvalidArgument")
            .has("Message", "Range specified is not valid for source object of size: 10"),
    );
    add(
        "bytes=100-200",
        ask("bytes=100-200")
            .fails(400, "InvalidRequest")
            .has("Message", "The specified copy range is invalid for the source object size"),
    );
    rows
}

/// `response-*` overrides, part numbers and metadata of a read.
pub(crate) fn shape_rows() -> Vec<Row> {
    vec![
        row(
            "overrides of a signed read",
            [
                first(),
                get("k")
                    .query("response-content-type", "text/plain")
                    .query("response-cache-control", "no-cache")
                    .query("response-content-disposition", "attachment; filename=\"a b\"")
                    .reads("one")
                    .shows("content-type", "text/plain")
                    .shows("cache-control", "no-cache")
                    .shows("content-disposition", "attachment; filename=\"a b\""),
            ],
        ),
        row(
            "checksums that nobody would check",
            [
                put("k", "one").header("x-amz-checksum-sha512", "x").fails(501, "NotImplemented"),
                put("k", "one").header("x-amz-checksum-foo", "x").fails(400, "InvalidRequest"),
                get("k").fails(404, "NoSuchKey"),
                put("k", "one").header("x-amz-checksum-mode", "ENABLED"),
            ],
        ),
        row(
            "metadata and system headers come back",
            [
                put("k", "one")
                    .header("Content-Type", "application/json")
                    .header("Cache-Control", "max-age=1")
                    .header("Content-Language", "en")
                    .header("x-amz-meta-Run", "42"),
                head("k")
                    .shows("content-type", "application/json")
                    .shows("cache-control", "max-age=1")
                    .shows("content-language", "en")
                    .shows("x-amz-meta-run", "42")
                    .shows("accept-ranges", "bytes")
                    .shows("x-amz-server-side-encryption", "AES256"),
            ],
        ),
        row(
            "the content type AWS gives to an object without one",
            [put("k", "one"), get("k").shows("content-type", "binary/octet-stream")],
        ),
        row(
            "one part of a multipart object",
            [
                create_upload("k", "u"),
                upload_part("k", "u", "parted"),
                super::script::complete("k", "u"),
                get("k").query("partNumber", "1").gives(206).reads("parted"),
                head("k").query("partNumber", "1").gives(206).shows("x-amz-mp-parts-count", "1"),
            ],
        ),
        row("an empty object", [put("k", ""), get("k").reads("").shows("content-length", "0")]),
        row(
            "an odd key",
            [
                put("env:/dev/a b+c~d*e%2F/ü", "one"),
                get("env:/dev/a b+c~d*e%2F/ü").reads("one"),
                object("DELETE", "env:/dev/a b+c~d*e%2F/ü").gives(204),
            ],
        ),
    ]
}
