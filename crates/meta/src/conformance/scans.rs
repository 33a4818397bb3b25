//! Scans: ranges, limits, directions, and order while others write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::{Violation, batch, ensure, key, must_commit, number};
use crate::{Direction, KeyRange, MetaStore, ReadLevel};

const STABLE_ROWS: usize = 50;
const SCANS: usize = 100;

/// Start, end, limit, direction, and the values expected.
type Case<'a> = (&'a str, Option<&'a str>, usize, Direction, &'a [&'a str]);

/// Scans answer exactly the rows of their range, in order, from the end they start at.
///
/// # Errors
///
/// A [`Violation`] when a scan answers other rows.
pub async fn scans_take_ranges_and_limits(store: Arc<dyn MetaStore>) -> Result<(), Violation> {
    use Direction::{Backward, Forward};
    let store = &*store;
    let mut rows = batch();
    for name in ["a", "b", "b\0", "ba", "c", "\u{7f}"] {
        rows.put(key(format!("scans/{name}")), key(name));
    }
    rows.put(Bytes::from_static(b"scans/\xFF"), key("last"));
    rows.put(Bytes::from_static(b"scans0"), key("outside"));
    must_commit(store, rows).await?;

    let all = ["a", "b", "b\0", "ba", "c", "\u{7f}", "last"];
    let reversed: Vec<&str> = all.iter().rev().copied().collect();
    let cases: [Case<'_>; 12] = [
        ("scans/", Some("scans0"), 100, Forward, &all),
        ("scans/", Some("scans0"), 100, Backward, &reversed),
        ("scans/", Some("scans0"), usize::MAX, Forward, &all),
        ("scans/", Some("scans0"), 2, Forward, &all[..2]),
        ("scans/", Some("scans0"), 2, Backward, &reversed[..2]),
        ("scans/", Some("scans0"), 0, Forward, &[]),
        ("scans/b", Some("scans/c"), 100, Forward, &["b", "b\0", "ba"]),
        ("scans/b", Some("scans/c"), 1, Backward, &["ba"]),
        ("scans/b", Some("scans/b"), 100, Forward, &[]),
        ("scans/c", Some("scans/b"), 100, Forward, &[]),
        ("scans/bb", Some("scans/bc"), 100, Backward, &[]),
        ("scans/c", None, 2, Forward, &["c", "\u{7f}"]),
    ];
    for (start, end, limit, direction, expected) in cases {
        let range = KeyRange { start: key(start), end: end.map(key) };
        let found = store.scan(range, limit, direction, ReadLevel::Latest).await?;
        let values: Vec<&[u8]> = found.iter().map(|(_, row)| &row.value[..]).collect();
        let expected: Vec<&[u8]> = expected.iter().map(|value| value.as_bytes()).collect();
        ensure(values == expected, || {
            format!("{start:?}..{end:?} {direction:?} at most {limit}: {values:?}")
        })?;
    }
    Ok(())
}

/// While rows between them come and go, scans answer the rows that stay, all of them, in order.
///
/// # Errors
///
/// A [`Violation`] when a scan misses a row, repeats one or answers them out of order.
pub async fn scans_keep_their_order_under_writes(
    store: Arc<dyn MetaStore>,
) -> Result<(), Violation> {
    let mut stable = batch();
    for row in 0..STABLE_ROWS {
        stable.put(key(format!("moving/{row:03}")), number(row as u64));
    }
    must_commit(&*store, stable).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(come_and_go(Arc::clone(&store), Arc::clone(&stop)));
    let scanned = scan_often(&*store).await;
    stop.store(true, Ordering::Relaxed);
    writer.await??;
    scanned
}

/// Puts and deletes a row after each stable one, until told to stop.
async fn come_and_go(store: Arc<dyn MetaStore>, stop: Arc<AtomicBool>) -> Result<(), Violation> {
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut changes = batch();
        for row in 0..STABLE_ROWS {
            let between = key(format!("moving/{row:03}+"));
            if (row + round) % 2 == 0 {
                changes.put(between, number(u64::MAX));
            } else {
                changes.delete(between);
            }
        }
        must_commit(&*store, changes).await?;
        round += 1;
    }
    Ok(())
}

async fn scan_often(store: &dyn MetaStore) -> Result<(), Violation> {
    let expected: Vec<Bytes> = (0..STABLE_ROWS).map(|row| number(row as u64)).collect();
    for scan in 0..SCANS {
        let direction = if scan % 2 == 0 { Direction::Forward } else { Direction::Backward };
        let range = KeyRange::prefix(b"moving/");
        let mut found = store.scan(range, 1000, direction, ReadLevel::Latest).await?;
        if direction == Direction::Backward {
            found.reverse();
        }
        ensure(found.is_sorted_by(|a, b| a.0 < b.0), || "a scan is out of order".into())?;
        let values = found.into_iter().map(|(_, row)| row.value);
        let stable: Vec<Bytes> = values.filter(|value| *value != number(u64::MAX)).collect();
        ensure(stable == expected, || format!("a scan saw {} rows that stay", stable.len()))?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
