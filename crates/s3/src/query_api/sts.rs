//! The actions of STS that begin sessions
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html>).
//!
//! Who may assume a role is its trust policy's to say; what a session may do is decided with each of its
//! requests, by the policies that the role has then.

use std::time::Duration;

use jiff::Timestamp;
use tidelock_auth::oidc::Claims;
use tidelock_auth::policy::{ConditionKeys, Policy, PolicyKind};
use tidelock_store::{
    ACCOUNT_ID, AssumedRole, AuditEvent, NewSession, Role, SessionCredentials, SessionError,
    SessionSubject, StorageError,
};

use super::parameters::{self, RoleRequest, is_same_key};
use super::{Asked, run_tags};
use crate::date;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::web_identity::WebIdentityError;
use crate::xml::XmlWriter;

const ASSUME_ROLE: &str = "sts:AssumeRole";
const ASSUME_ROLE_WITH_WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";
const TAG_SESSION: &str = "sts:TagSession";
const SET_SOURCE_IDENTITY: &str = "sts:SetSourceIdentity";
/// The longest session of a role that was assumed in a session of a role.
const CHAINED_TERM_S_MAX: u64 = 3_600;
const USER_TERM_S_DEFAULT: u64 = 43_200;
const USER_TERM_S_MAX: u64 = 129_600;
/// Root's sessions are no longer than this.
const ROOT_TERM_S_MAX: u64 = 3_600;

/// AssumeRole: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
///
/// What a session brings along into another one, its source identity and its transitive tags, is for the role's trust
/// policy to allow as if it were asked for
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html>).
pub(super) async fn assume_role(asked: &Asked<'_>) -> S3Result<String> {
    let request = RoleRequest::of(asked.query)?;
    let tags = parameters::tags(asked.query)?;
    let transitive = parameters::transitive_tag_keys(asked.query);
    let inherited = inherited_tags(asked);
    check_new(&inherited, &tags)?;
    let source_identity = parameters::source_identity(asked.query)?;
    if asked.query.has("TokenCode") || asked.query.has("SerialNumber") {
        return Err(denied(asked, ASSUME_ROLE, request.arn));
    }
    let role = asked.service.store.role(request.role).await?;
    let role = role.ok_or_else(|| denied(asked, ASSUME_ROLE, request.arn))?;
    let entitlement = &asked.caller.entitlement;
    if entitlement.role.is_some() && request.term_s > CHAINED_TERM_S_MAX {
        let reason = "The requested DurationSeconds exceeds the 1 hour session limit for roles \
                      assumed by role chaining";
        return Err(parameters::invalid(reason.to_owned()));
    }
    let mut keys = asked.keys();
    add_request(&mut keys, &request, &tags);
    if let Some(id) = asked.query.value("ExternalId") {
        keys.add("sts:ExternalId", id);
    }
    let before = entitlement.session.as_ref();
    let source_identity = match (before.and_then(|it| it.source_identity.clone()), source_identity)
    {
        (Some(set), Some(other)) if set != other => {
            return Err(denied(asked, SET_SOURCE_IDENTITY, request.arn));
        }
        (set, asked_for) => set.or(asked_for),
    };
    let mut actions = vec![ASSUME_ROLE];
    actions.extend((!tags.is_empty() || !inherited.is_empty()).then_some(TAG_SESSION));
    if let Some(source) = &source_identity {
        keys.add("sts:SourceIdentity", source.as_str());
        actions.push(SET_SOURCE_IDENTITY);
    }
    check_trust(asked, (&role, None), &actions, &keys)?;
    let kept = before.map(|session| session.transitive_tag_keys.clone()).unwrap_or_default();
    let new = NewSession {
        tags: [inherited, tags].concat(),
        transitive_tag_keys: [kept, transitive].concat(),
        policies: request.policy.map(str::to_owned).into_iter().collect(),
        source_identity,
        provider: Some(asked.caller.arn.to_string()),
        ..NewSession::of(subject(&role, &request), request.term(role.session_max_s)?)
    };
    let made = issue(asked, new)?;
    asked.note(AuditEvent::new("AssumeRole"), &session_arn(&role, &request));
    Ok(asked.document("AssumeRole", |xml| {
        write_credentials(xml, &made);
        write_assumed(xml, &role, &request);
        xml.optional("SourceIdentity", made.facts.source_identity.as_deref());
    }))
}

