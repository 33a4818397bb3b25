//! Whether anything in a store still needs keys that a keyring lacks. Works on any engine before there is
//! a [`crate::Store`]; in doubt a key is needed.

use std::collections::BTreeMap;

use tidelock_meta::{Direction, MetaStore, ReadLevel, successor_of_key};

use super::row::SealedRow;
use super::stage::{STAGES, Stage};
use crate::error::StorageError;
use crate::keyring;

/// Rows of one step.
const USAGE_SCAN_ROWS: usize = 200;

/// How many wrappings each of the keys `names` has in a store: none at all only where all rows were
/// looked at.
///
/// # Errors
///
/// When the engine fails or a row is damaged, of which nobody knows what it needs.
pub(crate) async fn count_uses(
    meta: &dyn MetaStore,
    names: &[String],
) -> Result<BTreeMap<String, u64>, StorageError> {
    let mut uses: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), 0)).collect();
    for stage in STAGES {
        count_stage(meta, stage, &mut uses).await?;
    }
    if uses.values().any(|count| *count == 0) {
        // Where other servers run, a noncurrent version may have become current meanwhile.
        let mut again = uses.keys().map(|name| (name.clone(), 0)).collect();
        count_stage(meta, Stage::Heads, &mut again).await?;
        for (name, count) in again {
            uses.entry(name).and_modify(|known| *known = count.max(*known));
        }
    }
    Ok(uses)
}

async fn count_stage(
    meta: &dyn MetaStore,
    stage: Stage,
    uses: &mut BTreeMap<String, u64>,
) -> Result<(), StorageError> {
    let mut rest = stage.range();
    while !rest.is_empty() {
        let direction = Direction::Forward;
        let rows = meta.scan(rest.clone(), USAGE_SCAN_ROWS, direction, ReadLevel::Latest).await?;
        let Some((last, _)) = rows.last() else { break };
        rest = rest.starting_at(successor_of_key(last));
        for (key, seen) in &rows {
            let mut row = SealedRow::decode(stage, key, &seen.value)?;
            for wrapping in row.wrappings() {
                let name = keyring::name_of(wrapping.sealed);
                if let Some(count) = name.and_then(|name| uses.get_mut(&name)) {
                    *count += 1;
                }
            }
        }
    }
    Ok(())
}
