//! How a failed authentication is answered: code, status and the fields AWS shows.

use tidelock_auth::sigv4::{AuthError, SignatureMismatch};

use super::{ErrorCode, S3Error};
use crate::encryption::SECRET_HEADERS;

impl From<AuthError> for S3Error {
    fn from(error: AuthError) -> Self {
        let message = error.to_string();
        let with = |code| Self::with_message(code, message.clone());
        match error {
            AuthError::Header(_) => with(ErrorCode::AuthorizationHeaderMalformed),
            AuthError::Query(_) => with(ErrorCode::AuthorizationQueryParametersError),
            AuthError::SignatureV2 | AuthError::MissingContentSha256 => {
                with(ErrorCode::InvalidRequest)
            }
            AuthError::SignatureV2Malformed { value }
            | AuthError::UnsupportedAuthorization { value } => {
                Self::invalid_argument(message, "Authorization", value)
            }
            AuthError::SeveralMechanisms => with(ErrorCode::InvalidArgument),
            AuthError::Date | AuthError::NotYetValid => with(ErrorCode::AccessDenied),
            AuthError::HeadersNotSigned { names } => {
                with(ErrorCode::AccessDenied).field("HeadersNotSigned", names)
            }
            AuthError::InvalidContentSha256 { value } => {
                Self::invalid_argument(message, "x-amz-content-sha256", value)
            }
            AuthError::TimeTooSkewed { request_time, server_time, skew_ms_max } => {
                with(ErrorCode::RequestTimeTooSkewed)
                    .field("RequestTime", request_time)
                    .field("ServerTime", server_time.to_string())
                    .field("MaxAllowedSkewMilliseconds", skew_ms_max.to_string())
            }
            AuthError::Expired { expires_s, expires, server_time } => with(ErrorCode::AccessDenied)
                .field("X-Amz-Expires", expires_s.to_string())
                .field("Expires", expires.to_string())
                .field("ServerTime", server_time.to_string()),
            AuthError::SignatureMismatch(mismatch) => signature_mismatch(*mismatch),
        }
    }
}

fn signature_mismatch(mismatch: SignatureMismatch) -> S3Error {
    let string_to_sign_bytes = mismatch.string_to_sign_bytes();
    let canonical_request_bytes = mismatch.canonical_request_bytes();
    let has_secret = SECRET_HEADERS.iter().any(|name| mismatch.canonical_request.contains(name));
    let error = S3Error::new(ErrorCode::SignatureDoesNotMatch)
        .field("AWSAccessKeyId", mismatch.access_key_id)
        .field("StringToSign", mismatch.string_to_sign)
        .field("SignatureProvided", mismatch.signature_provided)
        .field("StringToSignBytes", string_to_sign_bytes);
    if has_secret {
        // Its headers have a customer's key among them.
        return error;
    }
    error
        .field("CanonicalRequest", mismatch.canonical_request)
        .field("CanonicalRequestBytes", canonical_request_bytes)
}
