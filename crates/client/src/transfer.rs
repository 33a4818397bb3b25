//! Bodies up and down, in bounded memory: what is larger than one part travels as many.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, TryStreamExt as _};
use http::Method;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::connection::Outgoing;
use crate::xml::{Element, escape};
use crate::{AnswerBody, Client, ClientError, ServiceError, uri};

/// A body up to this size is one PUT; a larger one is a multipart upload of parts of at least it.
pub const PART_SIZE_BYTES: u64 = 16 << 20;
/// Parts that an upload may have (Amazon S3 multipart upload limits).
const PARTS_MAX: u64 = 10_000;
/// Parts of one upload that travel at once; these and one more are held in memory.
const PARTS_IN_FLIGHT_MAX: usize = 4;
/// Time to tell the endpoint that an upload is given up.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time that a request which makes an object gets once the caller gives up: cut off, it might be done
/// nevertheless, when somebody else has written.
pub(crate) const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What must stand where an object goes, so that it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WriteCondition {
    /// Anything, or nothing.
    #[default]
    Anything,
    /// Nothing.
    Nothing,
    /// An object with this entity tag, which has its quotes.
    Object(String),
}

/// Where a body goes, and what is said of it.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// Key of the object.
    pub key: &'a str,
    /// The length, where it is known beforehand; it only chooses the size of the parts.
    pub size: Option<u64>,
    /// Headers that stay with the object: `content-type`, `x-amz-meta-…`.
    pub headers: &'a [(&'static str, String)],
    /// What the object may replace, where the endpoint looks at such conditions.
    pub condition: &'a WriteCondition,
}

impl WriteCondition {
    fn of(&self, request: Outgoing) -> Outgoing {
        match self {
            Self::Anything => request,
            Self::Nothing => request.header("if-none-match", "*"),
            Self::Object(etag) => request.header("if-match", etag.as_str()),
        }
    }
}

impl Upload<'_> {
    /// A request that makes the object, or begins to.
    fn request(&self, method: Method) -> Outgoing {
        let request = Outgoing::new(method, uri::object_path(self.bucket, self.key));
        let headers = self.headers.iter();
        headers.fold(request, |request, (name, value)| request.header(name, value.as_str()))
    }
}

/// An object whose answer has begun.
#[derive(Debug)]
pub struct Download<'a> {
    client: &'a Client,
    /// Its length in bytes, where the endpoint says it.
    pub length: Option<u64>,
    body: AnswerBody,
}

impl Download<'_> {
    /// Writes it to `sink`; answers its length in bytes.
    ///
    /// # Errors
    /// See [`ClientError`]. A body that breaks off is an error, whatever has been written by then.
    pub async fn write_to(
        self,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, ClientError> {
        self.client.pour(self.body, sink, progress).await
    }
}

/// Told of every piece that has arrived, in bytes.
pub type Progress<'a> = &'a mut (dyn FnMut(u64) + Send);

impl Client {
    /// Stores what `source` gives until its end. When `stop` ends first, the upload is given up; but the
    /// request that makes the object, once it is under way, is waited for, and its result is the result.
    ///
    /// # Errors
    /// See [`ClientError`]. A multipart upload that fails or is given up is aborted.
    pub async fn put_object(
        &self,
        upload: &Upload<'_>,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), ClientError> {
        let mut stop = pin!(stop);
        let part_size = part_size_bytes(upload.size.unwrap_or(0));
        let first = unless(stop.as_mut(), read_part(source, part_size)).await?;
        if (first.len() as u64) < part_size {
            let length = first.len() as u64;
            let request = upload.request(Method::PUT).body(first);
            settled(stop, self.make(request, upload.condition)).await.result?;
            progress(length);
            return Ok(());
        }
        let path = uri::object_path(upload.bucket, upload.key);
        let id = unless(stop.as_mut(), self.create_upload(upload)).await?;
        let parts = self.send_parts((&path, &id), first, source, part_size, progress);
        let done = match unless(stop.as_mut(), parts).await {
            Ok(parts) => {
                let complete = self.complete_upload((&path, &id), parts, upload.condition);
                settled(stop, complete).await.result
            }
            Err(error) => Err(error),
        };
        if done.is_err() {
            // The first error is the one to tell; what is left over costs room, nothing else.
            let abort = Outgoing::new(Method::DELETE, path).query(&[("uploadId", &id)]);
            let _unreported = tokio::time::timeout(ABORT_TIMEOUT, self.send(abort)).await;
        }
        done
    }