/// Tags of the caller's session that go with it into the sessions that begin in it.
fn inherited_tags(asked: &Asked<'_>) -> Vec<(String, String)> {
    let Some(session) = &asked.caller.entitlement.session else { return Vec::new() };
    let is_transitive =
        |key: &str| session.transitive_tag_keys.iter().any(|it| is_same_key(it, key));
    session.tags.iter().filter(|(key, _)| is_transitive(key)).cloned().collect()
}

/// Refuses tags that would give an inherited one another value
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_role-chaining>).
fn check_new(inherited: &[(String, String)], tags: &[(String, String)]) -> S3Result<()> {
    let is_inherited = |key: &str| inherited.iter().any(|(known, _)| is_same_key(known, key));
    match tags.iter().find(|(key, _)| is_inherited(key)) {
        Some((key, _)) => Err(parameters::invalid(format!(
            "The tag {key} was inherited from the calling session and cannot be replaced"
        ))),
        None => Ok(()),
    }
}

/// AssumeRoleWithWebIdentity, which nobody signs: the token says who asks.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
pub(super) async fn assume_role_with_web_identity(asked: &Asked<'_>) -> S3Result<String> {
    let request = RoleRequest::of(asked.query)?;
    let token = parameters::required(asked.query, "WebIdentityToken")?;
    if asked.query.has("ProviderId") {
        let reason = "ProviderId is for OAuth 2.0 access tokens, which are not taken";
        return Err(parameters::invalid(reason.to_owned()));
    }
    let now = Timestamp::from_millisecond(asked.service.clock.now()).unwrap_or_default();
    let claims = asked.service.identities.verify(token, now).await.map_err(refused_token)?;
    let role = asked.service.store.role(request.role).await?;
    let role = role.ok_or_else(|| denied(asked, ASSUME_ROLE_WITH_WEB_IDENTITY, request.arn))?;
    let mut keys = asked.keys();
    let claimed: Vec<_> = claims.tags.principal_tags.clone().into_iter().collect();
    add_request(&mut keys, &request, &claimed);
    add_claims(&mut keys, &claims);
    let provider = provider_arn(&claims.issuer);
    let mut actions = vec![ASSUME_ROLE_WITH_WEB_IDENTITY];
    actions.extend((!claimed.is_empty()).then_some(TAG_SESSION));
    check_trust(asked, (&role, Some(&provider)), &actions, &keys)?;
    let new = NewSession {
        tags: run_tags::tags_of(&claims),
        transitive_tag_keys: claims.tags.transitive_keys.clone(),
        policies: request.policy.map(str::to_owned).into_iter().collect(),
        provider: Some(claims.issuer.clone()),
        ..NewSession::of(subject(&role, &request), request.term(role.session_max_s)?)
    };
    let made = issue(asked, new)?;
    let message = format!("{} of {}", claims.subject, claims.issuer);
    let event = AuditEvent { message, ..AuditEvent::new("AssumeRoleWithWebIdentity") };
    asked.note(event, &session_arn(&role, &request));
    Ok(asked.document("AssumeRoleWithWebIdentity", |xml| {
        xml.text("SubjectFromWebIdentityToken", &claims.subject);
        xml.text("Audience", claims.effective_audience());
        write_assumed(xml, &role, &request);
        write_credentials(xml, &made);
        xml.text("Provider", &provider);
    }))
}

/// GetSessionToken: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html>.
pub(super) fn get_session_token(asked: &Asked<'_>) -> S3Result<String> {
    if asked.caller.entitlement.session.is_some() {
        let message = "Cannot call GetSessionToken with session credentials";
        return Err(S3Error::with_message(ErrorCode::AccessDenied, message));
    }
    if asked.query.has("TokenCode") || asked.query.has("SerialNumber") {
        return Err(denied(asked, "sts:GetSessionToken", &asked.caller.arn));
    }
    let caller = asked.caller;
    let (subject, default_s) = if caller.is_root {
        (SessionSubject::Root, ROOT_TERM_S_MAX)
    } else {
        let (name, canonical_id) = (caller.name.to_string(), caller.canonical_id.to_string());
        (SessionSubject::User { name, canonical_id }, USER_TERM_S_DEFAULT)
    };
    let mut term_s = parameters::term_s(asked.query, default_s, USER_TERM_S_MAX)?;
    if asked.caller.is_root {
        term_s = term_s.min(ROOT_TERM_S_MAX);
    }
    let made = issue(asked, NewSession::of(subject, Duration::from_secs(term_s)))?;
    asked.note(AuditEvent::new("GetSessionToken"), &asked.caller.arn);
    Ok(asked.document("GetSessionToken", |xml| write_credentials(xml, &made)))
}

