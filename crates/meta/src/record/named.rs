//! Which bodies a row names: for those who copy bodies along with rows. Reads the rows of other records and
//! has none of its own.

use super::guard::GuardRow;
use super::head::HeadRow;
use super::part::{self, PartRow};
use super::refused::RefusedRow;
use super::upload::{self, UploadId, UploadRow, UploadState};
use super::version::{Body, ObjectVersion};
use super::{DecodeError, Tag};

/// What a row says of bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// Nothing.
    Nothing,
    /// It needs these as long as it is there.
    Bodies(Vec<Body>),
    /// This is a part of an upload, needed while the upload is under way and by the object that was made of it.
    Part {
        /// The upload.
        upload: UploadId,
        /// Number of the part.
        number: u16,
        /// Its bytes.
        body: Body,
    },
    /// Whether an upload takes parts.
    Upload {
        /// The upload.
        upload: UploadId,
        /// Whether an object may still be made of it.
        is_under_way: bool,
    },
}

/// What the row of `key` with this `value` says of bodies.
///
/// # Errors
///
/// The row is not what its record says.
pub fn named(key: &[u8], value: &[u8]) -> Result<Named, DecodeError> {
    let has = |tag: Tag| key.first() == Some(&(tag as u8));
    if has(Tag::Head) {
        let current = HeadRow::decode(value)?.current;
        return Ok(bodies(current.iter().filter_map(body_of).collect()));
    }
    if has(Tag::Version) {
        return Ok(bodies(body_of(&ObjectVersion::decode(value)?).into_iter().collect()));
    }
    if has(Tag::Refused) {
        return Ok(bodies(body_of(&RefusedRow::decode(value)?.version).into_iter().collect()));
    }
    if has(Tag::Guard) {
        let GuardRow { released, index, .. } = GuardRow::decode(value)?;
        let released = released.as_ref().and_then(|released| released.own_body());
        let kept = released.and_then(body_of).into_iter();
        return Ok(bodies(kept.chain(index.map(|index| index.body)).collect()));
    }
    if has(Tag::Part) {
        let (upload, number) = (part::upload_of(key)?, part::decode_key(key)?);
        return Ok(Named::Part { upload, number, body: PartRow::decode(value)?.body });
    }
    if has(Tag::Upload) {
        let (_, _, upload) = upload::decode_key(key)?;
        let state = UploadRow::decode(value)?.state;
        let is_under_way = matches!(state, UploadState::Open | UploadState::Sealed);
        return Ok(Named::Upload { upload, is_under_way });
    }
    Ok(Named::Nothing)
}

/// The upload that there is no more when the row of `key` is deleted.
pub fn upload_of(key: &[u8]) -> Option<UploadId> {
    upload::decode_key(key).ok().map(|(_, _, upload)| upload)
}

fn bodies(mut bodies: Vec<Body>) -> Named {
    bodies.retain(|body| matches!(body, Body::Blob { .. } | Body::Parts { .. }));
    if bodies.is_empty() { Named::Nothing } else { Named::Bodies(bodies) }
}

fn body_of(version: &ObjectVersion) -> Option<Body> {
    version.object().map(|facts| facts.body.clone())
}
