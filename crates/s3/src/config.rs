//! Settings of the protocol. Plain data; whoever starts the service fills it.

use std::time::Duration;

use tidelock_store::ObjectOwnership;

/// What an [`crate::S3Service`] needs to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Config {
    /// The region of buckets that were made without one.
    pub region: String,
    /// Host names (without port) under which `bucket.host` is a bucket.
    pub domains: Vec<String>,
    /// Refuse the forms of conditional writes that AWS refuses (501), instead of giving them their
    /// meaning of RFC 9110.
    pub strict_aws_conditions: bool,
    /// Who owns what others write into a bucket that was made without a word about it.
    pub object_ownership: ObjectOwnership,
    /// Take Signature Version 2 in the `Authorization` header, which covers no body.
    pub allow_signature_v2: bool,
    /// How long a request body may stay silent before its request is given up.
    pub body_idle_timeout: Duration,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            region: String::from("us-east-1"),
            domains: Vec::new(),
            strict_aws_conditions: false,
            object_ownership: ObjectOwnership::BucketOwnerEnforced,
            allow_signature_v2: false,
            body_idle_timeout: Duration::from_secs(60),
        }
    }
}

impl S3Config {
    /// Host names compare in lower case, without a dot at either end.
    pub(crate) fn normalized(mut self) -> Self {
        for domain in &mut self.domains {
            *domain = domain.trim_matches('.').to_ascii_lowercase();
        }
        self.domains.retain(|domain| !domain.is_empty());
        self
    }
}
