//! What the headers of a write say of the object besides its bytes.
//!
//! System headers and user metadata are kept as they came and given back byte for byte: a value that
//! is not ASCII is held with one character for each byte
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>).

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tidelock_store::{CONTENT_TYPE_DEFAULT, Controls, ObjectSettings, Principal};

use crate::error::{ErrorCode, S3Error, S3Result};
use crate::service::S3Service;
use crate::tags::{self, Tags};
use crate::{acl, encryption, object_lock};

/// The sum of names and values of user metadata (AWS: 2 KB).
const METADATA_BYTES_MAX: usize = 2048;
/// The sum of names and values of system headers (AWS: 8 KB for the whole header section). More would not
/// fit the row of an object.
const SYSTEM_HEADERS_BYTES_MAX: usize = 8192;
pub(crate) const METADATA_PREFIX: &str = "x-amz-meta-";
pub(crate) const TAGGING: HeaderName = HeaderName::from_static("x-amz-tagging");
/// Whether a copy has the tags of its source, or those of [`TAGGING`].
pub(crate) const TAGGING_DIRECTIVE: &str = "x-amz-tagging-directive";
/// Who owns what is in a bucket that is made.
pub(crate) const OBJECT_OWNERSHIP: &str = "x-amz-object-ownership";
const STORAGE_CLASS: HeaderName = HeaderName::from_static("x-amz-storage-class");
const REDIRECT_LOCATION: HeaderName = HeaderName::from_static("x-amz-website-redirect-location");
/// The coding of the transfer, not of the object.
const AWS_CHUNKED: &str = "aws-chunked";

/// The headers that are kept with an object.
pub(crate) const SYSTEM_HEADERS: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::EXPIRES,
];

/// Classes of AWS that mean something else than STANDARD.
const FOREIGN_STORAGE_CLASSES: [&str; 11] = [
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "OUTPOSTS",
    "GLACIER_IR",
    "SNOW",
    "EXPRESS_ONEZONE",
    "FSX_OPENZFS",
];

/// All that the headers of a write ask of its object: what [`of_headers`] reads, a list, and locks.
///
/// # Errors
///
/// Those of [`of_headers`], [`acl::of_write`] and [`object_lock::ask`].
pub(crate) async fn of_write(
    service: &S3Service,
    headers: &HeaderMap,
    principal: &Principal,
) -> S3Result<ObjectSettings> {
    let mut settings = of_headers(headers)?;
    settings.controls.acl = acl::of_write(&service.store, headers, principal).await?;
    object_lock::ask(headers, service.clock.now(), &mut settings.controls)?;
    Ok(settings)
}

/// Reads system headers, user metadata, tags, encryption and storage class.
///
/// # Errors
///
/// `MetadataTooLarge`, `RequestHeaderSectionTooLarge`, the refusals of tags, `InvalidStorageClass` for a class
/// that does not exist, 501 for one that does; those of [`encryption::of_write`].
fn of_headers(headers: &HeaderMap) -> S3Result<ObjectSettings> {
    check_storage_class(headers)?;
    Ok(ObjectSettings {
        headers: system_headers(headers)?,
        metadata: metadata(headers)?,
        tags: tags_of(headers)?.unwrap_or_default(),
        controls: Controls::default(),
        encryption: encryption::of_write(headers)?,
    })
}

/// `x-amz-tagging`, if it is there.
pub(crate) fn tags_of(headers: &HeaderMap) -> S3Result<Option<Tags>> {
    headers.get(TAGGING).map(|value| tags::parse_header(&text_of(value))).transpose()
}

/// Puts system headers and metadata on an answer.
pub(crate) fn write(headers: &mut HeaderMap, settings: &ObjectSettings) {
    for (name, value) in &settings.headers {
        insert(headers, name, value);
    }
    for (name, value) in &settings.metadata {
        insert(headers, &format!("{METADATA_PREFIX}{name}"), value);
    }
    if !settings.tags.is_empty() {
        headers.insert("x-amz-tagging-count", HeaderValue::from(settings.tags.len()));
    }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Some(value)) = (name, value_of(value)) {
        headers.insert(name, value);
    }
}

fn system_headers(headers: &HeaderMap) -> S3Result<Vec<(String, String)>> {
    let mut kept = Vec::new();
    for name in &SYSTEM_HEADERS {
        let value = headers.get(name).map(text_of).unwrap_or_default();
        let value = match *name {
            header::CONTENT_ENCODING => without_aws_chunked(&value),
            header::CONTENT_TYPE if value.is_empty() => CONTENT_TYPE_DEFAULT.to_owned(),
            _ => value,
        };
        if !value.is_empty() {
            kept.push((name.as_str().to_owned(), value));
        }
    }
    if let Some(location) = headers.get(REDIRECT_LOCATION) {
        kept.push((REDIRECT_LOCATION.as_str().to_owned(), text_of(location)));
    }
    // One character stands for one byte.
    let size_bytes: usize =
        kept.iter().map(|(name, value)| name.len() + value.chars().count()).sum();
    if size_bytes > SYSTEM_HEADERS_BYTES_MAX {
        return Err(S3Error::new(ErrorCode::RequestHeaderSectionTooLarge)
            .field("MaxSizeAllowed", SYSTEM_HEADERS_BYTES_MAX.to_string()));
    }
    Ok(kept)
}

