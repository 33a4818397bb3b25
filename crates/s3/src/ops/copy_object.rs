//! CopyObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>.

use http::HeaderName;
use tidelock_store::{CopyError, CopyObject, ObjectInfo, ObjectSettings, StoredObject, Versioning};

use super::bucket_lifecycle::write_expiration;
use super::copy_source::{self, Source};
use super::put_object::{self, write_new_version};
use crate::call::Call;
use crate::conditions::{self, ReadCondition};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::tags::Tags;
use crate::xml::XmlWriter;
use crate::{checksum, date, encryption, etag, settings};

pub(super) const SOURCE_VERSION_ID: HeaderName =
    HeaderName::from_static("x-amz-copy-source-version-id");
const METADATA_DIRECTIVE: &str = "x-amz-metadata-directive";
/// Headers that make a copy onto itself a change.
const CHANGING_HEADERS: [&str; 2] = ["x-amz-storage-class", "x-amz-website-redirect-location"];
const REDIRECT_LOCATION: &str = "x-amz-website-redirect-location";

/// Whether something comes from the source or from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Copy,
    Replace,
}

/// What the copy is to have besides its bytes.
struct Decision {
    condition: ReadCondition,
    metadata: Directive,
    tagging: Directive,
    may_copy_tags: bool,
    sent: ObjectSettings,
    now_ms: i64,
}

pub(super) async fn handle(call: &mut Call<'_>) -> S3Result<Response> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let condition = conditions::write(&call.headers, call.condition_forms())?;
    let source = Source::of(call)?;
    let sent = settings::of_write(call.service, &call.headers, &call.principal).await?;
    let decision = Decision {
        condition: ReadCondition::of_copy_source(&call.headers),
        metadata: directive(call, METADATA_DIRECTIVE, "Unknown metadata directive.")?,
        tagging: directive(call, settings::TAGGING_DIRECTIVE, "Unknown tagging directive.")?,
        may_copy_tags: call.may_copy_tags,
        sent,
        now_ms: call.service.clock.now(),
    };
    let changing = CHANGING_HEADERS.iter().chain(&encryption::CHANGING_HEADERS);
    let changes = changing.into_iter().any(|name| call.headers.contains_key(*name));
    if source.is_current(&bucket, &key) && decision.metadata == Directive::Copy && !changes {
        return Err(S3Error::invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without \
             changing the object's metadata, storage class, website redirect location or encryption \
             attributes.",
        ));
    }
    let request = CopyObject {
        principal: &call.principal,
        source: source.as_copy_source(),
        bucket: &bucket,
        key: &key,
        condition: &condition,
        checksum: checksum::named_algorithm(&call.headers)?.map(|algorithm| algorithm.kind),
    };
    let copied = call.store().copy_object(&request, |info| decision.settings(info)).await;
    let copied = copied.map_err(|error| match error {
        CopyError::Destination(error) => put_object::refusal(call, error),
        error => source.refusal(error),
    });
    let (info, stored) = copied??;
    let mut response = response::ok_xml(document(&stored));
    write_new_version(&mut response, stored.version);
    write_source_version(&mut response, &info);
    encryption::write(response.headers_mut(), &stored.encryption);
    write_expiration(&mut response, call.store(), &key, stored.lifecycle.as_ref()).await;
    Ok(response)
}

/// The version that was copied, where versions are shown.
pub(super) fn write_source_version(response: &mut Response, info: &ObjectInfo) {
    match info.versioning {
        Versioning::Unversioned => {}
        Versioning::Enabled | Versioning::Suspended => {
            response::set(response, SOURCE_VERSION_ID, &info.version.to_string());
        }
    }
}

impl Decision {
    fn settings(&self, source: &ObjectInfo) -> S3Result<ObjectSettings> {
        copy_source::check(&self.condition, source, self.now_ms)?;
        let (headers, metadata) = match self.metadata {
            Directive::Copy => (self.copied_headers(source), source.settings.metadata.clone()),
            Directive::Replace => (self.sent.headers.clone(), self.sent.metadata.clone()),
        };
        let tags: Tags = match self.tagging {
            // The source got its tags after it was decided that it may be copied.
            Directive::Copy if !source.settings.tags.is_empty() && !self.may_copy_tags => {
                return Err(S3Error::new(ErrorCode::SlowDown));
            }
            Directive::Copy => source.settings.tags.clone(),
            Directive::Replace => self.sent.tags.clone(),
        };
        let controls = self.sent.controls.clone();
        let encryption = self.sent.encryption.clone();
        Ok(ObjectSettings { headers, metadata, tags, controls, encryption })
    }

    /// All but the redirect, which a copy has only where it is sent along.
    fn copied_headers(&self, source: &ObjectInfo) -> Vec<(String, String)> {
        let is_redirect = |pair: &&(String, String)| pair.0 == REDIRECT_LOCATION;
        let of_source = source.settings.headers.iter().filter(|pair| !is_redirect(pair));
        of_source.chain(self.sent.headers.iter().filter(is_redirect)).cloned().collect()
    }
}

fn directive(call: &Call<'_>, name: &str, unknown: &'static str) -> S3Result<Directive> {
    match call.header(name) {
        None | Some("" | "COPY") => Ok(Directive::Copy),
        Some("REPLACE") => Ok(Directive::Replace),
        Some(other) => Err(S3Error::invalid_argument(unknown, name, other)),
    }
}

fn document(stored: &StoredObject) -> String {
    XmlWriter::s3_document("CopyObjectResult", |xml| {
        xml.text("LastModified", &date::iso8601(stored.modified_ms));
        xml.text("ETag", &etag::quoted(&stored.etag));
        if let Some(stored) = &stored.checksum {
            checksum::write_elements(xml, stored);
        }
    })
}
