//! Multipart uploads: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>.

mod abort;
mod complete;
mod create;
mod key;
mod list;
mod part;
mod part_list;

use tidelock_meta::record::controls::ServerSideEncryption;
use tidelock_meta::record::upload::{self, UploadRow, UploadState};
use tidelock_meta::record::version::{Checksum, ChecksumAlgorithm, ChecksumType};
use tidelock_meta::{Key, Versioned};

pub use complete::CompleteUpload;
pub use create::{CreateUpload, UploadInfo};
pub(crate) use key::{UploadKey, part_place, upload_place};
pub use list::{ListedPart, PartPage};
pub use part::UploadPart;
pub use part_list::RequestedPart;
pub use tidelock_meta::record::upload::{InvalidUploadId, UploadId};

use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::error::UploadError;
use crate::object::Target;

/// What UploadPart answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    /// Entity tag: the MD5 of the part.
    pub md5: [u8; 16],
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// When it was stored.
    pub modified_ms: i64,
    /// Plaintext bytes.
    pub size: u64,
    /// How it is encrypted.
    pub encryption: ServerSideEncryption,
}

/// The checksum that an upload was begun with.
pub type UploadChecksum = (ChecksumAlgorithm, ChecksumType);

/// An upload, as one operation has read it.
#[derive(Debug)]
pub(crate) struct OpenUpload {
    pub(crate) key: Key,
    pub(crate) seen: Versioned,
    pub(crate) row: UploadRow,
}

impl OpenUpload {
    /// The upload in `seen`, completed ones included.
    pub(crate) fn of(key: Key, seen: Option<&Versioned>) -> Result<Self, UploadError> {
        let Some(seen) = seen else { return Err(UploadError::NoSuchUpload) };
        Ok(Self { key, seen: seen.clone(), row: UploadRow::decode(&seen.value)? })
    }

    /// The same, but a completed upload is no longer there.
    pub(crate) fn under_way(key: Key, seen: Option<&Versioned>) -> Result<Self, UploadError> {
        let open = Self::of(key, seen)?;
        match open.row.state {
            UploadState::Open | UploadState::Sealed => Ok(open),
            UploadState::Completed(_) => Err(UploadError::NoSuchUpload),
        }
    }
}

/// The upload a request names, if it is under way in a bucket that the caller may use.
pub(crate) async fn read_upload(
    reading: &Reading,
    target: Target<'_>,
    id: UploadId,
) -> Result<(OpenBucket, OpenUpload), UploadError> {
    let bucket = OpenBucket::read(reading, target.bucket, target.principal).await?;
    let key = upload::key(bucket.row.id, target.key.as_str(), id);
    let seen = reading.row(key.clone()).await?;
    Ok((bucket, OpenUpload::under_way(key, seen.as_ref())?))
}
