//! Put, Get and DeleteBucketEncryption:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html>.
//!
//! What stands here is what objects get that ask for nothing; without it they get SSE-S3.

use http::StatusCode;
use tidelock_store::{BucketChange, DefaultEncryption};

use crate::call::Call;
use crate::document::{self, CONFIGURATION_BYTES_MAX, Integrity};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::xml::XmlWriter;
use crate::xml::documents::{Encryption, EncryptionRule};

pub(super) async fn put(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.bucket()?;
    let body = document::read(call, CONFIGURATION_BYTES_MAX, Integrity::Optional).await?;
    let found = call.store().bucket(&call.principal, &bucket).await?;
    let rule = EncryptionRule::parse(&body)?;
    let encryption = match rule.encryption {
        Encryption::Aes256 => DefaultEncryption::Aes256 { bucket_key: rule.bucket_key },
        Encryption::Kms { key } => {
            // A key that does not exist would refuse every write.
            call.store().kms_key(key.as_deref(), &found.row.region)?;
            DefaultEncryption::Kms { key, bucket_key: rule.bucket_key }
        }
    };
    let change = BucketChange::Encryption(Some(encryption));
    call.store().change_bucket(&call.principal, &bucket, &change).await?;
    Ok(response::empty(StatusCode::OK))
}

pub(super) async fn get(call: &mut Call<'_>) -> S3Result<Response> {
    let bucket = call.store().bucket(&call.principal, &call.bucket()?).await?;
    let (algorithm, key, bucket_key) = match bucket.row.encryption {
        Some(DefaultEncryption::Aes256 { bucket_key }) => ("AES256", None, bucket_key),
        Some(DefaultEncryption::Kms { key, bucket_key }) => ("aws:kms", key, bucket_key),
        None => {
            return Err(S3Error::new(ErrorCode::ServerSideEncryptionConfigurationNotFoundError));
        }
    };
    let document = XmlWriter::s3_document("ServerSideEncryptionConfiguration", |xml| {
        xml.element("Rule", |xml| {
            xml.element("ApplyServerSideEncryptionByDefault", |xml| {
                xml.text("SSEAlgorithm", algorithm);
                if let Some(key) = &key {
                    xml.text("KMSMasterKeyID", key);
                }
            });
            xml.value("BucketKeyEnabled", bucket_key);
        });
    });
    Ok(response::ok_xml(document))
}

pub(super) async fn delete(call: &mut Call<'_>) -> S3Result<Response> {
    let change = BucketChange::Encryption(None);
    call.store().change_bucket(&call.principal, &call.bucket()?, &change).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
