//! The policy tester: whether policies allow a request, and which statement decides.
//!
//! It decides here, as the command line does, and sends nothing. On request the policies that the server
//! has of a user, their groups, a role and a bucket are asked for, and count with those that were entered.

use askama::Template;
use http::StatusCode;
use tidelock_client::ClientError;
use tidelock_client::policy::{
    self, Access, Decision, InvalidPolicy, Policy, PolicyKind, Resource, Source, Trial,
};
use tidelock_client::role::NamedPolicy;

use super::{Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::failure::Failure;
use crate::view;

#[derive(Template)]
#[template(path = "policy_test.html")]
struct PolicyTestPage {
    shell: Shell,
    tab: &'static str,
    entered: Entered,
    verdict: Option<Verdict>,
    refusal: String,
}

/// What the form has in it.
struct Entered {
    action: String,
    resource: String,
    principal: String,
    is_owner: bool,
    with_stored: bool,
    keys: String,
    identity: String,
    bucket: String,
    session: String,
}

/// The decision, in words.
struct Verdict {
    is_allowed: bool,
    decision: &'static str,
    why: String,
    /// The policy that it rests on.
    document: String,
}

/// Policies, each with the name that people know it by, and its text.
#[derive(Default)]
struct Named {
    names: Vec<(String, String)>,
    policies: Vec<Policy>,
}

pub(super) async fn form(visit: &Visit<'_>) -> Page {
    page(visit, StatusCode::OK, None, String::new())
}

/// Decides about what was entered.
pub(super) async fn test(visit: &Visit<'_>) -> Page {
    match decide(visit).await {
        Ok(verdict) => page(visit, StatusCode::OK, Some(verdict), String::new()),
        Err(Failure::Entered(refusal)) => page(visit, StatusCode::BAD_REQUEST, None, refusal),
        Err(failure) => Err(failure),
    }
}

async fn decide(visit: &Visit<'_>) -> Result<Verdict, Failure> {
    let text = |name: &str| visit.asked.form.text(name).trim();
    let resource: Resource = text("resource")
        .parse()
        .map_err(|error| Failure::Entered(format!("What it is asked for {error}")))?;
    let principal = visit.asked.form.get("principal").map(|it| it.trim().to_owned());
    let (mut identity, mut bucket) = (Named::default(), Named::default());
    let of_bucket = PolicyKind::Bucket { bucket: resource.bucket() };
    if visit.asked.form.get("stored").is_some() {
        for (name, document) in stored(visit, principal.as_deref()).await? {
            identity.add(name, &document, PolicyKind::Identity)?;
        }
        let found = match visit.client.bucket_policy(resource.bucket()).await {
            Ok(found) => found,
            Err(error) => unless_denied(error)?.flatten(),
        };
        if let (Some(document), "") = (found, text("bucket_policy")) {
            let name = format!("the policy of the bucket {}", resource.bucket());
            bucket.add(name, &document, of_bucket)?;
        }
    }
    identity.add_entered("the policy that was entered", text("policy"), PolicyKind::Identity)?;
    bucket.add_entered("the bucket policy that was entered", text("bucket_policy"), of_bucket)?;
    let mut session = Named::default();
    let entered = "the session policy that was entered";
    session.add_entered(entered, text("session_policy"), PolicyKind::Identity)?;
    let trial = Trial {
        action: text("action").to_owned(),
        resource: resource.clone(),
        principal,
        is_owner: visit.asked.form.get("owner").is_some(),
        identity: std::mem::take(&mut identity.policies),
        bucket: std::mem::take(&mut bucket.policies).pop(),
        session: std::mem::take(&mut session.policies),
        keys: keys(text("keys"))?,
    };
    Ok(Verdict::new(&trial.decide(), trial.is_owner, [&identity, &bucket, &session]))
}

/// The policies that the server has of whoever asks.
async fn stored(
    visit: &Visit<'_>,
    principal: Option<&str>,
) -> Result<Vec<(String, String)>, Failure> {
    let Some(principal) = principal else { return Ok(Vec::new()) };
    let arn = policy::identity_of(principal);
    let found = match arn.split_once(":user/").or_else(|| arn.split_once(":role/")) {
        Some((_, name)) if arn.contains(":user/") => of_user(visit, name).await,
        Some((_, name)) => {
            let role = visit.client.get_role(name).await;
            role.map(|role| named(role.policies, &format!("the role {name}")))
        }
        None => return Ok(Vec::new()),
    };
    found.map_err(|error| match Failure::from(error) {
        Failure::Client(error) => {
            Failure::Entered(format!("The policies of {principal} cannot be had: {error}"))
        }
        failure => failure,
    })
}

/// The policies of a user, and after them those of their groups.
async fn of_user(visit: &Visit<'_>, name: &str) -> Result<Vec<(String, String)>, ClientError> {
    let user = visit.client.get_user(name).await?;
    let mut policies =
        named(visit.client.list_user_policies(name).await?, &format!("the user {name}"));
    for group in &user.groups {
        let of_group = visit.client.list_group_policies(group).await?;
        policies.extend(named(of_group, &format!("the group {group}")));
    }
    Ok(policies)
}

/// Documents, each with the words that say which it is.
fn named(policies: Vec<NamedPolicy>, of: &str) -> Vec<(String, String)> {
    let words = |name: &str| format!("the policy '{name}' of {of}");
    policies.into_iter().map(|policy| (words(&policy.name), policy.document)).collect()
}

/// A condition key a line.
fn keys(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let wrong = || Failure::Entered(format!("'{line}' is not a condition key: KEY=VALUE"));
        policy::key_value(line).ok_or_else(wrong)
    };
    lines.map(pair).collect()
}

