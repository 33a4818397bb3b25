//! The keys that are listed, and whether a page of them is what it must be. It reads the one form that
//! S3 answers in, without a tree: a page is as large as a thousand other answers.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::tally::Fault;

/// Keys of a page: the most that S3 gives.
pub(super) const PAGE_KEYS: usize = 1000;

/// Keys below one prefix, each in a directory of its own, as Terraform's workspaces are.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Ends with a slash.
    pub(super) prefix: String,
    /// How many there are.
    pub(super) keys: usize,
}

/// A page that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Page {
    listed: Listed,
    from: usize,
    is_delimited: bool,
}

impl Listed {
    /// The key with this number, in the order of lists.
    pub(super) fn key(&self, at: usize) -> String {
        format!("{}{at:08}/terraform.tfstate", self.prefix)
    }

    /// The page that begins with the key of this number.
    pub(super) fn page(&self, from: usize, is_delimited: bool) -> Page {
        Page { listed: self.clone(), from, is_delimited }
    }
}

impl Page {
    /// What is asked, escaped and sorted as it is signed.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        if self.is_delimited {
            query.push(("delimiter", "/".to_owned()));
        }
        query.extend([
            ("list-type", "2".to_owned()),
            ("max-keys", PAGE_KEYS.to_string()),
            ("prefix", self.listed.prefix.clone()),
        ]);
        if let Some(before) = self.from.checked_sub(1) {
            query.push(("start-after", self.listed.key(before)));
        }
        query
    }

    /// Whether `document` is this page: its keys, their order, and whether there are more.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(&self, document: &[u8]) -> Result<(), Fault> {
        let text = std::str::from_utf8(document);
        let text = text.map_err(|_| Fault::new("MalformedList", "a list that is not text"))?;
        let end = self.listed.keys.min(self.from + PAGE_KEYS);
        let (mut expected, mut previous) = (String::new(), "");
        let mut at = self.from;
        for found in self.found(text) {
            expected.clear();
            let rest = if self.is_delimited { "/" } else { "/terraform.tfstate" };
            // Writing to a string does not fail.
            let _ = write!(expected, "{}{at:08}{rest}", self.listed.prefix);
            if at < end && found != expected {
                let name = match found.cmp(previous) {
                    Ordering::Greater => "WrongKey",
                    Ordering::Less | Ordering::Equal => "WrongOrder",
                };
                return Err(Fault::new(name, format!("{found} instead of {expected}")));
            }
            previous = found;
            at += 1;
        }
        let (count, wanted) = (at - self.from, end - self.from);
        if count != wanted {
            let seen = format!("{count} keys instead of {wanted}, from {}", self.from);
            return Err(Fault::new("WrongNumberOfKeys", seen));
        }
        let has_more = between(text, "<IsTruncated>", "</IsTruncated>").map(|(value, _)| value);
        let is_right = has_more == Some(if end < self.listed.keys { "true" } else { "false" });
        if is_right {
            return Ok(());
        }
        let seen = format!("{} with keys up to {end}", has_more.unwrap_or("none"));
        Err(Fault::new("WrongIsTruncated", seen))
    }

    /// Keys, or common prefixes, in the order of the document.
    fn found<'a>(&self, document: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        let outer = if self.is_delimited { "<CommonPrefixes>" } else { "<Contents>" };
        let (open, close) =
            if self.is_delimited { ("<Prefix>", "</Prefix>") } else { ("<Key>", "</Key>") };
        let mut left = document;
        std::iter::from_fn(move || {
            let (_, after) = left.split_once(outer)?;
            let (found, rest) = between(after, open, close)?;
            left = rest;
            Some(found)
        })
    }
}

/// The text of the first element, and what follows it.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(open)?.1.split_once(close)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(page: &Page, numbers: &[usize], is_truncated: bool) -> String {
        let items = numbers.iter().map(|at| {
            let prefix = &page.listed.prefix;
            if page.is_delimited {
                format!("<CommonPrefixes><Prefix>{prefix}{at:08}/</Prefix></CommonPrefixes>")
            } else {
                let key = page.listed.key(*at);
                format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>")
            }
        });
        let items: String = items.collect();
        format!(
            "<ListBucketResult><Prefix>p/</Prefix><IsTruncated>{is_truncated}</IsTruncated>{items}</ListBucketResult>"
        )
    }

    #[test]
    fn a_page_has_the_keys_that_were_put_and_says_whether_there_are_more() {
        let range = |from, to| (from..to).collect::<Vec<usize>>();
        // How many keys there are; where the page begins; what it holds; whether it says there are more.
        type Row = (usize, usize, Vec<usize>, bool, Option<&'static str>);
        let rows: &[Row] = &[
            (1500, 0, range(0, 1000), true, None),
            (1500, 500, range(500, 1500), false, None),
            (1500, 700, range(700, 1500), false, None),
            (3, 0, range(0, 3), false, None),
            (1500, 0, range(0, 1000), false, Some("WrongIsTruncated")),
            (3, 0, range(0, 3), true, Some("WrongIsTruncated")),
            (3, 0, range(0, 2), false, Some("WrongNumberOfKeys")),
            (3, 0, range(0, 4), false, Some("WrongNumberOfKeys")),
            (3, 0, vec![0, 2], false, Some("WrongKey")),
            (3, 0, vec![0, 1, 0], false, Some("WrongOrder")),
            (3, 0, vec![0, 1, 1], false, Some("WrongOrder")),
            (3, 1, range(0, 3), false, Some("WrongKey")),
        ];
        for (keys, from, numbers, is_truncated, fault) in rows {
            for is_delimited in [false, true] {
                let listed = Listed { prefix: "p/".to_owned(), keys: *keys };
                let page = listed.page(*from, is_delimited);
                let outcome = page.check(document(&page, numbers, *is_truncated).as_bytes());
                let name = outcome.err().map(|fault| fault.name);
                assert_eq!(name.as_deref(), *fault, "{keys} {from} {is_delimited}");
            }
        }
    }
}
