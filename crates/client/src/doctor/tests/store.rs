//! An S3 store in memory that can be broken in one way at a time. It keeps one bucket, verifies no
//! signature, and tells the time it is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use ring::digest::{SHA256, digest};
use tidelock_auth::sigv4::payload_hash;

use crate::xml::Element;
use crate::{AnswerBody, Transport, TransportError};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Nothing,
    IgnoresIfNoneMatch,
    IgnoresIfMatch,
    IgnoresIfMatchOnDelete,
    IgnoresConditionsOfComplete,
    IgnoresConditionsOfCopy,
    /// Looks, lets others in, and writes.
    RacesPut,
    RacesComplete,
    RacesDelete,
    /// Says 412 and writes.
    WritesWhatItRefuses,
    /// A delete marker counts as an object.
    CountsMarkers,
    /// Conditions are not known to it, and no reason to answer.
    RefusesConditions,
    /// Every read gives what was there before the last write.
    ReadsLate,
    /// Once it was asked for what is not there, it stays away.
    RemembersAbsence,
    ListsLate,
    KnowsNoRanges,
    CutsRangesWrong,
    ChecksNoSums,
    RefusesSums,
    StoresChunks,
    RefusesChunks,
    ChecksNoHashes,
    HasNoSts,
    HasNoVersions,
    ForgetsVersions,
    KeepsTheBucket,
}

/// A version of an object; a delete marker has no body.
#[derive(Clone)]
struct Version {
    id: u64,
    body: Option<Bytes>,
}

#[derive(Default)]
struct State {
    buckets: Vec<String>,
    has_versions: bool,
    objects: BTreeMap<String, Vec<Version>>,
    uploads: BTreeMap<u64, (String, Bytes)>,
    absent: Vec<String>,
    next: u64,
}

#[derive(Clone)]
pub(super) struct Store {
    state: Arc<Mutex<State>>,
    fault: Fault,
    date: &'static str,
}

/// What is answered.
struct Reply(u16, Vec<(&'static str, String)>, Bytes);

struct Ask {
    method: Method,
    bucket: String,
    key: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Bytes,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.fault.fmt(f)
    }
}

impl Transport for Store {
    fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> BoxFuture<'static, Result<Response<AnswerBody>, TransportError>> {
        let store = self.clone();
        Box::pin(async move {
            let ask = Ask::read(request).await;
            let Reply(status, headers, body) = store.answer(&ask).await;
            let mut response = Response::builder().status(status).header("date", store.date);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
            response.body(body).map_err(TransportError::new)
        })
    }
}

impl Store {
    pub(super) fn new(fault: Fault, date: &'static str) -> Self {
        Self { state: Arc::default(), fault, date }
    }

    /// Makes a bucket with these objects.
    pub(super) fn with(self, bucket: &str, keys: &[&str]) -> Self {
        let mut state = self.state.lock().unwrap();
        state.buckets.push(bucket.to_owned());
        for key in keys {
            state.write(key, Some(Bytes::from_static(b"theirs")));
        }
        drop(state);
        self
    }

    /// Buckets, and the keys of all versions and uploads.
    pub(super) fn contents(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let uploads = state.uploads.values().map(|(key, _)| key.clone());
        state.buckets.iter().cloned().chain(state.objects.keys().cloned()).chain(uploads).collect()
    }

    async fn answer(&self, ask: &Ask) -> Reply {
        if ask.bucket.is_empty() {
            return self.sts();
        }
        if ask.key.is_empty() {
            return self.bucket(ask);
        }
        match ask.method {
            Method::GET => self.get(ask),
            Method::PUT if ask.query.contains_key("partNumber") => self.part(ask),
            Method::POST if ask.query.contains_key("uploads") => self.begin(ask),
            Method::DELETE if ask.query.contains_key("uploadId") => {
                self.state.lock().unwrap().uploads.remove(&ask.number("uploadId"));
                reply(204, "")
            }
            _ => self.write(ask).await,
        }
    }