    /// Asks for the object, or one version of it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn open_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Download<'_>, ClientError> {
        let query: Vec<_> = version.map(|id| ("versionId", id)).into_iter().collect();
        let request = Outgoing::new(Method::GET, uri::object_path(bucket, key)).query(&query);
        let response = self.send(request).await?;
        let length = response.headers().get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        Ok(Download { client: self, length, body: response.into_body() })
    }

    /// Writes a body to `sink`; answers its length in bytes.
    pub(crate) async fn pour(
        &self,
        mut body: AnswerBody,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, ClientError> {
        let mut written: u64 = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.broken(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            sink.write_all(&data).await?;
            written += data.len() as u64;
            progress(data.len() as u64);
        }
        sink.flush().await?;
        Ok(written)
    }

    async fn create_upload(&self, upload: &Upload<'_>) -> Result<String, ClientError> {
        let request = upload.request(Method::POST).query(&[("uploads", "")]);
        let document = self.document(request).await?;
        Ok(Element::parse(&document.body)?.required("UploadId")?.to_owned())
    }

    async fn send_parts(
        &self,
        (path, upload): (&str, &str),
        first: Bytes,
        source: &mut (dyn AsyncRead + Send + Unpin),
        part_size: u64,
        progress: Progress<'_>,
    ) -> Result<String, ClientError> {
        let sent = parts(first, source, part_size)
            .map_ok(|(number, part)| self.send_part(path, upload, number, part))
            .try_buffered(PARTS_IN_FLIGHT_MAX);
        let mut sent = pin!(sent);
        let mut parts = String::new();
        while let Some(part) = sent.try_next().await? {
            progress(part.length);
            parts.push_str(&format!(
                "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>",
                part.number,
                escape(&part.etag)
            ));
        }
        Ok(parts)
    }

    async fn complete_upload(
        &self,
        (path, upload): (&str, &str),
        parts: String,
        condition: &WriteCondition,
    ) -> Result<(), ClientError> {
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let request = Outgoing::new(Method::POST, path.to_owned())
            .query(&[("uploadId", upload)])
            .body(Bytes::from(body));
        let answer = self.make(request, condition).await?;
        // S3 may find out late and answer 200 with an error in the document.
        let root = Element::parse(&answer)?;
        ServiceError::within(&root).map_or(Ok(()), |error| Err(error.into()))
    }

    /// The answer to a request that makes an object. An endpoint that has no such conditions is asked
    /// without.
    async fn make(
        &self,
        request: Outgoing,
        condition: &WriteCondition,
    ) -> Result<Bytes, ClientError> {
        let is_bare = *condition == WriteCondition::Anything;
        let answer = match self.document(condition.of(request.clone())).await {
            Err(error) if !is_bare && error.is_not_implemented() => self.document(request).await,
            answer => answer,
        };
        Ok(answer?.body)
    }

    async fn send_part(
        &self,
        path: &str,
        upload: &str,
        number: u64,
        part: Bytes,
    ) -> Result<SentPart, ClientError> {
        let length = part.len() as u64;
        let request = Outgoing::new(Method::PUT, path.to_owned())
            .query(&[("partNumber", &number.to_string()), ("uploadId", upload)])
            .body(part);
        let answer = self.document(request).await?;
        let etag = answer.headers.get(http::header::ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.ok_or_else(|| ClientError::Malformed("a part has no ETag".into()))?;
        Ok(SentPart { number, length, etag: etag.to_owned() })
    }
}

/// A part that the endpoint has; its length in bytes.
struct SentPart {
    number: u64,
    length: u64,
    etag: String,
}

/// How a request ended that is not cut off once it is under way.
pub(crate) struct Settled<T> {
    /// Interrupted where it was not begun, or not answered in time.
    pub(crate) result: Result<T, ClientError>,
    /// Whether the caller has given up.
    pub(crate) is_stopped: bool,
}

/// Does `work`, unless `stop` has ended by then; ends it later, `work` has [`SETTLE_TIMEOUT`].
pub(crate) async fn settled<T, S: Future<Output = ()> + ?Sized>(
    mut stop: Pin<&mut S>,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Settled<T> {
    tokio::select! {
        biased;
        () = stop.as_mut() => {
            return Settled { result: Err(ClientError::Interrupted), is_stopped: true };
        }
        () = std::future::ready(()) => {}
    }
    let mut work = pin!(work);
    tokio::select! {
        result = work.as_mut() => Settled { result, is_stopped: false },
        () = stop => {
            let ended = tokio::time::timeout(SETTLE_TIMEOUT, work).await;
            let result = ended.unwrap_or(Err(ClientError::Interrupted));
            Settled { result, is_stopped: true }
        }
    }
}

/// What `work` gives, unless `stop` ends first.
async fn unless<T>(
    stop: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::select! {
        result = work => result,
        () = stop => Err(ClientError::Interrupted),
    }
}

/// Large enough that a body of `size` fits into the allowed number of parts.
fn part_size_bytes(size: u64) -> u64 {
    PART_SIZE_BYTES.max(size.div_ceil(PARTS_MAX))
}

/// The parts of a body, numbered: `first`, which was read, and what `source` still gives. Boxed where its
/// lifetime has a name: only here the compiler sees that it may be sent to another thread.
fn parts<'a>(
    first: Bytes,
    source: &'a mut (dyn AsyncRead + Send + Unpin),
    part_size: u64,
) -> BoxStream<'a, Result<(u64, Bytes), ClientError>> {
    let start = (1, Some(first), source);
    Box::pin(stream::try_unfold(start, move |(number, ready, source)| async move {
        let part = match ready {
            Some(part) => part,
            None => read_part(source, part_size).await?,
        };
        let next = (number + 1, None, source);
        Ok((!part.is_empty()).then_some(((number, part), next)))
    }))
}

