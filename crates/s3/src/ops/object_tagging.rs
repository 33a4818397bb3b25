//! Put, Get and DeleteObjectTagging:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html>.

use http::StatusCode;
use tidelock_store::{GetObjectError, ObjectEdit, ObjectInfo};

use super::get_object;
use crate::access;
use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::tags::{self, Tagged, Tags};
use crate::xml::XmlWriter;
use crate::xml::documents::parse_tagging;

pub(super) async fn put(call: &mut Call<'_>) -> S3Result<Response> {
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    let tags = parse_tagging(&body);
    call.authorize_with(&access::keys_of_tags(tags.as_deref().unwrap_or_default())).await?;
    // What is to be tagged comes before what with, in AWS's answers.
    head(call).await?;
    let tags = tags::validate(tags?, Tagged::Object)?;
    replace(call, &tags, StatusCode::OK).await
}

pub(super) async fn get(call: &mut Call<'_>) -> S3Result<Response> {
    let info = head(call).await?;
    let mut response = response::ok_xml(document(&info.settings.tags));
    get_object::write_version(&mut response, &info);
    Ok(response)
}

pub(super) async fn delete(call: &mut Call<'_>) -> S3Result<Response> {
    replace(call, &Tags::new(), StatusCode::NO_CONTENT).await
}

/// `<Tagging><TagSet>…`
pub(super) fn document(tags: &[(String, String)]) -> String {
    XmlWriter::s3_document("Tagging", |xml| write(xml, "TagSet", tags))
}

/// The tags, in an element of this name.
pub(super) fn write(xml: &mut XmlWriter, name: &str, tags: &[(String, String)]) {
    xml.element(name, |xml| {
        for (key, value) in tags {
            xml.element("Tag", |xml| {
                xml.text("Key", key);
                xml.text("Value", value);
            });
        }
    });
}

async fn head(call: &Call<'_>) -> S3Result<ObjectInfo> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let info = call.store().head_object(&call.principal, &bucket, &key, version).await;
    info.map_err(refusal)
}

async fn replace(call: &Call<'_>, tags: &Tags, status: StatusCode) -> S3Result<Response> {
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let edit = ObjectEdit::Tags(tags.clone());
    let info = call.store().edit_object(&call.principal, &bucket, &key, version, &edit).await;
    let mut response = response::empty(status);
    get_object::write_version(&mut response, &info.map_err(refusal)?);
    Ok(response)
}

/// A delete marker has no tags, also where it is the current version.
fn refusal(error: GetObjectError) -> S3Error {
    match error {
        GetObjectError::NoSuchKey { delete_marker: Some(_) } => {
            S3Error::new(ErrorCode::MethodNotAllowed)
        }
        error => error.into(),
    }
}
