//! `tidelock state diff`

use std::io::IsTerminal as _;

use serde::Serialize;
use tidelock_client::state::{
    AttributeChange, Diff, Document, InstanceAddress, InstanceChange, OutputChange, Show, Shown,
    StateBody, Value, VersionHistory,
};

use super::show::line;
use super::{RevealArgs, unreadable};
use crate::address::ObjectAddress;
use crate::connect::Session;
use crate::exit::{Failure, shown};
use crate::output::{printable, text_or};

/// What `--help` says at its end; docs/states.md says the same.
const HELP: &str = "\
Exit status, as of diff(1):
  0  no resource, attribute or output differs
  1  something differs
  2 and above  the comparison failed: 2 instead of 1 of other commands, the rest as of those";

/// Compare two versions of a state, or two states
///
/// Without versions: the one before the current against the current. With one: that against the
/// current. Only resources, their attributes and outputs are compared, not serial and version.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The state
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// The id of the older version; or another state, as it is now
    #[arg(value_name = "OLD|BUCKET/KEY")]
    old: Option<String>,
    /// The id of the newer version
    new: Option<String>,
    #[command(flatten)]
    reveal: RevealArgs,
}

/// Which two bodies are compared: of each its address and version, none for the current one.
struct Pair {
    old: (ObjectAddress, Option<String>),
    new: (ObjectAddress, Option<String>),
}

/// One of the two.
#[derive(Debug, Serialize)]
pub(super) struct Side {
    bucket: String,
    key: String,
    version_id: Option<String>,
    last_modified: String,
    serial: u64,
    lineage: String,
}

#[derive(Debug, Serialize)]
struct DiffDocument {
    old: Side,
    new: Side,
    equal: bool,
    added: Vec<InstanceAddress>,
    removed: Vec<InstanceAddress>,
    changed: Vec<ChangedInstance>,
    outputs: Vec<ChangedOutput>,
    /// More changed than is listed.
    is_cut: bool,
}

#[derive(Debug, Serialize)]
struct ChangedInstance {
    #[serde(flatten)]
    address: InstanceAddress,
    tainted: Option<Change<bool>>,
    provider: Option<Change<String>>,
    attributes: Vec<ChangedAttribute>,
}

#[derive(Debug, Serialize)]
struct Change<T> {
    old: T,
    new: T,
}

/// Null on the side that does not have it.
#[derive(Debug, Serialize)]
struct ChangedAttribute {
    path: String,
    #[serde(flatten)]
    change: Change<Option<Shown>>,
}

/// Null on the side that does not have it.
#[derive(Debug, Serialize)]
struct ChangedOutput {
    name: String,
    #[serde(flatten)]
    change: Change<Option<Shown>>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.print(session).await.map_err(Failure::of_comparison)? {
            true => Ok(()),
            false => Err(Failure::differs()),
        }
    }

    /// Whether nothing differs.
    async fn print(&self, session: &Session) -> Result<bool, Failure> {
        let Pair { old, new } = self.pair(session).await?;
        let (old_body, new_body) = (read(session, &old).await?, read(session, &new).await?);
        let old_document = old_body.document().map_err(|error| unreadable(&old.0, error))?;
        let new_document = new_body.document().map_err(|error| unreadable(&new.0, error))?;
        let sides = (Side::new(old, &old_body), Side::new(new, &new_body));
        print(session, (&old_document, &new_document), sides, self.reveal.show())
    }

    async fn pair(&self, session: &Session) -> Result<Pair, Failure> {
        let state = || self.state.clone();
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => {
                Ok(Pair { old: (state(), Some(old.clone())), new: (state(), Some(new.clone())) })
            }
            (Some(other), None) => match address(other) {
                Some(other) => Ok(Pair { old: (state(), None), new: (other, None) }),
                None => Ok(Pair { old: (state(), Some(other.clone())), new: (state(), None) }),
            },
            (None, _) => self.latest_two(session).await,
        }
    }

    /// Delete markers are no states; what was there before and after one is compared.
    async fn latest_two(&self, session: &Session) -> Result<Pair, Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let VersionHistory::Known(listed) = session.client.state_history(bucket, key).await? else {
            return Err(Failure::other(&format!(
                "the endpoint lists no versions of {bucket}: name another state to compare with"
            )));
        };
        let mut bodies = listed.into_iter().filter(|version| !version.delete_marker);
        let mut next = || bodies.next().map(|version| version.version_id);
        let newest = next().ok_or_else(|| Failure::not_found(&format!("no {bucket}/{key}")))?;
        let before = next().ok_or_else(|| {
            Failure::not_found(&format!("{bucket}/{key} has no version before the current one"))
        })?;
        let state = || self.state.clone();
        Ok(Pair { old: (state(), Some(before)), new: (state(), Some(newest)) })
    }
}

