//! What policies say, without asking anybody, and the policy that a bucket has.

use std::str::FromStr;

use http::Method;
pub use tidelock_auth::policy::{
    Access, ConditionKeys, Decision, InvalidPolicy, Policies, Policy, PolicyKind, Request,
    Requester, Source, StatementRef, decide,
};

use crate::connection::Outgoing;
use crate::{Client, ClientError, uri};

const ACCOUNT: &str = "000000000000";
const BUCKET_ARN: &str = "arn:aws:s3:::";
/// The code of a bucket without a policy.
const NO_POLICY: &str = "NoSuchBucketPolicy";

/// An ARN of S3's: a bucket, or a key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    arn: String,
    bucket: String,
}

/// Not a resource of S3's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("takes BUCKET, BUCKET/KEY or arn:aws:s3:::...")]
pub struct InvalidResource;

/// A request that nobody sends, and the policies that decide about it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What for: `s3:GetObject`.
    pub action: String,
    /// What it is about.
    pub resource: Resource,
    /// The name of a user, `root`, or an ARN; none for nobody in particular.
    pub principal: Option<String>,
    /// The requester owns the bucket.
    pub is_owner: bool,
    /// Policies of the user and their groups, or of the role.
    pub identity: Vec<Policy>,
    /// The policy of the bucket.
    pub bucket: Option<Policy>,
    /// Policies that the session was given.
    pub session: Vec<Policy>,
    /// Condition keys with their values, again for a key with several. Those of the principal are added.
    pub keys: Vec<(String, String)>,
}

impl FromStr for Resource {
    type Err = InvalidResource;

    fn from_str(text: &str) -> Result<Self, InvalidResource> {
        let path = text.strip_prefix(BUCKET_ARN).unwrap_or(text);
        let bucket = path.split_once('/').map_or(path, |(bucket, _)| bucket);
        if bucket.is_empty() || bucket.contains(':') {
            return Err(InvalidResource);
        }
        Ok(Self { arn: format!("{BUCKET_ARN}{path}"), bucket: bucket.to_owned() })
    }
}

impl Resource {
    /// The whole ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The bucket in it.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }
}

impl Trial {
    /// What would be decided, as AWS does, and which statement it rests on.
    pub fn decide(&self) -> Decision {
        let (identity, session) = (references(&self.identity), references(&self.session));
        let arn = self.principal.as_deref().map(arn_of);
        let role = arn.as_deref().and_then(role_of);
        let requester = arn.as_deref().map_or(Requester::Anonymous, |arn| Requester::Known {
            account: arn.split(':').nth(4).unwrap_or_default(),
            arn,
            role: role.as_deref(),
            canonical_id: "",
        });
        let keys = self.condition_keys(role.as_deref().or(arn.as_deref()));
        let policies = Policies {
            is_owner: self.is_owner,
            identity: &identity,
            bucket: self.bucket.as_ref(),
            session: (!session.is_empty()).then_some(session.as_slice()),
        };
        let (action, resource) = (self.action.as_str(), self.resource.arn());
        decide(&policies, &Request { requester, action, resource, keys: &keys })
    }

    fn condition_keys(&self, arn: Option<&str>) -> ConditionKeys {
        let given = self.keys.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut keys: ConditionKeys = given.collect();
        let user = arn.and_then(|arn| arn.split_once(":user/")).map(|(_, name)| name);
        for (key, value) in [("aws:PrincipalArn", arn), ("aws:username", user)] {
            if let Some(value) = value
                && keys.values(key).is_empty()
            {
                keys.add(key, value);
            }
        }
        keys
    }
}

impl Client {
    /// The policy of `bucket`; none where it has none.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn bucket_policy(&self, bucket: &str) -> Result<Option<String>, ClientError> {
        let request = Outgoing::new(Method::GET, uri::bucket_path(bucket)).query(&[("policy", "")]);
        match self.document(request).await {
            Ok(document) => Ok(Some(String::from_utf8_lossy(&document.body).into_owned())),
            Err(error) if error.code() == Some(NO_POLICY) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Name and value of a condition key, written `KEY=VALUE`; none for anything else.
pub fn key_value(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

/// The ARN of the user or the role whose own policies count for a principal.
pub fn identity_of(principal: &str) -> String {
    let arn = arn_of(principal);
    role_of(&arn).unwrap_or(arn)
}

fn references(policies: &[Policy]) -> Vec<&Policy> {
    policies.iter().collect()
}

/// The role that a session has taken on.
fn role_of(arn: &str) -> Option<String> {
    let (before, session) = arn.split_once(":assumed-role/")?;
    let account = before.strip_prefix("arn:aws:sts::")?;
    let (role, _) = session.split_once('/')?;
    Some(format!("arn:aws:iam::{account}:role/{role}"))
}

fn arn_of(principal: &str) -> String {
    match principal {
        "root" => format!("arn:aws:iam::{ACCOUNT}:root"),
        arn if arn.starts_with("arn:") => arn.to_owned(),
        name => format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_buckets_and_keys() {
        let rows = [
            ("states", Some(("arn:aws:s3:::states", "states"))),
            ("states/a/b", Some(("arn:aws:s3:::states/a/b", "states"))),
            ("arn:aws:s3:::states/a", Some(("arn:aws:s3:::states/a", "states"))),
            ("arn:aws:iam::0:user/ann", None),
            ("", None),
            ("/a", None),
        ];
        for (text, expected) in rows {
            let found: Result<Resource, _> = text.parse();
            let found = found.as_ref().ok().map(|it| (it.arn(), it.bucket()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn principals_stand_for_those_whose_policies_count() {
        let rows = [
            ("ann", "arn:aws:iam::000000000000:user/ann"),
            ("root", "arn:aws:iam::000000000000:root"),
            ("arn:aws:sts::0:assumed-role/ci/run-7", "arn:aws:iam::0:role/ci"),
        ];
        for (principal, expected) in rows {
            assert_eq!(identity_of(principal), expected);
        }
        assert_eq!(key_value("a=b=c"), Some(("a".to_owned(), "b=c".to_owned())));
        assert_eq!((key_value("=b"), key_value("a")), (None, None));
    }
}