fn without_aws_chunked(value: &str) -> String {
    let codings = value.split(',').map(str::trim);
    let kept: Vec<_> = codings.filter(|coding| !coding.eq_ignore_ascii_case(AWS_CHUNKED)).collect();
    kept.join(", ")
}

fn metadata(headers: &HeaderMap) -> S3Result<Vec<(String, String)>> {
    let mut metadata = Vec::new();
    let mut size_bytes = 0;
    for name in headers.keys() {
        let Some(short) = name.as_str().strip_prefix(METADATA_PREFIX) else { continue };
        let values: Vec<_> = headers.get_all(name).iter().map(text_of).collect();
        let value = values.join(",");
        // One character stands for one byte.
        size_bytes += short.len() + value.chars().count();
        metadata.push((short.to_owned(), value));
    }
    if size_bytes > METADATA_BYTES_MAX {
        return Err(S3Error::new(ErrorCode::MetadataTooLarge)
            .field("Size", size_bytes.to_string())
            .field("MaxSizeAllowed", METADATA_BYTES_MAX.to_string()));
    }
    metadata.sort();
    Ok(metadata)
}

fn check_storage_class(headers: &HeaderMap) -> S3Result<()> {
    let Some(class) = headers.get(STORAGE_CLASS) else { return Ok(()) };
    match text_of(class).as_str() {
        "" | "STANDARD" => Ok(()),
        class if FOREIGN_STORAGE_CLASSES.contains(&class) => {
            Err(S3Error::header_not_implemented(STORAGE_CLASS.as_str()))
        }
        class => {
            Err(S3Error::new(ErrorCode::InvalidStorageClass).field("StorageClassRequested", class))
        }
    }
}

/// A header's bytes, one character each.
fn text_of(value: &HeaderValue) -> String {
    value.as_bytes().iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes that [`text_of`] was made of.
fn value_of(text: &str) -> Option<HeaderValue> {
    let bytes: Option<Vec<u8>> =
        text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
    // Text of another origin than a header travels as UTF-8.
    let bytes = bytes.unwrap_or_else(|| text.as_bytes().to_vec());
    HeaderValue::from_bytes(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn system_headers_have_a_limit() {
        let of_length =
            |length| of_headers(&headers(&[("cache-control", &vec![b'x'; length][..])]));
        assert!(of_length(8000).is_ok());
        let refused = of_length(8192).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::RequestHeaderSectionTooLarge);
    }

    #[test]
    fn system_headers_are_kept() {
        let check = |pairs: &[(&'static str, &[u8])], expected: &[(&str, &str)]| {
            let settings = of_headers(&headers(pairs)).unwrap();
            let shown: Vec<_> = settings
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(shown, expected);
        };
        check(&[], &[("content-type", "binary/octet-stream")]);
        check(
            &[("content-encoding", b"aws-chunked, gzip"), ("content-type", b"a/b")],
            &[("content-type", "a/b"), ("content-encoding", "gzip")],
        );
        check(
            &[("content-encoding", b"aws-chunked"), ("expires", b"0"), ("x-other", b"1")],
            &[("content-type", "binary/octet-stream"), ("expires", "0")],
        );
    }

    #[test]
    fn metadata_comes_back_byte_for_byte() {
        let sent = headers(&[
            ("x-amz-meta-latin", b"Hello World\xe9"),
            ("x-amz-meta-utf8", "ü".as_bytes()),
            ("x-amz-meta-empty", b""),
        ]);
        let settings = of_headers(&sent).unwrap();
        let mut back = HeaderMap::new();
        write(&mut back, &settings);
        for (name, value) in &sent {
            assert_eq!(back.get(name), Some(value));
        }
    }

    #[test]
    fn limits_hold() {
        let check = |pairs: &[(&'static str, &[u8])], expected: Option<ErrorCode>| {
            assert_eq!(of_headers(&headers(pairs)).err().map(|error| error.code()), expected);
        };
        check(&[("x-amz-meta-a", &[b'x'; 2047])], None);
        check(&[("x-amz-meta-a", &[b'x'; 2048])], Some(ErrorCode::MetadataTooLarge));
        check(&[("x-amz-storage-class", b"STANDARD")], None);
        check(&[("x-amz-storage-class", b"GLACIER")], Some(ErrorCode::NotImplemented));
        check(&[("x-amz-storage-class", b"GOLD")], Some(ErrorCode::InvalidStorageClass));
    }
}
