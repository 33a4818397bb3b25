//! DeleteObjects: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>.

use futures_util::StreamExt as _;
use futures_util::stream;
use tidelock_store::{
    AuditEvent, BucketName, DeleteCondition, DeleteObjectError, DeletedObject, ETagMatch,
    ObjectKey, Principal, VersionSelector,
};

use super::delete_object;
use crate::access::{Asked, Need};
use crate::call::{Call, parse_key, parse_version};
use crate::conditions::parse_etags;
use crate::document::{self, Integrity, LIST_BYTES_MAX};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::object_lock::{check_bypass, governance};
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::xml::documents::{DeleteDocument, DeleteEntry};

/// Deletes under way at once: enough to share commits, few enough to leave room for others.
const DELETES_IN_FLIGHT: usize = 64;

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, LIST_BYTES_MAX, Integrity::Required).await?;
    if call.store().bucket_access(&bucket).await?.is_none() {
        return Err(S3Error::new(ErrorCode::NoSuchBucket));
    }
    check_bypass(call, &bucket).await?;
    let request = DeleteDocument::parse(&body)?;
    let mut deletes = Vec::with_capacity(request.entries.len());
    for entry in &request.entries {
        deletes.push(delete(call, &bucket, entry));
    }
    let results: Vec<_> = stream::iter(deletes).buffered(DELETES_IN_FLIGHT).collect().await;
    let document = XmlWriter::s3_document("DeleteResult", |xml| {
        for (entry, result) in request.entries.iter().zip(&results) {
            match result {
                Ok(_) if request.quiet => {}
                Ok(deleted) => write_deleted(xml, entry, deleted),
                Err(error) => write_error(xml, entry, error),
            }
        }
    });
    Ok(response::ok_xml(document))
}

/// What an entry asks to be deleted.
type Entry = (ObjectKey, Option<VersionSelector>, Option<ETagMatch>);

/// The answer as a whole is a success: what it refuses is told here.
async fn delete(
    call: &Call<'_>,
    bucket: &BucketName,
    entry: &DeleteEntry,
) -> S3Result<DeletedObject> {
    let deleted = match parse(entry) {
        Ok((key, version, if_match)) => {
            let place = (bucket, &key, version);
            let governance = governance(call, place).await;
            let condition = DeleteCondition { if_match, governance, ..DeleteCondition::default() };
            match allow(call, place, entry).await {
                Err(denied) => Err(denied),
                Ok(principal) => {
                    match delete_object::delete(call, &principal, place, condition).await {
                        // Told in the commit that remembers it.
                        Err(refused @ DeleteObjectError::Refused(_)) => return Err(refused.into()),
                        deleted => deleted.map_err(S3Error::from),
                    }
                }
            }
        }
        Err(error) => Err(error),
    };
    deleted.inspect_err(|error| note_refusal(call, entry, error))
}

/// The caller, if they may delete this.
async fn allow(
    call: &Call<'_>,
    (bucket, key, version): (&BucketName, &ObjectKey, Option<VersionSelector>),
    entry: &DeleteEntry,
) -> S3Result<Principal> {
    let mut more_keys = Vec::new();
    more_keys.extend(entry.etag.as_deref().map(|etag| ("s3:if-match", etag)));
    let compares = entry.etag.as_deref().is_some_and(|etag| etag != "*");
    let needs = [Need::delete_object(version.is_some())].into_iter();
    let mut principal = call.principal.clone();
    for need in needs.chain(compares.then_some(Need::GET_OBJECT)) {
        let object = Some((key, version));
        let asked = Asked { need, bucket, object, more_keys: &more_keys };
        call.decide(&asked).await?.into_iter().for_each(|granted| principal.grant(granted));
    }
    Ok(principal)
}

fn parse(entry: &DeleteEntry) -> S3Result<Entry> {
    if let Some(condition) = entry.foreign_condition {
        return Err(S3Error::header_not_implemented(condition));
    }
    let key = parse_key(&entry.key)?;
    let version = entry.version_id.as_deref().map(parse_version).transpose();
    // AWS says here that there is no such version, not that there can be none.
    let version = version.map_err(|_| S3Error::new(ErrorCode::NoSuchVersion))?;
    Ok((key, version, entry.etag.as_deref().map(parse_etags)))
}

fn note_refusal(call: &Call<'_>, entry: &DeleteEntry, error: &S3Error) {
    let event = AuditEvent::new("DeleteObject").object(call.bucket_text(), &entry.key);
    let event = AuditEvent {
        code: error.code().as_str().into(),
        message: error.message().to_owned(),
        version_id: entry.version_id.clone().unwrap_or_default(),
        ..event
    };
    call.store().note(&call.principal, &event);
}

fn write_deleted(xml: &mut XmlWriter, entry: &DeleteEntry, deleted: &DeletedObject) {
    xml.element("Deleted", |xml| {
        xml.text("Key", &entry.key);
        xml.optional("VersionId", entry.version_id.as_deref());
        if let (true, Some(version)) = (deleted.is_delete_marker, deleted.version) {
            xml.text("DeleteMarker", "true");
            xml.text("DeleteMarkerVersionId", &version.to_string());
        }
    });
}

fn write_error(xml: &mut XmlWriter, entry: &DeleteEntry, error: &S3Error) {
    xml.element("Error", |xml| {
        xml.text("Key", &entry.key);
        xml.optional("VersionId", entry.version_id.as_deref());
        error.write_code_and_message(xml);
    });
}
