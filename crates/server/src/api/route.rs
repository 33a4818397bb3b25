//! Everything the API can be asked: one table, by which requests are routed and the API is
//! [described](super::openapi).
//!
//! `{name}` is one segment, `{name...}` all that is left; both are percent-decoded once, so that a key
//! may hold anything, slashes included.

use http::{StatusCode, request};

use super::PREFIX;
use super::error::ApiError;
use super::groups::GroupOperation;
use crate::observe::Place;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    ListUsers,
    CreateUser,
    GetUser,
    DeleteUser,
    ListAccessKeys,
    CreateAccessKey,
    RotateAccessKey,
    DeleteAccessKey,
    ListUserPolicies,
    PutUserPolicy,
    DeleteUserPolicy,
    Group(GroupOperation),
    ListRoles,
    CreateRole,
    GetRole,
    DeleteRole,
    GetBucketGuard,
    PutBucketGuard,
    DeleteBucketGuard,
    ListLocks,
    ReleaseLock,
    ListRefused,
    GetRefused,
    DiscardRefused,
    AllowState,
    ListStates,
    SearchStates,
    QueryAuditLog,
    VerifyAuditLog,
    ListWebhooks,
    CreateWebhook,
    DeleteWebhook,
    ListDeadLetters,
    TestWebhook,
    RedeliverDeadLetters,
    RewrapKeys,
    GetServer,
    Describe,
}

/// The methods that do something here; a constant table cannot hold [`http::Method`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Put,
    Post,
    Delete,
}

/// What travels as a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// None.
    Nothing,
    /// JSON, of this [schema](super::schema).
    Json(&'static str),
    /// Any JSON.
    AnyJson,
    /// Bytes as they are.
    Bytes,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) verb: Verb,
    pub(super) path: &'static str,
    pub(super) operation: Operation,
    pub(super) request: Document,
    pub(super) status: StatusCode,
    pub(super) answer: Document,
    /// Names of the parameters in the query, and whether one must be there.
    pub(super) query: &'static [(&'static str, bool)],
}

/// A row without bodies and parameters.
const fn route(verb: Verb, path: &'static str, operation: Operation) -> Route {
    let (request, answer) = (Document::Nothing, Document::Nothing);
    Route { verb, path, operation, request, status: StatusCode::NO_CONTENT, answer, query: &[] }
}

impl Route {
    const fn takes(self, schema: &'static str) -> Self {
        Self { request: Document::Json(schema), ..self }
    }

    const fn answers(self, status: StatusCode, answer: Document) -> Self {
        Self { status, answer, ..self }
    }

    const fn query(self, query: &'static [(&'static str, bool)]) -> Self {
        Self { query, ..self }
    }
}

const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;

