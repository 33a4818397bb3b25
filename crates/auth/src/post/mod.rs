//! Browser-based uploads: what is signed is a policy, which says what the form may hold.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html>

mod policy;
mod sign;
mod signature;

pub use policy::{
    ContentLengthRange, InvalidPostPolicy, POST_POLICY_BYTES_MAX, PolicyViolation, PostPolicy,
};
pub use signature::{PostClaim, PostSignature, claim};
