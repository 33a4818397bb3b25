//! Grouping by delimiter on top of plain scans, for engines without a faster way. Knows no engine.

use crate::types::{successor_of_key, successor_of_prefix};
use crate::{Direction, Group, Key, KeyRange, MetaError, MetaStore, ReadLevel, Versioned};

/// How many rows one page of the skipping scan reads: enough that plain keys and small groups cost
/// few scans, few enough that a group of a million rows costs little more than one row.
const PAGE_ROWS_MAX: usize = 64;

/// A walk through a range, page by page. A page that ends inside a group is followed by one that starts after
/// that group, so a group costs at most one page however many rows it has.
pub(crate) struct Grouping<'a> {
    skip: usize,
    delimiter: &'a [u8],
    limit: usize,
    end: Option<Key>,
    paging: Paging,
    page_rows: usize,
    groups: Vec<Group>,
    rest: Option<KeyRange>,
}

/// How many rows a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paging {
    /// Where beginning a page costs more than its rows.
    Large,
    /// Where it costs as much as a row or two: as many as were worth their reading in the page before.
    Adaptive,
}

impl<'a> Grouping<'a> {
    /// A walk through `range` that ends after `limit` groups.
    pub(crate) fn new(
        range: KeyRange,
        (skip, delimiter): (usize, &'a [u8]),
        limit: usize,
        paging: Paging,
    ) -> Self {
        let end = range.end.clone();
        let groups = Vec::new();
        Self {
            skip,
            delimiter,
            limit,
            end,
            paging,
            page_rows: PAGE_ROWS_MAX,
            groups,
            rest: Some(range),
        }
    }

    /// Which rows are to be read next, and how many of them at most; none at the end.
    pub(crate) fn next_page(&mut self) -> Option<(KeyRange, usize)> {
        let rows = self.page_rows.min(self.limit - self.groups.len());
        self.rest.take().filter(|range| rows > 0 && !range.is_empty()).map(|range| (range, rows))
    }

    /// The rows of the page, of which there were to be at most `asked`.
    pub(crate) fn add(&mut self, page: Vec<(Key, Versioned)>, asked: usize) {
        let (is_last, before) = (page.len() < asked, self.groups.len());
        for row in page {
            append(&mut self.groups, row, self.skip, self.delimiter);
        }
        if self.paging == Paging::Adaptive {
            let new = self.groups.len() - before;
            let rows = if new < asked { new } else { 2 * asked };
            self.page_rows = rows.clamp(1, PAGE_ROWS_MAX);
        }
        if !is_last {
            let start = self.groups.last().and_then(after);
            self.rest = start.map(|start| KeyRange { start, end: self.end.clone() });
        }
    }

    /// What was found.
    pub(crate) fn finish(self) -> Vec<Group> {
        self.groups
    }
}

/// Walks `range` with plain scans.
pub(crate) async fn scan_grouped_by_skipping<M: MetaStore + ?Sized>(
    store: &M,
    range: KeyRange,
    skip: usize,
    delimiter: &[u8],
    limit: usize,
    level: ReadLevel,
) -> Result<Vec<Group>, MetaError> {
    let mut grouping = Grouping::new(range, (skip, delimiter), limit, Paging::Large);
    while let Some((range, rows)) = grouping.next_page() {
        let page = store.scan(range, rows, Direction::Forward, level).await?;
        grouping.add(page, rows);
    }
    Ok(grouping.finish())
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
fn shared_length(key: &[u8], skip: usize, delimiter: &[u8]) -> Option<usize> {
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
