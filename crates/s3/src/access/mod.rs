//! Who may do what: one place that decides, for every protocol on the listener.
//!
//! A request is decided before its operation runs, by the policies and lists of what it is about. What
//! lets it go on becomes a grant, which the store holds against the bucket's row when the operation reads
//! it: a decision that has become outdated is answered `SlowDown`, and the client's next try is decided
//! anew. What a policy says is `auth`'s to know; this module knows where policies are, and what a request
//! says of itself.

mod keys;
mod known;
mod lists;
mod need;
mod own;

use std::sync::Arc;

use tidelock_auth::policy::{
    self, Access, ConditionKeys, Policies, Policy, Requester, Source, decide_trust,
};
use tidelock_store::{
    ACCOUNT_ID, BucketAccess, BucketName, Granted, JudgedObject, ObjectAccess, ObjectKey,
    Principal, Store, VersionSelector,
};

pub use keys::{Circumstances, headers_of_anybody};
pub(crate) use keys::{SIGNATURE_PARAMETER, keys_of_legal_hold, keys_of_retention, keys_of_tags};
pub(crate) use lists::{allows, is_public};
pub use need::{ByList, Need};
pub(crate) use need::{
    copies_tags, is_decided_later, is_of_version, needs_besides, needs_of_new_bucket, of_operation,
};

use crate::Clock;
use crate::error::{ErrorCode, S3Error, S3Result};
use known::{KnownBucket, KnownBuckets};
use own::{KnownPolicies, OwnPolicies};

/// What condition keys about tags of a stored object begin with.
const EXISTING_TAG: &str = "s3:ExistingObjectTag";

/// What somebody asks to do, and to what.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// What is needed for it.
    pub need: Need,
    /// The bucket.
    pub bucket: &'a BucketName,
    /// The object, if it is about one.
    pub object: Option<(&'a ObjectKey, Option<VersionSelector>)>,
    /// Condition keys that it has besides those of its request.
    pub more_keys: &'a [(&'a str, &'a str)],
}

/// Decides.
pub struct Authorizer {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    buckets: KnownBuckets,
    policies: KnownPolicies,
}

/// Whether somebody may, and what that rests on.
enum Verdict {
    /// Something allows it, as long as the object is the one that was looked at, if one was.
    Allowed(Option<JudgedObject>),
    /// They may know that the object is not there, and nothing else.
    Missing,
    /// Nothing allows it, or something denies it.
    Denied,
}

