//! Object Lock over the wire: buckets, retentions, legal holds, and what they keep from being removed.

use super::script::{Row, Step, bucket, copy, delete, get, head, object, put, row, versioned};

const ON: &str = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>";
const LATER: &str = "2060-01-01T00:00:00.000Z";
const PROTECTED: &str = "Access Denied because object protected by object lock.";

fn enable(rule: &str) -> Step {
    let document = format!("<ObjectLockConfiguration>{ON}{rule}</ObjectLockConfiguration>");
    bucket("PUT").query("object-lock", "").body(&document)
}

fn default_retention(inside: &str) -> Step {
    enable(&format!("<Rule><DefaultRetention>{inside}</DefaultRetention></Rule>"))
}

fn retention(mode: &str, until: &str) -> Step {
    let document = format!(
        "<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
    );
    object("PUT", "k").query("retention", "").body(&document)
}

fn legal_hold(status: &str) -> Step {
    let document = format!("<LegalHold><Status>{status}</Status></LegalHold>");
    object("PUT", "k").query("legal-hold", "").body(&document)
}

fn locked_put(mode: &str, until: &str) -> Step {
    put("k", "x")
        .header("content-md5", "{md5}")
        .header("x-amz-object-lock-mode", mode)
        .header("x-amz-object-lock-retain-until-date", until)
}

fn remove(version: &str) -> Step {
    delete("k").query("versionId", &format!("{{{version}}}"))
}

fn bypassing(step: Step) -> Step {
    step.header("x-amz-bypass-governance-retention", "true")
}

fn protected(step: Step) -> Step {
    step.fails(403, "AccessDenied").has("Message", PROTECTED)
}

pub(crate) fn rows() -> Vec<Row> {
    [bucket_rows(), write_rows(), version_rows()].concat()
}

fn bucket_rows() -> Vec<Row> {
    let get_configuration = || bucket("GET").query("object-lock", "");
    vec![
        versioned(
            "Object Lock is turned on in a versioned bucket, and stays",
            [
                get_configuration().fails(404, "ObjectLockConfigurationNotFoundError"),
                enable(""),
                get_configuration().has("ObjectLockEnabled", "Enabled").lacks("Rule"),
                default_retention("<Mode>GOVERNANCE</Mode><Days>2</Days>"),
                get_configuration().has("Mode", "GOVERNANCE").has("Days", "2"),
                bucket("PUT")
                    .query("versioning", "")
                    .body("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>")
                    .fails(409, "InvalidBucketState"),
                enable(""),
                get_configuration().lacks("Rule"),
            ],
        ),
        versioned(
            "default retentions that are none",
            [
                default_retention("<Mode>GOVERNANCE</Mode><Days>0</Days>")
                    .fails(400, "InvalidRetentionPeriod"),
                default_retention("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>")
                    .fails(400, "MalformedXML"),
                default_retention("<Mode>governance</Mode><Days>1</Days>")
                    .fails(400, "MalformedXML"),
            ],
        ),
        row(
            "locks where there is no Object Lock",
            [
                put("k", "x"),
                retention("GOVERNANCE", LATER).fails(400, "InvalidRequest"),
                legal_hold("ON").fails(400, "InvalidRequest"),
                get("k").query("retention", "").fails(400, "InvalidRequest"),
                get("k").query("legal-hold", "").fails(400, "InvalidRequest"),
                locked_put("GOVERNANCE", LATER)
                    .fails(400, "InvalidRequest")
                    .has("Message", "Bucket is missing Object Lock Configuration"),
                copy("k", "other")
                    .header("x-amz-object-lock-legal-hold", "ON")
                    .fails(400, "InvalidRequest"),
                object("POST", "k")
                    .query("uploads", "")
                    .header("x-amz-object-lock-legal-hold", "ON")
                    .fails(400, "InvalidRequest"),
                bypassing(delete("k")),
            ],
        ),
    ]
}

