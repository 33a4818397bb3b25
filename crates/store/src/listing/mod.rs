//! Listings: objects, versions, uploads. In key order, page by page, with common prefixes.

mod objects;
mod uploads;
mod versions;

pub use objects::{ListObjects, ListedObject, ObjectPage};
pub use uploads::{ListUploads, ListedUpload, UploadPage};
pub use versions::{ListVersions, ListedFacts, ListedVersion, VersionCursor, VersionPage};

/// Rows of one step of a listing's scan.
const LIST_SCAN_ROWS: usize = 1000;

/// The common prefix that `key` falls under: up to the first delimiter behind `prefix`.
fn common_prefix<'a>(key: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter?;
    let rest = key.get(prefix.len()..)?;
    let found = rest.find(delimiter)?;
    key.get(..prefix.len() + found + delimiter.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_prefixes() {
        let rows = [
            ("a/b/c", "", Some("/"), Some("a/")),
            ("a/b/c", "a/", Some("/"), Some("a/b/")),
            ("a/b/c", "a/b/", Some("/"), None),
            ("abc", "", Some("/"), None),
            ("a/b", "", None, None),
            ("a--b", "", Some("--"), Some("a--")),
            ("käse/x", "k", Some("/"), Some("käse/")),
        ];
        for (key, prefix, delimiter, expected) in rows {
            assert_eq!(common_prefix(key, prefix, delimiter), expected, "{key} {prefix}");
        }
    }
}
