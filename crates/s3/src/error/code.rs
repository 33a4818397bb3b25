//! Every error code we answer, with its status and AWS's own message.
//!
//! Statuses: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>. Messages: as
//! recorded from AWS, where they differ from that page.

use http::StatusCode;

macro_rules! code_text {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident $text:literal) => {
        $text
    };
}

macro_rules! error_codes {
    ($($name:ident $status:ident $message:literal $(=> $text:literal)?)*) => {
        /// An S3 error code. The variant's name is the code on the wire, but for codes with dots.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $message] $name,)*
        }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is written in `<Code>`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => code_text!($name $($text)?),)*
                }
            }

            /// The HTTP status that carries it.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)*
                }
            }

            /// The message it has unless a request says more.
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $message,)*
                }
            }
        }
    };
}

error_codes! {
    AccessControlListNotSupported BAD_REQUEST "The bucket does not allow ACLs"
    AccessForbidden FORBIDDEN "CORSResponse: CORS is not enabled for this bucket."
    AccessDenied FORBIDDEN "Access Denied"
    AuthorizationHeaderMalformed BAD_REQUEST "The authorization header that you provided is not valid."
    AuthorizationQueryParametersError BAD_REQUEST "The authorization query parameters that you provided are not valid."
    BadDigest BAD_REQUEST "The Content-MD5 you specified did not match what we received."
    BadRequest BAD_REQUEST "Bad Request"
    BucketAlreadyExists CONFLICT "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."
    BucketAlreadyOwnedByYou CONFLICT "Your previous request to create the named bucket succeeded and you already own it."
    BucketNotEmpty CONFLICT "The bucket you tried to delete is not empty"
    ConditionalRequestConflict CONFLICT "The conditional request cannot succeed due to a conflicting operation against this resource."
    EntityTooLarge BAD_REQUEST "Your proposed upload exceeds the maximum allowed size"
    EntityTooSmall BAD_REQUEST "Your proposed upload is smaller than the minimum allowed size"
    ExpiredToken BAD_REQUEST "The provided token has expired."
    ExpiredTokenException BAD_REQUEST "The web identity token that was passed is expired"
    IllegalLocationConstraintException BAD_REQUEST "The specified location constraint is incompatible for the region specific endpoint this request was sent to."
    IDPCommunicationError BAD_REQUEST "The identity provider could not be reached"
    IllegalVersioningConfigurationException BAD_REQUEST "The Versioning element must be specified"
    IncompleteBody BAD_REQUEST "You did not provide the number of bytes specified by the Content-Length HTTP header"
    InternalError INTERNAL_SERVER_ERROR "We encountered an internal error. Please try again."
    InvalidAccessKeyId FORBIDDEN "The AWS Access Key Id you provided does not exist in our records."
    InvalidArgument BAD_REQUEST "Invalid Argument"
    InvalidBucketAclWithObjectOwnership BAD_REQUEST "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
    InvalidBucketName BAD_REQUEST "The specified bucket is not valid."
    InvalidBucketState CONFLICT "The request is not valid with the current state of the bucket."
    InvalidChunkSizeError FORBIDDEN "Only the last chunk is allowed to have a size less than 8192 bytes"
    InvalidDigest BAD_REQUEST "The Content-MD5 you specified was invalid."
    InvalidEncryptionAlgorithmError BAD_REQUEST "The encryption request that you specified is not valid. The valid value is AES256."
    InvalidIdentityToken BAD_REQUEST "The web identity token that was passed could not be validated"
    InvalidLocationConstraint BAD_REQUEST "The specified location-constraint is not valid"
    InvalidObjectState FORBIDDEN "The operation is not valid for the object's storage class"
    InvalidPart BAD_REQUEST "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
    InvalidPartNumber RANGE_NOT_SATISFIABLE "The requested partnumber is not satisfiable"
    InvalidPartOrder BAD_REQUEST "The list of parts was not in ascending order. Parts must be ordered by part number."
    InvalidPolicyDocument BAD_REQUEST "The content of the form does not meet the conditions specified in the policy document."
    InvalidRange RANGE_NOT_SATISFIABLE "The requested range is not satisfiable"
    InvalidRequest BAD_REQUEST "Invalid Request"
    InvalidRetentionPeriod BAD_REQUEST "The retention period is not valid"
    InvalidStorageClass BAD_REQUEST "The storage class you specified is not valid"
    InvalidTag BAD_REQUEST "The tag provided was not a valid tag."
    InvalidToken BAD_REQUEST "The provided token is malformed or otherwise invalid."
    InvalidURI BAD_REQUEST "Couldn't parse the specified URI."
    KeyTooLongError BAD_REQUEST "Your key is too long"
    MalformedACLError BAD_REQUEST "The XML you provided was not well-formed or did not validate against our published schema"
    KmsNotFoundException BAD_REQUEST "The specified KMS key does not exist" => "KMS.NotFoundException"
    MalformedPOSTRequest BAD_REQUEST "The body of your POST request is not well-formed multipart/form-data."
    MalformedPolicy BAD_REQUEST "Policy has invalid resource"
    MalformedPolicyDocument BAD_REQUEST "The policy document is malformed"
    MalformedTrailerError BAD_REQUEST "The request contained trailing data that was not well-formed or did not conform to our published schema."
    MalformedXML BAD_REQUEST "The XML you provided was not well-formed or did not validate against our published schema"
    MaxMessageLengthExceeded BAD_REQUEST "Your request was too big."
    MaxPostPreDataLengthExceededError BAD_REQUEST "Your POST request fields preceding the upload file were too large."
    MetadataTooLarge BAD_REQUEST "Your metadata headers exceed the maximum allowed metadata size"
    MethodNotAllowed METHOD_NOT_ALLOWED "The specified method is not allowed against this resource."
    MissingContentLength LENGTH_REQUIRED "You must provide the Content-Length HTTP header."
    MissingRequestBodyError BAD_REQUEST "Request Body is empty"
    MissingSecurityHeader BAD_REQUEST "Your request was missing a required header"
    NoSuchBucket NOT_FOUND "The specified bucket does not exist"
    NoSuchBucketPolicy NOT_FOUND "The bucket policy does not exist"
    NoSuchCORSConfiguration NOT_FOUND "The CORS configuration does not exist"
    NoSuchConfiguration NOT_FOUND "The specified configuration does not exist."
    NoSuchKey NOT_FOUND "The specified key does not exist."
    NoSuchLifecycleConfiguration NOT_FOUND "The lifecycle configuration does not exist"
    NoSuchObjectLockConfiguration NOT_FOUND "The specified object does not have a ObjectLock configuration"
    NoSuchPublicAccessBlockConfiguration NOT_FOUND "The public access block configuration was not found"
    NoSuchTagSet NOT_FOUND "The TagSet does not exist"
    NoSuchUpload NOT_FOUND "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    NoSuchVersion NOT_FOUND "The specified version does not exist."
    NoSuchWebsiteConfiguration NOT_FOUND "The specified bucket does not have a website configuration"
    NotAState PRECONDITION_FAILED "The stored object is a Terraform state, and what was sent is none"
    NotImplemented NOT_IMPLEMENTED "A header you provided implies functionality that is not implemented"
    NotModified NOT_MODIFIED "Not Modified"
    ObjectLockConfigurationNotFoundError NOT_FOUND "Object Lock configuration does not exist for this bucket"
    OperationAborted CONFLICT "A conflicting conditional operation is currently in progress against this resource. Please try again."
    OwnershipControlsNotFoundError NOT_FOUND "The bucket ownership controls were not found"
    PackedPolicyTooLarge BAD_REQUEST "The session policies and tags are too large for a session token"
    PreconditionFailed PRECONDITION_FAILED "At least one of the pre-conditions you specified did not hold"
    ReplicationConfigurationNotFoundError NOT_FOUND "The replication configuration was not found"
    RequestHeaderSectionTooLarge BAD_REQUEST "Your request header section exceeds the maximum allowed size."
    RequestTimeTooSkewed FORBIDDEN "The difference between the request time and the current time is too large."
    RequestTimeout BAD_REQUEST "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."
    ServerSideEncryptionConfigurationNotFoundError NOT_FOUND "The server side encryption configuration was not found"
    ServiceUnavailable SERVICE_UNAVAILABLE "Service is unable to handle request."
    SignatureDoesNotMatch FORBIDDEN "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    SlowDown SERVICE_UNAVAILABLE "Please reduce your request rate."
    StaleStateWrite PRECONDITION_FAILED "The stored state is as new or newer"
    StateLineageMismatch PRECONDITION_FAILED "The stored state has another lineage"
    StateLockLost PRECONDITION_FAILED "The run has lost the lock of the state"
    StateLockRequired PRECONDITION_FAILED "The state is written only under a lock"
    StateLocked PRECONDITION_FAILED "The state is locked by somebody else"
    StateTooLarge PRECONDITION_FAILED "The state is larger than the bucket allows"
    TooManyBuckets BAD_REQUEST "You have attempted to create more buckets than allowed"
    UnexpectedContent BAD_REQUEST "This request does not support content"
    UnresolvableGrantByEmailAddress BAD_REQUEST "The e-mail address you provided does not match any account on record."
    ValidationError BAD_REQUEST "The input fails to satisfy the constraints of the action"
    XAmzContentSHA256Mismatch BAD_REQUEST "The provided 'x-amz-content-sha256' header does not match what was computed."
}

impl ErrorCode {
    /// Whether the document repeats the resource: where AWS has no field of its own to name it.
    pub(crate) fn names_resource(self) -> bool {
        matches!(
            self,
            Self::InternalError
                | Self::OperationAborted
                | Self::ServiceUnavailable
                | Self::SlowDown
        )
    }
}
