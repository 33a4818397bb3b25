//! A request in two forms: as it is sent, and in the words of `tidelock policy test`.
//!
//! The second is written from AWS's tables of actions and condition keys
//! (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>) and shares no code
//! with the server.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Method, StatusCode};
use md5::{Digest as _, Md5};

use super::reference::Asked;
use super::world::{BUCKET_ARN, Who, WhoKind};
use crate::fixture::Answer;

/// An entity tag that no object has.
const TAG: &str = "\"of nothing\"";

/// A tag of an object.
pub(super) type Tag = (String, String);

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) who: Who,
    pub(super) operation: Operation,
    /// The object, where it is about one.
    pub(super) key: String,
    pub(super) address: String,
    pub(super) secure: bool,
    pub(super) user_agent: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    GetObject {
        of_version: bool,
    },
    HeadObject,
    PutObject(Write),
    CreateMultipartUpload {
        tag: Option<Tag>,
    },
    DeleteObject {
        key: String,
    },
    DeleteObjects {
        keys: Vec<String>,
    },
    ListObjectsV2(Lists),
    ListObjectVersions(Lists),
    GetObjectTagging,
    /// The tag is in the body; what a header says of tags means nothing.
    PutObjectTagging {
        tag: Option<Tag>,
        header: Option<Tag>,
    },
    GetObjectAttributes,
    GetBucketLocation,
    GetBucketTagging,
}

#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) tag: Option<Tag>,
    pub(super) encrypts: bool,
    pub(super) if_none_match: IfNoneMatch,
    pub(super) if_match: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfNoneMatch {
    No,
    Any,
    /// An entity tag that nothing has, and `*` in a second header that nobody heeds.
    TagThenAny,
}

#[derive(Clone, Debug)]
pub(super) struct Lists {
    pub(super) prefix: Option<String>,
    pub(super) delimiter: Option<String>,
    pub(super) max_keys: Option<String>,
}

/// A request as it is sent.
pub(super) struct Wire {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Call {
    /// The request as it is sent.
    pub(super) fn wire(&self) -> Wire {
        use Operation as Op;
        let object = |key: &str| format!("/bucket/{}", key.replace('*', "%2A"));
        let this = object(&self.key);
        let (method, target) = match &self.operation {
            Op::GetObject { of_version: false } => (Method::GET, this),
            Op::GetObject { of_version: true } => (Method::GET, this + "?versionId=null"),
            Op::HeadObject => (Method::HEAD, this),
            Op::PutObject(_) => (Method::PUT, this),
            Op::CreateMultipartUpload { .. } => (Method::POST, this + "?uploads="),
            Op::DeleteObject { key } => (Method::DELETE, object(key)),
            Op::DeleteObjects { .. } => (Method::POST, "/bucket?delete=".to_owned()),
            Op::ListObjectsV2(lists) => (Method::GET, lists.target("list-type=2")),
            Op::ListObjectVersions(lists) => (Method::GET, lists.target("versions=")),
            Op::GetObjectTagging => (Method::GET, this + "?tagging="),
            Op::PutObjectTagging { .. } => (Method::PUT, this + "?tagging="),
            Op::GetObjectAttributes => (Method::GET, this + "?attributes="),
            Op::GetBucketLocation => (Method::GET, "/bucket?location=".to_owned()),
            Op::GetBucketTagging => (Method::GET, "/bucket?tagging=".to_owned()),
        };
        let body = self.operation.body();
        Wire { method, target, headers: self.headers(&body), body }
    }

