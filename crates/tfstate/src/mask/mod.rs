//! Which bytes of a state are sensitive, and a copy of the body without them.
//!
//! Masked are sensitive outputs; what `sensitive_attributes` names and all inside; attributes whose
//! name speaks of a secret; every attribute of formats 2 and 3, which do not say; the provider's
//! private data; the outputs of another state; whatever is not understood; and each string equal to one of these that stands
//! elsewhere, as in the `output` of a `terraform_data`, to which Terraform does not carry the mark.
//! Part of a longer string is not found.

mod attributes;
mod paths;

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use crate::document::Document;
use crate::json::{Kind, Reader, SyntaxError, decode};
use crate::state::Format;
use paths::Paths;

/// What stands in the place of a value that is not shown; the words are Terraform's.
pub const MASKED: &str = "(sensitive value)";

/// Most masked values of a state; with more, everything is masked.
pub const MASKED_VALUES_MAX: usize = 1_000_000;

/// The data source that reads the outputs of another state, and forgets which of them are sensitive.
const REMOTE_STATE: &str = "terraform_remote_state";

/// Shortest string that is looked for elsewhere. A shorter one says little and stands everywhere.
const COPY_BYTES_MIN: usize = 6;

/// Longest string that is looked for elsewhere.
const COPY_BYTES_MAX: usize = 64 << 10;

/// Most different strings that are looked for elsewhere; with more, everything is masked.
const COPIES_MAX: usize = 100_000;

/// The sensitive bytes of one body.
#[derive(Debug)]
pub struct Mask {
    /// In order, none within another.
    ranges: Vec<Range<usize>>,
}

impl Mask {
    /// The mask of `document`. Whatever goes wrong on the way masks everything.
    pub fn of(document: &Document<'_>) -> Self {
        find(document).unwrap_or_else(|| Self::everything(document.body))
    }

    /// Hides all of a body.
    fn everything(body: &[u8]) -> Self {
        Self { ranges: std::iter::once(0..body.len()).collect() }
    }

    /// The sensitive bytes, in order.
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// Whether any byte of `span` is sensitive.
    pub(crate) fn touches(&self, span: &Range<usize>) -> bool {
        let at = self.ranges.partition_point(|range| range.end <= span.start);
        self.ranges.get(at).is_some_and(|range| range.start < span.end)
    }

    /// A copy of `body`, of which this is the mask, with [`MASKED`] for each sensitive value. Still
    /// JSON, and no state that could be written back.
    pub fn apply(&self, body: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(body.len());
        let mut at = 0;
        for range in &self.ranges {
            shown.extend_from_slice(body.get(at..range.start).unwrap_or_default());
            shown.push(b'"');
            shown.extend_from_slice(MASKED.as_bytes());
            shown.push(b'"');
            at = range.end;
        }
        shown.extend_from_slice(body.get(at..).unwrap_or_default());
        shown
    }
}

fn find(document: &Document<'_>) -> Option<Mask> {
    let summary = document.summary();
    let has_paths = summary.state.format == Format::Clear { version: 4 };
    let mut ranges = document.unread.clone();
    for output in summary.outputs.iter().filter(|output| output.sensitive) {
        ranges.extend(output.value.clone());
    }
    let instances = summary
        .resources
        .iter()
        .flat_map(|resource| resource.instances.iter().map(move |instance| (resource, instance)));
    for (resource, instance) in instances {
        let Some(span) = &instance.attributes else { continue };
        let mut paths = match &instance.sensitive_attributes {
            _ if !has_paths => None,
            Some(sensitive) => Paths::parse(document.body, sensitive),
            None => Some(Paths::new()),
        };
        if resource.type_name == REMOTE_STATE
            && let Some(paths) = &mut paths
        {
            paths.add_attribute("outputs");
        }
        match paths {
            Some(paths) => attributes::find(document.body, span, &paths, &mut ranges).ok()?,
            None => ranges.push(span.clone()),
        }
        if ranges.len() > MASKED_VALUES_MAX {
            return None;
        }
    }
    let mut mask = Mask { ranges: in_order(ranges) };
    let copies = copies(document, &mask)?;
    mask.ranges = in_order(copies.into_iter().chain(mask.ranges).collect());
    Some(mask)
}

/// Sorted, and only the outermost of ranges within each other.
fn in_order(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut end = 0;
    ranges.retain(|range| {
        let is_outermost = range.end > end;
        end = end.max(range.end);
        is_outermost
    });
    ranges
}

