//! What every writer was told, and whether the store still says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::harness::chance::body;
use crate::harness::{Ask, Client, Response, Session};

pub(crate) const PLAIN: &str = "plain";
pub(crate) const VERSIONED: &str = "versioned";

/// What a request would change.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put { seed: u64, length_bytes: usize, condition: Condition, parts: bool },
    Delete,
}

/// On what condition a put is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    None,
    /// There is nothing, and many try: a contest.
    FirstOfMany,
    /// There is nothing, and nobody else writes the key: a lock.
    Absent,
    /// What was there a moment ago is still there, and nobody else writes the key.
    Unchanged,
}

/// One request and what is known of its end.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    bucket: &'static str,
    key: String,
    writer: usize,
    change: Change,
    end: End,
}

#[derive(Clone, Debug)]
enum End {
    /// Acknowledged, as this version (if the bucket keeps versions).
    Done(Option<String>),
    /// Refused: it must not have happened.
    Refused(u16),
    /// No answer came: it may have happened.
    Unknown,
}

impl Entry {
    pub(crate) fn new(
        bucket: &'static str,
        key: String,
        writer: usize,
        change: Change,
        answer: io::Result<Response>,
    ) -> Self {
        let end = match answer {
            // A Complete answers 200 before it is done: only a whole document counts.
            Ok(response) if response.status == 200 && !response.code().is_empty() => End::Unknown,
            Ok(response) if response.status < 300 => {
                End::Done(response.header("x-amz-version-id").map(str::to_owned))
            }
            Ok(response) if response.status >= 500 => End::Unknown,
            Ok(response) => End::Refused(response.status),
            Err(_) => End::Unknown,
        };
        Self { bucket, key, writer, change, end }
    }

    pub(crate) fn acknowledged(&self) -> bool {
        matches!(self.end, End::Done(_))
    }

    /// Whether nobody knows if it happened.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.end, End::Unknown)
    }

    /// Whether this is what a reader would see that came right after it, with nobody in between.
    pub(crate) fn is_seen_in(&self, answer: &Response) -> bool {
        match answer.status {
            200 => self.matches(Some(&answer.body)),
            404 => self.matches(None),
            _ => false,
        }
    }

    fn place(&self) -> (&'static str, String) {
        (self.bucket, self.key.clone())
    }

    fn matches(&self, body_now: Option<&[u8]>) -> bool {
        match (&self.change, body_now) {
            (Change::Delete, None) => true,
            (Change::Put { seed, length_bytes, .. }, Some(bytes)) => {
                bytes.len() == *length_bytes && body(*seed, *length_bytes) == bytes
            }
            _ => false,
        }
    }

    /// Whether many write the key.
    pub(crate) fn is_contest(&self) -> bool {
        matches!(self.change, Change::Put { condition: Condition::FirstOfMany, .. })
    }
}

/// All that was written, by key, in each writer's order.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    places: BTreeMap<(&'static str, String), Vec<Entry>>,
    recent: BTreeSet<(&'static str, String)>,
}

impl Ledger {
    pub(crate) fn extend(&mut self, entries: Vec<Entry>) {
        self.recent.clear();
        for entry in entries {
            self.recent.insert(entry.place());
            self.places.entry(entry.place()).or_default().push(entry);
        }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.places.values().flatten().filter(|entry| entry.acknowledged()).count()
    }

    /// The deletion of one acknowledged object, and of one acknowledged version of another key.
    pub(crate) fn some_acknowledged(&self) -> Vec<Ask> {
        let put_last = |entries: &&Vec<Entry>| {
            entries.iter().all(|entry| matches!(entry.end, End::Done(_)))
                && entries.last().is_some_and(|last| matches!(last.change, Change::Put { .. }))
        };
        let of = |bucket| {
            let kept = self.places.values().find(|it| it[0].bucket == bucket && put_last(it));
            kept.and_then(|entries| entries.last())
        };
        let object = of(PLAIN).map(|it| Ask::object("DELETE", it.bucket, &it.key));
        let version = of(VERSIONED).and_then(|it| match &it.end {
            End::Done(Some(id)) => {
                Some(Ask::object("DELETE", it.bucket, &it.key).query("versionId", id))
            }
            _ => None,
        });
        object.into_iter().chain(version).collect()
    }

    /// Checks the keys written since the last call of `extend`; what is wrong.
    pub(crate) fn verify_recent(&self, client: &Client) -> Vec<String> {
        self.verify(client, self.recent.iter())
    }

    /// Checks every key; what is wrong.
    pub(crate) fn verify_all(&self, client: &Client) -> Vec<String> {
        self.verify(client, self.places.keys())
    }