    fn headers(&self, body: &str) -> Vec<(&'static str, String)> {
        use Operation as Op;
        let mut headers = Vec::new();
        headers.extend(self.user_agent.clone().map(|agent| ("user-agent", agent)));
        let tagging = |(name, value): &Tag| ("x-amz-tagging", format!("{name}={value}"));
        match &self.operation {
            Op::PutObject(write) => {
                headers.extend(write.tag.as_ref().map(tagging));
                let written = [
                    (write.encrypts, ("x-amz-server-side-encryption", "AES256")),
                    (write.if_none_match == IfNoneMatch::TagThenAny, ("if-none-match", TAG)),
                    (write.if_none_match != IfNoneMatch::No, ("if-none-match", "*")),
                    (write.if_match, ("if-match", TAG)),
                ];
                let sent = written.into_iter().filter(|(is_sent, _)| *is_sent);
                headers.extend(sent.map(|(_, (name, value))| (name, value.to_owned())));
            }
            Op::CreateMultipartUpload { tag } => headers.extend(tag.as_ref().map(tagging)),
            Op::PutObjectTagging { header, .. } => headers.extend(header.as_ref().map(tagging)),
            Op::DeleteObjects { .. } => {
                headers.push(("content-md5", BASE64_STANDARD.encode(Md5::digest(body))));
            }
            Op::GetObjectAttributes => {
                headers.push(("x-amz-object-attributes", "ETag".to_owned()));
            }
            Op::GetObject { .. }
            | Op::HeadObject
            | Op::DeleteObject { .. }
            | Op::ListObjectsV2(_)
            | Op::ListObjectVersions(_)
            | Op::GetObjectTagging
            | Op::GetBucketLocation
            | Op::GetBucketTagging => {}
        }
        headers
    }
}

impl Lists {
    fn target(&self, operation: &str) -> String {
        let parameters = [
            ("prefix", &self.prefix),
            ("delimiter", &self.delimiter),
            ("max-keys", &self.max_keys),
        ];
        let given = parameters.iter().filter_map(|(name, value)| {
            value
                .as_ref()
                .map(|value| format!("&{name}={}", value.replace('*', "%2A").replace('/', "%2F")))
        });
        format!("/bucket?{operation}{}", given.collect::<String>())
    }
}

impl Operation {
    fn body(&self) -> String {
        match self {
            Self::PutObject(_) => "body".to_owned(),
            Self::DeleteObjects { keys } => {
                let objects = keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>"));
                format!("<Delete>{}</Delete>", objects.collect::<String>())
            }
            Self::PutObjectTagging { tag, .. } => {
                let tags = tag.iter().map(|(name, value)| {
                    format!("<Tag><Key>{name}</Key><Value>{value}</Value></Tag>")
                });
                format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags.collect::<String>())
            }
            _ => String::new(),
        }
    }
}

/// What has to be allowed for a request, with the condition keys that it has. `tags` are those of the stored
/// objects.
pub(super) fn needs(call: &Call, tags: &BTreeMap<String, Option<Tag>>) -> Vec<Asked> {
    use Operation as Op;
    let object = |key: &str| format!("{BUCKET_ARN}/{key}");
    let this = object(&call.key);
    let of_bucket = |action: &'static str| vec![(action, BUCKET_ARN.to_owned())];
    let tagged = |tag: &Option<Tag>| tag.as_ref().map(|_| ("s3:PutObjectTagging", this.clone()));
    let pairs = match &call.operation {
        Op::GetObject { of_version: true } => vec![("s3:GetObjectVersion", this)],
        Op::GetObject { of_version: false } | Op::HeadObject => vec![("s3:GetObject", this)],
        Op::PutObject(write) => {
            let reads = write.if_match.then(|| ("s3:GetObject", this.clone()));
            let besides = tagged(&write.tag).into_iter().chain(reads);
            [("s3:PutObject", this.clone())].into_iter().chain(besides).collect()
        }
        Op::CreateMultipartUpload { tag } => {
            [("s3:PutObject", this.clone())].into_iter().chain(tagged(tag)).collect()
        }
        Op::DeleteObject { key } => vec![("s3:DeleteObject", object(key))],
        Op::DeleteObjects { keys } => {
            keys.iter().map(|key| ("s3:DeleteObject", object(key))).collect()
        }
        Op::ListObjectsV2(_) => of_bucket("s3:ListBucket"),
        Op::ListObjectVersions(_) => of_bucket("s3:ListBucketVersions"),
        Op::GetObjectTagging => vec![("s3:GetObjectTagging", this)],
        Op::PutObjectTagging { .. } => vec![("s3:PutObjectTagging", this)],
        Op::GetObjectAttributes => {
            vec![("s3:GetObjectAttributes", this.clone()), ("s3:GetObject", this)]
        }
        Op::GetBucketLocation => of_bucket("s3:GetBucketLocation"),
        Op::GetBucketTagging => of_bucket("s3:GetBucketTagging"),
    };
    let keys = keys(call, tags);
    let asked = |(action, resource): (&str, String)| Asked {
        arn: call.who.arn(),
        action: action.to_owned(),
        resource,
        keys: keys.clone(),
    };
    pairs.into_iter().map(asked).collect()
}

