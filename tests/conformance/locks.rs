//! What Terraform's lock needs of a conditional PUT: 200 or 412 and nothing else, and a repetition of
//! the holder's own PUT is no conflict (a reply that was lost must not leave a lock nobody holds).

use super::script::{Row, Step, delete, get, put, row, suspended, versioned};

const LOCK: &str = r#"{"ID":"714c34bb-84b4-8935-ed48-4afd84e4ec5f","Operation":"OperationTypeApply","Info":"","Who":"a@b","Version":"1.11.4","Created":"2026-11-21T20:35:06.667920919Z","Path":"b/k"}"#;
const OTHER_LOCK: &str = r#"{"ID":"ee3bf8df-960b-6414-1190-c3dc1617ea63","Operation":"OperationTypeApply","Info":"","Who":"c@d","Version":"1.11.4","Created":"2026-11-21T20:37:52.919310876Z","Path":"b/k"}"#;

type MakeRow = fn(&'static str, Vec<Step>) -> Row;

pub(crate) fn rows() -> Vec<Row> {
    let kinds: [MakeRow; 3] = [row, versioned, suspended];
    kinds.into_iter().flat_map(rows_in).collect()
}

fn rows_in(make: MakeRow) -> Vec<Row> {
    let lock = |body: &str| put("k.tflock", body).header("If-None-Match", "*");
    vec![
        make(
            "the same lock again is the same lock",
            vec![
                lock(LOCK).gives(200).save_header("e", "etag"),
                lock(LOCK).gives(200).shows("etag", "{e}"),
                get("k.tflock").reads(LOCK),
                delete("k.tflock"),
                get("k.tflock").gives(404),
            ],
        ),
        make(
            "another lock waits",
            vec![
                lock(LOCK).gives(200),
                lock(OTHER_LOCK).fails(412, "PreconditionFailed"),
                get("k.tflock").reads(LOCK),
                delete("k.tflock"),
                lock(OTHER_LOCK).gives(200),
            ],
        ),
        make(
            "only lock objects repeat: an object with equal bytes is a conflict",
            vec![
                put("k", "{}").header("If-None-Match", "*").gives(200),
                put("k", "{}").header("If-None-Match", "*").precondition_failed("If-None-Match"),
            ],
        ),
    ]
}
