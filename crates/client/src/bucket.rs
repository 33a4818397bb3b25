//! Operations on buckets.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;

use crate::connection::Outgoing;
use crate::xml::{Element, escape};
use crate::{Client, ClientError, ErrorKind, ServiceError, uri};

/// `us-east-1` is the one region that a location constraint may not name.
const REGION_WITHOUT_CONSTRAINT: &str = "us-east-1";

/// The switches of a public access block.
const SWITCHES: [&str; 4] =
    ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// A bucket as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// When it was made, ISO 8601.
    pub created: String,
}

/// How a bucket is set up, as far as S3 tells; none of what is not set or may not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BucketSettings {
    /// `Enabled` or `Suspended`; none where it was never turned on.
    pub versioning: Option<String>,
    /// The default encryption of new objects: `AES256`, `aws:kms`.
    pub encryption: Option<String>,
    /// Whether all four switches of the public access block are on.
    pub public_access_blocked: Option<bool>,
    /// Name or canonical id of who owns it.
    pub owner: Option<String>,
}

impl Client {
    /// How `bucket` is set up.
    ///
    /// # Errors
    /// See [`ClientError`]; of a bucket that is not there or may not be looked at.
    pub async fn bucket_settings(&self, bucket: &str) -> Result<BucketSettings, ClientError> {
        // The one that tells whether there is such a bucket: it has no "not set".
        let versioning = self.configuration(bucket, "versioning").await?;
        let encryption = self.configuration_if_any(bucket, "encryption").await?;
        let block = self.configuration_if_any(bucket, "publicAccessBlock").await?;
        let acl = self.configuration_if_any(bucket, "acl").await?;
        let owner = |root: Element| {
            let owner = root.child("Owner")?;
            let name = owner.text_of("DisplayName").filter(|name| !name.is_empty());
            name.or_else(|| owner.text_of("ID")).map(str::to_owned)
        };
        Ok(BucketSettings {
            versioning: versioning.text_of("Status").map(str::to_owned),
            encryption: encryption.and_then(|root| algorithm(&root)),
            public_access_blocked: block.map(|root| is_blocked(&root)),
            owner: acl.and_then(owner),
        })
    }