/// All of them.
pub(super) const ROUTES: &[Route] = &[
    route(Verb::Get, "users", Operation::ListUsers).answers(OK, Document::Json("Users")),
    route(Verb::Post, "users", Operation::CreateUser)
        .takes("NewUser")
        .answers(CREATED, Document::Json("User")),
    route(Verb::Get, "users/{name}", Operation::GetUser).answers(OK, Document::Json("User")),
    route(Verb::Delete, "users/{name}", Operation::DeleteUser),
    route(Verb::Get, "keys", Operation::ListAccessKeys)
        .query(&[("user", false)])
        .answers(OK, Document::Json("AccessKeys")),
    route(Verb::Post, "keys", Operation::CreateAccessKey)
        .takes("NewAccessKey")
        .answers(CREATED, Document::Json("AccessKeyWithSecret")),
    route(Verb::Post, "keys/{id}/rotate", Operation::RotateAccessKey)
        .takes("AccessKeyRotation")
        .answers(CREATED, Document::Json("AccessKeyWithSecret")),
    route(Verb::Delete, "keys/{id}", Operation::DeleteAccessKey),
    route(Verb::Get, "users/{name}/policies", Operation::ListUserPolicies)
        .answers(OK, Document::Json("NamedPolicies")),
    route(Verb::Put, "users/{name}/policies/{policy}", Operation::PutUserPolicy)
        .takes("PolicyDocument"),
    route(Verb::Delete, "users/{name}/policies/{policy}", Operation::DeleteUserPolicy),
    route(Verb::Get, "groups", Operation::Group(GroupOperation::List))
        .answers(OK, Document::Json("Groups")),
    route(Verb::Post, "groups", Operation::Group(GroupOperation::Create))
        .takes("NewGroup")
        .answers(CREATED, Document::Json("Group")),
    route(Verb::Get, "groups/{name}", Operation::Group(GroupOperation::Get))
        .answers(OK, Document::Json("Group")),
    route(Verb::Delete, "groups/{name}", Operation::Group(GroupOperation::Delete)),
    route(Verb::Put, "groups/{name}/members/{user}", Operation::Group(GroupOperation::Add)),
    route(Verb::Delete, "groups/{name}/members/{user}", Operation::Group(GroupOperation::Remove)),
    route(Verb::Get, "groups/{name}/policies", Operation::Group(GroupOperation::ListPolicies))
        .answers(OK, Document::Json("NamedPolicies")),
    route(
        Verb::Put,
        "groups/{name}/policies/{policy}",
        Operation::Group(GroupOperation::PutPolicy),
    )
    .takes("PolicyDocument"),
    route(
        Verb::Delete,
        "groups/{name}/policies/{policy}",
        Operation::Group(GroupOperation::DeletePolicy),
    ),
    route(Verb::Get, "roles", Operation::ListRoles).answers(OK, Document::Json("Roles")),
    route(Verb::Post, "roles", Operation::CreateRole)
        .takes("NewRole")
        .answers(CREATED, Document::Json("Role")),
    route(Verb::Get, "roles/{name}", Operation::GetRole).answers(OK, Document::Json("Role")),
    route(Verb::Delete, "roles/{name}", Operation::DeleteRole),
    route(Verb::Get, "buckets/{bucket}/guard", Operation::GetBucketGuard)
        .answers(OK, Document::Json("Guard")),
    route(Verb::Put, "buckets/{bucket}/guard", Operation::PutBucketGuard)
        .takes("GuardEdit")
        .answers(OK, Document::Json("Guard")),
    route(Verb::Delete, "buckets/{bucket}/guard", Operation::DeleteBucketGuard),
    route(Verb::Get, "locks/{bucket}", Operation::ListLocks)
        .query(&[("prefix", false)])
        .answers(OK, Document::Json("Locks")),
    route(Verb::Delete, "locks/{bucket}/{key...}", Operation::ReleaseLock)
        .takes("LockRelease")
        .answers(OK, Document::Json("Lock")),
    route(Verb::Get, "refused/{bucket}", Operation::ListRefused)
        .query(&[("prefix", false)])
        .answers(OK, Document::Json("RefusedStates")),
    route(Verb::Get, "refused/{bucket}/{id}", Operation::GetRefused)
        .query(&[("key", true)])
        .answers(OK, Document::Bytes),
    route(Verb::Delete, "refused/{bucket}/{id}", Operation::DiscardRefused).query(&[("key", true)]),
    route(Verb::Post, "allowances/{bucket}", Operation::AllowState)
        .takes("NewAllowance")
        .answers(CREATED, Document::Json("Allowance")),
    route(Verb::Get, "states/{bucket}", Operation::ListStates)
        .query(&[("prefix", false), ("after", false), ("limit", false)])
        .answers(OK, Document::Json("States")),
    route(Verb::Get, "search/{bucket}", Operation::SearchStates)
        .query(&[
            ("type", false),
            ("name", false),
            ("address", false),
            ("provider", false),
            ("prefix", false),
            ("after", false),
            ("limit", false),
        ])
        .answers(OK, Document::Json("FoundInstances")),
    route(Verb::Get, "audit", Operation::QueryAuditLog)
        .query(&[
            ("bucket", false),
            ("prefix", false),
            ("action", false),
            ("principal", false),
            ("since", false),
            ("until", false),
            ("limit", false),
            ("after", false),
            ("latest", false),
            ("before", false),
        ])
        .answers(OK, Document::Json("AuditPage")),
    route(Verb::Get, "audit/verify", Operation::VerifyAuditLog)
        .answers(OK, Document::Json("AuditVerification")),
    route(Verb::Get, "webhooks", Operation::ListWebhooks).answers(OK, Document::Json("Webhooks")),
    route(Verb::Post, "webhooks", Operation::CreateWebhook)
        .takes("NewWebhook")
        .answers(CREATED, Document::Json("Webhook")),
    route(Verb::Delete, "webhooks/{id}", Operation::DeleteWebhook),
    route(Verb::Get, "webhooks/{id}/dead", Operation::ListDeadLetters)
        .answers(OK, Document::Json("DeadLetters")),
    route(Verb::Post, "webhooks/{id}/test", Operation::TestWebhook)
        .answers(OK, Document::Json("WebhookTest")),
    route(Verb::Post, "webhooks/{id}/redeliver", Operation::RedeliverDeadLetters)
        .answers(OK, Document::Json("Redelivery")),
    route(Verb::Post, "keyring/rewrap", Operation::RewrapKeys)
        .takes("Rewrap")
        .answers(OK, Document::Json("Rewrapped")),
    route(Verb::Get, "server", Operation::GetServer).answers(OK, Document::Json("Server")),
    route(Verb::Get, "openapi.json", Operation::Describe).answers(OK, Document::AnyJson),
];

