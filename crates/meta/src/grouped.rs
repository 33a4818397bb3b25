//! Grouping by delimiter on top of plain scans, for engines without a faster way. Knows no engine.

use crate::types::{successor_of_key, successor_of_prefix};
use crate::{Direction, Group, Key, KeyRange, MetaError, MetaStore, ReadLevel, Versioned};

/// How many rows one page of the skipping scan reads: enough that plain keys and small groups cost
/// few scans, few enough that a group of a million rows costs little more than one row.
const PAGE_ROWS_MAX: usize = 64;

/// Walks `range` page by page. A page that ends inside a group is followed by one that starts after
/// that group, so a group costs at most one page however many rows it has.
pub(crate) async fn scan_grouped_by_skipping<M: MetaStore + ?Sized>(
    store: &M,
    range: KeyRange,
    skip: usize,
    delimiter: &[u8],
    limit: usize,
    level: ReadLevel,
) -> Result<Vec<Group>, MetaError> {
    let mut groups: Vec<Group> = Vec::new();
    let mut rest = Some(range);
    while let Some(range) = rest.take() {
        let page_rows = PAGE_ROWS_MAX.min(limit - groups.len());
        if page_rows == 0 || range.is_empty() {
            break;
        }
        let page = store.scan(range.clone(), page_rows, Direction::Forward, level).await?;
        let is_last_page = page.len() < page_rows;
        for row in page {
            append(&mut groups, row, skip, delimiter);
        }
        if !is_last_page {
            rest = groups.last().and_then(after).map(|start| range.starting_at(start));
        }
    }
    Ok(groups)
}

/// Adds a row's group, unless the row belongs to the last one.
fn append(groups: &mut Vec<Group>, row: (Key, Versioned), skip: usize, delimiter: &[u8]) {
    let belongs = |last: &Group| last.is_common_prefix && row.0.starts_with(&last.prefix);
    if groups.last().is_some_and(belongs) {
        return;
    }
    let shared = shared_length(&row.0, skip, delimiter);
    let prefix = row.0.slice(..shared.unwrap_or(row.0.len()));
    groups.push(Group { prefix, is_common_prefix: shared.is_some(), first: row });
}

/// The first key that cannot belong to `group`; none if every later key would.
fn after(group: &Group) -> Option<Key> {
    if group.is_common_prefix {
        successor_of_prefix(&group.prefix)
    } else {
        Some(successor_of_key(&group.prefix))
    }
}

/// The length of the key up to and including the first delimiter at or after `skip`.
pub(crate) fn shared_length(key: &[u8], skip: usize, delimiter: &[u8]) -> Option<usize> {
    if delimiter.is_empty() {
        return None;
    }
    let rest = key.get(skip..)?;
    let found = rest.windows(delimiter.len()).position(|window| window == delimiter)?;
    Some(skip + found + delimiter.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::{Batch, OpId};

    /// Grouping as one would write it with all rows in hand.
    fn naive(keys: &BTreeSet<Vec<u8>>, skip: usize, delimiter: &[u8]) -> Vec<(Vec<u8>, bool)> {
        let mut groups: Vec<(Vec<u8>, bool)> = Vec::new();
        for key in keys {
            let position = (skip..key.len()).find(|&at| key[at..].starts_with(delimiter));
            let group = match position {
                Some(at) => (key[..at + delimiter.len()].to_vec(), true),
                None => (key.clone(), false),
            };
            if groups.last() != Some(&group) {
                groups.push(group);
            }
        }
        groups
    }

    async fn grouped(
        keys: &BTreeSet<Vec<u8>>,
        skip: usize,
        delimiter: &[u8],
        limit: usize,
    ) -> Vec<(Vec<u8>, bool)> {
        let store = MemoryStore::new();
        for key in keys {
            let mut batch = Batch::new(OpId([0; 16]));
            batch.put(Bytes::copy_from_slice(key), Bytes::new());
            store.commit(batch).await.unwrap();
        }
        let range = KeyRange::prefix(b"");
        let found =
            scan_grouped_by_skipping(&store, range, skip, delimiter, limit, ReadLevel::Latest)
                .await
                .unwrap();
        for group in &found {
            let first = keys.iter().find(|key| key.starts_with(&group.prefix)).unwrap();
            assert_eq!(group.first.0, *first, "a group carries its first row");
        }
        found.into_iter().map(|group| (group.prefix.to_vec(), group.is_common_prefix)).collect()
    }

    /// Few letters, so that groups are large; `0xFF`, so that a prefix has no successor.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        let letter = prop_oneof![Just(b'a'), Just(b'b'), Just(b'/'), Just(0xFF_u8)];
        proptest::collection::vec(letter, 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn groups_as_the_naive_grouping_does(
            keys in proptest::collection::btree_set(key(), 0..200),
            skip in 0_usize..3,
            delimiter in prop_oneof![Just(&b"/"[..]), Just(&b"ab"[..]), Just(&[0xFF][..])],
            limit in 0_usize..80,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(grouped(&keys, skip, delimiter, limit));
            let mut expected = naive(&keys, skip, delimiter);
            expected.truncate(limit);
            prop_assert_eq!(found, expected);
        }
    }
}