    /// All buckets of the caller, in order of their names.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_buckets(&self) -> Result<Vec<Bucket>, ClientError> {
        let mut buckets = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = vec![];
            if !token.is_empty() {
                query.push(("continuation-token", token.as_str()));
            }
            let request = Outgoing::new(Method::GET, "/".to_owned()).query(&query);
            let root = Element::parse(&self.document(request).await?.body)?;
            let listed = root.child("Buckets").into_iter().flat_map(Element::children);
            for (_, bucket) in listed {
                let name = bucket.required("Name")?.to_owned();
                let created = bucket.text_of("CreationDate").unwrap_or_default().to_owned();
                buckets.push(Bucket { name, created });
            }
            match root.text_of("ContinuationToken").filter(|token| !token.is_empty()) {
                Some(next) if next != token => token = next.to_owned(),
                _ => return Ok(buckets),
            }
        }
    }

    /// Whether there is a bucket of this name. Asks for one key of it: HeadBucket needs the same
    /// permission, but its refusals have no body and so no reason.
    ///
    /// # Errors
    /// See [`ClientError`]; somebody else's bucket is a denial.
    pub async fn has_bucket(&self, bucket: &str) -> Result<bool, ClientError> {
        let request = Outgoing::new(Method::GET, uri::bucket_path(bucket))
            .query(&[("list-type", "2"), ("max-keys", "1")]);
        match self.document(request).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Goes on only where there is a bucket of this name.
    pub(crate) async fn require_bucket(&self, bucket: &str) -> Result<(), ClientError> {
        if self.has_bucket(bucket).await? {
            return Ok(());
        }
        let (status, code) = (StatusCode::NOT_FOUND, "NoSuchBucket".to_owned());
        let message = format!("there is no bucket {bucket}");
        Err(ServiceError { status, code, message, request_id: None }.into())
    }

    /// Makes a bucket in the region of the settings.
    ///
    /// # Errors
    /// See [`ClientError`]; `BucketAlreadyOwnedByYou` when it was there.
    pub async fn create_bucket(&self, bucket: &str) -> Result<(), ClientError> {
        let region = &self.settings().region;
        let body = if region == REGION_WITHOUT_CONSTRAINT {
            String::new()
        } else {
            document(
                "CreateBucketConfiguration",
                &format!("<LocationConstraint>{}</LocationConstraint>", escape(region)),
            )
        };
        let request = Outgoing::new(Method::PUT, uri::bucket_path(bucket)).body(Bytes::from(body));
        self.send(request).await.map(drop)
    }

    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// See [`ClientError`]; `BucketNotEmpty` while anything is in it.
    pub async fn delete_bucket(&self, bucket: &str) -> Result<(), ClientError> {
        self.send(Outgoing::new(Method::DELETE, uri::bucket_path(bucket))).await.map(drop)
    }

    /// Keeps old versions from now on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn enable_versioning(&self, bucket: &str) -> Result<(), ClientError> {
        let body = document("VersioningConfiguration", "<Status>Enabled</Status>");
        self.configure(bucket, "versioning", body).await
    }

    /// Keeps the old versions there are, and no new ones.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn suspend_versioning(&self, bucket: &str) -> Result<(), ClientError> {
        let body = document("VersioningConfiguration", "<Status>Suspended</Status>");
        self.configure(bucket, "versioning", body).await
    }

    /// Encrypts new objects with keys of the store (SSE-S3).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn enable_encryption(&self, bucket: &str) -> Result<(), ClientError> {
        let body = document(
            "ServerSideEncryptionConfiguration",
            "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
             </ApplyServerSideEncryptionByDefault></Rule>",
        );
        self.configure(bucket, "encryption", body).await
    }

    /// Refuses all ways to open the bucket to everybody.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn block_public_access(&self, bucket: &str) -> Result<(), ClientError> {
        let body = document(
            "PublicAccessBlockConfiguration",
            "<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
             <BlockPublicPolicy>true</BlockPublicPolicy>\
             <RestrictPublicBuckets>true</RestrictPublicBuckets>",
        );
        self.configure(bucket, "publicAccessBlock", body).await
    }

    async fn configuration(&self, bucket: &str, resource: &str) -> Result<Element, ClientError> {
        let request = Outgoing::new(Method::GET, uri::bucket_path(bucket)).query(&[(resource, "")]);
        Element::parse(&self.document(request).await?.body)
    }

    /// None where it is not set, not known to the endpoint or not for this caller.
    async fn configuration_if_any(
        &self,
        bucket: &str,
        resource: &str,
    ) -> Result<Option<Element>, ClientError> {
        match self.configuration(bucket, resource).await {
            Ok(found) => Ok(Some(found)),
            Err(ClientError::Service(error))
                if error.status.is_client_error()
                    || error.status == StatusCode::NOT_IMPLEMENTED =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn configure(
        &self,
        bucket: &str,
        resource: &str,
        body: String,
    ) -> Result<(), ClientError> {
        let request = Outgoing::new(Method::PUT, uri::bucket_path(bucket))
            .query(&[(resource, "")])
            .body(Bytes::from(body))
            .checksummed();
        self.send(request).await.map(drop)
    }
}

/// The algorithm of a default encryption.
pub(crate) fn algorithm(root: &Element) -> Option<String> {
    let rule = root.child("Rule")?.child("ApplyServerSideEncryptionByDefault")?;
    rule.text_of("SSEAlgorithm").map(str::to_owned)
}

/// Whether all switches of a public access block are on.
pub(crate) fn is_blocked(root: &Element) -> bool {
    SWITCHES.iter().all(|switch| root.is_true(switch))
}

fn document(root: &str, content: &str) -> String {
    format!("<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{content}</{root}>")
}
