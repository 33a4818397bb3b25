//! One user: keys and policies, and what ends them.
//!
//! The secret of a new key stands on the page that answers the form, and nowhere else: not in an address,
//! and not on any page after it.

use askama::Template;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use tidelock_client::api::{NewAccessKey, User};
use tidelock_client::group::Group;
use tidelock_client::role::NamedPolicy;

use super::users::KeyRow;
use super::{Page, Shell, Visit};
use crate::answer;
use crate::failure::Failure;
use crate::view::{self, Told};

const DAY_S: i64 = 86_400;

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    shell: Shell,
    name: String,
    arn: String,
    created: Told,
    keys: Vec<KeyRow>,
    policies: Vec<NamedPolicy>,
    groups: Vec<Group>,
    made: Option<NewAccessKey>,
    /// What was entered of a policy that was refused.
    policy: (String, String),
    refusal: String,
}

/// What an answer to a form shows besides the user.
#[derive(Default)]
struct Outcome {
    status: StatusCode,
    refusal: String,
    made: Option<NewAccessKey>,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    page(visit, Outcome::default()).await
}

/// Makes a key, and shows its secret this once.
pub(super) async fn create_key(visit: &Visit<'_>) -> Page {
    let name = visit.required("name")?;
    let days = visit.asked.form.text("days").trim();
    let Ok(expires) = expiry(days, visit.now().0) else {
        return page(visit, Outcome::refused("The days until a key ends are a number.")).await;
    };
    match visit.client.create_key(name, expires).await {
        Ok(made) => page(visit, Outcome { made: Some(made), ..Outcome::default() }).await,
        Err(error) => page(visit, Outcome::of(Failure::refusal(error)?)).await,
    }
}

/// Deletes a key whose end was confirmed.
pub(super) async fn delete_key(visit: &Visit<'_>) -> Page {
    let (name, id) = (visit.required("name")?, visit.required("key")?);
    if visit.asked.form.get("sure").is_none() {
        return page(visit, Outcome::refused("Tick the box to delete the key.")).await;
    }
    visit.client.delete_key(id).await?;
    Ok(visit.done(&place(name), "The key is deleted."))
}

/// Gives the user a policy, or replaces it.
pub(super) async fn put_policy(visit: &Visit<'_>) -> Page {
    let name = visit.required("name")?;
    let (policy, document) = (visit.asked.form.text("policy"), visit.asked.form.text("document"));
    if policy.trim().is_empty() || document.trim().is_empty() {
        return page(visit, Outcome::refused("A policy has a name and a document.")).await;
    }
    match visit.client.put_user_policy(name, policy.trim(), document.trim()).await {
        Ok(()) => Ok(visit.done(&place(name), "The policy is in force.")),
        Err(error) => page(visit, Outcome::of(Failure::refusal(error)?)).await,
    }
}

pub(super) async fn delete_policy(visit: &Visit<'_>) -> Page {
    let (name, policy) = (visit.required("name")?, visit.required("policy")?);
    if visit.asked.form.get("sure").is_none() {
        return page(visit, Outcome::refused("Tick the box to take the policy away.")).await;
    }
    visit.client.delete_user_policy(name, policy).await?;
    Ok(visit.done(&place(name), "The policy is taken away."))
}

/// Deletes the user whose name was typed; who still has keys or buckets stays.
pub(super) async fn delete(visit: &Visit<'_>) -> Page {
    let name = visit.required("name")?;
    if visit.asked.form.text("confirm").trim() != name {
        return page(visit, Outcome::refused("Type the name of the user to confirm.")).await;
    }
    match visit.client.delete_user(name).await {
        Ok(()) => Ok(visit.done(&format!("{}/users", crate::PREFIX), "The user is deleted.")),
        Err(error) => page(visit, Outcome::of(Failure::refusal(error)?)).await,
    }
}

async fn page(visit: &Visit<'_>, outcome: Outcome) -> Page {
    let name = visit.required("name")?;
    let users = visit.client.list_users().await?;
    let Some(user) = users.into_iter().find(|user| user.name == name) else {
        return Err(Failure::Entered(format!("There is no user '{name}'.")));
    };
    let groups = groups_of(visit, &user).await?;
    let keys = visit.client.list_keys(Some(name)).await?;
    let policies = visit.client.list_user_policies(name).await?;
    let now = visit.now();
    let entered = |field: &str| match outcome.refusal.is_empty() {
        true => String::new(),
        false => visit.asked.form.text(field).to_owned(),
    };
    let command = format!("tidelock key list --user {}", view::quoted(name));
    let mut shell = visit.shell("people", name, command);
    // Forms answer under paths of their own, which no browser can come back to.
    shell.place = place(name);
    let page = UserPage {
        shell,
        arn: user.arn,
        created: now.told(&user.created),
        keys: keys.into_iter().map(|key| KeyRow::new(key, now)).collect(),
        policies: policies.into_iter().map(shown).collect(),
        groups,
        policy: (entered("policy"), entered("document")),
        made: outcome.made,
        refusal: outcome.refusal,
        name: user.name,
    };
    Ok(answer::html(outcome.status, &page))
}

/// The groups of a user, with their policies laid out.
async fn groups_of(visit: &Visit<'_>, user: &User) -> Result<Vec<Group>, Failure> {
    if user.groups.is_empty() {
        return Ok(Vec::new());
    }
    let mut groups = visit.client.list_groups().await?;
    groups.retain(|group| user.groups.contains(&group.name));
    for group in &mut groups {
        group.policies = std::mem::take(&mut group.policies).into_iter().map(shown).collect();
    }
    Ok(groups)
}

/// The policy, laid out.
fn shown(policy: NamedPolicy) -> NamedPolicy {
    NamedPolicy { document: view::json(&policy.document), name: policy.name }
}

fn place(name: &str) -> String {
    view::place("/user", &[("name", name)])
}

/// The end of a key after some days; none where no number of days was entered.
fn expiry(days: &str, now: Timestamp) -> Result<Option<Timestamp>, ()> {
    if days.is_empty() {
        return Ok(None);
    }
    let days: u32 = days.parse().map_err(drop)?;
    let term = SignedDuration::from_secs(i64::from(days) * DAY_S);
    now.checked_add(term).map(Some).map_err(drop)
}

impl Outcome {
    fn refused(why: &str) -> Self {
        Self::of((StatusCode::BAD_REQUEST, why.to_owned()))
    }

    fn of((status, refusal): (StatusCode, String)) -> Self {
        Self { status, refusal, made: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_after_whole_days() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let rows = [
            ("", Ok(None)),
            ("1", Ok(Some("2026-11-22T12:00:00Z"))),
            ("0", Ok(Some("2026-11-21T12:00:00Z"))),
            ("-1", Err(())),
            ("soon", Err(())),
            ("4294967295", Err(())),
        ];
        for (days, expected) in rows {
            let expected = expected.map(|at| at.map(|at| at.parse().unwrap()));
            assert_eq!(expiry(days, now), expected, "{days}");
        }
    }
}
