//! Conformance rows: a rule, a bucket, and steps with the answers they must get. A row runs in a
//! bucket of its own; a table of rows reports every row that is wrong, not only the first.
//!
//! `{name}` in paths, queries, headers, bodies and expectations stands for a value an earlier step
//! saved. Always known: `{bucket}`, `{now}`, `{past}` and `{future}` (HTTP dates, a day apart), and in
//! headers `{md5}` (of the body, in base64).

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::clock::{http_date, now_seconds};
use crate::harness::digest::md5_base64;
use crate::harness::server::set_versioning;
use crate::harness::sigv4::encode;
use crate::harness::{Ask, Client, Response};

const DAY_SECONDS: i64 = 86_400;

/// Which answers a server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// As started without flags: the superset of conditions.
    Default,
    /// With `--strict-aws-conditions`.
    Strict,
}

/// One rule and how it shows.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    rule: &'static str,
    versioning: &'static str,
    steps: Vec<Step>,
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    method: &'static str,
    key: Option<String>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    expect: Expect,
    strict: Option<Expect>,
    saves: Vec<(&'static str, Source)>,
}

#[derive(Clone, Debug, Default)]
struct Expect {
    statuses: Vec<u16>,
    elements: Vec<(String, String)>,
    absent_elements: Vec<String>,
    headers: Vec<(String, Option<String>)>,
    body: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Header(&'static str),
    Element(&'static str),
}

/// A rule in an unversioned bucket.
pub(crate) fn row(rule: &'static str, steps: impl IntoIterator<Item = Step>) -> Row {
    Row { rule, versioning: "", steps: steps.into_iter().collect() }
}

/// A rule in a bucket whose versioning is Enabled.
pub(crate) fn versioned(rule: &'static str, steps: impl IntoIterator<Item = Step>) -> Row {
    Row { versioning: "Enabled", ..row(rule, steps) }
}

/// A rule in a bucket whose versioning is Suspended.
pub(crate) fn suspended(rule: &'static str, steps: impl IntoIterator<Item = Step>) -> Row {
    Row { versioning: "Suspended", ..row(rule, steps) }
}

/// A request on a key of the row's bucket.
pub(crate) fn object(method: &'static str, key: &str) -> Step {
    Step {
        method,
        key: Some(key.to_owned()),
        query: Vec::new(),
        headers: Vec::new(),
        body: Vec::new(),
        expect: Expect { statuses: vec![200], ..Expect::default() },
        strict: None,
        saves: Vec::new(),
    }
}

/// A request on the row's bucket.
pub(crate) fn bucket(method: &'static str) -> Step {
    Step { key: None, ..object(method, "") }
}

pub(crate) fn put(key: &str, body: &str) -> Step {
    object("PUT", key).body(body)
}

pub(crate) fn get(key: &str) -> Step {
    object("GET", key)
}

pub(crate) fn head(key: &str) -> Step {
    object("HEAD", key)
}

pub(crate) fn delete(key: &str) -> Step {
    object("DELETE", key).gives(204)
}

/// CopyObject within the bucket.
pub(crate) fn copy(source: &str, key: &str) -> Step {
    let source = format!("/{{bucket}}/{}", encode(source, true));
    object("PUT", key).header("x-amz-copy-source", &source)
}

/// CreateMultipartUpload; the upload's id is saved as `name`.
pub(crate) fn create_upload(key: &str, name: &'static str) -> Step {
    object("POST", key).query("uploads", "").save_element(name, "UploadId")
}

/// UploadPart of part 1; its ETag is saved as `part`.
pub(crate) fn upload_part(key: &str, upload: &str, body: &str) -> Step {
    let upload = format!("{{{upload}}}");
    put(key, body).query("partNumber", "1").query("uploadId", &upload).save_header("part", "etag")
}

/// CompleteMultipartUpload with the one part last uploaded.
pub(crate) fn complete(key: &str, upload: &str) -> Step {
    let document = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag>\
                    </Part></CompleteMultipartUpload>";
    object("POST", key).query("uploadId", &format!("{{{upload}}}")).body(document)
}

impl Step {
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self
    }

    /// The status of the answer; what follows describes that answer.
    pub(crate) fn gives(mut self, status: u16) -> Self {
        self.answer().statuses = vec![status];
        self
    }

    /// Several statuses are right.
    pub(crate) fn gives_any(mut self, statuses: &[u16]) -> Self {
        self.answer().statuses = statuses.to_vec();
        self
    }

    /// An error of this status and code.
    pub(crate) fn fails(self, status: u16, code: &str) -> Self {
        self.gives(status).has("Code", code)
    }

    /// From here on the answer of the strict lane; begun anew.
    pub(crate) fn strict(mut self) -> Self {
        self.strict = Some(Expect::default());
        self
    }

    /// The first element of that name has this text.
    pub(crate) fn has(mut self, element: &str, text: &str) -> Self {
        self.answer().elements.push((element.to_owned(), text.to_owned()));
        self
    }

    /// There is no element of that name.
    pub(crate) fn lacks(mut self, element: &str) -> Self {
        self.answer().absent_elements.push(element.to_owned());
        self
    }

    /// The header has this value.
    pub(crate) fn shows(mut self, header: &str, value: &str) -> Self {
        self.answer().headers.push((header.to_owned(), Some(value.to_owned())));
        self
    }

    /// There is no such header.
    pub(crate) fn hides(mut self, header: &str) -> Self {
        self.answer().headers.push((header.to_owned(), None));
        self
    }

    /// The body is exactly this.
    pub(crate) fn reads(mut self, body: &str) -> Self {
        self.answer().body = Some(body.to_owned());
        self
    }

    pub(crate) fn save_header(mut self, name: &'static str, header: &'static str) -> Self {
        self.saves.push((name, Source::Header(header)));
        self
    }

    pub(crate) fn save_element(mut self, name: &'static str, element: &'static str) -> Self {
        self.saves.push((name, Source::Element(element)));
        self
    }

    // The four answers every table needs.

    pub(crate) fn precondition_failed(self, condition: &str) -> Self {
        self.fails(412, "PreconditionFailed")
            .has("Message", "At least one of the pre-conditions you specified did not hold")
            .has("Condition", condition)
    }

    pub(crate) fn no_such_key(self, key: &str) -> Self {
        self.fails(404, "NoSuchKey")
            .has("Message", "The specified key does not exist.")
            .has("Key", key)
    }

    pub(crate) fn not_implemented(self, header: &str) -> Self {
        self.fails(501, "NotImplemented")
            .has("Message", "A header you provided implies functionality that is not implemented")
            .has("Header", header)
    }

    pub(crate) fn conflict(self, condition: &str) -> Self {
        self.fails(409, "ConditionalRequestConflict")
            .has(
                "Message",
                "The conditional request cannot succeed due to a conflicting operation against \
                 this resource.",
            )
            .has("Condition", condition)
            .has("Key", "k")
    }

    fn answer(&mut self) -> &mut Expect {
        self.strict.as_mut().unwrap_or(&mut self.expect)
    }
}

/// Runs every row and panics with the list of those that are wrong.
pub(crate) fn check(client: &Client, lane: Lane, rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        let run = catch_unwind(AssertUnwindSafe(|| run_row(client, lane, row)));
        match run {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => wrong.push(reason),
            Err(_) => wrong.push(format!("{}: the request could not be sent", row.rule)),
        }
    }
    let (all, bad) = (rows.len(), wrong.len());
    assert!(wrong.is_empty(), "{bad} of {all} rows are wrong ({lane:?}):\n{}", wrong.join("\n"));
}

