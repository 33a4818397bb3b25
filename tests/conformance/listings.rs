//! ListObjects, ListObjectsV2 and ListObjectVersions: order, delimiters, pages and encodings.

use super::script::{Row, Step, bucket, delete, put, row, versioned};

const KEYS: &[&str] = &["a", "b/1", "b/2", "c/d/3", "e f", "z"];

fn filled(after: impl IntoIterator<Item = Step>) -> Vec<Step> {
    KEYS.iter().map(|key| put(key, "one")).chain(after).collect()
}

fn list() -> Step {
    bucket("GET").query("list-type", "2")
}

fn list_v1() -> Step {
    bucket("GET")
}

fn versions() -> Step {
    bucket("GET").query("versions", "")
}

pub(crate) fn rows() -> Vec<Row> {
    [second_rows(), first_rows(), version_rows()].concat()
}

fn second_rows() -> Vec<Row> {
    vec![
        row("an empty bucket", [list().has("KeyCount", "0").has("IsTruncated", "false")]),
        row("all keys", filled([list().has("KeyCount", "6").has("MaxKeys", "1000")])),
        row(
            "what an entry says",
            filled([list()
                .has("Key", "a")
                .has("Size", "3")
                .has("ETag", "\"f97c5d29941bfb1b2fdab0874906ab82\"")
                .has("StorageClass", "STANDARD")
                .lacks("Owner")]),
        ),
        row("the owner when asked", filled([list().query("fetch-owner", "true").gives(200)])),
        row(
            "a prefix",
            filled([list().query("prefix", "b/").has("KeyCount", "2").has("Key", "b/1")]),
        ),
        row(
            "a delimiter",
            filled([list()
                .query("delimiter", "/")
                .has("KeyCount", "5")
                .has("CommonPrefixes", "<Prefix>b/</Prefix>")]),
        ),
        row(
            "prefix and delimiter",
            filled([list()
                .query("delimiter", "/")
                .query("prefix", "c/")
                .has("KeyCount", "1")
                .lacks("Key")
                .has("CommonPrefixes", "<Prefix>c/d/</Prefix>")]),
        ),
        row(
            "pages",
            filled([
                list()
                    .query("max-keys", "4")
                    .has("IsTruncated", "true")
                    .has("KeyCount", "4")
                    .save_element("t", "NextContinuationToken"),
                list()
                    .query("max-keys", "4")
                    .query("continuation-token", "{t}")
                    .has("IsTruncated", "false")
                    .has("KeyCount", "2")
                    .has("Key", "e f"),
            ]),
        ),
        row(
            "pages of common prefixes",
            filled([
                list()
                    .query("max-keys", "2")
                    .query("delimiter", "/")
                    .has("IsTruncated", "true")
                    .has("CommonPrefixes", "<Prefix>b/</Prefix>")
                    .save_element("t", "NextContinuationToken"),
                list()
                    .query("max-keys", "2")
                    .query("delimiter", "/")
                    .query("continuation-token", "{t}")
                    .has("CommonPrefixes", "<Prefix>c/</Prefix>")
                    .has("Key", "e f"),
            ]),
        ),
        row("start-after", filled([list().query("start-after", "b/2").has("Key", "c/d/3")])),
        row(
            "an encoding",
            filled([list().query("encoding-type", "url").query("prefix", "e").has("Key", "e%20f")]),
        ),
        row(
            "max-keys of nothing",
            filled([list()
                .query("max-keys", "0")
                .has("KeyCount", "0")
                .has("IsTruncated", "false")]),
        ),
        row("max-keys that is none", [list().query("max-keys", "x").fails(400, "InvalidArgument")]),
        row(
            "a token that is none",
            [list().query("continuation-token", "none of ours").fails(400, "InvalidArgument")],
        ),
    ]
}

fn first_rows() -> Vec<Row> {
    vec![
        row(
            "pages by marker",
            filled([
                list_v1().query("max-keys", "4").has("IsTruncated", "true"),
                list_v1().query("marker", "c/d/3").has("Key", "e f").has("IsTruncated", "false"),
            ]),
        ),
        row(
            "the next marker with a delimiter",
            filled([list_v1()
                .query("max-keys", "2")
                .query("delimiter", "/")
                .has("IsTruncated", "true")
                .has("NextMarker", "b/")]),
        ),
        row("the owner", filled([list_v1().gives(200).has("Marker", "")])),
    ]
}

fn version_rows() -> Vec<Row> {
    vec![
        row(
            "an unversioned bucket",
            filled([versions()
                .has("VersionId", "null")
                .has("IsLatest", "true")
                .lacks("DeleteMarker")]),
        ),
        versioned(
            "versions, newest first",
            [
                put("k", "one").save_header("v1", "x-amz-version-id"),
                put("k", "two").save_header("v2", "x-amz-version-id"),
                versions().has("VersionId", "{v2}").has("IsLatest", "true"),
                delete("k").save_header("m", "x-amz-version-id"),
                versions().query("prefix", "k").has("IsTruncated", "false"),
                bucket("GET").query("list-type", "2").has("KeyCount", "0"),
            ],
        ),
        versioned(
            "pages of versions",
            [
                put("k", "one").save_header("v1", "x-amz-version-id"),
                put("k", "two").save_header("v2", "x-amz-version-id"),
                versions()
                    .query("max-keys", "1")
                    .has("IsTruncated", "true")
                    .has("NextKeyMarker", "k")
                    .has("NextVersionIdMarker", "{v2}"),
                versions()
                    .query("key-marker", "k")
                    .query("version-id-marker", "{v2}")
                    .has("VersionId", "{v1}")
                    .has("IsLatest", "false"),
            ],
        ),
    ]
}
