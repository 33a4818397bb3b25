//! What can be wrong with a request's claim to be who it says.
//!
//! Says what it is, with AWS's message and the facts that AWS's error document shows. Codes and
//! status codes are the wire layer's to choose; each variant names AWS's for it.

use jiff::Timestamp;
use thiserror::Error;

use super::SKEW_MS_MAX;

/// Why a request is not who it claims to be. `Display` is AWS's message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// AWS: `AuthorizationHeaderMalformed`, 400.
    #[error("The authorization header is malformed; {0}")]
    Header(Malformed),
    /// AWS: `AuthorizationQueryParametersError`, 400.
    #[error("{0}")]
    Query(QueryFault),
    /// Signature Version 2, in the header or the query. AWS: `InvalidRequest`, 400.
    #[error(
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
    )]
    SignatureV2,
    /// `AWS` in the header, but not even Signature Version 2. AWS: `InvalidArgument`, 400, with
    /// `ArgumentName` Authorization.
    #[error("AWS authorization header is invalid.  Expected AwsAccessKeyId:signature")]
    SignatureV2Malformed {
        /// The header, for `ArgumentValue`.
        value: String,
    },
    /// A scheme that is none of AWS's, or SigV4A. AWS: `InvalidArgument`, 400, with `ArgumentName`
    /// Authorization.
    #[error("Unsupported Authorization Type")]
    UnsupportedAuthorization {
        /// The header, for `ArgumentValue`.
        value: String,
    },
    /// More than one claim. AWS: `InvalidArgument`, 400.
    #[error(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"
    )]
    SeveralMechanisms,
    /// No usable date. AWS: `AccessDenied`, 403.
    #[error("AWS authentication requires a valid Date or x-amz-date header")]
    Date,
    /// Headers that must be signed are not. AWS: `AccessDenied`, 403, with `HeadersNotSigned`.
    #[error("There were headers present in the request which were not signed")]
    HeadersNotSigned {
        /// Their names, lowercase, joined with `, `.
        names: String,
    },
    /// AWS: `InvalidRequest`, 400.
    #[error("Missing required header for this request: x-amz-content-sha256")]
    MissingContentSha256,
    /// Neither a hash nor a known payload mode. AWS: `InvalidArgument`, 400, with `ArgumentName`
    /// x-amz-content-sha256.
    #[error(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, or a valid sha256 value."
    )]
    InvalidContentSha256 {
        /// The value sent, for `ArgumentValue`.
        value: String,
    },
    /// AWS: `RequestTimeTooSkewed`, 403, with `RequestTime`, `ServerTime` and
    /// `MaxAllowedSkewMilliseconds`.
    #[error("The difference between the request time and the current time is too large.")]
    TimeTooSkewed {
        /// The request's date, in ISO 8601's basic form.
        request_time: String,
        /// The server's time.
        server_time: Timestamp,
        /// [`SKEW_MS_MAX`].
        skew_ms_max: i64,
    },
    /// A presigned URL from the future. AWS: `AccessDenied`, 403.
    #[error("Request is not yet valid")]
    NotYetValid,
    /// A presigned URL past its end. AWS: `AccessDenied`, 403, with `X-Amz-Expires`, `Expires` and
    /// `ServerTime`.
    #[error("Request has expired")]
    Expired {
        /// The life the URL was given, in seconds.
        expires_s: u32,
        /// The instant it ended.
        expires: Timestamp,
        /// The server's time.
        server_time: Timestamp,
    },
    /// AWS: `SignatureDoesNotMatch`, 403.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    )]
    SignatureMismatch(Box<SignatureMismatch>),
}

impl AuthError {
    pub(crate) fn skewed(request_time: &str, server_time: Timestamp) -> Self {
        let request_time = request_time.to_owned();
        Self::TimeTooSkewed { request_time, server_time, skew_ms_max: SKEW_MS_MAX }
    }
}

/// What is wrong with a credential or with the header that carries it. `Display` ends AWS's message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Not five parts.
    #[error(
        "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."
    )]
    Credential,
    /// The access key id is empty.
    #[error("a non-empty Access Key (AKID) must be provided in the credential.")]
    AccessKeyId,
    /// The day is not `yyyyMMdd`.
    #[error(
        "incorrect date format \"{sent}\". This date in the credential must be in the format \"yyyyMMdd\"."
    )]
    Date {
        /// What stands in its place.
        sent: String,
    },
    /// The day is not that of the request.
    #[error(
        "Invalid credential date \"{scope}\". This date is not the same as X-Amz-Date: \"{request}\"."
    )]
    OtherDay {
        /// The day of the scope.
        scope: String,
        /// The day of the request.
        request: String,
    },
    /// The scope does not end in `aws4_request`.
    #[error("incorrect terminal \"{sent}\". This endpoint uses \"aws4_request\".")]
    Terminal {
        /// What stands in its place.
        sent: String,
    },
    /// A service that the caller does not serve here.
    #[error("incorrect service \"{sent}\". This endpoint belongs to \"{served}\".")]
    Service {
        /// The service of the scope.
        sent: String,
        /// What is served.
        served: String,
    },
    /// A part of the header is missing, repeated or unknown.
    #[error(
        "the authorization header requires three components: Credential, SignedHeaders, and Signature."
    )]
    Components,
    /// The list of signed headers is empty, too long, repeats a name or has an empty one.
    #[error("the SignedHeaders list is mal-formed.")]
    SignedHeaders,
}

/// What is wrong with the query of a presigned URL. `Display` is AWS's message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueryFault {
    /// A parameter is missing or repeated.
    #[error(
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
    )]
    Parameters,
    /// The algorithm is another.
    #[error("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")]
    Algorithm,
    /// The date has another form.
    #[error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")]
    Date,
    /// Not a number.
    #[error("X-Amz-Expires should be a number")]
    ExpiresNumber,
    /// Zero or less.
    #[error("X-Amz-Expires must be greater than zero")]
    ExpiresTooSmall,
    /// More than a week.
    #[error(
        "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
    )]
    ExpiresTooLarge,
    /// The credential or the list of signed headers is wrong.
    #[error("Error parsing the X-Amz-Credential parameter; {0}")]
    Credential(Malformed),
    /// The list of signed headers is wrong.
    #[error("X-Amz-SignedHeaders is mal-formed.")]
    SignedHeaders,
}

/// What AWS shows of a signature that does not match, so that a client's author finds the difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureMismatch {
    /// `AWSAccessKeyId`.
    pub access_key_id: String,
    /// `SignatureProvided`.
    pub signature_provided: String,
    /// `StringToSign`.
    pub string_to_sign: String,
    /// `CanonicalRequest`; bytes that are no UTF-8 are replaced.
    pub canonical_request: String,
}

impl SignatureMismatch {
    /// `StringToSignBytes`: two hexadecimal digits a byte, a blank between.
    pub fn string_to_sign_bytes(&self) -> String {
        spaced_hex(&self.string_to_sign)
    }

    /// `CanonicalRequestBytes`, likewise.
    pub fn canonical_request_bytes(&self) -> String {
        spaced_hex(&self.canonical_request)
    }
}

fn spaced_hex(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for pair in hex::encode(text).as_bytes().chunks(2) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(pair.iter().map(|digit| char::from(*digit)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spaced() {
        for (text, expected) in [("", ""), ("A", "41"), ("AWS\n", "41 57 53 0a")] {
            assert_eq!(spaced_hex(text), expected);
        }
    }
}