fn write_rows() -> Vec<Row> {
    vec![
        versioned(
            "a write says how its object is locked",
            [
                enable(""),
                locked_put("COMPLIANCE", LATER).save_header("one", "x-amz-version-id"),
                head("k")
                    .shows("x-amz-object-lock-mode", "COMPLIANCE")
                    .shows("x-amz-object-lock-retain-until-date", LATER)
                    .hides("x-amz-object-lock-legal-hold"),
                protected(bypassing(remove("one"))),
                delete("k"),
                protected(remove("one")),
                // A copy has locks of its own only.
                object("PUT", "copy").header("x-amz-copy-source", "/{bucket}/k?versionId={one}"),
                head("copy").hides("x-amz-object-lock-mode"),
            ],
        ),
        versioned(
            "locks of a write that are none",
            [
                enable(""),
                put("k", "x")
                    .header("x-amz-object-lock-legal-hold", "ON")
                    .fails(400, "InvalidRequest"),
                locked_put("governance", LATER).fails(400, "InvalidArgument"),
                locked_put("GOVERNANCE", "2020-01-01T00:00:00Z").fails(400, "InvalidArgument"),
                locked_put("GOVERNANCE", "tomorrow").fails(400, "InvalidArgument"),
                put("k", "x")
                    .header("x-amz-object-lock-mode", "GOVERNANCE")
                    .fails(400, "InvalidArgument"),
                put("k", "x")
                    .header("x-amz-object-lock-legal-hold", "on")
                    .fails(400, "InvalidArgument"),
            ],
        ),
        versioned(
            "what says nothing is retained by default",
            [
                default_retention("<Mode>GOVERNANCE</Mode><Years>1</Years>"),
                put("k", "x").save_header("one", "x-amz-version-id"),
                head("k").shows("x-amz-object-lock-mode", "GOVERNANCE"),
                protected(remove("one")),
                bypassing(remove("one")),
            ],
        ),
    ]
}

fn version_rows() -> Vec<Row> {
    vec![
        versioned(
            "retentions are lengthened, and shortened by who bypasses them",
            [
                enable(""),
                put("k", "x").save_header("one", "x-amz-version-id"),
                get("k").query("retention", "").fails(404, "NoSuchObjectLockConfiguration"),
                retention("GOVERNANCE", "2050-01-01T00:00:00Z"),
                retention("GOVERNANCE", LATER),
                get("k").query("retention", "").has("RetainUntilDate", LATER),
                protected(retention("GOVERNANCE", "2050-01-01T00:00:00Z")),
                protected(retention("COMPLIANCE", LATER)),
                retention("governance", LATER).fails(400, "MalformedXML"),
                retention("GOVERNANCE", "2020-01-01T00:00:00Z").fails(400, "InvalidArgument"),
                bypassing(retention("COMPLIANCE", LATER)),
                protected(bypassing(retention("COMPLIANCE", "2050-01-01T00:00:00Z"))),
                protected(bypassing(remove("one"))),
            ],
        ),
        versioned(
            "a legal hold holds, whoever bypasses what",
            [
                enable(""),
                put("k", "x").save_header("one", "x-amz-version-id"),
                get("k").query("legal-hold", "").fails(404, "NoSuchObjectLockConfiguration"),
                legal_hold("abc").fails(400, "MalformedXML"),
                legal_hold("ON"),
                head("k").shows("x-amz-object-lock-legal-hold", "ON"),
                protected(bypassing(remove("one"))),
                legal_hold("OFF"),
                get("k").query("legal-hold", "").has("Status", "OFF"),
                remove("one"),
            ],
        ),
        versioned(
            "DeleteObjects says which versions stay",
            [
                enable(""),
                put("k", "x").save_header("one", "x-amz-version-id"),
                legal_hold("ON"),
                bucket("POST")
                    .query("delete", "")
                    .header("content-md5", "{md5}")
                    .body(
                        "<Delete><Object><Key>k</Key><VersionId>{one}</VersionId></Object></Delete>",
                    )
                    .has("Code", "AccessDenied")
                    .has("Message", PROTECTED),
                legal_hold("OFF"),
            ],
        ),
    ]
}
