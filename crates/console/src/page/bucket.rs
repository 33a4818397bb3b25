//! How one bucket is set up, and the settings that a form changes. What weakens it asks for its name.

use askama::Template;
use http::StatusCode;
use tidelock_client::guard::{GuardEdit, GuardLevel};
use tidelock_client::{BucketDocument, BucketSafety, Setting};

use super::buckets::{Badge, badges, level};
use super::{Page, Shell, Visit};
use crate::answer;
use crate::failure::Failure;
use crate::view;

/// Seconds of a minute, in which the form has the time after which a lock is quiet.
const MINUTE_S: u64 = 60;
/// The longest such time that the form takes, in minutes: a week.
const STALE_MINUTES_MAX: u64 = 7 * 24 * 60;
/// The levels of the guard's rules, weakest first.
const LEVELS: &[(&str, GuardLevel)] =
    &[("off", GuardLevel::Off), ("observe", GuardLevel::Observe), ("enforce", GuardLevel::Enforce)];

#[derive(Template)]
#[template(path = "bucket.html")]
struct BucketPage {
    shell: Shell,
    bucket: String,
    objects: String,
    states: String,
    badges: Vec<Badge>,
    /// None where it is not for this user to see; then there is no form either.
    versioning: Option<bool>,
    is_public_blocked: Option<bool>,
    guard: Option<GuardForm>,
    documents: Vec<Document>,
    address: String,
}

