//! What protects a bucket and what is configured on it, told apart from what the caller may not see.

use http::{Method, StatusCode};

use crate::connection::Outgoing;
use crate::guard::BucketGuard;
use crate::xml::Element;
use crate::{Client, ClientError, ErrorKind, uri};

/// One setting of a bucket, as somebody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting<T> {
    /// It says this.
    Set(T),
    /// It is not set, or the endpoint knows no such setting.
    NotSet,
    /// The caller may not see it.
    Hidden,
}

/// What protects a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSafety {
    /// `Enabled` or `Suspended`.
    pub versioning: Setting<String>,
    /// The default encryption of new objects: `AES256`, `aws:kms`.
    pub encryption: Setting<String>,
    /// Whether all four switches of the public access block are on.
    pub public_access_blocked: Setting<bool>,
    /// How its states are guarded.
    pub guard: Setting<BucketGuard>,
}

/// A setting whose document people read as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketDocument {
    /// The policy, JSON.
    Policy,
    /// The lifecycle rules, XML.
    Lifecycle,
    /// Which pages of other origins may ask, XML.
    Cors,
}

impl<T> Setting<T> {
    /// What it says, where that is known.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::NotSet | Self::Hidden => None,
        }
    }

    fn and_then<U>(self, then: impl FnOnce(T) -> Option<U>) -> Setting<U> {
        match self {
            Self::Set(value) => then(value).map_or(Setting::NotSet, Setting::Set),
            Self::NotSet => Setting::NotSet,
            Self::Hidden => Setting::Hidden,
        }
    }
}

impl Client {
    /// What protects `bucket`, as far as this caller may see it.
    ///
    /// # Errors
    /// See [`ClientError`]; a bucket that is not there is one, a denial is none.
    pub async fn bucket_safety(&self, bucket: &str) -> Result<BucketSafety, ClientError> {
        let versioning = self.setting(bucket, "versioning").await?;
        let encryption = self.setting(bucket, "encryption").await?;
        let block = self.setting(bucket, "publicAccessBlock").await?;
        let guard = match self.bucket_guard(bucket).await {
            Ok(guard) => guard.map_or(Setting::NotSet, Setting::Set),
            Err(error) => seen(error)?,
        };
        Ok(BucketSafety {
            versioning: versioning.and_then(|root| root.text_of("Status").map(str::to_owned)),
            encryption: encryption.and_then(|root| crate::bucket::algorithm(&root)),
            public_access_blocked: block.and_then(|root| Some(crate::bucket::is_blocked(&root))),
            guard,
        })
    }

    /// A setting of `bucket` as the endpoint writes it.
    ///
    /// # Errors
    /// See [`ClientError`]; a bucket that is not there is one, a denial is none.
    pub async fn bucket_document(
        &self,
        bucket: &str,
        document: BucketDocument,
    ) -> Result<Setting<String>, ClientError> {
        let resource = match document {
            BucketDocument::Policy => "policy",
            BucketDocument::Lifecycle => "lifecycle",
            BucketDocument::Cors => "cors",
        };
        let text = self.setting_text(bucket, resource).await?;
        Ok(text.and_then(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned())))
    }

    /// Lets policies and ACLs open the bucket to everybody again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn allow_public_access(&self, bucket: &str) -> Result<(), ClientError> {
        let request = Outgoing::new(Method::DELETE, uri::bucket_path(bucket))
            .query(&[("publicAccessBlock", "")]);
        self.send(request).await.map(drop)
    }

    async fn setting(&self, bucket: &str, resource: &str) -> Result<Setting<Element>, ClientError> {
        match self.setting_text(bucket, resource).await? {
            Setting::Set(bytes) => Element::parse(&bytes).map(Setting::Set),
            Setting::NotSet => Ok(Setting::NotSet),
            Setting::Hidden => Ok(Setting::Hidden),
        }
    }

    async fn setting_text(
        &self,
        bucket: &str,
        resource: &str,
    ) -> Result<Setting<bytes::Bytes>, ClientError> {
        let request = Outgoing::new(Method::GET, uri::bucket_path(bucket)).query(&[(resource, "")]);
        match self.document(request).await {
            Ok(document) => Ok(Setting::Set(document.body)),
            Err(error) => seen(error),
        }
    }
}

/// The codes of credentials that are over: no setting is hidden, nobody is there to see it.
const ENDED: &[&str] = &["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"];

fn seen<T>(error: ClientError) -> Result<Setting<T>, ClientError> {
    match error {
        error if error.code() == Some("NoSuchBucket") => Err(error),
        error if error.code().is_some_and(|code| ENDED.contains(&code)) => Err(error),
        error if error.kind() == ErrorKind::Denied => Ok(Setting::Hidden),
        ClientError::Service(error)
            if error.status == StatusCode::NOT_FOUND
                || error.status == StatusCode::NOT_IMPLEMENTED =>
        {
            Ok(Setting::NotSet)
        }
        error => Err(error),
    }
}
