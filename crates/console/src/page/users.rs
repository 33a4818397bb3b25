//! Users: who there is, with their keys.

use std::collections::HashMap;

use askama::Template;
use http::StatusCode;
use tidelock_client::api::{AccessKey, User};

use super::{Page, Shell, Visit, unless_denied};
use crate::answer;
use crate::failure::Failure;
use crate::view::{self, Moment, Told};

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    shell: Shell,
    tab: &'static str,
    /// None where this user may not see them.
    rows: Option<Vec<UserRow>>,
    name: String,
    refusal: String,
}

struct UserRow {
    name: String,
    link: String,
    created: Told,
    keys: Vec<KeyRow>,
}

/// An access key.
pub(super) struct KeyRow {
    pub(super) id: String,
    pub(super) created: Told,
    /// The end as a time, and as people read it; empty where there is none.
    pub(super) expires: (String, String),
    pub(super) has_ended: bool,
    /// Empty where it was never used.
    pub(super) last_used: Told,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    page(visit, StatusCode::OK, String::new()).await
}

/// Makes a user; their page comes next, for them to get a key.
pub(super) async fn create(visit: &Visit<'_>) -> Page {
    let name = visit.asked.form.text("name").trim();
    if name.is_empty() {
        let refusal = "Say what the user is called.".to_owned();
        return page(visit, StatusCode::BAD_REQUEST, refusal).await;
    }
    match visit.client.create_user(name).await {
        Ok(user) => {
            let place = view::place("/user", &[("name", &user.name)]);
            Ok(visit.done(&place, "The user is made. What they may do, a policy says."))
        }
        Err(error) => {
            let (status, refusal) = Failure::refusal(error)?;
            page(visit, status, refusal).await
        }
    }
}

async fn page(visit: &Visit<'_>, status: StatusCode, refusal: String) -> Page {
    let users = match visit.client.list_users().await {
        Ok(users) => Some(users),
        Err(error) => unless_denied(error)?,
    };
    let rows = match users {
        Some(users) => {
            let keys = visit.client.list_keys(None).await?;
            Some(rows(users, keys, visit.now()))
        }
        None => None,
    };
    let shell = visit.shell("people", "Users", "tidelock user list".to_owned());
    let name = visit.asked.form.text("name").to_owned();
    Ok(answer::html(status, &UsersPage { shell, tab: "users", rows, name, refusal }))
}

fn rows(users: Vec<User>, keys: Vec<AccessKey>, now: Moment) -> Vec<UserRow> {
    let mut of_users: HashMap<String, Vec<KeyRow>> = HashMap::new();
    for key in keys {
        of_users.entry(key.user.clone()).or_default().push(KeyRow::new(key, now));
    }
    let row = |user: User| UserRow {
        link: view::place("/user", &[("name", &user.name)]),
        created: now.told(&user.created),
        keys: of_users.remove(&user.name).unwrap_or_default(),
        name: user.name,
    };
    users.into_iter().map(row).collect()
}

impl KeyRow {
    pub(super) fn new(key: AccessKey, now: Moment) -> Self {
        let ended = key.expires.as_deref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
        Self {
            id: key.access_key_id,
            created: now.told(&key.created),
            has_ended: ended.is_some_and(|at| at <= now.0),
            expires: key.expires.map(|at| (at.clone(), view::minute(&at))).unwrap_or_default(),
            last_used: key.last_used.as_deref().map(|at| now.told(at)).unwrap_or_default(),
        }
    }
}