    /// PUT, copy, complete and DELETE of an object.
    async fn write(&self, ask: &Ask) -> Reply {
        let body = match self.body(ask) {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        let refusal = self.refusal(ask);
        let races = match ask.method {
            Method::POST => self.fault == Fault::RacesComplete,
            Method::DELETE => self.fault == Fault::RacesDelete,
            _ => self.fault == Fault::RacesPut,
        };
        if races {
            tokio::task::yield_now().await;
        }
        // With no pause in between nobody else has a turn: the tests run on one thread.
        if let Some(refusal) = refusal {
            if self.fault == Fault::WritesWhatItRefuses {
                self.state.lock().unwrap().write(&ask.key, body);
            }
            return refusal;
        }
        let mut state = self.state.lock().unwrap();
        if ask.method == Method::POST {
            state.uploads.remove(&ask.number("uploadId"));
        }
        if let Some(version) = ask.query.get("versionId") {
            state.forget(&ask.key, version);
            return reply(204, "");
        }
        state.write(&ask.key, body.clone());
        let Some(body) = body else { return reply(204, "") };
        let etag = payload_hash(&body);
        Reply(200, vec![("etag", etag)], Bytes::from_static(b"<Done/>"))
    }

    /// What is written; none of a DELETE.
    fn body(&self, ask: &Ask) -> Result<Option<Bytes>, Reply> {
        if ask.method == Method::DELETE {
            return Ok(None);
        }
        let state = self.state.lock().unwrap();
        if ask.method == Method::POST {
            let upload = state.uploads.get(&ask.number("uploadId"));
            return upload
                .map(|(_, body)| Some(body.clone()))
                .ok_or_else(|| error(404, "NoSuchUpload"));
        }
        if let Some(source) = ask.headers.get("x-amz-copy-source") {
            let (_, key) = source.trim_start_matches('/').split_once('/').unwrap();
            return Ok(state.current(key).cloned());
        }
        self.sent(ask).map(Some)
    }

    /// The body of a PUT, its sums checked.
    fn sent(&self, ask: &Ask) -> Result<Bytes, Reply> {
        let sums = |body: &Bytes, wanted: Option<&str>| match wanted {
            Some(_) if self.fault == Fault::RefusesSums => Err(error(501, "NotImplemented")),
            Some(wanted)
                if self.fault != Fault::ChecksNoSums
                    && ![sha256(body), "y/Q5Jg==".into()].contains(&wanted.to_owned()) =>
            {
                Err(error(400, "BadDigest"))
            }
            _ => Ok(body.clone()),
        };
        let hash = ask.headers.get("x-amz-content-sha256").map(String::as_str).unwrap_or_default();
        if !hash.starts_with("STREAMING") {
            if hash != payload_hash(&ask.body) && self.fault != Fault::ChecksNoHashes {
                return Err(error(400, "XAmzContentSHA256Mismatch"));
            }
            return sums(&ask.body, ask.headers.get("x-amz-checksum-sha256").map(String::as_str));
        }
        match self.fault {
            Fault::StoresChunks => return Ok(ask.body.clone()),
            Fault::RefusesChunks => return Err(error(501, "NotImplemented")),
            _ => {}
        }
        let text = String::from_utf8(ask.body.to_vec()).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        let sum = lines[3].split_once(':').unwrap().1;
        sums(&Bytes::from(lines[1].to_owned()), Some(sum))
    }

    /// Why the conditions of a write do not hold.
    fn refusal(&self, ask: &Ask) -> Option<Reply> {
        let state = self.state.lock().unwrap();
        let is_copy = ask.headers.contains_key("x-amz-copy-source");
        let none = ask.headers.contains_key("if-none-match");
        let wanted = ask.headers.get("if-match");
        let is_delete = ask.method == Method::DELETE;
        let ignored = match self.fault {
            Fault::IgnoresIfNoneMatch => none,
            Fault::IgnoresIfMatch => wanted.is_some() && !is_delete,
            Fault::IgnoresIfMatchOnDelete => is_delete,
            Fault::IgnoresConditionsOfComplete => ask.method == Method::POST,
            Fault::IgnoresConditionsOfCopy => is_copy,
            _ => false,
        };
        if ignored || !none && wanted.is_none() {
            return None;
        }
        if self.fault == Fault::RefusesConditions {
            return Some(error(501, "NotImplemented"));
        }
        let there = state.current(&ask.key);
        let marked = self.fault == Fault::CountsMarkers && state.objects.contains_key(&ask.key);
        let holds = match wanted {
            Some(etag) => there.is_some_and(|body| payload_hash(body) == *etag),
            None => there.is_none() && !marked,
        };
        if holds { None } else { Some(error(412, "PreconditionFailed")) }
    }

    fn get(&self, ask: &Ask) -> Reply {
        let mut state = self.state.lock().unwrap();
        let versions = state.objects.get(&ask.key).cloned().unwrap_or_default();
        let version = match ask.query.get("versionId") {
            Some(id) => versions.iter().find(|version| version.id.to_string() == *id),
            None if self.fault == Fault::ReadsLate => versions.iter().rev().nth(1),
            None => versions.last(),
        };
        let body = version.and_then(|version| version.body.clone());
        let is_absent = self.fault == Fault::RemembersAbsence && state.absent.contains(&ask.key);
        let Some(body) = body.filter(|_| !is_absent) else {
            state.absent.push(ask.key.clone());
            return error(404, "NoSuchKey");
        };
        let range = ask.headers.get("range").filter(|_| self.fault != Fault::KnowsNoRanges);
        let Some(range) = range else { return Reply(200, vec![], body) };
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => (first, last.min(body.len() - 1)),
            _ => (body.len() - 3, body.len() - 1),
        };
        let content_range = format!("bytes {first}-{last}/{}", body.len());
        let first = if self.fault == Fault::CutsRangesWrong { 0 } else { first };
        Reply(206, vec![("content-range", content_range)], body.slice(first..=last))
    }

