//! What happened to a state at one place, oldest first, and what is missing at the other. Pure.

use std::fmt;

use super::body::Body;
use crate::ObjectVersion;

/// The past of one state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    /// Oldest first.
    pub(super) events: Vec<Event>,
    /// All that the place listed when it was looked at, oldest first; empty where it lists no versions.
    pub(super) listed: Vec<ObjectVersion>,
}

/// A version or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// None of a delete marker.
    pub(super) body: Option<Body>,
    /// Its version id where it is; none where versions have none.
    pub(super) version_id: Option<String>,
    /// When it was written, ISO 8601; empty where that is not known.
    pub(super) written: String,
    /// What it was called where it was migrated from; none where it was not, or where it is the source.
    pub(super) migrated_from: Option<String>,
    /// Its entity tag, with its quotes.
    pub(super) etag: Option<String>,
}

/// What the destination keeps of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// All versions.
    Versions,
    /// The current one.
    Current,
}

/// What a plain GET answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// Nothing.
    Nothing,
    /// An object with this entity tag, as far as it has one.
    Object(Option<String>),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Nothing: the same versions are there.
    Same,
    /// Nothing: the same versions are there, and newer ones.
    Ahead,
    /// The events from this one on are missing.
    Write { from: usize },
    /// Nothing: what is there is something else.
    Differs(Difference),
}

/// How two pasts differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// The destination has something else in this place, counted from 1.
    Other(usize),
    /// The destination has the first versions, but from somebody else.
    NotOurs,
    /// The destination keeps one version, and it is another.
    Current,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => {
                write!(f, "the destination has other content, from version {number} on")
            }
            Self::NotOurs => f.write_str(
                "the destination has the first of these versions, but no migration wrote them",
            ),
            Self::Current => f.write_str("the destination has another state"),
        }
    }
}

impl Event {
    /// What it is called in the metadata of its copy.
    pub(super) fn name(&self) -> String {
        match (&self.version_id, &self.body) {
            (Some(id), _) => id.clone(),
            (None, Some(body)) => body.name(),
            (None, None) => String::new(),
        }
    }

    fn hash(&self) -> Option<[u8; 32]> {
        self.body.as_ref().map(|body| body.sha256)
    }

    /// Whether `copy` is this one, by its content.
    fn is_like(&self, copy: &Self) -> bool {
        self.hash() == copy.hash()
    }

    /// Whether a migration made it from a place that has no versions, and so has only one now, whatever
    /// came from there before. A delete marker cannot say.
    fn is_of_source_without_versions(&self) -> bool {
        self.body.as_ref().is_none_or(|body| self.migrated_from.as_ref() == Some(&body.name()))
    }

    /// Whether `copy` was made of this one by a migration. A delete marker cannot say.
    fn is_source_of(&self, copy: &Self) -> bool {
        self.is_like(copy)
            && (copy.body.is_none() || copy.migrated_from.as_deref() == Some(&self.name()))
    }
}

impl Past {
    /// Without what repeats the event before it, and without deletions of nothing: Tidelock makes no
    /// version of a state that is written twice.
    pub(super) fn of(events: impl IntoIterator<Item = Event>) -> Self {
        let mut kept: Vec<Event> = Vec::new();
        for event in events {
            let before = kept.last().and_then(Event::hash);
            if event.hash() != before {
                kept.push(event);
            }
        }
        Self { events: kept, listed: Vec::new() }
    }

    /// The same, of a place that listed these versions.
    pub(super) fn listed_as(self, listed: Vec<ObjectVersion>) -> Self {
        Self { listed, ..self }
    }

    /// Whether the other one has the same content, in the same order.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.events.iter().map(Event::hash).eq(other.events.iter().map(Event::hash))
    }

    /// Whether any version is a state.
    pub(super) fn has_state(&self) -> bool {
        self.events.iter().any(|event| event.body.as_ref().is_some_and(|body| body.is_state))
    }

    /// What a plain GET answers with.
    pub(super) fn front(&self) -> Front {
        match self.events.last() {
            Some(Event { body: Some(_), etag, .. }) => Front::Object(etag.clone()),
            Some(Event { body: None, .. }) | None => Front::Nothing,
        }
    }
}

/// What is to be done so that the destination, where `found` is, has `source`.
pub(super) fn course(source: &Past, found: &Past, keeping: Keeping) -> Course {
    match keeping {
        Keeping::Versions => course_of_all(&source.events, &found.events),
        Keeping::Current => course_of_current(&source.events, found.events.last()),
    }
}

fn course_of_all(source: &[Event], found: &[Event]) -> Course {
    if let ([only @ Event { version_id: None, body: Some(_), .. }], Some(last)) =
        (source, found.last())
        && last.body.is_some()
        && found.iter().all(Event::is_of_source_without_versions)
    {
        let is_there = only.is_like(last);
        return if is_there { Course::Same } else { Course::Write { from: 0 } };
    }
    let mut pairs = source.iter().zip(found);
    if let Some(at) = pairs.position(|(event, copy)| !event.is_like(copy)) {
        return Course::Differs(Difference::Other(at + 1));
    }
    let is_ours = source.iter().zip(found).all(|(event, copy)| event.is_source_of(copy));
    match source.len().cmp(&found.len()) {
        std::cmp::Ordering::Equal => Course::Same,
        std::cmp::Ordering::Less => Course::Ahead,
        std::cmp::Ordering::Greater if is_ours => Course::Write { from: found.len() },
        std::cmp::Ordering::Greater => Course::Differs(Difference::NotOurs),
    }
}

