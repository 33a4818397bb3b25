//! A policy: read, checked, and ready to be asked.

use thiserror::Error;

use super::action::{self, Level};
use super::condition::Condition;
use super::keys::ConditionKeys;
use super::pattern::{Case, Pattern, Syntax};
use super::principal::{Named, Principals};
use super::raw::{RawPolicy, RawPrincipal, RawStatement};

/// Largest policy document, in bytes: that of buckets
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html>).
pub const POLICY_BYTES_MAX: usize = 20 << 10;
/// Most actions, resources, principals and condition values of a policy together.
pub const VALUES_MAX: usize = 2_000;

const VERSIONS: [&str; 2] = ["2012-10-17", "2008-10-17"];
/// What condition keys about tags of a stored object begin with, in lower case.
const EXISTING_TAG: &str = "s3:existingobjecttag";
const BUCKET_ARN: &str = "arn:aws:s3:::";

/// What a policy is attached to, which says what may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind<'a> {
    /// A bucket: names principals, and nothing but this bucket.
    Bucket {
        /// The bucket's name.
        bucket: &'a str,
    },
    /// A user, a group, a role, a session: names no principals.
    Identity,
    /// Who may assume a role: names principals, actions of STS, and no resource.
    Trust,
}

/// Whether a statement allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What it matches is allowed, unless something denies it.
    Allow,
    /// What it matches is denied.
    Deny,
}

/// A policy document.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(super) statements: Vec<Statement>,
}

/// A statement of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    pub(super) principals: Option<Principals>,
    pub(super) actions: Patterns,
    pub(super) resources: Patterns,
    pub(super) conditions: Vec<Condition>,
    asks_for_existing_tags: bool,
}

/// A list of patterns, or all but those of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Patterns {
    negated: bool,
    patterns: Vec<Pattern>,
}

/// Why a text is not a policy: S3's `MalformedPolicy`, in AWS's words where they are known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidPolicy {
    /// It does not begin like a JSON object.
    #[error("Policies must be valid JSON and the first byte must be '{{'")]
    NotAnObject,
    /// It is no JSON, or not that of a policy.
    #[error("{0}")]
    Json(String),
    /// It is longer than [`POLICY_BYTES_MAX`].
    #[error("Policy is larger than 20480 bytes")]
    TooLarge,
    /// It lists more than [`VALUES_MAX`] values.
    #[error("Policy has more than 2000 values")]
    TooMany,
    /// A version of the language that there is not.
    #[error("The policy must contain a valid version string")]
    Version,
    /// It says nothing.
    #[error("Could not parse the policy: Statement is empty!")]
    Empty,
    /// Something is missing.
    #[error("Missing required field {0}")]
    Missing(&'static str),
    /// Something and its opposite.
    #[error("Statement has both {0} and Not{0}")]
    Both(&'static str),
    /// An effect that is neither `Allow` nor `Deny`.
    #[error("Invalid effect: {0}")]
    Effect(String),
    /// A principal that there cannot be, or that has no place in this policy.
    #[error("Invalid principal in policy")]
    Principal,
    /// An action that there is not.
    #[error("Policy has invalid action")]
    Action,
    /// A resource that is none, or not of this bucket.
    #[error("Policy has invalid resource")]
    Resource,
    /// A resource where there is none: the role that a trust policy stands in is meant.
    #[error("Has prohibited field Resource")]
    ProhibitedResource,
    /// A statement that can never match.
    #[error("Action does not apply to any resource(s) in statement")]
    NoResourceOfAction,
    /// A condition operator that there is not.
    #[error("Invalid Condition type : {0}")]
    ConditionOperator(String),
    /// A value that its operator cannot compare.
    #[error("Invalid value in condition: {0}")]
    ConditionValue(String),
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// When it is no policy, or not one of this kind.
    pub fn parse(text: &str, kind: PolicyKind<'_>) -> Result<Self, InvalidPolicy> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(InvalidPolicy::TooLarge);
        }
        if !text.starts_with('{') {
            return Err(InvalidPolicy::NotAnObject);
        }
        let raw: RawPolicy = serde_json::from_str(text).map_err(|error| json_error(&error))?;
        let version = raw.version.as_deref().unwrap_or(VERSIONS[1]);
        if !VERSIONS.contains(&version) {
            return Err(InvalidPolicy::Version);
        }
        let has_variables = version == VERSIONS[0];
        let statements = raw.statement.into_vec();
        if statements.is_empty() {
            return Err(InvalidPolicy::Empty);
        }
        let mut room = VALUES_MAX;
        let parse = |raw| Statement::parse(raw, kind, has_variables, &mut room);
        let statements = statements.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { statements })
    }

    /// Whether it asks for tags of the object that a request is about, so that they must be known.
    pub fn asks_for_existing_tags(&self) -> bool {
        self.statements.iter().any(|statement| statement.asks_for_existing_tags)
    }
}