fn page(visit: &Visit<'_>, status: StatusCode, verdict: Option<Verdict>, refusal: String) -> Page {
    let text = |name: &str| visit.asked.form.text(name).to_owned();
    let has = |name: &str| visit.asked.form.get(name).is_some();
    let is_first = verdict.is_none() && refusal.is_empty();
    let entered = Entered {
        action: text("action"),
        resource: text("resource"),
        principal: text("principal"),
        is_owner: has("owner"),
        with_stored: is_first || has("stored"),
        keys: text("keys"),
        identity: text("policy"),
        bucket: text("bucket_policy"),
        session: text("session_policy"),
    };
    let or = |text: &str, otherwise: &str| match text.trim() {
        "" => otherwise.to_owned(),
        text => view::quoted(text),
    };
    let command = format!(
        "tidelock policy test --principal {} --action {} --resource {} --policy FILE",
        or(&entered.principal, "USER"),
        or(&entered.action, "ACTION"),
        or(&entered.resource, "BUCKET/KEY"),
    );
    let shell = visit.shell("people", "Policy tester", command);
    let page = PolicyTestPage { shell, tab: "policy-test", entered, verdict, refusal };
    Ok(answer::html(status, &page))
}

impl Named {
    fn add(&mut self, name: String, text: &str, kind: PolicyKind<'_>) -> Result<(), Failure> {
        let wrong = |error: InvalidPolicy| Failure::Entered(format!("{name}: {error}"));
        self.policies.push(Policy::parse(text, kind).map_err(wrong)?);
        self.names.push((name, text.to_owned()));
        Ok(())
    }

    fn add_entered(&mut self, name: &str, text: &str, kind: PolicyKind<'_>) -> Result<(), Failure> {
        if text.is_empty() { Ok(()) } else { self.add(name.to_owned(), text, kind) }
    }
}

impl Verdict {
    fn new(decision: &Decision, is_owner: bool, [identity, bucket, session]: [&Named; 3]) -> Self {
        let by = decision.by.as_ref();
        let named = by.and_then(|by| {
            let of = match by.source {
                Source::Identity => identity,
                Source::Bucket => bucket,
                Source::Session => session,
            };
            of.names.get(by.policy)
        });
        let why = match (by, named) {
            (Some(by), Some((name, _))) => {
                let sid = by.sid.as_ref().map(|sid| format!(" ('{sid}')")).unwrap_or_default();
                format!("Statement {}{sid} of {name} says so.", by.statement + 1)
            }
            _ => match decision.access {
                Access::Allowed if is_owner => {
                    "Whoever owns the bucket may, and nothing denies it."
                }
                Access::Allowed => "Nothing denies it.",
                Access::ImplicitlyDenied => "No statement allows it.",
                Access::ExplicitlyDenied => "A statement denies it.",
            }
            .to_owned(),
        };
        Self {
            is_allowed: decision.is_allowed(),
            decision: match decision.access {
                Access::Allowed => "allowed",
                Access::ImplicitlyDenied => "not allowed",
                Access::ExplicitlyDenied => "denied",
            },
            why,
            document: named.map(|(_, text)| view::json(text)).unwrap_or_default(),
        }
    }
}
