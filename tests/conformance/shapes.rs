//! Error documents: their codes, the elements AWS puts beside them, and their absence from HEAD.

use super::script::{Row, bucket, copy, delete, get, head, object, put, row};

pub(crate) fn rows() -> Vec<Row> {
    let long_key = "k".repeat(1025);
    let long_value = "v".repeat(2049);
    vec![
        row(
            "NoSuchKey",
            [get("none").no_such_key("none").shows("content-type", "application/xml")],
        ),
        row("HEAD has no body", [head("none").gives(404).reads("")]),
        row(
            "HEAD of a bucket",
            [bucket("HEAD").gives(200).shows("x-amz-bucket-region", "us-east-1")],
        ),
        row("a bucket twice by its owner", [bucket("PUT").gives_any(&[200, 409])]),
        row("a key too long", [put(&long_key, "x").fails(400, "KeyTooLongError")]),
        row(
            "metadata too large",
            [put("k", "x").header("x-amz-meta-a", &long_value).fails(400, "MetadataTooLarge")],
        ),
        row(
            "XML that is none",
            [bucket("PUT")
                .query("versioning", "")
                .body("<VersioningConfiguration>")
                .fails(400, "MalformedXML")],
        ),
        row(
            "a copy onto itself that changes nothing",
            [put("k", "x"), copy("k", "k").fails(400, "InvalidRequest")],
        ),
        row("a copy of nothing", [copy("none", "k").fails(404, "NoSuchKey")]),
        row(
            "an ACL other than the owner's",
            [put("k", "x")
                .header("x-amz-acl", "public-read")
                .fails(400, "AccessControlListNotSupported")],
        ),
        row(
            "the owner's ACLs",
            [
                put("k", "x").header("x-amz-acl", "private"),
                put("k", "x").header("x-amz-acl", "bucket-owner-full-control"),
            ],
        ),
        row(
            "a storage class that is none",
            [put("k", "x")
                .header("x-amz-storage-class", "GOLD")
                .fails(400, "InvalidStorageClass")
                .has("StorageClassRequested", "GOLD")],
        ),
        row("a method no resource has", [object("PATCH", "k").gives_any(&[405, 501])]),
        row("deleting twice", [put("k", "x"), delete("k"), delete("k")]),
    ]
}