/// All of `actions` have to be allowed by the role's trust policy.
fn check_trust(
    asked: &Asked<'_>,
    (role, provider): (&Role, Option<&str>),
    actions: &[&'static str],
    keys: &ConditionKeys,
) -> S3Result<()> {
    let trust = Policy::parse(&role.trust_policy, PolicyKind::Trust).map_err(|error| {
        StorageError::Corrupt(format!("the trust policy of the role {}: {error}", role.name))
    })?;
    for action in actions {
        let authorizer = asked.service.authorizer();
        let who = (asked.caller, provider);
        if !authorizer.trusts(&trust, who, (action, &role.arn), keys)? {
            return Err(denied(asked, action, &role.arn));
        }
    }
    Ok(())
}

fn add_request(keys: &mut ConditionKeys, request: &RoleRequest<'_>, tags: &[(String, String)]) {
    keys.add("sts:RoleSessionName", request.session_name);
    for (key, value) in tags {
        keys.add(&format!("aws:RequestTag/{key}"), value.as_str());
        keys.add("aws:TagKeys", key.as_str());
    }
}

/// Claims as condition keys: `HOST/PATH:NAME`
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif>).
fn add_claims(keys: &mut ConditionKeys, claims: &Claims) {
    let provider = without_scheme(&claims.issuer);
    for (name, value) in &claims.values {
        let name = if name == "aud" { "oaud" } else { name };
        for text in value.texts() {
            keys.add(&format!("{provider}:{name}"), text.as_str());
        }
    }
    keys.add(&format!("{provider}:aud"), claims.effective_audience());
    keys.add("aws:FederatedProvider", provider_arn(&claims.issuer));
}

fn provider_arn(issuer: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT_ID}:oidc-provider/{}", without_scheme(issuer))
}

fn without_scheme(issuer: &str) -> &str {
    issuer.split_once("://").map_or(issuer, |(_, rest)| rest)
}

fn subject(role: &Role, request: &RoleRequest<'_>) -> SessionSubject {
    SessionSubject::Role {
        arn: role.arn.clone(),
        id: role.id.clone(),
        session_name: request.session_name.to_owned(),
    }
}

fn issue(asked: &Asked<'_>, new: NewSession) -> S3Result<SessionCredentials> {
    asked.service.store.issue_session(new).map_err(|error| match error {
        SessionError::TooLarge => S3Error::new(ErrorCode::PackedPolicyTooLarge),
        SessionError::Invalid | SessionError::Expired => S3Error::new(ErrorCode::InternalError),
    })
}

fn session_arn(role: &Role, request: &RoleRequest<'_>) -> String {
    assumed(role, request).session_arn()
}

fn assumed(role: &Role, request: &RoleRequest<'_>) -> AssumedRole {
    let session_name = request.session_name.to_owned();
    AssumedRole { arn: role.arn.clone(), id: role.id.clone(), session_name }
}

/// Whoever may not, and whoever asks for a role that there is not, is told the same.
fn denied(asked: &Asked<'_>, action: &str, resource: &str) -> S3Error {
    let message = match asked.caller.is_unproven() {
        true => format!("Not authorized to perform {action}"),
        false => format!(
            "User: {} is not authorized to perform: {action} on resource: {resource}",
            asked.caller.arn
        ),
    };
    S3Error::with_message(ErrorCode::AccessDenied, message)
}

fn refused_token(error: WebIdentityError) -> S3Error {
    let code = match error {
        WebIdentityError::Invalid(_) => ErrorCode::InvalidIdentityToken,
        WebIdentityError::Expired(_) => ErrorCode::ExpiredTokenException,
        WebIdentityError::Unreachable(_) => ErrorCode::IDPCommunicationError,
    };
    S3Error::with_message(code, error.to_string())
}

fn write_credentials(xml: &mut XmlWriter, made: &SessionCredentials) {
    xml.element("Credentials", |xml| {
        xml.text("AccessKeyId", &made.access_key_id);
        xml.text("SecretAccessKey", &made.secret_access_key);
        xml.text("SessionToken", &made.session_token);
        xml.text("Expiration", &date::iso8601(made.facts.expires_ms));
    });
}

fn write_assumed(xml: &mut XmlWriter, role: &Role, request: &RoleRequest<'_>) {
    let assumed = assumed(role, request);
    xml.element("AssumedRoleUser", |xml| {
        xml.text("AssumedRoleId", &format!("{}:{}", assumed.id, assumed.session_name));
        xml.text("Arn", &assumed.session_arn());
    });
}