/// The condition keys of a request, by lower-case name: those that the policies ask about.
fn keys(call: &Call, tags: &BTreeMap<String, Option<Tag>>) -> BTreeMap<String, Vec<String>> {
    use Operation as Op;
    let mut keys = BTreeMap::new();
    let mut add = |key: String, value: Option<String>| {
        keys.entry(key.to_lowercase()).or_insert_with(Vec::new).extend(value);
    };
    let text = |text: &str| Some(text.to_owned());
    add("aws:SecureTransport".to_owned(), text(&call.secure.to_string()));
    add("aws:SourceIp".to_owned(), text(&call.address));
    add("aws:UserAgent".to_owned(), call.user_agent.clone());
    add("aws:PrincipalTag/team".to_owned(), call.who.team.clone());
    add("aws:PrincipalType".to_owned(), text(call.who.kind.principal_type()));
    add("aws:PrincipalArn".to_owned(), call.who.kind.arn().map(str::to_owned));
    let name = match call.who.kind {
        WhoKind::Ci => text("ci"),
        WhoKind::Me => text("me"),
        WhoKind::Anonymous | WhoKind::Root | WhoKind::Role => None,
    };
    add("aws:username".to_owned(), name);
    let request_tag = match &call.operation {
        Op::PutObject(write) => write.tag.clone(),
        Op::CreateMultipartUpload { tag } | Op::PutObjectTagging { tag, .. } => tag.clone(),
        _ => None,
    };
    if let Some((name, value)) = request_tag {
        add(format!("s3:RequestObjectTag/{name}"), Some(value));
        add("s3:RequestObjectTagKeys".to_owned(), Some(name));
    }
    match &call.operation {
        Op::PutObject(write) => {
            add("s3:ObjectCreationOperation".to_owned(), text("true"));
            let if_none_match = match write.if_none_match {
                // An entity tag is no condition that keeps what is there.
                IfNoneMatch::No | IfNoneMatch::TagThenAny => None,
                IfNoneMatch::Any => text("*"),
            };
            add("s3:if-none-match".to_owned(), if_none_match);
            let encryption = write.encrypts.then(|| "AES256".to_owned());
            add("s3:x-amz-server-side-encryption".to_owned(), encryption);
        }
        Op::CreateMultipartUpload { .. } => {
            add("s3:ObjectCreationOperation".to_owned(), text("false"));
        }
        Op::GetObject { of_version: true } => add("s3:VersionId".to_owned(), text("null")),
        Op::ListObjectsV2(lists) | Op::ListObjectVersions(lists) => {
            add("s3:prefix".to_owned(), lists.prefix.clone());
            add("s3:delimiter".to_owned(), lists.delimiter.clone());
            add("s3:max-keys".to_owned(), lists.max_keys.clone());
        }
        _ => {}
    }
    let is_about_stored = !matches!(
        call.operation,
        Op::DeleteObject { .. }
            | Op::DeleteObjects { .. }
            | Op::ListObjectsV2(_)
            | Op::ListObjectVersions(_)
            | Op::GetBucketLocation
            | Op::GetBucketTagging
    );
    if let (true, Some((name, value))) = (is_about_stored, tags.get(&call.key).cloned().flatten()) {
        add(format!("s3:ExistingObjectTag/{name}"), Some(value));
    }
    keys
}

/// Whether the answer refuses the request, or a part of it.
pub(super) fn is_refused(call: &Call, answer: &Answer) -> bool {
    if answer.status == StatusCode::FORBIDDEN {
        let code = answer.text("Code");
        assert!(
            code == "AccessDenied" || matches!(call.operation, Operation::HeadObject),
            "{answer:?}"
        );
        return true;
    }
    // A server that is wrong refuses nobody, but what it lets happen must be something that happens.
    assert!(
        !answer.status.is_server_error() && answer.status != StatusCode::BAD_REQUEST,
        "{answer:?}"
    );
    matches!(call.operation, Operation::DeleteObjects { .. })
        && answer.body.contains("<Code>AccessDenied<")
}