fn run_row(client: &Client, lane: Lane, row: &Row) -> Result<(), String> {
    static BUCKETS: AtomicUsize = AtomicUsize::new(0);
    let name = format!("row-{}-{}", std::process::id(), BUCKETS.fetch_add(1, Ordering::Relaxed));
    client.send(&Ask::bucket("PUT", &name)).expect(200);
    set_versioning(client, &name, row.versioning);
    let now = now_seconds();
    let mut known = BTreeMap::from([
        ("bucket", name.clone()),
        ("now", http_date(now)),
        ("past", http_date(now - DAY_SECONDS)),
        ("future", http_date(now + DAY_SECONDS)),
    ]);
    for (index, step) in row.steps.iter().enumerate() {
        let place = format!("{} {} step {}", row.rule, row.versioning, index + 1);
        let response = client.send(&ask(&name, step, &known));
        let expect = match (lane, &step.strict) {
            (Lane::Strict, Some(strict)) => strict,
            _ => &step.expect,
        };
        verify(&response, expect, &known).map_err(|reason| {
            let shown = response.text().chars().take(600).collect::<String>();
            format!("{place} ({} {:?}): {reason}\n    answer: {shown}", step.method, step.key)
        })?;
        for (name, source) in &step.saves {
            let value = match source {
                Source::Header(header) => response.header(header).map(str::to_owned),
                Source::Element(element) => response.element(element),
            };
            let value = value.ok_or_else(|| format!("{place}: no {source:?} to save"))?;
            known.insert(name, value);
        }
    }
    Ok(())
}

fn ask(bucket: &str, step: &Step, known: &BTreeMap<&'static str, String>) -> Ask {
    let mut ask = match &step.key {
        Some(key) => Ask::object(step.method, bucket, key),
        None => Ask::bucket(step.method, bucket),
    };
    for (name, value) in &step.query {
        ask = ask.query(name, &filled(value, known));
    }
    let body = match String::from_utf8(step.body.clone()) {
        Ok(text) => filled(&text, known).into_bytes(),
        Err(_) => step.body.clone(),
    };
    let mut known = known.clone();
    known.insert("md5", md5_base64(&body));
    for (name, value) in &step.headers {
        ask = ask.header(name, &filled(value, &known));
    }
    ask.body(body)
}

fn verify(
    response: &Response,
    expect: &Expect,
    known: &BTreeMap<&'static str, String>,
) -> Result<(), String> {
    if !expect.statuses.contains(&response.status) {
        return Err(format!("status {} instead of {:?}", response.status, expect.statuses));
    }
    for (name, value) in &expect.elements {
        let (wanted, found) = (filled(value, known), response.element(name));
        if found.as_deref() != Some(wanted.as_str()) {
            return Err(format!("<{name}> is {found:?} instead of {wanted:?}"));
        }
    }
    for name in &expect.absent_elements {
        if let Some(found) = response.element(name) {
            return Err(format!("there is a <{name}>: {found:?}"));
        }
    }
    for (name, value) in &expect.headers {
        let wanted = value.as_ref().map(|value| filled(value, known));
        let found = response.header(name).map(str::to_owned);
        if found != wanted {
            return Err(format!("header {name} is {found:?} instead of {wanted:?}"));
        }
    }
    match &expect.body {
        Some(body) if response.body != filled(body, known).as_bytes() => {
            Err(format!("body differs from {body:?}"))
        }
        _ => Ok(()),
    }
}

fn filled(template: &str, known: &BTreeMap<&'static str, String>) -> String {
    let mut text = template.to_owned();
    for (name, value) in known {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}
