//! Grouping: what a listing with a delimiter is made of.

use std::sync::Arc;

use super::{Violation, batch, ensure, key, must_commit};
use crate::{KeyRange, MetaStore, ReadLevel};

/// Rows of the large group: more than any engine reads in one page.
const LARGE_GROUP_ROWS: usize = 300;

/// Rows of one large group are committed in steps of this many, within every engine's limits.
const STEP_ROWS: usize = 50;

/// Groups carry their shared part and first row, a row without the delimiter stands alone, and the
/// limit counts groups.
///
/// # Errors
///
/// A [`Violation`] when the groups are others.
pub async fn groups_by_delimiter(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    let store = &*store;
    let mut rows = batch();
    for name in ["a", "b/1", "b/2", "b/c/3", "c", "d//", "d/x", "e::f::g", "z/"] {
        rows.put(key(format!("groups/{name}")), key(name));
    }
    must_commit(store, rows).await?;
    for start in (0..LARGE_GROUP_ROWS).step_by(STEP_ROWS) {
        let mut rows = batch();
        for row in start..start + STEP_ROWS {
            rows.put(key(format!("groups/m/{row:04}")), key(format!("m/{row:04}")));
        }
        must_commit(store, rows).await?;
    }

    let slashed = ["a=a", "b/+b/1", "c=c", "d/+d//", "e::f::g=e::f::g", "m/+m/0000", "z/+z/"];
    let cases: [(&str, &str, usize, &[&str]); 7] = [
        ("", "/", 1000, &slashed),
        ("", "/", 2, &slashed[..2]),
        ("", "/", 0, &[]),
        ("b/", "/", 1000, &["b/1=b/1", "b/2=b/2", "b/c/+b/c/3"]),
        ("e", "::", 1000, &["e::+e::f::g"]),
        ("m/02", "99", 1, &["m/0200=m/0200"]),
        ("none", "/", 1000, &[]),
    ];
    for (prefix, delimiter, limit, expected) in cases {
        let prefix = format!("groups/{prefix}");
        let range = KeyRange::prefix(prefix.as_bytes());
        let skip = prefix.len();
        let delimiter = delimiter.as_bytes();
        let groups = store.scan_grouped(range, skip, delimiter, limit, ReadLevel::Latest).await?;
        let drawn = groups.iter().map(|group| {
            let sign = if group.is_common_prefix { '+' } else { '=' };
            let shared = String::from_utf8_lossy(&group.prefix["groups/".len()..]);
            let first = String::from_utf8_lossy(&group.first.1.value);
            format!("{shared}{sign}{first}")
        });
        let drawn: Vec<String> = drawn.collect();
        ensure(drawn == expected, || format!("{prefix:?} by {delimiter:?}: {drawn:?}"))?;
    }
    Ok(())
}