/// Where strings that `mask` hides stand once more in the open.
fn copies(document: &Document<'_>, mask: &Mask) -> Option<Vec<Range<usize>>> {
    let mut hidden = HashSet::new();
    for range in mask.ranges() {
        strings(document, range, |text, _| {
            let is_word = attributes::TYPE_WORDS.contains(&&*text);
            if (COPY_BYTES_MIN..=COPY_BYTES_MAX).contains(&text.len()) && !is_word {
                hidden.insert(text);
            }
            hidden.len() <= COPIES_MAX
        })
        .ok()?
        .then_some(())?;
    }
    let mut copies = Vec::new();
    if hidden.is_empty() {
        return Some(copies);
    }
    let summary = document.summary();
    let outputs = summary.outputs.iter().filter_map(|output| output.value.as_ref());
    let instances = summary.resources.iter().flat_map(|resource| &resource.instances);
    let attributes = instances.filter_map(|instance| instance.attributes.as_ref());
    for span in outputs.chain(attributes) {
        strings(document, span, |text, span| {
            if hidden.contains(&text) && !mask.touches(&span) {
                copies.push(span);
            }
            copies.len() <= MASKED_VALUES_MAX
        })
        .ok()?
        .then_some(())?;
    }
    Some(copies)
}

/// Calls `each` with every string in the value at `span` until it says no; whether it never did.
fn strings<'a>(
    document: &Document<'a>,
    span: &Range<usize>,
    mut each: impl FnMut(Cow<'a, str>, Range<usize>) -> bool,
) -> Result<bool, SyntaxError> {
    let mut reader = Reader::of(document.body, span);
    while let Some(token) = reader.next()? {
        if token.kind == Kind::String
            && !each(decode(reader.raw(token)), token.start as usize..token.end as usize)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attributes of one instance after masking; `@` stands for the masked text.
    fn check(attributes: &str, sensitive: &str, expected: &str) {
        let body = format!(
            r#"{{"version":4,"serial":1,"lineage":"l","resources":[{{"mode":"managed","type":"t","name":"n","instances":[{{"attributes":{attributes},"sensitive_attributes":{sensitive}}}]}}]}}"#
        );
        let document = Document::parse(body.as_bytes()).unwrap();
        let shown = String::from_utf8(Mask::of(&document).apply(body.as_bytes())).unwrap();
        let after = shown.split_once(r#""attributes":"#).unwrap().1;
        let shown = after.split_once(r#","sensitive_attributes""#).unwrap().0;
        assert_eq!(shown.replace(r#""(sensitive value)""#, "@"), expected, "{attributes}");
    }

    fn path(steps: &[&str]) -> String {
        let steps: Vec<_> = steps
            .iter()
            .map(|step| match step.parse::<u64>() {
                Ok(_) => {
                    format!(r#"{{"type":"index","value":{{"value":{step},"type":"number"}}}}"#)
                }
                Err(_) => format!(r#"{{"type":"get_attr","value":"{step}"}}"#),
            })
            .collect();
        format!("[[{}]]", steps.join(","))
    }

    #[test]
    fn paths_mask_what_they_name() {
        let rows = [
            (r#"{"a":1,"b":2}"#, path(&["a"]), r#"{"a":@,"b":2}"#),
            (r#"{"a":{"x":[1,{"y":2}]},"b":2}"#, path(&["a"]), r#"{"a":@,"b":2}"#),
            (r#"{"a":[1,2,3]}"#, path(&["a", "1"]), r#"{"a":[1,@,3]}"#),
            (r#"{"a":{"b":1,"c":2}}"#, path(&["a", "b"]), r#"{"a":{"b":@,"c":2}}"#),
            (r#"{"\u0061":1,"b":2}"#, path(&["a"]), r#"{"\u0061":@,"b":2}"#),
            (r#"{"a":1,"a":2}"#, path(&["a"]), r#"{"a":@,"a":@}"#),
            // The wrapper of a dynamic attribute.
            (
                r#"{"a":{"value":{"b":1,"c":2},"type":["object",{"b":"number"}]}}"#,
                path(&["a", "b"]),
                r#"{"a":{"value":{"b":@,"c":2},"type":["object",{"b":"number"}]}}"#,
            ),
            (
                r#"{"a":{"value":[7,8],"type":["tuple",["number","number"]]}}"#,
                path(&["a", "0"]),
                r#"{"a":{"value":[@,8],"type":["tuple",["number","number"]]}}"#,
            ),
            // Wrapper or attribute of that name: both.
            (
                r#"{"a":{"value":{"value":1,"b":2},"type":"x"},"b":1}"#,
                path(&["a", "value"]),
                r#"{"a":@,"b":1}"#,
            ),
            // A path that leads nowhere.
            (r#"{"a":{"b":1},"c":2}"#, path(&["a", "x"]), r#"{"a":@,"c":2}"#),
            (r#"{"a":7,"c":2}"#, path(&["a", "x"]), r#"{"a":@,"c":2}"#),
            (r#"{"a":{"value":7,"type":"number"}}"#, path(&["a", "x"]), r#"{"a":@}"#),
            (r#"{"a":[7]}"#, path(&["a", "3"]), r#"{"a":@}"#),
            (r#"{"a":1}"#, path(&["x"]), "@"),
            (r#"{"a":1}"#, path(&[]), "@"),
        ];
        for (attributes, sensitive, expected) in rows {
            check(attributes, &sensitive, expected);
        }
    }

    #[test]
    fn paths_nobody_understands_mask_everything() {
        let rows = [
            "7",
            "{}",
            "[7]",
            "[[7]]",
            r#"[[{"type":"get_attr"}]]"#,
            r#"[[{"type":"splat","value":"a"}]]"#,
            r#"[[{"type":"get_attr","value":0}]]"#,
            r#"[[{"type":"index","value":{"value":{"x":1},"type":["object",{}]}}]]"#,
            r#"[[{"type":"index","value":1.5}]]"#,
            r#"[[{"type":"get_attr","value":"a","value":"b"}]]"#,
        ];
        for sensitive in rows {
            check(r#"{"a":1}"#, sensitive, "@");
        }
        check(r#"{"a":1}"#, "null", r#"{"a":1}"#);
        check(r#"{"a":1}"#, "[]", r#"{"a":1}"#);
    }

    #[test]
    fn names_that_speak_of_a_secret_mask() {
        let rows = [
            (r#"{"db_password":"x","n":1}"#, r#"{"db_password":@,"n":1}"#),
            (r#"{"deep":[{"Private_Key":{"a":1}}]}"#, r#"{"deep":[{"Private_Key":@}]}"#),
            (r#"{"password":null,"token":""}"#, r#"{"password":null,"token":@}"#),
            (r#"{"password":["list","string"]}"#, r#"{"password":["list","string"]}"#),
        ];
        for (attributes, expected) in rows {
            check(attributes, "[]", expected);
        }
    }

    #[test]
    fn copies_of_a_secret_are_masked() {
        let rows = [
            (r#"{"password":"hunter2","b":"hunter2"}"#, r#"{"password":@,"b":@}"#),
            (r#"{"password":"hunter2","b":["hunt\u0065r2"]}"#, r#"{"password":@,"b":[@]}"#),
            (r#"{"password":"short","b":"short"}"#, r#"{"password":@,"b":"short"}"#),
            (r#"{"secret":{"t":"string"},"b":"string"}"#, r#"{"secret":@,"b":"string"}"#),
        ];
        for (attributes, expected) in rows {
            check(attributes, "[]", expected);
        }
    }

    #[test]
    fn duplicates_and_the_unknown_do_not_leak() {
        let rows = [
            r#""outputs":{"a":{"value":"hunter2","sensitive":true}},"outputs":{}"#,
            r#""outputs":{"a":{"sensitive":true,"value":"hunter2","sensitive":false}}"#,
            r#""outputs":{"a":{"Sensitive":true,"VALUE":"hunter2"}}"#,
            r#""outputs":{"a":{"sensitive":"yes","value":"hunter2"}}"#,
            r#""outputs":{"a":{"value":"hunter2","value":"x"}}"#,
            r#""outputs":"hunter2""#,
            r#""resources":[{"instances":[{"attributes":{"a":"hunter2"}}]}],"resources":[]"#,
            r#""resources":[{"instances":[{"attributes":{"a":"hunter2"}}],"instances":[]}]"#,
            r#""resources":[{"instances":[{"attributes":{"a":"hunter2"},"attributes":{}}]}]"#,
            r#""resources":[{"instances":[{"private":"hunter2"}]}]"#,
            r#""resources":[{"instances":[{"attributes_flat":{"a":"hunter2"}}]}]"#,
            r#""resources":[{"instances":["hunter2"]}]"#,
            r#""resources":[{"instances":{"a":"hunter2"}}]"#,
            r#""resources":[{"type":"terraform_remote_state","instances":[{"attributes":{"outputs":{"value":"hunter2"}}}]}]"#,
            r#""future":{"a":"hunter2"}"#,
        ];
        for members in rows {
            let body = format!(r#"{{"version":4,"serial":1,"lineage":"l",{members}}}"#);
            let document = Document::parse(body.as_bytes()).unwrap();
            let shown = String::from_utf8(Mask::of(&document).apply(body.as_bytes())).unwrap();
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
