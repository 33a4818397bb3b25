//! What follows from all policies that apply to a request.

use super::document::{Effect, Policy, Statement};
use super::keys::ConditionKeys;
use super::pattern::Case;
use super::principal::{Principals, Requester};

/// A request, as policies see it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who sends it.
    pub requester: Requester<'a>,
    /// What for: `s3:GetObject`.
    pub action: &'a str,
    /// The ARN of what it is about.
    pub resource: &'a str,
    /// What else is known of it.
    pub keys: &'a ConditionKeys,
}

/// The policies that apply to a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policies<'a> {
    /// The requester is allowed by what they are: root, or the owner of the bucket.
    pub is_owner: bool,
    /// Policies of the user, their groups, or the role.
    pub identity: &'a [&'a Policy],
    /// The policy of the bucket.
    pub bucket: Option<&'a Policy>,
    /// Policies that the session was given; none at all for no session or one without.
    pub session: Option<&'a [&'a Policy]>,
}

/// Where a statement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a policy of the requester.
    Identity,
    /// In the policy of the bucket.
    Bucket,
    /// In a policy of the session.
    Session,
}

/// A statement that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRef {
    /// Where it stands.
    pub source: Source,
    /// Which of the policies there, from 0.
    pub policy: usize,
    /// Which of its statements, from 0.
    pub statement: usize,
    /// Its `Sid`.
    pub sid: Option<String>,
}

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Allowed,
    /// Nothing allows it.
    ImplicitlyDenied,
    /// A statement denies it.
    ExplicitlyDenied,
}

/// The decision, with the statement that it rests on; none where nothing allows the request, and where
/// the requester is the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The decision.
    pub access: Access,
    /// Why.
    pub by: Option<StatementRef>,
}

impl Decision {
    /// Whether the request may go on.
    pub fn is_allowed(&self) -> bool {
        self.access == Access::Allowed
    }
}

/// Decides: a statement that denies wins over everything; then what the session was not given is not
/// allowed; then it takes one statement that allows, of the requester or of the bucket.
///
/// All requesters are of the account that the bucket belongs to, so that one of the two is enough.
pub fn decide(policies: &Policies<'_>, request: &Request<'_>) -> Decision {
    let bucket = policies.bucket.as_slice();
    let session = policies.session.unwrap_or_default();
    let all = [
        (Source::Identity, policies.identity),
        (Source::Bucket, bucket),
        (Source::Session, session),
    ];
    let denies =
        |(source, policies): &(Source, &[&Policy])| find(*source, policies, Effect::Deny, request);
    if let Some(by) = all.iter().find_map(denies) {
        return Decision { access: Access::ExplicitlyDenied, by: Some(by) };
    }
    let nothing = Decision { access: Access::ImplicitlyDenied, by: None };
    let is_in_session = || find(Source::Session, session, Effect::Allow, request).is_some();
    if policies.session.is_some() && !is_in_session() {
        return nothing;
    }
    if policies.is_owner {
        return Decision { access: Access::Allowed, by: None };
    }
    let allows = find(Source::Identity, policies.identity, Effect::Allow, request)
        .or_else(|| find(Source::Bucket, bucket, Effect::Allow, request));
    match allows {
        Some(by) => Decision { access: Access::Allowed, by: Some(by) },
        None => nothing,
    }
}

/// Decides whether somebody may assume a role with this trust policy. It has to name them, whatever else
/// allows it; where it names their account only, their own policies have to allow it as well. Of `policies`
/// those of the requester and of their session count.
pub fn decide_trust(trust: &Policy, policies: &Policies<'_>, request: &Request<'_>) -> Access {
    let of_trust = Policies { bucket: Some(trust), is_owner: false, ..*policies };
    let decision = decide(&of_trust, request);
    if decision.access != Access::Allowed {
        return decision.access;
    }
    let is_named = trust.statements.iter().any(|statement| {
        statement.effect == Effect::Allow
            && statement.matches_whom(request, |principals| principals.include(request.requester))
    });
    let in_person = find(Source::Bucket, &[trust], Effect::Allow, request).is_some();
    let by_themselves = || find(Source::Identity, policies.identity, Effect::Allow, request);
    match in_person || (is_named && by_themselves().is_some()) {
        true => Access::Allowed,
        false => Access::ImplicitlyDenied,
    }
}

fn find(
    source: Source,
    policies: &[&Policy],
    effect: Effect,
    request: &Request<'_>,
) -> Option<StatementRef> {
    for (policy, document) in policies.iter().enumerate() {
        for (statement, it) in document.statements.iter().enumerate() {
            if it.effect == effect && it.matches(request) {
                return Some(StatementRef { source, policy, statement, sid: it.sid.clone() });
            }
        }
    }
    None
}

impl Statement {
    fn matches(&self, request: &Request<'_>) -> bool {
        let is_about = |principals: &Principals| match self.effect {
            Effect::Allow => principals.name_in_person(request.requester),
            Effect::Deny => principals.include(request.requester),
        };
        self.matches_whom(request, is_about)
    }

    fn matches_whom(
        &self,
        request: &Request<'_>,
        is_about: impl FnOnce(&Principals) -> bool,
    ) -> bool {
        self.principals.as_ref().is_none_or(is_about)
            && self.actions.include(request.action, request.keys, Case::Insensitive)
            && self.resources.include(request.resource, request.keys, Case::Sensitive)
            && self.conditions.iter().all(|condition| condition.holds(request.keys))
    }
}