impl Statement {
    fn parse(
        raw: RawStatement,
        kind: PolicyKind<'_>,
        has_variables: bool,
        room: &mut usize,
    ) -> Result<Self, InvalidPolicy> {
        let effect = match raw.effect.as_str() {
            "Allow" => Effect::Allow,
            "Deny" => Effect::Deny,
            other => return Err(InvalidPolicy::Effect(other.to_owned())),
        };
        let principals = either("Principal", raw.principal, raw.not_principal)?;
        let principals = match (kind, principals) {
            (PolicyKind::Bucket { .. } | PolicyKind::Trust, None) => {
                return Err(InvalidPolicy::Missing("Principal"));
            }
            (PolicyKind::Identity, Some(_)) => return Err(InvalidPolicy::Principal),
            (PolicyKind::Identity, None) => None,
            // AWS does not support to allow something to everybody but some.
            (PolicyKind::Bucket { .. } | PolicyKind::Trust, Some((_, true)))
                if effect == Effect::Allow =>
            {
                return Err(InvalidPolicy::Principal);
            }
            (PolicyKind::Bucket { .. } | PolicyKind::Trust, Some((raw, negated))) => {
                Some(Principals { negated, named: named(raw, room)? })
            }
        };
        let actions = either("Action", raw.action, raw.not_action)?;
        let (actions, not_actions) = actions.ok_or(InvalidPolicy::Missing("Action"))?;
        let actions = bounded(actions.into_vec(), room)?;
        let resources = either("Resource", raw.resource, raw.not_resource)?;
        let (resources, not_resources) = match (kind, resources) {
            (PolicyKind::Trust, Some(_)) => return Err(InvalidPolicy::ProhibitedResource),
            // All but none.
            (PolicyKind::Trust, None) => (Vec::new(), true),
            (PolicyKind::Bucket { .. } | PolicyKind::Identity, resources) => {
                let (resources, negated) = resources.ok_or(InvalidPolicy::Missing("Resource"))?;
                (bounded(resources.into_vec(), room)?, negated)
            }
        };
        check_actions(&actions)?;
        if kind == PolicyKind::Trust && !actions.iter().all(|action| action::is_of_sts(action)) {
            return Err(InvalidPolicy::Action);
        }
        if let PolicyKind::Bucket { bucket } = kind {
            check_resources(&resources, bucket)?;
            if !not_actions && !not_resources {
                check_levels(&actions, &resources)?;
            }
        }
        let asks = |text: &String| text.to_ascii_lowercase().contains(EXISTING_TAG);
        let mut asks_for_existing_tags = resources.iter().any(asks);
        let mut conditions = Vec::new();
        for (operator, keys) in raw.condition.map(|it| it.0).unwrap_or_default() {
            for (key, values) in keys.0 {
                let values = values.into_vec().into_iter().map(|value| value.into_text());
                let values = bounded(values.collect(), room)?;
                asks_for_existing_tags |= asks(&key) || values.iter().any(asks);
                conditions.push(Condition::parse(&operator, &key, &values, has_variables)?);
            }
        }
        let wild = Syntax { wildcards: true, variables: false };
        let full = Syntax { wildcards: true, variables: has_variables };
        let actions = Patterns::new(not_actions, &actions, wild).ok_or(InvalidPolicy::Action)?;
        let resources = Patterns::new(not_resources, &resources, full);
        let resources = resources.ok_or(InvalidPolicy::Resource)?;
        Ok(Self {
            sid: raw.sid,
            effect,
            principals,
            actions,
            resources,
            conditions,
            asks_for_existing_tags,
        })
    }
}