impl Authorizer {
    /// An authoriser over the store's buckets.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        let (buckets, policies) = (KnownBuckets::default(), KnownPolicies::default());
        Self { store, clock, buckets, policies }
    }

    /// Forgets what is known of a bucket: it has just been changed.
    pub fn forget(&self, bucket: &str) {
        self.buckets.forget(bucket);
    }

    /// Lets `principal` do what is asked, if they may.
    ///
    /// # Errors
    ///
    /// As [`Self::decide`].
    pub async fn grant(
        &self,
        principal: &mut Principal,
        asked: &Asked<'_>,
        circumstances: &Circumstances<'_>,
    ) -> Result<(), S3Error> {
        if let Some(granted) = self.decide(principal, asked, circumstances).await? {
            principal.grant(granted);
        }
        Ok(())
    }

    /// What lets `principal` do what is asked. Of a bucket that is not there nobody can be kept out: the
    /// operation says so.
    ///
    /// # Errors
    ///
    /// `AccessDenied`; `NoSuchKey` and its like to somebody who may know only that an object is not there;
    /// what the store answers when it cannot be asked.
    pub async fn decide(
        &self,
        principal: &Principal,
        asked: &Asked<'_>,
        circumstances: &Circumstances<'_>,
    ) -> Result<Option<Granted>, S3Error> {
        let now_ms = self.clock.now();
        let known = self.buckets.recall(&self.store, asked.bucket, now_ms).await?;
        if let Some(known) = known
            && let Verdict::Allowed(object) =
                self.judge(principal, asked, circumstances, &known).await?
        {
            return Ok(Some(Granted { bucket: Arc::clone(&known.access), object }));
        }
        // Nobody is refused for what may be outdated.
        let Some(known) = self.buckets.read(&self.store, asked.bucket, now_ms).await? else {
            return Ok(None);
        };
        match self.judge(principal, asked, circumstances, &known).await? {
            Verdict::Allowed(object) => {
                Ok(Some(Granted { bucket: Arc::clone(&known.access), object }))
            }
            Verdict::Missing => Err(self.missing(principal, asked, &known.access).await),
            Verdict::Denied => Err(S3Error::new(ErrorCode::AccessDenied)),
        }
    }

    /// What the policies of `principal` say of something that is no bucket's: that they let it happen where
    /// there are none. `resource` is an ARN.
    ///
    /// # Errors
    ///
    /// When a stored policy is none.
    pub fn decide_alone(
        &self,
        principal: &Principal,
        (action, resource): (&str, &str),
        circumstances: &Circumstances<'_>,
    ) -> Result<Access, S3Error> {
        if !principal.entitlement.is_narrowed() {
            return Ok(Access::Allowed);
        }
        let keys = circumstances.keys(principal, self.clock.now());
        let request =
            policy::Request { requester: requester(principal), action, resource, keys: &keys };
        let own = self.policies.of(principal)?;
        Ok(own.with(Policies::default(), |policies| policy::decide(policies, &request).access))
    }

    /// Whether `principal` may assume a role that has this trust policy: do `action` to it, with `more_keys`.
    ///
    /// # Errors
    ///
    /// When a stored policy is none.
    pub(crate) fn trusts(
        &self,
        trust: &Policy,
        (principal, provider): (&Principal, Option<&str>),
        (action, resource): (&str, &str),
        keys: &ConditionKeys,
    ) -> S3Result<bool> {
        let requester = match provider {
            Some(provider) => Requester::Federated { provider },
            None => requester(principal),
        };
        let request = policy::Request { requester, action, resource, keys };
        let own = self.policies.of(principal)?;
        let decide = |policies: &Policies<'_>| decide_trust(trust, policies, &request);
        Ok(own.with(Policies::default(), decide) == Access::Allowed)
    }

    async fn judge(
        &self,
        principal: &Principal,
        asked: &Asked<'_>,
        circumstances: &Circumstances<'_>,
        known: &KnownBucket,
    ) -> S3Result<Verdict> {
        let by_list = asked.need.by_list.filter(|_| known.access.has_acls());
        let asks_object = matches!(by_list, Some(ByList::Object(_)));
        let is_bucket_owner = principal.is_root || principal.is_owner(&known.access.owner);
        let is_narrowed = principal.entitlement.is_narrowed();
        if known.policy.is_none() && is_bucket_owner && !asks_object && !is_narrowed {
            return Ok(Verdict::Allowed(None));
        }
        let own = self.policies.of(principal)?;
        let asks_tags = known.policy.as_ref().is_some_and(Policy::asks_for_existing_tags)
            || own.ask_for_existing_tags();
        let judged = match asked.object {
            Some(place) if asks_tags || asks_object => Some(self.judge_object(place, known).await?),
            Some(_) | None => None,
        };
        let object = judged.as_ref().and_then(|judged| judged.access.as_ref());
        let is_owner = match object.and_then(|object| object.acl.as_ref()) {
            // What somebody else wrote and owns is theirs, but for root.
            Some(acl) if asks_object => principal.is_root || principal.is_owner(&acl.owner),
            Some(_) | None => is_bucket_owner,
        };
        let mut keys = circumstances.keys(principal, self.clock.now());
        asked.more_keys.iter().for_each(|(key, value)| keys.add(key, *value));
        // Of what is asked for, which is not always what the request's own query names: a copy has a source.
        if let Some((_, Some(version))) = asked.object {
            keys.add("s3:VersionId", version.to_string());
        }
        if let Some(object) = object {
            let of_tags = keys::tag_keys(EXISTING_TAG, &object.tags);
            of_tags.iter().for_each(|(key, value)| keys.add(key, value.as_str()));
        }
        match decide_by_policies(principal, asked, &keys, (known, is_owner), &own) {
            Access::Allowed => Ok(Verdict::Allowed(judged)),
            Access::ExplicitlyDenied => Ok(Verdict::Denied),
            Access::ImplicitlyDenied => {
                // Lists are not for sessions that are narrowed: they say nothing of actions.
                let is_free = principal.entitlement.narrowing().is_none();
                let by_list = by_list.filter(|_| is_free);
                if by_list.is_some_and(|by| by_lists(principal, by, known, object)) {
                    return Ok(Verdict::Allowed(judged));
                }
                let may_miss = self.may_miss(principal, asked, circumstances, known).await?;
                Ok(if may_miss { Verdict::Missing } else { Verdict::Denied })
            }
        }
    }

    async fn judge_object(
        &self,
        (key, selector): (&ObjectKey, Option<VersionSelector>),
        known: &KnownBucket,
    ) -> S3Result<JudgedObject> {
        let bucket = known.access.id;
        let access = self.store.object_access(bucket, key, selector).await?;
        Ok(JudgedObject { bucket, key: key.clone(), selector, access })
    }

    /// What is answered to somebody who may know that an object is not there. That lets them do nothing: it
    /// may be made the moment after.
    async fn missing(
        &self,
        principal: &Principal,
        asked: &Asked<'_>,
        access: &Arc<BucketAccess>,
    ) -> S3Error {
        let Some((key, version)) = asked.object else { return ErrorCode::NoSuchKey.into() };
        let mut looking = principal.clone();
        looking.grant(Granted { bucket: Arc::clone(access), object: None });
        match self.store.head_object(&looking, asked.bucket, key, version).await {
            // It was made since: whether they may is decided anew.
            Ok(_) => ErrorCode::SlowDown.into(),
            Err(error) => error.into(),
        }
    }

    /// Whether somebody who may not use an object may be told that there is none: who may list the
    /// bucket there, by a policy or by its list.
    async fn may_miss(
        &self,
        principal: &Principal,
        asked: &Asked<'_>,
        circumstances: &Circumstances<'_>,
        known: &KnownBucket,
    ) -> S3Result<bool> {
        let (Some(ByList::Object(_)), Some(place)) = (asked.need.by_list, asked.object) else {
            return Ok(false);
        };
        if self.judge_object(place, known).await?.access.is_some() {
            return Ok(false);
        }
        let mut keys = circumstances.keys(principal, self.clock.now());
        keys.add("s3:prefix", place.0.as_str());
        let asked = Asked { need: Need::LIST_BUCKET, object: None, ..*asked };
        let own = self.policies.of(principal)?;
        let has_lists = known.access.has_acls() && principal.entitlement.narrowing().is_none();
        Ok(match decide_by_policies(principal, &asked, &keys, (known, false), &own) {
            Access::Allowed => true,
            Access::ExplicitlyDenied => false,
            Access::ImplicitlyDenied => {
                let by_list = asked.need.by_list.filter(|_| has_lists);
                by_list.is_some_and(|by| by_lists(principal, by, known, None))
            }
        })
    }
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authorizer").finish_non_exhaustive()
    }
}

