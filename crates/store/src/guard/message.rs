//! What people are told: Terraform and OpenTofu print the message of an error as it is, and people paste the
//! commands in it. What others have named is written so that neither a terminal nor a shell obeys it.

use std::borrow::Cow;

use jiff::Timestamp;
use tidelock_meta::record::guard::Hold;
use tidelock_tfstate::Lock;

use super::rules::Breach;

/// What is known of a lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFacts {
    /// What its body says; empty where that is none of a lock.
    pub lock: Lock,
    /// ARN of the principal that took it.
    pub holder: String,
    /// IP address of the client that took it.
    pub address: String,
    /// `User-Agent` of the client that took it.
    pub user_agent: String,
    /// Since when, by the server's clock.
    pub since_ms: i64,
    /// The last write of the state under it.
    pub last_write_ms: Option<i64>,
    /// States written under it.
    pub writes: u32,
    /// Its holder was not heard of for as long as the bucket says.
    pub is_quiet: bool,
}

impl LockFacts {
    pub(crate) fn of(hold: &Hold, lock: Option<Lock>, now_ms: i64, stale_after_ms: u64) -> Self {
        Self {
            lock: lock.unwrap_or_default(),
            holder: hold.run.holder.clone(),
            address: hold.run.address.clone(),
            user_agent: hold.run.user_agent.clone(),
            since_ms: hold.since_ms,
            last_write_ms: hold.last_write_ms,
            writes: hold.writes,
            is_quiet: hold.is_quiet(now_ms, stale_after_ms),
        }
    }

    /// `root@vm (user ci) holds the lock for apply, since …`
    fn describe(&self, now_ms: i64) -> String {
        let (arn, run) = match self.holder.split_once(" for ") {
            Some((arn, run)) => (arn, Some(run)),
            None => (self.holder.as_str(), None),
        };
        let name = arn.rsplit_once(':').map_or(arn, |(_, name)| name);
        let holder = run.map_or(name.to_owned(), |run| format!("{run} as {name}"));
        let who = match self.lock.who.as_str() {
            "" => holder,
            who => format!("{who} ({holder}, {})", self.address),
        };
        let operation = word(self.lock.operation.as_str());
        let purpose =
            if operation.is_empty() { String::new() } else { format!(" for {operation}") };
        let since = timestamp(self.since_ms);
        let age = duration(now_ms - self.since_ms);
        let written = match self.last_write_ms {
            Some(at) => format!("its last state write was {} ago", duration(now_ms - at)),
            None => "it has written no state yet".to_owned(),
        };
        let looks = if self.is_quiet { "it looks quiet" } else { "it looks alive" };
        format!("{who} holds the lock{purpose} since {since} ({age} ago); {written}; {looks}")
    }

    /// The answer to who wanted the lock too.
    pub(crate) fn refusal_of_lock(&self, bucket: &str, key: &str, now_ms: i64) -> String {
        let id = match self.lock.id.as_str() {
            "" => String::new(),
            id => format!(" --id {}", shell_word(id)),
        };
        let place = format!("{bucket}/{key}");
        printable(&format!(
            "The state is locked: {}. If that run is gone for sure, release the lock with: tidelock \
             lock release {}{id}",
            self.describe(now_ms),
            shell_word(&place)
        ))
    }

    /// The answer to who would take it away, and may not.
    pub(crate) fn refusal_of_break(&self, now_ms: i64) -> String {
        printable(&format!(
            "Refused: {}, and only its holder gives it back. To take it away needs the permission \
             tidelock:BreakLock on the state.",
            self.describe(now_ms)
        ))
    }
}

/// What a refused write is told.
pub(super) fn refusal_of_write(
    breach: &Breach,
    lock: Option<&LockFacts>,
    place: (&str, &str),
    kept: Option<&str>,
    now_ms: i64,
) -> String {
    let (bucket, key) = place;
    let place = format!("{bucket}/{key}");
    let place = shell_word(&place);
    let held = lock.map(|lock| lock.describe(now_ms));
    let held = held.as_deref().unwrap_or("nobody holds the lock");
    let reason = match breach {
        Breach::Locked => format!("{held}, and only its holder writes this state"),
        Breach::Lost => format!(
            "this run has lost the lock or was refused before, and writes nothing more until it \
             takes the lock again ({held})"
        ),
        Breach::Unclear => format!(
            "this run cannot be told from one that lost the lock and is still alive ({held})"
        ),
        Breach::NoLock => "nobody holds the lock, and this bucket takes state writes only under \
                           one: leave -lock=false out and set use_lockfile = true"
            .to_owned(),
        Breach::Stale { stored, written } => format!(
            "the stored state has serial {stored}, this run tried to write serial {written}: another \
             run wrote in between"
        ),
        Breach::Lineage { stored, written } => format!(
            "the stored state has lineage {stored}, this one has lineage {written}: it is another \
             state"
        ),
        Breach::NotAState(error) => {
            format!("a state is stored here, and what was sent is none: {error}")
        }
        Breach::TooLarge { size, limit } => {
            format!("the state has {size} bytes, and this bucket takes at most {limit}")
        }
    };
    let next = match kept {
        Some(id) => format!(
            "What was sent is kept: tidelock state refused get {place} {id}. To write it all \
             the same, allow one write: tidelock state allow {place}"
        ),
        None => {
            format!("To do it all the same, allow it once: tidelock state allow {place}")
        }
    };
    printable(&format!("Refused: {reason}. {next}"))
}