/// A request that is routed, and what its path and query say.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) operation: Operation,
    /// What the row says of parameters.
    parameters: &'static [(&'static str, bool)],
    path: Vec<(&'static str, String)>,
    query: Vec<(String, String)>,
}

impl Routed {
    /// Finds the row for a request.
    pub(super) fn of(parts: &request::Parts) -> Result<Self, ApiError> {
        let nothing = || ApiError::no_such_path(parts.uri.path());
        let path = parts.uri.path().strip_prefix(PREFIX).ok_or_else(nothing)?;
        let mut is_there = false;
        for route in ROUTES {
            let Some(values) = values(route.path, path) else { continue };
            is_there = true;
            if route.verb.as_str() == parts.method.as_str() {
                let decoded = values.into_iter().map(|(name, text)| Ok((name, decode(text)?)));
                let path = decoded.collect::<Result<_, ApiError>>()?;
                let query = query(parts.uri.query().unwrap_or_default())?;
                let (operation, parameters) = (route.operation, route.query);
                return Ok(Self { operation, parameters, path, query });
            }
        }
        Err(if is_there { ApiError::method_not_allowed(&parts.method) } else { nothing() })
    }

    /// What stands in the path for `{name}`; empty where the row has none.
    pub(super) fn path(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// What it is about, for logs.
    pub(super) fn place(&self) -> Place {
        let in_path = |name| Some(self.path(name).to_owned()).filter(|text| !text.is_empty());
        let in_query = |name| self.query(name).map(str::to_owned);
        let (bucket, id) = (in_path("bucket"), in_path("id"));
        // In a bucket it is that of a refused version.
        let (refused_version, id) = if bucket.is_some() { (id, None) } else { (None, id) };
        let key = in_path("key").or_else(|| in_query("key"));
        let subject = id.or_else(|| in_path("name")).or_else(|| in_query("user"));
        Place { bucket, key, subject, refused_version }
    }

    /// Refuses parameters that the row does not name, or that are there twice, and misses those that
    /// must be there: a misspelt filter that is ignored answers something else than was asked.
    pub(super) fn check_query(&self) -> Result<(), ApiError> {
        for (at, (name, _)) in self.query.iter().enumerate() {
            let is_known = self.parameters.iter().any(|(known, _)| known == name);
            let is_repeated = self.query[..at].iter().any(|(earlier, _)| earlier == name);
            if !is_known || is_repeated {
                return Err(ApiError::malformed(&format!("unexpected parameter {name:?}")));
            }
        }
        let is_missing = |name: &str, is_required: bool| is_required && self.query(name).is_none();
        match self.parameters.iter().find(|(name, is_required)| is_missing(name, *is_required)) {
            Some((name, _)) => Err(ApiError::malformed(&format!("no parameter {name:?}"))),
            None => Ok(()),
        }
    }

    /// The parameter of this name in the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Verb {
    /// As it is in a request.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl Operation {
    /// Its name in logs and metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ListUsers => "ListUsers",
            Self::CreateUser => "CreateUser",
            Self::GetUser => "GetUser",
            Self::DeleteUser => "DeleteUser",
            Self::ListAccessKeys => "ListAccessKeys",
            Self::CreateAccessKey => "CreateAccessKey",
            Self::RotateAccessKey => "RotateAccessKey",
            Self::DeleteAccessKey => "DeleteAccessKey",
            Self::ListUserPolicies => "ListUserPolicies",
            Self::PutUserPolicy => "PutUserPolicy",
            Self::DeleteUserPolicy => "DeleteUserPolicy",
            Self::Group(operation) => operation.as_str(),
            Self::ListRoles => "ListRoles",
            Self::CreateRole => "CreateRole",
            Self::GetRole => "GetRole",
            Self::DeleteRole => "DeleteRole",
            Self::GetBucketGuard => "GetBucketGuard",
            Self::PutBucketGuard => "PutBucketGuard",
            Self::DeleteBucketGuard => "DeleteBucketGuard",
            Self::ListLocks => "ListLocks",
            Self::ReleaseLock => "ReleaseLock",
            Self::ListRefused => "ListRefused",
            Self::GetRefused => "GetRefused",
            Self::DiscardRefused => "DiscardRefused",
            Self::AllowState => "AllowState",
            Self::ListStates => "ListStates",
            Self::SearchStates => "SearchStates",
            Self::QueryAuditLog => "QueryAuditLog",
            Self::VerifyAuditLog => "VerifyAuditLog",
            Self::ListWebhooks => "ListWebhooks",
            Self::CreateWebhook => "CreateWebhook",
            Self::DeleteWebhook => "DeleteWebhook",
            Self::ListDeadLetters => "ListDeadLetters",
            Self::TestWebhook => "TestWebhook",
            Self::RedeliverDeadLetters => "RedeliverDeadLetters",
            Self::RewrapKeys => "RewrapKeys",
            Self::GetServer => "GetServer",
            Self::Describe => "Describe",
        }
    }

    /// In a sentence.
    pub(super) fn summary(self) -> &'static str {
        match self {
            Self::ListUsers => "All users; root only",
            Self::CreateUser => "Makes a user, who has no key yet; root only",
            Self::GetUser => "A user, with the names of their groups; root only",
            Self::DeleteUser => "Deletes a user who has neither keys nor buckets; root only",
            Self::ListAccessKeys => "The access keys of a user, or of all; root only",
            Self::CreateAccessKey => {
                "Makes an access key; its secret is shown this once; root only"
            }
            Self::RotateAccessKey => {
                "Makes another key for the user of one, and has that one end; root only"
            }
            Self::DeleteAccessKey => "Deletes an access key; root only",
            Self::ListUserPolicies => "The policies of a user; root only",
            Self::PutUserPolicy => "Gives a user a policy, or replaces it; root only",
            Self::DeleteUserPolicy => "Takes a policy from a user; root only",
            Self::Group(operation) => operation.summary(),
            Self::ListRoles => "All roles; root only",
            Self::CreateRole => "Makes a role; root only",
            Self::GetRole => "A role, with its policies; root only",
            Self::DeleteRole => "Deletes a role, and ends its sessions; root only",
            Self::GetBucketGuard => "How the states of a bucket are guarded",
            Self::PutBucketGuard => "Changes how they are guarded; what is not named stays",
            Self::DeleteBucketGuard => "Guards the states of a bucket no more",
            Self::ListLocks => "The locks that are held in a guarded bucket",
            Self::ReleaseLock => "Releases the lock of a state, whoever holds it",
            Self::ListRefused => "States that were refused and kept",
            Self::GetRefused => "A refused state, byte for byte",
            Self::DiscardRefused => "Drops a refused state before its time",
            Self::AllowState => "Lets the next write of a state through that would be refused",
            Self::ListStates => {
                "The states of a bucket, as far as they are known, with their locks"
            }
            Self::SearchStates => "Instances of resources in the states of a bucket",
            Self::QueryAuditLog => {
                "Entries of the audit log; root, or the owner of the bucket asked for"
            }
            Self::VerifyAuditLog => "Whether the chain of the audit log is intact; root only",
            Self::ListWebhooks => "Who is told of what happens; root only",
            Self::CreateWebhook => "Tells another one; its secret is shown this once; root only",
            Self::DeleteWebhook => "Tells it no more; root only",
            Self::ListDeadLetters => "What could not be delivered; root only",
            Self::TestWebhook => "Sends an event that nothing has caused; root only",
            Self::RedeliverDeadLetters => "Sends what could not be delivered once more; root only",
            Self::RewrapKeys => {
                "Wraps by the keyring's first key what older ones have wrapped, a page; root only"
            }
            Self::GetServer => "How the server is that answers; root only",
            Self::Describe => "This description; needs no signature",
        }
    }
}

