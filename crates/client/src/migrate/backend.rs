//! Changes the `backend "s3"` block of a Terraform file: a lock table goes, a lock file and the new
//! endpoint come. Text in, text out; every other line stays as it is.
//!
//! It knows as much of HCL as one block needs, and refuses what it does not know.

/// What goes, besides what is set: settings of a lock table, and older words for endpoints.
const REMOVED: &[&str] = &[
    "dynamodb_endpoint",
    "dynamodb_table",
    "endpoint",
    "force_path_style",
    "iam_endpoint",
    "sts_endpoint",
];

/// Where new lines go, where there is no other line to stand under.
const INDENT: &str = "    ";

/// What the block will say.
#[derive(Clone, Copy, Debug)]
pub struct BackendEdit<'a> {
    /// The bucket that the block must name now.
    pub old_bucket: &'a str,
    /// The bucket that it will name.
    pub bucket: &'a str,
    /// Its region.
    pub region: &'a str,
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub endpoint: &'a str,
    /// The services that answer there: `s3`, `sts`, `iam`; none where Terraform knows where they are.
    pub services: &'a [&'a str],
    /// Switches to set to true.
    pub switches: &'a [&'a str],
}

/// Why a file is not edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is none.
    #[error("there is no backend \"s3\" block")]
    NoBlock,
    /// There are more.
    #[error("there is more than one backend \"s3\" block")]
    ManyBlocks,
    /// Its end is not found, or it is written in a way that is not known here.
    #[error("the backend \"s3\" block cannot be edited: {0}")]
    Unknown(&'static str),
    /// It is about something else.
    #[error("the block names {found}, not the bucket {expected}")]
    OtherBucket {
        /// What it says.
        found: String,
        /// What was migrated.
        expected: String,
    },
    /// It has a key that was not moved.
    #[error("the state of the key {0} was not migrated")]
    OtherKey(String),
}

/// A setting of the block, with the lines it stands on.
struct Setting {
    name: String,
    /// What stands after the equals sign on its first line.
    value: String,
    lines: Vec<String>,
}

/// The file with its block changed; `key` says which key a key has now.
///
/// # Errors
/// See [`EditError`]; then nothing is to be written.
pub fn edit_backend(
    text: &str,
    edit: &BackendEdit<'_>,
    key: impl Fn(&str) -> Option<String>,
) -> Result<String, EditError> {
    let lines: Vec<&str> = text.lines().collect();
    let (first, end) = find(&lines)?;
    let mut settings = parse(&lines[first + 1..end])?;
    let bucket = literal(&settings, "bucket");
    if bucket.as_deref() != Some(edit.old_bucket) {
        let found = bucket.unwrap_or_else(|| "no bucket".to_owned());
        return Err(EditError::OtherBucket { found, expected: edit.old_bucket.to_owned() });
    }
    settings.retain(|setting| !REMOVED.contains(&setting.name.as_str()));
    if let Some(old) = literal(&settings, "key") {
        let new = key(&old).ok_or_else(|| EditError::OtherKey(old.clone()))?;
        if new != old {
            set(&mut settings, "key", &quoted(&new));
        }
    }
    set(&mut settings, "bucket", &quoted(edit.bucket));
    set(&mut settings, "region", &quoted(edit.region));
    set(&mut settings, "use_lockfile", "true");
    for switch in edit.switches {
        set(&mut settings, switch, "true");
    }
    set_endpoints(&mut settings, edit);
    let mut changed: Vec<&str> = lines[..=first].to_vec();
    changed.extend(settings.iter().flat_map(|setting| setting.lines.iter().map(String::as_str)));
    changed.extend(&lines[end..]);
    let last = if text.ends_with('\n') { "\n" } else { "" };
    Ok(changed.join("\n") + last)
}