fn course_of_current(source: &[Event], found: Option<&Event>) -> Course {
    let Some(last) = source.last() else { return Course::Same };
    let write = Course::Write { from: source.len() - 1 };
    match found.filter(|found| found.body.is_some()) {
        None if last.body.is_none() => Course::Same,
        None => write,
        Some(found) if last.is_like(found) => Course::Same,
        // An earlier run wrote it, when it was the last.
        Some(found) if source.iter().any(|event| event.is_source_of(found)) => write,
        Some(_) => Course::Differs(Difference::Current),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A letter is a body, `x` a deletion; a body of the destination is written as one of ours
    /// (lower case) or as somebody else's (upper case).
    fn past(text: &str, is_source: bool) -> Past {
        Past::of(text.chars().map(|letter| {
            let content = letter.to_ascii_lowercase().to_string();
            let is_ours = !is_source && letter.is_ascii_lowercase();
            Event {
                body: (letter != 'x').then(|| Body::of(content.as_bytes())),
                version_id: is_source.then(|| format!("id-{content}")),
                written: String::new(),
                migrated_from: is_ours.then(|| format!("id-{content}")),
                etag: Some(format!("\"{content}\"")),
            }
        }))
    }

    #[test]
    fn repeats_and_deletions_of_nothing_are_no_events() {
        let rows =
            [("", ""), ("aab", "ab"), ("aba", "aba"), ("xa", "a"), ("axxb", "axb"), ("x", "")];
        for (given, expected) in rows {
            assert_eq!(past(given, true), past(expected, true), "{given}");
        }
    }

    #[test]
    fn what_is_missing_is_written_and_nothing_else() {
        let write = |from| Course::Write { from };
        let other = |at| Course::Differs(Difference::Other(at));
        let rows = [
            ("abc", "", write(0)),
            ("abc", "a", write(1)),
            ("abc", "abc", Course::Same),
            ("abc", "ABC", Course::Same),
            ("abc", "abcd", Course::Ahead),
            ("abc", "A", Course::Differs(Difference::NotOurs)),
            ("abc", "abd", other(3)),
            ("abc", "D", other(1)),
            ("axb", "ax", write(2)),
            ("axb", "a", write(1)),
            ("axb", "axb", Course::Same),
            ("ax", "a", write(1)),
            ("ax", "ab", other(2)),
            ("a", "x", write(0)),
            ("aab", "a", write(1)),
        ];
        for (source, found, expected) in rows {
            let decided = course(&past(source, true), &past(found, false), Keeping::Versions);
            assert_eq!(decided, expected, "{source} to {found}");
        }
    }

    #[test]
    fn a_source_without_versions_goes_on_top_of_its_own_copies() {
        let write = Course::Write { from: 0 };
        let other = Course::Differs(Difference::Other(1));
        let rows = [
            ("a", "", write.clone()),
            ("a", "a", Course::Same),
            ("a", "A", Course::Same),
            ("b", "a", write.clone()),
            ("b", "ab", Course::Same),
            ("a", "ab", write.clone()),
            ("b", "axb", Course::Same),
            ("c", "axb", write),
            ("b", "A", other.clone()),
            ("b", "aB", other.clone()),
            ("c", "aBc", other.clone()),
            ("a", "ax", Course::Ahead),
            ("b", "ax", other),
        ];
        for (source, found, expected) in rows {
            let (mut from, mut to) = (past(source, true), past(found, false));
            for event in from.events.iter_mut().chain(&mut to.events) {
                let name = event.body.as_ref().map(Body::name);
                event.version_id = None;
                event.migrated_from = event.migrated_from.take().and(name);
            }
            let decided = course(&from, &to, Keeping::Versions);
            assert_eq!(decided, expected, "{source} to {found}");
        }
    }

    #[test]
    fn where_one_version_is_kept_it_is_the_last() {
        let write = |from| Course::Write { from };
        let rows = [
            ("abc", "", write(2)),
            ("abc", "c", Course::Same),
            ("abc", "C", Course::Same),
            ("abc", "a", write(2)),
            ("abc", "A", Course::Differs(Difference::Current)),
            ("abc", "d", Course::Differs(Difference::Current)),
            ("ax", "", Course::Same),
            ("ax", "a", write(1)),
        ];
        for (source, found, expected) in rows {
            let decided = course(&past(source, true), &past(found, false), Keeping::Current);
            assert_eq!(decided, expected, "{source} to {found}");
        }
    }

    #[test]
    fn what_stands_in_front_is_the_condition_of_the_next_write() {
        let rows = [
            ("", Front::Nothing),
            ("ab", Front::Object(Some("\"b\"".to_owned()))),
            ("abx", Front::Nothing),
        ];
        for (text, expected) in rows {
            assert_eq!(past(text, true).front(), expected, "{text}");
        }
    }
}
