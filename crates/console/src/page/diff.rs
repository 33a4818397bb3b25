//! What differs between two versions of a state.

use askama::Template;
use http::StatusCode;
use tidelock_client::state::{Diff, Show, StateBody, StateError, Value};

use super::{Page, Shell, Visit};
use crate::answer;
use crate::failure::Failure;
use crate::view::{self, Moment, Told};

/// Attributes that a page lists; the command line lists all.
const ATTRIBUTES_MAX: usize = 2_000;

#[derive(Template)]
#[template(path = "diff.html")]
struct DiffPage {
    shell: Shell,
    bucket: String,
    key: String,
    old: Side,
    new: Side,
    is_revealed: bool,
    changes: Changes,
    back: String,
}

/// One of the two versions.
pub(super) struct Side {
    pub(super) version: String,
    pub(super) serial: u64,
    pub(super) written: Told,
}

/// What differs, as a page shows it.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) changed: Vec<Changed>,
    pub(super) outputs: Vec<Attribute>,
    /// Not everything that differs is listed.
    pub(super) is_cut: bool,
}

/// An instance that both versions have.
pub(super) struct Changed {
    pub(super) address: String,
    pub(super) attributes: Vec<Attribute>,
}

/// A value that differs; empty on the side that does not have it.
pub(super) struct Attribute {
    pub(super) path: String,
    pub(super) old: String,
    pub(super) new: String,
}

/// The diff; revealed where a form asks for it, which the audit log tells.
pub(super) async fn show(visit: &Visit<'_>, is_revealed: bool) -> Page {
    let (bucket, key) = (visit.required("bucket")?, visit.required("key")?);
    let (old, new) = (visit.required("old")?, visit.required("new")?);
    let client = match is_revealed {
        false => visit.client.clone(),
        true => visit.client.with_user_agent(super::REVEALING),
    };
    let address = view::address(bucket, key);
    let command =
        format!("tidelock state diff {address} {} {}", view::quoted(old), view::quoted(new));
    let unread = |error| unreadable(error, &command);
    let old_body = client.read_state(bucket, key, Some(old)).await.map_err(unread)?;
    let new_body = client.read_state(bucket, key, Some(new)).await.map_err(unread)?;
    let show = if is_revealed { Show::Revealed } else { Show::Masked };
    let changes = Changes::between(&old_body, &new_body, show).map_err(unread)?;
    let now = visit.now();
    let page = DiffPage {
        shell: visit.shell("states", &format!("What changed in {key}"), command),
        back: view::place("/state", &[("bucket", bucket), ("key", key), ("tab", "versions")]),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        old: Side::new(old, &old_body, now),
        new: Side::new(new, &new_body, now),
        is_revealed,
        changes,
    };
    Ok(answer::html(StatusCode::OK, &page))
}

/// What of a version cannot be shown; `command` does the same as the page.
pub(super) fn unreadable(error: StateError, command: &str) -> Failure {
    match error {
        StateError::Client(error) => error.into(),
        StateError::TooLarge { bytes_max } => {
            Failure::TooLarge { bytes_max, command: command.to_owned() }
        }
        error => Failure::Entered(format!("This version cannot be shown: {error}")),
    }
}

impl Side {
    pub(super) fn new(version: &str, body: &StateBody, now: Moment) -> Self {
        let (version, written) = (version.to_owned(), now.told(&body.last_modified));
        Self { version, serial: body.state.serial, written }
    }
}

impl Changes {
    pub(super) fn between(
        old: &StateBody,
        new: &StateBody,
        show: Show,
    ) -> Result<Self, StateError> {
        Ok(Self::of(Diff::of(&old.document()?, &new.document()?, show)))
    }

    fn of(diff: Diff) -> Self {
        let text = |value: &Option<Value>| value.as_ref().map(view::value).unwrap_or_default();
        let (mut left, mut is_cut) = (ATTRIBUTES_MAX, diff.is_cut);
        let mut changed = Vec::with_capacity(diff.changed.len());
        for instance in diff.changed {
            let all = instance.attributes.len();
            let shown = all.min(left);
            (left, is_cut) = (left - shown, is_cut || shown < all);
            let attributes = instance.attributes.iter().take(shown).map(|change| Attribute {
                path: change.path.clone(),
                old: text(&change.old),
                new: text(&change.new),
            });
            let mut attributes: Vec<_> = attributes.collect();
            if let Some((old, new)) = instance.tainted {
                let (old, new) = (old.to_string(), new.to_string());
                attributes.push(Attribute { path: "tainted".to_owned(), old, new });
            }
            if let Some((old, new)) = instance.provider {
                attributes.push(Attribute { path: "provider".to_owned(), old, new });
            }
            changed.push(Changed { address: instance.address.address, attributes });
        }
        let outputs = diff.outputs.iter().map(|change| Attribute {
            path: change.name.clone(),
            old: text(&change.old),
            new: text(&change.new),
        });
        let address = |it: tidelock_client::state::InstanceAddress| it.address;
        Self {
            outputs: outputs.collect(),
            added: diff.added.into_iter().map(address).collect(),
            removed: diff.removed.into_iter().map(address).collect(),
            changed,
            is_cut,
        }
    }

    /// Whether nothing differs.
    pub(super) fn is_empty(&self) -> bool {
        let lists = [self.added.len(), self.removed.len(), self.changed.len(), self.outputs.len()];
        lists.iter().all(|length| *length == 0)
    }
}
