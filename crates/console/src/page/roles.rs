//! Roles, which runs and people assume without keys: who may, what they may do then, and new ones.

use askama::Template;
use http::StatusCode;
use tidelock_client::preset::{self, Preset};
use tidelock_client::role::{NamedPolicy, NewRole, Role};

use super::{Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::failure::Failure;
use crate::view::{self, Moment, Told};

/// What a role is for, as the command line calls it, and in words.
const PRESETS: &[(&str, Preset, &str)] = &[
    ("state-reader", Preset::StateReader, "read states and their versions"),
    ("planner", Preset::Planner, "read states and lock them, never write one"),
    ("applier", Preset::Applier, "read and write states, under locks"),
];

#[derive(Template)]
#[template(path = "roles.html")]
struct RolesPage {
    shell: Shell,
    tab: &'static str,
    /// None where this user may not see them.
    rows: Option<Vec<RoleRow>>,
    presets: Vec<PresetRow>,
    entered: Entered,
    refusal: String,
}

struct RoleRow {
    name: String,
    link: String,
    policies: String,
    session: String,
    created: Told,
}

struct PresetRow {
    name: &'static str,
    words: &'static str,
    is_chosen: bool,
}

/// What the form has in it.
#[derive(Default)]
struct Entered {
    name: String,
    bucket: String,
    prefix: String,
    trust: String,
    trust_policy: String,
    policy: String,
    session: String,
}

#[derive(Template)]
#[template(path = "role.html")]
struct RolePage {
    shell: Shell,
    name: String,
    arn: String,
    created: Told,
    session: String,
    trust: String,
    policies: Vec<NamedPolicy>,
    refusal: String,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    page(visit, (StatusCode::OK, String::new())).await
}

/// Makes a role of what was entered.
pub(super) async fn create(visit: &Visit<'_>) -> Page {
    let new = match new_role(visit) {
        Ok(new) => new,
        Err(refusal) => return page(visit, (StatusCode::BAD_REQUEST, refusal)).await,
    };
    match visit.client.create_role(&new).await {
        Ok(role) => {
            let done = "The role is made. Whoever is trusted may assume it.";
            Ok(visit.done(&view::place("/role", &[("name", &role.name)]), done))
        }
        Err(error) => page(visit, Failure::refusal(error)?).await,
    }
}

pub(super) async fn show_one(visit: &Visit<'_>) -> Page {
    one(visit, (StatusCode::OK, String::new())).await
}

/// Deletes the role whose name was typed.
pub(super) async fn delete(visit: &Visit<'_>) -> Page {
    let name = visit.required("name")?;
    if visit.asked.form.text("confirm").trim() != name {
        let refusal = "Type the name of the role to confirm.".to_owned();
        return one(visit, (StatusCode::BAD_REQUEST, refusal)).await;
    }
    visit.client.delete_role(name).await?;
    let done = "The role is deleted, and its sessions are over.";
    Ok(visit.done(&format!("{}/roles", crate::PREFIX), done))
}

/// The role that the form describes, or what is missing.
fn new_role(visit: &Visit<'_>) -> Result<NewRole, String> {
    let text = |name: &str| visit.asked.form.text(name).trim();
    let mut policies = Vec::new();
    if let Some((name, preset, _)) = PRESETS.iter().find(|it| it.0 == text("preset")) {
        if text("bucket").is_empty() {
            return Err("Say which bucket the role is for.".to_owned());
        }
        let document = preset::policy(*preset, text("bucket"), text("prefix"));
        policies.push(NamedPolicy { name: (*name).to_owned(), document });
    }
    if !text("policy").is_empty() {
        let document = text("policy").to_owned();
        policies.push(NamedPolicy { name: "policy".to_owned(), document });
    }
    if policies.is_empty() {
        return Err("Choose what the role may do, or give a policy.".to_owned());
    }
    let trust_policy = match (text("trust"), text("trust_policy")) {
        ("", "") => return Err("Say who may assume the role.".to_owned()),
        ("", document) => document.to_owned(),
        (who, "") => preset::trust(who).map_err(|error| error.to_string())?,
        _ => return Err("Say who may assume the role in one way only.".to_owned()),
    };
    let session_max_seconds = match text("session_max_s") {
        "" => None,
        text => Some(text.parse().map_err(|_| "The longest session is a number of seconds.")?),
    };
    Ok(NewRole { name: text("name").to_owned(), trust_policy, policies, session_max_seconds })
}

async fn page(visit: &Visit<'_>, (status, refusal): (StatusCode, String)) -> Page {
    let rows = match visit.client.list_roles().await {
        Ok(roles) => Some(roles),
        Err(error) => unless_denied(error)?,
    };
    let now = visit.now();
    let text = |name: &str| visit.asked.form.text(name).to_owned();
    let chosen = visit.asked.form.get("preset").unwrap_or("planner");
    let preset = |&(name, _, words): &(&'static str, Preset, &'static str)| PresetRow {
        name,
        words,
        is_chosen: name == chosen,
    };
    let page = RolesPage {
        shell: visit.shell("people", "Roles", "tidelock role list".to_owned()),
        tab: "roles",
        rows: rows.map(|roles| roles.into_iter().map(|role| RoleRow::new(role, now)).collect()),
        presets: PRESETS.iter().map(preset).collect(),
        entered: Entered {
            name: text("name"),
            bucket: text("bucket"),
            prefix: text("prefix"),
            trust: text("trust"),
            trust_policy: text("trust_policy"),
            policy: text("policy"),
            session: text("session_max_s"),
        },
        refusal,
    };
    Ok(answer::html(status, &page))
}

async fn one(visit: &Visit<'_>, (status, refusal): (StatusCode, String)) -> Page {
    let role = visit.client.get_role(visit.required("name")?).await?;
    let command = format!("tidelock role get {} -o json", view::quoted(&role.name));
    let policies = role
        .policies
        .into_iter()
        .map(|policy| NamedPolicy { document: view::json(&policy.document), name: policy.name });
    let mut shell = visit.shell("people", &role.name, command);
    // The form that deletes answers under a path of its own, which no browser can come back to.
    shell.place = view::place("/role", &[("name", &role.name)]);
    let page = RolePage {
        shell,
        arn: role.arn,
        created: visit.now().told(&role.created),
        session: session(role.session_max_seconds),
        trust: view::json(&role.trust_policy),
        policies: policies.collect(),
        refusal,
        name: role.name,
    };
    Ok(answer::html(status, &page))
}

/// How long a session of it lasts at most.
fn session(seconds: u32) -> String {
    match (seconds / 3_600, seconds % 3_600 / 60) {
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

impl RoleRow {
    fn new(role: Role, now: Moment) -> Self {
        let names: Vec<&str> = role.policies.iter().map(|policy| policy.name.as_str()).collect();
        Self {
            link: view::place("/role", &[("name", &role.name)]),
            policies: names.join(", "),
            session: session(role.session_max_seconds),
            created: now.told(&role.created),
            name: role.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_told_in_hours() {
        for (seconds, expected) in [(3_600, "1 h"), (43_200, "12 h"), (5_400, "1 h 30 min")] {
            assert_eq!(session(seconds), expected);
        }
    }
}
