//! ListObjects, ListObjectsV2 and ListObjectVersions: order, delimiters, pages and encodings.

use super::script::{Row, Step, bucket, create_upload, delete, object, put, row, versioned};

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

fn uploads() -> Step {
    bucket("GET").query("uploads", "")
}

pub(crate) fn rows() -> Vec<Row> {
    [second_rows(), first_rows(), version_rows(), upload_rows()].concat()
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
            "max-keys below nought",
            [list()
                .query("max-keys", "-1")
                .fails(400, "InvalidArgument")
                .has("Message", "Argument max-keys must be an integer between 0 and 2147483647")
                .has("ArgumentName", "max-keys")
                .has("ArgumentValue", "-1")],
        ),
        row("an encoding that is none", unencoded_steps()),
        row(
            "a token that is none",
            [list().query("continuation-token", "none of ours").fails(400, "InvalidArgument")],
        ),
    ]
}

fn unencoded_steps() -> Vec<Step> {
    let refused = |step: Step, value: &str| {
        step.query("encoding-type", value)
            .fails(400, "InvalidArgument")
            .has("Message", "Invalid Encoding Method specified in Request")
            .has("ArgumentName", "encoding-type")
            .has("ArgumentValue", value)
    };
    [list, list_v1, versions, uploads]
        .iter()
        .flat_map(|step| [refused(step(), "value"), refused(step(), "")])
        .collect()
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
        row("the owner", filled([list_v1().has("Marker", "").has("DisplayName", "root")])),
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
        row(
            "markers of versions",
            [
                versions()
                    .query("version-id-marker", "x")
                    .fails(400, "InvalidArgument")
                    .has("Message", "A version-id marker cannot be specified without a key marker.")
                    .has("ArgumentName", "version-id-marker"),
                versions()
                    .query("key-marker", "k")
                    .query("version-id-marker", "x")
                    .fails(400, "InvalidArgument")
                    .has("Message", "Invalid version id specified")
                    .has("ArgumentName", "version-id-marker")
                    .has("ArgumentValue", "x"),
            ],
        ),
    ]
}

fn upload_rows() -> Vec<Row> {
    let parts = |marker: &str| {
        object("GET", "a").query("uploadId", "{u1}").query("part-number-marker", marker)
    };
    vec![
        row(
            "pages of uploads",
            [
                uploads().has("NextKeyMarker", "").has("NextUploadIdMarker", ""),
                create_upload("a", "u1"),
                create_upload("b", "u2"),
                uploads()
                    .query("max-uploads", "1")
                    .has("IsTruncated", "true")
                    .has("NextKeyMarker", "a")
                    .has("NextUploadIdMarker", "{u1}"),
                uploads()
                    .query("key-marker", "a")
                    .query("upload-id-marker", "{u1}")
                    .has("UploadId", "{u2}")
                    .has("IsTruncated", "false")
                    .has("NextKeyMarker", "b")
                    .has("NextUploadIdMarker", "{u2}"),
                uploads().query("key-marker", "a").has("Key", "b"),
                // AWS shows no marker here, and clients stop.
                create_upload("c/1", "u3"),
                uploads()
                    .query("delimiter", "/")
                    .query("prefix", "c")
                    .query("max-uploads", "1")
                    .has("IsTruncated", "false"),
                create_upload("c0", "u4"),
                uploads()
                    .query("delimiter", "/")
                    .query("prefix", "c")
                    .query("max-uploads", "1")
                    .has("IsTruncated", "true")
                    .has("NextKeyMarker", "c/")
                    .has("NextUploadIdMarker", ""),
                uploads().query("upload-id-marker", "x").has("Key", "a"),
                uploads()
                    .query("key-marker", "a")
                    .query("upload-id-marker", "x")
                    .fails(400, "InvalidArgument")
                    .has("ArgumentName", "upload-id-marker"),
            ],
        ),
        row(
            "pages of parts",
            [
                create_upload("a", "u1"),
                put("a", "one").query("partNumber", "2").query("uploadId", "{u1}"),
                parts("").has("PartNumberMarker", "0").has("NextPartNumberMarker", "2"),
                parts("1").has("PartNumberMarker", "1").has("PartNumber", "2"),
                parts("2").has("NextPartNumberMarker", "0").lacks("PartNumber"),
                parts("99999").has("PartNumberMarker", "99999").lacks("PartNumber"),
                parts("-1").fails(400, "InvalidArgument").has("ArgumentName", "part-number-marker"),
                parts("x").fails(400, "InvalidArgument"),
            ],
        ),
    ]
}
