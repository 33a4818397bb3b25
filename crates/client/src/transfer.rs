//! Bodies up and down, in bounded memory: what is larger than one part travels as many.

use http::Method;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use bytes::Bytes;

use crate::connection::Outgoing;
use crate::xml::{Element, escape};
use crate::{Client, ClientError, uri};

/// A body up to this size is one PUT; a larger one is a multipart upload of parts of at least it.
pub const PART_SIZE_BYTES: u64 = 16 << 20;
/// Parts that an upload may have (Amazon S3 multipart upload limits).
const PARTS_MAX: u64 = 10_000;

/// Told of every piece that has arrived, in bytes.
pub type Progress<'a> = &'a mut (dyn FnMut(u64) + Send);

impl Client {
    /// Stores what `source` gives until its end under `key`.
    ///
    /// `size` is the length where it is known beforehand; it only chooses the size of the parts.
    ///
    /// # Errors
    /// See [`ClientError`]. A multipart upload that fails is aborted.
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        size: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<(), ClientError> {
        let part_size = part_size_bytes(size.unwrap_or(0));
        let first = read_part(source, part_size).await?;
        if (first.len() as u64) < part_size {
            let length = first.len() as u64;
            let request = Outgoing::new(Method::PUT, uri::object_path(bucket, key)).body(first);
            self.send(request).await?;
            progress(length);
            return Ok(());
        }
        let upload = self.create_upload(bucket, key).await?;
        let path = uri::object_path(bucket, key);
        let sent = self.send_parts(&path, &upload, first, source, part_size, progress).await;
        if sent.is_err() {
            // The first error is the one to tell; a leftover upload is swept by the store.
            let abort = Outgoing::new(Method::DELETE, path).query(&[("uploadId", &upload)]);
            let _unreported = self.send(abort).await;
        }
        sent
    }

    /// Writes the object, or one version of it, to `sink`; answers its length in bytes.
    ///
    /// # Errors
    /// See [`ClientError`]. A body that breaks off is an error, whatever has been written by then.
    pub async fn get_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        started: impl FnOnce(Option<u64>),
        progress: Progress<'_>,
    ) -> Result<u64, ClientError> {
        let query: Vec<_> = version.map(|id| ("versionId", id)).into_iter().collect();
        let request = Outgoing::new(Method::GET, uri::object_path(bucket, key)).query(&query);
        let response = self.send(request).await?;
        let length = response.headers().get(http::header::CONTENT_LENGTH);
        started(length.and_then(|length| length.to_str().ok()?.parse().ok()));
        let mut body = response.into_body();
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

    async fn create_upload(&self, bucket: &str, key: &str) -> Result<String, ClientError> {
        let request =
            Outgoing::new(Method::POST, uri::object_path(bucket, key)).query(&[("uploads", "")]);
        let document = self.document(request).await?;
        Ok(Element::parse(&document.body)?.required("UploadId")?.to_owned())
    }

    async fn send_parts(
        &self,
        path: &str,
        upload: &str,
        first: Bytes,
        source: &mut (dyn AsyncRead + Send + Unpin),
        part_size: u64,
        progress: Progress<'_>,
    ) -> Result<(), ClientError> {
        let mut parts = String::new();
        let mut part = first;
        let mut number: u64 = 1;
        loop {
            let length = part.len() as u64;
            let etag = self.send_part(path, upload, number, part).await?;
            progress(length);
            parts.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
                escape(&etag)
            ));
            part = if length < part_size {
                Bytes::new()
            } else {
                read_part(source, part_size).await?
            };
            if part.is_empty() {
                break;
            }
            number += 1;
        }
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let request = Outgoing::new(Method::POST, path.to_owned())
            .query(&[("uploadId", upload)])
            .body(Bytes::from(body));
        let answer = self.document(request).await?.body;
        // S3 may find out late and answer 200 with an error in the document.
        let root = Element::parse(&answer)?;
        match (root.text_of("Code"), root.text_of("ETag")) {
            (Some(code), None) => Err(crate::ServiceError {
                status: http::StatusCode::INTERNAL_SERVER_ERROR,
                code: code.to_owned(),
                message: root.text_of("Message").unwrap_or_default().to_owned(),
                request_id: None,
            }
            .into()),
            _ => Ok(()),
        }
    }

    async fn send_part(
        &self,
        path: &str,
        upload: &str,
        number: u64,
        part: Bytes,
    ) -> Result<String, ClientError> {
        let number = number.to_string();
        let request = Outgoing::new(Method::PUT, path.to_owned())
            .query(&[("partNumber", &number), ("uploadId", upload)])
            .body(part);
        let answer = self.document(request).await?;
        let etag = answer.headers.get(http::header::ETAG).and_then(|etag| etag.to_str().ok());
        etag.map(str::to_owned).ok_or_else(|| ClientError::Malformed("a part has no ETag".into()))
    }
}

/// Large enough that a body of `size` fits into the allowed number of parts.
fn part_size_bytes(size: u64) -> u64 {
    PART_SIZE_BYTES.max(size.div_ceil(PARTS_MAX))
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
}