impl Patterns {
    /// None if one of them is none.
    fn new(negated: bool, texts: &[String], syntax: Syntax) -> Option<Self> {
        let patterns = texts.iter().map(|text| Pattern::parse(text, syntax)).collect::<Option<_>>();
        Some(Self { negated, patterns: patterns? })
    }

    pub(super) fn include(&self, text: &str, keys: &ConditionKeys, case: Case) -> bool {
        let mut patterns = self.patterns.iter();
        patterns.any(|pattern| pattern.matches(text, keys, case)) != self.negated
    }
}

/// What serde says, in AWS's words where they are known.
fn json_error(error: &serde_json::Error) -> InvalidPolicy {
    let text = error.to_string();
    let quoted = text.split('`').nth(1).unwrap_or_default();
    let missing = ["Statement", "Effect"].into_iter().find(|name| *name == quoted);
    match missing {
        Some(name) if text.starts_with("missing field") => InvalidPolicy::Missing(name),
        Some(_) | None if text.starts_with("unknown field") => {
            InvalidPolicy::Json(format!("Unknown field {quoted}"))
        }
        Some(_) | None => InvalidPolicy::Json(format!("This policy contains invalid Json: {text}")),
    }
}

/// An element or its opposite, and whether it is the opposite.
fn either<T>(
    name: &'static str,
    element: Option<T>,
    opposite: Option<T>,
) -> Result<Option<(T, bool)>, InvalidPolicy> {
    match (element, opposite) {
        (Some(_), Some(_)) => Err(InvalidPolicy::Both(name)),
        (Some(element), None) => Ok(Some((element, false))),
        (None, Some(opposite)) => Ok(Some((opposite, true))),
        (None, None) => Ok(None),
    }
}

fn named(raw: RawPrincipal, room: &mut usize) -> Result<Vec<Named>, InvalidPolicy> {
    let kinds = match raw {
        RawPrincipal::Text(text) if text == "*" => return Ok(vec![Named::Everyone]),
        RawPrincipal::Text(_) => return Err(InvalidPolicy::Principal),
        RawPrincipal::Kinds(kinds) => kinds.0,
    };
    let mut named = Vec::new();
    for (kind, names) in kinds {
        for name in bounded(names.into_vec(), room)? {
            named.push(Named::parse(&kind, &name)?);
        }
    }
    if named.is_empty() { Err(InvalidPolicy::Principal) } else { Ok(named) }
}

fn bounded(values: Vec<String>, room: &mut usize) -> Result<Vec<String>, InvalidPolicy> {
    *room = room.checked_sub(values.len()).ok_or(InvalidPolicy::TooMany)?;
    Ok(values)
}

fn check_actions(actions: &[String]) -> Result<(), InvalidPolicy> {
    let are_known = actions.iter().all(|action| action::is_known(action));
    if actions.is_empty() || !are_known { Err(InvalidPolicy::Action) } else { Ok(()) }
}

fn check_resources(resources: &[String], bucket: &str) -> Result<(), InvalidPolicy> {
    let is_of_bucket = |resource: &String| {
        resource.strip_prefix(BUCKET_ARN).is_some_and(|path| {
            let named = path.split_once('/').map_or(path, |(name, _)| name);
            let pattern = Pattern::without_variables(named);
            pattern.matches(bucket, &ConditionKeys::new(), Case::Sensitive)
        })
    };
    let are_valid = !resources.is_empty() && resources.iter().all(is_of_bucket);
    if are_valid { Ok(()) } else { Err(InvalidPolicy::Resource) }
}

/// Each action has a resource that it can be about: a bucket, or objects. A pattern may be both.
fn check_levels(actions: &[String], resources: &[String]) -> Result<(), InvalidPolicy> {
    let of_objects = |resource: &String| resource.contains('/');
    let of_bucket = |resource: &String| !of_objects(resource) || resource.contains("*/");
    let may_be = |level| match level {
        Level::Bucket => resources.iter().any(of_bucket),
        Level::Object => resources.iter().any(|it| of_objects(it) || it.ends_with('*')),
    };
    let applies = |action: &String| action::levels(action).into_iter().any(may_be);
    if actions.iter().all(applies) { Ok(()) } else { Err(InvalidPolicy::NoResourceOfAction) }
}
