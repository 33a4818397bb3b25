//! The board of locks, as it is and as it changes, and the release of one.

use std::time::Duration;

use askama::Template;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::StatusCode;
use tidelock_client::Client;
use tidelock_client::guard::HeldLock;
use tidelock_client::state::{FoundLock, Release, StateLock};

use super::{Page, Shell, Visit, unless_denied};
use crate::LOOKS_AGAIN;
use crate::answer;
use crate::failure::Failure;
use crate::view::{self, Moment, Told};

/// Pause between looks at the locks that a browser follows, at least.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A pause is so many times as long as the look before it: where there is much to look at, following it is
/// not what the server does.
const PAUSE_PER_LOOK: u32 = 20;
/// Events that one connection sends; browsers then open another one, with a session that still holds.
const LOOKS_MAX: usize = 600;
/// Buckets whose locks are looked at.
const BUCKETS_MAX: usize = 50;
/// Most characters of a reason.
const REASON_CHARS_MAX: usize = 500;
/// The code of a state of whose lock the guard does not know.
const NOT_LOCKED: &str = "NotLocked";

#[derive(Template)]
#[template(path = "locks.html")]
struct Locks {
    shell: Shell,
    board: Vec<BoardRow>,
}

/// What the script puts into a page when a lock comes or goes.
#[derive(Template)]
#[template(path = "board.html")]
struct Board {
    board: Vec<BoardRow>,
}

/// A lock that is held.
pub(super) struct BoardRow {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) link: String,
    pub(super) release: String,
    pub(super) who: String,
    pub(super) holder: String,
    /// Where its run is shown.
    pub(super) run: Option<String>,
    pub(super) operation: String,
    pub(super) since: Told,
    pub(super) writes: u32,
    pub(super) is_quiet: bool,
}

#[derive(Template)]
#[template(path = "release.html")]
struct ReleaseForm {
    shell: Shell,
    bucket: String,
    key: String,
    lock: Option<LockInfo>,
    refusal: String,
    reason: String,
}

/// All that a lock says, and what the server saw of it.
pub(super) struct LockInfo {
    pub(super) id: String,
    pub(super) operation: String,
    pub(super) who: String,
    pub(super) info: String,
    pub(super) version: String,
    pub(super) created: Told,
    pub(super) run: Option<String>,
    pub(super) seen: Option<Seen>,
}

/// What the server saw.
pub(super) struct Seen {
    pub(super) holder: String,
    pub(super) address: String,
    pub(super) user_agent: String,
    pub(super) since: Told,
    pub(super) last_write: Option<Told>,
    pub(super) writes: u32,
    pub(super) is_quiet: bool,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    let buckets = followed(visit).await?;
    let board = held(visit, &buckets, visit.asked.query("prefix")).await?;
    let shell = visit.shell("locks", "Locks", "tidelock lock list BUCKET".to_owned());
    Ok(answer::html(StatusCode::OK, &Locks { shell, board }))
}

/// The board alone.
pub(super) async fn board(visit: &Visit<'_>) -> Page {
    let buckets = followed(visit).await?;
    let board = held(visit, &buckets, visit.asked.query("prefix")).await?;
    Ok(answer::html(StatusCode::OK, &Board { board }))
}

/// An event whenever the locks are others than before; its data is what they are, as a fingerprint.
pub(super) async fn follow(visit: &Visit<'_>) -> Page {
    let buckets = followed(visit).await?;
    let prefix = visit.asked.query("prefix").to_owned();
    let client = visit.client.clone();
    let now = visit.console.now.clone();
    let start = (client, buckets, prefix, None::<(String, Duration)>, 0);
    let events = stream::unfold(start, move |(client, buckets, prefix, before, looks)| {
        let clock = now.clone();
        async move {
            if looks == LOOKS_MAX {
                return None;
            }
            if let Some((_, took)) = &before {
                tokio::time::sleep(LOOK_INTERVAL.max(*took * PAUSE_PER_LOOK)).await;
            }
            let began = clock.tell();
            let looking = match &before {
                Some(_) => &client.with_user_agent(LOOKS_AGAIN),
                None => &client,
            };
            let now = fingerprint(looking, &buckets, &prefix).await?;
            let took = Duration::try_from(clock.tell().duration_since(began)).unwrap_or_default();
            let event = match &before {
                // A comment: nothing happens, but the connection is seen to live.
                Some((before, _)) if *before == now => Bytes::from_static(b":\n\n"),
                _ => Bytes::from(format!("event: locks\ndata: {now}\n\n")),
            };
            Some((event, (client, buckets, prefix, Some((now, took)), looks + 1)))
        }
    });
    Ok(answer::events(events.boxed()))
}

/// What the locks are, told apart; none where they cannot be read any more.
async fn fingerprint(client: &Client, buckets: &[String], prefix: &str) -> Option<String> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for bucket in buckets {
        let locks = client.held_locks(bucket, prefix).await.ok()?;
        for held in locks.into_iter().flatten() {
            let text = serde_json::to_string(&held).ok()?;
            context.update(text.as_bytes());
            context.update(b"\n");
        }
    }
    Some(hex::encode(&context.finish().as_ref()[..8]))
}

/// The buckets whose locks the page is about.
async fn followed(visit: &Visit<'_>) -> Result<Vec<String>, Failure> {
    if let Some(bucket) = visit.asked.query.get("bucket") {
        return Ok(vec![bucket.to_owned()]);
    }
    let mut buckets = visit.buckets().await?.unwrap_or_default();
    buckets.truncate(BUCKETS_MAX);
    Ok(buckets)
}