    fn begin(&self, ask: &Ask) -> Reply {
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let id = state.next;
        state.uploads.insert(id, (ask.key.clone(), Bytes::new()));
        reply(200, &format!("<R><UploadId>{id}</UploadId></R>"))
    }

    fn part(&self, ask: &Ask) -> Reply {
        let mut state = self.state.lock().unwrap();
        state.uploads.insert(ask.number("uploadId"), (ask.key.clone(), ask.body.clone()));
        Reply(200, vec![("etag", payload_hash(&ask.body))], Bytes::new())
    }

    fn bucket(&self, ask: &Ask) -> Reply {
        let mut state = self.state.lock().unwrap();
        let has = |name| ask.query.contains_key(name);
        let is_there = state.buckets.contains(&ask.bucket);
        match ask.method {
            _ if has("versioning") && self.fault == Fault::HasNoVersions => {
                error(501, "NotImplemented")
            }
            Method::PUT if has("versioning") => {
                state.has_versions = true;
                reply(200, "")
            }
            Method::PUT => {
                state.buckets.push(ask.bucket.clone());
                reply(200, "")
            }
            _ if !is_there => error(404, "NoSuchBucket"),
            Method::DELETE if self.fault == Fault::KeepsTheBucket || !state.objects.is_empty() => {
                error(409, "BucketNotEmpty")
            }
            Method::DELETE => {
                state.buckets.retain(|bucket| *bucket != ask.bucket);
                reply(204, "")
            }
            Method::POST => {
                let root = Element::parse(&ask.body).unwrap();
                for (_, object) in root.children().filter(|(name, _)| *name == "Object") {
                    let version = object.text_of("VersionId").unwrap_or_default();
                    state.forget(object.required("Key").unwrap(), version);
                }
                reply(200, "<R/>")
            }
            _ if has("versioning") && state.has_versions => {
                reply(200, "<R><Status>Enabled</Status></R>")
            }
            _ if has("versioning") => reply(200, "<R/>"),
            _ => reply(200, &format!("<R>{}</R>", self.list(&state, ask))),
        }
    }

    /// Uploads, versions or objects below a prefix.
    fn list(&self, state: &State, ask: &Ask) -> String {
        let prefix = ask.query.get("prefix").cloned().unwrap_or_default();
        if ask.query.contains_key("uploads") {
            let uploads = state.uploads.iter().map(|(id, (key, _))| {
                format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>")
            });
            return uploads.collect();
        }
        let mut listed = String::new();
        for (key, versions) in state.objects.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            if ask.query.contains_key("versions") {
                let kept = if self.fault == Fault::ForgetsVersions { 1 } else { versions.len() };
                for Version { id, body } in versions.iter().rev().take(kept) {
                    let kind = if body.is_some() { "Version" } else { "DeleteMarker" };
                    listed += &format!(
                        "<{kind}><Key>{key}</Key><VersionId>{id}</VersionId><Size>0</Size></{kind}>"
                    );
                }
            } else if state.current(key).is_some() && self.fault != Fault::ListsLate {
                listed += &format!("<Contents><Key>{key}</Key><Size>0</Size></Contents>");
            }
        }
        listed
    }

    fn sts(&self) -> Reply {
        if self.fault == Fault::HasNoSts {
            return error(405, "MethodNotAllowed");
        }
        reply(
            200,
            "<A><GetCallerIdentityResult><Arn>arn:aws:iam::0:root</Arn></GetCallerIdentityResult></A>",
        )
    }
}

impl State {
    fn current(&self, key: &str) -> Option<&Bytes> {
        self.objects.get(key)?.last()?.body.as_ref()
    }

    /// Without versions too the old ones are kept, and seen by nobody but late readers.
    fn write(&mut self, key: &str, body: Option<Bytes>) {
        self.next += 1;
        let version = Version { id: self.next, body };
        self.objects.entry(key.to_owned()).or_default().push(version);
    }

    fn forget(&mut self, key: &str, version: &str) {
        if let Some(versions) = self.objects.get_mut(key) {
            versions.retain(|kept| kept.id.to_string() != version);
            if versions.is_empty() {
                self.objects.remove(key);
            }
        }
    }
}

impl Ask {
    async fn read(request: Request<Full<Bytes>>) -> Self {
        let (head, body) = request.into_parts();
        let path = head.uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let decode = |text: &str| text.replace("%2F", "/").replace("%3A", ":");
        let pairs = head.uri.query().unwrap_or_default().split('&');
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        let headers = head.headers.iter();
        Self {
            method: head.method,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            query: pairs.map(|(name, value)| (name.to_owned(), decode(value))).collect(),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    fn number(&self, name: &str) -> u64 {
        self.query[name].parse().unwrap()
    }
}

fn reply(status: u16, body: &str) -> Reply {
    Reply(status, vec![], Bytes::from(body.to_owned()))
}

fn error(status: u16, code: &str) -> Reply {
    reply(status, &format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
}

fn sha256(body: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(digest(&SHA256, body))
}
