//! A client for any S3 endpoint, and for the JSON API that Tidelock adds to it.
//!
//! It speaks path style, signs every request with its payload's hash, and tells errors apart by
//! what the caller can do about them. It reads no environment and no clock: its [`Settings`] are
//! resolved from what the caller passes in.

pub mod api;
pub mod audit;
pub mod bench;
mod bucket;
mod bucket_safety;
mod connection;
pub mod doctor;
mod error;
pub mod group;
pub mod guard;
pub mod keyring;
pub mod migrate;
mod object;
mod page;
pub mod policy;
pub mod preset;
mod presign;
mod restore;
pub mod role;
pub mod server;
pub mod settings;
pub mod state;
pub mod sts;
mod sweep;
mod transfer;
mod uri;
mod version;
pub mod webhook;
mod xml;

pub use bucket::{Bucket, BucketSettings};
pub use bucket_safety::{BucketDocument, BucketSafety, Setting};
pub use connection::{AnswerBody, Client, Now, Transport, TransportError};
pub use error::{ClientError, ErrorKind, ServiceError};
pub use object::{Object, ObjectIdentifier, ObjectPages};
pub use page::{ObjectsPage, PageOf, VersionsPage};
pub use presign::{PRESIGN_EXPIRES_S_MAX, Presign, PresignedMethod, SignedForm, UploadForm};
pub use restore::{CopySource, ObjectHead, Restored};
pub use settings::{Settings, SettingsError};
pub use transfer::{Download, PART_SIZE_BYTES, Progress, Upload, WriteCondition};
pub use version::{ObjectVersion, VersionPages};