struct GuardForm {
    levels: Vec<(&'static str, bool)>,
    is_mixed: bool,
    stale_minutes: u64,
    state_bytes_max: Option<u64>,
}

/// A setting that is shown as it is.
struct Document {
    title: &'static str,
    text: Option<String>,
    /// What is said where there is none.
    word: &'static str,
}

pub(super) async fn show(visit: &Visit<'_>) -> Page {
    let bucket = visit.required("bucket")?;
    let safety = visit.client.bucket_safety(bucket).await?;
    let mut documents = Vec::new();
    let kinds = [
        ("Policy", BucketDocument::Policy),
        ("Lifecycle rules", BucketDocument::Lifecycle),
        ("CORS", BucketDocument::Cors),
    ];
    for (title, kind) in kinds {
        let setting = visit.client.bucket_document(bucket, kind).await?;
        documents.push(Document::new(title, kind, setting));
    }
    let shell = visit.shell(
        "buckets",
        &format!("Settings of {bucket}"),
        format!("tidelock bucket get {}", view::quoted(bucket)),
    );
    let page = BucketPage {
        shell,
        objects: view::place("/objects", &[("bucket", bucket)]),
        states: view::place("/", &[("bucket", bucket)]),
        badges: badges(&safety),
        versioning: match &safety.versioning {
            Setting::Hidden => None,
            setting => Some(setting.value().is_some_and(|status| status == "Enabled")),
        },
        is_public_blocked: match &safety.public_access_blocked {
            Setting::Hidden => None,
            setting => Some(setting.value() == Some(&true)),
        },
        guard: GuardForm::of(&safety),
        documents,
        address: view::quoted(bucket),
        bucket: bucket.to_owned(),
    };
    Ok(answer::html(StatusCode::OK, &page))
}

/// Changes one setting.
pub(super) async fn change(visit: &Visit<'_>) -> Page {
    let bucket = visit.required("bucket")?;
    let (client, form) = (&visit.client, &visit.asked.form);
    let is_on = form.text("on") == "true";
    let done = match (form.text("setting"), is_on) {
        ("versioning", true) => {
            client.enable_versioning(bucket).await?;
            "Versions are kept from now on."
        }
        ("versioning", false) => {
            confirmed(visit, bucket)?;
            client.suspend_versioning(bucket).await?;
            "No new versions are kept; the old ones stay."
        }
        ("public", true) => {
            client.block_public_access(bucket).await?;
            "Nothing can open the bucket to everybody now."
        }
        ("public", false) => {
            confirmed(visit, bucket)?;
            client.allow_public_access(bucket).await?;
            "Policies and ACLs may open the bucket to everybody now."
        }
        ("guard", _) => change_guard(visit, bucket).await?,
        _ => return Err(Failure::Entered("There is no such setting.".to_owned())),
    };
    Ok(visit.done(&view::place("/bucket", &[("bucket", bucket)]), done))
}

/// All rules to one level, and the time after which a lock is quiet.
async fn change_guard(visit: &Visit<'_>, bucket: &str) -> Result<&'static str, Failure> {
    let form = &visit.asked.form;
    let minutes = form.text("stale").trim().parse().ok();
    let minutes = minutes.filter(|minutes| (1..=STALE_MINUTES_MAX).contains(minutes));
    let entered = "A lock is quiet after 1 to 10080 minutes.";
    let stale = minutes.ok_or_else(|| Failure::Entered(entered.to_owned()))? * MINUTE_S;
    let now = visit.client.bucket_guard(bucket).await?;
    let wanted = LEVELS.iter().find(|(word, _)| *word == form.text("level"));
    let is_weaker = match (wanted, &now) {
        (Some((_, wanted)), Some(now)) => {
            rank(*wanted) < rank(now.lock_writes).max(rank(now.serial))
        }
        _ => false,
    };
    if is_weaker {
        confirmed(visit, bucket)?;
    }
    let edit = match (wanted, &now) {
        (Some((_, GuardLevel::Off)), Some(_)) => {
            visit.client.delete_guard(bucket).await?;
            return Ok("The states of the bucket are not guarded any more.");
        }
        (Some((_, GuardLevel::Off)) | None, None) => return Ok("Nothing was changed."),
        (Some((_, level)), None) => {
            GuardEdit { stale_after_seconds: Some(stale), ..GuardEdit::all(*level) }
        }
        (wanted, Some(_)) => {
            let level = wanted.map(|(_, level)| *level);
            let stale_after_seconds = Some(stale);
            GuardEdit {
                lock_writes: level,
                serial: level,
                stale_after_seconds,
                ..GuardEdit::default()
            }
        }
    };
    visit.client.edit_guard(bucket, &edit).await?;
    Ok("The guard is changed.")
}

/// What makes the bucket less safe is done only by who has typed its name.
fn confirmed(visit: &Visit<'_>, bucket: &str) -> Result<(), Failure> {
    if visit.asked.form.text("confirm").trim() == bucket {
        return Ok(());
    }
    let words = "This makes the bucket less safe. Type its name to confirm; nothing was changed.";
    Err(Failure::Entered(words.to_owned()))
}

fn rank(level: GuardLevel) -> Option<usize> {
    LEVELS.iter().position(|(_, known)| *known == level)
}

impl GuardForm {
    /// A bucket without a guard gets one of an hour.
    fn of(safety: &BucketSafety) -> Option<Self> {
        let guard = match &safety.guard {
            Setting::Hidden => return None,
            setting => setting.value(),
        };
        let now = guard.map_or(Some(GuardLevel::Off), level);
        let stale_s = guard.map(|guard| guard.stale_after_seconds);
        let stale_s = stale_s.or(GuardEdit::all(GuardLevel::Enforce).stale_after_seconds);
        Some(Self {
            levels: LEVELS.iter().rev().map(|(word, level)| (*word, now == Some(*level))).collect(),
            is_mixed: now.is_none(),
            stale_minutes: stale_s.unwrap_or(MINUTE_S).div_ceil(MINUTE_S),
            state_bytes_max: guard.and_then(|guard| guard.state_bytes_max),
        })
    }
}

impl Document {
    fn new(title: &'static str, kind: BucketDocument, setting: Setting<String>) -> Self {
        let word = match setting {
            Setting::Hidden => "Not for you to see.",
            Setting::Set(_) | Setting::NotSet => "None.",
        };
        let text = setting.value().map(|text| match kind {
            BucketDocument::Policy => indented_json(text),
            BucketDocument::Lifecycle | BucketDocument::Cors => indented_xml(text),
        });
        Self { title, text, word }
    }
}

fn indented_json(text: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let pretty = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
    pretty.unwrap_or_else(|| text.to_owned())
}

/// One element a line; between tags `>` and `<` are tags' own.
fn indented_xml(text: &str) -> String {
    let (mut depth, mut indented) = (0_usize, String::new());
    for line in text.replace("><", ">\n<").lines() {
        let is_closing = line.starts_with("</");
        if is_closing {
            depth = depth.saturating_sub(1);
        }
        indented.push_str(&"  ".repeat(depth));
        indented.push_str(line);
        indented.push('\n');
        let is_whole = line.contains("</") || line.ends_with("/>") || line.starts_with("<?");
        if !is_closing && !is_whole && line.starts_with('<') {
            depth += 1;
        }
    }
    indented
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_indented() {
        let rows = [
            (
                "<?xml?><a><b>x</b><c/><d><e>y</e></d></a>",
                "<?xml?>\n<a>\n  <b>x</b>\n  <c/>\n  <d>\n    <e>y</e>\n  </d>\n</a>\n",
            ),
            ("", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(indented_xml(text), expected);
        }
        assert_eq!(indented_json("{\"a\":1}"), "{\n  \"a\": 1\n}");
        assert_eq!(indented_json("{"), "{");
    }

    #[test]
    fn levels_are_ranked() {
        assert!(rank(GuardLevel::Off) < rank(GuardLevel::Observe));
        assert!(rank(GuardLevel::Observe) < rank(GuardLevel::Enforce));
    }
}
