//! Sub-resources of a bucket that nobody can configure here: they answer as AWS does where nobody
//! has.
//!
//! Terraform's AWS provider reads every one of them for each `aws_s3_bucket`.

use http::StatusCode;

use crate::call::Call;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::response::{self, Response};
use crate::route::Operation;
use crate::xml::XmlWriter;

/// What AWS answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// This refusal.
    Refusal(ErrorCode),
    /// A document with this root and nothing inside.
    EmptyDocument(&'static str),
    /// The one who pays is the owner.
    RequestPayment,
    /// The list of this name has no entries.
    EmptyList(&'static str),
    /// It is as good as deleted.
    Deleted,
}

/// The answer of an operation that has one.
pub(super) fn answer_of(operation: Operation) -> Option<Answer> {
    use Operation as Op;
    Some(match operation {
        Op::GetBucketWebsite => Answer::Refusal(ErrorCode::NoSuchWebsiteConfiguration),
        Op::GetBucketReplication => {
            Answer::Refusal(ErrorCode::ReplicationConfigurationNotFoundError)
        }
        Op::GetBucketAnalyticsConfiguration
        | Op::GetBucketIntelligentTieringConfiguration
        | Op::GetBucketInventoryConfiguration
        | Op::GetBucketMetricsConfiguration => Answer::Refusal(ErrorCode::NoSuchConfiguration),
        Op::GetBucketAccelerateConfiguration => Answer::EmptyDocument("AccelerateConfiguration"),
        Op::GetBucketLogging => Answer::EmptyDocument("BucketLoggingStatus"),
        Op::GetBucketNotificationConfiguration => {
            Answer::EmptyDocument("NotificationConfiguration")
        }
        Op::GetBucketRequestPayment => Answer::RequestPayment,
        Op::ListBucketAnalyticsConfigurations => {
            Answer::EmptyList("ListBucketAnalyticsConfigurationsResult")
        }
        Op::ListBucketIntelligentTieringConfigurations => {
            Answer::EmptyList("ListBucketIntelligentTieringConfigurationsOutput")
        }
        Op::ListBucketInventoryConfigurations => {
            Answer::EmptyList("ListInventoryConfigurationsResult")
        }
        Op::ListBucketMetricsConfigurations => Answer::EmptyList("ListMetricsConfigurationsResult"),
        Op::DeleteBucketReplication | Op::DeleteBucketWebsite => Answer::Deleted,
        _ => return None,
    })
}

pub(super) async fn handle(call: &mut Call<'_>, answer: Answer) -> S3Result<Response> {
    call.store().bucket(&call.principal, &call.bucket()?).await?;
    match answer {
        Answer::Refusal(code) => Err(S3Error::new(code)),
        Answer::EmptyDocument(root) => Ok(response::ok_xml(XmlWriter::s3_document(root, |_| {}))),
        Answer::RequestPayment => {
            let document = XmlWriter::s3_document("RequestPaymentConfiguration", |xml| {
                xml.text("Payer", "BucketOwner");
            });
            Ok(response::ok_xml(document))
        }
        Answer::EmptyList(root) => {
            let document = XmlWriter::s3_document(root, |xml| xml.value("IsTruncated", false));
            Ok(response::ok_xml(document))
        }
        Answer::Deleted => Ok(response::empty(StatusCode::NO_CONTENT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::State;

    #[test]
    fn only_fixed_operations_are_answered_here() {
        for operation in Operation::ALL {
            if answer_of(*operation).is_some() {
                assert_eq!(operation.state(), State::Fixed, "{operation:?}");
            }
        }
    }
}