/// The first and the last line of the block.
fn find(lines: &[&str]) -> Result<(usize, usize), EditError> {
    let is_head = |line: &&str| {
        let mut words = line.split_whitespace();
        words.next() == Some("backend") && words.next().is_some_and(|it| it.starts_with("\"s3\""))
    };
    let mut heads = lines.iter().enumerate().filter(|(_, line)| is_head(line)).map(|(at, _)| at);
    let first = heads.next().ok_or(EditError::NoBlock)?;
    if heads.next().is_some() {
        return Err(EditError::ManyBlocks);
    }
    let mut depth = depth_after(0, lines[first])?;
    if depth != 1 {
        return Err(EditError::Unknown("write it on several lines"));
    }
    for (at, line) in lines.iter().enumerate().skip(first + 1) {
        depth = depth_after(depth, line)?;
        if depth == 0 && line.trim_start().starts_with('}') {
            return Ok((first, at));
        }
        if depth == 0 {
            break;
        }
    }
    Err(EditError::Unknown("its closing brace must stand on a line of its own"))
}

/// How many brackets are open after `line`.
fn depth_after(depth: usize, line: &str) -> Result<usize, EditError> {
    let (mut depth, mut in_string, mut before) = (depth, false, ' ');
    for letter in line.chars() {
        match letter {
            '"' if before != '\\' => in_string = !in_string,
            _ if in_string => {}
            '#' => break,
            '/' if before == '/' => break,
            '*' if before == '/' => return Err(EditError::Unknown("it has a comment of /* */")),
            '<' if before == '<' => return Err(EditError::Unknown("it has a heredoc")),
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => {
                depth =
                    depth.checked_sub(1).ok_or(EditError::Unknown("its brackets do not match"))?;
            }
            _ => {}
        }
        // A backslash that is escaped escapes nothing.
        before = if before == '\\' && letter == '\\' { ' ' } else { letter };
    }
    Ok(depth)
}

fn parse(lines: &[&str]) -> Result<Vec<Setting>, EditError> {
    let mut settings: Vec<Setting> = Vec::new();
    let mut depth = 0;
    for line in lines {
        let is_more = depth > 0;
        depth = depth_after(depth, line)?;
        match settings.last_mut() {
            Some(setting) if is_more => setting.lines.push((*line).to_owned()),
            _ => {
                let (name, value) = line.split_once('=').unwrap_or(("", ""));
                let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
                settings.push(Setting { name, value, lines: vec![(*line).to_owned()] });
            }
        }
    }
    Ok(settings)
}

/// The text of a setting that is a plain string.
fn literal(settings: &[Setting], name: &str) -> Option<String> {
    let setting = settings.iter().find(|setting| setting.name == name)?;
    let (text, _) = setting.value.strip_prefix('"')?.split_once('"')?;
    (!text.contains(['\\', '$', '%'])).then(|| text.to_owned())
}

fn set(settings: &mut Vec<Setting>, name: &str, value: &str) {
    let old = settings.iter_mut().find(|setting| setting.name == name);
    if let Some(setting) = old {
        let before = setting.lines.first().and_then(|line| line.split_once('='));
        let before = before.map_or(name, |(before, _)| before);
        setting.lines = vec![format!("{before}= {value}")];
        setting.value = value.to_owned();
        return;
    }
    let at = last_simple(settings);
    // As the line above is indented and aligned.
    let model = at.and_then(|at| settings[at].lines.first()?.split_once('='));
    let (indent, width) = model.map_or((INDENT, 0), |(before, _)| {
        let name = before.trim_start();
        (&before[..before.len() - name.len()], name.len().saturating_sub(1))
    });
    let line = format!("{indent}{name:width$} = {value}");
    let new = Setting { name: name.to_owned(), value: value.to_owned(), lines: vec![line] };
    settings.insert(at.map_or(0, |at| at + 1), new);
}

/// The last setting on one line, so that what is added stands with its like.
fn last_simple(settings: &[Setting]) -> Option<usize> {
    settings.iter().rposition(|setting| !setting.name.is_empty() && setting.lines.len() == 1)
}