/// What `path` has in the places that `pattern` names; none if it is another path.
fn values<'a>(pattern: &'static str, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let mut values = Vec::new();
    let mut rest = Some(path);
    for part in pattern.split('/') {
        let here = rest?;
        let named = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        if let Some(name) = named.and_then(|name| name.strip_suffix("...")) {
            values.push((name, here));
            rest = None;
            continue;
        }
        let (segment, after) = match here.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (here, None),
        };
        match named {
            Some(name) => values.push((name, segment)),
            None if part == segment => {}
            None => return None,
        }
        rest = after;
    }
    let is_whole = rest.is_none() && values.iter().all(|(_, value)| !value.is_empty());
    is_whole.then_some(values)
}

fn query(text: &str) -> Result<Vec<(String, String)>, ApiError> {
    let parameters = text.split('&').filter(|parameter| !parameter.is_empty());
    let pairs = parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
    pairs.map(|(name, value)| Ok((decode(name)?, decode(value)?))).collect()
}

fn decode(text: &str) -> Result<String, ApiError> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| ApiError::malformed("not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Method, path, and what it is: the operation and the values in the path.
    type Row<'a> = (&'a str, &'a str, Option<(Operation, &'a [(&'a str, &'a str)])>);

    #[test]
    fn paths_find_their_row() {
        let rows: &[Row<'_>] = &[
            ("GET", "users", Some((Operation::ListUsers, &[]))),
            ("DELETE", "users/c%2Fi", Some((Operation::DeleteUser, &[("name", "c/i")]))),
            ("GET", "users/c%2Fi", Some((Operation::GetUser, &[("name", "c/i")]))),
            (
                "PUT",
                "groups/ops/members/a%2Fb",
                Some((Operation::Group(GroupOperation::Add), &[("name", "ops"), ("user", "a/b")])),
            ),
            ("PUT", "groups/ops/members", None),
            ("GET", "keys?user=a%20b", Some((Operation::ListAccessKeys, &[]))),
            (
                "DELETE",
                "locks/b/env%3A/dev//a%252F.tfstate",
                Some((
                    Operation::ReleaseLock,
                    &[("bucket", "b"), ("key", "env:/dev//a%2F.tfstate")],
                )),
            ),
            (
                "GET",
                "refused/b/0f?key=k",
                Some((Operation::GetRefused, &[("bucket", "b"), ("id", "0f")])),
            ),
            ("GET", "locks/b/k", None),
            ("DELETE", "locks/b/", None),
            ("GET", "users/", None),
            ("GET", "buckets/b", None),
            ("GET", "", None),
            ("DELETE", "users/%ff", None),
        ];
        for (method, path, expected) in rows {
            let request = http::Request::builder().method(*method).uri(format!("{PREFIX}{path}"));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let routed = Routed::of(&parts).ok();
            assert_eq!(routed.as_ref().map(|it| it.operation), expected.map(|it| it.0), "{path}");
            for (name, value) in expected.map_or(&[][..], |it| it.1) {
                assert_eq!(routed.as_ref().unwrap().path(name), *value, "{path}");
            }
        }
    }

    #[test]
    fn a_request_says_what_it_is_about() {
        let rows = [
            ("GET", "users", ["", "", "", ""]),
            ("DELETE", "users/c%2Fi", ["", "", "c/i", ""]),
            ("PUT", "groups/ops/members/ann", ["", "", "ops", ""]),
            ("GET", "keys?user=ci", ["", "", "ci", ""]),
            ("DELETE", "keys/AKIA1", ["", "", "AKIA1", ""]),
            ("POST", "webhooks/0f/test", ["", "", "0f", ""]),
            ("GET", "audit?bucket=b", ["", "", "", ""]),
            ("GET", "states/b?prefix=p", ["b", "", "", ""]),
            ("DELETE", "locks/b/env%3A/k", ["b", "env:/k", "", ""]),
            ("GET", "refused/b/0f?key=k", ["b", "k", "", "0f"]),
        ];
        for (method, path, expected) in rows {
            let request = http::Request::builder().method(method).uri(format!("{PREFIX}{path}"));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let Place { bucket, key, subject, refused_version } =
                Routed::of(&parts).unwrap().place();
            let found = [bucket, key, subject, refused_version].map(Option::unwrap_or_default);
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn parameters_are_decoded() {
        let request = http::Request::builder().uri(format!("{PREFIX}locks/b?prefix=env%3A%2F&x=1"));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let routed = Routed::of(&parts).unwrap();
        assert_eq!((routed.query("prefix"), routed.query("y")), (Some("env:/"), None));
    }

    #[test]
    fn parameters_are_those_of_the_row() {
        let rows = [
            ("users", true),
            ("users?", true),
            ("users?x=1", false),
            ("users?x", false),
            ("keys?user=a", true),
            ("keys?user=a&&", true),
            ("keys?user=a&user=a", false),
            ("keys?%75ser=a", true),
            ("audit?princpal=a", false),
            ("audit?principal=a&latest=true&limit=1", true),
            ("refused/b/0f?key=k", true),
            ("refused/b/0f?key", true),
            ("refused/b/0f", false),
            ("refused/b/0f?key=k&prefix=p", false),
            ("openapi.json", true),
        ];
        for (path, is_right) in rows {
            let request = http::Request::builder().uri(format!("{PREFIX}{path}"));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let checked = Routed::of(&parts).unwrap().check_query();
            assert_eq!(checked.is_ok(), is_right, "{path}");
        }
    }
}