/// The locks in `buckets`, of those that this user may see.
pub(super) async fn held(
    visit: &Visit<'_>,
    buckets: &[String],
    prefix: &str,
) -> Result<Vec<BoardRow>, Failure> {
    let now = visit.now();
    let mut rows = Vec::new();
    for bucket in buckets {
        let locks = match visit.client.held_locks(bucket, prefix).await {
            Ok(locks) => locks,
            Err(error) => unless_denied(error)?.flatten(),
        };
        rows.extend(locks.into_iter().flatten().map(|held| BoardRow::new(bucket, held, now)));
    }
    Ok(rows)
}

/// What there is to know of the lock of a state.
pub(super) async fn info(
    visit: &Visit<'_>,
    bucket: &str,
    key: &str,
) -> Result<Option<LockInfo>, Failure> {
    let now = visit.now();
    let held = match visit.client.held_locks(bucket, key).await {
        Ok(held) => held,
        Err(error) => unless_denied(error)?.flatten(),
    };
    let held = held.into_iter().flatten().find(|held| held.key == key);
    if let Some(held) = held {
        return Ok(Some(LockInfo::new(held.lock.clone(), Some(&held), now)));
    }
    match visit.client.find_lock(bucket, key).await {
        Ok(found) => Ok(found.map(|found| LockInfo::of_object(found, now))),
        Err(error) => unless_denied(error),
    }
}

pub(super) async fn form(visit: &Visit<'_>) -> Page {
    let (bucket, key) = (visit.required("bucket")?, visit.required("key")?);
    asked_again(visit, (bucket, key), StatusCode::OK, String::new()).await
}

/// Releases the lock that the form showed, and no other.
pub(super) async fn release(visit: &Visit<'_>) -> Page {
    let (bucket, key) = (visit.required("bucket")?, visit.required("key")?);
    let (id, reason) = (visit.asked.form.text("id"), visit.asked.form.text("reason").trim());
    let refusal = if visit.asked.form.text("confirm").trim() != key {
        "Type the key of the state to confirm."
    } else if reason.is_empty() {
        "Say why: whoever held the lock will ask."
    } else if reason.chars().count() > REASON_CHARS_MAX {
        "The reason is too long: 500 characters are kept."
    } else {
        ""
    };
    if !refusal.is_empty() {
        let place = (bucket, key);
        return asked_again(visit, place, StatusCode::BAD_REQUEST, refusal.to_owned()).await;
    }
    let by_id = Some(id).filter(|id| !id.is_empty());
    let released = match visit.client.release_held(bucket, key, by_id, reason).await {
        Ok(Some(_)) => true,
        Ok(None) => by_object(visit, (bucket, key), id).await?,
        Err(error) if error.code() == Some(NOT_LOCKED) => {
            by_object(visit, (bucket, key), id).await?
        }
        Err(error) => return Err(error.into()),
    };
    let place = view::place("/state", &[("bucket", bucket), ("key", key)]);
    let done = if released { "The lock is released." } else { "There was no lock any more." };
    Ok(visit.done(&place, done))
}

/// Where no guard minds the lock, its object is deleted, if it is still the one.
async fn by_object(
    visit: &Visit<'_>,
    (bucket, key): (&str, &str),
    id: &str,
) -> Result<bool, Failure> {
    match visit.client.release_lock(bucket, key, id).await? {
        Release::Released(_) => Ok(true),
        Release::Gone => Ok(false),
        Release::Another(lock) => Err(Failure::Entered(format!(
            "Somebody else has taken the lock since: {} ({}). It stays.",
            lock.who, lock.id
        ))),
    }
}

async fn asked_again(
    visit: &Visit<'_>,
    (bucket, key): (&str, &str),
    status: StatusCode,
    refusal: String,
) -> Page {
    let lock = info(visit, bucket, key).await?;
    let address = view::address(bucket, key);
    let command = format!("tidelock lock release {address} --reason 'WHY'");
    let shell = visit.shell("locks", &format!("Release the lock of {key}"), command);
    let (bucket, key) = (bucket.to_owned(), key.to_owned());
    let reason = visit.asked.form.text("reason").to_owned();
    Ok(answer::html(status, &ReleaseForm { shell, bucket, key, lock, refusal, reason }))
}

impl BoardRow {
    fn new(bucket: &str, held: HeldLock, now: Moment) -> Self {
        let fields = [("bucket", bucket), ("key", held.key.as_str())];
        Self {
            bucket: bucket.to_owned(),
            link: view::place("/state", &fields),
            release: view::place("/release", &fields),
            who: held.lock.who,
            run: view::link_in(&held.seen.holder),
            holder: view::short_arn(&held.seen.holder).to_owned(),
            operation: view::operation(&held.lock.operation),
            since: now.told(&held.seen.since),
            writes: held.seen.writes,
            is_quiet: held.seen.quiet,
            key: held.key,
        }
    }
}

impl LockInfo {
    fn new(lock: StateLock, held: Option<&HeldLock>, now: Moment) -> Self {
        let seen = held.map(|held| Seen {
            holder: held.seen.holder.clone(),
            address: held.seen.address.clone(),
            user_agent: held.seen.user_agent.clone(),
            since: now.told(&held.seen.since),
            last_write: held.seen.last_write.as_deref().map(|at| now.told(at)),
            writes: held.seen.writes,
            is_quiet: held.seen.quiet,
        });
        Self {
            run: seen.as_ref().and_then(|seen| view::link_in(&seen.holder)),
            seen,
            created: now.told(&lock.created),
            operation: view::operation(&lock.operation),
            id: lock.id,
            who: lock.who,
            info: lock.info,
            version: lock.version,
        }
    }

    fn of_object(found: FoundLock, now: Moment) -> Self {
        Self::new(found.lock, None, now)
    }
}