/// What a refused delete is told.
pub(super) fn refusal_of_delete(breach: &Breach, lock: Option<&LockFacts>, now_ms: i64) -> String {
    let held = lock.map(|lock| lock.describe(now_ms)).unwrap_or_default();
    printable(&match breach {
        Breach::Locked => format!("Refused: {held}, and only its holder deletes this state."),
        Breach::Lost
        | Breach::Unclear
        | Breach::NoLock
        | Breach::Stale { .. }
        | Breach::Lineage { .. }
        | Breach::NotAState(_)
        | Breach::TooLarge { .. } => {
            format!("Refused: this run has lost the lock and deletes nothing more ({held}).")
        }
    })
}

/// Without what a terminal would obey, control characters and marks of direction, and without what no XML may
/// hold.
fn printable(text: &str) -> String {
    let is_mark = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_obeyed = |c: char| c.is_control() || is_mark(c) || matches!(c, '\u{fffe}' | '\u{ffff}');
    let shown = text
        .chars()
        .map(|c| if is_obeyed(c) { c.escape_default().to_string() } else { c.to_string() });
    shown.collect()
}

/// As a shell takes it for one word.
fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    match text.chars().all(is_plain) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

/// Terraform's own operations are names of a type of its code.
fn word(operation: &str) -> String {
    match operation.strip_prefix("OperationType") {
        Some(word) => word.to_lowercase(),
        None => operation.to_owned(),
    }
}

/// `2026-11-21T20:35:06Z`
fn timestamp(unix_ms: i64) -> String {
    let timestamp = Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `5 s`, `12 min`, `3 h`, `2 d`: as long ago as matters.
fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn facts() -> LockFacts {
        let body = br#"{"ID":"1-2","Operation":"OperationTypeApply","Who":"me@host"}"#;
        LockFacts {
            lock: Lock::parse(body).unwrap(),
            holder: "arn:aws:iam::000000000000:user/ci".to_owned(),
            address: "10.0.0.1".to_owned(),
            user_agent: String::new(),
            since_ms: NOW - 180_000,
            last_write_ms: Some(NOW - 20_000),
            writes: 2,
            is_quiet: false,
        }
    }

    #[test]
    fn the_message_says_who_why_and_what_to_do() {
        assert_eq!(
            facts().refusal_of_lock("b", "k", NOW),
            "The state is locked: me@host (user/ci, 10.0.0.1) holds the lock for apply since \
             2027-01-15T07:57:00Z (3 min ago); its last state write was 20 s ago; it looks alive. If \
             that run is gone for sure, release the lock with: tidelock lock release b/k --id 1-2"
        );
    }

    #[test]
    fn a_lock_taken_in_a_role_names_the_run() {
        let holder = "arn:aws:iam::000000000000:role/ci for a/b https://x.test/7".to_owned();
        let told = LockFacts { holder, ..facts() }.refusal_of_lock("b", "k", NOW);
        let who = "me@host (a/b https://x.test/7 as role/ci, 10.0.0.1) holds the lock";
        assert!(told.contains(who), "{told}");
    }

    #[test]
    fn a_lock_of_another_program_is_described_all_the_same() {
        let lock =
            LockFacts { lock: Lock::default(), last_write_ms: None, is_quiet: true, ..facts() };
        assert_eq!(
            lock.refusal_of_lock("b", "k", NOW),
            "The state is locked: user/ci holds the lock since 2027-01-15T07:57:00Z (3 min ago); it \
             has written no state yet; it looks quiet. If that run is gone for sure, release the lock \
             with: tidelock lock release b/k"
        );
    }

    #[test]
    fn what_others_have_named_is_not_obeyed() {
        let body =
            br#"{"ID":"1;rm -rf ~","Operation":"a\u001b]0;x\u0007","Who":"me\u001b[2J\r\nyou\uffff\u202e"}"#;
        let lock = LockFacts { lock: Lock::parse(body).unwrap(), ..facts() };
        let told = lock.refusal_of_lock("b", "it's $(k)", NOW);
        assert!(!told.contains(char::is_control), "{told:?}");
        assert!(told.contains(r"me\u{1b}[2J\r\nyou\u{ffff}\u{202e} (user/ci, 10.0.0.1)"), "{told}");
        assert!(told.ends_with(r"lock release 'b/it'\''s $(k)' --id '1;rm -rf ~'"), "{told}");
        let lineage = Breach::Lineage { stored: "a".to_owned(), written: "\u{1b}[2J".to_owned() };
        let told = refusal_of_write(&lineage, None, ("b", "a b"), Some("00ff"), NOW);
        assert!(!told.contains(char::is_control), "{told:?}");
        assert!(told.contains("refused get 'b/a b' 00ff. "), "{told}");
        assert!(told.ends_with("state allow 'b/a b'"), "{told}");
        let told = refusal_of_delete(&Breach::Locked, Some(&lock), NOW);
        assert!(!told.contains(char::is_control), "{told:?}");
    }

    #[test]
    fn refusals_name_the_refused_version() {
        let stale = Breach::Stale { stored: 3, written: 2 };
        let told = refusal_of_write(&stale, None, ("b", "k"), Some("00ff"), NOW);
        assert!(told.contains("serial 3") && told.contains("serial 2"), "{told}");
        assert!(told.contains("tidelock state refused get b/k 00ff"), "{told}");
    }

    #[test]
    fn durations_have_one_unit() {
        let rows = [(-5, "0 s"), (119_999, "119 s"), (120_000, "2 min"), (7_200_000, "2 h")];
        for (ms, expected) in rows {
            assert_eq!(duration(ms), expected);
        }
        assert_eq!(duration(172_800_000), "2 d");
    }
}