    fn verify<'a>(
        &self,
        client: &Client,
        places: impl Iterator<Item = &'a (&'static str, String)>,
    ) -> Vec<String> {
        let mut session = client.session();
        places.filter_map(|place| self.verify_place(&mut session, place).err()).collect()
    }

    fn verify_place(
        &self,
        session: &mut Session,
        place: &(&'static str, String),
    ) -> Result<(), String> {
        let entries = &self.places[place];
        let (bucket, key) = place;
        let now = session.send(&Ask::object("GET", bucket, key));
        let body_now = match now.status {
            200 => Some(now.body.as_slice()),
            404 => None,
            other => return Err(format!("{bucket}/{key}: GET answered {other}")),
        };
        if entries.iter().any(Entry::is_contest) {
            verify_contest(place, entries, body_now)?;
        } else {
            verify_last(place, entries, body_now)?;
            verify_conditions(place, entries)?;
        }
        verify_versions(session, place, entries)
    }
}

/// A key of one writer holds what that writer was last told, or something whose end is not known.
fn verify_last(
    (bucket, key): &(&'static str, String),
    entries: &[Entry],
    body_now: Option<&[u8]>,
) -> Result<(), String> {
    let last = entries.iter().rposition(Entry::acknowledged);
    let unknown = &entries[last.map_or(0, |last| last + 1)..];
    let right = match last {
        Some(last) => entries[last].matches(body_now),
        None => body_now.is_none(),
    };
    if right || unknown.iter().any(|entry| entry.matches(body_now)) {
        return Ok(());
    }
    let found = body_now.map(<[u8]>::len);
    let writer = entries[0].writer;
    Err(format!(
        "{bucket}/{key} of writer {writer}: {found:?} bytes are not what was acknowledged \
         (entry {last:?} of {}): {:?}",
        entries.len(),
        last.map(|last| &entries[last])
    ))
}

/// A condition on a key that nobody else writes holds exactly when it must: a lost lock could be taken twice.
fn verify_conditions(
    (bucket, key): &(&'static str, String),
    entries: &[Entry],
) -> Result<(), String> {
    const PRECONDITION_FAILED: u16 = 412;
    let mut is_there = Some(false);
    for (number, entry) in entries.iter().enumerate() {
        let condition = match entry.change {
            Change::Put { condition, .. } => condition,
            Change::Delete => Condition::None,
        };
        let is_wrong = match (&entry.end, condition) {
            (End::Done(_), Condition::Absent) => is_there == Some(true),
            (End::Refused(PRECONDITION_FAILED), Condition::Absent) => is_there == Some(false),
            (End::Refused(PRECONDITION_FAILED), Condition::Unchanged) => is_there.is_some(),
            _ => false,
        };
        if is_wrong {
            return Err(format!("{bucket}/{key}: entry {number} cannot be: {entry:?}"));
        }
        is_there = match entry.end {
            End::Done(_) => Some(matches!(entry.change, Change::Put { .. })),
            End::Refused(_) => is_there,
            End::Unknown => None,
        };
    }
    Ok(())
}

/// A contested key has at most one winner, and the winner's body.
fn verify_contest(
    (bucket, key): &(&'static str, String),
    entries: &[Entry],
    body_now: Option<&[u8]>,
) -> Result<(), String> {
    let winners: Vec<&Entry> = entries.iter().filter(|entry| entry.acknowledged()).collect();
    match winners[..] {
        [] => {
            let refused = entries.iter().find(|entry| entry.matches(body_now));
            match refused {
                Some(Entry { end: End::Refused(status), writer, .. }) => {
                    Err(format!("{bucket}/{key}: writer {writer} was refused ({status}) but won"))
                }
                _ => Ok(()),
            }
        }
        [winner] if winner.matches(body_now) => Ok(()),
        [winner] => Err(format!("{bucket}/{key}: writer {}'s win is gone", winner.writer)),
        _ => Err(format!("{bucket}/{key}: {} winners", winners.len())),
    }
}

/// Every acknowledged version of a versioned bucket is there, byte for byte.
fn verify_versions(
    session: &mut Session,
    (bucket, key): &(&'static str, String),
    entries: &[Entry],
) -> Result<(), String> {
    if *bucket != VERSIONED {
        return Ok(());
    }
    for entry in entries {
        let (End::Done(version), Change::Put { .. }) = (&entry.end, &entry.change) else {
            continue;
        };
        let version = version.as_ref().ok_or_else(|| format!("{bucket}/{key}: no version id"))?;
        let ask = Ask::object("GET", bucket, key).query("versionId", version);
        let got = session.send(&ask);
        if got.status != 200 || !entry.matches(Some(&got.body)) {
            return Err(format!("{bucket}/{key}: version {version} is lost ({})", got.status));
        }
    }
    Ok(())
}