fn set_endpoints(settings: &mut Vec<Setting>, edit: &BackendEdit<'_>) {
    settings.retain(|setting| setting.name != "endpoints");
    while settings.last().is_some_and(|last| last.lines.iter().all(|line| line.trim().is_empty())) {
        settings.pop();
    }
    if edit.services.is_empty() {
        return;
    }
    let first = last_simple(settings).and_then(|at| settings[at].lines.first());
    let indent = first.map_or(INDENT, |line| &line[..line.len() - line.trim_start().len()]);
    let width = edit.services.iter().map(|service| service.len()).max().unwrap_or(0);
    let mut lines = vec![String::new(), format!("{indent}endpoints = {{")];
    let endpoint = quoted(edit.endpoint);
    lines.extend(
        edit.services.iter().map(|service| format!("{indent}  {service:width$} = {endpoint}")),
    );
    lines.push(format!("{indent}}}"));
    settings.push(Setting { name: "endpoints".to_owned(), value: String::new(), lines });
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDIT: BackendEdit<'_> = BackendEdit {
        old_bucket: "old",
        bucket: "new",
        region: "us-east-1",
        endpoint: "https://s3.example:9000",
        services: &["s3", "sts", "iam"],
        switches: &["use_path_style"],
    };

    fn edited(text: &str) -> Result<String, EditError> {
        edit_backend(text, &EDIT, |key| Some(format!("team/{key}")))
    }

    #[test]
    fn a_block_with_a_lock_table_gets_a_lock_file() {
        let before = r#"terraform {
  required_version = ">= 1.10" # {

  backend "s3" {
    # where it is
    bucket         = "old"
    key            = "app.tfstate"
    region         = "eu-central-1"
    dynamodb_table = "locks"
    encrypt        = true
    endpoints = {
      s3 = "https://before.example"
    }
  }
}

resource "x" "y" {}
"#;
        let after = r#"terraform {
  required_version = ">= 1.10" # {

  backend "s3" {
    # where it is
    bucket         = "new"
    key            = "team/app.tfstate"
    region         = "us-east-1"
    encrypt        = true
    use_lockfile   = true
    use_path_style = true

    endpoints = {
      s3  = "https://s3.example:9000"
      sts = "https://s3.example:9000"
      iam = "https://s3.example:9000"
    }
  }
}

resource "x" "y" {}
"#;
        assert_eq!(edited(before).unwrap(), after);
        // Twice is once, as soon as it names the new bucket.
        let again = BackendEdit { old_bucket: "new", ..EDIT };
        assert_eq!(edit_backend(after, &again, |key| Some(key.to_owned())).unwrap(), after);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let unknown = |text: &str| matches!(edited(text), Err(EditError::Unknown(_)));
        assert_eq!(edited("terraform {}\n"), Err(EditError::NoBlock));
        let block = "backend \"s3\" {\n  bucket = \"old\"\n}\n";
        assert_eq!(edited(&block.repeat(2)), Err(EditError::ManyBlocks));
        assert!(unknown("backend \"s3\" { bucket = \"old\" }\n"));
        assert!(unknown("backend \"s3\" {\n  bucket = \"old\" }\n"));
        assert!(unknown("backend \"s3\" {\n  /* { */\n  bucket = \"old\"\n}\n"));
        assert!(unknown("backend \"s3\" {\n  bucket = \"old\"\n"));
        for bucket in ["\"other\"", "var.bucket", "\"old-${x}\""] {
            let text = block.replace("\"old\"", bucket);
            assert!(matches!(edited(&text), Err(EditError::OtherBucket { .. })), "{bucket}");
        }
        let keyed = "backend \"s3\" {\n  bucket = \"old\"\n  key = \"k\"\n}\n";
        let refused = edit_backend(keyed, &EDIT, |_| None);
        assert_eq!(refused, Err(EditError::OtherKey("k".to_owned())));
    }

    #[test]
    fn brackets_in_strings_and_comments_are_none() {
        let rows = [("a = {", 1), ("a = \"{\"", 0), ("a = \"\\\"{\"", 0), ("# {", 0), ("// {", 0)];
        for (line, depth) in rows {
            assert_eq!(depth_after(0, line), Ok(depth), "{line}");
        }
    }
}