/// What the policies say.
fn decide_by_policies(
    principal: &Principal,
    asked: &Asked<'_>,
    keys: &ConditionKeys,
    (known, is_owner): (&KnownBucket, bool),
    own: &OwnPolicies,
) -> Access {
    let request = policy::Request {
        requester: requester(principal),
        action: asked.need.action,
        resource: &resource(asked),
        keys,
    };
    let rest = Policies { is_owner, bucket: known.policy.as_ref(), ..Policies::default() };
    let decision = own.with(rest, |policies| policy::decide(policies, &request));
    let is_by_bucket = decision.by.as_ref().is_some_and(|by| by.source == Source::Bucket);
    let is_restricted = principal.is_unproven()
        && known.access.public_access_block.is_some_and(|block| block.restrict_public_buckets)
        && known.policy.as_ref().is_some_and(Policy::is_public);
    match decision.access {
        // Whatever it says: nobody can lock themselves out of the policy of their bucket.
        Access::ExplicitlyDenied if is_owner && is_by_bucket && is_of_policy(asked.need.action) => {
            Access::Allowed
        }
        Access::Allowed if is_restricted => Access::ImplicitlyDenied,
        access => access,
    }
}

/// As policies name whoever sends a request.
fn requester(principal: &Principal) -> Requester<'_> {
    if principal.is_unproven() {
        return Requester::Anonymous;
    }
    let role = principal.entitlement.role.as_ref();
    Requester::Known {
        account: ACCOUNT_ID,
        arn: &principal.arn,
        role: role.map(|role| role.arn.as_str()),
        // The canonical id of the account is root's, and not each of its roles'.
        canonical_id: role.map_or(&principal.canonical_id, |_| ""),
    }
}

fn resource(asked: &Asked<'_>) -> String {
    let bucket = asked.bucket.as_str();
    match asked.object {
        Some((key, _)) => format!("arn:aws:s3:::{bucket}/{}", key.as_str()),
        None => format!("arn:aws:s3:::{bucket}"),
    }
}

fn is_of_policy(action: &str) -> bool {
    ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"].contains(&action)
}

/// Whether a list allows it; the lists of what is public are ignored where the block says so.
fn by_lists(
    principal: &Principal,
    by_list: ByList,
    known: &KnownBucket,
    object: Option<&ObjectAccess>,
) -> bool {
    let block = known.access.public_access_block.unwrap_or_default();
    let allows = |list, permission| allows(list, principal, permission, block.ignore_public_acls);
    match (by_list, object) {
        (ByList::Bucket(permission), _) => allows(known.access.acl.as_ref(), permission),
        (ByList::Object(permission), Some(object)) => allows(object.acl.as_ref(), permission),
        (ByList::Object(_), None) => false,
    }
}
