//! What each operation of the API needs to be allowed: S3's actions where S3 has the thing, ours where it
//! has not. What is root's alone is not here: the store says so.

use std::collections::HashMap;

use http::{HeaderMap, request};
use tidelock_s3::{Asked, Circumstances, Need, Peer, Query, Signing, headers_of_anybody};
use tidelock_store::{BucketName, ObjectKey, Principal, SearchPage, StatePage};

use super::error::ApiError;
use super::route::{Operation, Routed};
use super::{Api, object_key};

/// What a request is about, in its bucket.
enum About<'a> {
    Bucket,
    Prefix(&'a str),
    Key(&'a str),
}

impl Api {
    /// Lets the caller use the bucket that a request is about, if they may.
    pub(super) async fn authorize(
        &self,
        routed: &Routed,
        actor: &mut Principal,
        parts: &request::Parts,
        peer: &Peer,
    ) -> Result<(), ApiError> {
        let Some((need, about)) = needed(routed) else { return Ok(()) };
        // A name that cannot be a bucket's is the operation's to refuse.
        let name = routed.query("bucket").unwrap_or_else(|| routed.path("bucket"));
        let Ok(bucket) = name.parse::<BucketName>() else { return Ok(()) };
        let key = match about {
            About::Key(key) => Some(object_key(key)?),
            About::Prefix(_) | About::Bucket => None,
        };
        let prefix = match about {
            About::Prefix(prefix) => Some([("s3:prefix", prefix)]),
            About::Key(_) | About::Bucket => None,
        };
        let asked = Asked {
            need,
            bucket: &bucket,
            object: key.as_ref().map(|key| (key, None)),
            more_keys: prefix.as_ref().map_or(&[], |prefix| prefix.as_slice()),
        };
        let headers = headers_of_anybody(&parts.headers);
        Ok(self
            .authorizer
            .grant(actor, &asked, &circumstances(&headers, peer, &Query::default()))
            .await?)
    }

    /// Leaves of states that were found those that the caller may read.
    pub(super) async fn readable(
        &self,
        (actor, parts, peer): (&Principal, &request::Parts, &Peer),
        bucket: &BucketName,
        page: SearchPage,
    ) -> Result<SearchPage, ApiError> {
        let mut known: HashMap<ObjectKey, bool> = HashMap::new();
        let mut found = Vec::with_capacity(page.found.len());
        for instance in page.found {
            let key = object_key(&instance.key)?;
            if !known.contains_key(&key) {
                let may_read = self.may_read((actor, parts, peer), bucket, &key).await;
                known.insert(key.clone(), may_read);
            }
            if known.get(&key) == Some(&true) {
                found.push(instance);
            }
        }
        Ok(SearchPage { found, ..page })
    }

    /// Leaves out of a list what stands inside of states that the caller may not read: addresses.
    pub(super) async fn without_insides(
        &self,
        who: (&Principal, &request::Parts, &Peer),
        bucket: &BucketName,
        mut page: StatePage,
    ) -> Result<StatePage, ApiError> {
        for state in &mut page.states {
            let facts = state.version.as_mut().and_then(|version| version.facts.as_mut());
            let Some(facts) = facts.filter(|facts| !facts.changed.is_empty()) else { continue };
            if !self.may_read(who, bucket, &object_key(&state.key)?).await {
                facts.changed.clear();
            }
        }
        Ok(page)
    }

    async fn may_read(
        &self,
        (actor, parts, peer): (&Principal, &request::Parts, &Peer),
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> bool {
        let headers = headers_of_anybody(&parts.headers);
        let asked =
            Asked { need: Need::GET_OBJECT, bucket, object: Some((key, None)), more_keys: &[] };
        let query = Query::default();
        let circumstances = circumstances(&headers, peer, &query);
        self.authorizer.decide(actor, &asked, &circumstances).await.is_ok()
    }
}

/// None for what is not about one bucket.
fn needed(routed: &Routed) -> Option<(Need, About<'_>)> {
    use Operation as Op;
    let prefix = || About::Prefix(routed.query("prefix").unwrap_or_default());
    let key = || About::Key(routed.query("key").unwrap_or_default());
    Some(match routed.operation {
        Op::GetBucketGuard => (Need::GET_BUCKET_GUARD, About::Bucket),
        Op::PutBucketGuard | Op::DeleteBucketGuard | Op::AllowState => {
            (Need::PUT_BUCKET_GUARD, About::Bucket)
        }
        Op::ListLocks | Op::ListRefused | Op::ListStates | Op::SearchStates => {
            (Need::LIST_BUCKET, prefix())
        }
        Op::ReleaseLock => (Need::BREAK_LOCK, About::Key(routed.path("key"))),
        Op::GetRefused => (Need::get_object(true), key()),
        Op::DiscardRefused => (Need::delete_object(true), key()),
        Op::QueryAuditLog => {
            routed.query("bucket")?;
            (Need::GET_AUDIT_LOG, About::Bucket)
        }
        Op::ListUsers
        | Op::CreateUser
        | Op::GetUser
        | Op::DeleteUser
        | Op::ListAccessKeys
        | Op::CreateAccessKey
        | Op::RotateAccessKey
        | Op::DeleteAccessKey
        | Op::ListUserPolicies
        | Op::PutUserPolicy
        | Op::DeleteUserPolicy
        | Op::Group(_)
        | Op::ListRoles
        | Op::CreateRole
        | Op::GetRole
        | Op::DeleteRole
        | Op::VerifyAuditLog
        | Op::ListWebhooks
        | Op::CreateWebhook
        | Op::DeleteWebhook
        | Op::ListDeadLetters
        | Op::TestWebhook
        | Op::RedeliverDeadLetters
        | Op::RewrapKeys
        | Op::GetServer
        | Op::Describe => return None,
    })
}

fn circumstances<'a>(
    headers: &'a HeaderMap,
    peer: &'a Peer,
    query: &'a Query,
) -> Circumstances<'a> {
    Circumstances { operation: None, headers, query, peer, signing: Signing::default() }
}