/// Prints what differs; whether nothing does.
pub(super) fn print(
    session: &Session,
    (old, new): (&Document<'_>, &Document<'_>),
    sides: (Side, Side),
    show: Show,
) -> Result<bool, Failure> {
    let diff = Diff::of(old, new, show);
    let text = text(&diff, &sides.0, &sides.1, Paint::of_stdout());
    let equal = diff.is_empty();
    shown(text_or(session.format, &text, &DiffDocument::new(diff, sides)))?;
    Ok(equal)
}

/// Version ids may hold a slash, but none begins as a bucket's name does before it.
fn address(text: &str) -> Option<ObjectAddress> {
    let is_of_bucket =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let address: ObjectAddress = text.parse().ok()?;
    // Amazon S3 User Guide, general purpose bucket naming rules.
    let is_bucket = (3..=63).contains(&address.bucket.len());
    (is_bucket && address.bucket.chars().all(is_of_bucket)).then_some(address)
}

async fn read(
    session: &Session,
    (address, version): &(ObjectAddress, Option<String>),
) -> Result<StateBody, Failure> {
    let ObjectAddress { bucket, key } = address;
    let read = session.client.read_state(bucket, key, version.as_deref()).await;
    read.map_err(|error| unreadable(address, error))
}

impl Side {
    pub(super) fn new(
        (address, version): (ObjectAddress, Option<String>),
        body: &StateBody,
    ) -> Self {
        Self {
            bucket: address.bucket,
            key: address.key,
            version_id: version.or_else(|| body.version_id.clone()),
            last_modified: body.last_modified.clone(),
            serial: body.state.serial,
            lineage: body.state.lineage.clone(),
        }
    }

    /// Where there is no state.
    pub(super) fn nothing((address, version_id): (ObjectAddress, Option<String>)) -> Self {
        let ObjectAddress { bucket, key } = address;
        let (last_modified, lineage) = (String::new(), String::new());
        Self { bucket, key, version_id, last_modified, serial: 0, lineage }
    }

    fn line(&self) -> String {
        let version = self.version_id.iter().map(|id| format!(" version {id}"));
        let version: String = version.collect();
        format!("{}/{}{version}, serial {}", self.bucket, self.key, self.serial)
    }
}

impl DiffDocument {
    fn new(diff: Diff, (old, new): (Side, Side)) -> Self {
        let values = |old: Option<Value>, new: Option<Value>| Change {
            old: old.as_ref().map(Shown::from),
            new: new.as_ref().map(Shown::from),
        };
        let attribute = |it: AttributeChange| ChangedAttribute {
            path: it.path,
            change: values(it.old, it.new),
        };
        let output =
            |it: OutputChange| ChangedOutput { name: it.name, change: values(it.old, it.new) };
        let instance = |change: InstanceChange| ChangedInstance {
            address: change.address,
            tainted: change.tainted.map(|(old, new)| Change { old, new }),
            provider: change.provider.map(|(old, new)| Change { old, new }),
            attributes: change.attributes.into_iter().map(attribute).collect(),
        };
        Self {
            old,
            new,
            equal: diff.is_empty(),
            added: diff.added,
            removed: diff.removed,
            changed: diff.changed.into_iter().map(instance).collect(),
            outputs: diff.outputs.into_iter().map(output).collect(),
            is_cut: diff.is_cut,
        }
    }
}

