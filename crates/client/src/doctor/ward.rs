//! Where an examination takes place, and the requests that its checks are made of.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};

use crate::connection::Outgoing;
use crate::sweep::Sweep;
use crate::xml::Element;
use crate::{Client, ClientError, ServiceError, uri};

/// The bucket, the prefix, and how hard to try.
#[derive(Debug)]
pub(super) struct Ward {
    pub(super) client: Client,
    pub(super) bucket: String,
    /// Whether the bucket was made for this, and goes with it.
    pub(super) is_own: bool,
    /// Ends with a slash.
    pub(super) prefix: String,
    pub(super) has_versions: bool,
    pub(super) racers: usize,
    pub(super) rounds: u32,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// S3's code of an error; empty otherwise.
    pub(super) code: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// Whether it says that a condition does not hold: 412, or 409 where a race was seen.
    pub(super) fn is_refused_condition(&self) -> bool {
        matches!(self.status, StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `412 PreconditionFailed`, for people.
    pub(super) fn words(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.code).trim_end().to_owned()
    }
}

impl Ward {
    /// What removes everything at the end.
    pub(super) fn sweep(&self) -> Sweep<'_> {
        let Self { client, bucket, prefix, is_own, .. } = self;
        Sweep { client, bucket, prefix, removes_bucket: *is_own }
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A request for the object called `name`.
    pub(super) fn object(&self, method: Method, name: &str) -> Outgoing {
        Outgoing::new(method, uri::object_path(&self.bucket, &self.key(name)))
    }

    /// Sends `request` once: what is answered is what is looked at, errors too.
    pub(super) async fn ask(&self, request: &Outgoing) -> Result<Answer, ClientError> {
        match self.client.attempt(request).await {
            Ok(response) => {
                let (status, headers) = (response.status(), response.headers().clone());
                let body = self.client.read(response).await?;
                // S3 may find out late and answer 200 with an error in the document.
                if let Some(error) = late_error(&headers, &body) {
                    return Ok(Answer { status: error.status, code: error.code, headers, body });
                }
                Ok(Answer { status, code: String::new(), headers, body })
            }
            Err(ClientError::Service(error)) => Ok(Answer {
                status: error.status,
                code: error.code,
                headers: HeaderMap::new(),
                body: Bytes::new(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Stores `body`, with no condition; its entity tag.
    pub(super) async fn put(&self, name: &str, body: &str) -> Result<String, ClientError> {
        let request = self.object(Method::PUT, name).body(Bytes::from(body.to_owned()));
        let answer = self.client.document(request).await?;
        let etag = answer.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
        etag.map(str::to_owned).ok_or_else(|| malformed("a PUT was answered without an ETag"))
    }

    /// Deletes the object, with no condition.
    pub(super) async fn delete(&self, name: &str) -> Result<(), ClientError> {
        self.client.delete_object(&self.bucket, &self.key(name), None).await
    }

    /// The body of the object; none where there is no object.
    pub(super) async fn get(&self, name: &str) -> Result<Option<String>, ClientError> {
        match self.client.document(self.object(Method::GET, name)).await {
            Ok(answer) => Ok(Some(String::from_utf8_lossy(&answer.body).into_owned())),
            Err(ClientError::Service(error)) if error.status == StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins a multipart upload; its id.
    pub(super) async fn create_upload(&self, name: &str) -> Result<String, ClientError> {
        let request = self.object(Method::POST, name).query(&[("uploads", "")]);
        let document = self.client.document(request).await?;
        Ok(Element::parse(&document.body)?.required("UploadId")?.to_owned())
    }

    /// An upload of one part, `body`, that only has to be completed.
    pub(super) async fn prepare_upload(
        &self,
        name: &str,
        body: &str,
    ) -> Result<Outgoing, ClientError> {
        let id = self.create_upload(name).await?;
        let part = self
            .object(Method::PUT, name)
            .query(&[("partNumber", "1"), ("uploadId", &id)])
            .body(Bytes::from(body.to_owned()));
        let answer = self.client.document(part).await?;
        let etag = answer.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.ok_or_else(|| malformed("a part has no ETag"))?;
        let body = format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part>\
             <PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
            crate::xml::escape(etag)
        );
        Ok(self.object(Method::POST, name).query(&[("uploadId", &id)]).body(Bytes::from(body)))
    }

    /// A copy of the object `source`.
    pub(super) fn copy(&self, source: &str, name: &str) -> Outgoing {
        let source = uri::object_path(&self.bucket, &self.key(source));
        self.object(Method::PUT, name).header("x-amz-copy-source", source)
    }
}

/// Whether old versions of objects in `bucket` are kept; no where the endpoint knows no versions.
pub(super) async fn keeps_versions(client: &Client, bucket: &str) -> Result<bool, ClientError> {
    client.require_bucket(bucket).await?;
    let request = Outgoing::new(Method::GET, uri::bucket_path(bucket)).query(&[("versioning", "")]);
    let Ok(answer) = client.document(request).await else { return Ok(false) };
    let root = Element::parse(&answer.body);
    Ok(root.is_ok_and(|root| root.text_of("Status") == Some("Enabled")))
}

pub(super) fn malformed(reason: &str) -> ClientError {
    ClientError::Malformed(reason.to_owned())
}

/// The error in an answer with status 200.
fn late_error(headers: &HeaderMap, body: &[u8]) -> Option<ServiceError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok())?;
    if !kind.contains("xml") {
        return None;
    }
    let root = Element::parse(body).ok()?;
    let error = ServiceError::within(&root)?;
    let status = match error.code.as_str() {
        "PreconditionFailed" => StatusCode::PRECONDITION_FAILED,
        "ConditionalRequestConflict" => StatusCode::CONFLICT,
        _ => error.status,
    };
    Some(ServiceError { status, ..error })
}