/// Up to `length` bytes; fewer only at the end of the source.
async fn read_part(
    source: &mut (dyn AsyncRead + Send + Unpin),
    length: u64,
) -> Result<Bytes, ClientError> {
    let mut part = Vec::new();
    source.take(length).read_to_end(&mut part).await?;
    Ok(Bytes::from(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_fits_into_the_allowed_parts() {
        let rows = [(0, PART_SIZE_BYTES), (PART_SIZE_BYTES * PARTS_MAX, PART_SIZE_BYTES)];
        for (size, part) in rows {
            assert_eq!(part_size_bytes(size), part);
        }
        let terabytes = 5 << 40;
        assert!(part_size_bytes(terabytes) * PARTS_MAX >= terabytes);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_waited_for_and_not_for_ever() {
        const SOON: Duration = Duration::from_secs(1);
        let longer = SETTLE_TIMEOUT + SOON * 2;
        // When the caller gives up and the answer comes; whether it is the result.
        let rows = [
            (longer, SOON, true, false),
            (Duration::ZERO, SOON, false, true),
            (SOON, SOON * 2, true, true),
            (SOON, SOON + SETTLE_TIMEOUT / 2, true, true),
            (SOON, longer, false, true),
        ];
        for (stop, answer, is_result, is_stopped) in rows {
            let stop = pin!(async move {
                if !stop.is_zero() {
                    tokio::time::sleep(stop).await;
                }
            });
            let work = async {
                tokio::time::sleep(answer).await;
                Ok(())
            };
            let settled = settled(stop, work).await;
            assert_eq!((settled.result.is_ok(), settled.is_stopped), (is_result, is_stopped));
        }
    }
}
