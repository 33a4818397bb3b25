//! An old version of a state, put in front again: what that changes, and then the deed.

use std::time::Duration;

use askama::Template;
use http::StatusCode;
use tidelock_client::state::{AcquireError, NewLock, Operation, Rollback, RollbackError, Show};

use super::diff::{Changes, unreadable};
use super::{Page, Shell, Visit};
use crate::answer;
use crate::failure::Failure;
use crate::view;

/// The operation that the lock of a rollback names; `tidelock state rollback` names the same.
const OPERATION: &str = "state-push";
/// A browser does not wait for a lock: whoever holds it is shown.
const LOCK_WAIT: Duration = Duration::ZERO;

#[derive(Template)]
#[template(path = "rollback.html")]
struct RollbackPage {
    shell: Shell,
    bucket: String,
    key: String,
    version: String,
    /// Of the version, of the state now, and of the state that comes.
    serials: (u64, Option<u64>, u64),
    changes: Option<Changes>,
    back: String,
}

pub(super) async fn preview(visit: &Visit<'_>) -> Page {
    let (bucket, key) = (visit.required("bucket")?, visit.required("key")?);
    let version = visit.required("version")?;
    let command = command(bucket, key, version);
    let plan = visit.client.plan_rollback(bucket, key, version).await;
    let plan = plan.map_err(|error| refused(error, &command))?;
    let changes = plan.current.as_ref();
    let changes = changes.map(|current| Changes::between(current, &plan.target, Show::Masked));
    let changes = changes.transpose().map_err(|error| unreadable(error, &command))?;
    let page = RollbackPage {
        shell: visit.shell("states", &format!("Roll {key} back"), command),
        serials: serials(&plan),
        changes,
        back: view::place("/state", &[("bucket", bucket), ("key", key), ("tab", "versions")]),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: version.to_owned(),
    };
    Ok(answer::html(StatusCode::OK, &page))
}

/// Under the state's lock, like every writer. What was shown must still hold.
pub(super) async fn roll_back(visit: &Visit<'_>) -> Page {
    let (bucket, key) = (visit.required("bucket")?, visit.required("key")?);
    let version = visit.required("version")?;
    if visit.asked.form.text("confirm").trim() != key {
        return Err(Failure::Entered("Type the key of the state to confirm.".to_owned()));
    }
    let refused = |error| refused(error, &command(bucket, key, version));
    let plan = visit.client.plan_rollback(bucket, key, version).await.map_err(refused)?;
    if serials(&plan).2.to_string() != visit.asked.form.text("serial") {
        return Err(refused(RollbackError::Overtaken));
    }
    let mut random = [0; 16];
    visit.console.seal.random(&mut random);
    let who = format!("{} (console)", view::short_arn(&visit.session.arn));
    let info = format!("rollback to {version}");
    let lock = NewLock::new(random, Operation::parse(OPERATION), &info, &who);
    let never = std::pin::pin!(std::future::pending());
    let done = visit.client.roll_back((bucket, key), &plan, &lock, LOCK_WAIT, never).await;
    let done = done.map_err(not_locked)?;
    done.result.map_err(refused)?;
    let said = match done.release {
        Ok(_) => format!("The state is rolled back, as serial {}.", plan.serial),
        Err(error) => {
            format!("The state is rolled back, but its lock could not be given back: {error}")
        }
    };
    Ok(visit.done(&view::place("/state", &[("bucket", bucket), ("key", key)]), &said))
}

fn serials(plan: &Rollback) -> (u64, Option<u64>, u64) {
    let current = plan.current.as_ref().map(|body| body.state.serial);
    (plan.target.state.serial, current, plan.serial)
}

fn command(bucket: &str, key: &str, version: &str) -> String {
    let address = view::address(bucket, key);
    format!("tidelock state rollback {address} --to {}", view::quoted(version))
}

fn refused(error: RollbackError, command: &str) -> Failure {
    match error {
        RollbackError::State(error) => unreadable(error, command),
        error => Failure::Entered(format!("Nothing was rolled back: {error}.")),
    }
}

fn not_locked(error: AcquireError) -> Failure {
    Failure::Entered(format!("Nothing was rolled back: {error}."))
}
