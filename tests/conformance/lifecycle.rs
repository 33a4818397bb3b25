//! Lifecycle rules over the wire: what is kept, given back, refused, and said of objects.

use super::script::{Row, Step, bucket, copy, get, head, put, row, versioned};

const RULE: &str = "x-amz-expiration";

fn put_rules(inside: &str) -> Step {
    let document = format!("<LifecycleConfiguration>{inside}</LifecycleConfiguration>");
    bucket("PUT").query("lifecycle", "").body(&document)
}

fn get_rules() -> Step {
    bucket("GET").query("lifecycle", "")
}

fn expiring(id: &str, filter: &str, expiration: &str) -> String {
    format!(
        "<Rule><ID>{id}</ID>{filter}<Status>Enabled</Status><Expiration>{expiration}</Expiration>\
         </Rule>"
    )
}

pub(crate) fn rows() -> Vec<Row> {
    [configuration_rows(), object_rows()].concat()
}

fn configuration_rows() -> Vec<Row> {
    let minimum = "x-amz-transition-default-minimum-object-size";
    let suffix = "<Filter><And><Prefix>a/</Prefix><Tag><Key>tidelock:suffix</Key><Value>.tflock</Value>\
                  </Tag></And></Filter>";
    vec![
        row(
            "rules are given back as they were sent",
            [
                get_rules().fails(404, "NoSuchLifecycleConfiguration"),
                bucket("DELETE").query("lifecycle", "").gives(204),
                put_rules(&expiring("r", "<Prefix>a/</Prefix>", "<Days>3</Days>"))
                    .shows(minimum, "all_storage_classes_128K"),
                get_rules().has("ID", "r").has("Prefix", "a/").has("Days", "3").lacks("Filter"),
                put_rules(&expiring("s", suffix, "<Date>2060-01-01T00:00:00Z</Date>"))
                    .header(minimum, "varies_by_storage_class"),
                get_rules()
                    .has("Key", "tidelock:suffix")
                    .has("Value", ".tflock")
                    .has("Date", "2060-01-01T00:00:00.000Z")
                    .shows(minimum, "varies_by_storage_class"),
                bucket("DELETE").query("lifecycle", "").gives(204),
                get_rules().fails(404, "NoSuchLifecycleConfiguration"),
            ],
        ),
        row(
            "rules that are none",
            [
                put_rules("").fails(400, "MalformedXML"),
                put_rules(&expiring("r", "<Filter/>", "<Days>0</Days>"))
                    .fails(400, "InvalidArgument"),
                put_rules(&expiring("r", "<Filter/>", "<Days>1</Days>").repeat(2))
                    .fails(400, "InvalidArgument"),
                put_rules(
                    "<Rule><Filter/><Status>Enabled</Status><Transition><Days>1</Days>\
                     <StorageClass>GLACIER</StorageClass></Transition></Rule>",
                )
                .fails(501, "NotImplemented"),
                get_rules().fails(404, "NoSuchLifecycleConfiguration"),
            ],
        ),
    ]
}

fn object_rows() -> Vec<Row> {
    let of_prefix = expiring("a rule", "<Prefix>a/</Prefix>", "<Date>2060-01-01T00:00:00Z</Date>");
    let said = "expiry-date=\"Thu, 01 Jan 2060 00:00:00 GMT\", rule-id=\"a%20rule\"";
    vec![
        row(
            "answers say when an object expires",
            [
                put_rules(&of_prefix),
                put("a/k", "x").shows(RULE, said),
                get("a/k").shows(RULE, said),
                head("a/k").shows(RULE, said),
                copy("a/k", "a/copy").shows(RULE, said),
                copy("a/k", "b").hides(RULE),
                get("b").hides(RULE),
            ],
        ),
        row("a lock does not expire", [put_rules(&of_prefix), put("a/k.tflock", "x").hides(RULE)]),
        versioned(
            "a version that is named is not said to expire",
            [
                put_rules(&of_prefix),
                put("a/k", "x").save_header("one", "x-amz-version-id"),
                get("a/k").query("versionId", "{one}").hides(RULE),
            ],
        ),
        row(
            "where nothing is, no delete marker is",
            [
                get("none").no_such_key("none").shows("x-amz-delete-marker", "false"),
                head("none").gives(404).shows("x-amz-delete-marker", "false"),
            ],
        ),
    ]
}