/// Whether lines have colours.
#[derive(Clone, Copy)]
struct Paint(bool);

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const PLAIN: &str = "\u{1b}[0m";

impl Paint {
    /// A terminal, and no <https://no-color.org>.
    fn of_stdout() -> Self {
        let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(std::io::stdout().is_terminal() && !is_refused)
    }

    /// One line; what would move the cursor is shown escaped.
    fn line(self, color: &str, text: &str) -> String {
        let text = printable(text);
        if self.0 { format!("{color}{text}{PLAIN}\n") } else { format!("{text}\n") }
    }
}

fn text(diff: &Diff, old: &Side, new: &Side, paint: Paint) -> String {
    let mut text = paint.line(RED, &format!("--- {}", old.line()));
    text += &paint.line(GREEN, &format!("+++ {}", new.line()));
    if old.lineage != new.lineage && !old.lineage.is_empty() {
        text += "the lineages differ: these were never one state\n";
    }
    if diff.is_empty() {
        return text + "no differences\n";
    }
    for address in &diff.added {
        text += &paint.line(GREEN, &format!("+ {}", named(address)));
    }
    for address in &diff.removed {
        text += &paint.line(RED, &format!("- {}", named(address)));
    }
    for change in &diff.changed {
        text += &paint.line(YELLOW, &format!("~ {}", named(&change.address)));
        if let Some((was, is)) = change.tainted {
            text += &paint.line(YELLOW, &format!("    tainted: {was} -> {is}"));
        }
        if let Some((was, is)) = &change.provider {
            text += &paint.line(YELLOW, &format!("    provider: {was} -> {is}"));
        }
        for attribute in &change.attributes {
            let path = if attribute.path.is_empty() { "attributes" } else { &attribute.path };
            text += &value_line(paint, "    ", path, (&attribute.old, &attribute.new));
        }
    }
    for output in &diff.outputs {
        let name = format!("output {}", output.name);
        text += &value_line(paint, "", &name, (&output.old, &output.new));
    }
    if diff.is_cut {
        text += "more differs than is listed\n";
    }
    text
}

fn named(address: &InstanceAddress) -> String {
    let deposed = address.deposed.iter().map(|key| format!(" (deposed {key})"));
    address.address.clone() + &deposed.collect::<String>()
}

fn value_line(
    paint: Paint,
    indent: &str,
    name: &str,
    change: (&Option<Value>, &Option<Value>),
) -> String {
    match change {
        (None, None) => String::new(),
        (None, Some(new)) => paint.line(GREEN, &format!("{indent}+ {name}: {}", line(new))),
        (Some(old), None) => paint.line(RED, &format!("{indent}- {name}: {}", line(old))),
        (Some(Value::Masked), Some(Value::Masked)) => {
            paint.line(YELLOW, &format!("{indent}~ {name}: (sensitive value, changed)"))
        }
        (Some(old), Some(new)) => {
            paint.line(YELLOW, &format!("{indent}~ {name}: {} -> {}", line(old), line(new)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_version() {
        let rows = [
            ("bucket/key", true),
            ("b.1-x/env:/dev/key", true),
            ("bucket", false),
            ("bucket/", false),
            ("3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", false),
            ("rmSpXd3dI/brHY", false),
            ("01JD5ZK", false),
        ];
        for (text, expected) in rows {
            assert_eq!(address(text).is_some(), expected, "{text}");
        }
    }

    #[test]
    fn no_value_moves_the_cursor() {
        assert_eq!(Paint(true).line(RED, "a\u{1b}[2J"), "\u{1b}[31ma\\u{1b}[2J\u{1b}[0m\n");
        assert_eq!(Paint(false).line(RED, "a"), "a\n");
    }
}
